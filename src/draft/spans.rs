//! Chooses the step, the number of lags, the hold-out and the horizon from the length and the gaps of a log.

use crate::config::TimeSpan;
use crate::error::{Error, Result, plural};
use crate::log::ColumnSummary;
use crate::schema::Role;
use crate::trajectory::Trajectory;

/// Maximum number of steps. A log with more rows gets a longer step, so that a fit takes at most a few minutes.
const MAX_STEPS: i64 = 50_000;
/// Steps that divide a day evenly.
const STEPS: [i64; 22] = [
    1_000, 2_000, 5_000, 10_000, 15_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000, 1_200_000,
    1_800_000, 3_600_000, 7_200_000, 10_800_000, 14_400_000, 21_600_000, 28_800_000, 43_200_000, DAY,
];
pub(super) const DAY: i64 = 86_400_000;
const HOUR: i64 = 3_600_000;
/// Maximum fraction of steps without any sample within the segments (not tuned).
const MAX_HOLES: f64 = 0.02;
/// The step is made longer only if the log has more than twice this number of rows (not tuned).
const MIN_ROWS: usize = 1_000;
/// Number of past values that a model reads, if the log is long enough.
const LAGS: usize = 3;
/// Minimum length of the longest part without a gap, as a multiple of the number of past values that the model uses.
const MIN_STRETCH: usize = 4;
/// Minimum length of a log in blocks, each as long as one forecast: five folds, four gaps between them, and one gap
/// before the hold-out.
const BLOCKS: usize = 10;

/// Spans of `[model]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spans {
    pub lags: usize,
    pub holdout: TimeSpan,
    pub horizon: TimeSpan,
}

/// Returns the step for a log with `rows` rows at intervals of `sampling`, and the reason if the step is longer than
/// this interval.
pub(super) fn step(sampling: TimeSpan, rows: usize) -> (TimeSpan, Option<String>) {
    let nominal = nominal(sampling);
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    if rows <= MAX_STEPS {
        return (nominal, None);
    }
    let coarse =
        STEPS.into_iter().find(|s| rows.saturating_mul(nominal.ms()) / s <= MAX_STEPS && s % nominal.ms() == 0);
    match coarse {
        Some(step) => {
            let why = format!("longer than the sample time of {nominal}, so that a fit of {rows} rows stays quick");
            (TimeSpan::from_ms(step), Some(why))
        }
        None => (nominal, None),
    }
}

/// Returns the step for a log of events, such as sales, and the reason for the step. The log covers `length` ms.
pub(super) fn step_of_events(length: i64) -> (TimeSpan, Option<String>) {
    let step = if length >= 60 * DAY { DAY } else { HOUR };
    (TimeSpan::from_ms(step), Some("the rows are events, whose amounts are added up in each step".into()))
}

/// The mean interval between the samples of the most frequent tag (ms), if the tags of a long log have their own times.
/// `repeats` is the fraction of the rows that repeat the time of an earlier row. If all tags are sampled at the same
/// times, every row except the first row of each time repeats an earlier time.
pub(super) fn own_clock(tag: &ColumnSummary, length: i64, repeats: f64) -> Option<i64> {
    let (_, samples) = tag.commonest.as_ref()?;
    let shared = 1.0 - 1.0 / tag.distinct.max(1) as f64;
    let samples = i64::try_from(*samples).ok().filter(|n| *n > 1)?;
    (tag.distinct > 1 && repeats < shared / 2.0).then(|| length / (samples - 1))
}

/// The usual sample time that is closest to `interval` (ms). It replaces the nominal sample time, which irregular
/// samples do not have.
pub(super) fn usual_step(interval: i64) -> TimeSpan {
    let ratio = |s: &i64| (*s as f64 / interval.max(1) as f64).ln().abs();
    TimeSpan::from_ms(STEPS.into_iter().min_by(|a, b| ratio(a).total_cmp(&ratio(b))).unwrap_or(60_000))
}

/// The next longer step if many steps within the segments have no sample; `None` if the current step can be kept.
pub(super) fn without_holes(log: &Trajectory, step: TimeSpan) -> Option<TimeSpan> {
    let rows: usize = log.segments.iter().map(ExactSizeIterator::len).sum();
    // The reader repeats the last values of controls and set-points, so these signals have no empty steps.
    let held = |role: Role| matches!(role, Role::Control | Role::Setpoint);
    let sampled: Vec<&Vec<f64>> =
        log.columns.iter().zip(&log.schema.signals).filter(|(_, s)| !held(s.role)).map(|(c, _)| c).collect();
    let empty = |t: &usize| !sampled.is_empty() && sampled.iter().all(|c| !c[*t].is_finite());
    let holes = log.segments.iter().flat_map(Clone::clone).filter(empty).count();
    let longer = STEPS.into_iter().find(|s| *s >= 2 * step.ms() && s % step.ms() == 0);
    // A longer step must leave enough rows.
    let enough = rows > 2 * MIN_ROWS;
    longer.filter(|_| enough && holes as f64 > MAX_HOLES * rows as f64).map(TimeSpan::from_ms)
}

