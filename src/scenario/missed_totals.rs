//! Checks whether the controls that MPC chose satisfy the limits on totals.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::results::MissedTotal;
use crate::control::mpc::TotalSettings;
use crate::schema::Schema;
use crate::stats::mean_or_zero;
use crate::trajectory::Trajectory;

/// Relative difference that is considered a rounding error.
const ROUNDING: f64 = 1e-6;
/// A limit may be violated in at most this fraction of all periods, counted over all simulated futures (not tuned).
const TOLERATED: f64 = 0.05;

/// Describes each limit of `totals` that `run` violates in more than [`TOLERATED`] of its complete periods. Limits over
/// the horizon of a plan have no period and are not checked.
pub fn missed_totals(totals: &[TotalSettings], run: &Trajectory, schema: &Schema, zone: &TimeZone) -> Vec<MissedTotal> {
    totals.iter().flat_map(|total| missed(total, run, schema, zone)).collect()
}

fn missed(total: &TotalSettings, run: &Trajectory, schema: &Schema, zone: &TimeZone) -> Vec<MissedTotal> {
    let Some(period) = total.period else { return Vec::new() };
    let number = |time: Timestamp| period.number(time, run.step_ms, zone);
    let numbers: Vec<Option<i64>> = (0..run.steps).map(|t| number(run.time(t))).collect();
    let before = Timestamp::from_millisecond(run.time(0).as_millisecond() - run.step_ms).ok().and_then(number);
    let (mut start, mut sums) = (0, Vec::new());
    while start < run.steps {
        let end = (start..run.steps).find(|t| numbers[*t] != numbers[start]).unwrap_or(run.steps);
        let begins = start > 0 || before != numbers[0];
        let ends = end < run.steps || number(run.time(run.steps)) != numbers[start];
        if numbers[start].is_some() && begins && ends {
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
            let (name, mean) = (&schema.signals[total.control].name, mean_or_zero(&missed));
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
