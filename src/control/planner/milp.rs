//! Mixed-integer linear programming, which finds the optimal plan for piecewise linear twins.
//!
//! The variables of the program are the moves, the states and the terms of the objective at every step. Controls with
//! multiples, an off state, or minimum on-times and off-times have integer variables ([`super::mixed_integer`]).
//!
//! 1. Formulate the program ([`super::CostFunction::formulate`]).
//! 2. If there are integer variables, solve a relaxation with continuous variables, and evaluate
//!    rounded solutions. If the cost of a rounded solution is within `gap` of the lower bound, or
//!    if there are several futures or many integer variables, improve the best rounded solution by
//!    small changes, and stop.
//! 3. Solve the program within `nodes` branch-and-bound nodes to a relative `gap`, starting from the best sequence.
//! 4. Evaluate the solution in the simulated future, and refine the terms whose relaxation the solution exploits.
//!    Repeat from step 3 until no terms need to be refined, but at most `ROUNDS` times.
//! 5. If the gap of a plan with integer variables is larger than `gap`, refine the plan by `mcts`, and by `icem` if the
//!    lower bound is not valid.
//!
//! If the program cannot be formulated or solved, the plan is made by `mcts`, `icem` or `qp`.

use super::build;
use super::candidates::{CandidateBatch, empty_plan};
use super::constraints::ControlConstraints;
use super::form::Form;
use super::mixed_integer::Model;
use super::problem::{Plan, Planner, Problem};
use crate::config::PlannerSpec;
use crate::schema::{Bounds, Switching};

/// Exact optimisation of piecewise linear problems.
#[derive(Debug, Clone, Copy)]
pub struct Milp {
    /// Maximum number of branch-and-bound nodes per program.
    pub nodes: usize,
    /// The search ends at this relative difference between the cost of the plan and its lower bound.
    pub gap: f64,
}

/// Factors by which relaxed values are multiplied before they are rounded (not tuned).
const FACTORS: [f64; 3] = [0.6, 1.0, 1.7];
/// Fractions of a multiple that are added to relaxed sums before they are rounded (not tuned).
const SHIFTS: [f64; 4] = [-0.4, 0.0, 0.4, 0.499];
/// Branch and bound is used only if a plan has at most this many values with integer variables (not tuned).
const MOST_SEARCHED: usize = 100;
/// Largest number of values of a control for which tree search is used (not tuned).
const MOST_TREE_VALUES: f64 = 8.0;
/// Largest number of times that a rounded sequence is improved (not tuned).
const IMPROVEMENTS: usize = 4;
/// Maximum number of programs per plan (not tuned).
const ROUNDS: usize = 8;
/// Largest relative difference between the costs of a solution in the program and in the simulation at which the lower
/// bound is regarded as valid (not tuned).
const CONSISTENT: f64 = 1e-3;

impl Planner for Milp {
    fn name(&self) -> &'static str {
        "milp"
    }

    fn plan(&self, problem: &mut Problem, warm: Option<&Plan>) -> Plan {
        if problem.is_empty() {
            return empty_plan(problem);
        }
        let mut batch = CandidateBatch::with_initial(problem, warm);
        let mut model = Model::default();
        let moves = Moves::add(problem, &mut model);
        let start = batch.best().controls.clone();
        if !problem.cost_function.formulate(&mut model, &moves.targets, &start) {
            return otherwise(problem, warm);
        }
        let is_switched = model.has_integers();
        let relaxed = if is_switched { model.relaxed() } else { None };
        if let Some(point) = &relaxed {
            let values: Vec<f64> = moves.targets.iter().map(|u| u.value(&point.values)).collect();
            batch.candidates = rounded(problem, &values);
            batch.score(problem);
            let is_near = batch.best().cost - point.bound <= self.gap * point.bound.abs();
            // With means over several futures, each improvement is evaluated in the simulated futures.
            if is_near || model.has_means() || moves.integers.iter().filter(|i| i.any()).count() > MOST_SEARCHED {
                improve(problem, &mut batch);
                let plan = batch.into_plan(Vec::new());
                return Plan { bound: Some(point.bound).filter(|b| *b <= plan.cost), ..plan };
            }
        }
        let (mut bound, mut is_bound) = (f64::NEG_INFINITY, false);
        for _ in 0..ROUNDS {
            if (problem.out_of_time)() {
                break;
            }
            let hint = moves.hint(&batch.best().controls);
            let Some(point) = model.solve(self.nodes as u64, self.gap, &hint, problem.out_of_time) else { break };
            bound = bound.max(point.bound);
            batch.candidates = vec![moves.targets.iter().map(|u| u.value(&point.values)).collect()];
            batch.score(problem);
            // The program and the cost penalise violated limits differently, so the bound is not valid for plans with
            // violations.
            let expected = model.cost.value(&point.values);
            is_bound = (batch.costs[0] - expected).abs() <= CONSISTENT * expected.abs().max(batch.costs[0].abs());
            let near = is_bound && batch.best().cost - bound <= self.gap * bound.abs();
            if near || !model.refine(&point.values) {
                break;
            }
        }
        if bound == f64::NEG_INFINITY && !(problem.out_of_time)() {
            return otherwise(problem, warm);
        }
        let mut plan = batch.into_plan(Vec::new());
        if is_switched && plan.cost - bound > self.gap * bound.abs() && !(problem.out_of_time)() {
            let refined = build(&PlannerSpec::mcts()).plan(problem, Some(&plan));
            if refined.cost < plan.cost {
                plan = refined;
            }
            if !is_bound {
                plan = with_all_values(problem, plan);
            }
        }
        plan.bound = Some(bound).filter(|b| is_bound && b.is_finite());
        plan
    }
}

