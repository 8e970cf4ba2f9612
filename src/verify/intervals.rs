//! The consumption of a resource, and its drivers, per hour, day or step of the log.

use std::ops::Range;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::expr::Registers;
use crate::stats::mean;
use crate::trajectory::{Frame, Trajectory};
use crate::value::Kpi;

const HOUR_MS: i64 = 3_600_000;

/// The length of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Length {
    Hour,
    /// A day in the time zone of the plant.
    Day,
    /// A step of the log.
    Step,
}

/// The consumption and its drivers per interval, oldest first. An interval is left out if the log begins or ends within
/// it. A value that was not measured during the whole interval is NaN.
#[derive(Debug, Clone, PartialEq)]
pub struct Intervals {
    pub start: Vec<Timestamp>,
    pub end: Vec<Timestamp>,
    /// `[intervals]`, in the unit of the KPI.
    pub used: Vec<f64>,
    /// Length of each interval relative to the nominal length. Days on which the clocks change have 23 or 25 hours.
    pub length: Vec<f64>,
    /// Means of the drivers: `[drivers][intervals]`.
    pub drivers: Vec<Vec<f64>>,
    /// Day of the week, counted from Monday, and hour of the day, in the time zone of the plant.
    pub weekday: Vec<usize>,
    pub hour: Vec<usize>,
    /// Number of intervals per day, rounded to an integer of at least 1.
    pub per_day: usize,
}

impl Intervals {
    /// Splits `log` into intervals. `used` is the KPI that is verified, and `drivers` are columns of the log.
    pub fn new(log: &Trajectory, used: &Kpi, drivers: &[usize], length: Length, zone: &TimeZone) -> Self {
        let civil: Vec<(Date, i8)> = (0..log.steps)
            .map(|t| {
                let at = zone.to_datetime(log.time(t));
                (at.date(), at.hour())
            })
            .collect();
        let key = |t: usize| match length {
            Length::Hour => log.time(t).as_millisecond().div_euclid(HOUR_MS),
            Length::Day => i64::from(civil[t].0.year()) * 1_000 + i64::from(civil[t].0.day_of_year()),
            Length::Step => t as i64,
        };
        let steps: Vec<usize> = (0..log.steps).collect();
        let groups: Vec<Range<usize>> =
            steps.chunk_by(|a, b| key(*a) == key(*b)).map(|g| g[0]..g[g.len() - 1] + 1).collect();
        let step_ms = log.step_ms.max(1);
        let complete = |g: &&Range<usize>| {
            let covered = log.time(g.end).as_millisecond() - log.time(g.start).as_millisecond();
            match length {
                Length::Hour => covered >= HOUR_MS,
                // a day on which clocks change has 23 or 25 hours
                Length::Day => covered >= 23 * HOUR_MS && civil[g.start].1 == 0,
                Length::Step => true,
            }
        };
        let groups: Vec<Range<usize>> = groups.iter().filter(complete).cloned().collect();
        let registers = &mut Registers::default();
        let day_ms = 24 * HOUR_MS;
        Self {
            start: groups.iter().map(|g| log.time(g.start)).collect(),
            end: groups.iter().map(|g| log.time(g.end)).collect(),
            used: groups.iter().map(|g| value(log, used, g, registers)).collect(),
            length: groups
                .iter()
                .map(|g| match length {
                    Length::Day => {
                        (log.time(g.end).as_millisecond() - log.time(g.start).as_millisecond()) as f64 / day_ms as f64
                    }
                    _ => 1.0,
                })
                .collect(),
            drivers: drivers
                .iter()
                .map(|&d| groups.iter().map(|g| mean(&log.columns[d][g.clone()])).collect())
                .collect(),
            weekday: groups
                .iter()
                .map(|g| usize::from(civil[g.start].0.weekday().to_monday_zero_offset().unsigned_abs()))
                .collect(),
            hour: groups.iter().map(|g| usize::from(civil[g.start].1.unsigned_abs())).collect(),
            per_day: match length {
                Length::Hour => 24,
                Length::Day => 1,
                Length::Step => usize::try_from(day_ms / step_ms).unwrap_or(1).max(1),
            },
        }
    }

    /// Number of intervals.
    pub fn len(&self) -> usize {
        self.used.len()
    }

    /// Length of interval `i` in days.
    pub fn days(&self, i: usize) -> f64 {
        (self.end[i].as_millisecond() - self.start[i].as_millisecond()) as f64 / (24 * HOUR_MS) as f64
    }

    /// The intervals that lie between two times.
    pub fn between(&self, from: Timestamp, to: Timestamp) -> Range<usize> {
        let first = self.start.partition_point(|t| *t < from);
        let end = self.end.partition_point(|t| *t <= to);
        first..end.max(first)
    }

    /// The intervals in `range` in which the consumption and all drivers were measured.
    pub fn known(&self, range: Range<usize>) -> Vec<usize> {
        let is_known = |i: &usize| self.used[*i].is_finite() && self.drivers.iter().all(|d| d[*i].is_finite());
        range.filter(is_known).collect()
    }
}

/// The value of the KPI over the steps `range`; NaN if a value is missing.
fn value(log: &Trajectory, kpi: &Kpi, range: &Range<usize>, registers: &mut Registers) -> f64 {
    let mut accumulator = kpi.start(1);
    for t in range.clone() {
        let Some(segment) = log.segment_at(t) else { return f64::NAN };
        let frame: &dyn Frame = &log.frame(t, segment.start);
        kpi.add(&mut accumulator, frame, registers);
    }
    let mut out = [f64::NAN];
    kpi.value(&accumulator, &mut out);
    if accumulator.missing() > 0.0 { f64::NAN } else { out[0] }
}
