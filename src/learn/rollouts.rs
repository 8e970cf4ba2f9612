//! Multi-step open-loop runs: the model runs on its own predictions from many rows of a log, fed with the log's controls
//! and disturbances, beside what was measured.
//!
//! Horizon `h` from start row `s` means: of a state, x(s + h), made from x(s); of an output, y(s + h − 1), the `h`-th
//! step that is completed after the start. Persistence is what was last known at the start: x(s), y(s − 1).

use super::map::{StepMap, StepScratch};
use super::noise_process::NoiseProcess;
use super::regressor::Particle;
use super::starts::{Start, one_step_errors, scored_signals, window_at, write_inputs};
use crate::schema::Role;
use crate::trajectory::{Frame, Trajectory};

/// Open-loop predictions beside what was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollouts {
    /// Schema column of each scored signal: the learned targets, then measured states with a known equation.
    pub signals: Vec<usize>,
    /// Steps.
    pub horizon: usize,
    pub starts: Vec<Start>,
    /// `[signals][horizon * starts]`, horizon-major; NaN beyond a start's reach.
    pub predicted: Vec<Vec<f64>>,
    /// The same shape; NaN where nothing was measured.
    pub measured: Vec<Vec<f64>>,
    /// The same shape: the model's one-step standard deviation along the run so far, epistemic, and aleatoric where the
    /// model knows that it differs from place to place (root mean square over the steps at which a band of horizons
    /// begins); zero for signals that are no targets and models that never doubt.
    pub doubt: Vec<Vec<f64>>,
    /// `[signals][starts]`: what was last known at the start.
    pub last: Vec<Vec<f64>>,
}

/// One prediction beside its measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Number of the start.
    pub start: usize,
    pub predicted: f64,
    pub measured: f64,
    pub doubt: f64,
}

impl Pair {
    /// measured − predicted.
    pub fn error(&self) -> f64 {
        self.measured - self.predicted
    }
}

/// Runs `map` open loop from every start over `horizon` steps. With `noise`, the last one-step error before each start is
/// carried along and decays, as in a forecast.
pub fn rollouts(
    map: &StepMap,
    log: &Trajectory,
    starts: Vec<Start>,
    horizon: usize,
    noise: Option<&NoiseProcess>,
) -> Rollouts {
    let n = starts.len();
    let signals = scored_signals(map, log);
    let role = |s: usize| log.schema.signals[s].role;
    let mut predicted = vec![vec![f64::NAN; horizon * n]; signals.len()];
    let mut measured = predicted.clone();
    let mut doubt = vec![vec![0.0; horizon * n]; signals.len()];
    let last = signals
        .iter()
        .map(|&s| {
            let back = usize::from(role(s) == Role::Output);
            starts.iter().map(|start| log.at(s, start.row.saturating_sub(back).max(start.first))[0]).collect()
        })
        .collect();
    if n == 0 {
        return Rollouts { signals, horizon, starts, predicted, measured, doubt, last };
    }
    let mut carried = noise.map(|_| {
        let mut errors = one_step_errors(map, log, &starts, 1);
        errors.iter_mut().flatten().filter(|e| !e.is_finite()).for_each(|e| *e = 0.0);
        errors
    });
    let bounds: Vec<(f64, f64)> = signals.iter().map(|&s| hopeless(&log.columns[s])).collect();
    let mut window = window_at(map, log, &starts, 1, 0);
    let mut scratch = StepScratch::default();
    let single = [Particle { member: None, rows: 0..n }];
    let each: Vec<Particle> = (0..n).map(|r| Particle { member: None, rows: r..r + 1 }).collect();
    let targets = map.layout.targets.len();
    let doubts = noise.is_some() && map.regressor.members() > 1;
    let (mut own, mut squares) = (vec![vec![0.0; n]; targets], vec![vec![0.0; n]; targets]);
    let mut looks = 0.0;
    for h in 0..horizon {
        write_inputs(&mut window, log, &starts, 1, h);
        map.observe(&mut window, &mut scratch);
        if doubts && (h == 0 || h.is_power_of_two()) {
            let x: Vec<&[f64]> = map.layout.inputs.iter().map(|&(s, lag)| window.column(s, lag)).collect();
            let mut add = |own: &[Vec<f64>]| {
                for (sum, e) in squares.iter_mut().flatten().zip(own.iter().flatten()) {
                    *sum += if e.is_finite() { e * e } else { 0.0 };
                }
            };
            looks += 1.0;
            map.regressor.epistemic(&x, n, &mut own);
            add(&own);
            if map.regressor.aleatoric(&x, &single, &mut own) {
                add(&own);
            }
        }
        for (doubt, squares) in doubt.iter_mut().zip(&squares).filter(|_| doubts) {
            for (d, s) in doubt[h * n..(h + 1) * n].iter_mut().zip(squares) {
                *d = (s / looks).sqrt();
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
    Rollouts { signals, horizon, starts, predicted, measured, doubt, last }
}

/// Bounds ten ranges beyond all that was measured: a diverged run counts as hopeless, but does not overflow a sum.
fn hopeless(column: &[f64]) -> (f64, f64) {
    let finite = column.iter().filter(|v| v.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    if low > high {
        return (f64::MIN, f64::MAX);
    }
    let range = (high - low).max(1e-9 * high.abs()).max(1e-12);
    (low - 10.0 * range, high + 10.0 * range)
}

impl Rollouts {
    /// The same starts, predicted by repeating what was last known.
    #[must_use]
    pub fn persistence(&self) -> Self {
        let mut other = self.sure();
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

    /// The same starts, predicted by one value per signal.
    #[must_use]
    pub fn constant(&self, values: &[f64]) -> Self {
        let mut other = self.sure();
        for (column, value) in other.predicted.iter_mut().zip(values) {
            column.iter_mut().filter(|p| p.is_finite()).for_each(|p| *p = *value);
        }
        other
    }

    fn sure(&self) -> Self {
        let doubt = self.doubt.iter().map(|c| vec![0.0; c.len()]).collect();
        Self { doubt, ..self.clone() }
    }

    /// The pairs of signal number `k` at horizon `h` (1-based), where both values are known.
    pub fn pairs(&self, k: usize, h: usize) -> impl Iterator<Item = Pair> + '_ {
        (0..self.starts.len()).filter_map(move |start| self.pair(k, h, start))
    }

    /// The pair of start number `start`, where both values are known.
    pub fn pair(&self, k: usize, h: usize, start: usize) -> Option<Pair> {
        let at = (h - 1) * self.starts.len() + start;
        let [predicted, measured, doubt] = [&self.predicted, &self.measured, &self.doubt].map(|columns| columns[k][at]);
        (predicted.is_finite() && measured.is_finite()).then_some(Pair { start, predicted, measured, doubt })
    }

    /// Mean squared errors of `self` and `other` at horizon `h`, over the starts that both predict.
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