/// Sequences with allowed values near the optimum `relaxed` of the program without integer variables. In some of the
/// sequences, rounding errors of earlier moves are compensated as soon as possible (sum-up rounding: Sager 2005).
fn rounded(problem: &Problem, relaxed: &[f64]) -> Vec<Vec<f64>> {
    let mut all: Vec<Vec<f64>> = FACTORS.iter().map(|f| relaxed.iter().map(|u| f * u).collect()).collect();
    all.extend(SHIFTS.map(|shift| summed_up(problem, relaxed, shift)));
    all
}

/// Rounds `relaxed` so that, after each move, the sum of a control's values equals the rounded sum of the relaxed
/// values. The sums are rounded up if `shift` is near 0.5, and down if `shift` is near −0.5.
fn summed_up(problem: &Problem, relaxed: &[f64], shift: f64) -> Vec<f64> {
    let mut summed = relaxed.to_vec();
    for c in 0..problem.controls() {
        let constraints = &problem.constraints[c];
        let unit = constraints.multiple.max(constraints.switching.least);
        let (mut last, mut since, mut owed) = (problem.previous[c], problem.since[c], 0.0);
        for (u, steps) in summed.iter_mut().skip(c).step_by(problem.controls()).zip(&problem.steps) {
            let length = *steps as f64;
            owed += *u * length;
            *u = constraints.nearest(last, since, owed / length + shift * unit);
            owed -= *u * length;
            since = constraints.since(last, since, *u, *steps);
            last = *u;
        }
    }
    summed
}

/// Improves the best sequence in small steps. Each step changes a single value by one multiple, or shifts one multiple
/// to the next or the previous move.
fn improve(problem: &mut Problem, batch: &mut CandidateBatch) {
    let (n, controls, mut last) = (problem.len(), problem.controls(), f64::INFINITY);
    for _ in 0..IMPROVEMENTS {
        if (problem.out_of_time)() {
            return;
        }
        let (best, before) = (batch.best().controls.clone(), batch.best().cost);
        if before >= last {
            return;
        }
        last = before;
        let mut changes: Vec<Vec<(usize, f64)>> = Vec::new();
        for i in 0..n {
            let unit = problem.constraints[i % controls].multiple;
            if unit > 0.0 {
                changes.extend([vec![(i, unit)], vec![(i, -unit)]]);
                if i + controls < n {
                    let next = i + controls;
                    changes.extend([vec![(i, unit), (next, -unit)], vec![(i, -unit), (next, unit)]]);
                }
            }
        }
        let apply = |changes: &[&Vec<(usize, f64)>]| {
            let mut sequence = best.clone();
            changes.iter().flat_map(|c| c.iter()).for_each(|(i, change)| sequence[*i] += change);
            sequence
        };
        if changes.is_empty() {
            return;
        }
        batch.candidates = changes.iter().map(|c| apply(&[c])).collect();
        batch.score(problem);
        let improving: Vec<&Vec<(usize, f64)>> =
            batch.ranked(n).take_while(|i| batch.costs[*i] < before).map(|i| &changes[i]).collect();
        if improving.len() < 2 {
            continue;
        }
        // A combination of several changes is often a further improvement.
        let counts = std::iter::successors(Some(2), |n| Some(2 * n)).take_while(|n| *n <= improving.len());
        batch.candidates = counts.map(|n| apply(&improving[..n])).collect();
        batch.score(problem);
    }
}

