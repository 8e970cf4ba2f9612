//! Which planner suits a plant.

use crate::spec::{MpcSpec, PlannerSpec};
use crate::twin::Dynamics;

/// Values of a control up to which a tree search looks at each.
const FEW: f64 = 8.0;

/// The planner that `spec` names, or the one that suits the plant and the planned controls; that one, too, where the named
/// one follows slopes and there are none.
pub fn planner_of(spec: &MpcSpec, dynamics: &dyn Dynamics, controls: &[usize]) -> PlannerSpec {
    if let Some(planner) = spec.planner.as_ref().filter(|p| !p.follows_slopes() || has_slopes(spec, dynamics, controls))
    {
        return planner.clone();
    }
    let signals = &dynamics.schema().signals;
    let few = |&c: &usize| {
        let (hard, multiple) = (signals[c].hard, signals[c].multiple);
        multiple > 0.0 && (hard.high - hard.low) / multiple < FEW
    };
    if has_slopes(spec, dynamics, controls) {
        PlannerSpec::gauss_newton()
    } else if !controls.is_empty() && spec.base_stock.is_empty() && controls.iter().all(few) {
        PlannerSpec::mcts()
    } else {
        PlannerSpec::default()
    }
}

/// Whether small changes of a plan make small changes of its cost.
pub(super) fn has_slopes(spec: &MpcSpec, dynamics: &dyn Dynamics, controls: &[usize]) -> bool {
    let signals = &dynamics.schema().signals;
    let stepless = |&c: &usize| signals[c].multiple <= 0.0 && signals[c].switching.least <= 0.0;
    dynamics.smooth() && spec.base_stock.is_empty() && controls.iter().all(stepless)
}
