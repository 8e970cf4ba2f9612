//! Damped Gauss-Newton (Levenberg 1944, Marquardt 1963) with constraints.
//!
//! Algorithm:
//! 1. Evaluate the initial candidates (the last plan, the held controls, and constant sequences) and keep the `starts`
//!    candidates with the lowest cost (default 2; not tuned).
//! 2. Run `iterations` iterations (default 5; not tuned): the first iteration from each start u,
//!    and later iterations only from the best start. In each iteration:
//!    - compute the residuals r over the horizon, their Jacobian J and the gradient g of the rest of the cost in one
//!      batch;
//!    - for four damping factors λ, solve min ½ ‖r + Jδ‖² + gᵀδ + ½ λ δᵀDδ subject to bounds, move limits, totals and
//!      the plant's limits in the order of their ranks (`quadratic.rs`);
//!    - evaluate u + tδ for all four factors and for three step lengths t in one batch, and take the best. If no step
//!      lowers the cost, multiply λ by 300 and try once more.
//! 3. Stop if the relative gain is below 10⁻⁹, or if the time budget is used up.
//!
//! If there are no derivatives, the plan is the best initial candidate.

use nalgebra::DVector;

use super::candidates::{CandidateBatch, empty_plan};
use super::linearisation::Linearisation;
use super::problem::{Plan, Planner, Problem};
use super::quadratic::{Quadratic, Row};
use super::step::{control_rows, limit_rows, scales, solve_by_rank};

/// Damped Gauss-Newton for objectives composed of squares, absolute values and exceedances.
#[derive(Debug, Clone, Copy)]
pub struct GaussNewton {
    /// Maximum number of iterations.
    pub iterations: usize,
    /// Number of starts in the first iteration. Later iterations use only the best start.
    pub starts: usize,
}

/// Damping factors that are tried in one batch, relative to the last factor that lowered the cost (not tuned).
const DAMPINGS: [f64; 4] = [0.03, 0.3, 3.0, 30.0];
/// Step lengths that are tried in one batch. If the cost is concave in the size of a residual (ln, |r|), the quadratic
/// model overestimates the cost, and the step is too short. A step length of 2 (over-relaxation)
/// compensates for steps that are too short.
const LENGTHS: [f64; 3] = [2.0, 1.0, 0.4];
/// Damping factor of the first iteration (not tuned).
const FIRST_DAMPING: f64 = 0.01;
/// Number by which the damping factor is multiplied if no step lowers the cost (not tuned).
const DAMPING_INCREASE: f64 = 300.0;
/// Relative gain below which the search has converged.
const MINIMUM_GAIN: f64 = 1e-9;
/// Weight of the squared violation of a limit, relative to the largest curvature of the cost (not tuned).
const LIMIT_CURVATURE: f64 = 1e3;
/// Number of iterations of the method of multipliers for violated limits (not tuned).
const MULTIPLIER_ITERATIONS: usize = 4;

impl Planner for GaussNewton {
    fn name(&self) -> &'static str {
        "gauss_newton"
    }

    fn plan(&self, problem: &mut Problem, warm: Option<&Plan>) -> Plan {
        if problem.is_empty() {
            return empty_plan(problem);
        }
        let mut batch = CandidateBatch::with_initial(problem, warm);
        let mut iterates: Vec<Iterate> = batch
            .ranked(self.starts.max(1))
            .map(|i| Iterate {
                at: batch.candidates[i].clone(),
                cost: batch.costs[i],
                damping: FIRST_DAMPING,
                improved: true,
            })
            .collect();
        for iteration in 0..self.iterations {
            let mut out_of_time = false;
            for iterate in &mut iterates {
                out_of_time = (problem.out_of_time)();
                if out_of_time {
                    break;
                }
                iterate.advance(problem, &mut batch);
            }
            iterates.sort_by(|a, b| a.cost.total_cmp(&b.cost));
            iterates.truncate(1);
            if out_of_time || iteration + 1 < self.iterations && !iterates.iter().any(|b| b.improved) {
                break;
            }
        }
        batch.into_plan(Vec::new())
    }
}

/// A sequence that is being improved.
struct Iterate {
    at: Vec<f64>,
    cost: f64,
    damping: f64,
    /// Whether the relative gain of the last step was larger than [`MINIMUM_GAIN`].
    improved: bool,
}

