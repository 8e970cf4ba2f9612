//! Learned step responses and steady-state gains: what a control engineer looks at before trusting a model.

use serde::{Deserialize, Serialize};

use super::map::{StepMap, StepScratch};
use super::regressor::Particle;
use super::starts::scored_signals;
use crate::schema::{Bounds, Role};
use crate::trajectory::{Frame, Trajectory, Window};

/// Most members that a response is computed for.
const MEMBERS: usize = 30;
/// Most points of a response that are kept.
const POINTS: usize = 240;

/// Answer of one signal to a lasting step of one control, from the training mean, all other inputs held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// Columns of the schema.
    pub control: usize,
    pub signal: usize,
    /// Size of the control's step, in its unit; negative when only a step down stays inside what was seen.
    pub step: f64,
    /// Steps after the control's: `[points]`. At `k`, a state is x(k), an output y(k), the step being taken at 0.
    pub at: Vec<usize>,
    /// Change per unit of control, of the mean model and at the 10th and 90th percentile of the members: `[points]`.
    pub mean: Vec<f64>,
    pub low: Vec<f64>,
    pub high: Vec<f64>,
    /// Steady-state gain of the mean model: the last value.
    pub gain: f64,
    /// 5th and 95th percentile of the gain over the members.
    pub gain_low: f64,
    pub gain_high: f64,
    /// Whether the response had come to rest when the run ended; an integrating plant never does.
    pub settled: bool,
}

/// What of each signal the training rows hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    pub mean: f64,
    pub sd: f64,
    /// 1st to 99th percentile.
    pub seen: Bounds,
}

impl Moments {
    /// Of the finite values of `signal` in `rows`; zeros when there are none.
    pub fn of(log: &Trajectory, signal: usize, rows: &[std::ops::Range<usize>]) -> Self {
        let column = &log.columns[signal];
        let mut values: Vec<f64> =
            rows.iter().flat_map(|r| column[r.clone()].iter().copied()).filter(|v| v.is_finite()).collect();
        if values.is_empty() {
            return Self { mean: 0.0, sd: 0.0, seen: Bounds { low: 0.0, high: 0.0 } };
        }
        values.sort_by(f64::total_cmp);
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let sd = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
        let at = |p: f64| values[((p * n) as usize).min(values.len() - 1)];
        Self { mean, sd, seen: Bounds { low: at(0.01), high: at(0.99) } }
    }

    /// Whether it moves at all, beyond rounding.
    pub fn moves(&self) -> bool {
        self.sd > 1e-9 * self.mean.abs().max(1e-9)
    }
}

/// Responses of every scored signal to every control that moved in training.
///
/// The model is first brought to rest at the training means; then one standard deviation is added to the control
/// (less, or downwards, where that would leave its 1–99 % range) and the difference to an undisturbed run is followed
/// over three horizons, and on until it settles, for at most twelve.
pub fn responses(map: &StepMap, log: &Trajectory, moments: &[Moments], horizon: usize) -> Vec<Response> {
    let steps: Vec<(usize, f64)> =
        map.schema.with_role(Role::Control).into_iter().filter_map(|c| step_of(&moments[c]).map(|s| (c, s))).collect();
    let signals = scored_signals(map, log);
    if steps.is_empty() || signals.is_empty() {
        return Vec::new();
    }
    let members = map.regressor.members().max(1);
    let members = if members > 1 { members.min(MEMBERS) } else { 0 };
    // Block 0 is the mean model; in each block one undisturbed row, then one row per control.
    let width = steps.len() + 1;
    let blocks = members + 1;
    let particles: Vec<Particle> =
        (0..blocks).map(|b| Particle { member: b.checked_sub(1), rows: b * width..(b + 1) * width }).collect();
    let mut run = Run::new(map, log, moments, blocks * width, particles);
    // `[signals][blocks]`, to see whether the mean inputs have led somewhere.
    run.settle(&signals, moments, 12 * horizon.clamp(10, 200));
    let longest = 12 * horizon.clamp(4, 500);
    let shortest = 3 * horizon.clamp(4, 500);
    // `[signal][control][block]` → points
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

/// One standard deviation, up or down, inside what was seen.
fn step_of(m: &Moments) -> Option<f64> {
    if !m.moves() {
        return None;
    }
    let (up, down) = (m.seen.high - m.mean, m.mean - m.seen.low);
    let step = if up >= m.sd || up >= down { m.sd.min(up) } else { -m.sd.min(down) };
    // A control that rests almost always has no percentiles around its mean; its own spread is all there is.
    Some(if step.abs() > 1e-3 * m.sd { step } else { m.sd })
}

/// A batch at constant inputs.
struct Run<'a> {
    map: &'a StepMap,
    inputs: Vec<(usize, f64)>,
    window: Window,
    particles: Vec<Particle>,
    scratch: StepScratch,
}

