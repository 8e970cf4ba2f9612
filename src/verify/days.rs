//! The consumption and the adjusted baseline per day, for charts and for the search for unusual days.

use std::ops::Range;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::baseline::AdjustedBaseline;
use super::intervals::Intervals;
use crate::period::Period;

/// One day of the baseline period or of the reporting period, in the time zone of the plant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Day {
    pub date: Date,
    /// True if the day belongs to the reporting period, false if it belongs to the baseline period.
    pub reporting: bool,
    /// Number of usable intervals (the consumption and all drivers were measured, and the interval is not left out),
    /// and total number of intervals.
    pub intervals: usize,
    pub all_intervals: usize,
    /// Measured and predicted consumption in the usable intervals. In the baseline period, each interval is predicted
    /// by a model that was not fitted to the fold that contains the interval.
    pub measured: f64,
    pub predicted: f64,
    /// Index of the non-routine event that covers the day or a part of it.
    pub event: Option<usize>,
}

/// The days of the baseline period `before` and of the reporting period `after`, oldest first in each period. `events`
/// are the periods of the non-routine events.
pub fn days(
    intervals: &Intervals,
    baseline: &AdjustedBaseline,
    [before, after]: [Range<usize>; 2],
    events: &[Period],
    zone: &TimeZone,
) -> Vec<Day> {
    let mut predicted = vec![f64::NAN; intervals.len()];
    for (&r, error) in baseline.rows.iter().zip(&baseline.errors) {
        predicted[r] = intervals.used[r] - error;
    }
    for r in intervals.known(after.clone()) {
        predicted[r] = baseline.predicted[r];
    }
    let date = |i: usize| zone.to_datetime(intervals.start[i]).date();
    let mut out = Vec::new();
    for (range, reporting) in [(before, false), (after, true)] {
        let all: Vec<usize> = range.collect();
        for group in all.chunk_by(|a, b| date(*a) == date(*b)) {
            let known: Vec<usize> = group.iter().copied().filter(|i| predicted[*i].is_finite()).collect();
            let touches =
                |event: &Period| group.iter().any(|&i| intervals.start[i] < event.to && event.from < intervals.end[i]);
            out.push(Day {
                date: date(group[0]),
                reporting,
                intervals: known.len(),
                all_intervals: group.len(),
                measured: known.iter().map(|i| intervals.used[*i]).sum(),
                predicted: known.iter().map(|i| predicted[*i]).sum(),
                event: events.iter().position(touches),
            });
        }
    }
    out
}
