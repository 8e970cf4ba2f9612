//! Determines the regular time grid of a log, and the steps of the grid that contain samples.

use std::sync::Arc;

use super::calendar;
use super::detect::quantiles;
use super::occurrences::Occurrences;
use super::quality::{Finding, FindingAction, FindingClass};
use super::store::{Kept, Store};
use super::text::{duration, rfc3339};
use super::weekdays::FreeDays;
use crate::config::TwinSpec;
use crate::error::{Error, Result};

/// Maximum number of steps in a grid (not tuned; 160 MB per signal). A larger number of steps indicates a mistake in
/// `step` or in a time stamp.
const MAX_STEPS: i64 = 20_000_000;
/// Maximum number of time stamps from which the phase of the grid is computed (not tuned).
const MAX_TIMES: usize = 100_000;

/// A regular time grid. All times are in µs UTC. A sample that precedes the start of a step by at most `slack` belongs
/// to that step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grid {
    pub start: i64,
    pub step: i64,
    pub steps: usize,
    pub slack: i64,
    /// For steps in local time, the start of each step and the end of the last step. Otherwise empty.
    pub bounds: Vec<i64>,
}

impl Grid {
    /// Returns the step that contains `time`, or `None` if `time` is outside the grid.
    #[inline]
    pub fn step_of(&self, time: i64) -> Option<usize> {
        if !self.bounds.is_empty() {
            let k = self.bounds.partition_point(|b| *b <= time).checked_sub(1)?;
            return (k < self.steps).then_some(k);
        }
        let k = usize::try_from((time - self.start + self.slack).div_euclid(self.step)).ok()?;
        (k < self.steps).then_some(k)
    }

    /// Returns the earliest time of a sample that belongs to step `k` or a later step.
    pub fn earliest(&self, k: usize) -> i64 {
        self.time(k) - if self.bounds.is_empty() { self.slack } else { 0 }
    }

    /// Returns the start of step `k`, or the end of the last step if `k` is the number of steps.
    pub fn time(&self, k: usize) -> i64 {
        self.bounds.get(k).copied().unwrap_or(self.start + k as i64 * self.step)
    }
}

/// The phase of a grid, which determines the start times of its steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Phase {
    /// Offset (µs) of the start of each step from a whole multiple of the step size.
    start: i64,
    slack: i64,
    /// Time stamps that do not lie exactly at the start of a step.
    jitter: Occurrences,
}

/// Finds the phase of a grid with the period `step`.
///
/// - If at least half of the samples have the same phase, the grid has that phase.
/// - If the log has about one sample per step, and at least 90 % of the samples are at most a tenth of a step early or
///   late, the grid has the mean phase of the samples. The samples may deviate from this phase by up to `slack`.
/// - Otherwise, the steps begin at whole multiples of the step size.
///
/// The thresholds for the phase of the grid are not tuned.
fn phase(signals: &[&Kept], step: i64) -> Phase {
    let total: usize = signals.iter().map(|s| s.len()).sum();
    let stride = (total / MAX_TIMES).max(1);
    let sampled = || {
        let mut next = 0;
        signals.iter().flat_map(move |s| {
            let some: Vec<i64> = s.store.time().iter().skip(next).step_by(stride).copied().collect();
            next = next + some.len() * stride - s.len();
            some
        })
    };
    let mut residues: Vec<i64> = sampled().map(|t| t.rem_euclid(step)).collect();
    if residues.is_empty() {
        return Phase::default();
    }
    residues.sort_unstable();
    let mut best = (0, 0);
    for run in residues.chunk_by(|a, b| a == b) {
        if run.len() > best.1 {
            best = (run[0], run.len());
        }
    }
    let near = |phase: i64, by: i64| {
        let d = |r: i64| (r - phase).rem_euclid(step);
        residues.iter().filter(|r| d(**r) <= by || d(**r) >= step - by).count()
    };
    let one_per_step = signals
        .iter()
        .max_by_key(|s| s.len())
        .and_then(|s| s.typical)
        .is_some_and(|(dt, _)| (dt - step).abs() <= step / 5);
    let n = residues.len();
    let (phase, share) = if 2 * best.1 >= n {
        best
    } else {
        // Circular mean of the times modulo the step size.
        let turn = std::f64::consts::TAU / step as f64;
        let (sin, cos) = residues.iter().fold((0.0, 0.0), |(s, c), r| {
            let (ds, dc) = (*r as f64 * turn).sin_cos();
            (s + ds, c + dc)
        });
        let mean = (sin.atan2(cos) / turn).round() as i64;
        // A mean phase close to zero is treated as jitter around whole multiples of the step size.
        let mean = if mean.abs() <= step / 10 { 0 } else { mean.rem_euclid(step) };
        if !(one_per_step && 10 * near(mean, step / 10) >= 9 * n) {
            return Phase::default();
        }
        (mean, 0)
    };
    let start = phase - phase.rem_euclid(1_000);
    if share == n || !one_per_step || 10 * near(phase, step / 10) < 9 * n {
        return Phase { start, ..Phase::default() };
    }
    let mut jitter = Occurrences::default();
    sampled().filter(|t| t.rem_euclid(step) != phase).for_each(|t| jitter.add(t));
    Phase { start, slack: step / 10, jitter }
}

