//! The cross-entropy method (CEM) with truncated normals, as in PETS (Chua et al. 2018).
//!
//! The algorithm repeats the following steps `iterations` times (default 4; not tuned):
//! 1. Draw `population` sequences (default 64; not tuned) from a normal distribution N(μ, σ²) with diagonal covariance,
//!    truncated at ±2σ and at the bounds. In the first iteration, the candidates include μ and the sequence that holds
//!    the controls.
//! 2. Select the elites: the fraction `elites` of the candidates (default 10 %; not tuned) with the lowest costs.
//! 3. Set μ to α μ + (1 − α) × mean of the elites with α = `smoothing` (default 0.1, as in PETS). Update σ² in the same
//!    way as μ.
//!
//! Initially, μ is the last plan and σ is the typical variation of each control. The plan is the best sequence of all
//! iterations.

use super::candidates::{empty_plan, hold_sequence};
use super::problem::{Plan, Planner, Problem};
use super::sampler::{Sampler, elite_count};
use crate::rng::{Key, normal_quantile};
use crate::schema::Bounds;
use crate::stats::normal_cdf;

/// The cross-entropy method.
#[derive(Debug, Clone, Copy)]
pub struct Cem {
    /// Candidates per iteration.
    pub population: usize,
    /// Elite fraction: the fraction of the candidates to which the distribution is fitted.
    pub elites: f64,
    pub iterations: usize,
    /// Weight of the previous mean and variance.
    pub smoothing: f64,
}

impl Planner for Cem {
    fn name(&self) -> &'static str {
        "cem"
    }

    fn plan(&self, problem: &mut Problem, warm: Option<&Plan>) -> Plan {
        if problem.is_empty() {
            return empty_plan(problem);
        }
        let mut sampler = Sampler::new(problem, warm);
        let population = self.population.max(2);
        let elites = elite_count(self.elites, population);
        sampler.resize(population);
        for iteration in 0..self.iterations.max(1) {
            let key = problem.key.fold(iteration as u64);
            let mut drawn = 0;
            if iteration == 0 {
                sampler.batch.candidates[0].clone_from(&sampler.mean);
                sampler.batch.candidates[1] = hold_sequence(problem);
                drawn = 2;
            }
            for c in drawn..population {
                let stream = key.fold(c as u64);
                for i in 0..problem.len() {
                    let bounds = problem.constraints[i % problem.controls()].bounds;
                    let (mean, deviation) = (sampler.mean[i], sampler.deviation[i]);
                    sampler.batch.candidates[c][i] = truncated(stream, i as u64, mean, deviation, bounds);
                }
            }
            sampler.batch.score(problem);
            sampler.fit_elites(elites, self.smoothing);
            if sampler.converged() || (problem.out_of_time)() {
                break;
            }
        }
        sampler.batch.into_plan(Vec::new())
    }
}

/// Draws random number `i` of `stream` from a normal distribution that is truncated at two standard deviations and at
/// `bounds`.
///
/// The original method (PETS) limits the standard deviation to at most half of the distance to the nearer bound, so a
/// mean on a bound could never leave the bound. Means that are initialised from the last plan are often on a bound.
fn truncated(stream: Key, i: u64, mean: f64, deviation: f64, bounds: Bounds) -> f64 {
    if deviation <= 0.0 {
        return mean;
    }
    let low = normal_cdf(((bounds.low - mean) / deviation).clamp(-2.0, 2.0));
    let high = normal_cdf(((bounds.high - mean) / deviation).clamp(-2.0, 2.0));
    mean + deviation * normal_quantile(low + stream.uniform(i) * (high - low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncated_draws_stay_within_bounds_and_have_the_expected_mean() {
        let bounds = Bounds { low: -1.0, high: 0.0 };
        let draws: Vec<f64> = (0..20_000).map(|i| truncated(Key::new(2), i, 0.0, 0.5, bounds)).collect();
        assert!(draws.iter().all(|v| *v >= -1.0 - 1e-6 && *v <= 1e-6));
        // Mean of a normal distribution truncated to [−2σ, 0]: −σ(φ(0) − φ(2))/(Φ(2) − Φ(0)).
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        assert!((mean + 0.5 * (0.398_942 - 0.053_991) / 0.477_250).abs() < 0.006, "{mean}");
    }
}
