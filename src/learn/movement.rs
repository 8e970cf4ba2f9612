//! The part of a control's movement that the rest of the log does not explain.
//!
//! The control is predicted by a regression with the forest model. The additional inputs of this regression are
//! piecewise linear functions of the most informative inputs, the recent past of the states and outputs
//! ([`super::history`]), and the mean of the control at the same time of the day, of the week and
//! of any other cycle that the control has ([`super::schedule`]). The regression is fitted several
//! times, leaving out one fold of the training rows each time, and the residuals are computed on
//! the left-out fold. If a control usually stays constant, its regression uses the states one step
//! earlier, because many measured values reach a new set-point within one step, so the current
//! states would explain the control.

use std::ops::Range;

use jiff::tz::TimeZone;

use super::choose::TrainingData;
use super::dataset::Dataset;
use super::history::trailing_means;
use super::layout::{Layout, Target};
use super::model;
use super::regressor::{Fit, Particle};
use super::schedule::cycle_days;
use super::split::without;
use crate::config::ModelSpec;
use crate::error::{Error, Result};
use crate::schema::{Role, Schema};
use crate::trajectory::Trajectory;

/// A control is considered piecewise constant if it keeps each value for more than this number of steps on average (not
/// tuned).
const HELD_STEPS: f64 = 2.0;
/// Only every n-th training row is used if the number of training rows is at least twice this value (not tuned).
const MAX_ROWS: usize = 20_000;
/// Like [`MAX_ROWS`], but for the rows to which the regressions are fitted (not tuned).
const MAX_FITTED_ROWS: usize = 4_000;
/// A disturbance that the model does not read becomes a regressor if it has a value in at least this fraction of the
/// rows (not tuned).
const MIN_KNOWN: f64 = 0.98;
/// Maximum number of inputs that get piecewise linear functions, and maximum number of knots per input (not tuned).
const BENT_INPUTS: usize = 6;
const KNOTS: usize = 16;
/// Number of thresholds that divide the values of an input into groups; inputs are ranked by the variance that the
/// group means explain (not tuned).
const GROUPS: usize = 20;

/// The signal that explains the largest part of the movement of a control on its own, or the time of day or week if it
/// explains more than any signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Companion {
    /// Column of the signal.
    Signal(usize),
    TimeOfDay,
    TimeOfWeek,
}

/// The time of day and the time of week for every row of the log, as indices of time slots.
pub(super) struct ClockColumns {
    /// Slot of the day.
    day: Vec<usize>,
    /// Slot of the week.
    week: Vec<usize>,
    slots_per_day: usize,
}

impl ClockColumns {
    /// A slot is as long as a step, but at least 1 minute and at most 1 hour.
    pub(super) fn new(log: &Trajectory, zone: &TimeZone) -> Self {
        let minutes = usize::try_from(log.step_ms / 60_000).unwrap_or(1).clamp(1, 60);
        let slots_per_day = 1440_usize.div_ceil(minutes);
        let slots = (0..log.steps).map(|t| {
            let time = log.time(t).to_zoned_datetime(zone.clone());
            let minute = 60 * time.hour().unsigned_abs() as usize + time.minute().unsigned_abs() as usize;
            let day = minute / minutes;
            (day, time.weekday().to_monday_zero_offset().unsigned_abs() as usize * slots_per_day + day)
        });
        let (day, week) = slots.unzip();
        Self { day, week, slots_per_day }
    }

    /// The hour of the day of each row.
    pub(super) fn hours(&self) -> Vec<usize> {
        self.day.iter().map(|slot| slot * 24 / self.slots_per_day).collect()
    }

    /// The time slot of the day of each row.
    pub(super) fn day(&self) -> &[usize] {
        &self.day
    }
}

/// A control and its regressors, as a data set whose only target is the control.
pub(super) struct Columns {
    pub(super) data: Dataset,
    /// For each row, whether the regressions are fitted to that row.
    is_fitted: Vec<bool>,
    /// Position of the regressor u(t − 1).
    own_lag: usize,
    /// The signal from which each regressor is computed; `None` for regressors that depend on the clock.
    signals: Vec<Option<usize>>,
    /// The day, the week and, if the control has another cycle, that cycle.
    cycles: Vec<Cycle>,
}

/// A period after which the control may repeat its pattern. The mean of the control at the same
/// time of the cycle is a regressor.
struct Cycle {
    /// Number of the cycle in which each row lies, counted from the start of the log.
    period: Vec<usize>,
    /// For each row, its time slot in the cycle.
    slots: Vec<usize>,
    /// Number of time slots.
    count: usize,
    /// Position of the regressor.
    column: usize,
}

