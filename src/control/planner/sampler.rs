//! The sampling distribution of CEM, iCEM and MPPI.

use super::candidates::{CandidateBatch, hold_sequence};
use super::problem::{Plan, Problem};
use super::project::project;

/// A normal distribution with diagonal covariance over sequences, `[moves * controls]`, and the
/// candidates drawn from this distribution.
pub(super) struct Sampler {
    pub mean: Vec<f64>,
    /// Standard deviation.
    pub deviation: Vec<f64>,
    /// Standard deviation before the first iteration.
    pub initial_deviation: Vec<f64>,
    /// Lower bound on the standard deviation: half of the control's `multiple`. The bound ensures
    /// that the next multiple is drawn with a high probability.
    minimum_deviation: Vec<f64>,
    pub batch: CandidateBatch,
}

impl Sampler {
    /// Creates a distribution that is centred on the plan `warm`, or on the sequence that holds the
    /// controls if there is no plan.
    pub fn new(problem: &Problem, warm: Option<&Plan>) -> Self {
        let controls = problem.controls();
        let mut mean = warm.map_or_else(Vec::new, |w| w.controls.clone());
        if mean.len() != problem.len() {
            mean = hold_sequence(problem);
        }
        project(problem, &mut mean);
        let initial_deviation: Vec<f64> = (0..problem.len()).map(|i| problem.initial_deviation(i % controls)).collect();
        let minimum_deviation = (0..problem.len()).map(|i| 0.5 * problem.constraints[i % controls].multiple).collect();
        let batch = CandidateBatch::new(problem);
        Self { mean, deviation: initial_deviation.clone(), initial_deviation, minimum_deviation, batch }
    }

    /// Sets the number of candidates. New candidates are copies of the mean; existing candidates are unchanged.
    pub fn resize(&mut self, n: usize) {
        self.batch.candidates.resize(n, self.mean.clone());
    }

    /// Moves the mean and the variance towards the mean and the variance of the `n` elites.
    /// `smoothing` is the weight of the old mean and variance.
    pub fn fit_elites(&mut self, n: usize, smoothing: f64) {
        let Self { mean, deviation, minimum_deviation, batch, .. } = self;
        let elites = || batch.elites(n);
        let count = elites().count();
        if count == 0 {
            return;
        }
        for (i, (m, d)) in mean.iter_mut().zip(deviation).enumerate() {
            let new = elites().map(|e| e[i]).sum::<f64>() / count as f64;
            let variance = elites().map(|e| (e[i] - new).powi(2)).sum::<f64>() / count as f64;
            *m = smoothing * *m + (1.0 - smoothing) * new;
            *d = (smoothing * *d * *d + (1.0 - smoothing) * variance).sqrt().max(minimum_deviation[i]);
        }
    }

    /// Whether every standard deviation has decreased to at most one millionth of its initial value.
    pub fn converged(&self) -> bool {
        self.deviation.iter().zip(&self.initial_deviation).all(|(d, f)| *d <= 1e-6 * f)
    }
}

/// Number of elites in a population. The minimum is two, because the variance of a single elite is zero.
pub(super) fn elite_count(share: f64, population: usize) -> usize {
    ((share * population as f64).ceil() as usize).clamp(2, population.max(2))
}
