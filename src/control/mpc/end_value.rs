//! The value of stored content and unfinished work at the end of a plan.
//!
//! If stores had no value at the end of a plan, the plan would empty every store and defer all work
//! beyond its horizon. The default value of a store is the marginal cost of one more unit in the
//! store at the end of the plan:
//!
//! ```text
//!   λ = mean over moves k of (∂J/∂u_k) / (∂x_N/∂u_k),     V(x_N) = −λ x_N
//! ```
//!
//! where J is the objective of the plan, x_N is the stored amount at the end of the plan, and the mean includes only
//! moves that affect both J and x_N. For a battery, λ is the mean price of charging. For a backlog of work, λ is
//! negative, and −λ is the mean cost of doing the work. The default value applies only to stores that the objective
//! does not price (see [`ResolvedMpc::stores`]), so J contains the cost of filling the store and not the benefit of
//! using it.
//!
//! [`ResolvedMpc::stores`]: super::resolved::ResolvedMpc::stores

use super::evaluator::{EndValue, Evaluator};
use super::setup::Setup;
use super::start::PlanStart;

/// Size of the finite differences, relative to the distance between the control's bounds.
const DIFFERENCE: f64 = 1e-2;
/// Fraction by which the cost of a backlog is increased. Without the increase, work could be
/// deferred although the cost of the work is the same at all times (not tuned).
const DEFERRAL: f64 = 0.02;

/// Computes the end values by finite differences around `sequence`, `[moves * controls]`.
pub(super) fn end_values(
    evaluator: &mut Evaluator,
    setup: &Setup,
    start: &PlanStart,
    sequence: &[f64],
) -> Vec<EndValue> {
    if setup.stores.is_empty() {
        return Vec::new();
    }
    let mut candidates = vec![sequence.to_vec(); sequence.len() + 1];
    for (i, candidate) in candidates[1..].iter_mut().enumerate() {
        let limit = &setup.limits.controls[i % setup.controls.len()];
        let bounds = limit.constraints.bounds;
        let width = bounds.high - bounds.low;
        let least = limit.constraints.multiple.max(limit.constraints.switching.least);
        let size = (DIFFERENCE * if width.is_finite() { width } else { limit.scale }).max(least);
        candidate[i] += if candidate[i] + size <= bounds.high { size } else { -size };
    }
    let (objectives, ends) = evaluator.objectives_and_ends(setup, start, &candidates);
    let value = |(signal, ends): (&usize, &Vec<f64>)| {
        let size = ends.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let costs = objectives[1..].iter().zip(&ends[1..]).filter_map(|(objective, end)| {
            let change = end - ends[0];
            let cost = (objective - objectives[0]) / change;
            (change.abs() > 1e-9 * size && cost != 0.0 && cost.is_finite()).then_some(cost)
        });
        let costs: Vec<f64> = costs.collect();
        let mean = costs.iter().sum::<f64>() / costs.len() as f64;
        let value = if mean < 0.0 { (1.0 + DEFERRAL) * mean } else { mean };
        (!costs.is_empty()).then_some(EndValue { signal: *signal, value })
    };
    setup.stores.iter().zip(&ends).filter_map(value).collect()
}
