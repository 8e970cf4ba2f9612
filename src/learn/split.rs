//! Splits the rows of a log chronologically into training folds and a hold-out.
//!
//! ```text
//! | fold 1 | gap | fold 2 | gap | … | fold 5 | gap | hold-out |
//! ```
//!
//! The length of a gap in rows is the number of lags plus the horizon, so that no forecast in one part uses or predicts
//! a row of another part.

use std::ops::Range;

use crate::config::{ModelSpec, TimeSpan};
use crate::error::{Error, Result, plural};
use crate::trajectory::Trajectory;

/// Number of training folds, which are used for out-of-fold residuals and for tuning hyper-parameters (not tuned).
pub const FOLDS: usize = 5;

/// A chronological split. Each part is a list of ranges of grid rows, oldest first, each within one segment.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    pub train: Vec<Range<usize>>,
    /// Consecutive blocks of `train`. The gaps between the folds belong to `train`, but not to any fold.
    pub folds: Vec<Vec<Range<usize>>>,
    /// The newest rows.
    pub holdout: Vec<Range<usize>>,
    /// Length of a gap in rows: lags + horizon.
    pub gap: usize,
}

impl Split {
    /// Splits the segments of `log` into folds and a hold-out. The newest rows form the hold-out of length
    /// `spec.holdout`, which is preceded by a gap. The remaining rows are divided into [`FOLDS`] folds.
    ///
    /// # Errors
    /// Returns [`Error::Data`] if a part would be shorter than one forecast.
    pub fn new(log: &Trajectory, spec: &ModelSpec, step: TimeSpan) -> Result<Self> {
        let rows: usize = log.segments.iter().map(Range::len).sum();
        let holdout = spec.holdout.steps(step, 1);
        let horizon = spec.horizon.steps(step, 1);
        let gap = spec.lags.value.max(1) + horizon;
        if holdout < gap {
            return Err(Error::Data(format!(
                "the hold-out of {} ({}) is shorter than one forecast, which needs {} of history and a horizon of {} \
                 ({}). Increase `model.holdout` or reduce `model.horizon` in twin.toml",
                spec.holdout.value,
                plural(holdout, "row", "rows"),
                plural(spec.lags.value.max(1), "row", "rows"),
                spec.horizon.value,
                plural(horizon, "row", "rows"),
            )));
        }
        let blocks = FOLDS * gap + (FOLDS - 1) * gap;
        let needed = blocks + gap + holdout;
        if rows < needed {
            return Err(Error::Data(format!(
                "the log is too short to fit and test a model: it has {} of {step} ({}) in {}, but {} needed ({}): \
                 {holdout} for the hold-out of {}, {blocks} for {FOLDS} training blocks with at least one forecast of \
                 {} each, and {gap} for the gap before the hold-out. Add older log files, or reduce `model.holdout` or \
                 `model.horizon` in twin.toml",
                plural(rows, "row", "rows"),
                duration(rows, step),
                plural(log.segments.len(), "segment", "segments"),
                if needed == 1 { "1 is".to_owned() } else { format!("{needed} are") },
                duration(needed, step),
                spec.holdout.value,
                spec.horizon.value,
            )));
        }
        let (before, newest) = split_at(&log.segments, rows - holdout);
        let train = before_row(&before, newest[0].start.saturating_sub(gap));
        let n: usize = train.iter().map(Range::len).sum();
        let mut folds = Vec::with_capacity(FOLDS);
        let mut rest = train.clone();
        for k in 0..FOLDS {
            let (fold, after) = split_at(&rest, (k + 1) * n / FOLDS - k * n / FOLDS);
            let end = after.first().map_or(usize::MAX, |r| r.start.saturating_sub(gap));
            folds.push(before_row(&fold, end));
            rest = after;
        }
        Ok(Self { train, folds, holdout: newest, gap })
    }
}

/// Splits `ranges` into the first `rows` rows and the remaining rows.
fn split_at(ranges: &[Range<usize>], rows: usize) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    let mut left = rows;
    for s in ranges {
        let at = s.start + left.min(s.len());
        left -= at - s.start;
        head.extend((at > s.start).then_some(s.start..at));
        tail.extend((at < s.end).then_some(at..s.end));
    }
    (head, tail)
}

