//! Choice of the default planner for a plant.

use super::limits::plant_limits;
use super::memory::memory;
use super::resolved::ResolvedMpc;
use crate::config::PlannerSpec;
use crate::expr::{Program, Shape};
use crate::schema::{Bounds, Role, Signal};
use crate::twin::{Dynamics, Shapes};
use crate::value::{Kpi, Objective, StepCost};

/// Tree search is the default only if every control has at most this many values (not tuned).
const MOST_TREE_VALUES: f64 = 8.0;
/// Dynamic programming is the default only if these limits are met: the number of combinations of
/// control values, and the numbers of past controls and of other values on which the future depends
/// (not tuned).
const MOST_BRANCHES: f64 = 8.0;
const MOST_REMEMBERED_CONTROLS: usize = 3;
const MOST_REMEMBERED_STATES: usize = 2;
/// A limit on a stock cannot become active if the limit is farther from the logged range than this
/// multiple of the width of the range (not tuned).
const FAR: f64 = 2.0;

/// Returns the planner given in `settings`, or the default planner for the plant and its planned controls. The default
/// planner is also used if the given planner needs derivatives but the cost is not differentiable, or if the given
/// planner needs a piecewise linear cost but the cost is not piecewise linear.
pub fn select_planner(settings: &ResolvedMpc, dynamics: &dyn Dynamics, objective: &Objective) -> PlannerSpec {
    let differentiable = is_differentiable(settings, dynamics);
    let shape = exact_shape(settings, dynamics, objective);
    let is_possible = |planner: &PlannerSpec| match planner {
        PlannerSpec::Milp { .. } => shape.is_some(),
        PlannerSpec::Dp { .. } => dynamics.map().is_some(),
        other => !other.uses_derivatives() || differentiable,
    };
    if let Some(planner) = settings.planner.as_ref().filter(|p| is_possible(p)) {
        return planner.clone();
    }
    let controls = &settings.controls;
    let signals = &dynamics.schema().signals;
    let has_few_values = |c: &usize| has_tree_values(&signals[*c]);
    // A mixed-integer program is exact for equipment and stores, but accounts for the spread of the
    // futures only for stocks.
    let is_known = dynamics.map().is_some_and(|m| m.learned().next().is_none());
    let is_on_off = |c: &usize| signals[*c].multiple <= 0.0 && signals[*c].switching.least >= signals[*c].hard.high;
    let has_spread = prices_spread(settings, dynamics, objective);
    let is_exact = |c: &usize| is_known || has_spread || has_few_values(c) || is_on_off(c);
    let most = if has_spread {
        Some(Shape::Curved)
    } else if has_switched_control(settings, dynamics) {
        Some(Shape::Curved).filter(|_| controls.iter().filter(|c| is_switched(dynamics, **c)).all(is_exact))
    } else {
        // For smooth costs, quadratic programs take less time.
        let has_kink = || is_known && bends(dynamics, objective, &|s| settings.stocks.contains(s));
        Some(Shape::Piecewise).filter(|_| !settings.stores.is_empty() || has_kink())
    };
    let is_expected = settings.risk.is_none() && settings.particles.is_none_or(|n| n == 1);
    if is_expected && !has_spread && (is_known || shape.is_some()) && is_small(settings, dynamics, objective) {
        return PlannerSpec::dp();
    }
    let is_planned = is_expected || has_spread && settings.risk.is_none();
    if is_planned && shape.zip(most).is_some_and(|(shape, most)| shape <= most) {
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

/// Whether the best plan depends on the spread of the futures and not only on their mean. The
/// spread matters if the objective prices a surplus of a stock differently from a shortage, and no
/// limit bounds this stock. Limits far outside the logged range, and limits that the equation of
/// the stock guarantees, are ignored.
pub(super) fn prices_spread(settings: &ResolvedMpc, dynamics: &dyn Dynamics, objective: &Objective) -> bool {
    let limits = plant_limits(settings, dynamics);
    let can_bind = |s: usize, bounds: Bounds| {
        let logged = dynamics.logged_range(s);
        let far = FAR * (logged.high - logged.low);
        !(bounds.high > logged.high + far && bounds.low < logged.low - far)
    };
    let is_stock = |s: &usize| {
        settings.stocks.contains(s) && limits.iter().all(|l| l.signal != *s || !can_bind(l.signal, l.bounds))
    };
    bends(dynamics, objective, &is_stock)
}

/// Whether the objective is kinked or curved as a function of a stock selected by `is_stock`.
fn bends(dynamics: &dyn Dynamics, objective: &Objective, is_stock: &dyn Fn(&usize) -> bool) -> bool {
    let Some(map) = dynamics.map() else { return false };
    let least_shape = |program: &Program, least: Shape| {
        let program = program.inlined(&|s| map.equations.derived_program(s));
        program.reads.iter().any(|(stock, _)| {
            let of = |s: usize, _: usize| Some(if s == *stock { Shape::Affine } else { Shape::Constant });
            is_stock(stock) && program.shape(&of).is_none_or(|shape| shape >= least)
        })
    };
    let of_kpi = |kpi: &Kpi| match kpi.step_cost(1).0 {
        StepCost::Expression(program) | StepCost::Last(program) => least_shape(program, Shape::Piecewise),
        StepCost::Above(program, _) => least_shape(program, Shape::Affine),
        StepCost::Excess(signal, bounds) => is_stock(&signal) && bounds != Bounds::OPEN,
        StepCost::Travel(_) | StepCost::Moves(_) | StepCost::Other => false,
    };
    objective.terms.iter().any(|(kpi, price)| *price != 0.0 && of_kpi(kpi))
}

/// Whether dynamic programming is suitable for the controls. Dynamic programming requires few
/// combinations of control values, and a future that depends on few other values.
fn is_small(settings: &ResolvedMpc, dynamics: &dyn Dynamics, objective: &Objective) -> bool {
    let Some(map) = dynamics.map() else { return false };
    let has_other_memory =
        !settings.base_stock.is_empty() || !settings.totals.is_empty() || settings.cost_to_go == Some(true);
    let is_sum = objective.terms.iter().all(|(kpi, price)| *price == 0.0 || kpi.step_cost(1).0.is_known());
    if settings.controls.is_empty() || has_other_memory || !is_sum {
        return false;
    }
    let signals = &dynamics.schema().signals;
    let count = |&c: &usize| {
        let (hard, multiple, least) = (signals[c].hard, signals[c].multiple, signals[c].switching.least);
        match multiple > 0.0 {
            true => ((hard.high - hard.low) / multiple).floor() + 1.0,
            false if least > 0.0 && least >= hard.high => 2.0,
            false => f64::INFINITY,
        }
    };
    let memory = memory(map, &settings.controls, objective);
    let of_controls = memory.iter().filter(|m| signals[m.0].role == Role::Control).count();
    settings.controls.iter().map(count).product::<f64>() <= MOST_BRANCHES
        && of_controls <= MOST_REMEMBERED_CONTROLS
        && memory.len() - of_controls <= MOST_REMEMBERED_STATES
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

/// Whether a planned control has an off state or few values, so that its best values are found by a search and not by
/// rounding.
pub(super) fn has_few_values(settings: &ResolvedMpc, dynamics: &dyn Dynamics) -> bool {
    let signals = &dynamics.schema().signals;
    settings.controls.iter().any(|&c| signals[c].switching.least > 0.0 || has_tree_values(&signals[c]))
}

/// Whether a control has few enough multiples for tree search.
fn has_tree_values(signal: &Signal) -> bool {
    signal.multiple > 0.0 && (signal.hard.high - signal.hard.low) / signal.multiple < MOST_TREE_VALUES
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
