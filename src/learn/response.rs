//! Step responses and steady-state gains of a learned model.

use serde::{Deserialize, Serialize};

use super::map::{StepMap, StepScratch};
use super::regressor::Particle;
use super::starts::scored_signals;
use crate::schema::{Bounds, Role};
use crate::stats::{mean_and_population_sd, quantile_right_inverse, quantile_type_7};
use crate::trajectory::{Frame, Trajectory, Window};

/// Maximum number of ensemble members for which step responses are computed (not tuned).
const MEMBERS: usize = 30;
/// Maximum number of stored points per step response (not tuned).
const POINTS: usize = 240;
/// A state is at rest if its change per step is at most this fraction of its standard deviation (not tuned).
const AT_REST: f64 = 1e-4;
/// A state that is more than this many standard deviations from its mean is outside the training data (not tuned).
const OUTSIDE: f64 = 4.0;
/// A step response has settled if, over the last horizon, it differs from its final value by at most this fraction of
/// its largest absolute value (not tuned).
const SETTLED: f64 = 5e-3;

/// Response of one signal to a step change of one control. The plant starts at rest at the training means, and all
/// inputs except the control are constant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// Columns of the schema.
    pub control: usize,
    pub signal: usize,
    /// Size of the step change, in the unit of the control. The step is negative if only a downward step stays within
    /// the training data.
    pub step: f64,
    /// Number of time steps since the step change of the control: `[points]`. The response after k steps is the change
    /// of x(k) for a state, and the change of y(k) for an output.
    pub at: Vec<usize>,
    /// Change of the signal per unit of the control: `[points]`. `mean` is the response of the mean model; `low` and
    /// `high` are the 10th and 90th percentiles over the ensemble members.
    pub mean: Vec<f64>,
    pub low: Vec<f64>,
    pub high: Vec<f64>,
    /// Steady-state gain of the mean model, which is the last value of its response.
    pub gain: f64,
    /// 5th and 95th percentiles of the steady-state gain over the ensemble members.
    pub gain_low: f64,
    pub gain_high: f64,
    /// Whether the response had settled by the end of the run. The response of an integrating plant never settles.
    pub settled: bool,
}

/// Statistics of a signal over the training rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignalMoments {
    pub mean: f64,
    pub sd: f64,
    /// Range from the 1st to the 99th percentile of the signal.
    pub central_range: Bounds,
}

impl SignalMoments {
    /// Computes the statistics of the finite values of `signal` in `rows`. All statistics are zero if there are no
    /// finite values.
    pub fn estimate(log: &Trajectory, signal: usize, rows: &[std::ops::Range<usize>]) -> Self {
        let column = &log.columns[signal];
        let mut values: Vec<f64> =
            rows.iter().flat_map(|r| column[r.clone()].iter().copied()).filter(|v| v.is_finite()).collect();
        if values.is_empty() {
            return Self { mean: 0.0, sd: 0.0, central_range: Bounds { low: 0.0, high: 0.0 } };
        }
        values.sort_by(f64::total_cmp);
        let (mean, sd) = mean_and_population_sd(values.iter().copied());
        let at = |p: f64| quantile_right_inverse(&values, p);
        Self { mean, sd, central_range: Bounds { low: at(0.01), high: at(0.99) } }
    }

    /// Returns true if the signal varies by more than rounding error.
    pub fn varies(&self) -> bool {
        self.sd > 1e-9 * self.mean.abs().max(1e-9)
    }
}

