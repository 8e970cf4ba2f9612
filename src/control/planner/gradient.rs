//! Projected quasi-Newton descent.

use std::collections::VecDeque;

use super::local::units;
use super::trial::{Trial, empty_plan};
use super::{Plan, Planner, Problem};

/// L-BFGS (Nocedal 1980; two-loop recursion) with projection: values that lie on a bound and want to leave are held, all
/// step lengths of a line search are priced in one batch. Slopes come from the price, or else from forward differences in
/// one batch. For objectives that are no sum of squares, and as a polish of another planner's plan.
#[derive(Debug, Clone, Copy)]
pub struct Gradient {
    pub iterations: usize,
    /// Past steps that shape the next one.
    pub memory: usize,
}

/// Lengths tried at once, in quasi-Newton steps; and down the slopes, in steps whose largest change is one unit.
const LENGTHS: [f64; 6] = [2.0, 1.0, 0.5, 0.2, 0.05, 0.01];
const STEEPEST: [f64; 6] = [3.0, 1.0, 0.3, 0.1, 0.03, 0.003];
/// Forward differences in units.
const DIFFERENCE: f64 = 1e-5;
/// Relative gain below which nothing is left to find.
const GAIN: f64 = 1e-10;

/// A step and the change of slopes along it, in units.
struct Pair {
    step: Vec<f64>,
    turn: Vec<f64>,
}

impl Planner for Gradient {
    fn name(&self) -> &'static str {
        "gradient"
    }

    fn plan(&self, problem: &mut Problem, warm: Option<&Plan>) -> Plan {
        if problem.is_empty() {
            return empty_plan(problem);
        }
        let mut trial = Trial::begun(problem, warm);
        self.descend(problem, &mut trial);
        trial.finish(Vec::new())
    }
}

impl Gradient {
    /// From the best sequence seen.
    fn descend(&self, problem: &mut Problem, trial: &mut Trial) {
        let unit = units(problem);
        let mut past: VecDeque<Pair> = VecDeque::new();
        let mut last: Option<(Vec<f64>, Vec<f64>)> = None;
        for _ in 0..self.iterations {
            if (problem.late)() || !trial.best().cost.is_finite() {
                return;
            }
            let (at, cost) = (trial.best().controls.clone(), trial.best().cost);
            let slopes = slopes(problem, &at, cost, &unit);
            if let Some((from, before)) = last.replace((at.clone(), slopes.clone())) {
                let step: Vec<f64> = at.iter().zip(&from).zip(&unit).map(|((a, b), u)| (a - b) / u).collect();
                let turn: Vec<f64> = slopes.iter().zip(&before).map(|(a, b)| a - b).collect();
                // Only upward curvature is a quasi-Newton's.
                if dot(&step, &turn) > 1e-10 * dot(&step, &step).sqrt() * dot(&turn, &turn).sqrt() {
                    past.push_back(Pair { step, turn });
                    if past.len() > self.memory.max(1) {
                        past.pop_front();
                    }
                }
            }
            let free = free(problem, &at, &slopes);
            let downhill: Vec<f64> = slopes.iter().zip(&free).map(|(g, free)| if *free { -g } else { 0.0 }).collect();
            let most = downhill.iter().fold(0.0f64, |m, v| m.max(v.abs()));
            if most <= 0.0 || !most.is_finite() {
                return;
            }
            trial.candidates.clear();
            let mut ray = |direction: &[f64], lengths: &[f64], size: f64| {
                trial.candidates.extend(lengths.iter().map(|length| {
                    at.iter()
                        .zip(direction)
                        .zip(&unit)
                        .map(|((a, d), u)| a + length * size * d * u)
                        .collect::<Vec<f64>>()
                }));
            };
            if !past.is_empty() {
                let mut newton = two_loops(&past, &downhill);
                newton.iter_mut().zip(&free).filter(|(_, free)| !**free).for_each(|(v, _)| *v = 0.0);
                if dot(&newton, &downhill) > 0.0 {
                    ray(&newton, &LENGTHS, 1.0);
                }
            }
            ray(&downhill, &STEEPEST, most.recip());
            trial.score(problem);
            if cost - trial.best().cost <= GAIN * cost.abs() {
                // The past may mislead; without it, this was the last try.
                if past.is_empty() {
                    return;
                }
                past.clear();
                last = None;
            }
        }
    }
}

