//! Whether the newest rows of a log can be what the plant did.

use crate::scenario::Plant;
use crate::schema::Role;
use crate::trajectory::Window;
use crate::twin::{Dynamics, Support};

/// What is odd about the rows that the twin looks back on from the log's end: values that no earlier row comes near to, or
/// that the newest row lacks, and a present that the twin calls outside of what it was fitted on. One sentence each.
pub fn doubts(plant: &Plant) -> Vec<String> {
    let (log, twin) = (&plant.log, &plant.twin);
    let depth = twin.depth().max(1);
    let newest = log.steps.saturating_sub(depth);
    let (mut list, mut whole) = (Vec::new(), true);
    for (signal, column) in plant.schema.signals.iter().zip(&log.columns) {
        if matches!(signal.role, Role::Derived) {
            continue;
        }
        let finite = |v: &&f64| v.is_finite();
        let lacks = column.last().is_some_and(|v| !v.is_finite()) && column.iter().any(|v| v.is_finite());
        if lacks && signal.role != Role::Output {
            let stands_in =
                if signal.role == Role::State { "the model's own prediction" } else { "the last one before" };
            list.push(format!("`{}` has no value in the newest row: {stands_in} stands in for it", signal.name));
            whole &= signal.role == Role::Setpoint;
        }
        let (low, high) = column[..newest]
            .iter()
            .filter(finite)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
        let odd = column[newest..].iter().rev().filter(finite).find(|v| !(low..=high).contains(*v));
        if let Some(value) = odd.filter(|_| low <= high) {
            let (name, unit) = (&signal.name, &signal.unit.text);
            list.push(format!(
                "`{name}` is {value:.6} {unit} in the newest rows, which no earlier row has seen ({low:.6} to {high:.6}): look \
                 at its sensor before you follow the advice"
            ));
        }
    }
    if log.steps > 0 && whole {
        let row = log.steps - 1;
        let first = log.segments.iter().find(|s| s.contains(&row)).map_or(row, |s| s.start);
        let window = Window::from_trajectory(log, row, first, depth.max(2), 1);
        if twin.support(&window).first() == Some(&Support::Outside) {
            let cause = "the newest row lies outside of what the model was fitted on";
            list.push(format!(
                "{cause}: what follows from there is a guess; look at the sensors, or fit again with such rows"
            ));
        }
    }
    list
}
