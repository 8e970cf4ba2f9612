//! Damped Gauss-Newton (Levenberg 1944, Marquardt 1963) with constraints.
//!
//! Algorithm:
//! 1. Evaluate the initial candidates (last plan, holding, constants) and keep the `starts` cheapest (default 2, guess).
//! 2. For each start u, `iterations` times (default 5, guess), and only for the cheapest after the first iteration:
//!    - linearise all residuals of the horizon in one batch: J, r, g;
//!    - for four dampings λ, solve min ½ ‖r + Jδ‖² + gᵀδ + ½ λ δᵀDδ subject to bounds, move limits, totals and the plant's
//!      limits in the order of their ranks (`quadratic.rs`);
//!    - evaluate u + tδ for three step lengths t, all in one batch, and take the best. If none is better, multiply λ by 300
//!      and try once more.
//! 3. Stop if the relative gain is below 10⁻⁹ or the time is up.
//!
//! Without derivatives, the best initial candidate is the plan.

use nalgebra::DVector;

use super::candidates::{CandidateBatch, empty_plan};
use super::linearisation::Linearisation;
use super::problem::{Plan, Planner, Problem};
use super::quadratic::{Quadratic, Row};
use super::step::{control_rows, limit_rows, scales, solve_by_rank};

/// Damped Gauss-Newton for objectives made of squares, absolute values and exceedances.
#[derive(Debug, Clone, Copy)]
pub struct GaussNewton {
    /// Iterations of the best start.
    pub iterations: usize,
    /// Number of starts that make the first iteration; the best of them continues.
    pub starts: usize,
}

/// Dampings that are tried in one batch, relative to the last one that succeeded (guess).
const DAMPINGS: [f64; 4] = [0.03, 0.3, 3.0, 30.0];
/// Step lengths that are tried in one batch. If the cost is concave in the size of a residual (ln, |r|), the squares
/// over-estimate it and the step is too short. Length 2 (over-relaxation) makes up for that.
const LENGTHS: [f64; 3] = [2.0, 1.0, 0.4];
/// Damping of the first iteration (guess).
const FIRST_DAMPING: f64 = 0.01;
/// Factor on the damping if no step was better (guess).
const DAMPING_INCREASE: f64 = 300.0;
/// Relative gain below which the search has converged.
const MINIMUM_GAIN: f64 = 1e-9;
/// Weight of the squared violation of a limit, relative to the largest curvature of the cost (guess).
const LIMIT_CURVATURE: f64 = 1e3;
/// Iterations of the method of multipliers for violated limits (guess).
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
    /// Whether the last step gained more than [`MINIMUM_GAIN`].
    improved: bool,
}

impl Iterate {
    /// Takes the best of the candidate steps if it lowers the cost.
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
    /// Bounds, move limits and totals.
    rows: Vec<Row>,
    /// Limits of the plant, with their ranks.
    limits: Vec<(u32, Row)>,
    quadratic: Quadratic,
    /// Diagonal matrix D that the damping multiplies.
    damping_diagonal: Vec<f64>,
}

impl Subproblem {
    fn new(problem: &Problem, at: &[f64], model: &Linearisation) -> Self {
        let scale = scales(problem);
        let quadratic = model.quadratic(&scale);
        let largest_curvature = quadratic.hessian.diagonal().max();
        // Without squares, a damping of one gives a step of at most one unit of scale along the negative gradient.
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

    /// The step `[moves * controls]` in the units of the controls.
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

/// The minimiser of `model` subject to `rows`. `violated` rows enter as one-sided quadratic penalties, with the method of
/// multipliers (Hestenes 1969).
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
            // The penalty leaves a small violation. Shifting the bound by it acts like updating the multiplier.
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
