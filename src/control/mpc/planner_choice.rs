//! Choice of the default planner for a plant.

use super::limits::plant_limits;
use super::resolved::ResolvedMpc;
use crate::config::PlannerSpec;
use crate::expr::Shape;
use crate::schema::Bounds;
use crate::twin::{Dynamics, Shapes};
use crate::value::{Objective, StepCost};

/// Tree search is the default only if every control has at most this many values (not tuned).
const MOST_TREE_VALUES: f64 = 8.0;

/// Returns the planner given in `settings`, or the default planner for the plant and its planned controls. The default
/// planner is also used if the given planner needs derivatives but the cost is not differentiable, or if the given
/// planner needs a piecewise linear cost but the cost is not piecewise linear.
pub fn select_planner(settings: &ResolvedMpc, dynamics: &dyn Dynamics, objective: &Objective) -> PlannerSpec {
    let differentiable = is_differentiable(settings, dynamics);
    let shape = exact_shape(settings, dynamics, objective);
    let is_possible = |planner: &PlannerSpec| match planner {
        PlannerSpec::Milp { .. } => shape.is_some(),
        other => !other.uses_derivatives() || differentiable,
    };
    if let Some(planner) = settings.planner.as_ref().filter(|p| is_possible(p)) {
        return planner.clone();
    }
    let controls = &settings.controls;
    let signals = &dynamics.schema().signals;
    let has_few_values = |&c: &usize| {
        let (hard, multiple) = (signals[c].hard, signals[c].multiple);
        multiple > 0.0 && (hard.high - hard.low) / multiple < MOST_TREE_VALUES
    };
    // A mixed-integer program plans equipment and stores exactly, but only for the expected future. Quantities such as
    // orders, whose best value depends on the spread of a learned demand, are planned for several futures.
    let is_known = dynamics.map().is_some_and(|m| m.layout.targets.is_empty());
    let is_on_off = |c: &usize| signals[*c].multiple <= 0.0 && signals[*c].switching.least >= signals[*c].hard.high;
    let is_exact = |c: &usize| is_known || has_few_values(c) || is_on_off(c);
    let most = if has_switched_control(settings, dynamics) {
        Some(Shape::Curved).filter(|_| controls.iter().filter(|c| is_switched(dynamics, **c)).all(is_exact))
    } else {
        // Quadratic programs plan smooth costs in less time.
        Some(Shape::Piecewise).filter(|_| !settings.stores.is_empty())
    };
    let is_expected = settings.risk.is_none() && settings.particles.is_none_or(|n| n == 1);
    if is_expected && shape.zip(most).is_some_and(|(shape, most)| shape <= most) {
        return PlannerSpec::milp();
    }
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
        let shapes = dynamics.map().map(Shapes::new).unwrap_or_default();
        let is_linear = shapes.of(&limited).is_some_and(|s| s <= Shape::Affine);
        if is_linear && !limited.is_empty() { PlannerSpec::qp() } else { PlannerSpec::gauss_newton() }
    } else if !controls.is_empty() && settings.base_stock.is_empty() && controls.iter().all(has_few_values) {
        PlannerSpec::mcts()
    } else {
        PlannerSpec::default()
    }
}

/// Whether a control is restricted to multiples or has an off state.
fn is_switched(dynamics: &dyn Dynamics, control: usize) -> bool {
    let signal = &dynamics.schema().signals[control];
    signal.multiple > 0.0 || signal.switching.least > 0.0
}

/// Whether a planned control is restricted to multiples or has an off state.
pub fn has_switched_control(settings: &ResolvedMpc, dynamics: &dyn Dynamics) -> bool {
    settings.controls.iter().any(|&c| is_switched(dynamics, c))
}

/// Whether the cost is a differentiable function of the plan.
pub(super) fn is_differentiable(settings: &ResolvedMpc, dynamics: &dyn Dynamics) -> bool {
    dynamics.is_differentiable() && settings.base_stock.is_empty() && !has_switched_control(settings, dynamics)
}

/// The most general shape of the plant, its limits and the objective as functions of the plan; `None` if the problem
/// cannot be formulated as a mixed-integer program.
fn exact_shape(settings: &ResolvedMpc, dynamics: &dyn Dynamics, objective: &Objective) -> Option<Shape> {
    if !settings.base_stock.is_empty() || settings.cost_to_go == Some(true) || settings.controls.is_empty() {
        return None;
    }
    let shapes = Shapes::new(dynamics.map()?);
    let limited: Vec<usize> = plant_limits(settings, dynamics).iter().map(|l| l.signal).collect();
    let terms = objective.terms.iter().filter(|(_, price)| *price != 0.0);
    terms.fold(shapes.of(&limited), |most, (kpi, _)| {
        let shape = match kpi.step_cost(1).0 {
            StepCost::Expression(p) | StepCost::Last(p) | StepCost::Above(p, _) => p.shape(&|s, _| shapes.signals[s]),
            StepCost::Excess(signal, _) => shapes.signals[signal].map(|s| s.max(Shape::Piecewise)),
            StepCost::Travel(_) | StepCost::Moves(_) => Some(Shape::Piecewise),
            StepCost::Other => None,
        };
        Some(most?.max(shape?))
    })
}
