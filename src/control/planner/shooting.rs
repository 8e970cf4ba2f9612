//! Random shooting.

use super::trial::{Trial, empty_plan};
use super::{Plan, Planner, Problem};

/// Sequences drawn evenly between the bounds, the cheapest one wins (as in Nagabandi et al. 2018): the measure of every
/// other planner.
#[derive(Debug, Clone, Copy)]
pub struct RandomShooting {
    pub population: usize,
}

/// Candidates priced at once.
const BATCH: usize = 64;

impl Planner for RandomShooting {
    fn name(&self) -> &'static str {
        "random_shooting"
    }

    fn plan(&self, problem: &mut Problem, warm: Option<&Plan>) -> Plan {
        if problem.is_empty() {
            return empty_plan(problem);
        }
        let mut trial = Trial::begun(problem, warm);
        let mut drawn = trial.candidates.len();
        while drawn < self.population && !(problem.late)() {
            let n = BATCH.min(self.population - drawn);
            trial.candidates.resize(n, Vec::new());
            for (k, candidate) in trial.candidates.iter_mut().enumerate() {
                let stream = problem.key.fold((drawn + k) as u64);
                candidate.clear();
                candidate.extend((0..problem.len()).map(|i| {
                    let reach = problem.reach(i % problem.controls());
                    reach.low + stream.uniform(i as u64) * (reach.high - reach.low)
                }));
            }
            trial.score(problem);
            drawn += n;
        }
        trial.finish(Vec::new())
    }
}
