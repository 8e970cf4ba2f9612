//! Projected quasi-Newton descent (L-BFGS: Nocedal 1980).
//!
//! The algorithm starts from the best initial candidate and repeats the following steps `iterations` times (default 8;
//! not tuned):
//! 1. Compute the gradient g from the linearisation, or by forward differences in one batch.
//! 2. Fix the values that are on a bound and that a step along the negative gradient would move beyond this bound.
//! 3. Compute the direction −Hg by the two-loop recursion over the last `memory` curvature pairs (default 6; not
//!    tuned). Use −g as a second direction.
//! 4. Project and evaluate the sequences at six step lengths along each direction in one batch, and take the best.
//! 5. If the relative gain is below 10⁻¹⁰, discard the curvature pairs and try once more. If the gain is still too
//!    small, stop.
//!
//! The L-BFGS recursion is implemented here, because the bounds change the curvature pairs and each line search is one
//! batch of simulations. The L-BFGS solver of the crate argmin evaluates only one point at a time.
//!
//! This planner is suitable for objectives that are not sums of squares. With `polish = true`, this planner also
//! refines the plan of a sampler.

use std::collections::VecDeque;

use super::candidates::{CandidateBatch, empty_plan};
use super::problem::{Plan, Planner, Problem};
use super::step::scales;

/// Projected L-BFGS.
#[derive(Debug, Clone, Copy)]
pub struct Gradient {
    pub iterations: usize,
    /// Number of curvature pairs of the L-BFGS approximation.
    pub memory: usize,
}

/// Step lengths along the quasi-Newton direction, and along the negative gradient scaled so that its largest absolute
/// element is 1 (not tuned).
const LENGTHS: [f64; 6] = [2.0, 1.0, 0.5, 0.2, 0.05, 0.01];
const STEEPEST: [f64; 6] = [3.0, 1.0, 0.3, 0.1, 0.03, 0.003];
/// Step size of the forward differences, in units of the control's scale.
const DIFFERENCE: f64 = 1e-5;
/// Relative gain below which the search has converged.
const MINIMUM_GAIN: f64 = 1e-10;

/// A step and the change of the gradient along the step, in scaled units.
struct CurvaturePair {
    step: Vec<f64>,
    gradient_change: Vec<f64>,
}

impl Planner for Gradient {
    fn name(&self) -> &'static str {
        "gradient"
    }

    fn plan(&self, problem: &mut Problem, warm: Option<&Plan>) -> Plan {
        if problem.is_empty() {
            return empty_plan(problem);
        }
        let mut batch = CandidateBatch::with_initial(problem, warm);
        self.descend(problem, &mut batch);
        batch.into_plan(Vec::new())
    }
}

impl Gradient {
    /// Improves the best sequence of `batch`.
    fn descend(&self, problem: &mut Problem, batch: &mut CandidateBatch) {
        let unit = scales(problem);
        let mut pairs: VecDeque<CurvaturePair> = VecDeque::new();
        let mut previous: Option<(Vec<f64>, Vec<f64>)> = None;
        for _ in 0..self.iterations {
            if (problem.out_of_time)() || !batch.best().cost.is_finite() {
                return;
            }
            let (at, cost) = (batch.best().controls.clone(), batch.best().cost);
            let gradient = gradient(problem, &at, cost, &unit);
            if let Some((from, before)) = previous.replace((at.clone(), gradient.clone())) {
                let step: Vec<f64> = at.iter().zip(&from).zip(&unit).map(|((a, b), u)| (a - b) / u).collect();
                let gradient_change: Vec<f64> = gradient.iter().zip(&before).map(|(a, b)| a - b).collect();
                // L-BFGS needs positive curvature along each step.
                if dot(&step, &gradient_change)
                    > 1e-10 * dot(&step, &step).sqrt() * dot(&gradient_change, &gradient_change).sqrt()
                {
                    pairs.push_back(CurvaturePair { step, gradient_change });
                    if pairs.len() > self.memory.max(1) {
                        pairs.pop_front();
                    }
                }
            }
            let free = free_variables(problem, &at, &gradient);
            let downhill: Vec<f64> = gradient.iter().zip(&free).map(|(g, free)| if *free { -g } else { 0.0 }).collect();
            let most = downhill.iter().fold(0.0f64, |m, v| m.max(v.abs()));
            if most <= 0.0 || !most.is_finite() {
                return;
            }
            batch.candidates.clear();
            let mut ray = |direction: &[f64], lengths: &[f64], size: f64| {
                batch.candidates.extend(lengths.iter().map(|length| {
                    at.iter()
                        .zip(direction)
                        .zip(&unit)
                        .map(|((a, d), u)| a + length * size * d * u)
                        .collect::<Vec<f64>>()
                }));
            };
            if !pairs.is_empty() {
                let mut newton = two_loop_recursion(&pairs, &downhill);
                newton.iter_mut().zip(&free).filter(|(_, free)| !**free).for_each(|(v, _)| *v = 0.0);
                if dot(&newton, &downhill) > 0.0 {
                    ray(&newton, &LENGTHS, 1.0);
                }
            }
            ray(&downhill, &STEEPEST, most.recip());
            batch.score(problem);
            if cost - batch.best().cost <= MINIMUM_GAIN * cost.abs() {
                // Outdated curvature pairs can make the gain small, so they are discarded. If there are no curvature
                // pairs, the search has converged.
                if pairs.is_empty() {
                    return;
                }
                pairs.clear();
                previous = None;
            }
        }
    }
}

