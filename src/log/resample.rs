//! Irregular samples → one value per step of a regular grid.

use std::ops::Range;
use std::sync::Arc;

use super::clock::typical_interval;
use super::finding::Tally;
use crate::config::Resample;

/// Clean samples of one signal: times (µs UTC) strictly rise.
#[derive(Debug, Clone, Default)]
pub(super) struct Samples {
    pub time: Arc<Vec<i64>>,
    pub value: Vec<f64>,
}

/// A regular grid; all in µs UTC. A sample up to `slack` before a step counts to that step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grid {
    pub start: i64,
    pub step: i64,
    pub steps: usize,
    pub slack: i64,
}

impl Grid {
    /// The step that a time belongs to, if it lies on the grid.
    #[inline]
    pub fn bin(&self, time: i64) -> Option<usize> {
        let k = usize::try_from((time - self.start + self.slack).div_euclid(self.step)).ok()?;
        (k < self.steps).then_some(k)
    }

    pub fn time(&self, k: usize) -> i64 {
        self.start + k as i64 * self.step
    }
}

/// Where the steps begin within the period: (phase, slack), and how many of 100,000 looked-at samples needed slack.
///
/// Most samples at one phase: that phase. A log sampled about once a step, a little early or late: the phase around
/// which it jitters, with slack. Anything else: whole multiples of the step.
pub(super) fn phase(signals: &[&Samples], step: i64) -> (i64, i64, Tally) {
    let total: usize = signals.iter().map(|s| s.time.len()).sum();
    let stride = (total / 100_000).max(1);
    let sampled = || signals.iter().flat_map(|s| s.time.iter().copied()).step_by(stride);
    let mut residues: Vec<i64> = sampled().map(|t| t.rem_euclid(step)).collect();
    if residues.is_empty() {
        return (0, 0, Tally::default());
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
    let paced = signals
        .iter()
        .max_by_key(|s| s.time.len())
        .and_then(|s| typical_interval(&s.time))
        .is_some_and(|(dt, _)| (dt - step).abs() <= step / 5);
    let n = residues.len();
    let (phase, share) = if 2 * best.1 >= n {
        best
    } else {
        // Circular mean of the residues.
        let turn = std::f64::consts::TAU / step as f64;
        let (sin, cos) = residues.iter().fold((0.0, 0.0), |(s, c), r| {
            let (ds, dc) = (*r as f64 * turn).sin_cos();
            (s + ds, c + dc)
        });
        let mean = (sin.atan2(cos) / turn).round() as i64;
        // A jitter around the full step is one around the full step.
        let mean = if mean.abs() <= step / 10 { 0 } else { mean.rem_euclid(step) };
        if !(paced && 10 * near(mean, step / 10) >= 9 * n) {
            return (0, 0, Tally::default());
        }
        (mean, 0)
    };
    let on_ms = phase - phase.rem_euclid(1_000);
    if share == n || !paced || 10 * near(phase, step / 10) < 9 * n {
        return (on_ms, 0, Tally::default());
    }
    let mut jitter = Tally::default();
    sampled().filter(|t| t.rem_euclid(step) != phase).for_each(|t| jitter.add(t));
    (on_ms, step / 10, jitter)
}

/// One signal on the grid.
#[derive(Debug, Default)]
pub(super) struct Resampled {
    pub value: Vec<f64>,
    /// Steps inside the segments whose value was held or interpolated.
    pub held: Tally,
    pub interpolated: Tally,
    /// Steps inside the segments without a value, and the stretches of them that are longer than `max_gap`.
    pub missing: Tally,
    pub holes: Tally,
    /// Steps that have a sample of their own.
    pub own: usize,
}

/// Resamples within each segment; outside of them all is NaN.
///
/// `forever`: a held value stays until the next sample of its segment, however long that takes (tags that are logged
/// only when they change).
pub(super) fn resample(
    s: &Samples,
    grid: &Grid,
    segments: &[Range<usize>],
    how: Resample,
    max_gap: i64,
    forever: bool,
) -> Resampled {
    let mut out = Resampled { value: vec![f64::NAN; grid.steps], ..Resampled::default() };
    let mut at = 0;
    for segment in segments {
        let bin = |i: usize| grid.bin(s.time[i]);
        while at < s.time.len() && bin(at).is_none_or(|k| k < segment.start) {
            at += 1;
        }
        let first = at;
        while at < s.time.len() && bin(at).is_some_and(|k| k < segment.end) {
            at += 1;
        }
        fill(s, first..at, grid, how, &mut out);
        match how {
            Resample::Hold => hold(grid, segment, if forever { i64::MAX } else { max_gap }, &mut out),
            Resample::Linear => interpolate(s, first..at, grid, segment, max_gap, &mut out),
            Resample::Mean | Resample::Sum => {}
        }
        count_missing(grid, segment, max_gap, &mut out);
    }
    out
}

/// One value per step that has samples of its own.
fn fill(s: &Samples, rows: Range<usize>, grid: &Grid, how: Resample, out: &mut Resampled) {
    let mut i = rows.start;
    while i < rows.end {
        let Some(k) = grid.bin(s.time[i]) else {
            i += 1;
            continue;
        };
        let mut end = i + 1;
        while end < rows.end && grid.bin(s.time[end]) == Some(k) {
            end += 1;
        }
        let samples = &s.value[i..end];
        let sum = || samples.iter().sum::<f64>();
        out.value[k] = match how {
            // A sample alone in its step comes through bit for bit.
            _ if samples.len() == 1 => samples[0],
            Resample::Mean => sum() / samples.len() as f64,
            Resample::Sum => sum(),
            Resample::Hold => samples[samples.len() - 1],
            Resample::Linear => samples[0],
        };
        out.own += 1;
        i = end;
    }
}

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

/// Values at the start of each step, on the straight line between the samples around it.
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

fn count_missing(grid: &Grid, segment: &Range<usize>, max_gap: i64, out: &mut Resampled) {
    let mut run = 0_usize;
    for k in segment.clone() {
        if out.value[k].is_nan() {
            out.missing.add(grid.time(k));
            run += 1;
        }
        if run > 0 && (!out.value[k].is_nan() || k + 1 == segment.end) {
            if run as i64 * grid.step > max_gap {
                out.holes.merge(&Tally::span(1, grid.time(k + 1 - run), grid.time(k)));
            }
            run = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: i64 = 60_000_000;

    fn samples(pairs: &[(i64, f64)]) -> Samples {
        Samples {
            time: Arc::new(pairs.iter().map(|p| p.0 * MIN).collect()),
            value: pairs.iter().map(|p| p.1).collect(),
        }
    }

    fn on(pairs: &[(i64, f64)], how: Resample) -> Resampled {
        let grid = Grid { start: 0, step: 10 * MIN, steps: 8, slack: 0 };
        resample(&samples(pairs), &grid, std::slice::from_ref(&(0..8)), how, 30 * MIN, false)
    }

    fn shown(r: &Resampled) -> Vec<String> {
        r.value.iter().map(|v| if v.is_nan() { "-".into() } else { v.to_string() }).collect()
    }

    #[test]
    fn each_way_of_resampling() {
        let s = [(0, 1.0), (4, 3.0), (11, 5.0), (70, 7.0)];
        assert_eq!(shown(&on(&s, Resample::Mean)), ["2", "5", "-", "-", "-", "-", "-", "7"]);
        assert_eq!(shown(&on(&s, Resample::Sum)), ["4", "5", "-", "-", "-", "-", "-", "7"]);
        let held = on(&s, Resample::Hold);
        assert_eq!(shown(&held), ["3", "5", "5", "5", "5", "-", "-", "7"]);
        assert_eq!((held.held.count, held.missing.count, held.own), (3, 2, 3));
        let s = [(0, 0.0), (15, 15.0), (40, 40.0), (75, 75.0)];
        let line = on(&s, Resample::Linear);
        assert_eq!(shown(&line), ["0", "10", "20", "30", "40", "-", "-", "75"]);
        assert_eq!(line.interpolated.count, 2);
    }

    #[test]
    fn the_grid_follows_a_regular_log() {
        let s = samples(&[(7, 0.0), (17, 0.0), (27, 0.0)]);
        assert_eq!(phase(&[&s], 10 * MIN).0, 7 * MIN);
        let s = samples(&[(0, 0.0), (1, 0.0), (2, 0.0), (13, 0.0), (15, 0.0), (29, 0.0)]);
        assert_eq!(phase(&[&s], 10 * MIN), (0, 0, Tally::default()));
    }

    #[test]
    fn jitter_does_not_make_holes() {
        let key = crate::rng::Key::new(3);
        let time: Vec<i64> = (0..500).map(|i| i * 10 * MIN + (10e6 * key.normal(i as u64)) as i64).collect();
        let s = Samples { value: vec![1.0; time.len()], time: Arc::new(time) };
        let (start, slack, jitter) = phase(&[&s], 10 * MIN);
        assert!(start == 0 && slack == MIN && jitter.count > 400, "{start} {slack} {jitter:?}");
        let grid = Grid { start, step: 10 * MIN, steps: 500, slack };
        assert_eq!(resample(&s, &grid, std::slice::from_ref(&(0..500)), Resample::Mean, 30 * MIN, false).own, 500);
    }
}
