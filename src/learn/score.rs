//! Multi-step open-loop scores: the model runs on its own predictions from many rows of a log, fed with the log's
//! controls and disturbances, and is compared with what was measured.
//!
//! Horizon `h` from start row `s` means: of a state, x(s + h), made from x(s); of an output, y(s + h − 1), the `h`-th
//! step that is completed after the start. Persistence is what was last known at the start: x(s), y(s − 1).

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::calibrate::Calibration;
use super::coverage;
use super::map::{StepMap, StepScratch, Target};
use super::model::Particle;
use super::quantile::half_spread;
use super::spread::Spread;
use crate::schema::Role;
use crate::trajectory::{Frame, Trajectory, Window};

/// Levels of the central intervals whose coverage is reported.
pub const LEVELS: [f64; 4] = [0.5, 0.8, 0.9, 0.95];

/// Error of one model in one signal at one horizon. Errors are predicted − measured, in the signal's unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreRow {
    pub model: String,
    /// Column of the schema.
    pub signal: usize,
    /// Steps ahead, 1-based.
    pub horizon: usize,
    /// Starts that were scored.
    pub n: usize,
    pub rmse: f64,
    /// Mean of predicted − measured.
    pub bias: f64,
    /// 1 − MSE / MSE of persistence.
    pub skill: f64,
    /// 1 − MSE / MSE of the linear model.
    pub skill_linear: f64,
    /// 1 − MSE / MSE of the training mean.
    pub skill_mean: f64,
    /// Continuous ranked probability score.
    pub crps: f64,
    /// Measured coverage of the intervals at [`LEVELS`].
    pub coverage: [f64; 4],
    /// Independent forecasts that the coverage of the 90 % interval rests on ([`coverage::effective`]).
    pub independent: f64,
    /// Share of the measured values in each tenth of the forecast distribution (probability integral transform).
    pub pit: [f64; 10],
}

/// A row of the log from which an open-loop run starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    pub row: usize,
    /// First row of its segment.
    pub first: usize,
    /// Steps that can be run and compared before the segment, the block or the known inputs end.
    pub reach: usize,
}

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
    /// `[signals][starts]`: what was last known at the start.
    pub last: Vec<Vec<f64>>,
}

/// The signals that a map reads and that must be known for it to run.
#[derive(Debug, Clone)]
struct Reads {
    /// Everything read, for the past of a start.
    all: Vec<usize>,
    /// Controls, disturbances and set-points: the future of a start.
    exogenous: Vec<usize>,
    /// Known at the start row itself: everything but outputs and derived signals.
    present: Vec<usize>,
}

impl Reads {
    fn of(map: &StepMap, log: &Trajectory) -> Self {
        let mut read = vec![false; map.schema.len()];
        for (signal, _) in &map.layout.inputs {
            read[*signal] = true;
        }
        let e = &map.equations;
        let programs = e.early.iter().chain(&e.late).map(|p| &p.1).chain(e.next.iter().map(|p| &p.1));
        for (signal, _) in programs.flat_map(|p| p.reads.iter()) {
            read[*signal] = true;
        }
        for target in &map.layout.targets {
            read[target.signal()] = true;
        }
        let seen = |s: &usize| log.columns[*s].iter().any(|v| v.is_finite());
        let all: Vec<usize> = (0..read.len()).filter(|&s| read[s]).filter(seen).collect();
        let role = |s: usize| map.schema.signals[s].role;
        let exogenous: Vec<usize> = all.iter().copied().filter(|&s| is_exogenous(role(s))).collect();
        let present =
            all.iter().copied().filter(|&s| is_exogenous(role(s)) || role(s) == Role::State).collect::<Vec<_>>();
        Self { all, exogenous, present }
    }
}

fn is_exogenous(role: Role) -> bool {
    matches!(role, Role::Control | Role::Disturbance | Role::Setpoint)
}

/// Signals to score: the targets in their order, then the other states that the equations know.
pub fn scored_signals(map: &StepMap, log: &Trajectory) -> Vec<usize> {
    let mut signals: Vec<usize> = map.layout.targets.iter().map(|t| t.signal()).collect();
    for (state, _, _) in &map.equations.next {
        if !signals.contains(state) && log.columns[*state].iter().any(|v| v.is_finite()) {
            signals.push(*state);
        }
    }
    signals
}

