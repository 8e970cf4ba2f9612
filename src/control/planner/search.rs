//! What the samplers share: a normal distribution over sequences that learns from elites.

use super::trial::{Trial, hold};
use super::{Plan, Problem, project};

/// A diagonal normal over sequences, `[moves * controls]`, and the candidates drawn from it.
pub(super) struct Search {
    pub mean: Vec<f64>,
    pub deviation: Vec<f64>,
    /// Deviation at the start.
    pub first: Vec<f64>,
    /// Least deviation: half a multiple, so that the next whole value stays in reach.
    least: Vec<f64>,
    pub trial: Trial,
}

impl Search {
    /// Around `warm`, or around holding the controls in force.
    pub fn new(problem: &Problem, warm: Option<&Plan>) -> Self {
        let controls = problem.controls();
        let mut mean = warm.map_or_else(Vec::new, |w| w.controls.clone());
        if mean.len() != problem.len() {
            mean = hold(problem);
        }
        project(problem, &mut mean);
        let first: Vec<f64> = (0..problem.len()).map(|i| problem.spread(i % controls)).collect();
        let least = (0..problem.len()).map(|i| 0.5 * problem.allowed[i % controls].multiple).collect();
        Self { mean, deviation: first.clone(), first, least, trial: Trial::new(problem) }
    }

    /// `n` candidates; the old ones keep their values until they are overwritten.
    pub fn resize(&mut self, n: usize) {
        self.trial.candidates.resize(n, self.mean.clone());
    }

    /// Moves mean and variance to those of the `n` elites, keeping the share `smoothing` of the old ones.
    pub fn learn(&mut self, n: usize, smoothing: f64) {
        let Self { mean, deviation, least, trial, .. } = self;
        let elites = || trial.elites(n);
        let count = elites().count();
        if count == 0 {
            return;
        }
        for (i, (m, d)) in mean.iter_mut().zip(deviation).enumerate() {
            let new = elites().map(|e| e[i]).sum::<f64>() / count as f64;
            let variance = elites().map(|e| (e[i] - new).powi(2)).sum::<f64>() / count as f64;
            *m = smoothing * *m + (1.0 - smoothing) * new;
            *d = (smoothing * *d * *d + (1.0 - smoothing) * variance).sqrt().max(least[i]);
        }
    }

    /// Nothing is left to find: every deviation is a millionth of what it was.
    pub fn converged(&self) -> bool {
        self.deviation.iter().zip(&self.first).all(|(d, f)| *d <= 1e-6 * f)
    }
}

/// Elites of `population` candidates: at least two, since one has no spread.
pub(super) fn elite_count(share: f64, population: usize) -> usize {
    ((share * population as f64).ceil() as usize).clamp(2, population.max(2))
}
