//! What plans promise, and what of it is left on members of the model that they were not made for.

use serde::{Deserialize, Serialize};

/// Savings of plans against holding the controls, over their horizons, added up (SUP-5, the winner's curse): a plan is the
/// best of many by the futures that it was made for, and so partly by their errors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct OptimismCheck {
    pub plans: usize,
    /// On the futures that the plans were made for, in the money of the objective.
    pub promised: f64,
    /// On others.
    pub kept: f64,
}

/// A promise of which more than this is lost is over-optimistic.
const OVER_OPTIMISTIC: f64 = 0.25;

impl OptimismCheck {
    /// Takes in the plans of another; savings that are not finite tell nothing.
    pub fn add(&mut self, other: &Self) {
        if other.promised.is_finite() && other.kept.is_finite() {
            self.plans += other.plans;
            self.promised += other.promised;
            self.kept += other.kept;
        }
    }

    /// Share of the promise that is lost on other futures; `None` where nothing was promised.
    pub fn gap(&self) -> Option<f64> {
        (self.promised > 0.0).then(|| (self.promised - self.kept) / self.promised)
    }

    /// Share of the saving to count on, from 0 to 1: below 1 where the promise is over-optimistic.
    pub fn share(&self) -> f64 {
        match self.gap() {
            Some(gap) if gap > OVER_OPTIMISTIC => (1.0 - gap).max(0.0),
            _ => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_broken_promise_is_discounted() {
        let of = |promised, kept| OptimismCheck { plans: 1, promised, kept };
        assert_eq!([of(100.0, 100.0), of(100.0, 76.0), of(100.0, 140.0)].map(|p| p.share()), [1.0; 3]);
        assert_eq!([of(100.0, 60.0), of(100.0, 0.0), of(100.0, -50.0)].map(|p| p.share()), [0.6, 0.0, 0.0]);
        assert_eq!((of(0.0, -1.0).gap(), of(0.0, -1.0).share()), (None, 1.0));
        let mut sum = of(10.0, 5.0);
        sum.add(&of(30.0, 25.0));
        sum.add(&of(f64::NAN, 1.0));
        assert_eq!(sum, OptimismCheck { plans: 2, promised: 40.0, kept: 30.0 });
    }
}
