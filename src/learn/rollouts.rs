//! Open-loop runs over a log. From each of many start rows, the model predicts several steps ahead, using the logged
//! controls and disturbances and its own predictions of the states.
//!
//! The prediction at horizon `h` from start row `s` is x(s + h) for a state and y(s + h − 1) for an output, because a
//! step from row t gives y(t) and x(t + 1). The persistence forecast is the last value known at the start, which is
//! x(s) for a state and y(s − 1) for an output.

use super::map::{StepMap, StepScratch};
use super::noise_process::NoiseProcess;
use super::regressor::Particle;
use super::starts::{Start, one_step_errors, scored_signals, window_at, write_inputs};
use crate::schema::Role;
use crate::trajectory::{Frame, Trajectory};

/// Predictions of open-loop runs, and the corresponding measurements.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollouts {
    /// Column indices of the scored signals in the schema: the targets, followed by the measured states with a known
    /// equation.
    pub signals: Vec<usize>,
    /// Number of steps.
    pub horizon: usize,
    pub starts: Vec<Start>,
    /// Predictions, in horizon-major order: `[signals][horizon * starts]`; NaN after the last step that can be
    /// simulated from a start.
    pub predicted: Vec<Vec<f64>>,
    /// Measurements, in the same shape as `predicted`; NaN if there is no measurement.
    pub measured: Vec<Vec<f64>>,
    /// One-step standard deviation predicted by the model, in the same shape as `predicted`: the epistemic standard
    /// deviation, combined with the aleatoric one for heteroscedastic models. The standard deviation is evaluated at
    /// the first step of each band of horizons, and the stored value is the root mean square of all evaluations up to
    /// the horizon. The standard deviation is zero for signals that are not targets and for models without an ensemble.
    pub model_sd: Vec<Vec<f64>>,
    /// Last known value of each signal at each start: `[signals][starts]`.
    pub last: Vec<Vec<f64>>,
}

/// A prediction of a signal and the corresponding measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ForecastPair {
    /// Index of the start row from which the prediction was made.
    pub start: usize,
    pub predicted: f64,
    pub measured: f64,
    /// See [`Rollouts::model_sd`].
    pub model_sd: f64,
}

impl ForecastPair {
    /// measured − predicted.
    pub fn error(&self) -> f64 {
        self.measured - self.predicted
    }
}

/// Forecasts of an input, with one forecast made at each start.
pub struct InputForecast {
    pub signal: usize,
    /// Values for 1, 2, … steps after the start: `[horizon * starts]`.
    pub values: Vec<f64>,
}

/// Runs `map` open loop from every start over `horizon` steps. If `noise` is given, the last one-step error before the
/// start is added to every step, multiplied by a factor that decays along the run, as in a forecast.
pub fn rollouts(
    map: &StepMap,
    log: &Trajectory,
    starts: Vec<Start>,
    horizon: usize,
    noise: Option<&NoiseProcess>,
) -> Rollouts {
    rollouts_with(map, log, starts, horizon, noise, &[])
}

/// Like [`rollouts`], but with forecasts in place of the logged values of some inputs.
pub fn rollouts_with(
    map: &StepMap,
    log: &Trajectory,
    starts: Vec<Start>,
    horizon: usize,
    noise: Option<&NoiseProcess>,
    inputs: &[InputForecast],
) -> Rollouts {
    let n = starts.len();
    let signals = scored_signals(map, log);
    let role = |s: usize| log.schema.signals[s].role;
    let mut predicted = vec![vec![f64::NAN; horizon * n]; signals.len()];
    let mut measured = predicted.clone();
    let mut model_sd = vec![vec![0.0; horizon * n]; signals.len()];
    let last = signals
        .iter()
        .map(|&s| {
            let back = usize::from(role(s) == Role::Output);
            starts.iter().map(|start| log.at(s, start.row.saturating_sub(back).max(start.first))[0]).collect()
        })
        .collect();
    if n == 0 {
        return Rollouts { signals, horizon, starts, predicted, measured, model_sd, last };
    }
    let mut carried = noise.map(|_| {
        let mut errors = one_step_errors(map, log, &starts, 1);
        errors.iter_mut().flatten().filter(|e| !e.is_finite()).for_each(|e| *e = 0.0);
        errors
    });
    let bounds: Vec<(f64, f64)> = signals.iter().map(|&s| clamp_bounds(&log.columns[s])).collect();
    let mut window = window_at(map, log, &starts, 1, 0);
    let mut scratch = StepScratch::default();
    let single = [Particle { member: None, rows: 0..n }];
    let each: Vec<Particle> = (0..n).map(|r| Particle { member: None, rows: r..r + 1 }).collect();
    let targets = map.layout.targets.len();
    let has_model_sd = noise.is_some() && map.regressor.members() > 1;
    let (mut sd, mut squares) = (vec![vec![0.0; n]; targets], vec![vec![0.0; n]; targets]);
    let mut evaluations = 0.0;
    for h in 0..horizon {
        write_inputs(&mut window, log, &starts, 1, h);
        for input in inputs.iter().filter(|_| h > 0) {
            window.column_mut(input.signal, 0).copy_from_slice(&input.values[(h - 1) * n..h * n]);
        }
        map.observe(&mut window, &mut scratch);
        if has_model_sd && (h == 0 || h.is_power_of_two()) {
            let x: Vec<&[f64]> = map.layout.inputs.iter().map(|&(s, lag)| window.column(s, lag)).collect();
            let mut add = |sd: &[Vec<f64>]| {
                for (sum, e) in squares.iter_mut().flatten().zip(sd.iter().flatten()) {
                    *sum += if e.is_finite() { e * e } else { 0.0 };
                }
            };
            evaluations += 1.0;
            map.regressor.epistemic(&x, n, &mut sd);
            add(&sd);
            if map.regressor.aleatoric(&x, &single, &mut sd) {
                add(&sd);
            }
        }
        for (column, squares) in model_sd.iter_mut().zip(&squares).filter(|_| has_model_sd) {
            for (d, s) in column[h * n..(h + 1) * n].iter_mut().zip(squares) {
                *d = (s / evaluations).sqrt();
            }
        }
        match (noise, &mut carried) {
            (Some(noise), Some(errors)) => {
                noise.decay(errors);
                map.step(&mut window, &each, Some(errors), &mut scratch);
            }
            _ => map.step(&mut window, &single, None, &mut scratch),
        }
        for (k, &signal) in signals.iter().enumerate() {
            let output = usize::from(role(signal) == Role::Output);
            let column = window.column(signal, output);
            for (r, start) in starts.iter().enumerate() {
                if h < start.reach {
                    let (low, high) = bounds[k];
                    let p = column[r];
                    predicted[k][h * n + r] = if p.is_nan() { high } else { p.clamp(low, high) };
                    measured[k][h * n + r] = log.at(signal, start.row + h + 1 - output)[0];
                }
            }
        }
    }
    Rollouts { signals, horizon, starts, predicted, measured, model_sd, last }
}

