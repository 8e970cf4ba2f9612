//! Determines whether the log identifies the effect of each control.
//!
//! A regression predicts the control u(t) from u(t − 1), u(t − 2) and z(t): the other inputs of the model, and the time
//! of day and week. The residual v(t) of the regression is the independent movement of the control, which neither its
//! past nor z(t) explains. Only independent movement separates the effect of the control from the effects of z
//! (Robinson 1988; Chernozhukov et al. 2018). If a control has no independent movement, a model can attribute effects
//! of z to the control, and the intervals of these effects are meaningless. The explained fraction is
//!
//! > 1 − Σ v(t)² / Σ w(t)²
//!
//! where w(t) is the residual of a regression on u(t − 1) and u(t − 2) alone. Both regressions contain the past of the
//! control, so a signal that merely responds to earlier moves does not increase the explained fraction.
//!
//! A second regression explains the level of the control by the disturbances, the other controls and the clock alone.
//! The explained fraction of a control is the larger result of the two regressions. The second regression is needed if
//! a control slowly follows a disturbance: the changes from one step to the next are then mostly rounding errors or
//! noise, which the first regression cannot explain.
//!
//! Both regressions are described in [`super::movement`].
//!
//! A control that follows a schedule by day type ([`super::schedule`]) is not identified either, nor is a control to
//! which a disturbance responds ([`super::consequence`]).

use jiff::tz::TimeZone;

use super::choose::TrainingData;
use super::consequence::{Consequence, consequence};
use super::dataset::Scaling;
use super::layout::Layout;
use super::movement::{ClockColumns, Columns, Companion, effective_number, holding_steps, movements};
use super::schedule::{DayTypes, day_types};
use crate::error::{Error, Result};
use crate::schema::Role;
use crate::stats::mean_and_population_sd;

/// A control is not identified if its unexplained fraction is below this value (not tuned).
const MIN_UNEXPLAINED: f64 = 0.01;
/// The identification is weak if the unexplained fraction is below this value (not tuned).
pub const WEAK_UNEXPLAINED: f64 = 0.1;
/// A control is not identified if its number of independent moves is below this value (not tuned).
pub const MIN_MOVES: f64 = 3.0;
/// The identification is weak if the number of independent moves is below this value (not tuned).
const WEAK_MOVES: f64 = 10.0;
/// A control stands still while it stays within a range whose width is this fraction of its standard deviation (not
/// tuned).
const STANDSTILL: f64 = 0.2;
/// The newest standstill of a control is reported if it lasts longer than this fraction of the log, and longer than
/// this multiple of the mean standstill of the control (not tuned).
const IDLE: (f64, f64) = (0.2, 5.0);

/// How well the log determines the effect of a control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentificationLevel {
    /// The control moved often and independently of everything else.
    Identified,
    /// The control moved rarely, other signals and the clock explain most of its movement, or a
    /// disturbance may respond to the control.
    Weak,
    /// The control did not move, other signals and the clock explain all of its movement, or a
    /// disturbance clearly responds to the control.
    NotIdentified,
}

/// How well the log identifies the effect of one control.
#[derive(Debug, Clone, PartialEq)]
pub struct Identification {
    /// Column of the control.
    pub control: usize,
    pub level: IdentificationLevel,
    /// Fraction of the control's movement explained by other signals and the clock. The fraction is 1 for a control
    /// that never moved.
    pub explained: f64,
    /// Root mean square of the independent movement per step, in the unit of the control.
    pub own_movement: f64,
    /// Effective number of independent moves.
    pub moves: f64,
    /// Mean number of steps between two changes of the control.
    pub holding_steps: usize,
    /// The single regressor (a signal or the time) that explains the largest fraction of the control's variance, and
    /// this fraction.
    pub companion: Option<(Companion, f64)>,
    /// The schedule by day type that the control follows.
    pub day_types: Option<DayTypes>,
    /// The disturbance that responds to the control.
    pub consequence: Option<Consequence>,
    /// The row since which the control has stood still, if this standstill is much longer than usual.
    pub idle_since: Option<usize>,
}

impl Identification {
    /// A control that did not move.
    fn constant(control: usize) -> Self {
        Self {
            control,
            level: IdentificationLevel::NotIdentified,
            explained: 1.0,
            own_movement: 0.0,
            moves: 0.0,
            holding_steps: 0,
            companion: None,
            day_types: None,
            consequence: None,
            idle_since: None,
        }
    }
}

/// The independent movement of a control, in the rows in which the movement is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Movements {
    /// Column of the control.
    pub control: usize,
    /// Pairs (row of the log, movement in this row), in ascending order of rows. The last rows are those of the
    /// hold-out.
    rows: Vec<(usize, f64)>,
    /// Mean number of steps between two changes of the control.
    pub holding_steps: usize,
}

impl Movements {
    /// Returns the independent movement in `row` of the log, or `None` if the movement is not
    /// known.
    pub fn at(&self, row: usize) -> Option<f64> {
        self.rows.binary_search_by_key(&row, |r| r.0).ok().map(|i| self.rows[i].1)
    }

    pub fn root_mean_square(&self) -> f64 {
        (self.rows.iter().map(|r| r.1 * r.1).sum::<f64>() / self.rows.len().max(1) as f64).sqrt()
    }
}