/// Slopes of the cost per unit of each value.
fn slopes(problem: &mut Problem, at: &[f64], cost: f64, unit: &[f64]) -> Vec<f64> {
    if let Some(local) = problem.price.near(at).filter(|l| l.is_known(at.len())) {
        return local.slopes().iter().zip(unit).map(|(g, u)| g * u).collect();
    }
    let mut changes = Vec::with_capacity(at.len());
    let candidates: Vec<Vec<f64>> = (0..at.len())
        .map(|i| {
            let allowed = &problem.allowed[i % problem.controls()];
            let size = if allowed.multiple > 0.0 { allowed.multiple } else { DIFFERENCE * unit[i] };
            // From the upper bound only the way down is left.
            let change = if at[i] + size <= allowed.bounds.high { size } else { -size };
            changes.push(change);
            let mut moved = at.to_vec();
            moved[i] += change;
            moved
        })
        .collect();
    let mut costs = Vec::new();
    problem.price.cost(&candidates, &mut costs);
    costs.resize(at.len(), f64::NAN);
    let slope = |((c, change), u): ((&f64, &f64), &f64)| if c.is_finite() { (c - cost) / change * u } else { 0.0 };
    costs.iter().zip(&changes).zip(unit).map(slope).collect()
}

/// Values that may follow the slopes down: all but those on a bound that holds them back.
fn free(problem: &Problem, at: &[f64], slopes: &[f64]) -> Vec<bool> {
    let controls = problem.controls();
    let held = |(i, (v, g)): (usize, (&f64, &f64))| {
        let bounds = problem.allowed[i % controls].bounds;
        (*v >= bounds.high && *g < 0.0) || (*v <= bounds.low && *g > 0.0)
    };
    at.iter().zip(slopes).enumerate().map(|pair| !held(pair)).collect()
}

/// The inverse Hessian that the past tells of, times `vector`.
fn two_loops(past: &VecDeque<Pair>, vector: &[f64]) -> Vec<f64> {
    let mut q = vector.to_vec();
    let mut shares = Vec::with_capacity(past.len());
    for pair in past.iter().rev() {
        let share = dot(&pair.step, &q) / dot(&pair.step, &pair.turn);
        q.iter_mut().zip(&pair.turn).for_each(|(q, y)| *q -= share * y);
        shares.push(share);
    }
    if let Some(newest) = past.back() {
        let scale = dot(&newest.step, &newest.turn) / dot(&newest.turn, &newest.turn);
        q.iter_mut().for_each(|q| *q *= scale);
    }
    for (pair, share) in past.iter().zip(shares.iter().rev()) {
        let back = dot(&pair.turn, &q) / dot(&pair.step, &pair.turn);
        q.iter_mut().zip(&pair.step).for_each(|(q, s)| *q += (share - back) * s);
    }
    q
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A planner whose plans are improved by a few steps of [`Gradient`].
pub struct Polished {
    pub planner: Box<dyn Planner>,
    pub gradient: Gradient,
}

impl Planner for Polished {
    fn name(&self) -> &'static str {
        self.planner.name()
    }

    fn plan(&self, problem: &mut Problem, warm: Option<&Plan>) -> Plan {
        let plan = self.planner.plan(problem, warm);
        if problem.is_empty() || !plan.cost.is_finite() || (problem.late)() {
            return plan;
        }
        let mut trial = Trial::of(problem, vec![plan.controls]);
        self.gradient.descend(problem, &mut trial);
        trial.finish(plan.memory)
    }
}