/// The plan if the program cannot be formulated or solved.
fn otherwise(problem: &mut Problem, warm: Option<&Plan>) -> Plan {
    let plan = fallback(problem).plan(problem, warm);
    with_all_values(problem, plan)
}

/// Improves a plan by sampling if a control is either off or anywhere above its minimum, because
/// tree search considers only a few values of such a control.
fn with_all_values(problem: &mut Problem, plan: Plan) -> Plan {
    let has_range =
        |c: &ControlConstraints| c.multiple <= 0.0 && c.switching.least > 0.0 && c.switching.least < c.bounds.high;
    if !problem.constraints.iter().any(has_range) || (problem.out_of_time)() {
        return plan;
    }
    let sampled = build(&PlannerSpec::default()).plan(problem, Some(&plan));
    if sampled.cost < plan.cost { sampled } else { plan }
}

/// The planner that is used if the program cannot be formulated or solved. Tree search is not used
/// for quantities with many values, because it would evaluate too few of the possible sequences.
fn fallback(problem: &Problem) -> Box<dyn Planner> {
    let is_switched = |c: &ControlConstraints| c.multiple > 0.0 || c.switching.least > 0.0;
    let is_quantity =
        |c: &ControlConstraints| c.multiple > 0.0 && (c.bounds.high - c.bounds.low) / c.multiple > MOST_TREE_VALUES;
    build(&if problem.constraints.iter().any(is_quantity) {
        PlannerSpec::default()
    } else if problem.constraints.iter().any(is_switched) {
        PlannerSpec::mcts()
    } else {
        PlannerSpec::qp()
    })
}

/// The moves of a plan as functions of the variables of a model.
struct Moves {
    /// `[moves * controls]`.
    targets: Vec<Form>,
    /// Integer variables for each value in a plan: `[moves * controls]`.
    integers: Vec<Integers>,
}

/// The integer variables of one value of a control.
#[derive(Debug, Clone, Copy, Default)]
struct Integers {
    /// Variable that counts the multiples in the value of the control, and the size of a multiple.
    count: Option<(usize, f64)>,
    /// Variable that is 1 while the control is on, and the value above which the control is on.
    on: Option<(usize, f64)>,
}

impl Integers {
    fn any(&self) -> bool {
        self.count.is_some() || self.on.is_some()
    }
}

impl Moves {
    /// Adds the variables and the constraints of the controls to `model`.
    fn add(problem: &Problem, model: &mut Model) -> Self {
        let mut moves =
            Self { targets: vec![Form::default(); problem.len()], integers: vec![Integers::default(); problem.len()] };
        for c in 0..problem.controls() {
            for k in 0..problem.moves {
                let i = k * problem.controls() + c;
                (moves.targets[i], moves.integers[i]) = value(problem, model, c, k);
            }
            moves.limit_changes(problem, model, c);
            moves.limit_switching(problem, model, c);
        }
        for total in &problem.totals {
            let mut sum = Form::default();
            for k in 0..problem.moves {
                sum.add(&moves.targets[k * problem.controls() + total.control], total.steps[k] as f64);
            }
            model.constrain(sum, total.bounds);
        }
        moves
    }

    fn limit_changes(&self, problem: &Problem, model: &mut Model, c: usize) {
        let ControlConstraints { max_move, .. } = problem.constraints[c];
        let range = Bounds { low: -max_move.down, high: max_move.up };
        if range == Bounds::OPEN {
            return;
        }
        for k in 0..problem.moves {
            let at = |k: usize| &self.targets[k * problem.controls() + c];
            let before = if k == 0 { &Form::constant(problem.previous[c]) } else { at(k - 1) };
            model.constrain(Form::sum(at(k), 1.0, before, -1.0), range);
        }
    }

