//! Bounded Gauss-Newton.

use nalgebra::DVector;

use super::local::{by_rank, rows, units};
use super::quadratic::{Quadratic, Row};
use super::trial::{Trial, empty_plan};
use super::{Local, Plan, Planner, Problem};

/// Damped Gauss-Newton (Levenberg 1944, Marquardt 1963) on few held moves over a long horizon: the slopes of the whole
/// rollout in one batch, steps that hold bounds and moves by a small quadratic program, several dampings and three step
/// lengths priced in one batch. It starts from the best of the last plan, holding and a few constants; without slopes
/// that best start is the plan.
#[derive(Debug, Clone, Copy)]
pub struct GaussNewton {
    /// Steps of the best start.
    pub iterations: usize,
    /// Starts that take a first step; the best of them goes on.
    pub starts: usize,
}

/// Dampings tried at once, around the one that won last.
const DAMPINGS: [f64; 4] = [0.03, 0.3, 3.0, 30.0];
/// Lengths of the step tried at once. Where the cost is concave in the size of a residual (ln, |r|), the squares lie above
/// it and their least point stops short of its own: twice as far is tried, too (over-relaxation).
const LENGTHS: [f64; 3] = [2.0, 1.0, 0.4];
const FIRST_DAMPING: f64 = 0.01;
/// How much stronger the damping becomes when no step was better.
const RETREAT: f64 = 300.0;
/// Relative gain below which nothing is left to find.
const GAIN: f64 = 1e-9;
/// Curvature of broken limits, in largest curvatures of the cost.
const LIMIT_CURVATURE: f64 = 1e3;
/// Steps towards the kinks and multipliers of broken limits.
const LIMIT_ROUNDS: usize = 4;

impl Planner for GaussNewton {
    fn name(&self) -> &'static str {
        "gauss_newton"
    }

    fn plan(&self, problem: &mut Problem, warm: Option<&Plan>) -> Plan {
        if problem.is_empty() {
            return empty_plan(problem);
        }
        let mut trial = Trial::begun(problem, warm);
        let mut branches: Vec<Branch> = trial
            .ranked(self.starts.max(1))
            .map(|i| Branch {
                at: trial.candidates[i].clone(),
                cost: trial.costs[i],
                damping: FIRST_DAMPING,
                gain: true,
            })
            .collect();
        for iteration in 0..self.iterations {
            let mut late = false;
            for branch in &mut branches {
                late = (problem.late)();
                if late {
                    break;
                }
                branch.advance(problem, &mut trial);
            }
            branches.sort_by(|a, b| a.cost.total_cmp(&b.cost));
            branches.truncate(1);
            if late || iteration + 1 < self.iterations && !branches.iter().any(|b| b.gain) {
                break;
            }
        }
        trial.finish(Vec::new())
    }
}

/// A sequence on its way down.
struct Branch {
    at: Vec<f64>,
    cost: f64,
    damping: f64,
    /// Whether the last step was worth taking.
    gain: bool,
}

impl Branch {
    /// Takes the best of the steps tried, if it is better than none.
    fn advance(&mut self, problem: &mut Problem, trial: &mut Trial) {
        self.gain = false;
        let Some(local) = problem.price.near(&self.at).filter(|l| l.is_known(self.at.len())) else { return };
        let step = Step::new(problem, &self.at, &local);
        for _ in 0..2 {
            trial.candidates.clear();
            let mut dampings = Vec::with_capacity(DAMPINGS.len() * LENGTHS.len());
            for damping in DAMPINGS.map(|d| d * self.damping) {
                let Some(change) = step.change(damping) else { continue };
                for length in LENGTHS {
                    trial.candidates.push(self.at.iter().zip(&change).map(|(u, d)| u + length * d).collect());
                    dampings.push(damping);
                }
            }
            if dampings.is_empty() {
                return;
            }
            trial.score(problem);
            if let Some(first) = trial.first().filter(|i| trial.costs[*i] < self.cost) {
                self.gain = self.cost - trial.costs[first] > GAIN * self.cost.abs();
                self.at.clone_from(&trial.candidates[first]);
                self.cost = trial.costs[first];
                self.damping = dampings[first].clamp(1e-8, 1e8);
                return;
            }
            self.damping *= RETREAT;
        }
    }
}

/// The model of one iteration, in units of `scale`.
struct Step {
    scale: Vec<f64>,
    /// What a change must hold.
    rows: Vec<Row>,
    /// Limits of the plant, with their ranks.
    limits: Vec<(u32, Row)>,
    quadratic: Quadratic,
    /// What the damping multiplies.
    diagonal: Vec<f64>,
}

impl Step {
    fn new(problem: &Problem, at: &[f64], local: &Local) -> Self {
        let scale = units(problem);
        let quadratic = local.quadratic(&scale);
        let most = quadratic.hessian.diagonal().max();
        // Where squares say nothing, one unit of damping is a step of one unit of scale down the gradient.
        let slope = local.gradient.iter().zip(&scale).map(|(g, s)| (g * s).abs()).fold(0.0, f64::max);
        let floor = 1e-3 * most + slope + f64::MIN_POSITIVE.sqrt();
        let diagonal = quadratic.hessian.diagonal().iter().map(|h| h + floor).collect();
        Self {
            rows: rows(problem, at, &scale),
            limits: local.limit_rows(problem, at, &scale),
            quadratic,
            diagonal,
            scale,
        }
    }

    /// The best change, `[moves * controls]`, in the controls' units.
    fn change(&self, damping: f64) -> Option<Vec<f64>> {
        let mut model = self.quadratic.clone();
        for (i, d) in self.diagonal.iter().enumerate() {
            model.hessian[(i, i)] += damping * d;
        }
        let x = by_rank(self.rows.clone(), &self.limits, |rows, broken| mend(&model, rows, broken))?;
        Some(x.iter().zip(&self.scale).map(|(x, s)| x * s).collect())
    }
}

/// The least point of `model` that holds `rows`; broken limits are one-sided squares.
fn mend(model: &Quadratic, rows: &[Row], broken: &[Row]) -> Option<DVector<f64>> {
    if broken.is_empty() {
        return model.least(rows);
    }
    let curvature = LIMIT_CURVATURE * model.hessian.diagonal().max();
    // What is asked of each broken limit, none when it mends by itself.
    let mut asked: Vec<Option<f64>> = broken.iter().map(|row| Some(row.bound)).collect();
    let mut mended = None;
    for _ in 0..LIMIT_ROUNDS {
        let mut kinked = model.clone();
        for (row, bound) in broken.iter().zip(&asked).filter_map(|(row, asked)| Some((row, (*asked)?))) {
            for (i, a) in &row.slopes {
                kinked.gradient[*i] -= curvature * a * bound;
                row.slopes.iter().for_each(|(j, b)| kinked.hessian[(*i, *j)] += curvature * a * b);
            }
        }
        let x = kinked.least(rows)?;
        for (row, asked) in broken.iter().zip(&mut asked) {
            let excess = row.dot(&x) - row.bound;
            // A square gives in to the cost by a little: ask for that much more, as a multiplier would.
            *asked = match *asked {
                Some(bound) if excess > 0.0 => Some(bound - excess),
                Some(bound) if bound < row.bound => Some(bound),
                _ if excess > 0.0 => Some(row.bound),
                _ => None,
            };
        }
        mended = Some(x);
    }
    mended
}
