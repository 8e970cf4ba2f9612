//! Which planner suits a plant.

use super::limits::plant_limits;
use super::resolved::ResolvedMpc;
use crate::config::PlannerSpec;
use crate::schema::Bounds;
use crate::twin::Dynamics;

/// Values of a control up to which a tree search looks at each.
const FEW: f64 = 8.0;

/// The planner that `spec` names, or the one that suits the plant and the planned controls; that one, too, where the named
/// one follows slopes and there are none.
pub fn planner_of(settings: &ResolvedMpc, dynamics: &dyn Dynamics) -> PlannerSpec {
    let slopes = has_slopes(settings, dynamics);
    if let Some(planner) = settings.planner.as_ref().filter(|p| !p.follows_slopes() || slopes) {
        return planner.clone();
    }
    let controls = &settings.controls;
    let signals = &dynamics.schema().signals;
    let few = |&c: &usize| {
        let (hard, multiple) = (signals[c].hard, signals[c].multiple);
        multiple > 0.0 && (hard.high - hard.low) / multiple < FEW
    };
    if slopes {
        // Where all is linear, one quadratic program has every limit right. Where none is but the ends of the log, which
        // seldom bind, it costs two to three times as much for the same plan.
        let named = |s: &usize| signals[*s].hard != Bounds::OPEN;
        let limited: Vec<usize> = plant_limits(settings, dynamics)
            .iter()
            .filter(|l| l.rank > 0 || named(&l.signal))
            .map(|l| l.signal)
            .collect();
        let exact = !limited.is_empty() && dynamics.is_linear(&limited);
        if exact { PlannerSpec::qp() } else { PlannerSpec::gauss_newton() }
    } else if !controls.is_empty() && settings.base_stock.is_empty() && controls.iter().all(few) {
        PlannerSpec::mcts()
    } else {
        PlannerSpec::default()
    }
}

/// Whether small changes of a plan make small changes of its cost.
pub(super) fn has_slopes(settings: &ResolvedMpc, dynamics: &dyn Dynamics) -> bool {
    let signals = &dynamics.schema().signals;
    let stepless = |&c: &usize| signals[c].multiple <= 0.0 && signals[c].switching.least <= 0.0;
    dynamics.is_differentiable() && settings.base_stock.is_empty() && settings.controls.iter().all(stepless)
}
