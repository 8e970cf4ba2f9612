//! Checks whether the controls that MPC chose satisfy the limits on totals.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::results::MissedTotal;
use crate::control::mpc::TotalSettings;
use crate::stats::mean_or_zero;
use crate::trajectory::Trajectory;

/// Relative difference that is considered a rounding error.
const ROUNDING: f64 = 1e-6;
/// A limit may be violated in at most this fraction of all periods, counted over all simulated futures (not tuned).
const TOLERATED: f64 = 0.05;

/// Describes each limit of `totals` that `run` violates in more than [`TOLERATED`] of its complete periods. Limits over
/// the horizon of a plan have no period and are not checked. A period is incomplete if it contains one of the `unknown`
/// times, at which the log has a gap.
pub fn missed_totals(
    totals: &[TotalSettings],
    run: &Trajectory,
    unknown: &[Timestamp],
    zone: &TimeZone,
) -> Vec<MissedTotal> {
    totals.iter().flat_map(|total| missed(total, run, unknown, zone)).collect()
}

fn missed(total: &TotalSettings, run: &Trajectory, unknown: &[Timestamp], zone: &TimeZone) -> Vec<MissedTotal> {
    let Some(period) = total.period else { return Vec::new() };
    let number = |time: Timestamp| period.number(time, run.step_ms, zone);
    let numbers: Vec<Option<i64>> = (0..run.steps).map(|t| number(run.time(t))).collect();
    let before = Timestamp::from_millisecond(run.time(0).as_millisecond() - run.step_ms).ok().and_then(number);
    let incomplete: BTreeSet<i64> = unknown.iter().filter_map(|time| number(*time)).collect();
    let (mut start, mut sums) = (0, Vec::new());
    while start < run.steps {
        let end = (start..run.steps).find(|t| numbers[*t] != numbers[start]).unwrap_or(run.steps);
        let begins = start > 0 || before != numbers[0];
        let ends = end < run.steps || number(run.time(run.steps)) != numbers[start];
        if numbers[start].is_some_and(|number| !incomplete.contains(&number)) && begins && ends {
            let sum = |p: usize| (start..end).map(|t| run.at(total.control, t)[p]).sum::<f64>();
            sums.extend((0..run.particles).map(sum));
        }
        start = end;
    }
    let violates = |bound: f64, exceeds: &dyn Fn(f64) -> f64, text: &str| {
        let is_missed = |sum: &f64| exceeds(*sum) > ROUNDING * bound.abs().max(1.0);
        let missed: Vec<f64> = sums.iter().copied().filter(is_missed).collect();
        let share = missed.len() as f64 / sums.len().max(1) as f64;
        (share > TOLERATED).then(|| {
            let (name, mean) = (&run.schema.signals[total.control].name, mean_or_zero(&missed));
            let clause = format!(
                "the total of `{name}` averages {mean:.4} in {:.0} % of the periods, but should be {text} {bound}",
                100.0 * share
            );
            MissedTotal { limit: format!("{name}, {text} {bound}, {period:?}"), share, text: clause }
        })
    };
    let (low, high) = (total.bounds.low, total.bounds.high);
    [violates(low, &|sum| low - sum, "at least"), violates(high, &|sum| sum - high, "at most")]
        .into_iter()
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::control::mpc::Period;
    use crate::schema::{Bounds, Role, Schema, Signal};
    use crate::units::Unit;

    /// Five days of hourly steps, in which the pump runs for 6 h a day. The second half of the third day is missing.
    #[test]
    fn a_day_that_lies_partly_in_a_gap_is_incomplete() {
        const HOUR_MS: i64 = 3_600_000;
        let schema = Arc::new(Schema::new(vec![Signal::open("pump", Role::Control, Unit::one())]));
        let mut all = Trajectory::empty(schema, Timestamp::UNIX_EPOCH, HOUR_MS, 120, 1);
        all.columns[0] = (0..120).map(|t| f64::from(t % 4 == 0)).collect();
        let rows: Vec<usize> = (0..120).filter(|t| !(60..72).contains(t)).collect();
        let unknown: Vec<Timestamp> = (60..72).map(|t| all.time(t)).collect();
        let run = all.select(&rows);
        let bounds = Bounds { low: 5.0, high: f64::INFINITY };
        let total = TotalSettings { control: 0, bounds, period: Some(Period::Every(24 * HOUR_MS)) };
        let missed = |unknown: &[Timestamp]| missed_totals(std::slice::from_ref(&total), &run, unknown, &TimeZone::UTC);
        assert_eq!(missed(&unknown).len(), 0);
        // a night in which the plant never runs belongs to the day
        assert_eq!(missed(&[]).len(), 1);
    }
}