/// Gradient of the cost in scaled units.
fn gradient(problem: &mut Problem, at: &[f64], cost: f64, unit: &[f64]) -> Vec<f64> {
    if let Some(model) = problem.cost_function.linearise(at).filter(|l| l.is_finite(at.len())) {
        return model.full_gradient().iter().zip(unit).map(|(g, u)| g * u).collect();
    }
    let mut changes = Vec::with_capacity(at.len());
    let candidates: Vec<Vec<f64>> = (0..at.len())
        .map(|i| {
            let constraints = &problem.constraints[i % problem.controls()];
            let size = if constraints.multiple > 0.0 { constraints.multiple } else { DIFFERENCE * unit[i] };
            // At the upper bound, use a backward difference.
            let change = if at[i] + size <= constraints.bounds.high { size } else { -size };
            changes.push(change);
            let mut moved = at.to_vec();
            moved[i] += change;
            moved
        })
        .collect();
    let mut costs = Vec::new();
    problem.cost_function.evaluate(&candidates, &mut costs);
    costs.resize(at.len(), f64::NAN);
    let derivative = |((c, change), u): ((&f64, &f64), &f64)| if c.is_finite() { (c - cost) / change * u } else { 0.0 };
    costs.iter().zip(&changes).zip(unit).map(derivative).collect()
}

/// Marks the values that can move along the negative gradient without leaving their bounds.
fn free_variables(problem: &Problem, at: &[f64], gradient: &[f64]) -> Vec<bool> {
    let controls = problem.controls();
    let blocked = |(i, (v, g)): (usize, (&f64, &f64))| {
        let bounds = problem.constraints[i % controls].bounds;
        (*v >= bounds.high && *g < 0.0) || (*v <= bounds.low && *g > 0.0)
    };
    at.iter().zip(gradient).enumerate().map(|pair| !blocked(pair)).collect()
}

/// Multiplies `vector` by the L-BFGS approximation of the inverse Hessian.
fn two_loop_recursion(pairs: &VecDeque<CurvaturePair>, vector: &[f64]) -> Vec<f64> {
    let mut q = vector.to_vec();
    let mut shares = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let share = dot(&pair.step, &q) / dot(&pair.step, &pair.gradient_change);
        q.iter_mut().zip(&pair.gradient_change).for_each(|(q, y)| *q -= share * y);
        shares.push(share);
    }
    if let Some(newest) = pairs.back() {
        let scale = dot(&newest.step, &newest.gradient_change) / dot(&newest.gradient_change, &newest.gradient_change);
        q.iter_mut().for_each(|q| *q *= scale);
    }
    for (pair, share) in pairs.iter().zip(shares.iter().rev()) {
        let back = dot(&pair.gradient_change, &q) / dot(&pair.step, &pair.gradient_change);
        q.iter_mut().zip(&pair.step).for_each(|(q, s)| *q += (share - back) * s);
    }
    q
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A planner whose plan is refined by a few iterations of [`Gradient`].
pub struct PolishedPlanner {
    pub planner: Box<dyn Planner>,
    pub gradient: Gradient,
}

impl Planner for PolishedPlanner {
    fn name(&self) -> &'static str {
        self.planner.name()
    }

    fn plan(&self, problem: &mut Problem, warm: Option<&Plan>) -> Plan {
        let plan = self.planner.plan(problem, warm);
        if problem.is_empty() || !plan.cost.is_finite() || (problem.out_of_time)() {
            return plan;
        }
        let mut batch = CandidateBatch::scored(problem, vec![plan.controls]);
        self.gradient.descend(problem, &mut batch);
        batch.into_plan(plan.memory)
    }
}
