//! The cross-entropy method.

use super::search::{Search, elite_count};
use super::trial::{empty_plan, hold};
use super::{Plan, Planner, Problem};
use crate::rng::{Key, normal_quantile};
use crate::schema::Bounds;
use crate::stats::normal_cdf;

/// Cross-entropy method with truncated normals, as in PETS (Chua et al. 2018): draw, keep the elites, move mean and
/// variance to theirs; the best sequence ever seen is the plan.
#[derive(Debug, Clone, Copy)]
pub struct Cem {
    /// Candidates per iteration.
    pub population: usize,
    /// Share of candidates that shape the next iteration.
    pub elites: f64,
    pub iterations: usize,
    /// Weight of the last mean and variance.
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
        let mut search = Search::new(problem, warm);
        let population = self.population.max(2);
        let elites = elite_count(self.elites, population);
        search.resize(population);
        for iteration in 0..self.iterations.max(1) {
            let key = problem.key.fold(iteration as u64);
            let mut drawn = 0;
            if iteration == 0 {
                search.trial.candidates[0].clone_from(&search.mean);
                search.trial.candidates[1] = hold(problem);
                drawn = 2;
            }
            for c in drawn..population {
                let stream = key.fold(c as u64);
                for i in 0..problem.len() {
                    let bounds = problem.allowed[i % problem.controls()].bounds;
                    let (mean, deviation) = (search.mean[i], search.deviation[i]);
                    search.trial.candidates[c][i] = truncated(stream, i as u64, mean, deviation, bounds);
                }
            }
            search.trial.score(problem);
            search.learn(elites, self.smoothing);
            if search.converged() || (problem.late)() {
                break;
            }
        }
        search.trial.finish(Vec::new())
    }
}

/// Number `i` of `stream` from the normal of `mean` and `deviation`, truncated at two deviations and at `bounds`.
///
/// PETS shrinks the deviation to half the distance to the nearer bound instead, so that a mean on a bound never leaves
/// it; plans that start from the last one are often there.
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
    fn draws_stay_within_bounds_and_have_the_right_mean() {
        let bounds = Bounds { low: -1.0, high: 0.0 };
        let draws: Vec<f64> = (0..20_000).map(|i| truncated(Key::new(2), i, 0.0, 0.5, bounds)).collect();
        assert!(draws.iter().all(|v| *v >= -1.0 - 1e-6 && *v <= 1e-6));
        // Mean of half a normal that is cut at two deviations: −σ(φ(0) − φ(2))/(Φ(2) − Φ(0)).
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        assert!((mean + 0.5 * (0.398_942 - 0.053_991) / 0.477_250).abs() < 0.006, "{mean}");
    }
}