impl Iterate {
    /// Applies the best candidate step if this step lowers the cost.
    fn advance(&mut self, problem: &mut Problem, batch: &mut CandidateBatch) {
        self.improved = false;
        let Some(model) = problem.cost_function.linearise(&self.at).filter(|l| l.is_finite(self.at.len())) else {
            return;
        };
        let subproblem = Subproblem::new(problem, &self.at, &model);
        for _ in 0..2 {
            batch.candidates.clear();
            let mut dampings = Vec::with_capacity(DAMPINGS.len() * LENGTHS.len());
            for damping in DAMPINGS.map(|d| d * self.damping) {
                let Some(change) = subproblem.solve(damping) else { continue };
                for length in LENGTHS {
                    batch.candidates.push(self.at.iter().zip(&change).map(|(u, d)| u + length * d).collect());
                    dampings.push(damping);
                }
            }
            if dampings.is_empty() {
                return;
            }
            batch.score(problem);
            if let Some(first) = batch.best_index().filter(|i| batch.costs[*i] < self.cost) {
                self.improved = self.cost - batch.costs[first] > MINIMUM_GAIN * self.cost.abs();
                self.at.clone_from(&batch.candidates[first]);
                self.cost = batch.costs[first];
                self.damping = dampings[first].clamp(1e-8, 1e8);
                return;
            }
            self.damping *= DAMPING_INCREASE;
        }
    }
}

/// The quadratic program of one iteration, in units of `scale`.
struct Subproblem {
    scale: Vec<f64>,
    /// Constraints from bounds, move limits and totals.
    rows: Vec<Row>,
    /// Constraints from the limits of the plant, as (rank, row).
    limits: Vec<(u32, Row)>,
    quadratic: Quadratic,
    /// Diagonal of the matrix D, which is multiplied by the damping factor.
    damping_diagonal: Vec<f64>,
}

impl Subproblem {
    fn new(problem: &Problem, at: &[f64], model: &Linearisation) -> Self {
        let scale = scales(problem);
        let quadratic = model.quadratic(&scale);
        let largest_curvature = quadratic.hessian.diagonal().max();
        // If the cost contains no squares, a damping factor of 1 gives a step of at most one unit of `scale` along
        // the negative gradient.
        let slope = model.gradient.iter().zip(&scale).map(|(g, s)| (g * s).abs()).fold(0.0, f64::max);
        let floor = 1e-3 * largest_curvature + slope + f64::MIN_POSITIVE.sqrt();
        let damping_diagonal = quadratic.hessian.diagonal().iter().map(|h| h + floor).collect();
        Self {
            rows: control_rows(problem, at, &scale),
            limits: limit_rows(model, problem, at, &scale),
            quadratic,
            damping_diagonal,
            scale,
        }
    }

    /// Computes the step, `[moves * controls]`, in the units of the controls.
    fn solve(&self, damping: f64) -> Option<Vec<f64>> {
        let mut model = self.quadratic.clone();
        for (i, d) in self.damping_diagonal.iter().enumerate() {
            model.hessian[(i, i)] += damping * d;
        }
        let x = solve_by_rank(self.rows.clone(), &self.limits, |rows, violated| {
            solve_with_soft_limits(&model, rows, violated)
        })?;
        Some(x.iter().zip(&self.scale).map(|(x, s)| x * s).collect())
    }
}

/// Returns the minimiser of `model` subject to `rows`. The rows in `violated` become one-sided quadratic penalties in
/// the method of multipliers (Hestenes 1969).
fn solve_with_soft_limits(model: &Quadratic, rows: &[Row], violated: &[Row]) -> Option<DVector<f64>> {
    if violated.is_empty() {
        return model.minimise(rows);
    }
    let curvature = LIMIT_CURVATURE * model.hessian.diagonal().max();
    // Shifted bound of each violated limit; `None` while the limit is inactive.
    let mut shifted: Vec<Option<f64>> = violated.iter().map(|row| Some(row.bound)).collect();
    let mut solution = None;
    for _ in 0..MULTIPLIER_ITERATIONS {
        let mut penalised = model.clone();
        for (row, bound) in violated.iter().zip(&shifted).filter_map(|(row, bound)| Some((row, (*bound)?))) {
            for (i, a) in &row.coefficients {
                penalised.gradient[*i] -= curvature * a * bound;
                row.coefficients.iter().for_each(|(j, b)| penalised.hessian[(*i, *j)] += curvature * a * b);
            }
        }
        let x = penalised.minimise(rows)?;
        for (row, shifted) in violated.iter().zip(&mut shifted) {
            let excess = row.dot(&x) - row.bound;
            // A small violation remains despite the penalty. Shifting the bound by the remaining violation has the same
            // effect as updating the multiplier.
            *shifted = match *shifted {
                Some(bound) if excess > 0.0 => Some(bound - excess),
                Some(bound) if bound < row.bound => Some(bound),
                _ if excess > 0.0 => Some(row.bound),
                _ => None,
            };
        }
        solution = Some(x);
    }
    solution
}
