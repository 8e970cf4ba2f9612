//! The recent past of the learned signals, as regressors that explain the movement of a control.
//!
//! Operators and controllers react to the values that they see, such as the last value of a meter
//! or its mean over the last hours. If these values are not among the regressors, a control that
//! follows an output seems to move independently, and the noise of the output is mistaken for an
//! effect of the control. All values precede the row that they explain, because the value in the
//! same row may itself be an effect of the control.

use crate::trajectory::Trajectory;

/// Lengths of the trailing means, in steps, in order of importance. A length of one day is added if
/// the list does not contain it.
const SPANS: [usize; 5] = [1, 8, 2, 4, 16];
/// Maximum number of regressors; if there are many signals, fewer means of each signal are used (not tuned).
const MAX_REGRESSORS: usize = 48;

/// Computes the means of `signals` over several spans that end directly before each of `rows`.
/// Returns one pair for each signal and span: the signal, and a column with the means. A missing
/// value is replaced by the last known value.
pub(super) fn trailing_means(log: &Trajectory, signals: &[usize], rows: &[usize]) -> Vec<(usize, Vec<f64>)> {
    let per_day = log.steps_per_day();
    let mut spans = SPANS.to_vec();
    if !spans.contains(&per_day) {
        spans.push(per_day);
    }
    spans.truncate((MAX_REGRESSORS / signals.len().max(1)).max(1));
    // For each row, the first row of its segment.
    let mut first: Vec<usize> = (0..log.steps).collect();
    log.segments.iter().for_each(|s| first[s.clone()].fill(s.start));
    let of = |&signal: &usize| {
        let column = &log.columns[signal];
        let (count, sum) = column.iter().filter(|v| v.is_finite()).fold((0.0, 0.0), |(n, s), v| (n + 1.0, s + v));
        let mean: f64 = if count > 0.0 { sum / count } else { 0.0 };
        // `sums[t]` is the sum of the deviations from the mean in all rows before row `t`.
        let mut sums = vec![0.0];
        let mut last = 0.0;
        for (t, value) in column.iter().enumerate() {
            let before = if first[t] == t { 0.0 } else { last };
            last = if value.is_finite() { value - mean } else { before };
            sums.push(sums[t] + last);
        }
        let of_span = |span: &usize| {
            let at = |&t: &usize| {
                let from = t.saturating_sub(*span).max(first[t]);
                mean + (sums[t] - sums[from]) / (t - from).max(1) as f64
            };
            (signal, rows.iter().map(at).collect::<Vec<f64>>())
        };
        spans.iter().map(of_span).collect::<Vec<_>>()
    };
    signals.iter().flat_map(of).collect()
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "lists of one range")]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::schema::{Role, Schema, Signal};
    use crate::units::Unit;

    #[test]
    fn the_means_end_before_the_row_and_stay_in_the_segment() {
        let schema = Schema::new(vec![Signal::open("y", Role::Output, Unit::one())]);
        let mut log = Trajectory::empty(Arc::new(schema), Timestamp::UNIX_EPOCH, 3_600_000, 8, 1);
        log.columns[0] = vec![1.0, 2.0, 3.0, f64::NAN, 5.0, 6.0, 7.0, 8.0];
        log.segments = vec![0..5, 5..8];
        let found = trailing_means(&log, &[0], &[0, 2, 4, 7]);
        let mean = 32.0 / 7.0;
        let expected = |k: usize, values: [f64; 4]| {
            assert_eq!(found[k].0, 0);
            assert!(found[k].1.iter().zip(values).all(|(a, b)| (a - b).abs() < 1e-12), "{k}: {:?}", found[k]);
        };
        // spans of 1, 8, 2, 4, 16 and 24 steps; the missing value is replaced by 3
        assert_eq!(found.len(), 6);
        expected(0, [mean, 2.0, 3.0, 7.0]);
        expected(1, [mean, 1.5, 2.25, 6.5]);
        expected(2, [mean, 1.5, 3.0, 6.5]);
    }
}
