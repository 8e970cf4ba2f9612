//! Checks whether the controls that MPC chose satisfy the limits on totals.

use jiff::tz::TimeZone;

use crate::control::mpc::TotalSettings;
use crate::error::plural;
use crate::schema::Schema;
use crate::stats::mean_or_zero;
use crate::trajectory::Trajectory;

/// Relative difference that is considered a rounding error.
const ROUNDING: f64 = 1e-6;

/// Describes each limit of `totals` that `run` violates in at least one complete period. Limits over the horizon of a
/// plan have no period and are not checked.
pub fn missed_totals(totals: &[TotalSettings], run: &Trajectory, schema: &Schema, zone: &TimeZone) -> Vec<String> {
    totals.iter().filter_map(|total| missed(total, run, schema, zone)).collect()
}

fn missed(total: &TotalSettings, run: &Trajectory, schema: &Schema, zone: &TimeZone) -> Option<String> {
    let period = total.period?;
    let number = |t: usize| period.number(run.time(t), zone);
    // the first and the last period may be incomplete
    let steps_per_period = (period.ms() / run.step_ms.max(1)).max(1) as usize;
    let (mut periods, mut sums) = (0, Vec::new());
    let mut start = 0;
    while start < run.steps {
        let of = number(start);
        let end = (start..run.steps).find(|t| number(*t) != of).unwrap_or(run.steps);
        if of.is_some() && end - start >= steps_per_period {
            periods += 1;
            let sum = |p: usize| (start..end).map(|t| run.at(total.control, t)[p]).sum::<f64>();
            let missed = (0..run.particles).map(sum).filter(|sum| {
                let margin = ROUNDING * sum.abs().max(total.bounds.low.abs().min(total.bounds.high.abs())).max(1.0);
                total.bounds.excess(*sum) > margin
            });
            let missed: Vec<f64> = missed.collect();
            if !missed.is_empty() {
                sums.push(mean_or_zero(&missed));
            }
        }
        start = end;
    }
    let limit = match sums.first()? {
        sum if *sum < total.bounds.low => format!("at least {}", total.bounds.low),
        _ => format!("at most {}", total.bounds.high),
    };
    Some(format!(
        "the total of `{}` is {:.4} on average instead of {limit} in {} of {}",
        schema.signals[total.control].name,
        mean_or_zero(&sums),
        sums.len(),
        plural(periods, "period", "periods")
    ))
}
