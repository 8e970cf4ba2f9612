//! The simulated futures in which candidates are evaluated.

/// Ensemble members and noise of a batch of simulated futures. All candidates of a plan are evaluated in the same
/// futures.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Futures {
    /// Ensemble member used in each future; `None` selects the ensemble mean.
    pub members: Vec<Option<usize>>,
    pub noise: Noise,
    /// Number of standard deviations of the cost over futures that are added to the mean cost.
    pub pessimism: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Noise {
    #[default]
    None,
    /// The noise with which plans are optimised.
    Planned,
    /// Noise for re-scoring, independent of the noise with which plans are optimised.
    Independent,
}

/// Largest number of members on which a plan is re-scored if it was optimised on the mean of the ensemble (not tuned).
const MOST_RESCORED: usize = 8;
/// Largest number of members on which a pessimistic plan is optimised. Planning on one member takes as long as planning
/// on the ensemble mean, or ten times as long if the model is a Gaussian process.
const MOST_PESSIMISTIC: usize = 3;

impl Futures {
    /// The futures in which a plan is optimised: `n` futures with members of the first half of the ensemble, or with
    /// the ensemble mean if `n` is 1. The second half of the ensemble is reserved for re-scoring.
    pub fn planned(n: usize, members: usize) -> Self {
        if n <= 1 {
            return Self { members: vec![None], noise: Noise::None, pessimism: 0.0 };
        }
        let half = members.div_ceil(2).max(1);
        Self { members: (0..n).map(|p| Some(p % half)).collect(), noise: Noise::Planned, pessimism: 0.0 }
    }

    /// Returns `n` futures with noise, beginning with futures that have the same ensemble members as those in `self`.
    pub fn extended(&self, n: usize, members: usize) -> Self {
        let member = |p: usize| self.members.get(p).copied().unwrap_or(Some(p % members.max(1)));
        Self { members: (0..n).map(member).collect(), noise: Noise::Planned, pessimism: 0.0 }
    }

    /// Creates the futures for a plan that starts at the edge of the model's support or outside it. Pessimistic futures
    /// use a few members of the first half of the ensemble, without noise, so that costs differ between futures only
    /// because of epistemic uncertainty.
    pub fn pessimistic(members: usize, pessimism: f64) -> Self {
        // A standard deviation needs at least two members.
        let count = members.div_ceil(2).clamp(2.min(members.max(1)), MOST_PESSIMISTIC);
        Self { members: (0..count).map(Some).collect(), noise: Noise::None, pessimism }
    }

    /// Futures for re-scoring a plan that was optimised in the futures of `self` (requirement SUP-5).
    /// The held-out futures
    /// use members of the second half of the ensemble, or individual members if the plan was optimised on the mean.
    /// `None` if there are no held-out members.
    pub fn held_out(&self, members: usize) -> Option<Self> {
        let half = members.div_ceil(2);
        let others: Vec<Option<usize>> = match (members, self.members.as_slice()) {
            (..=1, _) => return None,
            // The plan was optimised on members of both halves, so no members are held out.
            (_, planned) if planned.iter().flatten().any(|m| *m >= half) => return None,
            (_, [None]) => (0..members.min(MOST_RESCORED)).map(Some).collect(),
            (_, planned) => (0..planned.len()).map(|p| Some(half + p % (members - half))).collect(),
        };
        let noise = if self.noise == Noise::None { Noise::None } else { Noise::Independent };
        Some(Self { members: others, noise, pessimism: 0.0 })
    }

    pub fn count(&self) -> usize {
        self.members.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(futures: &Futures) -> Vec<usize> {
        futures.members.iter().flatten().copied().collect()
    }

    #[test]
    fn plans_are_rescored_on_members_that_were_not_used_to_optimise_them() {
        for (n, count) in [(4, 2), (4, 5), (20, 16), (2, 16)] {
            let planned = Futures::planned(n, count);
            let held_out = planned.held_out(count).unwrap();
            assert_eq!((planned.count(), held_out.count(), held_out.noise), (n, n, Noise::Independent));
            assert!(members(&planned).iter().all(|m| !members(&held_out).contains(m)), "{planned:?} {held_out:?}");
            assert!(members(&held_out).iter().all(|m| *m < count));
            let pessimistic = Futures::pessimistic(count, 1.0);
            // In an ensemble with two members, both members are used to optimise the plan.
            let Some(held_out) = pessimistic.held_out(count) else {
                assert_eq!((count, members(&pessimistic)), (2, vec![0, 1]));
                continue;
            };
            assert!(members(&pessimistic).iter().all(|m| !members(&held_out).contains(m)), "{held_out:?}");
            assert_eq!((held_out.noise, held_out.pessimism), (Noise::None, 0.0));
        }
        assert_eq!(members(&Futures::planned(1, 5).held_out(5).unwrap()), [0, 1, 2, 3, 4]);
        assert_eq!((Futures::planned(4, 1).held_out(1), Futures::planned(1, 1).held_out(1)), (None, None));
    }
}
