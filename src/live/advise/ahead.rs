//! The period after the end of the log: the step after the newest row, and the horizon that starts with this step.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::super::estimator::past::predicted;
use crate::config::{ForecastSpec, Kind, Resample};
use crate::control::{Controller, Forecast};
use crate::error::{Error, Result};
use crate::rng::Key;
use crate::scenario::Plant;
use crate::schema::Role;
use crate::simulate::{Run, Simulated, simulate};
use crate::trajectory::Trajectory;
use crate::twin::Dynamics;

/// The newest row in which a state or an output was measured. Signals whose last value is repeated, or whose empty
/// steps are filled, are ignored.
fn newest_measured(plant: &Plant) -> Option<usize> {
    let log = &plant.log;
    let is_measured = |s: usize| {
        let signal = &log.schema.signals[s];
        let spec = plant.spec.value.signals.iter().find(|spec| spec.name.value == signal.name);
        let is_filled = spec.is_some_and(|spec| {
            let hold = spec.resample.as_ref().is_some_and(|r| r.value == Resample::Hold);
            spec.empty.is_some() || hold || spec.kind.as_ref().is_some_and(|k| k.value == Kind::State)
        });
        matches!(signal.role, Role::State | Role::Output) && !is_filled
    };
    let measured: Vec<&Vec<f64>> = (0..log.schema.len()).filter(|s| is_measured(*s)).map(|s| &log.columns[s]).collect();
    (0..log.steps).rev().find(|t| measured.iter().any(|column| column[*t].is_finite()))
}

/// The step after the newest row of the log, and the horizon that starts with this step.
pub struct Ahead<'a> {
    pub plant: &'a Plant,
    /// The log, followed by the current step (with predicted states) and by forecasts. Beyond the end of the log, the
    /// controls keep their last values.
    pub realised: Arc<Trajectory>,
    /// Row index of the current step.
    pub past: usize,
    /// Row of the log that precedes the current step. Later rows contain no measured state or output.
    pub newest: usize,
    /// Signals whose forecast method is `perfect` although the log does not contain their values over the horizon.
    pub unknown: Vec<String>,
    forecast: Forecast,
    key: Key,
}

impl<'a> Ahead<'a> {
    /// # Errors
    /// Returns [`Error::Data`] if the log has fewer than two rows, or if a state has been missing for too long.
    pub fn new(plant: &'a Plant, horizon: usize, seed: u64, forecasts: Option<ForecastSpec>) -> Result<Self> {
        let (twin, log) = (&plant.twin, &plant.log);
        if log.steps < 2 {
            return Err(Error::Data("the log has fewer than two rows, which is too few for advice".into()));
        }
        let newest = newest_measured(plant).unwrap_or(log.steps - 1);
        let (row, mut known) = plant.slice(newest, 1);
        let first = known.segment_at(row).map_or(row, |s| s.start);
        twin.carry(&mut known, first, row)?;
        let forecast = Forecast::new(&plant.spec.value, Arc::new(known.clone()), row, forecasts);
        let steps = row + 1 + horizon;
        let mut t = Trajectory::empty(plant.schema.clone(), known.start, known.step_ms, steps, 1);
        t.segments = vec![first..steps];
        let next = predicted(twin, &known, first, row);
        for (s, (to, from)) in t.columns.iter_mut().zip(&known.columns).enumerate() {
            to[..=row].copy_from_slice(from);
            match plant.schema.signals[s].role {
                Role::State => to[row + 1] = next[s],
                Role::Control => {
                    let last = from.iter().rev().copied().find(|v| v.is_finite()).unwrap_or(f64::NAN);
                    to[row] = if to[row].is_finite() { to[row] } else { last };
                    to[row + 1..].fill(last);
                }
                _ => {}
            }
        }
        let mut unknown = Vec::new();
        for (i, &(signal, how)) in forecast.signals.iter().enumerate() {
            let column = &mut t.columns[signal][row + 1..];
            forecast.fill(i, 0, column);
            // the log may contain future values, such as day-ahead prices
            let later = &log.columns[signal][newest + 1..];
            column.iter_mut().zip(later).filter(|(_, v)| v.is_finite()).for_each(|(to, v)| *to = *v);
            let last = later.iter().take(column.len()).rposition(|v| v.is_finite());
            if let Some(last) = last.filter(|_| !matches!(how, ForecastSpec::Seasonal(_) | ForecastSpec::Learned)) {
                column[last + 1..].fill(later[last]);
            }
            let known = later.iter().take(horizon).filter(|v| v.is_finite()).count();
            if how == ForecastSpec::Perfect && known < horizon {
                unknown.push(plant.schema.signals[signal].name.clone());
            }
        }
        let realised = Arc::new(t);
        let mut forecast = Forecast::new(&plant.spec.value, realised.clone(), row + 1, forecasts);
        for (signal, how) in &mut forecast.signals {
            // the realised values are the known values, followed by forecasts
            if log.columns[*signal][newest + 1..].iter().any(|v| v.is_finite()) {
                *how = ForecastSpec::Perfect;
            }
        }
        Ok(Self { plant, realised, past: row + 1, newest, unknown, forecast, key: Key::new(seed) })
    }

    /// Simulates `steps` steps, starting with the current step. All calls use the same random numbers.
    pub fn run(&self, controller: &mut dyn Controller, steps: usize, particles: usize) -> Result<Simulated> {
        let run = Run {
            dynamics: &self.plant.twin,
            realised: &self.realised,
            past: self.past,
            steps,
            particles,
            key: self.key,
            forecast: self.forecast.clone(),
        };
        simulate(&run, controller, &|| false)
    }

    /// The key that determines the random numbers.
    pub fn key(&self) -> Key {
        self.key
    }

    /// Returns the time of the step that is `steps` steps after the current step.
    pub fn time(&self, steps: usize) -> Timestamp {
        // the times of the log are exact, whereas a day of the simulation always has 24 hours
        let log = &self.plant.log;
        log.time(self.newest) + SignedDuration::from_millis((steps as i64 + 1) * log.step_ms)
    }
}