impl Columns {
    pub(super) fn new(data: &TrainingData, layout: &Layout, clock: &ClockColumns, control: usize, held: f64) -> Self {
        let (log, training) = (data.log, &data.split.train);
        let follows = |s: usize| matches!(log.schema.signals[s].role, Role::State | Role::Derived);
        let shift = |s: usize| usize::from(held > HELD_STEPS && follows(s));
        let mut inputs: Vec<(usize, usize)> =
            layout.inputs.iter().filter(|i| i.0 != control).map(|&(s, lag)| (s, lag + shift(s))).collect();
        let ignored: Vec<usize> = ignored_disturbances(log, &inputs, training).collect();
        inputs.extend(ignored.into_iter().map(|s| (s, 0)));
        let own_lag = inputs.len();
        inputs.extend([(control, 1), (control, 2)]);
        let mut data = Dataset::new(log, &Layout { inputs, targets: vec![Target::Level(control)] }, data.equations);
        let is_fitted = thin(&mut data, own_lag, held > HELD_STEPS);
        let mut signals: Vec<Option<usize>> = data.layout.inputs.iter().map(|i| Some(i.0)).collect();
        for (signal, column) in bent(&data, own_lag) {
            signals.push(Some(signal));
            data.x.push(column);
        }
        let learned: Vec<usize> = layout.targets.iter().map(|t| t.signal()).collect();
        for (signal, column) in trailing_means(log, &learned, &data.row) {
            signals.push(Some(signal));
            data.x.push(column);
        }
        let at = |slot: &Vec<usize>| data.row.iter().map(|t| slot[*t]).collect::<Vec<_>>();
        let (day, week) = (at(&clock.day), at(&clock.week));
        // Encoding the hour as a number lets the forest combine the time of day with other inputs.
        data.x.push(day.iter().map(|s| *s as f64).collect());
        data.x.push(week.iter().map(|s| (s / clock.slots_per_day) as f64).collect());
        let per_day = log.steps_per_day();
        let mut slots = vec![(1, day.clone()), (7, week)];
        let rows: Vec<usize> = training.iter().cloned().flatten().collect();
        if let Some(days) = cycle_days(&log.columns[control], &rows, &clock.day, per_day) {
            let day_of = |t: &usize| t / per_day % days * clock.slots_per_day;
            slots.push((days, data.row.iter().zip(&day).map(|(t, slot)| day_of(t) + slot).collect()));
        }
        let mut cycles = Vec::new();
        for (days, slots) in slots {
            let period = data.row.iter().map(|t| t / (days * per_day)).collect();
            cycles.push(Cycle { period, slots, count: days * clock.slots_per_day, column: data.x.len() });
            data.x.push(vec![0.0; data.len()]);
        }
        signals.resize(data.x.len(), None);
        Self { data, is_fitted, own_lag, signals, cycles }
    }

    /// Sets every regressor that is computed from a state, an output or the control to a constant.
    pub(super) fn keep_exogenous(&mut self, schema: &Schema) {
        let control = self.data.layout.inputs[self.own_lag].0;
        for (column, signal) in self.data.x.iter_mut().zip(&self.signals) {
            let role = |s: usize| schema.signals[s].role;
            if signal.is_some_and(|s| s == control || matches!(role(s), Role::State | Role::Output | Role::Derived)) {
                column.fill(0.0);
            }
        }
    }

    /// Computes, from the rows `train`, the mean of the control in each time slot of every cycle. Rows of even cycles
    /// get the means over odd cycles, and vice versa, so that no mean depends on the value that it predicts.
    fn fill_slot_means(&mut self, train: &[usize]) {
        let u = &self.data.y[0];
        let mean = mean_over(u, train);
        for Cycle { period, slots, count, column } in &self.cycles {
            let mut sums = [vec![(0.0, 0.0); *count], vec![(0.0, 0.0); *count]];
            for &r in train {
                let (n, sum) = &mut sums[period[r] % 2][slots[r]];
                *n += 1.0;
                *sum += u[r];
            }
            let at = |(&slot, &period): (&usize, &usize)| {
                let (n, sum) = sums[(period + 1) % 2][slot];
                if n > 0.0 { sum / n } else { mean }
            };
            self.data.x[*column] = slots.iter().zip(period).map(at).collect();
        }
    }

    /// Returns the single regressor (a signal or the time) that explains the largest fraction of
    /// the control's variance in the rows `train`, and this fraction.
    pub(super) fn companion(&mut self, train: &[usize]) -> Option<(Companion, f64)> {
        self.fill_slot_means(train);
        let pick = |column: &[f64]| train.iter().map(|r| column[*r]).collect::<Vec<f64>>();
        let u = pick(&self.data.y[0]);
        let inputs = self.data.layout.inputs[..self.own_lag].iter().zip(&self.data.x);
        let signals = inputs.map(|((s, _), x)| (Companion::Signal(*s), explained_by(&pick(x), &u)));
        let of_cycle = |number: usize| explained_by(&pick(&self.data.x[self.cycles[number].column]), &u);
        let (day, week) = (of_cycle(0), of_cycle(1));
        // The time of the week always explains at least as much as the time of day, so a clear improvement is required.
        let clock = if week > day + 0.1 { (Companion::TimeOfWeek, week) } else { (Companion::TimeOfDay, day) };
        signals.chain([clock]).filter(|c| c.1.is_finite()).max_by(|a, b| a.1.total_cmp(&b.1))
    }
}

