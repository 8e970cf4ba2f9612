//! States whose sensor is bad: carried by the model's own prediction, for a while.

use crate::config::TimeSpan;
use crate::error::{Error, Result, plural};
use crate::learn::{Particle, StepMap, StepScratch};
use crate::schema::Role;
use crate::trajectory::{Frame, Trajectory, Window};

/// Fills what is missing of the states in rows `first ..= row` of `log` (1 particle) with the one-step predictions of
/// `map` from the rows before, where those are known. Returns, per signal, the steps up to `row` that are carried;
/// `most` are allowed.
///
/// A state that no row since `first` has a value of, and one for whose prediction something else is missing, stay as they
/// are.
///
/// # Errors
/// [`Error::Data`] when a state would have to be carried for longer: names it, since when it is missing, and the help.
pub(super) fn carry(map: &StepMap, log: &mut Trajectory, first: usize, row: usize, most: usize) -> Result<Vec<usize>> {
    let mut carried = vec![0; log.schema.len()];
    let states: Vec<usize> = log.schema.with_role(Role::State);
    let depth = map.depth().max(2);
    let missing = |log: &Trajectory, s: usize, t: usize| !log.at(s, t)[0].is_finite();
    // Only the rows that a run from `row` reads, and those that their predictions start from, matter.
    let from = row.saturating_sub(most + 2 * depth).max(first);
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
        if ever && carried[s] > most {
            return Err(Error::Data(format!(
                "state `{}` has had no good value for {} at {}, longer than a prediction may stand in for it ({}); repair \
                 the sensor, choose another start, or allow more with `carry` under `[model]` in twin.toml",
                log.schema.signals[s].name,
                plural(carried[s], "step"),
                log.time(row),
                TimeSpan::from_ms(most as i64 * log.step_ms),
            )));
        }
        if missing(log, s, row) {
            // Nothing to carry it from.
            carried[s] = 0;
        }
    }
    Ok(carried)
}