impl<'a> Run<'a> {
    fn new(map: &'a StepMap, log: &Trajectory, moments: &[Moments], rows: usize, particles: Vec<Particle>) -> Self {
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

    /// One step at mean inputs plus `change(control, row)`.
    fn step(&mut self, change: impl Fn(usize, usize) -> f64) {
        for &(signal, value) in &self.inputs {
            for (row, v) in self.window.column_mut(signal, 0).iter_mut().enumerate() {
                *v = value + change(signal, row);
            }
        }
        self.map.observe(&mut self.window, &mut self.scratch);
        self.map.step(&mut self.window, &self.particles, None, &mut self.scratch);
    }

    /// Steps until nothing moves by more than a ten-thousandth of its spread in a step, at most `most` times. Stops
    /// before a state leaves the training data (an integrator at unbalanced mean inputs): responses are differences of
    /// two runs, so that what still moves in both cancels.
    fn settle(&mut self, signals: &[usize], moments: &[Moments], most: usize) {
        let states: Vec<usize> =
            signals.iter().copied().filter(|&s| self.map.schema.signals[s].role == Role::State).collect();
        for _ in 0..most {
            let start = self.window.clone();
            self.step(|_, _| 0.0);
            let mut still = true;
            let mut lost = false;
            for &s in &states {
                let m = &moments[s];
                for (now, was) in self.window.column(s, 0).iter().zip(start.column(s, 0)) {
                    still &= (now - was).abs() <= 1e-4 * m.sd;
                    lost |= now.is_nan() || (now - m.mean).abs() > 4.0 * m.sd;
                }
            }
            if lost {
                self.window = start;
                return;
            }
            if still {
                return;
            }
        }
    }
}

/// Whether the last `span` values stay within 0.5 % of the largest one.
fn settled(path: &[f64], span: usize) -> bool {
    let Some(last) = path.last() else { return false };
    let largest = path.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    path.len() > span && path[path.len() - span..].iter().all(|v| (v - last).abs() <= 5e-3 * largest)
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
        let x = p * (values.len() - 1) as f64;
        let i = (x as usize).min(values.len().saturating_sub(2));
        let next = values[(i + 1).min(values.len() - 1)];
        values[i] + (x - i as f64) * (next - values[i])
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
    fn a_step_stays_inside_what_was_seen() {
        let m = |mean, sd, low, high| Moments { mean, sd, seen: Bounds { low, high } };
        assert_eq!(step_of(&m(10.0, 1.0, 7.0, 12.0)), Some(1.0));
        assert_eq!(step_of(&m(10.0, 1.0, 7.0, 10.4)), Some(-1.0));
        assert_eq!(step_of(&m(10.0, 1.0, 9.7, 10.4)), Some(10.4 - 10.0));
        assert_eq!(step_of(&m(10.0, 0.0, 10.0, 10.0)), None);
    }

    #[test]
    fn an_exponential_settles_and_a_ramp_does_not() {
        let exponential: Vec<f64> = (0..100).map(|t| 1.0 - 0.8f64.powi(t)).collect();
        let ramp: Vec<f64> = (0..100).map(f64::from).collect();
        assert!(settled(&exponential, 20) && !settled(&ramp, 20) && settled(&[0.0; 30], 20));
    }
}