/// Disturbances that the model does not read, but that have a value in almost every row.
fn ignored_disturbances(
    log: &Trajectory,
    inputs: &[(usize, usize)],
    train: &[Range<usize>],
) -> impl Iterator<Item = usize> {
    let read: Vec<usize> = inputs.iter().map(|i| i.0).collect();
    let disturbances = log.schema.with_role(Role::Disturbance).into_iter();
    disturbances.filter(move |s| !read.contains(s) && is_mostly_known(log, *s, train))
}

/// Returns true if `signal` has a value in almost every row of `train`.
fn is_mostly_known(log: &Trajectory, signal: usize, train: &[Range<usize>]) -> bool {
    let values = || train.iter().flat_map(|r| log.columns[signal][r.clone()].iter());
    let known = values().filter(|v| v.is_finite()).count();
    known as f64 >= MIN_KNOWN * values().count() as f64
}

/// Removes rows from a long data set, evenly over time. If `keep_moves` is true, all rows in which the control differs
/// from its previous value (input number `own_lag`) are kept. Returns, for each remaining row,
/// whether the regressions are fitted to the row.
fn thin(data: &mut Dataset, own_lag: usize, keep_moves: bool) -> Vec<bool> {
    let n = data.len();
    let stride = (n / MAX_ROWS).max(1);
    let fitted_stride = stride * (n / stride / MAX_FITTED_ROWS).max(1);
    let moved = |r: &usize| keep_moves && data.y[0][*r] != data.x[own_lag][*r];
    let kept: Vec<usize> = (0..n).filter(|r| r % stride == 0 || moved(r)).collect();
    let pick = |column: &Vec<f64>| kept.iter().map(|r| column[*r]).collect();
    let (x, y) = (data.x.iter().map(pick).collect(), data.y.iter().map(pick).collect());
    data.row = kept.iter().map(|r| data.row[*r]).collect();
    data.control_moves = data.control_moves.iter().map(pick).collect();
    (data.x, data.y) = (x, y);
    kept.iter().map(|r| r % fitted_stride == 0).collect()
}

/// Pairs of a signal and the values of a piecewise linear function max(0, x − knot) of that signal. Piecewise linear
/// functions are computed for the inputs that best explain the control, with at most one input per signal.
fn bent(data: &Dataset, inputs: usize) -> Vec<(usize, Vec<f64>)> {
    let u = &data.y[0];
    let columns = data.layout.inputs[..inputs].iter().zip(&data.x);
    let mut ranked: Vec<(f64, usize, &Vec<f64>)> =
        columns.map(|((s, _), x)| (explained_by(x, u), *s, x)).filter(|r| r.0.is_finite()).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut taken: Vec<usize> = Vec::new();
    let mut out = Vec::new();
    // short logs cannot determine many coefficients
    let knots = KNOTS.min(data.len() / (20 * BENT_INPUTS));
    for (_, signal, x) in ranked {
        if taken.len() == BENT_INPUTS || taken.contains(&signal) {
            continue;
        }
        taken.push(signal);
        let mut knots = quantiles(x, knots);
        knots.dedup();
        out.extend(knots.iter().map(|knot| (signal, x.iter().map(|v| (v - knot).max(0.0)).collect::<Vec<f64>>())));
    }
    out
}

/// The quantiles of `x` at the levels k / (n + 1) for k = 1 … n.
fn quantiles(x: &[f64], n: usize) -> Vec<f64> {
    let mut sorted = x.to_vec();
    sorted.sort_by(f64::total_cmp);
    (1..=n).filter_map(|k| sorted.get(k * sorted.len() / (n + 1)).copied()).collect()
}

/// Mean number of steps between two changes of `control`.
pub(super) fn holding_steps(log: &Trajectory, rows: &[Range<usize>], control: usize) -> f64 {
    let column = &log.columns[control];
    let pairs = rows.iter().flat_map(|r| column[r.clone()].windows(2)).filter(|w| w[0].is_finite() && w[1].is_finite());
    let (changes, all) = pairs.fold((0usize, 0usize), |(c, n), w| (c + usize::from(w[0] != w[1]), n + 1));
    all as f64 / changes.max(1) as f64
}