/// Returns the grid that spans all clean samples. `events` is true if a signal consists of events, whose irregular
/// times do not determine when steps begin. The log has no rows on the weekdays in `free`. If only such days are
/// missing from the first or the last step, the step counts as complete.
///
/// # Errors
/// [`Error::Data`] if no sample is left, or if the time stamps span too many steps.
pub(super) fn grid(
    samples: &[&Kept],
    events: bool,
    step: i64,
    spec: &TwinSpec,
    free: &FreeDays,
    findings: &mut Vec<Finding>,
) -> Result<Grid> {
    let first = samples.iter().filter_map(|s| s.first).min();
    let last = samples.iter().filter_map(|s| s.end).max();
    let (Some(first), Some(last)) = (first, last) else {
        return Err(Error::Data(
            "no signal has a usable sample: all samples are missing, flagged as bad, or outside `valid`; check the columns, the list of good flags, and `valid`".into(),
        ));
    };
    let interval = samples.iter().max_by_key(|s| s.len()).and_then(|s| s.typical);
    let combines = events || interval.is_none_or(|(dt, _)| 2 * dt <= step);
    let mut bounds = Vec::new();
    if (last - first) / step <= MAX_STEPS
        && let Some(local) = calendar::bounds(first, last, step, spec)?
        && (combines || begins_in(samples, &local))
    {
        bounds = local;
    }
    let local_phase = if combines && bounds.is_empty() { calendar::phase(first, step, spec)? } else { 0 };
    let Phase { start: phase, slack, jitter } = match bounds.is_empty() {
        true if local_phase == 0 => phase(samples, step),
        true => Phase { start: local_phase, ..Phase::default() },
        false => Phase::default(),
    };
    findings.extend(jitter.finding(
        "",
        FindingClass::Jitter,
        FindingAction::Kept,
        format!(
            "time stamps slightly before or after the start of a step; those at most {} before the start \
             were assigned to that step",
            duration(slack)
        ),
    ));
    let start = first + slack - (first + slack - phase).rem_euclid(step);
    let steps = (last + slack - start).div_euclid(step).saturating_add(1);
    if steps > MAX_STEPS {
        return Err(Error::Data(format!(
            "the log spans {} to {}, which is {steps} steps of {}; check `step` and the time stamps",
            rfc3339(first),
            rfc3339(last),
            spec.step.value
        )));
    }
    let mut grid = Grid { start, step, steps: usize::try_from(steps).unwrap_or(1), slack, bounds };
    if !grid.bounds.is_empty() {
        (grid.start, grid.steps) = (grid.bounds[0], grid.bounds.len() - 1);
    }
    if let Some(longest) = samples.iter().max_by_key(|s| s.len()).filter(|_| combines) {
        let longest = longest.store.samples();
        if let Some(dt) = longest.interval() {
            let (from, to) = free.extend(first, last + dt);
            drop_incomplete(&mut grid, from, to, dt / 2, findings);
        } else if events && let Some(pause) = usual_pause(&longest.time) {
            let (from, to) = free.extend(first, last);
            drop_incomplete(&mut grid, from, to, pause, findings);
        }
    }
    Ok(grid)
}

/// Returns the longest usual interval between events, such as a night or a weekend: the 75th percentile of the longest
/// intervals in 20 equal parts of the log. If no event was logged for a longer time at the start or at the end of a
/// step, the log probably covers only a part of the step.
fn usual_pause(time: &[i64]) -> Option<i64> {
    const PARTS: usize = 20;
    let size = time.len() / PARTS;
    if size < 2 {
        return None;
    }
    let longest = |part: &[i64]| part.windows(2).map(|w| w[1] - w[0]).max().unwrap_or(0) as f64;
    // Each part also contains the first event of the next part.
    let parts = (0..PARTS).map(|p| longest(&time[p * size..(p * size + size + 1).min(time.len())]));
    let [pause] = quantiles(parts, PARTS, [0.75]);
    Some(pause as i64)
}

