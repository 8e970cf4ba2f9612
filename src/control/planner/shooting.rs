//! Random shooting (as in Nagabandi et al. 2018), which is the baseline for all other planners.
//!
//! The planner evaluates `population` sequences (default 256; not tuned): the initial candidates,
//! and sequences that are drawn uniformly between the bounds. The plan is the sequence with the
//! lowest cost.

use super::candidates::{CandidateBatch, empty_plan};
use super::problem::{Plan, Planner, Problem};

#[derive(Debug, Clone, Copy)]
pub struct RandomShooting {
    /// Number of sequences.
    pub population: usize,
}

/// Candidates per batch.
const BATCH: usize = 64;

impl Planner for RandomShooting {
    fn name(&self) -> &'static str {
        "random_shooting"
    }

    fn plan(&self, problem: &mut Problem, warm: Option<&Plan>) -> Plan {
        if problem.is_empty() {
            return empty_plan(problem);
        }
        let mut batch = CandidateBatch::with_initial(problem, warm);
        let mut drawn = batch.candidates.len();
        while drawn < self.population && !(problem.out_of_time)() {
            let n = BATCH.min(self.population - drawn);
            batch.candidates.resize(n, Vec::new());
            for (k, candidate) in batch.candidates.iter_mut().enumerate() {
                let stream = problem.key.fold((drawn + k) as u64);
                candidate.clear();
                candidate.extend((0..problem.len()).map(|i| {
                    let bounds = problem.finite_bounds(i % problem.controls());
                    bounds.low + stream.uniform(i as u64) * (bounds.high - bounds.low)
                }));
            }
            batch.score(problem);
            drawn += n;
        }
        batch.into_plan(Vec::new())
    }
}
