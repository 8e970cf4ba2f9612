//! Tests of every planner on problems with known solutions.

mod constraints;
mod costs;
mod on_off;

use std::sync::atomic::{AtomicUsize, Ordering};

use costs::{CountedBatches, LinearCost, LogResiduals, Lqr, NanResiduals, Tracking};
use nalgebra::{DMatrix, DVector};
use twinopt::config::PlannerSpec;
use twinopt::control::planner::{ControlConstraints, CostFunction, Planner, Problem, build};
use twinopt::rng::Key;
use twinopt::schema::{Bounds, MoveLimit};

/// Names of all planners, as used in scenario files.
const NAMES: [&str; 8] = ["random_shooting", "cem", "icem", "mppi", "gauss_newton", "gradient", "qp", "mcts"];

fn planner(text: &str) -> Box<dyn Planner> {
    build(&toml::from_str::<PlannerSpec>(text).unwrap())
}

/// Every planner with its default settings, and two planners with `polish` enabled.
fn defaults() -> Vec<Box<dyn Planner>> {
    let polished = ["icem = { polish = true }", "mppi = { polish = true }"].map(planner);
    NAMES.map(|name| planner(&format!("{name} = {{}}"))).into_iter().chain(polished).collect()
}

/// A planning problem with bounds of ±10 and no other constraints. The controls start at zero.
fn problem<'a>(moves: usize, controls: usize, cost_function: &'a mut dyn CostFunction) -> Problem<'a> {
    let bounds = Bounds { low: -10.0, high: 10.0 };
    Problem {
        moves,
        steps: vec![1; moves],
        constraints: vec![ControlConstraints { bounds, ..ControlConstraints::UNCONSTRAINED }; controls],
        totals: Vec::new(),
        previous: vec![0.0; controls],
        since: vec![99; controls],
        scale: vec![1.0; controls],
        cost_function,
        key: Key::new(7),
        out_of_time: &|| false,
    }
}

#[test]
fn gauss_newton_converges_in_few_iterations_on_concave_costs() {
    let cost = |name: &str| {
        let mass = Lqr::mass();
        let q = DMatrix::from_diagonal(&DVector::from_vec(vec![1.0, 0.0]));
        let mut cost = LogResiduals(Lqr { q, r: DMatrix::zeros(1, 1), ..mass });
        let mut problem = problem(12, 1, &mut cost);
        problem.constraints[0].bounds = Bounds { low: -1.5, high: 1.5 };
        planner(name).plan(&mut problem, None).cost
    };
    let (few, many) = (cost("gauss_newton = {}"), cost("gauss_newton = { iterations = 60 }"));
    assert!(few < 1.02 * many, "{few} {many}");
}

/// Planners with enough iterations to converge, each with the largest allowed relative gap to the LQR optimum.
const GAPS: [(&str, f64); 8] = [
    ("random_shooting = { population = 20000 }", 0.3),
    ("cem = { population = 200, iterations = 30 }", 0.01),
    ("icem = { population = 200, iterations = 30, beta = 0.5, decay = 1.02 }", 0.01),
    ("mppi = { population = 200, iterations = 30, decay = 0.9 }", 0.01),
    ("gauss_newton = {}", 1e-6),
    ("gradient = { iterations = 30 }", 1e-4),
    ("qp = { iterations = 1 }", 1e-6),
    ("mcts = { population = 20000, levels = 9 }", 0.05),
];

#[test]
fn planners_reach_the_lqr_optimum() {
    let mut plant = Lqr::mass();
    let best = plant.optimum();
    for (text, most) in GAPS {
        for seed in 0..3 {
            let plan = plant.plan(planner(text).as_ref(), None, seed);
            assert!(plan.cost >= best * (1.0 - 1e-9), "{text}: the cost is below the optimum");
            let gap = plan.cost / best - 1.0;
            println!("{text} seed {seed}: {:.5} % above the optimum", 100.0 * gap);
            assert!(gap < most, "{text} seed {seed}: {:.5} % above the optimum", 100.0 * gap);
        }
    }
}

#[test]
fn gradient_descent_converges_with_forward_differences() {
    let plant = Lqr::mass();
    let best = plant.optimum();
    let mut cost = |candidates: &[Vec<f64>], costs: &mut Vec<f64>| {
        costs.extend(candidates.iter().map(|u| plant.cost(u)));
    };
    let plan = planner("gradient = { iterations = 30 }").plan(&mut problem(12, 1, &mut cost), None);
    assert!(plan.cost / best - 1.0 < 1e-3, "{}", plan.cost / best);
    let polished = planner("icem = { polish = true }").plan(&mut problem(12, 1, &mut cost), None);
    let plain = planner("icem = {}").plan(&mut problem(12, 1, &mut cost), None);
    println!("icem {:.4} %, polished {:.4} %", 100.0 * (plain.cost / best - 1.0), 100.0 * (polished.cost / best - 1.0));
    assert!(polished.cost < plain.cost);
}

#[test]
fn a_plan_is_never_worse_than_the_last_plan_or_holding() {
    let mut plant = Lqr::mass();
    for planner in defaults() {
        let mut plan = plant.plan(planner.as_ref(), None, 0);
        assert!(plan.cost <= plant.cost(&[0.0; 12]), "{}", planner.name());
        for seed in 1..6 {
            let next = plant.plan(planner.as_ref(), Some(&plan), seed);
            assert!(next.cost <= plan.cost, "{}: the plan is worse than the warm start", planner.name());
            plan = next;
        }
    }
}