/// Returns the part of `ranges` before grid row `end`.
fn before_row(ranges: &[Range<usize>], end: usize) -> Vec<Range<usize>> {
    ranges.iter().map(|s| s.start..s.end.min(end)).filter(|s| !s.is_empty()).collect()
}

/// Removes the rows of `fold`, and `gap` rows on either side of the fold, from `ranges`.
pub fn without(ranges: &[Range<usize>], fold: &[Range<usize>], gap: usize) -> Vec<Range<usize>> {
    let mut left = ranges.to_vec();
    for f in fold {
        let (from, to) = (f.start.saturating_sub(gap), f.end + gap);
        left = left
            .into_iter()
            .flat_map(|r| [r.start..r.end.min(from.max(r.start)), r.start.max(to.min(r.end))..r.end])
            .filter(|r| !r.is_empty())
            .collect();
    }
    left
}

/// The time span that `rows` rows cover, as text. Durations of two days or more are rounded to whole days.
fn duration(rows: usize, step: TimeSpan) -> String {
    let ms = step.ms().saturating_mul(rows as i64);
    let days = ms as f64 / 86_400_000.0;
    if days >= 2.0 { format!("{days:.0}d") } else { TimeSpan::from_ms(ms).to_string() }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "lists of one range")]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::schema::Schema;

    fn log(segments: &[Range<usize>]) -> Trajectory {
        let steps = segments.last().map_or(0, |s| s.end);
        let mut log = Trajectory::empty(Arc::new(Schema::new(vec![])), Timestamp::UNIX_EPOCH, 3_600_000, steps, 1);
        log.segments = segments.to_vec();
        log
    }

    fn spec(holdout: &str, horizon: &str) -> ModelSpec {
        ModelSpec {
            holdout: holdout.parse::<TimeSpan>().unwrap().into(),
            horizon: horizon.parse::<TimeSpan>().unwrap().into(),
            ..ModelSpec::default()
        }
    }

    const HOUR: TimeSpan = TimeSpan::from_ms(3_600_000);

    #[test]
    fn parts_are_ordered_separated_by_gaps_and_within_segments() {
        let segments = [0..100, 120..400, 400..650, 700..1000];
        let split = Split::new(&log(&segments), &spec("10d", "4h"), HOUR).unwrap();
        assert_eq!(split.gap, 7);
        assert_eq!(split.holdout, vec![760..1000]);
        assert_eq!(split.train, vec![0..100, 120..400, 400..650, 700..753]);
        assert_eq!(split.folds.len(), FOLDS);
        let mut last: Option<usize> = None;
        for fold in &split.folds {
            let n: usize = fold.iter().map(Range::len).sum();
            assert!((120..=140).contains(&n), "{n}");
            assert!(last.is_none_or(|l| fold[0].start >= l + split.gap));
            for s in fold {
                assert!(segments.iter().any(|g| g.start <= s.start && s.end <= g.end));
                last = Some(s.end);
            }
        }
        assert!(last.is_some_and(|l| l + split.gap <= split.holdout[0].start));
    }

    #[test]
    fn a_holdout_may_span_segments() {
        let split = Split::new(&log(&[0..500, 600..700]), &spec("200h", "4h"), HOUR).unwrap();
        assert_eq!(split.holdout, vec![400..500, 600..700]);
        assert_eq!(split.train, vec![0..393]);
    }

    #[test]
    fn short_logs_are_refused_with_numbers_and_advice() {
        let e = Split::new(&log(&[0..300]), &spec("10d", "4h"), HOUR).unwrap_err();
        assert_eq!(e.exit_code(), 65);
        let text = e.to_string();
        for part in ["300 rows", "310 are needed", "240 for the hold-out of 10d", "model.holdout"] {
            assert!(text.contains(part), "{text}");
        }
        let e = Split::new(&log(&[0..300]), &spec("3h", "4h"), HOUR).unwrap_err();
        assert!(e.to_string().contains("shorter than one forecast"), "{e}");
    }

    #[test]
    fn a_fold_is_removed_with_its_gaps() {
        assert_eq!(without(&[0..100, 120..200], &[40..60, 60..61], 5), [0..35, 66..100, 120..200]);
        assert_eq!(without(&[0..100, 120..200], &[90..100, 120..130], 5), [0..85, 135..200]);
        assert_eq!(without(&[0..10, 50..60], &[2..8, 45..58], 5), Vec::<Range<usize>>::new());
    }
}
