//! A case with its results in all scenarios and the answer of the report.

use crate::scenario::results::{
    AnnualResult, ControlEffect, ControlIdentification, Difference, Economics, LimitUse, SupportShare,
};

use super::measured::BaselineExcess;
use super::runs::CaseRun;
use super::saving::Saving;
use super::selection::exceeds_chance;
use super::text::tag;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Do,
    Try,
    Unknown,
    Dont,
}

impl Answer {
    pub fn word(self) -> &'static str {
        match self {
            Self::Do => "Do",
            Self::Try => "Try",
            Self::Unknown => "Unknown",
            Self::Dont => "Don’t",
        }
    }

    /// Whether the report advises a change.
    pub fn advises(self) -> bool {
        matches!(self, Self::Do | Self::Try)
    }

    pub fn class(self) -> &'static str {
        match self {
            Self::Do => "do",
            Self::Try => "try",
            Self::Unknown => "unknown",
            Self::Dont => "dont",
        }
    }
}

/// A case with its results in all scenarios and its verdict.
#[derive(Debug, Clone)]
pub struct RankedCase<'a> {
    pub case: &'a str,
    pub runs: Vec<CaseRun<'a>>,
    /// Decrease in cost relative to the baseline; decrease in the objective if the results define no cost.
    pub saving: Saving,
    /// Decrease of the objective, which also contains penalties.
    pub objective: Difference,
    /// The part of `objective` that is the value of the content that the case leaves in stores.
    pub stored: f64,
    /// The annual totals, if the scenarios have weights.
    pub annual: Option<&'a AnnualResult>,
    pub economics: Option<&'a Economics>,
    pub support: SupportShare,
    /// Fractions of the saving inside, at the edge of, and outside the logged range. `None` if there is no saving, or
    /// if it cannot be divided among the steps. A fraction is negative if the case increases the cost in that part of
    /// the range.
    pub saving_support: Option<SupportShare>,
    /// Limits that the case violates more often than the baseline.
    pub violated: Vec<(CaseRun<'a>, &'a LimitUse)>,
    /// Soft limits that the case violates more often than the baseline in one scenario, but not over all scenarios.
    pub tolerated: Vec<(CaseRun<'a>, &'a LimitUse)>,
    /// Controls that the case moves although their effects cannot be identified from the log.
    pub unidentified: Vec<&'a ControlIdentification>,
    /// Whether the twin has no learned parts and therefore only one simulated future.
    pub is_exact: bool,
    /// The reason if a scenario ends before the changes of the case take effect.
    pub unseen_effect: Option<&'a str>,
    /// The first limit on a total that the case violates.
    pub missed_total: Option<&'a str>,
    /// Effects of moved controls on the cost that the log contradicts and for which savings are not corrected.
    pub contradicted: Vec<&'a ControlEffect>,
    /// The part of the saving that is due to a baseline that is worse than the measured operation.
    pub baseline_excess: Option<BaselineExcess>,
    /// The number of alternatives among which the report chooses.
    pub alternatives: usize,
    /// The number of independent simulations from which the intervals are computed.
    pub independent: usize,
    /// A hard limit that the baseline violates and that the case keeps; `None` if the case violates another limit.
    pub kept: Option<&'a LimitUse>,
    /// Reasons for caution.
    pub caveats: Vec<String>,
    pub answer: Answer,
}

/// Decreases in the objective below this fraction of the objective are rounding errors.
const ROUNDING: f64 = 1e-9;

impl RankedCase<'_> {
    /// Whether no KPI has a price, so that no case can be better than another.
    pub fn is_unpriced(&self) -> bool {
        self.runs.iter().all(|r| r.case.kpis.iter().all(|k| k.price.is_none_or(|p| p == 0.0)))
    }

    /// Whether the case saves money, but not enough to cover its cost: the median net present value is negative.
    pub fn loses_money(&self) -> bool {
        self.saving.value.mean > 0.0 && self.economics.is_some_and(|e| e.npv.p50 < 0.0)
    }

    /// Whether the case is better than the baseline by more than chance explains: the objective decreases, and either
    /// this decrease or the saving exceeds what the best of all alternatives would show by chance. A twin without learned parts has only one future, so chance plays no
    /// part.
    pub fn is_better(&self) -> bool {
        let exceeds = |d: &Difference| exceeds_chance(d, self.alternatives, self.independent);
        let size = self.runs.iter().map(|r| r.case.objective.mean.abs()).sum::<f64>();
        let exact = self.is_exact && self.objective.mean > ROUNDING * size;
        self.objective.mean > 0.0 && (exceeds(&self.objective) || exceeds(&self.saving.value) || exact)
    }

    /// Whether the case costs more than the baseline, but keeps a hard limit that the baseline violates.
    pub fn costs_for_a_limit(&self) -> bool {
        self.kept.is_some() && !self.is_better()
    }

    /// What makes the objective worse although the case saves money.
    pub fn outweighed_by(&self) -> &'static str {
        match self.objective.mean - self.stored > 0.0 {
            true => "it uses up stored content that is worth more",
            false => "penalties outweigh this saving",
        }
    }

    /// Whether the measured operation of the plant was better than the case.
    pub fn is_worse_than_measured(&self) -> bool {
        self.baseline_excess.is_some_and(BaselineExcess::exceeds_saving)
    }

    /// The signals whose limits the case violates more often than the baseline: `a`, `a and b`, or `a, b and 2 more`.
    pub fn violated_signals(&self) -> String {
        let mut names: Vec<String> = Vec::new();
        for (_, used) in &self.violated {
            let name = tag(&used.signal, 40);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let left = names.len().saturating_sub(2);
        names.truncate(2);
        match left {
            0 => names.join(" and "),
            n => format!("{} and {n} more", names.join(", ")),
        }
    }
}
