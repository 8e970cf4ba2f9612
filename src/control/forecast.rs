//! Forecasts of disturbances and set-points.

use std::sync::Arc;

use jiff::Timestamp;

use crate::config::{ForecastSpec, TimeSpan, TwinSpec};
use crate::schema::Role;
use crate::trajectory::Trajectory;

/// Forecasts of all disturbances and set-points, made at each step from the values known at that step.
#[derive(Debug, Clone)]
pub struct Forecast {
    /// The realised values of all signals, with one particle: the history, followed by the run.
    pub realised: Arc<Trajectory>,
    pub present: Present,
    /// (signal, forecast method).
    pub signals: Vec<(usize, ForecastSpec)>,
}

/// Defines which row of the realised signals is the present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Present {
    /// At step `t`, row `history + t` is the present. Simulated runs use `AfterHistory`, because their realised
    /// signals already include the future.
    AfterHistory(usize),
    /// At step `t`, row `rows[t]` is the present. Simulated runs use `AtRows` if they leave out gaps of the log, which
    /// the realised signals of the forecast contain.
    AtRows(Arc<[usize]>),
    /// The present is always the newest row, as in live runs.
    NewestRow,
}

impl Forecast {
    /// Creates forecasts of all disturbances and set-points of the twin. Each forecast uses the method `all` if it is
    /// given, otherwise the method in the twin's file (default: persistence). The method `perfect` in the twin's file
    /// takes precedence over `all`.
    pub fn new(spec: &TwinSpec, realised: Arc<Trajectory>, past: usize, all: Option<ForecastSpec>) -> Self {
        let method = |name: &str| {
            let line = spec.signals.iter().find(|s| s.name.value == name);
            match (line.and_then(|s| s.forecast.as_ref()).map(|f| f.value), all) {
                (Some(ForecastSpec::Perfect), _) => ForecastSpec::Perfect,
                (_, Some(all)) => all,
                (given, None) => given.unwrap_or(ForecastSpec::Persistence),
            }
        };
        let forecast = |s: &usize| matches!(realised.schema.signals[*s].role, Role::Disturbance | Role::Setpoint);
        let signals = (0..realised.schema.len())
            .filter(forecast)
            .map(|s| (s, method(&realised.schema.signals[s].name)))
            .collect();
        Self { realised, present: Present::AfterHistory(past), signals }
    }

    /// Same as [`Self::new`], but for a live run, in which the present is always the newest row.
    pub fn live(spec: &TwinSpec, realised: Arc<Trajectory>, all: Option<ForecastSpec>) -> Self {
        Self { present: Present::NewestRow, ..Self::new(spec, realised, 0, all) }
    }

    /// Columns of the signals with a perfect forecast.
    pub fn perfect(&self) -> impl Iterator<Item = usize> + '_ {
        self.signals.iter().filter(|(_, how)| *how == ForecastSpec::Perfect).map(|(s, _)| *s)
    }

    /// Writes to `out` the forecast of `signals[i]` for steps `t + 1 ..= t + out.len()` of the run, made at step `t`.
    ///
    /// A missing current value is replaced by the last known value. Only the method `perfect` reads values after step
    /// `t`. Beyond the end of the realised signals, `perfect` repeats the last value.
    pub fn fill(&self, i: usize, t: usize, out: &mut [f64]) {
        let last = self.realised.steps.saturating_sub(1);
        match &self.present {
            Present::AfterHistory(history) => self.fill_from(i, (history + t).min(last), out),
            Present::NewestRow => self.fill_from(i, last, out),
            Present::AtRows(rows) => {
                let now = row(rows, t);
                let mut all = vec![f64::NAN; row(rows, t + out.len()) - now];
                self.fill_from(i, now.min(last), &mut all);
                out.iter_mut().enumerate().for_each(|(h, o)| *o = all[row(rows, t + h + 1) - now - 1]);
            }
        }
    }

    /// The times of steps `t + 1 ..= t + steps` of the run if a gap of the log precedes one of them, and otherwise
    /// nothing.
    pub fn times(&self, t: usize, steps: usize) -> Vec<Timestamp> {
        let Present::AtRows(rows) = &self.present else { return Vec::new() };
        let now = row(rows, t);
        if row(rows, t + steps) - now == steps {
            return Vec::new();
        }
        let end = self.realised.steps;
        let after = |r: usize| {
            let later = TimeSpan::from_steps(r.saturating_sub(end), self.realised.step_ms).ms();
            let time = self.realised.time(r.min(end)).as_millisecond() + later;
            Timestamp::from_millisecond(time).unwrap_or(Timestamp::MAX)
        };
        (1..=steps).map(|h| after(row(rows, t + h))).collect()
    }

    /// Like [`Self::fill`], for the rows of the realised signals that follow row `now`.
    fn fill_from(&self, i: usize, now: usize, out: &mut [f64]) {
        let (signal, how) = self.signals[i];
        let column = &self.realised.columns[signal];
        let known = &column[..column.len().min(now + 1)];
        match how {
            ForecastSpec::Persistence => out.fill(persistence(known)),
            ForecastSpec::Seasonal(season) => {
                seasonal(known, season.steps(TimeSpan::from_ms(self.realised.step_ms), 1), out);
            }
            ForecastSpec::Perfect => {
                let mut value = persistence(known);
                for (h, o) in out.iter_mut().enumerate() {
                    if let Some(v) = column.get(now + h + 1).filter(|v| v.is_finite()) {
                        value = *v;
                    }
                    *o = value;
                }
            }
        }
    }
}