#[test]
fn the_same_key_gives_the_same_plan() {
    let mut plant = Lqr::mass();
    for name in NAMES {
        let planner = planner(&format!("{name} = {{}}"));
        let mut with = |seed: u64| plant.plan(planner.as_ref(), None, seed);
        let plan = with(3);
        assert_eq!(plan, with(3), "{name}");
        let other = with(4);
        // If a planner does not use random numbers, its plan does not depend on the random key.
        let draws = !["gauss_newton", "gradient", "qp"].contains(&name);
        assert!(!draws || other.controls != plan.controls || name == "mcts" || name == "random_shooting", "{name}");
    }
}

#[test]
fn costs_that_are_not_finite_rank_last() {
    for planner in defaults() {
        let mut cost = |candidates: &[Vec<f64>], costs: &mut Vec<f64>| {
            costs.extend(candidates.iter().map(|c| match c[0] {
                u if u < 0.0 => f64::NAN,
                u if u > 8.0 => f64::NEG_INFINITY,
                u if u > 7.0 => f64::INFINITY,
                u => 5.0 + (u - 3.0).powi(2),
            }));
        };
        let mut finite_in_places = problem(3, 1, &mut cost);
        finite_in_places.scale = vec![0.0];
        let plan = planner.plan(&mut finite_in_places, None);
        // This problem has no derivatives, so planners that require derivatives can only choose
        // among the initial candidates. The best initial candidate keeps the control constant, at a
        // cost of 14.
        let most = match planner.name() {
            "gauss_newton" | "qp" => 14.0,
            // The control level nearest to the optimum is 5.
            "mcts" => 9.0,
            _ => 6.0,
        };
        assert!((5.0..=most).contains(&plan.cost), "{}: {}", planner.name(), plan.cost);
        let mut never = |candidates: &[Vec<f64>], costs: &mut Vec<f64>| costs.resize(candidates.len(), f64::NAN);
        let plan = planner.plan(&mut problem(3, 1, &mut never), None);
        assert_eq!((plan.cost, plan.controls), (f64::INFINITY, vec![0.0; 3]), "{}", planner.name());
    }
}

#[test]
fn without_derivatives_the_best_initial_candidate_is_the_plan() {
    for name in ["gauss_newton = {}", "qp = {}"] {
        let plan = planner(name).plan(&mut problem(3, 1, &mut NanResiduals(Tracking::to(9.0))), None);
        assert_eq!(plan.controls, [10.0; 3], "{name}");
    }
}

#[test]
fn a_cost_without_residuals_is_minimised_along_its_gradient() {
    let mut cost = LinearCost;
    for name in ["gauss_newton = {}", "qp = {}", "gradient = {}"] {
        let mut problem = problem(3, 1, &mut cost);
        problem.previous = vec![4.0];
        problem.constraints[0].max_move = MoveLimit { down: 2.0, up: 1.0 };
        let plan = planner(name).plan(&mut problem, None);
        assert_eq!(plan.controls.iter().map(|u| u.round()).collect::<Vec<_>>(), [5.0, 6.0, 7.0], "{name}");
    }
}

#[test]
fn problems_without_free_variables_are_solved() {
    for planner in defaults() {
        let mut cost = |candidates: &[Vec<f64>], costs: &mut Vec<f64>| {
            costs.extend(candidates.iter().map(|c| 1.0 + c.iter().sum::<f64>()));
        };
        assert_eq!(planner.plan(&mut problem(0, 2, &mut cost), None).cost, 1.0);
        assert_eq!(planner.plan(&mut problem(4, 0, &mut cost), None).cost, 1.0);
        let mut fixed = problem(4, 1, &mut cost);
        fixed.constraints[0].bounds = Bounds { low: 2.0, high: 2.0 };
        assert_eq!(planner.plan(&mut fixed, None).controls, [2.0; 4], "{}", planner.name());
    }
}

#[test]
fn a_planner_out_of_time_returns_the_best_plan_so_far() {
    for planner in defaults() {
        let calls = AtomicUsize::new(0);
        let after_one_call = || calls.fetch_add(1, Ordering::Relaxed) >= 1;
        let always = || true;
        let mut cost = CountedBatches { cost: Tracking::to(3.0), batches: 0 };
        let mut first = problem(4, 1, &mut cost);
        first.out_of_time = &always;
        let plan = planner.plan(&mut first, None);
        assert!(plan.cost <= 36.0, "{}: the plan is worse than holding the control", planner.name());
        assert_eq!(cost.batches, 1, "{}", planner.name());
        let mut second = problem(4, 1, &mut cost);
        second.out_of_time = &after_one_call;
        planner.plan(&mut second, None);
        assert!(cost.batches <= 12, "{}: {} batches", planner.name(), cost.batches);
    }
}

#[test]
fn plans_leave_the_bound_at_which_the_control_starts() {
    for planner in defaults() {
        let mut cost = Tracking::to(2.0);
        let mut on_bound = problem(4, 1, &mut cost);
        on_bound.previous = vec![10.0];
        on_bound.scale = vec![0.0];
        // The cost of staying on the bound is 256.
        let plan = planner.plan(&mut on_bound, None);
        assert!(plan.cost < 26.0, "{}: {}", planner.name(), plan.cost);
    }
}