/// Computes the step responses of every scored signal to every control that moved in the training rows. In a twin
/// without controls, the responses to its disturbances are computed instead.
///
/// The model is first simulated at the training means until it is at rest. Each control is then raised by one standard
/// deviation in a separate run. The step is reduced or reversed if the control would otherwise leave the range between
/// its 1st and 99th percentiles. The response is the difference from a run without the step. A run lasts until the
/// response has settled, but at least three and at most twelve horizons.
pub fn responses(map: &StepMap, log: &Trajectory, moments: &[SignalMoments], horizon: usize) -> Vec<Response> {
    let controls = map.schema.with_role(Role::Control);
    let inputs = if controls.is_empty() { map.schema.with_role(Role::Disturbance) } else { controls };
    let steps: Vec<(usize, f64)> = inputs.into_iter().filter_map(|c| Some((c, step_size(&moments[c])?))).collect();
    let signals = scored_signals(map, log);
    if steps.is_empty() || signals.is_empty() {
        return Vec::new();
    }
    let members = map.regressor.members().max(1);
    let members = if members > 1 { members.min(MEMBERS) } else { 0 };
    // The rows form blocks. Block 0 belongs to the mean model, and every other block belongs to one ensemble member.
    // Each block contains one row without a step, followed by one row per control, in which only that control is
    // stepped.
    let width = steps.len() + 1;
    let blocks = members + 1;
    let particles: Vec<Particle> =
        (0..blocks).map(|b| Particle { member: b.checked_sub(1), rows: b * width..(b + 1) * width }).collect();
    let mut run = ConstantInputRun::new(map, log, moments, blocks * width, particles);
    run.settle(&signals, moments, 12 * horizon.clamp(10, 200));
    let longest = 12 * horizon.clamp(4, 500);
    let shortest = 3 * horizon.clamp(4, 500);
    // `[signals][controls][blocks][points]`.
    let mut paths = vec![vec![vec![Vec::new(); blocks]; steps.len()]; signals.len()];
    let mut length = 0;
    while length < longest {
        let before: Vec<Vec<f64>> = signals.iter().map(|&s| run.window.column(s, 0).to_vec()).collect();
        run.step(|control, row| {
            let moved = row % width;
            if moved > 0 && steps[moved - 1].0 == control { steps[moved - 1].1 } else { 0.0 }
        });
        for (k, &signal) in signals.iter().enumerate() {
            let output = map.schema.signals[signal].role == Role::Output;
            let column = if output { run.window.column(signal, 1) } else { &before[k] };
            for (c, (_, size)) in steps.iter().enumerate() {
                for b in 0..blocks {
                    let change = column[b * width + c + 1] - column[b * width];
                    paths[k][c][b].push(change / size);
                }
            }
        }
        length += 1;
        if length >= shortest && paths.iter().flatten().all(|p| settled(&p[0], horizon.max(4))) {
            break;
        }
    }
    let mut found = Vec::with_capacity(signals.len() * steps.len());
    for (c, (control, size)) in steps.iter().enumerate() {
        for (k, signal) in signals.iter().enumerate() {
            found.push(response(*control, *signal, *size, &paths[k][c], horizon.max(4)));
        }
    }
    found
}

/// Step of at most one standard deviation, up or down, that keeps the control between its 1st and 99th percentiles;
/// `None` if the control does not vary.
fn step_size(m: &SignalMoments) -> Option<f64> {
    if !m.varies() {
        return None;
    }
    let (up, down) = (m.central_range.high - m.mean, m.mean - m.central_range.low);
    let step = if up >= m.sd || up >= down { m.sd.min(up) } else { -m.sd.min(down) };
    // For a control that rarely moves, the 1st and 99th percentiles are equal, so the step is one standard deviation.
    Some(if step.abs() > 1e-3 * m.sd { step } else { m.sd })
}

/// A batch of simulations with constant inputs.
struct ConstantInputRun<'a> {
    map: &'a StepMap,
    inputs: Vec<(usize, f64)>,
    window: Window,
    particles: Vec<Particle>,
    scratch: StepScratch,
}

impl<'a> ConstantInputRun<'a> {
    fn new(
        map: &'a StepMap,
        log: &Trajectory,
        moments: &[SignalMoments],
        rows: usize,
        particles: Vec<Particle>,
    ) -> Self {
        let depth = map.depth().max(2);
        let mut window = Window::new(log.schema.len(), depth, rows, log.start, log.step_ms);
        let mut inputs = Vec::new();
        for (signal, spec) in log.schema.signals.iter().enumerate() {
            for lag in 0..depth {
                window.column_mut(signal, lag).fill(moments[signal].mean);
            }
            if matches!(spec.role, Role::Control | Role::Disturbance | Role::Setpoint) {
                inputs.push((signal, moments[signal].mean));
            }
        }
        Self { map, inputs, window, particles, scratch: StepScratch::default() }
    }

