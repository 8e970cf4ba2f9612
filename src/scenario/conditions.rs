//! The conditions of a scenario: a part of the log, modified by the changes of the scenario.

use std::ops::Range;
use std::sync::Arc;

use indexmap::IndexMap;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::plant::{Compiled, Plant};
use super::results::SkippedPeriod;
use crate::config::{At, Change, Loaded, ScenarioSpec, TimeSpan, TwinSpec};
use crate::control::{Forecast, Present};
use crate::error::{Error, Result, plural};
use crate::learn::Layout;
use crate::log::{Measured, OperatingHours, operating_hours};
use crate::schema::{Bounds, Role, Schema};
use crate::trajectory::Trajectory;

const WEEK_MS: i64 = 7 * 86_400_000;

/// The signals in the period of a scenario.
pub struct Conditions {
    /// Number of history steps.
    pub past: usize,
    /// Number of simulated steps.
    pub steps: usize,
    /// The history, followed by the simulated steps, with the changes of the scenario.
    pub realised: Arc<Trajectory>,
    /// The logged values in the rows of `realised`, without the changes of the scenario.
    pub logged: Trajectory,
    /// The steps of the period that are left out of the simulation; `None` if there are none.
    pub gaps: Option<Gaps>,
}

/// The steps of a scenario that are not simulated, because they lie in gaps of the log or in hours
/// in which the plant never runs.
pub struct Gaps {
    /// The history, followed by all steps of the scenario, with the changes of the scenario.
    grid: Arc<Trajectory>,
    /// Row of each simulated step in `grid`.
    rows: Vec<usize>,
    /// `rows`, followed by the rows of one week after the run. Hours in which the plant usually
    /// does not run are left out.
    ahead: Arc<[usize]>,
    unknown: Vec<Timestamp>,
}

impl Gaps {
    /// Adapts `forecast` to a run that leaves out the gaps.
    pub fn forecast(&self, forecast: Forecast) -> Forecast {
        forecast.with(self.grid.clone(), Present::AtRows(self.ahead.clone()))
    }

    /// The start of the scenario. `past` is the number of history steps.
    pub fn start(&self, past: usize) -> Timestamp {
        self.grid.time(past)
    }

    /// The times of the steps that lie in gaps of the log, but not in hours in which the plant never runs.
    pub fn unknown(&self) -> &[Timestamp] {
        &self.unknown
    }

    /// The simulated steps that are followed by a gap.
    pub fn before(&self) -> Vec<usize> {
        (0..self.rows.len().saturating_sub(1)).filter(|t| self.rows[t + 1] > self.rows[*t] + 1).collect()
    }

    /// Start, end and length in hours of each gap. `past` is the number of history steps.
    pub fn periods(&self, past: usize) -> Vec<SkippedPeriod> {
        let mut next = past;
        let period = |from: usize, to: usize| SkippedPeriod {
            from: self.grid.time(from).to_string(),
            to: self.grid.time(to).to_string(),
            hours: (to - from) as f64 * self.grid.step_seconds() / 3600.0,
        };
        let mut out = Vec::new();
        for row in self.rows.iter().copied().chain([self.grid.steps]) {
            if row > next {
                out.push(period(next, row));
            }
            next = row + 1;
        }
        out
    }
}

