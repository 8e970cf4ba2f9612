//! Computes bounds for the states after the first step. If a state is outside its bounds, the advice should be undone.

use serde::Serialize;

use super::ahead::Ahead;
use crate::scenario::Plant;
use crate::schema::Role;
use crate::simulate::Simulated;
use crate::stats::{quantile_type_6, sorted_finite};

/// The 5 % and 95 % quantiles of a state over all simulated futures at the time `at`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Undo {
    pub tag: String,
    pub unit: String,
    pub low: f64,
    pub high: f64,
    /// UTC.
    pub at: String,
}

/// Returns the bounds of the states after the first step of the plan.
pub fn undo(plant: &Plant, ahead: &Ahead, planned: &Simulated) -> Vec<Undo> {
    let step = 1.min(planned.trajectory.steps.saturating_sub(1));
    let states = plant.schema.with_role(Role::State).into_iter().filter(|_| step > 0);
    let bounds = states.map(|s| {
        let sorted = sorted_finite(planned.trajectory.at(s, step));
        let signal = &plant.schema.signals[s];
        let (low, high) = (quantile_type_6(&sorted, 0.05), quantile_type_6(&sorted, 0.95));
        let at = ahead.time(step).to_string();
        Undo { tag: signal.name.clone(), unit: signal.unit.text.clone(), low, high, at }
    });
    // A state that is computed only from known equations has no uncertainty, so no bounds are given for it.
    bounds.filter(|u| u.low < u.high).collect()
}