    /// Simulates one step. Each input is set to its training mean plus `change(signal, row)`.
    fn step(&mut self, change: impl Fn(usize, usize) -> f64) {
        for &(signal, value) in &self.inputs {
            for (row, v) in self.window.column_mut(signal, 0).iter_mut().enumerate() {
                *v = value + change(signal, row);
            }
        }
        self.map.observe(&mut self.window, &mut self.scratch);
        self.map.step(&mut self.window, &self.particles, None, &mut self.scratch);
    }

    /// Simulates until every state is at rest, for at most `limit` steps. Stops before a state leaves the range of the
    /// training data, which can happen for an integrating state because the mean inputs do not necessarily keep it
    /// constant. Any remaining drift of the states cancels, because a response is the difference between two runs.
    fn settle(&mut self, signals: &[usize], moments: &[SignalMoments], limit: usize) {
        let states: Vec<usize> =
            signals.iter().copied().filter(|&s| self.map.schema.signals[s].role == Role::State).collect();
        for _ in 0..limit {
            let start = self.window.clone();
            self.step(|_, _| 0.0);
            let mut at_rest = true;
            let mut outside = false;
            for &s in &states {
                let m = &moments[s];
                for (now, was) in self.window.column(s, 0).iter().zip(start.column(s, 0)) {
                    at_rest &= (now - was).abs() <= AT_REST * m.sd;
                    outside |= now.is_nan() || (now - m.mean).abs() > OUTSIDE * m.sd;
                }
            }
            if outside {
                self.window = start;
                return;
            }
            if at_rest {
                return;
            }
        }
    }
}

/// Returns true if the last `span` values of `path` differ from the final value by at most 0.5 % of
/// the largest absolute value.
fn settled(path: &[f64], span: usize) -> bool {
    let Some(last) = path.last() else { return false };
    let largest = path.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    path.len() > span && path[path.len() - span..].iter().all(|v| (v - last).abs() <= SETTLED * largest)
}

fn response(control: usize, signal: usize, step: f64, paths: &[Vec<f64>], span: usize) -> Response {
    let (mean, members) = (&paths[0], &paths[1..]);
    let length = mean.len();
    let stride = length.div_ceil(POINTS).max(1);
    let mut at: Vec<usize> = (0..length).step_by(stride).collect();
    if at.last() != Some(&(length - 1)) {
        at.push(length - 1);
    }
    let across = |t: usize, p: f64| -> f64 {
        if members.is_empty() {
            return mean[t];
        }
        let mut values: Vec<f64> = members.iter().map(|m| m[t]).collect();
        values.sort_by(f64::total_cmp);
        quantile_type_7(&values, p)
    };
    Response {
        control,
        signal,
        step,
        mean: at.iter().map(|&t| mean[t]).collect(),
        low: at.iter().map(|&t| across(t, 0.1)).collect(),
        high: at.iter().map(|&t| across(t, 0.9)).collect(),
        gain: mean[length - 1],
        gain_low: across(length - 1, 0.05),
        gain_high: across(length - 1, 0.95),
        settled: settled(mean, span),
        at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_stays_within_the_training_data() {
        let m = |mean, sd, low, high| SignalMoments { mean, sd, central_range: Bounds { low, high } };
        assert_eq!(step_size(&m(10.0, 1.0, 7.0, 12.0)), Some(1.0));
        assert_eq!(step_size(&m(10.0, 1.0, 7.0, 10.4)), Some(-1.0));
        assert_eq!(step_size(&m(10.0, 1.0, 9.7, 10.4)), Some(10.4 - 10.0));
        assert_eq!(step_size(&m(10.0, 0.0, 10.0, 10.0)), None);
    }

    #[test]
    fn an_exponential_settles_and_a_ramp_does_not() {
        let exponential: Vec<f64> = (0..100).map(|t| 1.0 - 0.8f64.powi(t)).collect();
        let ramp: Vec<f64> = (0..100).map(f64::from).collect();
        assert!(settled(&exponential, 20) && !settled(&ramp, 20) && settled(&[0.0; 30], 20));
    }
}
