//! The settings with which staff or the control system can operate a plant in the same way as a
//! case.

use jiff::tz::TimeZone;

use super::results::{HourRange, Setting, TimetableEntry, ValueRange};
use crate::config::{ControllerSpec, Reference};
use crate::control::ControllerSettings;
use crate::schema::{Schema, Signal};
use crate::stats::{quantile_higher, quantile_lower, sorted_finite};
use crate::trajectory::Trajectory;

/// Number of equal parts into which a day is divided to report typical values.
const PARTS_OF_DAY: usize = 4;
/// Number of steps, counted from the start of a run, for which the orders are listed.
const LISTED_ORDERS: usize = 5;
/// A control with more than this number of steps between its limits is an order quantity rather
/// than a number of running machines (not tuned).
const MOST_STATES: f64 = 12.0;

/// Describes how `controller` sets the control `signal` in `run`.
pub fn setting(
    controller: &ControllerSpec,
    settings: &ControllerSettings,
    schema: &Schema,
    run: &Trajectory,
    signal: usize,
) -> Setting {
    let name = &schema.signals[signal].name;
    match controller {
        ControllerSpec::Replay {} => Setting::Logged,
        ControllerSpec::AsLogged(_) => match settings {
            ControllerSettings::AsLogged(imitated) if imitated.signals.contains(&signal) => Setting::AsLogged,
            _ => Setting::Logged,
        },
        ControllerSpec::Hold(values) => values.get(name).map_or(Setting::Logged, |v| Setting::Held { value: v.value }),
        ControllerSpec::Schedule(map) => match map.get(name) {
            None => Setting::Logged,
            Some(entries) => Setting::Timetable {
                entries: entries
                    .iter()
                    .map(|e| TimetableEntry {
                        days: e.value.days.as_ref().map_or_else(String::new, |d| d.value.to_string()),
                        at: e.value.at.value.to_string(),
                        value: e.value.value.value,
                    })
                    .collect(),
            },
        },
        ControllerSpec::Rule(map) => {
            map.get(name).map_or(Setting::Logged, |e| Setting::Rule { expression: e.value.clone() })
        }
        ControllerSpec::Pid(loops) => match loops.iter().find(|l| l.value.control.value == *name) {
            None => Setting::Logged,
            Some(l) => Setting::Pid {
                measurement: l.value.measurement.value.clone(),
                setpoint: match &l.value.setpoint.value {
                    Reference::Value(v) => v.to_string(),
                    Reference::Signal(signal) => signal.clone(),
                },
            },
        },
        ControllerSpec::BaseStock(_) => {
            let ControllerSettings::BaseStock(loops) = settings else { return Setting::Logged };
            match loops.iter().find(|l| l.order() == signal) {
                None => Setting::Logged,
                Some(l) => {
                    let (level, reorder) = l.levels(run);
                    Setting::Stock { level: range(level), reorder: reorder.map(range) }
                }
            }
        }
        ControllerSpec::Mpc(_) => match settings {
            ControllerSettings::Mpc(mpc) if mpc.controls.is_empty() || mpc.controls.contains(&signal) => Setting::Plan,
            _ => Setting::Logged,
        },
    }
}

/// The 10th and the 90th percentile. The percentiles are not interpolated, so they are integers if all values of the
/// control are integers.
fn range(values: Vec<f64>) -> ValueRange {
    let sorted = sorted_finite(&values);
    match sorted.is_empty() {
        true => ValueRange { low: f64::NAN, high: f64::NAN },
        false => ValueRange { low: quantile_lower(&sorted, 0.1), high: quantile_higher(&sorted, 0.9) },
    }
}

/// The typical range of `signal` over all steps and particles.
pub fn typical(run: &Trajectory, signal: usize) -> ValueRange {
    range(run.columns[signal].clone())
}

/// The typical range of `signal` in each part of the local day; empty if a step is longer than a part of the day.
pub fn by_hour(run: &Trajectory, signal: usize, zone: &TimeZone) -> Vec<HourRange> {
    let hours = 24 / PARTS_OF_DAY;
    if run.step_ms > hours as i64 * 3_600_000 {
        return Vec::new();
    }
    let mut parts = vec![Vec::new(); PARTS_OF_DAY];
    for t in 0..run.steps {
        let hour = run.time(t).to_zoned_datetime(zone.clone()).hour();
        parts[usize::from(hour.unsigned_abs()) / hours].extend_from_slice(run.at(signal, t));
    }
    let parts = parts.into_iter().enumerate().filter(|(_, values)| !values.is_empty());
    parts.map(|(i, v)| HourRange { from: i * hours, to: (i + 1) * hours, range: range(v) }).collect()
}

/// Whether the values of a control are order quantities, which are multiples of a lot size, rather
/// than states of a machine.
pub fn is_order(control: &Signal) -> bool {
    control.multiple > 0.0 && (control.hard.high - control.hard.low) / control.multiple > MOST_STATES
}

/// The time of each of the first steps, and the range of `signal` over the particles at this step.
pub fn first_orders(run: &Trajectory, signal: usize) -> Vec<(String, ValueRange)> {
    let steps = 0..run.steps.min(LISTED_ORDERS);
    steps.map(|t| (run.time(t).to_string(), range(run.at(signal, t).to_vec()))).collect()
}
