//! The simulated futures in which candidates are evaluated.

/// The members and the noise of a batch of futures. All candidates of a plan are evaluated in the same futures.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Futures {
    /// Ensemble member of each future; `None`: the mean of the ensemble.
    pub members: Vec<Option<usize>>,
    pub noise: Noise,
    /// Number of standard deviations of the cost over futures that are added to its mean.
    pub pessimism: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Noise {
    #[default]
    None,
    /// The noise under which the plan is optimised.
    Planned,
    /// Independent noise for re-scoring.
    Independent,
}

/// Largest number of members on which a plan of the mean is re-scored (guess).
const MOST_RESCORED: usize = 8;
/// Largest number of members of a plan with pessimism. Each costs as much as planning on the mean, and a member of a
/// Gaussian process ten times that.
const MOST_PESSIMISTIC: usize = 3;

impl Futures {
    /// The futures of a plan: `n` futures of the first half of the `members`, or the mean if `n` is one. The second half is
    /// left for re-scoring.
    pub fn planned(n: usize, members: usize) -> Self {
        if n <= 1 {
            return Self { members: vec![None], noise: Noise::None, pessimism: 0.0 };
        }
        let half = members.div_ceil(2).max(1);
        Self { members: (0..n).map(|p| Some(p % half)).collect(), noise: Noise::Planned, pessimism: 0.0 }
    }

    /// `n` futures with noise, the first of which are these.
    pub fn extended(&self, n: usize, members: usize) -> Self {
        let member = |p: usize| self.members.get(p).copied().unwrap_or(Some(p % members.max(1)));
        Self { members: (0..n).map(member).collect(), noise: Noise::Planned, pessimism: 0.0 }
    }

    /// The futures of a plan outside the support of the model: a few members of the first half without noise, so that the
    /// cost varies by epistemic uncertainty only.
    pub fn pessimistic(members: usize, pessimism: f64) -> Self {
        // A standard deviation needs two members.
        let count = members.div_ceil(2).clamp(2.min(members.max(1)), MOST_PESSIMISTIC);
        Self { members: (0..count).map(Some).collect(), noise: Noise::None, pessimism }
    }

    /// Futures with other members than these, for re-scoring (SUP-5): the second half of the `members`, or all of them one by
    /// one for a plan of the mean. `None` if there are no others.
    pub fn held_out(&self, members: usize) -> Option<Self> {
        let half = members.div_ceil(2);
        let others: Vec<Option<usize>> = match (members, self.members.as_slice()) {
            (..=1, _) => return None,
            // The plan uses members of both halves.
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
            // With two members both are used to optimise.
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
