//! Replacement of missing states by predictions of the model, for a limited number of steps.

use crate::config::TimeSpan;
use crate::error::{Error, Result, plural};
use crate::learn::{Particle, StepMap, StepScratch};
use crate::schema::Role;
use crate::trajectory::{Frame, Trajectory, Window};

/// Replaces missing states in rows `first..=row` of `log` (1 particle) by one-step predictions of `map` from the
/// previous rows. Returns the number of consecutive replaced values of each signal up to `row`.
///
/// A state remains missing if it has had no value since `first`, or if its prediction requires another missing value.
///
/// # Errors
/// Returns [`Error::Data`] if a state would have to be replaced for more than `max_steps` steps.
pub(super) fn carry(
    map: &StepMap,
    log: &mut Trajectory,
    first: usize,
    row: usize,
    max_steps: usize,
) -> Result<Vec<usize>> {
    let mut carried = vec![0; log.schema.len()];
    let states: Vec<usize> = log.schema.with_role(Role::State);
    let depth = map.depth().max(2);
    let missing = |log: &Trajectory, s: usize, t: usize| !log.at(s, t)[0].is_finite();
    // Rows before `from` cannot affect the result at `row`.
    let from = row.saturating_sub(max_steps + 2 * depth).max(first);
    let mut scratch = StepScratch::default();
    for t in from..=row {
        let bad: Vec<usize> = states.iter().copied().filter(|&s| missing(log, s, t)).collect();
        for &s in &states {
            carried[s] = if bad.contains(&s) { carried[s] + 1 } else { 0 };
        }
        if bad.is_empty() || t == first {
            continue;
        }
        let mut window = Window::from_trajectory(log, t - 1, first, depth, 1);
        map.observe(&mut window, &mut scratch);
        map.step(&mut window, &[Particle { member: None, rows: 0..1 }], None, &mut scratch);
        for &s in &bad {
            let predicted = window.column(s, 0)[0];
            if predicted.is_finite() {
                log.at_mut(s, t)[0] = predicted;
            }
        }
    }
    for &s in &states {
        let ever = (first..=row).any(|t| !missing(log, s, t));
        if ever && carried[s] > max_steps {
            return Err(Error::Data(format!(
                "at {2}, state `{0}` has had no valid value for {1}, but predictions may replace its values for at most \
                 {3}. Repair the sensor, choose another start, or increase `carry` under `[model]` in twin.toml",
                log.schema.signals[s].name,
                plural(carried[s], "step", "steps"),
                log.time(row),
                TimeSpan::from_ms(max_steps as i64 * log.step_ms),
            )));
        }
        if missing(log, s, row) {
            // No prediction could replace the missing state at `row`, so the count of replaced steps restarts at zero.
            carried[s] = 0;
        }
    }
    Ok(carried)
}
