//! Weeks and days whose consumption is far from the prediction of the model.

use jiff::ToSpan;
use jiff::civil::Date;

use super::days::Day;
use crate::stats::{quantile_type_7, sorted_finite};

/// A week or a day is unusual if its error differs from the median error of its period by more than this many robust
/// standard deviations (not tuned).
const WEEK_LIMIT: f64 = 5.0;
const DAY_LIMIT: f64 = 8.0;
/// An error below this fraction of the predicted consumption is never unusual (not tuned).
const MIN_ERROR: f64 = 0.1;
/// Minimum number of weeks or days from which the median error of a period is computed (not tuned).
const MIN_GROUPS: usize = 3;
/// Minimum number of measured days in a week (not tuned).
const MIN_DAYS_OF_WEEK: usize = 3;
/// Factor that converts the median absolute deviation of a normal distribution to its standard deviation.
const MAD_TO_SD: f64 = 1.482_602;

/// A week or a day whose consumption is far from the prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct Outlier {
    /// First and last day.
    pub from: Date,
    pub to: Date,
    pub reporting: bool,
    /// Measured minus predicted consumption, less the median of this difference in the period, relative to the
    /// predicted consumption.
    pub excess: f64,
}

/// Error per interval of a group of days.
#[derive(Debug, Clone, Copy)]
struct Group {
    from: Date,
    to: Date,
    error: f64,
    predicted: f64,
}

/// The unusual weeks of both periods, and the unusual days that are not in an unusual week. The median error of the
/// reporting period is regarded as the saving, and is therefore subtracted.
pub fn outliers(days: &[Day]) -> Vec<Outlier> {
    let week = |day: &Day| day.date.saturating_sub(i64::from(day.date.weekday().to_monday_zero_offset()).days());
    let known: Vec<Day> = days.iter().filter(|d| d.intervals > 0).cloned().collect();
    let weeks = |reporting: bool| {
        let days: Vec<Day> = known.iter().filter(|d| d.reporting == reporting).cloned().collect();
        let groups = days.chunk_by(|a, b| week(a) == week(b)).filter(|g| g.len() >= MIN_DAYS_OF_WEEK);
        groups.filter_map(Group::new).collect::<Vec<_>>()
    };
    let of_days = |reporting: bool| {
        let days = known.iter().filter(|d| d.reporting == reporting);
        days.filter_map(|d| Group::new(std::slice::from_ref(d))).collect::<Vec<_>>()
    };
    let mut out = far(&weeks(false), &weeks(true), WEEK_LIMIT);
    let single = far(&of_days(false), &of_days(true), DAY_LIMIT);
    let new = |day: &Outlier| !out.iter().any(|w| w.from <= day.from && day.to <= w.to && w.reporting == day.reporting);
    let single: Vec<Outlier> = single.into_iter().filter(new).collect();
    out.extend(single);
    out
}

impl Group {
    fn new(days: &[Day]) -> Option<Self> {
        let n = days.iter().map(|d| d.intervals).sum::<usize>() as f64;
        let sum = |of: fn(&Day) -> f64| days.iter().map(of).sum::<f64>() / n;
        let (first, last) = (days.first()?, days.last()?);
        let error = sum(|d| d.measured - d.predicted);
        error.is_finite().then(|| Self { from: first.date, to: last.date, error, predicted: sum(|d| d.predicted) })
    }
}

/// The groups of both periods whose errors are more than `limit` standard deviations from the median of their period.
fn far(baseline: &[Group], reporting: &[Group], limit: f64) -> Vec<Outlier> {
    let center_and_sd = |groups: &[Group]| {
        let errors: Vec<f64> = groups.iter().map(|g| g.error).collect();
        let center = quantile_type_7(&sorted_finite(&errors), 0.5);
        let distances: Vec<f64> = errors.iter().map(|e| (e - center).abs()).collect();
        (center, MAD_TO_SD * quantile_type_7(&sorted_finite(&distances), 0.5))
    };
    let sd = center_and_sd(baseline).1;
    let mut out = Vec::new();
    for (groups, reporting) in [(baseline, false), (reporting, true)] {
        if groups.len() < MIN_GROUPS || !sd.is_finite() {
            continue;
        }
        let (center, own) = center_and_sd(groups);
        for g in groups {
            let excess = g.error - center;
            if excess.abs() > (limit * sd.max(own)).max(MIN_ERROR * g.predicted.abs()) {
                out.push(Outlier { from: g.from, to: g.to, reporting, excess: excess / g.predicted.abs() });
            }
        }
    }
    out
}

#[cfg(test)]
#[path = "../../tests/unit/verify/outliers.rs"]
mod tests;
