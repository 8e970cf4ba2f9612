//! The cross-entropy method.

use super::search::{Search, elite_count, empty_plan};
use super::{Plan, Planner, Problem};
use crate::rng::normal_quantile;

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

/// Φ(−2): draws are truncated at two deviations.
const TAIL: f64 = 0.022_750_131_948_179_21;

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
                search.candidates[0].clone_from(&search.mean);
                search.candidates[1] = search.hold(problem);
                drawn = 2;
            }
            for c in drawn..population {
                let stream = key.fold(c as u64);
                for i in 0..problem.len() {
                    let z = normal_quantile(TAIL + stream.uniform(i as u64) * (1.0 - 2.0 * TAIL));
                    search.candidates[c][i] = search.mean[i] + z * self.deviation(&search, problem, i);
                }
            }
            search.score(problem);
            search.learn(elites, self.smoothing);
            if search.converged() {
                break;
            }
        }
        search.finish(Vec::new())
    }
}

impl Cem {
    /// Half the distance to the nearer bound, so that two deviations end there; but a quarter of the deviation at
    /// least, or a mean on a bound could never leave it. What falls beyond the bound is projected onto it.
    fn deviation(&self, search: &Search, problem: &Problem, i: usize) -> f64 {
        let bounds = problem.bounds[i % problem.controls()];
        let (mean, deviation) = (search.mean[i], search.deviation[i]);
        let room = (0.5 * (mean - bounds.low)).min(0.5 * (bounds.high - mean));
        deviation.min(room.max(0.25 * deviation))
    }
}
