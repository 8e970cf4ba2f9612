//! Check for over-optimistic plans.

use serde::{Deserialize, Serialize};

/// Savings over the horizons of plans, compared with constant controls and summed over all plans (requirement SUP-5). A
/// plan is the best of many candidates in the futures for which it was optimised, so its predicted saving is too
/// optimistic (the optimiser's curse: Smith & Winkler 2006). Re-scoring the plans in held-out futures shows by how much
/// the predicted saving is too high.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct OptimismCheck {
    /// Number of re-scored plans.
    pub plans: usize,
    /// Saving in the futures for which the plans were optimised, in the unit of the objective.
    #[serde(alias = "promised")]
    pub predicted: f64,
    /// Saving of the re-scored plans in held-out futures.
    #[serde(alias = "kept")]
    pub rescored: f64,
}

/// Savings are discounted if more than this fraction of the predicted saving is lost in held-out futures (not tuned).
const OVER_OPTIMISTIC: f64 = 0.25;

impl OptimismCheck {
    /// Adds the plans of `other` if their savings are finite.
    pub fn add(&mut self, other: &Self) {
        if other.predicted.is_finite() && other.rescored.is_finite() {
            self.plans += other.plans;
            self.predicted += other.predicted;
            self.rescored += other.rescored;
        }
    }

    /// Fraction of the predicted saving that is lost in held-out futures; `None` if no saving was predicted.
    pub fn gap(&self) -> Option<f64> {
        (self.predicted > 0.0).then(|| (self.predicted - self.rescored) / self.predicted)
    }

    /// Factor between 0 and 1 by which savings are multiplied; 1 unless the plans are over-optimistic.
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
    fn only_over_optimistic_savings_are_discounted() {
        let check = |predicted, rescored| OptimismCheck { plans: 1, predicted, rescored };
        assert_eq!([check(100.0, 100.0), check(100.0, 76.0), check(100.0, 140.0)].map(|p| p.share()), [1.0; 3]);
        assert_eq!([check(100.0, 60.0), check(100.0, 0.0), check(100.0, -50.0)].map(|p| p.share()), [0.6, 0.0, 0.0]);
        assert_eq!((check(0.0, -1.0).gap(), check(0.0, -1.0).share()), (None, 1.0));
        let mut sum = check(10.0, 5.0);
        sum.add(&check(30.0, 25.0));
        sum.add(&check(f64::NAN, 1.0));
        assert_eq!(sum, OptimismCheck { plans: 2, predicted: 40.0, rescored: 30.0 });
    }
}
