//! The simulated futures in which candidates are evaluated.

use std::ops::Range;

/// Ensemble members and noise of a batch of simulated futures. All candidates of a plan are evaluated in the same
/// futures.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Futures {
    /// Ensemble member used in each future; `None` selects the ensemble mean.
    pub members: Vec<Option<usize>>,
    pub noisy: bool,
    /// Number of standard deviations of the cost over futures that are added to the mean cost.
    pub pessimism: f64,
}

/// Largest number of members on which a pessimistic plan is optimised. Planning with one member
/// takes as long as planning with the ensemble mean, or ten times as long if the model is a
/// Gaussian process.
const MOST_PESSIMISTIC: usize = 3;
/// Smallest ensemble that is divided into two halves. Each half needs two members, because pessimistic plans use the
/// standard deviation of the cost over members.
const LEAST_DIVIDED: usize = 4;

/// Returns the half of an ensemble with `members` members that does not contain `simulated`, the
/// member that simulates the plant. A plan that is optimised on this half does not exploit the
/// errors of the simulated plant, so the simulated saving is not too optimistic (the optimiser's
/// curse: Smith & Winkler 2006; requirement SUP-5). An ensemble with fewer than four members is not
/// divided.
pub(super) fn held_out_half(members: usize, simulated: usize) -> Range<usize> {
    let half = members.div_ceil(2);
    match simulated {
        _ if members < LEAST_DIVIDED => 0..members,
        first if first < half => half..members,
        _ => 0..half,
    }
}

impl Futures {
    /// The futures in which a plan is optimised: `n` futures with the members in `pool`, or with the mean of the whole
    /// ensemble if `n` is 1.
    pub fn planned(n: usize, pool: &Range<usize>) -> Self {
        if n <= 1 {
            return Self { members: vec![None], noisy: false, pessimism: 0.0 };
        }
        let members = (0..n).map(|p| Some(nth(pool, p))).collect();
        Self { members, noisy: true, pessimism: 0.0 }
    }

    /// Returns `n` futures with noise. The first futures have the same ensemble members as the
    /// futures in `self`.
    pub fn extended(&self, n: usize, pool: &Range<usize>) -> Self {
        let member = |p: usize| self.members.get(p).copied().unwrap_or_else(|| Some(nth(pool, p)));
        Self { members: (0..n).map(member).collect(), noisy: true, pessimism: 0.0 }
    }

    /// Creates the futures for a plan that starts at the edge of the model's support or outside the
    /// support. Pessimistic futures use a few members, without noise, so that costs differ between
    /// futures only because of epistemic uncertainty.
    pub fn pessimistic(pool: &Range<usize>, pessimism: f64) -> Self {
        let members = pool.clone().take(MOST_PESSIMISTIC).map(Some).collect();
        Self { members, noisy: false, pessimism }
    }

    pub fn count(&self) -> usize {
        self.members.len()
    }
}

/// Member `n` of `pool`, modulo the number of members in `pool`.
fn nth(pool: &Range<usize>, n: usize) -> usize {
    pool.start + n % pool.len().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(futures: &Futures) -> Vec<usize> {
        futures.members.iter().flatten().copied().collect()
    }

    #[test]
    fn plans_of_a_simulated_plant_do_not_use_the_half_of_the_ensemble_that_simulates_it() {
        for (count, simulated, half) in [(4, 0, 2..4), (4, 3, 0..2), (5, 2, 3..5), (5, 3, 0..3), (16, 7, 8..16)] {
            let pool = held_out_half(count, simulated);
            assert_eq!(pool, half);
            let planned = Futures::planned(20, &pool);
            let futures = [planned.extended(64, &pool), Futures::pessimistic(&pool, 1.0), planned];
            assert_eq!(futures.each_ref().map(Futures::count), [64, pool.len().min(3), 20]);
            assert!(futures.iter().flat_map(members).all(|m| half.contains(&m)), "{futures:?}");
        }
        // small ensembles are not divided
        assert_eq!([held_out_half(1, 0), held_out_half(3, 1)], [0..1, 0..3]);
        assert_eq!(members(&Futures::pessimistic(&(0..2), 1.0)), [0, 1]);
        assert_eq!(Futures::planned(1, &(0..5)).members, [None]);
    }
}
