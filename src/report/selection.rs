//! The effect of choosing the best of several cases. If no case saves anything, the best of many cases nevertheless
//! seems to save something by chance.

use std::collections::BTreeSet;

use crate::rng::normal_quantile;
use crate::scenario::results::{CaseResult, ControlUse, Difference, Results};
use crate::stats::NORMAL_95;

use super::runs::completed;

/// Probability that the report recommends a case without a caveat if no case saves anything (not tuned).
const CHANCE: f64 = 0.02;

/// The number of different sets of controls that the cases move. Cases that move the same controls depend on the same
/// estimated effects, so they count as one.
pub fn alternatives(results: &Results) -> usize {
    let cases = completed(results).flat_map(|s| s.cases.iter().skip(1));
    cases.map(moved).filter(|controls| !controls.is_empty()).collect::<BTreeSet<_>>().len().max(1)
}

fn moved(case: &CaseResult) -> BTreeSet<&str> {
    case.controls.iter().filter(|c| from_baseline(c) > 0.0).map(|c| c.signal.as_str()).collect()
}

/// Distance of a control from the baseline.
pub fn from_baseline(used: &ControlUse) -> f64 {
    used.rms_difference.unwrap_or((used.mean - used.baseline_mean).abs())
}

/// The lowest ratio of the low end of the 90 % interval of a saving to the saving itself for which the saving is not due
/// to chance, if the errors are normally distributed and the best of `alternatives` was chosen (Bonferroni).
pub fn least_low_end(alternatives: usize) -> f64 {
    1.0 - NORMAL_95 / normal_quantile(1.0 - CHANCE / alternatives as f64)
}

/// Whether a decrease is larger than the best of `alternatives` would show by chance: the simultaneous 90 % interval
/// (Bonferroni) does not contain zero.
pub fn exceeds_chance(decrease: &Difference, alternatives: usize) -> bool {
    let wider = normal_quantile(1.0 - 0.05 / alternatives as f64) / NORMAL_95;
    decrease.measurable && decrease.mean - wider * (decrease.mean - decrease.low) > 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_many_cases_needs_a_larger_saving() {
        let ends = [1, 2, 10].map(least_low_end);
        // Φ⁻¹(0.98) = 2.0537, Φ⁻¹(0.99) = 2.3263, Φ⁻¹(0.998) = 2.8782
        let expected = [1.0 - 1.64485 / 2.05375, 1.0 - 1.64485 / 2.32635, 1.0 - 1.64485 / 2.87816];
        assert!(ends.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4), "{ends:?}");
    }

    #[test]
    fn a_difference_that_is_measurable_alone_may_be_due_to_the_choice() {
        let decrease = Difference { mean: 2.2, low: 0.1, high: 4.2, measurable: true };
        assert_eq!([1, 2, 8].map(|k| exceeds_chance(&decrease, k)), [true, false, false]);
        let clear = Difference { low: 1.5, ..decrease };
        assert!(exceeds_chance(&clear, 8));
    }
}
