//! Imitation of the plant's own controller: a regression of each control on the signals that operators see.
//!
//! > u(t) = f(states, disturbances and set-points at t, time of day and day of the week, and possibly u(t − 1))
//!
//! The regression is fitted with and without the previous value. Both variants are assessed in free-run
//! simulation on blocks that were not used in their fit: the imitation receives the logged states and disturbances, but
//! its own previous values. With logged previous values as inputs, an imitation that merely repeats the previous value
//! would appear perfect for a control that moves rarely. The variant without the previous value is preferred unless the
//! other variant is clearly better.

use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::dataset::Dataset;
use super::equations::Equations;
use super::layout::{Layout, Target};
use super::model;
use super::regressor::{Fit, Particle, Regressor};
use crate::compute::Compute;
use crate::config::ModelSpec;
use crate::error::{Error, Result};
use crate::schema::{Bounds, Role, Schema};
use crate::stats::mean;
use crate::trajectory::{Frame, Trajectory, Window};

/// Number of blocks for cross-fitting (not tuned).
const FOLDS: usize = 5;
/// Number of rows between a block and the rows used in the fit for this block (not tuned).
const GAP: usize = 48;
/// Maximum number of rows of each block that are assessed in free run (not tuned).
const ASSESSED_ROWS: usize = 4_000;
/// A disturbance is used as an input only if at least this fraction of its values is known (not tuned).
const MIN_KNOWN: f64 = 0.98;
/// The variant with the previous value is used only if its error, relative to that of the variant without the previous
/// value, is below this fraction (not tuned).
const CLEARLY_BETTER: f64 = 0.95;
/// An imitation that explains less than this fraction of the variance of a control is poor (not tuned).
const POOR: f64 = 0.5;
/// An error below this fraction of the logged range is negligible, regardless of the explained fraction (not tuned).
const NEGLIGIBLE: f64 = 0.02;

/// The imitation of one control.
#[derive(Debug, Clone)]
pub struct Imitation {
    pub signal: usize,
    inputs: Vec<Input>,
    model: Arc<dyn Regressor>,
    /// Range of the logged values, which the imitation never leaves.
    logged: Bounds,
    zone: TimeZone,
    pub quality: ImitationQuality,
}

/// How well an imitation reproduces the logged control in free run, on blocks to which it was not fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImitationQuality {
    /// Explained fraction of the variance (R²); 1 if the control is constant and the imitation is exact.
    pub explained: f64,
    /// Root mean square error, in the unit of the control.
    pub rmse: f64,
    /// Whether the imitation reads its own previous value.
    pub reads_previous: bool,
    /// Whether the imitation is too inaccurate to represent the plant's own controller.
    pub poor: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    Signal(usize),
    /// The value of the control itself one step ago.
    Previous,
    /// Local time of day, in hours.
    Hour,
    /// Day of the week, from 0 (Monday).
    Weekday,
}

impl Imitation {
    /// Imitates the control `signal` of `log` (1 particle), whose constants and derived signals must be filled in.
    ///
    /// # Errors
    /// Returns [`Error::Data`] if the log has too few rows in which all inputs are known.
    pub fn fit(
        log: &Trajectory,
        equations: &Equations,
        spec: &ModelSpec,
        signal: usize,
        zone: &TimeZone,
        compute: &Compute,
    ) -> Result<Self> {
        let seen = visible(log, equations);
        let columns = Columns::new(log, &seen, signal, zone);
        if columns.data.len() < 2 * FOLDS {
            let name = &log.schema.signals[signal].name;
            return Err(Error::Data(format!("the log has too few complete rows to imitate the control `{name}`")));
        }
        let options = ModelSpec { rollout_loss: Some(1.into()), ..spec.clone() };
        let fitting = Fitting { options: &options, seed: spec.seed.value, compute };
        let [without, with] = [false, true].map(|previous| columns.variant(previous));
        let (error_without, error_with) = (fitting.free_run_error(&without)?, fitting.free_run_error(&with)?);
        let reads_previous = error_with < CLEARLY_BETTER * error_without;
        let (chosen, rmse) = if reads_previous { (with, error_with) } else { (without, error_without) };
        let u = &chosen.data.y[0];
        let centre = mean(u);
        let variance = u.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / u.len() as f64;
        let logged = u.iter().fold(Bounds { low: f64::INFINITY, high: f64::NEG_INFINITY }, |b, v| Bounds {
            low: b.low.min(*v),
            high: b.high.max(*v),
        });
        let scale = logged.high - logged.low;
        let explained = if variance > 0.0 { 1.0 - rmse.powi(2) / variance } else { 1.0 };
        let quality =
            ImitationQuality { explained, rmse, reads_previous, poor: explained < POOR && rmse > NEGLIGIBLE * scale };
        let rows: Vec<usize> = (0..chosen.data.len()).collect();
        let model = fitting.fit(&chosen.data, &rows, false)?;
        Ok(Self { signal, inputs: chosen.inputs, model, logged, zone: zone.clone(), quality })
    }

