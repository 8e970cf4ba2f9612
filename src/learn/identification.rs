//! Whether the log identifies the effect of each control.
//!
//! A regression predicts the control u(t) from u(t − 1) and z(t): the other inputs of the model, and the time of day and
//! week. Its residual v(t) is the own movement of the control, which nothing else in the log explains. Only the own
//! movement separates the effect of the control from the effects of z (Robinson 1988; Chernozhukov et al. 2018).
//! Without own movement, a model can attribute the effect of z to u, and every interval of such an effect is
//! meaningless. The explained fraction is
//!
//! > 1 − Σ v(t)² / Σ w(t)²
//!
//! where w(t) is the residual of a regression on u(t − 1) alone. Because both regressions contain u(t − 1), a state that
//! merely responds to earlier moves of the control explains nothing.
//!
//! The regression is the forest model with additional inputs: piecewise linear functions of the most informative
//! inputs, and the mean of the control at the same time of the day and of the week. It is fitted leaving out one fold of
//! the training rows at a time, and the residuals are those on the fold that is left out. A control that is usually
//! constant is compared with the states one step earlier, because measured values often follow their set-point within
//! one step.

use std::ops::Range;

use jiff::tz::TimeZone;
use rayon::prelude::*;

use super::choose::TrainingData;
use super::dataset::Dataset;
use super::layout::{Layout, Target};
use super::model;
use super::regressor::{Fit, Particle};
use super::split::without;
use crate::config::ModelSpec;
use crate::error::{Error, Result};
use crate::schema::Role;
use crate::trajectory::Trajectory;

/// A control is not identified if its unexplained fraction is below this value (not tuned).
const MIN_UNEXPLAINED: f64 = 0.01;
/// The identification is weak if the unexplained fraction is below this value (not tuned).
const WEAK_UNEXPLAINED: f64 = 0.1;
/// A control with fewer independent moves is not identified (not tuned).
const MIN_MOVES: f64 = 3.0;
/// The identification is weak if there are fewer independent moves (not tuned).
const WEAK_MOVES: f64 = 10.0;
/// A control is usually constant if it keeps its value in more than this fraction of the steps.
const HELD: f64 = 0.5;
/// Maximum number of rows of a regression (not tuned).
const MAX_ROWS: usize = 4_000;
/// Number of inputs with piecewise linear functions, and number of their knots, at quantiles (not tuned).
const BENT_INPUTS: usize = 6;
const KNOTS: usize = 16;
/// Number of knots between the groups by which inputs are ranked (not tuned).
const GROUPS: usize = 20;

/// How well the log determines the effect of a control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentificationLevel {
    /// The control moved often and independently of everything else.
    Identified,
    /// The control moved rarely, or mostly together with other signals or the clock.
    Weak,
    /// The control did not move, or only together with other signals or the clock.
    NotIdentified,
}

/// The movement of a control that nothing else in the log explains.
#[derive(Debug, Clone, PartialEq)]
pub struct Identification {
    /// Column of the control.
    pub control: usize,
    pub level: IdentificationLevel,
    /// Fraction of the movement of the control that other signals and the clock explain; 1 if it never moved.
    pub explained: f64,
    /// Root mean square of the own movement per step, in the unit of the control.
    pub own_movement: f64,
    /// Effective number of independent moves.
    pub moves: f64,
    /// Mean number of steps between two changes of the control.
    pub holding_steps: usize,
    /// The signal or clock that explains most of the variance on its own, and the fraction that it explains.
    pub companion: Option<(Companion, f64)>,
}

/// Something that moved together with a control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Companion {
    /// Column of the signal.
    Signal(usize),
    TimeOfDay,
    TimeOfWeek,
}

