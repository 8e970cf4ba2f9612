//! Optimality gaps of plans.

/// Gaps below this value are not reported (not tuned).
const NEGLIGIBLE: f64 = 1e-3;

/// Relative differences between the costs of the plans in a run and their lower bounds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PlanGap {
    pub plans: usize,
    sum: f64,
    largest: f64,
}

impl PlanGap {
    /// Adds a plan with the given cost and lower bound.
    pub fn add(&mut self, cost: f64, bound: f64) {
        let gap = (cost - bound) / cost.abs().max(bound.abs());
        if gap.is_finite() {
            let gap = gap.max(0.0);
            self.plans += 1;
            self.sum += gap;
            self.largest = self.largest.max(gap);
        }
    }

    pub fn merge(&mut self, other: &Self) {
        self.plans += other.plans;
        self.sum += other.sum;
        self.largest = self.largest.max(other.largest);
    }

    /// A clause that reports the size of the gaps; `None` if no plan has a lower bound, or if all
    /// gaps are negligible.
    pub fn text(&self) -> Option<String> {
        let mean = self.sum / self.plans as f64;
        (self.largest >= NEGLIGIBLE).then(|| {
            format!(
                "the cost of the plans exceeds its lower bound by {:.2} % on average, and by {:.2} % at most",
                100.0 * mean,
                100.0 * self.largest
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_relative_to_the_cost() {
        let mut gap = PlanGap::default();
        assert_eq!(gap.text(), None);
        gap.add(-100.0, -101.0);
        gap.add(50.0, 50.0);
        gap.add(f64::INFINITY, 1.0);
        let mut other = PlanGap::default();
        other.add(10.0, 9.8);
        gap.merge(&other);
        assert_eq!(gap.plans, 3);
        let text = gap.text().unwrap();
        assert!(text.contains("by 1.00 % on average") && text.contains("by 2.00 % at most"), "{text}");
    }
}
