//! Choice of the default planner for a plant.

use super::limits::plant_limits;
use super::resolved::ResolvedMpc;
use crate::config::PlannerSpec;
use crate::schema::Bounds;
use crate::twin::Dynamics;

/// Tree search is the default only if every control has at most this many values (not tuned).
const MOST_TREE_VALUES: f64 = 8.0;

/// Returns the planner given in `settings`, or the default planner for the plant and its planned controls. The default
/// planner is also used if the given planner needs derivatives but the cost is not differentiable.
pub fn select_planner(settings: &ResolvedMpc, dynamics: &dyn Dynamics) -> PlannerSpec {
    let differentiable = is_differentiable(settings, dynamics);
    if let Some(planner) = settings.planner.as_ref().filter(|p| !p.uses_derivatives() || differentiable) {
        return planner.clone();
    }
    let controls = &settings.controls;
    let signals = &dynamics.schema().signals;
    let has_few_values = |&c: &usize| {
        let (hard, multiple) = (signals[c].hard, signals[c].multiple);
        multiple > 0.0 && (hard.high - hard.low) / multiple < MOST_TREE_VALUES
    };
    if differentiable {
        // If the twin is linear, one quadratic program satisfies all hard and ranked limits exactly. Without hard or
        // ranked limits, a quadratic program finds the same plan as Gauss-Newton, but takes two to three times as long.
        // Limits that only keep a signal within its logged range do not affect this choice, because they are rarely
        // active.
        let has_hard_limit = |s: &usize| signals[*s].hard != Bounds::OPEN;
        let limited: Vec<usize> = plant_limits(settings, dynamics)
            .iter()
            .filter(|l| l.rank > 0 || has_hard_limit(&l.signal))
            .map(|l| l.signal)
            .collect();
        let exact = !limited.is_empty() && dynamics.is_linear(&limited);
        if exact { PlannerSpec::qp() } else { PlannerSpec::gauss_newton() }
    } else if !controls.is_empty() && settings.base_stock.is_empty() && controls.iter().all(has_few_values) {
        PlannerSpec::mcts()
    } else {
        PlannerSpec::default()
    }
}

/// Whether the cost is a differentiable function of the plan.
pub(super) fn is_differentiable(settings: &ResolvedMpc, dynamics: &dyn Dynamics) -> bool {
    let signals = &dynamics.schema().signals;
    let continuous = |&c: &usize| signals[c].multiple <= 0.0 && signals[c].switching.least <= 0.0;
    dynamics.is_differentiable() && settings.base_stock.is_empty() && settings.controls.iter().all(continuous)
}