/// Assesses every control that the model reads. The clock runs in `zone`.
///
/// # Errors
/// Any error of a fit other than [`Error::Data`]. A control with too few rows for a fit is left out.
pub fn identify(data: &TrainingData, zone: &TimeZone) -> Result<Vec<Identification>> {
    let layout = Layout::new(&data.log.schema, data.spec, data.equations);
    if layout.targets.is_empty() {
        return Ok(Vec::new());
    }
    let clock = ClockColumns::new(data.log, zone);
    let mut controls = data.log.schema.with_role(Role::Control);
    controls.retain(|c| layout.inputs.iter().any(|i| i.0 == *c));
    let assessed: Vec<Result<Identification>> =
        controls.into_par_iter().map(|control| assess(data, &layout, &clock, control)).collect();
    let mut out = Vec::new();
    for result in assessed {
        match result {
            Ok(identification) => out.push(identification),
            Err(Error::Data(_)) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(out)
}

fn assess(data: &TrainingData, layout: &Layout, clock: &ClockColumns, control: usize) -> Result<Identification> {
    if !data.moments[control].varies() {
        return Ok(Identification {
            control,
            level: IdentificationLevel::NotIdentified,
            explained: 1.0,
            own_movement: 0.0,
            moves: 0.0,
            holding_steps: 0,
            companion: None,
        });
    }
    let held = holding_steps(data.log, &data.split.train, control);
    let mut columns = Columns::new(data, layout, clock, control, held);
    let companion = columns.companion();
    let own = own_movement(data, &mut columns)?;
    let left: f64 = own.iter().map(|o| o.own * o.own).sum();
    let all: f64 = own.iter().map(|o| o.persistent * o.persistent).sum();
    let unexplained = (left / all).clamp(0.0, 1.0);
    let moves = effective_number(&own);
    let level = if unexplained < MIN_UNEXPLAINED || moves < MIN_MOVES {
        IdentificationLevel::NotIdentified
    } else if unexplained < WEAK_UNEXPLAINED || moves < WEAK_MOVES {
        IdentificationLevel::Weak
    } else {
        IdentificationLevel::Identified
    };
    Ok(Identification {
        control,
        level,
        explained: 1.0 - unexplained,
        own_movement: (left / own.len().max(1) as f64).sqrt(),
        moves,
        holding_steps: held.round() as usize,
        companion,
    })
}

/// The time of day and week at every row of the log.
struct ClockColumns {
    /// Slot of the day.
    day: Vec<usize>,
    /// Slot of the week.
    week: Vec<usize>,
    slots_per_day: usize,
}

impl ClockColumns {
    /// A slot is as long as a step, but 5 minutes to 1 hour.
    fn new(log: &Trajectory, zone: &TimeZone) -> Self {
        let minutes = usize::try_from(log.step_ms / 60_000).unwrap_or(1).clamp(5, 60);
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
}

/// A control and its regressors, as a data set whose only target is the control.
struct Columns {
    data: Dataset,
    /// Position of the regressor u(t − 1).
    own_lag: usize,
    /// Slot of the day and of the week of each row.
    slots: [Vec<usize>; 2],
    /// Number of slots of a day and of a week.
    slot_counts: [usize; 2],
    /// Positions of the two regressors that contain the mean of the control at the same time.
    slot_means: [usize; 2],
}

impl Columns {
    fn new(data: &TrainingData, layout: &Layout, clock: &ClockColumns, control: usize, held: f64) -> Self {
        let log = data.log;
        let shift = |s: usize| usize::from(held > 1.0 / (1.0 - HELD) && log.schema.signals[s].role == Role::State);
        let mut inputs: Vec<(usize, usize)> =
            layout.inputs.iter().filter(|i| i.0 != control).map(|&(s, lag)| (s, lag + shift(s))).collect();
        let own_lag = inputs.len();
        inputs.push((control, 1));
        let mut data = Dataset::new(log, &Layout { inputs, targets: vec![Target::Level(control)] }, data.equations);
        let bent = bent(&data.x[..own_lag], &data.y[0]);
        data.x.extend(bent);
        let slots = [&clock.day, &clock.week].map(|slot| data.row.iter().map(|t| slot[*t]).collect::<Vec<_>>());
        // Encoding the hour as a number lets the forest combine the time of day with other inputs.
        data.x.push(slots[0].iter().map(|s| *s as f64).collect());
        data.x.push(slots[1].iter().map(|s| (s / clock.slots_per_day) as f64).collect());
        let slot_means = [data.x.len(), data.x.len() + 1];
        data.x.extend([vec![0.0; data.len()], vec![0.0; data.len()]]);
        Self { data, own_lag, slots, slot_counts: [clock.slots_per_day, 7 * clock.slots_per_day], slot_means }
    }

    /// Fills the means of the control at the same time from the rows `train`.
    fn fill_slot_means(&mut self, train: &[usize]) {
        let u = &self.data.y[0];
        let mean = train.iter().map(|r| u[*r]).sum::<f64>() / train.len().max(1) as f64;
        for ((slots, count), column) in self.slots.iter().zip(self.slot_counts).zip(self.slot_means) {
            let mut sums = vec![(0.0, 0.0); count];
            for &r in train {
                sums[slots[r]].0 += 1.0;
                sums[slots[r]].1 += u[r];
            }
            let means = sums.iter().map(|(n, sum)| if *n > 0.0 { sum / n } else { mean }).collect::<Vec<f64>>();
            self.data.x[column] = slots.iter().map(|s| means[*s]).collect();
        }
    }

    /// The signal or clock that explains most of the control's variance on its own, and the explained fraction.
    fn companion(&self) -> Option<(Companion, f64)> {
        let u = &self.data.y[0];
        let inputs = self.data.layout.inputs[..self.own_lag].iter().zip(&self.data.x);
        let signals = inputs.map(|((s, _), x)| (Companion::Signal(*s), explained_by(x, u)));
        let [day, week] = [0, 1].map(|k| explained_by_groups(u, self.slot_counts[k], &self.slots[k]));
        // The slots of the week contain those of the day, so they must explain clearly more.
        let clock = if week > day + 0.1 { (Companion::TimeOfWeek, week) } else { (Companion::TimeOfDay, day) };
        signals.chain([clock]).filter(|c| c.1.is_finite()).max_by(|a, b| a.1.total_cmp(&b.1))
    }
}

/// Piecewise linear functions max(0, x − knot) of the columns of `x` that explain most of `u`.
fn bent(x: &[Vec<f64>], u: &[f64]) -> Vec<Vec<f64>> {
    let mut ranked: Vec<(f64, &Vec<f64>)> = x.iter().map(|x| (explained_by(x, u), x)).collect();
    ranked.retain(|r| r.0.is_finite());
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut out = Vec::new();
    for (_, x) in ranked.into_iter().take(BENT_INPUTS) {
        let mut knots = quantiles(x, KNOTS);
        knots.dedup();
        out.extend(knots.iter().map(|knot| x.iter().map(|v| (v - knot).max(0.0)).collect::<Vec<f64>>()));
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
fn holding_steps(log: &Trajectory, rows: &[Range<usize>], control: usize) -> f64 {
    let column = &log.columns[control];
    let pairs = rows.iter().flat_map(|r| column[r.clone()].windows(2)).filter(|w| w[0].is_finite() && w[1].is_finite());
    let (changes, all) = pairs.fold((0, 0), |(c, n), w| (c + usize::from(w[0] != w[1]), n + 1));
    f64::from(u32::try_from(all).unwrap_or(u32::MAX)) / f64::from(u32::try_from(changes.max(1)).unwrap_or(u32::MAX))
}

/// The movement of a control in one row.
struct Movement {
    /// Residual of the regression on u(t − 1) and z(t).
    own: f64,
    /// Residual of the regression on u(t − 1).
    persistent: f64,
}

/// The residuals of the regressions on the folds that were left out.
fn own_movement(data: &TrainingData, columns: &mut Columns) -> Result<Vec<Movement>> {
    let options = ModelSpec { rollout_loss: 1.into(), ..data.spec.clone() };
    let mut out = Vec::new();
    for fold in &data.split.folds {
        let train = columns.data.rows_in(&without(&data.split.train, fold, data.split.gap));
        columns.fill_slot_means(&train);
        let set = &columns.data;
        let train = thinned(&train);
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
        let (intercept, slope) = line(before, u, &train);
        out.extend(
            rows.into_iter()
                .map(|r| Movement { own: u[r] - predicted[0][r], persistent: u[r] - intercept - slope * before[r] }),
        );
    }
    if out.is_empty() {
        return Err(Error::Data("there are no rows to assess the controls".into()));
    }
    Ok(out)
}

fn thinned(rows: &[usize]) -> Vec<usize> {
    let n = rows.len().min(MAX_ROWS);
    (0..n).map(|i| rows[i * rows.len() / n]).collect()
}

/// Intercept and slope of the least-squares line of `y` on `x` over `rows`.
fn line(x: &[f64], y: &[f64], rows: &[usize]) -> (f64, f64) {
    let n = rows.len().max(1) as f64;
    let (mx, my) = (rows.iter().map(|r| x[*r]).sum::<f64>() / n, rows.iter().map(|r| y[*r]).sum::<f64>() / n);
    let xx: f64 = rows.iter().map(|r| (x[*r] - mx).powi(2)).sum();
    let xy: f64 = rows.iter().map(|r| (x[*r] - mx) * (y[*r] - my)).sum();
    let slope = if xx > 0.0 { xy / xx } else { 0.0 };
    (my - slope * mx, slope)
}

/// The effective number of rows that contribute to the own movement: (Σ v²)² / Σ v⁴.
fn effective_number(own: &[Movement]) -> f64 {
    let (sum, squares) = own.iter().map(|o| o.own * o.own).fold((0.0, 0.0), |(s, q), e| (s + e, q + e * e));
    if squares > 0.0 { sum * sum / squares } else { 0.0 }
}

/// Fraction of the variance of `u` that the means over quantile groups of `x` explain.
fn explained_by(x: &[f64], u: &[f64]) -> f64 {
    let knots = quantiles(x, GROUPS);
    let group: Vec<usize> = x.iter().map(|v| knots.partition_point(|k| k < v)).collect();
    explained_by_groups(u, GROUPS + 1, &group)
}

/// Fraction of the variance of `y` between the means of its groups.
fn explained_by_groups(y: &[f64], count: usize, group: &[usize]) -> f64 {
    let mut sums = vec![(0.0, 0.0); count];
    for (v, group) in y.iter().zip(group) {
        let (n, sum) = &mut sums[*group];
        *n += 1.0;
        *sum += v;
    }
    let mean = y.iter().sum::<f64>() / y.len() as f64;
    let total: f64 = y.iter().map(|v| (v - mean).powi(2)).sum();
    let between: f64 = sums.iter().filter(|s| s.0 > 0.0).map(|(n, sum)| n * (sum / n - mean).powi(2)).sum();
    between / total
}

#[cfg(test)]
#[path = "../../tests/unit/learn/identification.rs"]
mod tests;
