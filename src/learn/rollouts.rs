//! Multi-step open-loop runs: the model runs on its own predictions from many rows of a log, fed with the log's controls
//! and disturbances, beside what was measured.
//!
//! Horizon `h` from start row `s` means: of a state, x(s + h), made from x(s); of an output, y(s + h − 1), the `h`-th
//! step that is completed after the start. Persistence is what was last known at the start: x(s), y(s − 1).

use std::ops::Range;

use super::map::{StepMap, StepScratch, Target};
use super::model::Particle;
use super::noise_model::NoiseModel;
use crate::schema::Role;
use crate::trajectory::{Frame, Trajectory, Window};

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
    let at = |s: &Start| log.time(s.row.saturating_sub(back)).as_millisecond() as f64 / 1e3;
    window.set_row_seconds(starts.iter().flat_map(|s| std::iter::repeat_n(at(s), copies)).collect());
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
    spread: Option<&NoiseModel>,
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
    let targets = map.layout.targets.len();
    let doubts = spread.is_some() && map.regressor.members() > 1;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_order_and_ends_apart() {
        assert_eq!(thin(&[0, 1, 2, 3, 4, 5, 6, 7], 4), [0, 2, 4, 6]);
        assert_eq!(thin(&[0, 1], 4), [0, 1]);
    }
}