    /// Adds the minimum on-times and off-times.
    fn limit_switching(&self, problem: &Problem, model: &mut Model, c: usize) {
        let Switching { least, run, stop } = problem.constraints[c].switching;
        if least <= 0.0 {
            return;
        }
        let mut starts = vec![0];
        problem.steps.iter().for_each(|s| starts.push(starts[starts.len() - 1] + s));
        let was_on = problem.constraints[c].switching.is_on(problem.previous[c]);
        let on = |k: usize| match self.integers[k * problem.controls() + c].on {
            Some((variable, _)) => Form::variable(variable, 1.0),
            None => Form::constant(1.0),
        };
        let before = |k: usize| if k == 0 { Form::constant(f64::from(u8::from(was_on))) } else { on(k - 1) };
        // Functions that are 1 if the control is switched on (`started`) or off (`stopped`) in a
        // move.
        let mut started: Vec<Form> = Vec::with_capacity(problem.moves);
        let mut stopped: Vec<Form> = Vec::with_capacity(problem.moves);
        for k in 0..problem.moves {
            let must_stay = problem.since[c] + starts[k] < if was_on { run } else { stop };
            if must_stay {
                let state = f64::from(u8::from(was_on));
                model.constrain(on(k), Bounds { low: state, high: state });
            }
            let start = Form::variable(model.variable(Bounds { low: 0.0, high: 1.0 }, false), 1.0);
            let rise = Form::sum(&on(k), 1.0, &before(k), -1.0);
            let end = Form::sum(&start, 1.0, &rise, -1.0);
            model.constrain(end.clone(), Bounds { low: 0.0, high: f64::INFINITY });
            started.push(start);
            stopped.push(end);
            // A control that was switched on within the last `run` steps is on, and a control that was switched off
            // within the last `stop` steps is off (Rajan & Takriti 2005).
            for (switched, least, sign) in [(&started, run, -1.0), (&stopped, stop, 1.0)] {
                let recent = (0..=k).filter(|&j| starts[k] - starts[j] < least.max(1));
                let mut sum = on(k).scaled(sign);
                recent.for_each(|j| sum.add(&switched[j], 1.0));
                let high = if sign < 0.0 { 0.0 } else { 1.0 };
                model.constrain(sum, Bounds { low: f64::NEG_INFINITY, high });
            }
        }
    }

    /// The values of the integer variables for the feasible sequence `controls`.
    fn hint(&self, controls: &[f64]) -> Vec<(usize, f64)> {
        let mut hint = Vec::new();
        for (integers, u) in self.integers.iter().zip(controls) {
            if let Some((variable, multiple)) = integers.count {
                hint.push((variable, (u / multiple).round()));
            }
            if let Some((variable, threshold)) = integers.on.filter(|on| integers.count.is_none_or(|c| c.0 != on.0)) {
                hint.push((variable, f64::from(u8::from(*u > threshold))));
            }
        }
        hint
    }
}

/// Adds the variables of control `c` in move `k`.
fn value(problem: &Problem, model: &mut Model, c: usize, k: usize) -> (Form, Integers) {
    let ControlConstraints { max_move, multiple, switching, .. } = problem.constraints[c];
    let Bounds { mut low, mut high } = problem.finite_bounds(c);
    // A control outside its bounds moves towards the bounds as fast as the move limit permits.
    let (last, moves) = (problem.previous[c], (k + 1) as f64);
    if last.is_finite() && multiple <= 0.0 && switching.least <= 0.0 {
        (low, high) = (low.min(last + max_move.up * moves), high.max(last - max_move.down * moves));
    }
    let mut integers = Integers::default();
    let is_switched = switching.least > 0.0 && low <= 0.0;
    if is_switched && multiple <= 0.0 && switching.least >= high {
        let on = model.binary();
        integers.on = Some((on, 0.5 * switching.least));
        return (Form::variable(on, high), integers);
    }
    let target = if multiple > 0.0 {
        let (first, last) = ((low / multiple - 1e-9).ceil(), (high / multiple + 1e-9).floor());
        let count = model.variable(Bounds { low: first, high: last.max(first) }, true);
        integers.count = Some((count, multiple));
        if is_switched && first == 0.0 && last == 1.0 {
            integers.on = Some((count, 0.5 * switching.least));
            return (Form::variable(count, multiple), integers);
        }
        Form::variable(count, multiple)
    } else {
        Form::variable(model.variable(Bounds { low, high }, false), 1.0)
    };
    if is_switched {
        let on = model.binary();
        integers.on = Some((on, 0.5 * switching.least));
        let on = Form::variable(on, 1.0);
        let open = f64::INFINITY;
        model.constrain(Form::sum(&target, 1.0, &on, -switching.least), Bounds { low: 0.0, high: open });
        model.constrain(Form::sum(&target, 1.0, &on, -high), Bounds { low: -open, high: 0.0 });
    }
    (target, integers)
}