    /// Writes the imitated control of the current step for every row of `window`.
    pub fn act(&self, window: &Window, out: &mut [f64]) {
        let rows = out.len();
        let (hour, weekday) = clock(window.time(), &self.zone);
        let columns: Vec<Vec<f64>> = self
            .inputs
            .iter()
            .map(|input| match input {
                Input::Signal(s) => window.column(*s, 0).to_vec(),
                Input::Previous => window.column(self.signal, 1).to_vec(),
                Input::Hour => vec![hour; rows],
                Input::Weekday => vec![weekday; rows],
            })
            .collect();
        let x: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let mut predicted = vec![vec![0.0; rows]];
        self.model.predict(&x, &[Particle { member: None, rows: 0..rows }], &mut predicted);
        out.iter_mut().zip(&predicted[0]).for_each(|(o, v)| *o = self.logged.clamp(*v));
    }
}

/// The states, disturbances and set-points that operators can see. A signal is left out if it is constant or if too few
/// of its values are known.
fn visible(log: &Trajectory, equations: &Equations) -> Vec<usize> {
    let varies = |s: &usize| {
        let values = || log.columns[*s].iter().filter(|v| v.is_finite());
        let known = values().count() as f64 >= MIN_KNOWN * log.steps as f64;
        let first = values().next().copied();
        known && values().any(|v| Some(*v) != first) && !equations.constants.iter().any(|c| c.signal == *s)
    };
    let roles = [Role::State, Role::Disturbance, Role::Setpoint];
    let signals = (0..log.schema.len()).filter(|s| roles.contains(&log.schema.signals[*s].role));
    signals.filter(varies).collect()
}

/// The local hour of the day, and the day of the week as a number.
fn clock(time: Timestamp, zone: &TimeZone) -> (f64, f64) {
    let local = time.to_zoned_datetime(zone.clone());
    let hour = f64::from(local.hour()) + f64::from(local.minute()) / 60.0 + f64::from(local.second()) / 3600.0;
    (hour, f64::from(local.weekday().to_monday_zero_offset()))
}

/// The regressors of one control. The previous value is the last input.
struct Columns {
    inputs: Vec<Input>,
    data: Dataset,
}

impl Columns {
    fn new(log: &Trajectory, seen: &[usize], control: usize, zone: &TimeZone) -> Self {
        let mut inputs: Vec<Input> = seen.iter().map(|s| Input::Signal(*s)).collect();
        inputs.push(Input::Hour);
        // Daily patterns differ between weekdays only if the log covers several weeks.
        if log.steps as f64 * log.step_seconds() > 21.0 * 86_400.0 {
            inputs.push(Input::Weekday);
        }
        inputs.push(Input::Previous);
        let complete = |t: &usize| {
            seen.iter().all(|&s| log.columns[s][*t].is_finite())
                && log.columns[control][*t].is_finite()
                && log.columns[control][t - 1].is_finite()
        };
        let row: Vec<usize> = log.segments.iter().flat_map(|s| s.start + 1..s.end).filter(complete).collect();
        let clocks: Vec<(f64, f64)> = row.iter().map(|&t| clock(log.time(t), zone)).collect();
        let column = |input: &Input| -> Vec<f64> {
            match input {
                Input::Signal(s) => row.iter().map(|&t| log.columns[*s][t]).collect(),
                Input::Previous => row.iter().map(|&t| log.columns[control][t - 1]).collect(),
                Input::Hour => clocks.iter().map(|c| c.0).collect(),
                Input::Weekday => clocks.iter().map(|c| c.1).collect(),
            }
        };
        let x = inputs.iter().map(column).collect();
        let y = vec![row.iter().map(|&t| log.columns[control][t]).collect()];
        let layout =
            Layout { inputs: (0..inputs.len()).map(|k| (k, 0)).collect(), targets: vec![Target::Level(control)] };
        Self { data: Dataset { layout, x, y, row, step_ms: log.step_ms, control_moves: Vec::new() }, inputs }
    }

