//! Computes bounds for the states after the advised move. If a state is outside its bounds, the advice should be
//! undone.

use serde::Serialize;

use super::ahead::Ahead;
use crate::scenario::Plant;
use crate::schema::Role;
use crate::simulate::Simulated;
use crate::stats::{mean, quantile_type_6, sorted_finite};

/// The 5 % and 95 % quantiles of a state over all simulated futures at the time `at`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Undo {
    pub tag: String,
    pub unit: String,
    pub low: f64,
    pub high: f64,
    /// Time at which the state is checked (UTC).
    pub at: String,
}

/// A state is checked at the time when the plan's effect on the state reaches this fraction of the largest effect. A
/// first-order process reaches 63 % after one time constant.
const RESPONSE: f64 = 0.63;

/// Returns the bounds of every state that the plan changes compared with `kept`, the simulation without the plan. The
/// bounds apply at the time at which the effect of the plan reaches 63 % of its largest value. At an earlier time, most
/// of the plan's effect would not yet be visible.
pub fn undo(plant: &Plant, ahead: &Ahead, planned: &Simulated, kept: &Simulated) -> Vec<Undo> {
    let steps = planned.trajectory.steps.min(kept.trajectory.steps);
    let states = plant.schema.with_role(Role::State).into_iter();
    let bounds = states.filter_map(|s| {
        let effects: Vec<f64> =
            (0..steps).map(|t| (mean(planned.trajectory.at(s, t)) - mean(kept.trajectory.at(s, t))).abs()).collect();
        let largest = effects.iter().copied().filter(|e| e.is_finite()).fold(0.0, f64::max);
        let step = effects.iter().position(|e| largest > 0.0 && *e >= RESPONSE * largest)?;
        let sorted = sorted_finite(planned.trajectory.at(s, step));
        let signal = &plant.schema.signals[s];
        let (low, high) = (quantile_type_6(&sorted, 0.05), quantile_type_6(&sorted, 0.95));
        let at = ahead.time(step).to_string();
        Some(Undo { tag: signal.name.clone(), unit: signal.unit.text.clone(), low, high, at })
    });
    // A state that is computed only from known equations has no uncertainty, so no bounds are given for it.
    bounds.filter(|u| u.low < u.high).collect()
}
