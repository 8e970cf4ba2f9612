//! Computes the derivatives of the cost and of the limited signals with respect to a plan. The derivatives are forward
//! differences between complete rollouts, which are all simulated in one batch.

use super::evaluator::Evaluator;
use super::residuals::{Residuals, SMALLEST, Trace};
use super::setup::Setup;
use super::start::PlanStart;
use crate::control::planner::{Linearisation, LinearisedLimit};

/// Step size of the finite differences, relative to the distance between the control's bounds. This step size keeps
/// both single-precision rounding errors and truncation errors small.
const DIFFERENCE: f64 = 1e-3;
/// A limit whose slack exceeds this multiple of its scale is assumed to remain inactive during one planner step (not
/// tuned).
const ACTIVE_SLACK: f64 = 0.5;

/// Computes the local model of the cost around the control sequence `at`, `[moves * controls]`. Returns `None` if the
/// cost is not differentiable, or if a derivative is not finite.
pub(super) fn linearise(
    evaluator: &mut Evaluator,
    setup: &Setup,
    start: &PlanStart,
    at: &[f64],
) -> Option<Linearisation> {
    let residuals = setup.residuals.as_ref()?;
    let (n, controls, limits) = (at.len(), setup.controls.len(), &setup.limits);
    let mut candidates = vec![at.to_vec(); n + 1];
    let mut differences = vec![0.0; n];
    for (k, candidate) in candidates[1..].iter_mut().enumerate() {
        let limit = &limits.controls[k % controls];
        let bounds = limit.constraints.bounds;
        let width = bounds.high - bounds.low;
        let size = DIFFERENCE * if width.is_finite() && width > 0.0 { width } else { limit.scale.max(1e-9) };
        differences[k] = if at[k] + size > bounds.high { -size } else { size };
        candidate[k] += differences[k];
    }
    let (rows, horizon) = ((n + 1) * evaluator.futures().count(), setup.horizon.steps());
    let mut trace = std::mem::take(&mut evaluator.trace);
    trace.resize(residuals.list.len(), limits.plant.len(), horizon * rows);
    let mut costs = Vec::new();
    evaluator.evaluate_with(setup, start, &candidates, &mut costs, &mut |step, frame, registers| {
        trace.add(residuals, &limits.plant, step, frame, registers);
    });
    let mut model = local_model(evaluator, setup, residuals, &trace, costs[0], &differences);
    evaluator.trace = trace;
    if let Some(model) = &mut model {
        // The standard deviation of the cost over members is not a sum of squares over futures, and the value of stores
        // is not a term of the objective, so both gradients are computed separately by finite
        // differences.
        let (uncertainty, ends) = (evaluator.uncertainty_costs(), evaluator.end_costs());
        for (k, g) in model.gradient.iter_mut().enumerate() {
            *g += (uncertainty[k + 1] - uncertainty[0] + ends[k + 1] - ends[0]) / differences[k];
        }
    }
    model.filter(|l| l.cost.is_finite() && l.gradient.iter().all(|g| g.is_finite()))
}

/// Computes the local model from a batch of rollouts. The first candidate is the unchanged control sequence. Each of
/// the remaining candidates differs from the control sequence in one value, which is changed by the corresponding entry
/// of `differences`.
fn local_model(
    evaluator: &mut Evaluator,
    setup: &Setup,
    residuals: &Residuals,
    trace: &Trace,
    cost: f64,
    differences: &[f64],
) -> Option<Linearisation> {
    let (n, futures, horizon) = (differences.len(), evaluator.futures().count(), setup.horizon.steps());
    let base = |h: usize, p: usize| (h * futures + p) * (n + 1);
    let mut model =
        Linearisation { cost, gradient: vec![0.0; n], jacobian: vec![Vec::new(); n], ..Linearisation::default() };
    // For each term of the objective, the gradient of its squared residuals.
    let mut residual_gradients = vec![vec![0.0; n]; setup.objective.terms.len()];
    let share = (futures as f64).recip();
    for (residual, (r, weight)) in residuals.list.iter().zip(&trace.residuals) {
        let places = (0..horizon).flat_map(|h| (0..futures).map(move |p| base(h, p)));
        let count = (horizon * futures) as f64;
        let square: f64 = places.clone().map(|at| r[at] * r[at]).filter(|v| v.is_finite()).sum::<f64>() / count;
        let floor = if residual.is_kinked() { SMALLEST * square.sqrt() + f64::MIN_POSITIVE } else { 0.0 };
        for at in places {
            // The weight of ½ r² is computed as if |r| were at least `floor`.
            let size = r[at].abs();
            let w = share * weight[at] * if size < floor { size / floor } else { 1.0 };
            let derivative = |k: usize| (r[at + k + 1] - r[at]) / differences[k];
            if w == 0.0 || !w.is_finite() || (0..n).any(|k| !derivative(k).is_finite()) {
                continue;
            }
            for (k, g) in residual_gradients[residual.term].iter_mut().enumerate() {
                *g += w * r[at] * derivative(k);
            }
            if w < 0.0 {
                // A residual with a negative weight contributes only to the gradient, because a
                // square with a negative weight has no minimum.
                model.gradient.iter_mut().enumerate().for_each(|(k, g)| *g += w * r[at] * derivative(k));
                continue;
            }
            let root = w.sqrt();
            model.residuals.push(root * r[at]);
            for (k, column) in model.jacobian.iter_mut().enumerate() {
                column.push(root * derivative(k));
            }
        }
    }
    for &term in &residuals.other_terms {
        let gradient = evaluator.term_gradient(setup, term, differences)?;
        for ((g, whole), part) in model.gradient.iter_mut().zip(gradient).zip(&residual_gradients[term]) {
            *g += whole - part;
        }
    }
    for (l, (limit, values)) in setup.limits.plant.iter().zip(&trace.limits).enumerate() {
        for (h, p) in (0..horizon).flat_map(|h| (0..futures).map(move |p| (h, p))) {
            let (at, bounds) = (base(h, p), evaluator.margins().tightened(l, limit.bounds, h, p));
            for (bound, sign) in [(bounds.high, 1.0), (bounds.low, -1.0)] {
                let slack = sign * (bound - values[at]) / limit.scale;
                if slack < ACTIVE_SLACK {
                    let gradient =
                        (0..n).map(|k| sign * (values[at + k + 1] - values[at]) / (differences[k] * limit.scale));
                    model.limits.push(LinearisedLimit { gradient: gradient.collect(), slack, rank: limit.rank });
                }
            }
        }
    }
    Some(model)
}

#[cfg(test)]
#[path = "../../../tests/unit/control/mpc/linearise.rs"]
mod tests;
