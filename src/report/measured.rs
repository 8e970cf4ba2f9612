//! Comparison of a case with the measured operation of the plant.

use crate::scenario::results::{NoiseSource, Results};

use super::runs::CaseRun;
use super::saving;

/// The fraction of a saving that is due to a baseline that costs more than the measured operation did.
#[derive(Debug, Clone, Copy)]
pub struct BaselineExcess {
    pub share: f64,
    /// Whether neither the errors of the model nor missing measurements can be the cause. The errors of the model
    /// cannot be the cause if the simulations contain the recorded noise.
    pub is_certain: bool,
}

/// Relative difference that is considered a rounding error.
const ROUNDING: f64 = 1e-6;

impl BaselineExcess {
    /// `None` if the case saves nothing, or if the cost was not measured in the conditions of all scenarios.
    pub fn of(results: &Results, runs: &[CaseRun<'_>]) -> Option<Self> {
        let (mut excess, mut saved) = (0.0, 0.0);
        for run in runs {
            let before = if results.cash.is_some() { run.baseline.cash? } else { run.baseline.objective };
            let weight = run.weight / run.scenario.hours.max(f64::MIN_POSITIVE);
            excess += weight * (before.mean - run.scenario.measured.cost?);
            saved += weight * saving::of_case(results, run.case)?.mean;
        }
        let is_certain =
            runs.iter().all(|r| r.scenario.noise == NoiseSource::Recorded && r.scenario.measured.cost_missing == 0.0);
        (saved > 0.0 && excess > 0.0).then_some(Self { share: excess / saved, is_certain })
    }

    /// Whether the measured operation was better than the case.
    pub fn exceeds_saving(self) -> bool {
        self.is_certain && self.share > 1.0 + ROUNDING
    }
}