/// Returns the history and the steps of the scenario that do not lie in a gap of the log. The changes of the scenario
/// are applied to these steps. A constant signal that the scenario changes becomes an ordinary signal.
pub fn realise(
    plant: &Plant,
    compiled: &mut Compiled,
    scenario: &Loaded<ScenarioSpec>,
    steps: usize,
) -> Result<Conditions> {
    let s = &scenario.value;
    let log = &plant.log;
    let place = || format!("{}: the run from {} over {}", scenario.path.display(), s.start.value, s.length.value);
    let (first, last) = (log.start, log.time(log.steps.saturating_sub(1)));
    let start = log.step_at(s.start.value).filter(|t| t + steps <= log.steps).ok_or_else(|| {
        Error::Data(format!(
            "{} is not covered by the log, which extends from {first} to {last}; move `start` or shorten `length`",
            place()
        ))
    })?;
    let Some(segment) = log.segment_at(start).map(|r| r.start) else {
        let next = log.segments.iter().map(|s| s.start).find(|s| *s > start);
        let help = next.map_or_else(String::new, |k| format!("; the next row is at {}", log.time(k)));
        return Err(Error::Data(format!("{} cannot start in a gap of the log{help}", place())));
    };
    let (needed, known) = (plant.twin.map.depth(), start + 1 - segment);
    if known < needed {
        return Err(Error::Data(format!(
            "{} cannot start: the twin reads the last {}, but the log contains only {} without a gap up to this time; \
             move `start` to {} or later",
            place(),
            plural(needed, "step", "steps"),
            plural(known, "step", "steps"),
            log.time(segment + needed - 1)
        )));
    }
    let (past, logged) = plant.slice(start, steps);
    let mut t = logged.clone();
    for (name, change) in &s.disturbance {
        let Some(signal) = plant.schema.find(name) else { continue };
        // The changed value must lie within the valid range of the sensor.
        let valid = plant.spec.value.signals[signal].valid.as_ref();
        let limits = valid.map_or(Bounds::OPEN, |v| Bounds { low: v[0], high: v[1] });
        let hours = Hours::new(plant, &change.value)?;
        for k in past..past + steps {
            if hours.contain(t.time(k)) {
                let v = &mut t.at_mut(signal, k)[0];
                *v = limits.clamp(change.value.apply(*v));
            }
        }
        compiled.equations.constants.retain(|c| c.signal != signal);
    }
    // Derived signals keep their logged values in the history. The simulation computes the values of derived signals
    // during the run.
    let states = plant.schema.with_role(Role::State);
    if let Some(&state) = states.iter().find(|&&i| !t.at(i, past)[0].is_finite()) {
        let name = &plant.schema.signals[state].name;
        let complete = |k: &usize| states.iter().all(|&i| log.at(i, *k)[0].is_finite());
        let next = (start..log.steps).find(complete);
        let help = next.map_or_else(String::new, |k| format!("; the next complete row is at {}", log.time(k)));
        return Err(Error::Data(format!(
            "{} cannot start: the log has no value of `{name}` at the start{help}",
            place()
        )));
    }
    let hours = operating_hours(log, &plant.spec.value)?;
    let open = open_steps(log, hours.as_ref(), start..start + steps);
    let rows: Vec<usize> = open.into_iter().map(|t| t + past - start).collect();
    if rows.is_empty() {
        return Err(Error::Data(format!(
            "{} lies entirely in hours in which the plant does not run according to the log; move `start`, or increase \
             `length`",
            place()
        )));
    }
    if rows.len() == steps {
        return Ok(Conditions { past, steps, realised: Arc::new(t), logged, gaps: None });
    }
    let kept: Vec<usize> = (0..past).chain(rows.iter().copied()).collect();
    let (end, week) = (start + steps, TimeSpan::from_ms(WEEK_MS).steps(TimeSpan::from_ms(log.step_ms), 1));
    let runs = |t: &usize| !hours.as_ref().is_some_and(|h| h.is_closed(log.time(*t)));
    let later = (end..end + week).filter(runs).map(|t| t + past - start);
    let ahead = rows.iter().copied().chain(later).collect();
    let unknown = (start..end).filter(|t| runs(t) && log.segment_at(*t).is_none()).map(|t| log.time(t)).collect();
    Ok(Conditions {
        past,
        steps: rows.len(),
        realised: Arc::new(t.select(&kept)),
        logged: logged.select(&kept),
        gaps: Some(Gaps { grid: Arc::new(t), rows, ahead, unknown }),
    })
}

/// The steps of `period` that a scenario simulates. Steps in a gap of the log, and steps in hours
/// in which the plant never runs, are not simulated.
///
/// # Errors
/// The errors of [`TwinSpec::zone`].
pub fn simulated(plant: &Plant, period: Range<usize>) -> Result<Vec<usize>> {
    let hours = operating_hours(&plant.log, &plant.spec.value)?;
    Ok(open_steps(&plant.log, hours.as_ref(), period))
}

fn open_steps(log: &Trajectory, hours: Option<&OperatingHours>, period: Range<usize>) -> Vec<usize> {
    let values = Measured::new(log);
    let is_closed = |t: usize| hours.is_some_and(|h| h.is_closed(log.time(t)) && !values.any(t));
    period.filter(|t| log.segment_at(*t).is_some() && !is_closed(*t)).collect()
}

/// The signals and parameters that `scenario` changes and on which the states and outputs of the twin depend. A price,
/// for example, usually affects only KPIs.
///
/// # Errors
/// [`Error::Config`] if the changes of the scenario make an expression in the twin invalid.
pub fn changed_inputs(twin: &Loaded<TwinSpec>, schema: &Schema, scenario: &ScenarioSpec) -> Result<Vec<String>> {
    let compile = |changes: &IndexMap<String, At<Change>>| Compiled::new(twin, schema, changes).map(|c| c.equations);
    let equations = compile(&IndexMap::new())?;
    let inputs = Layout::new(schema, &twin.value.model, &equations).inputs;
    let read = equations.influences(&inputs);
    let is_read = |name: &&String| schema.find(name).is_some_and(|s| read.contains(&s));
    let mut names: Vec<String> = scenario.disturbance.keys().filter(is_read).cloned().collect();
    for (name, change) in &scenario.parameter {
        let changed = compile(&IndexMap::from([(name.clone(), change.clone())]))?;
        if !equations.has_same_plant(&changed, &inputs) {
            names.push(name.clone());
        }
    }
    Ok(names)
}

/// The times of day at which a change applies: either all day, or between two local times in minutes since midnight.
struct Hours {
    zone: TimeZone,
    between: Option<(u32, u32)>,
}

impl Hours {
    fn new(plant: &Plant, change: &Change) -> Result<Self> {
        let between = change.between.as_ref().map(|b| (b.value[0].minutes(), b.value[1].minutes()));
        Ok(Self { zone: plant.spec.value.zone()?, between })
    }

    fn contain(&self, time: jiff::Timestamp) -> bool {
        let Some((from, to)) = self.between else { return true };
        let local = time.to_zoned_datetime(self.zone.clone());
        let now = u32::from(local.hour().unsigned_abs()) * 60 + u32::from(local.minute().unsigned_abs());
        if from <= to { (from..to).contains(&now) } else { now >= from || now < to }
    }
}
