//! Resamples irregular samples to one value per step of a regular grid.

use std::ops::Range;

use super::clean::Rule;
use super::clock::typical_interval;
use super::counter::LongIncreases;
use super::grid::Grid;
use super::occurrences::Occurrences;
use super::samples::Samples;
use super::spread::{Spread, part, spread};
use crate::config::{Kind, Partial, Resample};

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
    /// Steps that are only partly covered by the samples of an amount.
    pub partial: Occurrences,
    /// Increases of a counter over intervals of several steps in which readings are missing.
    pub across: LongIncreases,
    /// Steps without a sample, whose value is `empty`.
    pub empty: Occurrences,
    /// Steps whose value was dropped because it is only a lower bound.
    pub censored: Occurrences,
    /// Steps whose mean is weighted by time.
    pub weighted: Occurrences,
}

/// How the samples of a signal are resampled.
#[derive(Debug, Clone)]
pub(super) struct Method {
    pub how: Resample,
    pub max_gap: i64,
    /// Whether each value is held until the next sample of its segment, without a time limit, because the tag is logged
    /// only when its value changes.
    pub hold_forever: bool,
    /// Whether the mean weights each sample by the time until the next sample.
    pub weighted: bool,
    /// For amounts that are split between steps, the interval (µs) that each amount covers; for a counter, the typical
    /// interval between readings.
    pub interval: Option<i64>,
    /// If readings of a counter are more than this time (µs) apart, readings are missing between them, and the increase
    /// is split only if `partial` is `Scale`.
    pub longest: i64,
    pub partial: Partial,
    pub empty: Option<f64>,
}

impl Method {
    pub fn new(s: &Samples, rule: &Rule, step: i64, is_long: bool) -> Self {
        let (mapping, max_gap) = (&rule.mapping, rule.max_gap);
        let (how, kind) = (mapping.resample, mapping.kind);
        let on_change = is_long && s.is_logged_on_change(max_gap);
        let weighted = how == Resample::Mean && (kind == Kind::State || on_change || s.is_irregular(max_gap));
        // Amounts are not split if there is about one sample per step, so that jitter of the time stamps has no effect.
        let split = |i: &i64| (i - step).abs() > step / 10;
        let shortest = s.length.iter().min().copied();
        let has_other_lengths = s.length.iter().any(|length| Some(*length) != shortest);
        let interval = match kind {
            Kind::Counter => typical_interval(&s.time).map(|i| i.0),
            Kind::Amount if has_other_lengths => shortest,
            Kind::Amount if mapping.empty.is_none() => s.interval().filter(split),
            _ => None,
        };
        let hold_forever = on_change && (weighted || how == Resample::Hold);
        let regular = s.usual_interval().filter(|_| kind == Kind::Counter);
        let longest = regular.map_or(i64::MAX, |interval| interval + interval / 2);
        let (partial, empty) = (mapping.partial, mapping.empty);
        Self { how, max_gap, hold_forever, weighted, interval, longest, partial, empty }
    }
}

/// Resamples a signal within each segment. Steps outside the segments have the value NaN.
pub(super) fn resample(s: &Samples, grid: &Grid, segments: &[Range<usize>], method: &Method) -> Resampled {
    let Method { how, max_gap, hold_forever, .. } = *method;
    let mut out = Resampled { value: vec![f64::NAN; grid.steps], ..Resampled::default() };
    for segment in segments {
        let before = |step: usize| s.time.partition_point(|t| *t < grid.earliest(step));
        let (first, at) = (before(segment.start), before(segment.end));
        fill(s, first..at, grid, how, &mut out);
        match how {
            Resample::Hold => hold(grid, segment, if hold_forever { i64::MAX } else { max_gap }, &mut out),
            Resample::Linear => interpolate(s, first..at, grid, segment, max_gap, &mut out),
            Resample::Mean if method.weighted => weighted_mean(s, first..at, grid, segment, method, &mut out),
            Resample::Sum if method.interval.is_some() => amounts(s, grid, segment, method, &mut out),
            Resample::Mean | Resample::Sum => {}
        }
        if let Some(empty) = method.empty {
            for k in segment.clone().filter(|k| out.value[*k].is_nan()).collect::<Vec<_>>() {
                out.value[k] = empty;
                out.empty.add(grid.time(k));
            }
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
        let (mut end, next) = (i + 1, grid.earliest(k + 1));
        while end < rows.end && s.time[end] < next {
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

/// Computes the time-weighted mean of the samples in each step. A sample applies until the next sample, but at most for
/// `max_gap`, unless it is held without a time limit.
fn weighted_mean(
    s: &Samples,
    rows: Range<usize>,
    grid: &Grid,
    segment: &Range<usize>,
    method: &Method,
    out: &mut Resampled,
) {
    let longest = if method.hold_forever { i64::MAX } else { method.max_gap };
    let end = |i: usize| if i + 1 < rows.end { s.time[i + 1] } else { grid.time(segment.end) };
    let intervals = rows.clone().map(|i| (s.time[i], end(i).min(s.time[i].saturating_add(longest)), s.value[i]));
    let Spread { sum, covered } = spread(grid, segment, intervals, |value, overlap, _| value * overlap as f64);
    for k in segment.clone() {
        let covered = covered[k - segment.start];
        if covered == 0 {
            continue;
        }
        if out.value[k].is_nan() {
            out.held.add(grid.time(k));
        }
        out.weighted.add(grid.time(k));
        out.value[k] = sum[k - segment.start] / covered as f64;
    }
}

/// Computes the sum of the amounts in each step. An amount whose interval overlaps several steps is split, unless
/// readings of a counter are missing in this interval.
fn amounts(s: &Samples, grid: &Grid, segment: &Range<usize>, method: &Method, out: &mut Resampled) {
    let interval = method.interval.unwrap_or(0);
    let length = |i: usize| s.length.get(i).copied().unwrap_or(interval);
    let before = |time: i64| s.time.partition_point(|t| *t < time);
    // The interval of the last sample before the segment may end in the segment.
    let rows = before(grid.time(segment.start)).saturating_sub(1)..before(grid.time(segment.end));
    let mut intervals: Vec<(i64, i64, f64)> = rows.map(|i| (s.time[i], s.time[i] + length(i), s.value[i])).collect();
    intervals.retain(|&(from, to, value)| {
        let is_long = to - from > method.longest && grid.step_of(from) != grid.step_of(to - 1);
        // Intervals that begin before this segment have already been counted in the preceding segment.
        if is_long && from >= grid.time(segment.start) {
            out.across.add(from, to, value);
        }
        !is_long || method.partial == Partial::Scale
    });
    let Spread { sum, covered } = spread(grid, segment, intervals.into_iter(), part);
    for k in segment.clone() {
        let (sum, covered, step) =
            (sum[k - segment.start], covered[k - segment.start], grid.time(k + 1) - grid.time(k));
        out.value[k] = if covered == 0 {
            f64::NAN
        } else if 2 * (step - covered) < interval.min(step) {
            sum
        } else {
            out.partial.add(grid.time(k));
            match method.partial {
                Partial::Missing => f64::NAN,
                Partial::Scale => sum * (step as f64 / covered as f64),
            }
        };
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
#[path = "../../tests/unit/log/resample.rs"]
mod tests;