/// At most `limit` rows of `blocks`, evenly spaced, from which `map` can run open loop in `log`.
///
/// A start has a complete past of `map.depth()` rows before it in its segment, so that the last one-step error before
/// it is known: that error is part of the forecast. Starts that reach the whole horizon are preferred; where blocks are too short for
/// any, shorter ones are taken.
pub fn starts(map: &StepMap, log: &Trajectory, blocks: &[Range<usize>], horizon: usize, limit: usize) -> Vec<Start> {
    let reads = Reads::of(map, log);
    let depth = map.depth();
    let known = |signals: &[usize], t: usize| signals.iter().all(|&s| log.at(s, t)[0].is_finite());
    let mut found: Vec<Start> = Vec::new();
    for segment in &log.segments {
        for block in blocks {
            let (from, to) = (block.start.max(segment.start), block.end.min(segment.end).min(log.steps));
            if from + 1 >= to {
                continue;
            }
            // How many rows before `t` have everything, and how many rows from `t` on have their inputs.
            let mut past = 0;
            let mut ready = vec![false; to - from];
            for t in from.saturating_sub(depth).max(segment.start)..to {
                if t >= from {
                    ready[t - from] = past >= depth && known(&reads.present, t);
                }
                past = if known(&reads.all, t) { past + 1 } else { 0 };
            }
            let mut future = 0;
            let mut here = Vec::new();
            for t in (from..to - 1).rev() {
                future = if known(&reads.exogenous, t) { future + 1 } else { 0 };
                if ready[t - from] && future > 0 {
                    here.push(Start { row: t, first: segment.start, reach: future.min(horizon) });
                }
            }
            here.reverse();
            found.append(&mut here);
        }
    }
    found.sort_by_key(|s| s.row);
    found.dedup_by_key(|s| s.row);
    let whole = found.iter().filter(|s| s.reach == horizon).count();
    if whole >= 30.min(found.len()) && whole > 0 {
        found.retain(|s| s.reach == horizon);
    }
    thin(&found, limit)
}

/// At most `limit` of `items`, evenly spaced, in order.
pub fn thin<T: Copy>(items: &[T], limit: usize) -> Vec<T> {
    let (n, limit) = (items.len(), limit.max(1));
    if n <= limit {
        return items.to_vec();
    }
    (0..limit).map(|i| items[i * n / limit]).collect()
}

/// A window with one row per start, at `row − back`; what is not known at that moment (outputs and derived signals of
/// the current frame) repeats the frame before, so that nothing of the future can be read.
pub(crate) fn window_at(map: &StepMap, log: &Trajectory, starts: &[Start], copies: usize, back: usize) -> Window {
    let depth = map.depth().max(2);
    let rows = starts.len() * copies;
    let time = log.time(starts.first().map_or(0, |s| s.row.saturating_sub(back)));
    let mut window = Window::new(log.schema.len(), depth, rows, time, log.step_ms);
    for (signal, spec) in log.schema.signals.iter().enumerate() {
        let late = matches!(spec.role, Role::Output | Role::Derived);
        for lag in 0..depth {
            let lag_read = if late { lag.max(1) } else { lag };
            let column = window.column_mut(signal, lag);
            for (r, start) in starts.iter().enumerate() {
                let t = start.row.saturating_sub(back + lag_read).max(start.first);
                column[r * copies..(r + 1) * copies].fill(log.at(signal, t)[0]);
            }
        }
    }
    window
}

/// Writes the log's inputs `ahead` rows after the start into the current frame; past a start's reach the last stay.
pub(crate) fn write_inputs(window: &mut Window, log: &Trajectory, starts: &[Start], copies: usize, ahead: usize) {
    for (signal, spec) in log.schema.signals.iter().enumerate() {
        if !is_exogenous(spec.role) {
            continue;
        }
        let column = window.column_mut(signal, 0);
        for (r, start) in starts.iter().enumerate() {
            let t = start.row + ahead.min(start.reach.saturating_sub(1));
            column[r * copies..(r + 1) * copies].fill(log.at(signal, t)[0]);
        }
    }
}

/// One-step errors, measured − predicted, of every target from every start, without noise: `[targets][starts]`; NaN
/// where nothing was measured. `back` steps before the start.
pub(crate) fn one_step_errors(map: &StepMap, log: &Trajectory, starts: &[Start], back: usize) -> Vec<Vec<f64>> {
    let mut window = window_at(map, log, starts, 1, back);
    let mut scratch = StepScratch::default();
    let particles = [Particle { member: None, rows: 0..starts.len() }];
    map.observe(&mut window, &mut scratch);
    map.step(&mut window, &particles, None, &mut scratch);
    let error = |target: &Target| -> Vec<f64> {
        let signal = target.signal();
        let output = matches!(target, Target::Level(_));
        let predicted = window.column(signal, usize::from(output));
        let ahead = usize::from(!output);
        starts.iter().zip(predicted).map(|(s, p)| log.at(signal, s.row + ahead - back)[0] - p).collect()
    };
    map.layout.targets.iter().map(error).collect()
}