/// The movement of a control in one row, computed in three ways.
pub(super) struct Movement {
    /// Row of the log.
    pub(super) row: usize,
    /// Residual of the regression on u(t − 1), u(t − 2) and z(t).
    pub(super) own: f64,
    /// Residual of the regression on u(t − 1) and u(t − 2).
    pub(super) persistent: f64,
    /// (u − mean of u)², with the mean over the rows to which the regression was fitted.
    pub(super) total: f64,
}

/// Returns the residuals of each regression on the fold that was left out of its fit.
pub(super) fn movements(
    data: &TrainingData,
    columns: &mut Columns,
    folds: &[Vec<Range<usize>>],
) -> Result<Vec<Movement>> {
    let options = ModelSpec { rollout_loss: Some(1.into()), ..data.spec.clone() };
    let mut out = Vec::new();
    for fold in folds {
        let mut train = columns.data.rows_in(&without(&data.split.train, fold, data.split.gap));
        train.retain(|r| columns.is_fitted[*r]);
        columns.fill_slot_means(&train);
        let set = &columns.data;
        let blocks: Vec<Vec<usize>> = train.chunks(train.len().div_ceil(4).max(1)).map(<[usize]>::to_vec).collect();
        let fit = Fit {
            data: set,
            rows: &train,
            folds: &blocks,
            options: &options,
            seed: data.spec.seed.value,
            compute: data.compute,
            draft: true,
            hyper: &[],
        };
        let regression = model::fit("forest", &fit)?;
        let x: Vec<&[f64]> = set.x.iter().map(Vec::as_slice).collect();
        let mut predicted = vec![vec![0.0; set.len()]];
        let rows = set.rows_in(fold);
        if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
            regression.predict(&x, &[Particle { member: None, rows: *first..*last + 1 }], &mut predicted);
        }
        let (u, before) = (&set.y[0], &set.x[columns.own_lag]);
        // the least-squares fit on u(t − 1) and u(t − 2), by orthogonalisation
        let older = &set.x[columns.own_lag + 1];
        let (first, second) = (without_line(before, u, &train), without_line(before, older, &train));
        let persistent = without_line(&second, &first, &train);
        let mean = mean_over(u, &train);
        out.extend(rows.into_iter().map(|r| Movement {
            row: set.row[r],
            own: u[r] - predicted[0][r],
            persistent: persistent[r],
            total: (u[r] - mean).powi(2),
        }));
    }
    if out.is_empty() {
        return Err(Error::Data("there are no rows from which the controls can be assessed".into()));
    }
    Ok(out)
}

/// Mean of `values` over `rows`; 0 if there are no rows.
fn mean_over(values: &[f64], rows: &[usize]) -> f64 {
    rows.iter().map(|r| values[*r]).sum::<f64>() / rows.len().max(1) as f64
}

/// Residuals of `y` after subtraction of its least-squares line on `x`, which is fitted over `rows`.
fn without_line(x: &[f64], y: &[f64], rows: &[usize]) -> Vec<f64> {
    let (mx, my) = (mean_over(x, rows), mean_over(y, rows));
    let xx: f64 = rows.iter().map(|r| (x[*r] - mx).powi(2)).sum();
    let xy: f64 = rows.iter().map(|r| (x[*r] - mx) * (y[*r] - my)).sum();
    let slope = if xx > 0.0 { xy / xx } else { 0.0 };
    let intercept = my - slope * mx;
    x.iter().zip(y).map(|(x, y)| y - intercept - slope * x).collect()
}

/// Effective number of blocks of `block` rows that contribute to the control's independent movement v: (Σ s)² / Σ s²,
/// where s is the sum of v² in a block.
pub(super) fn effective_number(own: &[Movement], block: usize) -> f64 {
    let blocks = own.chunk_by(|a, b| a.row / block.max(1) == b.row / block.max(1));
    let sums = blocks.map(|b| b.iter().map(|o| o.own * o.own).sum::<f64>());
    let (sum, squares) = sums.fold((0.0, 0.0), |(s, q), e| (s + e, q + e * e));
    if squares > 0.0 { sum * sum / squares } else { 0.0 }
}

/// Fraction of the variance of `u` explained by its means over quantile groups of `x`.
fn explained_by(x: &[f64], u: &[f64]) -> f64 {
    let knots = quantiles(x, GROUPS);
    let mut sums = vec![(0.0, 0.0); GROUPS + 1];
    for (x, u) in x.iter().zip(u) {
        let (n, sum) = &mut sums[knots.partition_point(|k| k < x)];
        *n += 1.0;
        *sum += u;
    }
    let mean = u.iter().sum::<f64>() / u.len() as f64;
    let total: f64 = u.iter().map(|v| (v - mean).powi(2)).sum();
    let between: f64 = sums.iter().filter(|s| s.0 > 0.0).map(|(n, sum)| n * (sum / n - mean).powi(2)).sum();
    between / total
}