/// Determines how well the log identifies the effect of each control that the model reads. Also
/// returns the independent movements of each control, except for controls whose movement is
/// completely explained by other signals and the clock. `zone` is the time zone of the time of day
/// and of the week.
///
/// # Errors
/// Returns any error of a fit other than [`Error::Data`]. A control with too few rows for a fit is
/// classified as weakly identified, and its explained fraction is NaN.
pub fn identify(data: &TrainingData, zone: &TimeZone) -> Result<(Vec<Identification>, Vec<Movements>)> {
    let layout = Layout::new(&data.log.schema, data.spec, data.equations);
    let mut controls = data.log.schema.with_role(Role::Control);
    controls.retain(|c| layout.inputs.iter().any(|i| i.0 == *c));
    if layout.targets.is_empty() || controls.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let clock = ClockColumns::new(data.log, zone);
    let unknown = |control| Identification {
        explained: f64::NAN,
        moves: f64::NAN,
        level: IdentificationLevel::Weak,
        ..Identification::constant(control)
    };
    let (mut found, mut movements) = (Vec::new(), Vec::new());
    for control in controls {
        let (identification, rows) = match assess(data, &layout, &clock, control) {
            Err(Error::Data(_)) => (unknown(control), Vec::new()),
            other => other?,
        };
        if 1.0 - identification.explained >= MIN_UNEXPLAINED && !rows.is_empty() {
            movements.push(Movements { control, rows, holding_steps: identification.holding_steps });
        }
        found.push(identification);
    }
    Ok((found, movements))
}

/// Assesses one control. Also returns the independent movement of the control in every row.
fn assess(
    data: &TrainingData,
    layout: &Layout,
    clock: &ClockColumns,
    control: usize,
) -> Result<(Identification, Vec<(usize, f64)>)> {
    let held = holding_steps(data.log, &data.split.train, control);
    let mut columns = Columns::new(data, layout, clock, control, held);
    let train = columns.data.rows_in(&data.split.train);
    let spread = Scaling::estimate(&columns.data.y, &train);
    if !data.moments[control].varies() || spread.sd[0] <= 1e-9 * spread.mean[0].abs() {
        return Ok((Identification::constant(control), Vec::new()));
    }
    let companion = columns.companion(&train);
    let folds = &data.split.folds;
    let own = movements(data, &mut columns, folds)?;
    // The movement in the hold-out is used only to test whether the newest effect differs from
    // older effects.
    let newest = match movements(data, &mut columns, std::slice::from_ref(&data.split.holdout)) {
        Err(Error::Data(_)) => Vec::new(),
        other => other?,
    };
    let left: f64 = own.iter().map(|o| o.own * o.own).sum();
    let of_moves = left / own.iter().map(|o| o.persistent * o.persistent).sum::<f64>();
    // Without u(t − 1) and the states, the regression explains the level of the control instead of its moves.
    columns.keep_exogenous(&data.log.schema);
    let level = movements(data, &mut columns, folds)?;
    let of_level = level.iter().map(|o| o.own * o.own).sum::<f64>() / level.iter().map(|o| o.total).sum::<f64>();
    let unexplained = of_moves.min(of_level).clamp(0.0, 1.0);
    let moves = effective_number(&own, held.round() as usize);
    let (u, rows) = (&data.log.columns[control], data.split.train.iter().cloned().flatten().collect::<Vec<_>>());
    let day_types = day_types(u, &rows, clock.day());
    let consequence = consequence(data, layout, &clock.hours(), control, held);
    let is_clear = consequence.is_some_and(|c| c.is_clear);
    let level = if day_types.is_some() || is_clear || unexplained < MIN_UNEXPLAINED || moves < MIN_MOVES {
        IdentificationLevel::NotIdentified
    } else if consequence.is_some() || unexplained < WEAK_UNEXPLAINED || moves < WEAK_MOVES {
        IdentificationLevel::Weak
    } else {
        IdentificationLevel::Identified
    };
    let found = Identification {
        control,
        level,
        explained: 1.0 - unexplained,
        own_movement: (left / own.len().max(1) as f64).sqrt(),
        moves,
        holding_steps: held.round() as usize,
        companion,
        day_types,
        consequence,
        idle_since: idle_since(u),
    };
    Ok((found, own.iter().chain(&newest).map(|o| (o.row, o.own)).collect()))
}

/// Returns the first row of the newest standstill of the control `u`, if this standstill is much
/// longer than usual.
fn idle_since(u: &[f64]) -> Option<usize> {
    let known: Vec<(usize, f64)> = u.iter().copied().enumerate().filter(|v| v.1.is_finite()).collect();
    let (_, sd) = mean_and_population_sd(known.iter().map(|v| v.1));
    let range = STANDSTILL * sd;
    // The log is divided into standstills from the newest row backwards.
    let mut starts = Vec::new();
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for (i, (row, value)) in known.iter().enumerate().rev() {
        if high.max(*value) - low.min(*value) > range {
            starts.push(known.get(i + 1).map_or(*row, |k| k.0));
            (low, high) = (*value, *value);
        }
        (low, high) = (low.min(*value), high.max(*value));
    }
    let (first, last, since) = (known.first()?.0, known.last()?.0, *starts.first()?);
    let idle = (last - since) as f64;
    let usual = (since - first) as f64 / starts.len() as f64;
    (idle > IDLE.0 * (last - first) as f64 && idle > IDLE.1 * usual).then_some(since)
}

#[cfg(test)]
#[path = "../../tests/unit/learn/identification.rs"]
mod tests;
