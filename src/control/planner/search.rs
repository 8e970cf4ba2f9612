//! What the samplers share: a normal distribution over sequences, scored candidates, and the best one seen.

use super::{Plan, Problem, project};

/// A diagonal normal over sequences, `[moves * controls]`, and the candidates drawn from it.
pub(super) struct Search {
    pub mean: Vec<f64>,
    pub deviation: Vec<f64>,
    /// Deviation at the start.
    pub first: Vec<f64>,
    /// Least deviation: half a multiple, so that the next whole value stays in reach.
    least: Vec<f64>,
    pub candidates: Vec<Vec<f64>>,
    costs: Vec<f64>,
    /// Candidates by cost, the cheapest first.
    order: Vec<usize>,
    best: Plan,
}

impl Search {
    /// Around `warm`, or around holding the controls in force.
    pub fn new(problem: &Problem, warm: Option<&Plan>) -> Self {
        let controls = problem.controls();
        let mut hold: Vec<f64> = problem.previous.repeat(problem.moves);
        project(problem, &mut hold);
        let mut mean = hold.clone();
        if let Some(warm) = warm.filter(|w| w.controls.len() == mean.len()) {
            mean.copy_from_slice(&warm.controls);
            project(problem, &mut mean);
        }
        let first: Vec<f64> = (0..problem.len()).map(|i| first_deviation(problem, i % controls)).collect();
        let least = (0..problem.len()).map(|i| 0.5 * problem.multiple[i % controls]).collect();
        let best = Plan { controls: hold, cost: f64::INFINITY, memory: Vec::new() };
        Self {
            mean,
            deviation: first.clone(),
            first,
            least,
            candidates: Vec::new(),
            costs: Vec::new(),
            order: Vec::new(),
            best,
        }
    }

    /// `n` candidates; the old ones keep their values until they are overwritten.
    pub fn resize(&mut self, n: usize) {
        self.candidates.resize(n, self.mean.clone());
    }

    /// The controls in force, held as long as the limits allow it.
    pub fn hold(&self, problem: &Problem) -> Vec<f64> {
        problem.previous.repeat(problem.moves)
    }

    /// Projects and prices the candidates, ranks them and remembers the best ever. Costs that are not finite rank last;
    /// equal costs rank in the order of drawing.
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
        if let Some(&first) = self.order.first()
            && self.costs[first] < self.best.cost
        {
            self.best.cost = self.costs[first];
            self.best.controls.clone_from(&self.candidates[first]);
        }
    }

    /// The cheapest `n` candidates with a finite cost.
    pub fn elites(&self, n: usize) -> impl Iterator<Item = &Vec<f64>> + Clone {
        self.order.iter().take(n).filter(|i| self.costs[**i].is_finite()).map(|i| &self.candidates[*i])
    }

    /// Moves mean and variance to those of the `n` elites, keeping the share `smoothing` of the old ones.
    pub fn learn(&mut self, n: usize, smoothing: f64) {
        let count = self.elites(n).count();
        if count == 0 {
            return;
        }
        for i in 0..self.mean.len() {
            let mean = self.elites(n).map(|e| e[i]).sum::<f64>() / count as f64;
            let variance = self.elites(n).map(|e| (e[i] - mean).powi(2)).sum::<f64>() / count as f64;
            let old = self.deviation[i];
            self.mean[i] = smoothing * self.mean[i] + (1.0 - smoothing) * mean;
            self.deviation[i] = (smoothing * old * old + (1.0 - smoothing) * variance).sqrt().max(self.least[i]);
        }
    }

    /// Nothing is left to find: every deviation is a millionth of what it was.
    pub fn converged(&self) -> bool {
        self.deviation.iter().zip(&self.first).all(|(d, f)| *d <= 1e-6 * f)
    }

    pub fn finish(self, memory: Vec<Vec<f64>>) -> Plan {
        Plan { memory, ..self.best }
    }
}

fn first_deviation(problem: &Problem, control: usize) -> f64 {
    let bounds = problem.bounds[control];
    let width = bounds.high - bounds.low;
    let scale = problem.scale[control];
    let wanted = if scale.is_finite() && scale > 0.0 {
        scale
    } else if width.is_finite() {
        0.25 * width
    } else {
        1.0
    };
    // Half the width already throws most draws onto the bounds.
    wanted.max(0.5 * problem.multiple[control]).min(0.5 * width)
}

/// Elites of `population` candidates: at least two, since one has no spread.
pub(super) fn elite_count(share: f64, population: usize) -> usize {
    ((share * population as f64).ceil() as usize).clamp(2, population.max(2))
}

/// A plan over nothing: no controls or no moves.
pub(super) fn empty_plan(problem: &mut Problem) -> Plan {
    let mut costs = Vec::new();
    problem.price.cost(&[Vec::new()], &mut costs);
    let cost = costs.first().copied().filter(|c| c.is_finite()).unwrap_or(f64::INFINITY);
    Plan { controls: Vec::new(), cost, memory: Vec::new() }
}
