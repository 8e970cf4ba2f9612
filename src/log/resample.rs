//! Resamples irregular samples to one value per step of a regular grid.

use std::ops::Range;

use super::grid::Grid;
use super::occurrences::Occurrences;
use super::samples::Samples;
use crate::config::Resample;

/// A signal that was resampled onto the grid.
#[derive(Debug, Default)]
pub(super) struct Resampled {
    pub value: Vec<f64>,
    /// Steps with a held or interpolated value, counted within the segments.
    pub held: Occurrences,
    pub interpolated: Occurrences,
    /// Steps without a value, counted within the segments. `long_gaps` counts runs of missing values longer than
    /// `max_gap`.
    pub missing: Occurrences,
    pub long_gaps: Occurrences,
    /// Number of steps that have samples.
    pub sampled: usize,
}

/// Resamples a signal within each segment. Steps outside the segments have the value NaN.
///
/// If `hold_forever` is true, each value is held until the next sample of its segment, without a time limit, because
/// the tag is logged only when its value changes.
pub(super) fn resample(
    s: &Samples,
    grid: &Grid,
    segments: &[Range<usize>],
    how: Resample,
    max_gap: i64,
    hold_forever: bool,
) -> Resampled {
    let mut out = Resampled { value: vec![f64::NAN; grid.steps], ..Resampled::default() };
    let mut at = 0;
    for segment in segments {
        let bin = |i: usize| grid.step_of(s.time[i]);
        while at < s.time.len() && bin(at).is_none_or(|k| k < segment.start) {
            at += 1;
        }
        let first = at;
        while at < s.time.len() && bin(at).is_some_and(|k| k < segment.end) {
            at += 1;
        }
        fill(s, first..at, grid, how, &mut out);
        match how {
            Resample::Hold => hold(grid, segment, if hold_forever { i64::MAX } else { max_gap }, &mut out),
            Resample::Linear => interpolate(s, first..at, grid, segment, max_gap, &mut out),
            Resample::Mean | Resample::Sum => {}
        }
        count_missing(grid, segment, max_gap, &mut out);
    }
    out
}

/// Computes the value of each step that has samples.
fn fill(s: &Samples, rows: Range<usize>, grid: &Grid, how: Resample, out: &mut Resampled) {
    let mut i = rows.start;
    while i < rows.end {
        let Some(k) = grid.step_of(s.time[i]) else {
            i += 1;
            continue;
        };
        let mut end = i + 1;
        while end < rows.end && grid.step_of(s.time[end]) == Some(k) {
            end += 1;
        }
        let samples = &s.value[i..end];
        let sum = || samples.iter().sum::<f64>();
        out.value[k] = match how {
            // If a step contains a single sample, its value is used unchanged.
            _ if samples.len() == 1 => samples[0],
            Resample::Mean => sum() / samples.len() as f64,
            Resample::Sum => sum(),
            Resample::Hold => samples[samples.len() - 1],
            Resample::Linear => samples[0],
        };
        out.sampled += 1;
        i = end;
    }
}

/// Holds the last value in steps without samples, for at most `longest` µs.
fn hold(grid: &Grid, segment: &Range<usize>, longest: i64, out: &mut Resampled) {
    let mut last: Option<usize> = None;
    for k in segment.clone() {
        if !out.value[k].is_nan() {
            last = Some(k);
        } else if let Some(l) = last
            && ((k - l) as i64).saturating_mul(grid.step) <= longest
        {
            out.value[k] = out.value[l];
            out.held.add(grid.time(k));
        }
    }
}

/// Interpolates linearly between the samples before and after the start of each step.
fn interpolate(
    s: &Samples,
    rows: Range<usize>,
    grid: &Grid,
    segment: &Range<usize>,
    longest: i64,
    out: &mut Resampled,
) {
    let mut i = rows.start;
    for k in segment.clone() {
        let t = grid.time(k);
        while i < rows.end && s.time[i] < t - grid.slack {
            i += 1;
        }
        if i < rows.end && s.time[i] <= t + grid.slack {
            out.value[k] = s.value[i];
            continue;
        }
        if i == rows.start || i == rows.end || s.time[i] - s.time[i - 1] > longest {
            continue;
        }
        let (t0, t1, v0, v1) = (s.time[i - 1], s.time[i], s.value[i - 1], s.value[i]);
        if out.value[k].is_nan() {
            out.interpolated.add(t);
        }
        out.value[k] = v0 + (v1 - v0) * ((t - t0) as f64 / (t1 - t0) as f64);
    }
}

/// Counts the steps without a value.
fn count_missing(grid: &Grid, segment: &Range<usize>, max_gap: i64, out: &mut Resampled) {
    let mut run = 0_usize;
    for k in segment.clone() {
        if out.value[k].is_nan() {
            out.missing.add(grid.time(k));
            run += 1;
        }
        if run > 0 && (!out.value[k].is_nan() || k + 1 == segment.end) {
            if run as i64 * grid.step > max_gap {
                out.long_gaps.merge(&Occurrences::between(1, grid.time(k + 1 - run), grid.time(k)));
            }
            run = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const MIN: i64 = 60_000_000;

    fn samples(pairs: &[(i64, f64)]) -> Samples {
        Samples {
            time: Arc::new(pairs.iter().map(|p| p.0 * MIN).collect()),
            value: pairs.iter().map(|p| p.1).collect(),
        }
    }

    fn resampled(pairs: &[(i64, f64)], how: Resample) -> Resampled {
        let grid = Grid { start: 0, step: 10 * MIN, steps: 8, slack: 0 };
        resample(&samples(pairs), &grid, std::slice::from_ref(&(0..8)), how, 30 * MIN, false)
    }

    fn shown(r: &Resampled) -> Vec<String> {
        r.value.iter().map(|v| if v.is_nan() { "-".into() } else { v.to_string() }).collect()
    }

    #[test]
    fn mean_sum_hold_and_linear_resampling() {
        let s = [(0, 1.0), (4, 3.0), (11, 5.0), (70, 7.0)];
        assert_eq!(shown(&resampled(&s, Resample::Mean)), ["2", "5", "-", "-", "-", "-", "-", "7"]);
        assert_eq!(shown(&resampled(&s, Resample::Sum)), ["4", "5", "-", "-", "-", "-", "-", "7"]);
        let held = resampled(&s, Resample::Hold);
        assert_eq!(shown(&held), ["3", "5", "5", "5", "5", "-", "-", "7"]);
        assert_eq!((held.held.count, held.missing.count, held.sampled), (3, 2, 3));
        let s = [(0, 0.0), (15, 15.0), (40, 40.0), (75, 75.0)];
        let line = resampled(&s, Resample::Linear);
        assert_eq!(shown(&line), ["0", "10", "20", "30", "40", "-", "-", "75"]);
        assert_eq!(line.interpolated.count, 2);
    }
}
