//! Sequential quadratic programming with the interior-point solver Clarabel (Goulart & Chen 2024).
//!
//! The algorithm repeats the following steps until the cost stops falling, at most `iterations` times (default 50; not
//! tuned):
//! 1. Linearise the plant along the best sequence u. The Hessian H = JᵀJ and the gradient g follow from
//!    [`super::Linearisation`].
//! 2. Solve min ½ δᵀHδ + gᵀδ subject to bounds, move limits, totals, the trust region |δᵢ| ≤ r, and the plant's limits.
//!    Each violated limit has a slack variable with a linear and a quadratic penalty. Limits are
//!    enforced one rank at a time.
//! 3. Evaluate u + λδ for λ ∈ {1, 0.5, 0.2, 0.05} and keep the best sequence.
//! 4. Set r from the best step length, or reduce r if no step lowered the cost. Stop if two consecutive iterations have
//!    a relative gain below 10⁻⁶, or if a full step has a relative gain below 10⁻⁹.
//!
//! The two planners that solve quadratic programs use different solvers. The programs of this planner have a slack
//! variable per violated limit and may have a singular Hessian (if the cost is linear), so a sparse interior-point
//! method solves them. Gauss-Newton solves many small, strictly convex programs per plan, for which the active-set
//! method in `quadratic.rs` is faster.

use clarabel::algebra::CscMatrix;
use clarabel::solver::{DefaultSettings, DefaultSolver, IPSolver, NonnegativeConeT, SolverStatus};
use nalgebra::DVector;

use super::candidates::{CandidateBatch, empty_plan};
use super::problem::{Plan, Planner, Problem};
use super::quadratic::{Quadratic, Row};
use super::step::{control_rows, limit_rows, scales, solve_by_rank};

/// Sequential quadratic programming. One iteration gives the exact solution if the twin is linear and the cost is
/// quadratic. A terminal cost contributes only its gradient, not its curvature. Violated limits of
/// the plant become soft constraints with an exact penalty, so a feasible step always exists.
#[derive(Debug, Clone, Copy)]
pub struct Qp {
    pub iterations: usize,
}

/// Step lengths that are evaluated in one batch (not tuned).
const LENGTHS: [f64; 4] = [1.0, 0.5, 0.2, 0.05];
/// The search ends after two consecutive iterations that lower the cost by less than this fraction (not tuned).
const MINIMUM_GAIN: f64 = 1e-6;
/// Penalty on the violation of a limit, relative to the largest derivative of the cost (not tuned).
const LIMIT_PENALTY: f64 = 1e3;

impl Planner for Qp {
    fn name(&self) -> &'static str {
        "qp"
    }

    fn plan(&self, problem: &mut Problem, warm: Option<&Plan>) -> Plan {
        if problem.is_empty() {
            return empty_plan(problem);
        }
        let mut batch = CandidateBatch::with_initial(problem, warm);
        let scale = scales(problem);
        let mut radius = f64::INFINITY;
        // Number of consecutive iterations in which the cost decreased only slightly or not at all.
        let mut idle = 0;
        for _ in 0..self.iterations {
            if idle > 1 || (problem.out_of_time)() || !batch.best().cost.is_finite() {
                break;
            }
            let (at, cost) = (batch.best().controls.clone(), batch.best().cost);
            let Some(model) = problem.cost_function.linearise(&at).filter(|l| l.is_finite(at.len())) else { break };
            let mut rows = control_rows(problem, &at, &scale);
            if radius.is_finite() {
                let within = |i: usize| [1.0, -1.0].map(|sign| Row { coefficients: vec![(i, sign)], bound: radius });
                rows.extend((0..at.len()).flat_map(within));
            }
            let quadratic = model.quadratic(&scale);
            let limits = limit_rows(&model, problem, &at, &scale);
            let Some(step) = solve_by_rank(rows, &limits, |rows, violated| solve(&quadratic, rows, violated)) else {
                break;
            };
            let size = step.iter().fold(0.0f64, |m, v| m.max(v.abs()));
            batch.candidates = LENGTHS
                .iter()
                .map(|length| at.iter().zip(&step).zip(&scale).map(|((a, d), s)| a + length * d * s).collect())
                .collect();
            batch.score(problem);
            idle = if cost - batch.best().cost > MINIMUM_GAIN * cost.abs() { 0 } else { idle + 1 };
            match batch.best_index().filter(|_| batch.best().cost < cost) {
                Some(0) if cost - batch.best().cost <= 1e-9 * cost.abs() => break,
                Some(0) => radius = radius.max(2.0 * size),
                Some(k) => radius = 2.0 * LENGTHS[k] * size,
                None => radius = LENGTHS[LENGTHS.len() - 1] * size,
            }
        }
        batch.into_plan(Vec::new())
    }
}

/// Computes the step, in scaled units, that minimises `model` plus a penalty for the limits in `violated`, subject to
/// the constraints in `rows`. Returns `None` if the solver fails.
fn solve(model: &Quadratic, rows: &[Row], violated: &[Row]) -> Option<DVector<f64>> {
    let n = model.gradient.len();
    let mut rows = rows.to_vec();
    let mut variables = n;
    // There is one slack variable per violated limit, in units of the control that affects the limit most.
    for row in violated {
        let mut coefficients = row.coefficients.clone();
        coefficients.push((variables, -1.0));
        rows.push(Row { coefficients, bound: row.bound });
        rows.push(Row { coefficients: vec![(variables, -1.0)], bound: 0.0 });
        variables += 1;
    }
    // Scale the cost to the order of 1, so that the solution does not depend on its unit.
    let size = model.gradient.amax().max(model.hessian.diagonal().amax());
    if size <= 0.0 || !size.is_finite() {
        return None;
    }
    let (mut i, mut j, mut v) = (Vec::new(), Vec::new(), Vec::new());
    let mut set = |row: usize, column: usize, value: f64| {
        if value != 0.0 {
            i.push(row);
            j.push(column);
            v.push(value);
        }
    };
    for column in 0..n {
        for row in 0..column {
            set(row, column, model.hessian[(row, column)] / size);
        }
        // If the cost has no curvature, there may be many minimisers. A small term on the diagonal of the Hessian
        // selects the minimiser with the smallest step.
        set(column, column, model.hessian[(column, column)] / size + 1e-9);
    }
    (n..variables).for_each(|s| set(s, s, LIMIT_PENALTY));
    let hessian = CscMatrix::new_from_triplets(variables, variables, i, j, v);
    let mut gradient: Vec<f64> = model.gradient.iter().map(|g| g / size).collect();
    gradient.resize(variables, LIMIT_PENALTY);
    let (mut i, mut j, mut v) = (Vec::new(), Vec::new(), Vec::new());
    for (row, r) in rows.iter().enumerate() {
        for (column, coefficient) in &r.coefficients {
            i.push(row);
            j.push(*column);
            v.push(*coefficient);
        }
    }
    let left = CscMatrix::new_from_triplets(rows.len(), variables, i, j, v);
    let right: Vec<f64> = rows.iter().map(|r| r.bound).collect();
    let settings = DefaultSettings { verbose: false, ..DefaultSettings::default() };
    let cones = [NonnegativeConeT(rows.len())];
    let mut solver = DefaultSolver::new(&hessian, &gradient, &left, &right, &cones, settings).ok()?;
    solver.solve();
    let solved = matches!(solver.solution.status, SolverStatus::Solved | SolverStatus::AlmostSolved);
    let step = &solver.solution.x[..n];
    (solved && step.iter().all(|v| v.is_finite())).then(|| DVector::from_column_slice(step))
}