/// Returns true if at least 90 % of the samples lie at the start of a step.
fn begins_in(samples: &[&Kept], bounds: &[i64]) -> bool {
    let begins = |s: &&Kept| s.store.time().iter().filter(|t| bounds.binary_search(t).is_ok()).count();
    10 * samples.iter().map(begins).sum::<usize>() >= 9 * samples.iter().map(|s| s.len()).sum::<usize>()
}

/// Drops the first or last step if more than `tolerance` (µs) of it lies before `from` or after `to`.
fn drop_incomplete(grid: &mut Grid, from: i64, to: i64, tolerance: i64, findings: &mut Vec<Finding>) {
    let mut dropped = Occurrences::default();
    if grid.steps > 2 && from - grid.time(0) > tolerance {
        dropped.add(grid.time(0));
        grid.start = grid.time(1);
        grid.steps -= 1;
        grid.bounds.drain(..grid.bounds.len().min(1));
    }
    if grid.steps > 2 && grid.time(grid.steps) - to > tolerance {
        dropped.add(grid.time(grid.steps - 1));
        grid.steps -= 1;
        grid.bounds.pop();
    }
    let note = "the first or last step, of which the log covers only a part";
    findings.extend(dropped.finding("", FindingClass::PartialStep, FindingAction::Dropped, note));
}

/// Returns, for each step of the grid, whether the step contains a sample of any signal or is covered by the interval
/// of an amount.
pub(super) fn steps_with_samples(samples: &[&Kept], grid: &Grid) -> Vec<bool> {
    let mut steps_with_samples = vec![false; grid.steps];
    let mut done: Vec<Arc<Vec<i64>>> = Vec::new();
    for kept in samples {
        if kept.has_lengths {
            let s = kept.store.samples();
            for (t, length) in s.time.iter().zip(&s.length) {
                let last = grid.step_of(t + length - 1).unwrap_or(grid.steps - 1);
                steps_with_samples[grid.step_of(*t).unwrap_or(last)..=last].fill(true);
            }
        }
        // All columns of a wide log have the same time stamps, so the time stamps are processed only once.
        let time = kept.store.time();
        if done.iter().any(|d| Arc::ptr_eq(d, &time)) {
            continue;
        }
        if matches!(kept.store, Store::Plain(_)) {
            done.push(Arc::clone(&time));
        }
        // The times are sorted, so most of them lie in the same step as the preceding one.
        let mut next = i64::MIN;
        for t in time.iter() {
            if *t >= next
                && let Some(k) = grid.step_of(*t)
            {
                steps_with_samples[k] = true;
                next = grid.earliest(k + 1);
            }
        }
    }
    steps_with_samples
}

#[cfg(test)]
mod tests {
    use super::super::samples::Samples;
    use super::*;

    const MIN: i64 = 60_000_000;

    fn kept(time: Vec<i64>) -> Kept {
        Kept::new(Samples { value: vec![0.0; time.len()], time: Arc::new(time), length: Vec::new() }, true)
    }

    #[test]
    fn the_grid_has_the_phase_of_a_regular_log() {
        let samples = |minutes: &[i64]| kept(minutes.iter().map(|m| m * MIN).collect());
        assert_eq!(phase(&[&samples(&[7, 17, 27])], 10 * MIN).start, 7 * MIN);
        let irregular = samples(&[0, 1, 2, 13, 15, 29]);
        assert_eq!(phase(&[&irregular], 10 * MIN), Phase::default());
    }

    #[test]
    fn every_sample_of_a_jittering_clock_has_its_own_step() {
        let key = crate::rng::Key::new(3);
        let time: Vec<i64> = (0..500).map(|i| i * 10 * MIN + (10e6 * key.normal(i as u64)) as i64).collect();
        let Phase { start, slack, jitter } = phase(&[&kept(time.clone())], 10 * MIN);
        assert!(start == 0 && slack == MIN && jitter.count > 400, "{start} {slack} {jitter:?}");
        let grid = Grid { start, step: 10 * MIN, steps: 500, slack, bounds: Vec::new() };
        let steps: Vec<Option<usize>> = time.iter().map(|t| grid.step_of(*t)).collect();
        assert_eq!(steps, (0..500).map(Some).collect::<Vec<_>>());
    }
}
