//! A batch of candidates with their costs, and the best sequence so far.

use super::problem::{Plan, Problem};
use super::project::project;

/// Candidates whose costs are computed together. All planners use this type to evaluate candidates.
pub(super) struct CandidateBatch {
    /// `[candidates][moves * controls]`.
    pub candidates: Vec<Vec<f64>>,
    /// Cost of each candidate. Costs that are not finite are replaced by infinity.
    pub costs: Vec<f64>,
    /// Indices of the candidates in order of increasing cost.
    order: Vec<usize>,
    best: Plan,
}

impl CandidateBatch {
    /// Creates an empty batch. Initially, the best sequence holds the controls at their current
    /// values. Its initial cost is infinite, so any finite cost is lower.
    pub fn new(problem: &Problem) -> Self {
        let mut hold = hold_sequence(problem);
        project(problem, &mut hold);
        let best = Plan { controls: hold, cost: f64::INFINITY, memory: Vec::new(), bound: None };
        Self { candidates: Vec::new(), costs: Vec::new(), order: Vec::new(), best }
    }

    /// Creates a batch of `candidates` and computes their costs.
    pub fn scored(problem: &mut Problem, candidates: Vec<Vec<f64>>) -> Self {
        let mut batch = Self { candidates, ..Self::new(problem) };
        batch.score(problem);
        batch
    }

    /// Creates a batch of all [`initial_candidates`] and computes their costs.
    pub fn with_initial(problem: &mut Problem, warm: Option<&Plan>) -> Self {
        let candidates = initial_candidates(problem, warm);
        Self::scored(problem, candidates)
    }

    /// Projects the candidates, computes their costs, ranks them and updates the best sequence. Costs that are not
    /// finite rank last; candidates with equal costs keep their order.
    pub fn score(&mut self, problem: &mut Problem) {
        for candidate in &mut self.candidates {
            project(problem, candidate);
        }
        self.costs.clear();
        problem.cost_function.evaluate(&self.candidates, &mut self.costs);
        self.costs.resize(self.candidates.len(), f64::NAN);
        for cost in &mut self.costs {
            if !cost.is_finite() {
                *cost = f64::INFINITY;
            }
        }
        self.order.clear();
        self.order.extend(0..self.candidates.len());
        self.order.sort_by(|a, b| self.costs[*a].total_cmp(&self.costs[*b]));
        for (candidate, cost) in self.candidates.iter().zip(&self.costs) {
            let ties = *cost == self.best.cost && cost.is_finite();
            if *cost < self.best.cost || ties && stays_longer(problem, candidate, &self.best.controls) {
                self.best.cost = *cost;
                self.best.controls.clone_from(candidate);
            }
        }
    }

    /// Index of the candidate with the lowest cost in the last batch; `None` if no cost is finite.
    pub fn best_index(&self) -> Option<usize> {
        self.order.first().copied().filter(|i| self.costs[*i].is_finite())
    }

    /// The (at most `n`) candidates of the last batch with the lowest finite costs.
    pub fn elites(&self, n: usize) -> impl Iterator<Item = &Vec<f64>> + Clone {
        self.ranked(n).map(|i| &self.candidates[i])
    }

    /// Indices of the candidates that [`CandidateBatch::elites`] returns.
    pub fn ranked(&self, n: usize) -> impl Iterator<Item = usize> + Clone {
        self.order.iter().copied().take(n).filter(|i| self.costs[*i].is_finite())
    }

    /// The best sequence of all batches so far.
    pub fn best(&self) -> &Plan {
        &self.best
    }

    pub fn into_plan(self, memory: Vec<Vec<f64>>) -> Plan {
        Plan { memory, ..self.best }
    }
}

/// Whether `a` is closer to the current controls than `b` in the first value in which the two
/// sequences differ.
fn stays_longer(problem: &Problem, a: &[f64], b: &[f64]) -> bool {
    let first = a.iter().zip(b).position(|(a, b)| a != b);
    first.is_some_and(|i| {
        let now = problem.previous[i % problem.controls()];
        (a[i] - now).abs() < (b[i] - now).abs()
    })
}

/// The sequence that keeps every control at its current value.
pub(super) fn hold_sequence(problem: &Problem) -> Vec<f64> {
    problem.previous.repeat(problem.moves)
}

/// Feasible and distinct starting points of a search: the last plan `warm`, the sequence that holds the controls, and
/// sequences that keep one control or all controls at the lower bound, the midpoint or the upper bound.
fn initial_candidates(problem: &Problem, warm: Option<&Plan>) -> Vec<Vec<f64>> {
    let (n, controls) = (problem.len(), problem.controls());
    let held = hold_sequence(problem);
    let mut all: Vec<Vec<f64>> = warm.map(|w| w.controls.clone()).filter(|w| w.len() == n).into_iter().collect();
    all.push(held.clone());
    for share in [0.0, 0.5, 1.0] {
        let value = |c: usize| {
            let bounds = problem.finite_bounds(c);
            bounds.low + share * (bounds.high - bounds.low)
        };
        all.push((0..n).map(|i| value(i % controls)).collect());
        if controls > 1 {
            all.extend((0..controls).map(|c| {
                let mut one = held.clone();
                one.iter_mut().skip(c).step_by(controls).for_each(|v| *v = value(c));
                one
            }));
        }
    }
    let mut different: Vec<Vec<f64>> = Vec::with_capacity(all.len());
    for mut sequence in all {
        project(problem, &mut sequence);
        if !different.contains(&sequence) {
            different.push(sequence);
        }
    }
    different
}

/// The plan of a problem without controls or without moves.
pub(super) fn empty_plan(problem: &mut Problem) -> Plan {
    let mut costs = Vec::new();
    problem.cost_function.evaluate(&[Vec::new()], &mut costs);
    let cost = costs.first().copied().filter(|c| c.is_finite()).unwrap_or(f64::INFINITY);
    Plan { controls: Vec::new(), cost, memory: Vec::new(), bound: None }
}