    /// The inputs of the regression, with or without the previous value.
    fn variant(&self, previous: bool) -> Self {
        let keep = self.inputs.len() - usize::from(!previous);
        let layout = Layout { inputs: self.data.layout.inputs[..keep].to_vec(), ..self.data.layout.clone() };
        Self {
            inputs: self.inputs[..keep].to_vec(),
            data: Dataset { layout, x: self.data.x[..keep].to_vec(), ..self.data.clone() },
        }
    }

    fn reads_previous(&self) -> bool {
        self.inputs.last() == Some(&Input::Previous)
    }
}

struct Fitting<'a> {
    options: &'a ModelSpec,
    seed: u64,
    compute: &'a Compute,
}

impl Fitting<'_> {
    fn fit(&self, data: &Dataset, rows: &[usize], draft: bool) -> Result<Arc<dyn Regressor>> {
        let blocks: Vec<Vec<usize>> = rows.chunks(rows.len().div_ceil(4).max(1)).map(<[usize]>::to_vec).collect();
        model::fit(
            "forest",
            &Fit {
                data,
                rows,
                folds: &blocks,
                options: self.options,
                seed: self.seed,
                compute: self.compute,
                draft,
                hyper: &[],
            },
        )
    }

    /// Root mean square error of the free run over all blocks. Each block is imitated by a regression that is fitted to
    /// the other blocks.
    fn free_run_error(&self, columns: &Columns) -> Result<f64> {
        let n = columns.data.len();
        let (mut sum, mut count) = (0.0, 0usize);
        for k in 0..FOLDS {
            let block = k * n / FOLDS..(k + 1) * n / FOLDS;
            let near = block.start.saturating_sub(GAP)..block.end + GAP;
            let train: Vec<usize> = (0..n).filter(|r| !near.contains(r)).collect();
            let model = self.fit(&columns.data, &train, true)?;
            let assessed = block.start..block.end.min(block.start + ASSESSED_ROWS);
            let imitated = free_run(columns, model.as_ref(), assessed.clone());
            for (r, v) in assessed.zip(imitated) {
                sum += (columns.data.y[0][r] - v).powi(2);
                count += 1;
            }
        }
        Ok((sum / count.max(1) as f64).sqrt())
    }
}

/// Returns the imitated control over consecutive transitions. After a gap in the log, the imitation
/// continues from the logged value.
fn free_run(columns: &Columns, model: &dyn Regressor, rows: Range<usize>) -> Vec<f64> {
    let data = &columns.data;
    let mut predicted = vec![vec![0.0; rows.len()]];
    if !columns.reads_previous() {
        let x: Vec<&[f64]> = data.x.iter().map(|c| &c[rows.clone()]).collect();
        let all = Particle { member: None, rows: 0..rows.len() };
        model.predict(&x, &[all], &mut predicted);
        return predicted.swap_remove(0);
    }
    let last = data.x.len() - 1;
    let mut out: Vec<f64> = Vec::with_capacity(rows.len());
    let mut one = vec![vec![0.0]];
    for r in rows {
        let follows = r > 0 && data.row[r] == data.row[r - 1] + 1;
        let previous = [out.last().copied().filter(|_| follows).unwrap_or(data.x[last][r])];
        let mut x: Vec<&[f64]> = data.x.iter().map(|c| &c[r..=r]).collect();
        x[last] = &previous;
        model.predict(&x, &[Particle { member: None, rows: 0..1 }], &mut one);
        out.push(one[0][0]);
    }
    out
}

/// Names of the inputs of an imitation, for use in descriptions.
impl Imitation {
    pub fn input_names<'a>(&'a self, schema: &'a Schema) -> Vec<&'a str> {
        self.inputs
            .iter()
            .map(|input| match input {
                Input::Signal(s) => schema.signals[*s].name.as_str(),
                Input::Previous => "its previous value",
                Input::Hour => "the time of day",
                Input::Weekday => "the day of the week",
            })
            .collect()
    }
}

#[cfg(test)]
#[path = "../../tests/unit/learn/imitation.rs"]
mod tests;
