//! Conditions under which staff should return to the present operation.
//!
//! A stop condition must not be met in the scenario itself. Otherwise, staff would have to stop as
//! soon as they start. A stop condition therefore consists of a value and a duration, which are
//! chosen so that, in 95 % of the simulated futures, the signal does not stay beyond the value for
//! the whole duration.

use super::results::StopRule;
use crate::stats::{quantile_higher, sorted_finite};
use crate::trajectory::Trajectory;

/// Shortest duration for which a value must be exceeded (not tuned).
const SHORTEST_MS: i64 = 30 * 60_000;
/// The durations to try, as multiples of the shortest one (not tuned).
const MULTIPLES: [usize; 4] = [1, 2, 4, 8];
/// Margin for a value that replaces the limit, as a fraction of the distance between value and limit (not tuned).
const MARGIN: f64 = 0.1;

/// The rule that stops a case if `signal` is above `bound`, or below `bound` if `above` is false.
/// If the run itself stays beyond `bound` for too long, a value that the run does not exceed
/// replaces `bound`.
pub fn stop_rule(run: &Trajectory, signal: usize, bound: f64, above: bool) -> StopRule {
    let sign = if above { 1.0 } else { -1.0 };
    // The shortest duration is limited to the length of the run.
    let shortest = usize::try_from(SHORTEST_MS / run.step_ms.max(1)).unwrap_or(1).max(1).min(run.steps.max(1));
    let hours = |steps: usize| steps as f64 * run.step_seconds() / 3600.0;
    let mut reached = f64::NEG_INFINITY;
    for steps in MULTIPLES.map(|m| m * shortest) {
        if steps > run.steps.max(1) {
            break;
        }
        reached = sustained(run, signal, steps, sign);
        if reached.is_nan() || reached <= sign * bound {
            return StopRule { above, value: bound, hours: hours(steps), reached: None };
        }
    }
    let highest = sustained(run, signal, shortest, sign);
    let value = sign * rounded_up(highest + MARGIN * (highest - sign * bound));
    StopRule { above, value, hours: hours(shortest), reached: Some(sign * reached.max(highest)) }
}

/// `v`, rounded upwards to three significant digits, so that the printed value is not below the value that the run
/// reaches.
fn rounded_up(v: f64) -> f64 {
    let place = 10f64.powi(v.abs().max(1e-12).log10().floor() as i32 - 2);
    // The tolerance of 1e-6 ensures that numbers with three digits stay unchanged.
    (v / place - 1e-6).ceil() * place
}

/// The largest value of `sign` × `signal` that is sustained for `steps` steps, as the 95th percentile over particles;
/// NaN if there is no value.
fn sustained(run: &Trajectory, signal: usize, steps: usize, sign: f64) -> f64 {
    let column = &run.columns[signal];
    let lasting = |p: usize| {
        let value = |t: usize| sign * column[t * run.particles + p];
        let lowest = |from: usize| (from..from + steps).map(value).fold(f64::INFINITY, f64::min);
        (0..(run.steps + 1).saturating_sub(steps)).map(lowest).fold(f64::NEG_INFINITY, f64::max)
    };
    let sorted = sorted_finite(&(0..run.particles).map(lasting).collect::<Vec<f64>>());
    if sorted.is_empty() { f64::NAN } else { quantile_higher(&sorted, 0.95) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::schema::{Role, Schema, Signal};
    use crate::units::Unit;

    /// A run of `values` with steps of 10 min.
    fn run(values: &[f64]) -> Trajectory {
        let schema = Arc::new(Schema::new(vec![Signal::open("x", Role::State, Unit::one())]));
        let start = "2024-01-01T00:00:00Z".parse().unwrap();
        let mut t = Trajectory::empty(schema, start, 600_000, values.len(), 1);
        t.columns[0] = values.to_vec();
        t
    }

    #[test]
    fn a_rule_is_not_true_in_the_run_itself() {
        // never beyond 27
        let calm = run(&[25.0; 100]);
        assert_eq!(stop_rule(&calm, 0, 27.0, true), StopRule { above: true, value: 27.0, hours: 0.5, reached: None });
        // the run is beyond 27 for 40 minutes, so a duration of half an hour is too short
        let mut values = [25.0; 100];
        values[20..24].fill(28.0);
        assert_eq!(stop_rule(&run(&values), 0, 27.0, true).hours, 1.0);
        // the run is beyond 27 most of the time, so a value above 27 replaces the limit
        let mut values = [25.0; 100];
        values[10..90].fill(28.0);
        let rule = stop_rule(&run(&values), 0, 27.0, true);
        assert!((rule.value - 28.1).abs() < 1e-9 && rule.reached == Some(28.0), "{rule:?}");
        // a value slightly beyond the limit must not be rounded to the limit
        let mut values = [25.0; 100];
        values[10..90].fill(27.04);
        let rule = stop_rule(&run(&values), 0, 27.0, true);
        assert!((rule.value - 27.1).abs() < 1e-9, "{rule:?}");
        // the whole run lasts 20 minutes
        let rule = stop_rule(&run(&[25.0, 28.0]), 0, 27.0, true);
        assert!(rule.value.is_finite() && rule.hours > 0.3, "{rule:?}");
        let below = stop_rule(&run(&values), 0, 26.0, false);
        assert!(below.value < 25.0 || below.hours > 0.5, "{below:?}");
    }
}
