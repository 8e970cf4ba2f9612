//! The futures in which candidates are priced.

/// One batch of futures; all candidates of a plan meet the same ones.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Futures {
    /// Which member of the model each follows; `None`: their mean.
    pub members: Vec<Option<usize>>,
    pub noise: Noise,
    /// Standard deviations of the cost between futures that are added to its mean.
    pub pessimism: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Noise {
    #[default]
    None,
    /// That of the plan.
    Planned,
    /// Other noise than the plan was made for.
    Fresh,
}

/// Members that a plan is looked at again on, one by one.
const MOST_MEMBERS: usize = 8;
/// Members that a plan is made for where the model may be wrong: each of them costs as much as the plan of a mean, and those
/// of a Gaussian process ten times that.
const DOUBTED: usize = 3;

impl Futures {
    /// What a plan is made for: `n` futures of one half of the `members`, or the mean one.
    pub fn planned(n: usize, members: usize) -> Self {
        if n <= 1 {
            return Self { members: vec![None], noise: Noise::None, pessimism: 0.0 };
        }
        let half = members.div_ceil(2).max(1);
        Self { members: (0..n).map(|p| Some(p % half)).collect(), noise: Noise::Planned, pessimism: 0.0 }
    }

    /// `n` futures with noise, these first.
    pub fn and_more(&self, n: usize, members: usize) -> Self {
        let member = |p: usize| self.members.get(p).copied().unwrap_or(Some(p % members.max(1)));
        Self { members: (0..n).map(member).collect(), noise: Noise::Planned, pessimism: 0.0 }
    }

    /// What a plan is made for where the model may be wrong: some of that half, without noise, so that the cost varies by
    /// what the model does not know alone.
    pub fn doubted(members: usize, pessimism: f64) -> Self {
        // one alone has no spread
        let some = members.div_ceil(2).clamp(2.min(members.max(1)), DOUBTED);
        Self { members: (0..some).map(Some).collect(), noise: Noise::None, pessimism }
    }

    /// Futures that a plan for these was not made for (SUP-5): those of the other half of the `members`; of a plan for the
    /// mean, the members one by one. `None`: there are no others.
    pub fn unseen(&self, members: usize) -> Option<Self> {
        let half = members.div_ceil(2);
        let others: Vec<Option<usize>> = match (members, self.members.as_slice()) {
            (..=1, _) => return None,
            // all of them
            (_, planned) if planned.iter().flatten().any(|m| *m >= half) => return None,
            (_, [None]) => (0..members.min(MOST_MEMBERS)).map(Some).collect(),
            (_, planned) => (0..planned.len()).map(|p| Some(half + p % (members - half))).collect(),
        };
        let noise = if self.noise == Noise::None { Noise::None } else { Noise::Fresh };
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
    fn a_plan_is_scored_on_members_that_it_was_not_made_for() {
        for (n, count) in [(4, 2), (4, 5), (20, 16), (2, 16)] {
            let planned = Futures::planned(n, count);
            let unseen = planned.unseen(count).unwrap();
            assert_eq!((planned.count(), unseen.count(), unseen.noise), (n, n, Noise::Fresh));
            assert!(members(&planned).iter().all(|m| !members(&unseen).contains(m)), "{planned:?} {unseen:?}");
            assert!(members(&unseen).iter().all(|m| *m < count));
            let doubted = Futures::doubted(count, 1.0);
            // of two, both are looked at
            let Some(unseen) = doubted.unseen(count) else {
                assert_eq!((count, members(&doubted)), (2, vec![0, 1]));
                continue;
            };
            assert!(members(&doubted).iter().all(|m| !members(&unseen).contains(m)), "{doubted:?} {unseen:?}");
            assert_eq!((unseen.noise, unseen.pessimism), (Noise::None, 0.0));
        }
        assert_eq!(members(&Futures::planned(1, 5).unseen(5).unwrap()), [0, 1, 2, 3, 4]);
        assert_eq!((Futures::planned(4, 1).unseen(1), Futures::planned(1, 1).unseen(1)), (None, None));
    }
}
