//! Bounded Gauss-Newton.

use super::local::{rows, units};
use super::quadratic::Quadratic;
use super::trial::{Trial, empty_plan, starts};
use super::{Local, Plan, Planner, Problem};

/// Damped Gauss-Newton (Levenberg 1944, Marquardt 1963) on few held moves over a long horizon: the slopes of the whole
/// rollout in one batch, steps that hold bounds and moves by a small quadratic program, several dampings and two step
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
/// Shares of the step tried at once.
const LENGTHS: [f64; 2] = [1.0, 0.4];
const FIRST_DAMPING: f64 = 0.01;
/// How much stronger the damping becomes when no step was better.
const RETREAT: f64 = 300.0;
/// Relative gain below which nothing is left to find.
const GAIN: f64 = 1e-9;
/// Curvature of broken limits, in largest curvatures of the cost.
const LIMIT_CURVATURE: f64 = 1e3;

impl Planner for GaussNewton {
    fn name(&self) -> &'static str {
        "gauss_newton"
    }

    fn plan(&self, problem: &mut Problem, warm: Option<&Plan>) -> Plan {
        if problem.is_empty() {
            return empty_plan(problem);
        }
        let mut trial = Trial::new(problem);
        trial.candidates = starts(problem, warm);
        trial.score(problem);
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
            for branch in &mut branches {
                branch.advance(problem, &mut trial);
            }
            branches.sort_by(|a, b| a.cost.total_cmp(&b.cost));
            branches.truncate(1);
            if iteration + 1 < self.iterations && !branches.iter().any(|b| b.gain) {
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
                let Some(change) = step.change(damping, &local) else { continue };
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
    rows: Vec<super::quadratic::Row>,
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
        Self { rows: rows(problem, at, &scale), quadratic, diagonal, scale }
    }

    /// The best change, `[moves * controls]`, in the controls' units; broken limits are one-sided squares.
    fn change(&self, damping: f64, local: &Local) -> Option<Vec<f64>> {
        let mut model = self.quadratic.clone();
        for (i, d) in self.diagonal.iter().enumerate() {
            model.hessian[(i, i)] += damping * d;
        }
        let size = model.hessian.diagonal().max();
        let limits: Vec<(Vec<f64>, f64)> = local
            .limits
            .iter()
            .filter_map(|l| {
                let slopes: Vec<f64> = l.slopes.iter().zip(&self.scale).map(|(a, s)| a * s).collect();
                let most = slopes.iter().map(|s| s.abs()).fold(0.0, f64::max);
                // A limit that no control moves is nobody's to keep.
                (most > 0.0).then(|| (slopes.iter().map(|s| s / most).collect(), l.room / most))
            })
            .collect();
        let mut broken: Vec<bool> = limits.iter().map(|l| l.1 < 0.0).collect();
        let mut change = None;
        // Which limits are broken depends on the step, and the step on them: Newton on the kinks.
        for _ in 0..4 {
            let mut kinked = model.clone();
            for ((slopes, room), _) in limits.iter().zip(&broken).filter(|(_, b)| **b) {
                for (i, a) in slopes.iter().enumerate().filter(|(_, a)| **a != 0.0) {
                    kinked.gradient[i] -= LIMIT_CURVATURE * size * a * room;
                    for (j, b) in slopes.iter().enumerate() {
                        kinked.hessian[(i, j)] += LIMIT_CURVATURE * size * a * b;
                    }
                }
            }
            let x = kinked.least(&self.rows)?;
            let now: Vec<bool> = limits
                .iter()
                .map(|(a, room)| a.iter().zip(x.iter()).map(|(a, x)| a * x).sum::<f64>() > *room)
                .collect();
            change = Some(x);
            if now == broken {
                break;
            }
            broken = now;
        }
        change.map(|x| x.iter().zip(&self.scale).map(|(x, s)| x * s).collect())
    }
}