/// Rounds a measured sample time to the nominal one: 599,870 ms becomes 10 min.
fn nominal(step: TimeSpan) -> TimeSpan {
    for unit in [DAY, HOUR, 60_000, 1_000] {
        let n = (step.ms() + unit / 2) / unit;
        if n > 0 && (step.ms() - n * unit).abs() * 100 <= unit {
            return TimeSpan::from_ms(n * unit);
        }
    }
    step
}

impl Spans {
    /// Chooses the spans for a log with `rows` rows in segments. `complete` is the number of rows in which all `inputs`
    /// and targets have a value.
    ///
    /// # Errors
    /// [`Error::Data`] if the log is too short.
    pub fn new(rows: usize, complete: usize, inputs: usize, longest: usize, step: TimeSpan) -> Result<Self> {
        let mut why = String::new();
        for lags in (1..=LAGS).rev() {
            if lags > 1 && longest < MIN_STRETCH * lags {
                continue;
            }
            // A refit uses about two thirds of the complete rows, and needs two rows per coefficient.
            let needed = (2 * (inputs * lags + 1)).max(30) * 3 / 2;
            if complete < needed {
                why = format!(
                    "only {complete} rows contain a value of each of the {}, but at least {needed} rows are needed",
                    plural(inputs, "signal", "signals")
                );
                continue;
            }
            let holdout = round_span(rows as i64 * step.ms() / 5, step);
            let held_out = (holdout.ms() / step.ms()) as usize;
            let stretch = (longest / 3).max(longest.saturating_sub(1).min(MIN_STRETCH));
            let most = [(rows - held_out) / BLOCKS, held_out / 2, stretch].into_iter().min().unwrap_or(0);
            let Some(most) = most.checked_sub(lags).filter(|m| *m > 0) else {
                why = format!("its longest part without a gap has {longest} of {rows} rows");
                continue;
            };
            let horizon = usual_horizon(step).min(most);
            return Ok(Self { lags, holdout, horizon: TimeSpan::from_steps(horizon, step.ms()) });
        }
        Err(Error::Data(format!("the log is too short to fit a twin: {why}; export a longer log")))
    }
}

/// The control horizon in steps if the log is long enough. For hourly steps, the horizon is half a day, because after
/// a whole day most signals have returned to the value that they had at the start.
fn usual_horizon(step: TimeSpan) -> usize {
    if step.ms() >= DAY {
        14
    } else if step.ms() >= HOUR {
        (12 * HOUR / step.ms()).max(1) as usize
    } else {
        24
    }
}

/// Number of rows in which every signal of `columns` has a value, and the number of rows of the longest segment.
pub(super) fn complete_rows(log: &Trajectory, columns: &[usize]) -> (usize, usize) {
    let rows = log.segments.iter().flat_map(Clone::clone);
    let complete = rows.filter(|t| columns.iter().all(|c| log.columns[*c][*t].is_finite())).count();
    (complete, log.segments.iter().map(ExactSizeIterator::len).max().unwrap_or(0))
}

/// `ms` rounded down to whole days, hours or steps.
pub(super) fn round_span(ms: i64, step: TimeSpan) -> TimeSpan {
    for unit in [DAY, HOUR] {
        if ms >= 2 * unit && unit % step.ms() == 0 {
            return TimeSpan::from_ms(ms / unit * unit);
        }
    }
    TimeSpan::from_ms((ms / step.ms()).max(1) * step.ms())
}

/// Whether rows at this interval may be calendar months, quarters or years, which differ in length.
pub(super) fn may_be_months(sampling: TimeSpan) -> bool {
    sampling.ms() >= 27 * DAY && sampling.ms() % (7 * DAY) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(text: &str) -> TimeSpan {
        text.parse().unwrap()
    }

    #[test]
    fn long_logs_get_a_longer_step() {
        assert_eq!(step(TimeSpan::from_ms(599_870), 26_000).0, span("10min"));
        assert_eq!(step(span("1s"), 46_806).0, span("1s"));
        // 1.2 million rows of 1 s are 20,000 minutes.
        assert_eq!(step(span("1s"), 1_200_000).0, span("30s"));
        assert_eq!(step(span("7min"), 100_000).0, span("7min"));
    }

    #[test]
    fn the_spans_satisfy_the_requirements_of_the_split() {
        // A log of 221 days with 6 signals. In addition to the hold-out, the split needs 10 · (lags + horizon) rows.
        let spans = Spans::new(221, 221, 4, 221, span("1d")).unwrap();
        assert_eq!((spans.lags, spans.holdout, spans.horizon), (3, span("44d"), span("14d")));
        // Two months of hourly rows.
        let spans = Spans::new(1_440, 1_440, 5, 1_440, span("1h")).unwrap();
        assert_eq!((spans.holdout, spans.horizon), (span("12d"), span("12h")));
        // With 60 rows, only one past value is used.
        let spans = Spans::new(75, 75, 10, 75, span("1d")).unwrap();
        assert_eq!(spans.lags, 2);
        let short = Spans::new(40, 40, 3, 40, span("1d")).unwrap_err().to_string();
        assert!(short.contains("too short") && short.contains("export a longer log"), "{short}");
    }
}
