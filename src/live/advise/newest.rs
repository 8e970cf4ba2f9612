//! Checks whether the newest rows of the log are plausible.

use crate::error::plural;
use crate::scenario::Plant;
use crate::schema::Role;
use crate::trajectory::Window;
use crate::twin::{Dynamics, Support};

/// Returns warnings about the rows of the log up to row `newest`, from which the twin starts. Each warning is one
/// sentence. There is a warning for each signal that is outside the range of all earlier rows or has no value in the
/// newest row, and another warning if the newest row is outside the training data.
pub fn warnings(plant: &Plant, newest: usize) -> Vec<String> {
    let (log, twin) = (&plant.log, &plant.twin);
    let depth = twin.depth().max(1);
    let rows = (newest + 1).min(log.steps);
    let start = rows.saturating_sub(depth);
    let (mut list, mut complete) = (Vec::new(), true);
    let moves_later = |s: usize| {
        let (now, later) = (log.columns[s][newest], &log.columns[s][newest + 1..]);
        plant.schema.signals[s].role == Role::Control && later.iter().any(|v| v.is_finite() && *v != now)
    };
    if rows < log.steps && (0..plant.schema.len()).any(moves_later) {
        list.push(format!(
            "the newest {} of the log contain no measured state or output, so the advice is for the step after {}, and \
             ignores later moves of controls",
            plural(log.steps - rows, "row", "rows"),
            log.time(newest)
        ));
    }
    for (signal, column) in plant.schema.signals.iter().zip(&log.columns) {
        let column = &column[..rows];
        if matches!(signal.role, Role::Derived) {
            continue;
        }
        let finite = |v: &&f64| v.is_finite();
        let is_missing = column.last().is_some_and(|v| !v.is_finite()) && column.iter().any(|v| v.is_finite());
        if is_missing && signal.role != Role::Output {
            let substitute = if signal.role == Role::State { "the model's prediction" } else { "its last value" };
            list.push(format!("`{}` has no value in the newest row; {substitute} is used instead", signal.name));
            complete &= signal.role == Role::Setpoint;
        }
        let (low, high) = column[..start]
            .iter()
            .filter(finite)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
        let outside = column[start..].iter().rev().filter(finite).find(|v| !(low..=high).contains(*v));
        if let Some(value) = outside.filter(|_| low <= high) {
            let (name, unit) = (&signal.name, &signal.unit.text);
            list.push(format!(
                "`{name}` is {value:.6} {unit} in the newest rows, outside the range of all earlier rows ({low:.6} to \
                 {high:.6}); check its sensor before you follow the advice"
            ));
        }
    }
    if rows > 0 && complete {
        let row = rows - 1;
        let first = log.segment_at(row).map_or(row, |s| s.start);
        let window = Window::from_trajectory(log, row, first, depth.max(2), 1);
        if twin.support(&window).first() == Some(&Support::Outside) {
            list.push(
                "the newest row is outside the model's training data, so predictions from it are unreliable; check the \
                 sensors, or refit the model with a log that contains such rows"
                    .to_owned(),
            );
        }
    }
    list
}
