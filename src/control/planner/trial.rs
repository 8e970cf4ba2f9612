//! Candidates with their costs, and the best sequence ever seen.

use super::{Plan, Problem, project};

/// A batch of sequences that is priced at once; every planner prices through it.
pub(super) struct Trial {
    /// `[candidates][moves * controls]`.
    pub candidates: Vec<Vec<f64>>,
    /// Infinite where not finite.
    pub costs: Vec<f64>,
    /// Candidates by cost, the cheapest first.
    order: Vec<usize>,
    best: Plan,
}

impl Trial {
    /// Without candidates; the best sequence is to hold, at an infinite cost.
    pub fn new(problem: &Problem) -> Self {
        let mut hold = hold(problem);
        project(problem, &mut hold);
        let best = Plan { controls: hold, cost: f64::INFINITY, memory: Vec::new() };
        Self { candidates: Vec::new(), costs: Vec::new(), order: Vec::new(), best }
    }

    /// With its first candidates priced.
    pub fn of(problem: &mut Problem, candidates: Vec<Vec<f64>>) -> Self {
        let mut trial = Self { candidates, ..Self::new(problem) };
        trial.score(problem);
        trial
    }

    /// From all that a search without a past may start from ([`starts`]).
    pub fn begun(problem: &mut Problem, warm: Option<&Plan>) -> Self {
        let candidates = starts(problem, warm);
        Self::of(problem, candidates)
    }

    /// Projects and prices the candidates, ranks them and remembers the best ever. Costs that are not finite rank last;
    /// equal costs rank in the order of the candidates.
    pub fn score(&mut self, problem: &mut Problem) {
        for candidate in &mut self.candidates {
            project(problem, candidate);
        }
        self.costs.clear();
        problem.price.cost(&self.candidates, &mut self.costs);
        self.costs.resize(self.candidates.len(), f64::NAN);
        for cost in &mut self.costs {
            if !cost.is_finite() {
                *cost = f64::INFINITY;
            }
        }
        self.order.clear();
        self.order.extend(0..self.candidates.len());
        self.order.sort_by(|a, b| self.costs[*a].total_cmp(&self.costs[*b]));
        if let Some(first) = self.first()
            && self.costs[first] < self.best.cost
        {
            self.best.cost = self.costs[first];
            self.best.controls.clone_from(&self.candidates[first]);
        }
    }

    /// The cheapest candidate of the last batch; none when no cost is finite.
    pub fn first(&self) -> Option<usize> {
        self.order.first().copied().filter(|i| self.costs[*i].is_finite())
    }

    /// The cheapest `n` candidates of the last batch with a finite cost.
    pub fn elites(&self, n: usize) -> impl Iterator<Item = &Vec<f64>> + Clone {
        self.ranked(n).map(|i| &self.candidates[i])
    }

    /// Numbers of the [`Trial::elites`].
    pub fn ranked(&self, n: usize) -> impl Iterator<Item = usize> + Clone {
        self.order.iter().copied().take(n).filter(|i| self.costs[*i].is_finite())
    }

    pub fn best(&self) -> &Plan {
        &self.best
    }

    pub fn finish(self, memory: Vec<Vec<f64>>) -> Plan {
        Plan { memory, ..self.best }
    }
}

/// The controls in force, as a wish for every move.
pub(super) fn hold(problem: &Problem) -> Vec<f64> {
    problem.previous.repeat(problem.moves)
}

/// What a search without a past may start from, feasible and all different: `warm`, holding, and the low end, the middle
/// and the high end of the bounds, for one control at a time and for all together.
fn starts(problem: &Problem, warm: Option<&Plan>) -> Vec<Vec<f64>> {
    let (n, controls) = (problem.len(), problem.controls());
    let held = hold(problem);
    let mut all: Vec<Vec<f64>> = warm.map(|w| w.controls.clone()).filter(|w| w.len() == n).into_iter().collect();
    all.push(held.clone());
    for share in [0.0, 0.5, 1.0] {
        let value = |c: usize| {
            let reach = problem.reach(c);
            reach.low + share * (reach.high - reach.low)
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

/// A plan over nothing: no controls or no moves.
pub(super) fn empty_plan(problem: &mut Problem) -> Plan {
    let mut costs = Vec::new();
    problem.price.cost(&[Vec::new()], &mut costs);
    let cost = costs.first().copied().filter(|c| c.is_finite()).unwrap_or(f64::INFINITY);
    Plan { controls: Vec::new(), cost, memory: Vec::new() }
}
