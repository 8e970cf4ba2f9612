//! Which rows of a log are fitted, which tune, and which no step of fitting sees.

use std::ops::Range;

use crate::config::{ModelSpec, TimeSpan};
use crate::error::{Error, Result, plural};
use crate::trajectory::Trajectory;

/// Blocks of the training rows, for out-of-fold residuals and the choice of ridges.
pub const FOLDS: usize = 5;

/// A time-ordered split. Stretches are ranges of grid rows that lie inside one segment, oldest first. Between the
/// parts lie gaps of `gap` rows, so that neither the lags nor a forecast up to the horizon reaches over.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    pub train: Vec<Range<usize>>,
    /// Contiguous blocks of `train`; the gaps between them belong to `train`, but to no fold.
    pub folds: Vec<Vec<Range<usize>>>,
    /// The newest rows.
    pub holdout: Vec<Range<usize>>,
    /// Rows left out between the parts: lags + horizon.
    pub gap: usize,
}

impl Split {
    /// Splits the segments of `log`: the newest `spec.holdout` of rows, a gap, and [`FOLDS`] blocks of what is before.
    ///
    /// # Errors
    /// [`Error::Data`] when a part would be shorter than one forecast up to the horizon: says what there is, what is
    /// needed, and the help.
    pub fn new(log: &Trajectory, spec: &ModelSpec, step: TimeSpan) -> Result<Self> {
        let rows: usize = log.segments.iter().map(Range::len).sum();
        let holdout = spec.holdout.steps(step, 1);
        let horizon = spec.horizon.steps(step, 1);
        let gap = spec.lags.value.max(1) + horizon;
        if holdout < gap {
            return Err(Error::Data(format!(
                "the hold-out of {} ({}) is shorter than one forecast: {} of past and a horizon of {} ({}); make \
                 `model.holdout` longer or `model.horizon` shorter in twin.toml",
                spec.holdout.value,
                plural(holdout, "row"),
                plural(spec.lags.value.max(1), "row"),
                spec.horizon.value,
                plural(horizon, "row"),
            )));
        }
        let blocks = FOLDS * gap + (FOLDS - 1) * gap;
        let needed = blocks + gap + holdout;
        if rows < needed {
            return Err(Error::Data(format!(
                "the log is too short to learn from and to test on: it has {} of {step} ({}) in {}, and {} needed ({}): \
                 {holdout} for the hold-out of {}, {blocks} for {FOLDS} training blocks that each hold a forecast of {}, \
                 and a gap of {gap}; add older log files, or make `model.holdout` or `model.horizon` shorter in twin.toml",
                plural(rows, "row"),
                length(rows, step),
                plural(log.segments.len(), "segment"),
                if needed == 1 { "1 is".to_owned() } else { format!("{needed} are") },
                length(needed, step),
                spec.holdout.value,
                spec.horizon.value,
            )));
        }
        let (before, newest) = cut(&log.segments, rows - holdout);
        let train = up_to(&before, newest[0].start.saturating_sub(gap));
        let n: usize = train.iter().map(Range::len).sum();
        let mut folds = Vec::with_capacity(FOLDS);
        let mut rest = train.clone();
        for k in 0..FOLDS {
            let (fold, after) = cut(&rest, (k + 1) * n / FOLDS - k * n / FOLDS);
            let end = after.first().map_or(usize::MAX, |r| r.start.saturating_sub(gap));
            folds.push(up_to(&fold, end));
            rest = after;
        }
        Ok(Self { train, folds, holdout: newest, gap })
    }
}

/// The first `rows` rows of the stretches, and the rest.
fn cut(stretches: &[Range<usize>], rows: usize) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    let mut left = rows;
    for s in stretches {
        let at = s.start + left.min(s.len());
        left -= at - s.start;
        head.extend((at > s.start).then_some(s.start..at));
        tail.extend((at < s.end).then_some(at..s.end));
    }
    (head, tail)
}

/// What of the stretches lies before grid row `end`.
fn up_to(stretches: &[Range<usize>], end: usize) -> Vec<Range<usize>> {
    stretches.iter().map(|s| s.start..s.end.min(end)).filter(|s| !s.is_empty()).collect()
}

/// A count of rows as a length of time, in days from two days on.
fn length(rows: usize, step: TimeSpan) -> String {
    let ms = step.ms().saturating_mul(rows as i64);
    let days = ms as f64 / 86_400_000.0;
    if days >= 2.0 { format!("{days:.0}d") } else { TimeSpan::from_ms(ms).to_string() }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "lists of stretches that hold one")]
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
    fn the_parts_are_disjoint_ordered_apart_and_inside_segments() {
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
    fn short_logs_are_refused_with_numbers_and_cure() {
        let e = Split::new(&log(&[0..300]), &spec("10d", "4h"), HOUR).unwrap_err();
        assert_eq!(e.exit_code(), 65);
        let text = e.to_string();
        for part in ["300 rows", "310 are needed", "240 for the hold-out of 10d", "model.holdout"] {
            assert!(text.contains(part), "{text}");
        }
        let e = Split::new(&log(&[0..300]), &spec("3h", "4h"), HOUR).unwrap_err();
        assert!(e.to_string().contains("shorter than one forecast"), "{e}");
    }
}
