//! Checks whether the controls in a run satisfy the limits on totals.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::results::MissedTotal;
use crate::control::mpc::TotalSettings;
use crate::schema::Bounds;
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

/// How far the totals of `run` are from their limits, summed over all limits and averaged over all futures. `run` follows
/// the first `past` steps of `realised`, which count towards the total of a period that began before the run. If a period
/// ends after the run, later steps can contribute any value within the hard limits of the control.
pub fn totals_beyond(
    totals: &[TotalSettings],
    realised: &Trajectory,
    past: usize,
    run: &Trajectory,
    zone: &TimeZone,
) -> f64 {
    totals.iter().map(|total| beyond(total, realised, past, run, zone)).sum()
}

fn beyond(total: &TotalSettings, realised: &Trajectory, past: usize, run: &Trajectory, zone: &TimeZone) -> f64 {
    let start = run.time(0).as_millisecond();
    let number = |t: i64| {
        let time = Timestamp::from_millisecond(start + t * run.step_ms).ok()?;
        total
            .period
            .map_or(Some(0).filter(|_| (0..run.steps as i64).contains(&t)), |p| p.number(time, run.step_ms, zone))
    };
    let range = run.schema.signals[total.control].hard;
    let end = run.steps as i64;
    let (mut excess, mut t) = (0.0, 0);
    while t < end {
        let Some(period) = number(t) else {
            t += 1;
            continue;
        };
        let is_in_period = |t: &i64| number(*t) == Some(period);
        let last = (t..end).take_while(is_in_period).last().unwrap_or(t);
        let before = (1..=past).take_while(|lag| t == 0 && is_in_period(&-(*lag as i64)));
        let done: f64 = before.map(|lag| realised.at(total.control, past - lag)[0]).filter(|v| v.is_finite()).sum();
        let later = if last + 1 == end { (end..).take_while(is_in_period).count() as f64 } else { 0.0 };
        let rest = |bound: f64| if later > 0.0 { later * bound } else { 0.0 };
        let bounds = Bounds { low: total.bounds.low - rest(range.high), high: total.bounds.high - rest(range.low) };
        let sum = |p: usize| done + (t..=last).map(|t| run.at(total.control, t as usize)[p]).sum::<f64>();
        let size = [total.bounds.low, total.bounds.high]
            .into_iter()
            .filter(|b| b.is_finite())
            .fold(1.0, |a, b| b.abs().max(a));
        let of_future = |p: usize| Some(bounds.excess(sum(p))).filter(|e| *e > ROUNDING * size).unwrap_or(0.0);
        excess += (0..run.particles).map(of_future).sum::<f64>() / run.particles.max(1) as f64;
        t = last + 1;
    }
    excess
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
    use crate::config::Weekdays;
    use crate::control::mpc::Period;
    use crate::schema::{Role, Schema, Signal};
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
        // Without unknown times, the day is complete, as if the plant never ran in these hours.
        assert_eq!(missed(&[]).len(), 1);
    }

    /// 20 units must be delivered between 18:00 and 06:00, at most 2 per hour. At 23:00, 6 units
    /// have been delivered.
    #[test]
    fn a_total_that_is_due_after_the_run_counts_as_far_as_it_can_no_longer_be_reached() {
        let mut signal = Signal::open("charge", Role::Control, Unit::one());
        signal.hard = Bounds { low: 0.0, high: 2.0 };
        let schema = Arc::new(Schema::new(vec![signal]));
        let trajectory = |start: &str, values: &[f64]| {
            let mut t = Trajectory::empty(schema.clone(), start.parse().unwrap(), 3_600_000, values.len(), 1);
            t.columns[0].copy_from_slice(values);
            t
        };
        let period = Some(Period::Daily { days: Weekdays::EVERY_DAY, from: 18 * 60, to: 6 * 60 });
        let total = TotalSettings { control: 0, bounds: Bounds { low: 20.0, high: f64::INFINITY }, period };
        let past = trajectory("2024-01-10T17:00:00Z", &[9.0, 2.0, 2.0, 2.0, 0.0, 0.0]);
        let beyond = |values: &[f64]| {
            let run = trajectory("2024-01-10T23:00:00Z", values);
            totals_beyond(std::slice::from_ref(&total), &past, past.steps, &run, &TimeZone::UTC)
        };
        // 14 units are missing, and 7 hours are left.
        assert_eq!([beyond(&[2.0]), beyond(&[0.0]), beyond(&[0.0, 2.0])], [0.0, 2.0, 2.0]);
        assert_eq!([beyond(&[2.0; 9]), beyond(&[0.0; 9])], [0.0, 14.0]);
        // rounding errors do not count
        assert_eq!(beyond(&[2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0 - 1e-12, 0.0, 0.0]), 0.0);
    }
}