/// Runs `map` open loop from every start over `horizon` steps. With `spread` the last one-step error before each
/// start is carried along and fades, as it does in a forecast.
pub fn rollouts(
    map: &StepMap,
    log: &Trajectory,
    starts: Vec<Start>,
    horizon: usize,
    spread: Option<&Spread>,
) -> Rollouts {
    let n = starts.len();
    let signals = scored_signals(map, log);
    let role = |s: usize| log.schema.signals[s].role;
    let mut predicted = vec![vec![f64::NAN; horizon * n]; signals.len()];
    let mut measured = predicted.clone();
    let last = signals
        .iter()
        .map(|&s| {
            let back = usize::from(role(s) == Role::Output);
            starts.iter().map(|start| log.at(s, start.row.saturating_sub(back).max(start.first))[0]).collect()
        })
        .collect();
    if n == 0 {
        return Rollouts { signals, horizon, starts, predicted, measured, last };
    }
    let mut noise = spread.map(|_| {
        let mut errors = one_step_errors(map, log, &starts, 1);
        errors.iter_mut().flatten().filter(|e| !e.is_finite()).for_each(|e| *e = 0.0);
        errors
    });
    let bounds: Vec<(f64, f64)> = signals.iter().map(|&s| hopeless(&log.columns[s])).collect();
    let mut window = window_at(map, log, &starts, 1, 0);
    let mut scratch = StepScratch::default();
    let single = [Particle { member: None, rows: 0..n }];
    let each: Vec<Particle> = (0..n).map(|r| Particle { member: None, rows: r..r + 1 }).collect();
    for h in 0..horizon {
        write_inputs(&mut window, log, &starts, 1, h);
        map.observe(&mut window, &mut scratch);
        match (spread, &mut noise) {
            (Some(spread), Some(noise)) => {
                spread.decay(noise);
                map.step(&mut window, &each, Some(noise), &mut scratch);
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
    Rollouts { signals, horizon, starts, predicted, measured, last }
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
        let mut other = self.clone();
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
        let mut other = self.clone();
        for (column, value) in other.predicted.iter_mut().zip(values) {
            column.iter_mut().filter(|p| p.is_finite()).for_each(|p| *p = *value);
        }
        other
    }

    /// (start, predicted, measured) of signal number `k` at horizon `h` (1-based), where both are known.
    pub fn pairs(&self, k: usize, h: usize) -> impl Iterator<Item = (usize, f64, f64)> + '_ {
        let n = self.starts.len();
        let at = (h - 1) * n..h * n;
        self.predicted[k][at.clone()]
            .iter()
            .zip(&self.measured[k][at])
            .enumerate()
            .filter(|(_, (p, m))| p.is_finite() && m.is_finite())
            .map(|(r, (p, m))| (r, *p, *m))
    }

    /// Mean squared errors of `self` and `other` at horizon `h`, over the starts that both predict.
    pub fn paired_mse(&self, other: &Self, k: usize, h: usize) -> (f64, f64) {
        let n = self.starts.len();
        let (mut a, mut b, mut count) = (0.0, 0.0, 0.0);
        for (r, p, m) in self.pairs(k, h) {
            let q = other.predicted[k][(h - 1) * n + r];
            if q.is_finite() {
                a += (p - m).powi(2);
                b += (q - m).powi(2);
                count += 1.0;
            }
        }
        (a / count, b / count)
    }
}

/// The predictions of the models that every model is compared with, over the same starts.
#[derive(Debug, Clone)]
pub struct Baselines {
    pub persistence: Rollouts,
    pub linear: Rollouts,
    /// The training mean.
    pub mean: Rollouts,
}

/// Scores of every signal and horizon; intervals and CRPS come from `calibration`.
pub fn score(model: &str, run: &Rollouts, calibration: &Calibration, baselines: &Baselines) -> Vec<ScoreRow> {
    let mut rows = Vec::with_capacity(run.signals.len() * run.horizon);
    for (k, &signal) in run.signals.iter().enumerate() {
        for h in 1..=run.horizon {
            let (mut squares, mut sum, mut crps) = (0.0, 0.0, 0.0);
            let (mut inside, mut pit) = ([0.0; 4], [0.0; 10]);
            let (mut held, mut sizes) = (Vec::new(), Vec::new());
            let intervals = LEVELS.map(|level| calibration.interval(k, h, level));
            let tenths: [f64; 9] = std::array::from_fn(|i| calibration.quantile(k, h, (i + 1) as f64 / 10.0));
            for (_, predicted, measured) in run.pairs(k, h) {
                let error = predicted - measured;
                squares += error * error;
                sum += error;
                crps += calibration.crps(k, h, -error);
                for (count, (low, high)) in inside.iter_mut().zip(intervals) {
                    *count += f64::from(u8::from((low..=high).contains(&-error)));
                }
                pit[tenths.partition_point(|q| *q < -error)] += 1.0;
                held.push(f64::from(u8::from((intervals[2].0..=intervals[2].1).contains(&-error))));
                sizes.push(error.abs());
            }
            let n = held.len();
            if n == 0 {
                continue;
            }
            let count = n as f64;
            rows.push(ScoreRow {
                model: model.to_owned(),
                signal,
                horizon: h,
                n,
                rmse: (squares / count).sqrt(),
                bias: sum / count,
                skill: skill(run.paired_mse(&baselines.persistence, k, h)),
                skill_linear: skill(run.paired_mse(&baselines.linear, k, h)),
                skill_mean: skill(run.paired_mse(&baselines.mean, k, h)),
                crps: crps / count,
                coverage: inside.map(|c| c / count),
                // Where all or none are held, the errors' sizes tell the memory.
                independent: coverage::effective(&held).or_else(|| coverage::effective(&sizes)).unwrap_or(count),
                pit: pit.map(|c| c / count),
            });
        }
    }
    rows
}

/// 1 − MSE / reference MSE; zero when both are perfect.
pub fn skill((mse, reference): (f64, f64)) -> f64 {
    if mse <= 0.0 && reference <= 0.0 { 0.0 } else { 1.0 - mse / reference.max(f64::MIN_POSITIVE) }
}

/// CRPS of the normal distribution N(mean, sd²) at `y` (Gneiting & Raftery 2007, eq. 21 of the closed forms).
pub fn crps_normal(mean: f64, sd: f64, y: f64) -> f64 {
    let z = (y - mean) / sd;
    let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
    sd * (z * (2.0 * normal_cdf(z) - 1.0) + 2.0 * density - 1.0 / std::f64::consts::PI.sqrt())
}

/// CRPS of the empirical distribution of `sorted` (ascending, equal weights) at `y`: E|X − y| − ½ E|X − X'|.
pub fn crps_sample(sorted: &[f64], y: f64) -> f64 {
    let n = sorted.len() as f64;
    let distance = sorted.iter().map(|x| (x - y).abs()).sum::<f64>() / n;
    distance - half_spread(sorted)
}

/// Standard normal distribution function, to about 1e-15: Marsaglia's series (2004).
pub fn normal_cdf(z: f64) -> f64 {
    if z.abs() > 8.3 {
        return if z > 0.0 { 1.0 } else { 0.0 };
    }
    let (mut sum, mut term, mut k) = (z, z, 1.0);
    loop {
        k += 2.0;
        term *= z * z / k;
        let next = sum + term;
        if next == sum {
            break;
        }
        sum = next;
    }
    0.5 + sum * (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::normal_quantile;

    #[test]
    fn crps_has_its_golden_numbers() {
        assert!((crps_normal(0.0, 1.0, 0.0) - 0.233_695_0).abs() < 5e-8);
        assert!((crps_normal(0.0, 1.0, 1.0) - 0.602_441_4).abs() < 5e-8);
        assert!((crps_normal(10.0, 2.0, 13.0) - 1.988_848_0).abs() < 5e-8);
    }

    #[test]
    fn empirical_crps_tends_to_the_normal_one() {
        let n = 4000;
        let sample: Vec<f64> = (0..n).map(|i| normal_quantile((f64::from(i) + 0.5) / f64::from(n))).collect();
        for y in [-2.0, 0.0, 0.7, 3.0] {
            assert!((crps_sample(&sample, y) - crps_normal(0.0, 1.0, y)).abs() < 2e-4);
        }
        assert!((crps_sample(&[2.0], 5.0) - 3.0).abs() < 1e-15);
    }

    #[test]
    fn normal_cdf_inverts_the_quantile() {
        for p in [1e-6, 0.025, 0.3, 0.5, 0.8, 0.999] {
            assert!((normal_cdf(normal_quantile(p)) - p).abs() < 1e-8 * p.max(1e-2));
        }
    }

    #[test]
    fn thinning_keeps_order_and_ends_apart() {
        assert_eq!(thin(&[0, 1, 2, 3, 4, 5, 6, 7], 4), [0, 2, 4, 6]);
        assert_eq!(thin(&[0, 1], 4), [0, 1]);
    }
}
