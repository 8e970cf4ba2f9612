//! The effect of choosing the best of several cases. If no case saves anything, the best of many cases nevertheless
//! seems to save something by chance.

use std::collections::{BTreeMap, BTreeSet};

use crate::rng::normal_quantile;
use crate::scenario::results::{CaseResult, ControlUse, Difference, Results};
use crate::stats::student_t;

use super::runs::{CaseRun, completed};

/// Probability that the report recommends a case without a caveat if no case saves anything (not tuned).
const CHANCE: f64 = 0.02;
/// With at least this many independent simulations, intervals of differences are quantiles of the differences.
const FEW: usize = 19;

/// The number of different sets of moves that the cases make. Cases that move the same controls in the same directions
/// depend on the same estimated effects, so they count as one. Of two cases that move a control in opposite directions,
/// one seems to save something whatever the error of the effect is, so they count as two.
pub fn alternatives(results: &Results) -> usize {
    let mut of_case: BTreeMap<&str, BTreeSet<Move<'_>>> = BTreeMap::new();
    for case in completed(results).flat_map(|s| s.cases.iter().skip(1)) {
        of_case.entry(&case.name).or_default().extend(moves(case));
    }
    of_case.into_values().filter(|moves| !moves.is_empty()).collect::<BTreeSet<_>>().len().max(1)
}

/// A control, and whether it is mostly above the baseline, mostly below, or neither.
type Move<'a> = (&'a str, Option<bool>);

/// A control is mostly on one side of the baseline if its mean difference is at least this fraction of its root mean
/// square difference (not tuned).
const ONE_SIDE: f64 = 0.5;

fn moves(case: &CaseResult) -> impl Iterator<Item = Move<'_>> {
    case.controls.iter().filter(|c| from_baseline(c) > 0.0).map(|c| {
        let mean = c.mean - c.baseline_mean;
        (c.signal.as_str(), (mean.abs() >= ONE_SIDE * from_baseline(c)).then_some(mean > 0.0))
    })
}

/// The smallest number of independent simulations in `runs` from which the interval of a difference is computed.
/// Simulated futures of the same ensemble member have the same model error.
pub fn independent(results: &Results, runs: &[CaseRun<'_>]) -> usize {
    let of_run = |r: &CaseRun<'_>| match results.model.members {
        0 | 1 => r.scenario.particles,
        members => r.scenario.particles.min(members),
    };
    runs.iter().map(of_run).min().unwrap_or(0)
}

/// The quantile that corresponds to the intervals of differences, which are based on Student's t if there are fewer than
/// [`FEW`] independent simulations.
fn quantile(p: f64, independent: usize) -> f64 {
    match independent {
        2..FEW => student_t(p, independent - 1),
        _ => normal_quantile(p),
    }
}

/// Distance of a control from the baseline.
pub fn from_baseline(used: &ControlUse) -> f64 {
    used.rms_difference.unwrap_or((used.mean - used.baseline_mean).abs())
}

/// The lowest ratio of the low end of the 90 % interval of a saving to the saving itself for which the saving is not due
/// to chance, if the errors are normally distributed and the best of `alternatives` was chosen (Bonferroni).
pub fn least_low_end(alternatives: usize, independent: usize) -> f64 {
    1.0 - quantile(0.95, independent) / quantile(1.0 - CHANCE / alternatives as f64, independent)
}

/// Whether a decrease is larger than the best of `alternatives` would show by chance: the simultaneous 90 % interval
/// (Bonferroni) does not contain zero.
pub fn exceeds_chance(decrease: &Difference, alternatives: usize, independent: usize) -> bool {
    let wider = quantile(1.0 - 0.05 / alternatives as f64, independent) / quantile(0.95, independent);
    decrease.measurable && decrease.mean - wider * (decrease.mean - decrease.low) > 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_many_cases_needs_a_larger_saving() {
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-4, "{a} {b}");
        // Φ⁻¹(0.98) = 2.0537, Φ⁻¹(0.99) = 2.3263, Φ⁻¹(0.998) = 2.8782
        for (alternatives, quantile) in [(1, 2.05375), (2, 2.32635), (10, 2.87816)] {
            near(least_low_end(alternatives, 50), 1.0 - 1.64485 / quantile);
        }
        // Student's t with 4 degrees of freedom: 2.1318 at 95 %, 2.9985 at 98 %, 3.7469 at 99 %
        near(least_low_end(1, 5), 1.0 - 2.1318 / 2.9985);
        near(least_low_end(2, 5), 1.0 - 2.1318 / 3.7469);
    }

    #[test]
    fn a_difference_that_is_measurable_alone_may_be_due_to_the_choice() {
        let decrease = Difference { mean: 2.2, low: 0.1, high: 4.2, measurable: true };
        assert_eq!([1, 2, 8].map(|k| exceeds_chance(&decrease, k, 50)), [true, false, false]);
        let clear = Difference { low: 1.5, ..decrease };
        assert!(exceeds_chance(&clear, 8, 50) && exceeds_chance(&clear, 8, 5));
        // With five ensemble members, the interval for two alternatives is wider by 2.7764 / 2.1318 instead of
        // 1.9600 / 1.6449.
        let between = Difference { low: 0.45, ..decrease };
        assert_eq!([50, 5].map(|independent| exceeds_chance(&between, 2, independent)), [true, false]);
    }
}