/// The row of step `t` of a run. The steps after the end of the run have consecutive rows.
fn row(rows: &[usize], t: usize) -> usize {
    let last = rows.len().saturating_sub(1);
    rows.get(t).copied().unwrap_or_else(|| rows.get(last).map_or(t, |r| r + t - last))
}

/// The last known value; NaN if there is none.
fn persistence(known: &[f64]) -> f64 {
    known.iter().rev().copied().find(|v| v.is_finite()).unwrap_or(f64::NAN)
}

/// The forecast for a step is the value at the same time in the latest season, plus a correction. The correction is
/// initially the current value minus the value one season ago, and fades linearly to zero over one season. A missing
/// value is replaced by the value one season earlier. Without a full season of history, the forecast repeats the last
/// known value. The correction is reduced if differences between seasons do not persist, as for random demand. It would
/// otherwise add the random deviation of the current value to all forecasts.
fn seasonal(known: &[f64], season: usize, out: &mut [f64]) {
    let back = |at: usize| (0..=at).rev().step_by(season).map(|k| known[k]).find(|v| v.is_finite());
    let present = known.iter().rposition(|v| v.is_finite());
    let Some((today, before)) = present.and_then(|now| Some((known[now], back(now.checked_sub(season)?)?))) else {
        return out.fill(persistence(known));
    };
    let (now, correction) = (known.len() - 1, correlation_weight(known, season) * (today - before));
    for (h, o) in (1..).zip(out) {
        let seasons = usize::div_ceil(h, season);
        let base = (now + h).checked_sub(seasons * season).and_then(back);
        let fade = (1.0 - h as f64 / season as f64).max(0.0);
        *o = base.map_or(today, |base| base + correction * fade);
    }
}

/// Minimum and maximum number of seasonal differences from which their correlation is estimated. With fewer
/// differences, they are assumed to persist (not tuned).
const DIFFERENCES: (usize, usize) = (30, 1000);
/// Smallest correlation of consecutive seasonal differences at which the full correction is used (not tuned).
const PERSISTENT: f64 = 0.5;

/// The weight of the correction, from 0 to 1: the correlation between consecutive differences from the previous season,
/// divided by `PERSISTENT`.
fn correlation_weight(known: &[f64], season: usize) -> f64 {
    let first = season.max(known.len().saturating_sub(DIFFERENCES.1)) + 1;
    let difference = |k: usize| known[k] - known[k - season];
    let (mut count, mut product, mut square) = (0, 0.0, 0.0);
    for k in first..known.len() {
        let (before, now) = (difference(k - 1), difference(k));
        if before.is_finite() && now.is_finite() {
            (count, product, square) = (count + 1, product + before * now, square + before * before);
        }
    }
    if count < DIFFERENCES.0 || square <= 0.0 { 1.0 } else { (product / square / PERSISTENT).clamp(0.0, 1.0) }
}

#[cfg(test)]
#[path = "../../tests/unit/control/forecast.rs"]
mod tests;