/// Bounds on the predictions: the measured range, extended on either side by ten times its width. With these bounds, a
/// diverged run gets a poor score but does not overflow.
fn clamp_bounds(column: &[f64]) -> (f64, f64) {
    let finite = column.iter().filter(|v| v.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    if low > high {
        return (f64::MIN, f64::MAX);
    }
    let range = (high - low).max(1e-9 * high.abs()).max(1e-12);
    (low - 10.0 * range, high + 10.0 * range)
}

impl Rollouts {
    /// Returns a copy of the runs in which the predictions are replaced by the persistence forecast.
    #[must_use]
    pub fn persistence(&self) -> Self {
        let mut other = self.without_model_sd();
        for k in 0..self.signals.len() {
            let n = self.starts.len();
            for (i, p) in other.predicted[k].iter_mut().enumerate() {
                if p.is_finite() {
                    *p = self.last[k][i % n];
                }
            }
        }
        other
    }

    /// Returns a copy of the runs in which the predictions of each signal are replaced by its constant in `values`.
    #[must_use]
    pub fn constant(&self, values: &[f64]) -> Self {
        let mut other = self.without_model_sd();
        for (column, value) in other.predicted.iter_mut().zip(values) {
            column.iter_mut().filter(|p| p.is_finite()).for_each(|p| *p = *value);
        }
        other
    }

    fn without_model_sd(&self) -> Self {
        let model_sd = self.model_sd.iter().map(|c| vec![0.0; c.len()]).collect();
        Self { model_sd, ..self.clone() }
    }

    /// Returns the pairs of prediction and measurement for signal number `k` at horizon `h`
    /// (1-based). Pairs with a missing value are skipped.
    pub fn pairs(&self, k: usize, h: usize) -> impl Iterator<Item = ForecastPair> + '_ {
        (0..self.starts.len()).filter_map(move |start| self.pair(k, h, start))
    }

    /// Returns the pair of prediction and measurement for start number `start`, or `None` if one of
    /// them is missing.
    pub fn pair(&self, k: usize, h: usize, start: usize) -> Option<ForecastPair> {
        let at = (h - 1) * self.starts.len() + start;
        let [predicted, measured, model_sd] =
            [&self.predicted, &self.measured, &self.model_sd].map(|columns| columns[k][at]);
        (predicted.is_finite() && measured.is_finite()).then_some(ForecastPair { start, predicted, measured, model_sd })
    }

    /// Mean squared errors of `self` and `other` for signal number `k` at horizon `h`, over the starts for which both
    /// have a prediction.
    pub fn paired_mse(&self, other: &Self, k: usize, h: usize) -> (f64, f64) {
        let n = self.starts.len();
        let (mut a, mut b, mut count) = (0.0, 0.0, 0.0);
        for pair in self.pairs(k, h) {
            let q = other.predicted[k][(h - 1) * n + pair.start];
            if q.is_finite() {
                a += pair.error().powi(2);
                b += (q - pair.measured).powi(2);
                count += 1.0;
            }
        }
        (a / count, b / count)
    }
}
