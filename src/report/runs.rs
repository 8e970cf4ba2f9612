//! The scenarios that ran, and the cases in them.

use crate::scenario::results::{CaseResult, LimitUse, Results, ScenarioResult};

/// A case in one scenario, with the baseline of the same scenario.
#[derive(Debug, Clone, Copy)]
pub struct CaseRun<'a> {
    pub scenario: &'a ScenarioResult,
    pub baseline: &'a CaseResult,
    pub case: &'a CaseResult,
    /// Number of days per year that the scenario represents, or its length in hours if no scenario has `days_per_year`.
    pub weight: f64,
}

/// Whether the twin consists only of equations and contains no learned model.
pub fn has_only_equations(results: &Results) -> bool {
    results.model.model == "equations"
}

/// Scenarios that ran without an error.
pub fn completed(results: &Results) -> impl Iterator<Item = &ScenarioResult> {
    results.scenarios.iter().filter(|s| s.exit_code == 0 && s.error.is_none() && !s.cases.is_empty())
}

/// Scenarios that failed.
pub fn failed(results: &Results) -> impl Iterator<Item = &ScenarioResult> {
    results.scenarios.iter().filter(|s| !(s.exit_code == 0 && s.error.is_none() && !s.cases.is_empty()))
}

/// Returns the violations of the limit in `used` by the measured values in the period of
/// `scenario`.
pub fn measured<'a>(used: &LimitUse, scenario: &'a ScenarioResult) -> Option<&'a LimitUse> {
    scenario.measured.limits.iter().find(|l| l.signal == used.signal && l.kind == used.kind)
}

/// Returns the entry of `case` for the limit in `used`.
pub fn counterpart<'a>(used: &LimitUse, case: &'a CaseResult) -> Option<&'a LimitUse> {
    case.limits.iter().find(|l| l.signal == used.signal && l.kind == used.kind)
}
