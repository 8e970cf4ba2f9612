//! The verdict (run, try or don't) and the recommended case. The verdict depends only on the results.
//!
//! The report prints these rules in its section on the method:
//! - A case other than the baseline is a candidate if it is within the logged range for at least half of the time, if
//!   its gain covers its cost, and if it violates no limit more often than the baseline. Additional violations of a
//!   soft limit in one scenario are tolerated if they last less than 1 % of the time and do not increase the total over
//!   all scenarios. The candidate with the largest saving is chosen.
//! - The answer is **don't** if there is no candidate, or if the candidate's saving is not measurable.
//! - The answer is **unknown**, whatever the simulated saving, if the log does not identify the effect of a control,
//!   and the case moves this control further than it moved independently in the log. In this case, the report shows no
//!   saving.
//! - The answer is **try** if there is a caveat ([`RankedCase::caveats`]), and **do** otherwise.

use crate::scenario::results::{
    AnnualResult, CaseResult, ControlIdentification, Difference, Economics, Estimate, IdentificationLevel, LimitKind,
    LimitUse, OptimismCheck, ReplayCheck, Results, ScenarioResult, Score, SupportShare,
};

use super::number::{self, with_unit};
use super::text::{readable, short, tag};

/// A case counts as worse than the baseline only if it violates a limit for more than this additional fraction of the
/// time (not tuned).
const SLACK_SHARE: f64 = 0.001;
/// A case may violate a soft limit for up to this additional fraction of the time in one scenario, provided that it
/// does not violate the limit more often over all scenarios (not tuned).
const SLACK_SOFT: f64 = 0.01;
/// A case gets a caveat if the low end of the 90 % interval of its saving is below this fraction of the saving. If
/// there is no saving and the error is normally distributed, the probability that a case is recommended without a
/// caveat is about 2 % (1 − Φ(1.645 / 0.8)).
const LOW_END: f64 = 0.2;
/// A case that spends more than this fraction of the time outside the logged range gets a caveat (not tuned).
const OUTSIDE_TRY: f64 = 0.05;
/// A case that spends more than this fraction of the time outside the logged range is excluded (not tuned).
const OUTSIDE_DONT: f64 = 0.5;
/// A 90 % interval counts as too narrow if its measured coverage at the control horizon is below this value (not
/// tuned).
pub const MIN_COVERAGE: f64 = 0.8;
/// An increase of the time in violation by up to this factor is ignored (not tuned).
const SLACK_FACTOR: f64 = 1.1;
/// An increase in the probability of a violation is ignored if it corresponds to at most this number of particles (not
/// tuned).
const SLACK_PARTICLES: f64 = 1.5;
/// An increase in the probability of a violation by up to this value is ignored, regardless of the number of particles
/// (not tuned).
const SLACK_CHANCE: f64 = 0.05;

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

/// A case in one scenario, with the baseline of the same scenario.
#[derive(Debug, Clone, Copy)]
pub struct CaseRun<'a> {
    pub scenario: &'a ScenarioResult,
    pub baseline: &'a CaseResult,
    pub case: &'a CaseResult,
    /// Number of days per year that the scenario represents, or its length in hours if no scenario has `days_per_year`.
    pub weight: f64,
}

/// A case with its results in all scenarios and its verdict.
#[derive(Debug, Clone)]
pub struct RankedCase<'a> {
    pub case: &'a str,
    pub runs: Vec<CaseRun<'a>>,
    /// Decrease of the objective relative to the baseline, scaled down if the plans of the case are over-optimistic.
    pub saving: Difference,
    /// Scores of the plans of all runs on ensemble members that were not used for planning.
    pub optimism_check: OptimismCheck,
    /// The sum over the year, if the scenarios have weights.
    pub annual: Option<&'a AnnualResult>,
    pub economics: Option<&'a Economics>,
    pub support: SupportShare,
    /// Limits that the case violates more often than the baseline.
    pub violated: Vec<(CaseRun<'a>, &'a LimitUse)>,
    /// Soft limits that the case violates more often than the baseline in one scenario, but not over all scenarios.
    pub tolerated: Vec<(CaseRun<'a>, &'a LimitUse)>,
    /// Controls that the case moves although their effects cannot be identified from the log.
    pub unidentified: Vec<&'a ControlIdentification>,
    /// Reasons for caution.
    pub caveats: Vec<String>,
    pub answer: Answer,
}

impl RankedCase<'_> {
    /// Whether the median net present value is negative.
    pub fn loses_money(&self) -> bool {
        self.economics.is_some_and(|e| e.npv.p50 < 0.0)
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

    /// The period of the saving, such as `a year`.
    pub fn period(&self) -> String {
        match self.annual {
            Some(a) if (a.days - 365.0).abs() < 1.5 => "a year".into(),
            Some(a) => format!("over {} days of the year", number::plain(a.days, number::PROSE).text),
            None => {
                let days = self.runs.iter().map(|r| r.scenario.hours).sum::<f64>() / 24.0;
                format!("in {} simulated days", number::plain(days, number::PROSE).text)
            }
        }
    }

    /// The saving on the first page: the annual benefit from the economics if there is one, otherwise the decrease in
    /// the objective.
    pub fn headline(&self) -> Saving {
        // The benefit is not shown if its sign differs from that of the saving, because it would be misleading.
        let economics = self.economics.filter(|e| (e.benefit_per_year.p50 >= 0.0) == (self.saving.mean >= 0.0));
        match economics {
            Some(e) => Saving {
                estimate: e.benefit_per_year.scaled(self.optimism_check.share()),
                range: "P10–P90",
                per: "a year".into(),
            },
            None => {
                let Difference { mean, low, high, .. } = self.saving;
                Saving {
                    estimate: Estimate { p10: low, p50: mean, p90: high, mean },
                    range: "90 % interval",
                    per: self.period(),
                }
            }
        }
    }
}

/// A saving with its interval, the name of the interval, and the period.
#[derive(Debug, Clone)]
pub struct Saving {
    pub estimate: Estimate,
    pub range: &'static str,
    pub per: String,
}

/// Converts a change in the objective to a saving. A decrease in the objective is a positive saving.
pub fn saving(d: &Difference) -> Difference {
    Difference { mean: -d.mean, low: -d.high, high: -d.low, measurable: d.measurable }
}

/// Scenarios that ran without an error.
pub fn completed(results: &Results) -> impl Iterator<Item = &ScenarioResult> {
    results.scenarios.iter().filter(|s| s.exit_code == 0 && s.error.is_none() && !s.cases.is_empty())
}

/// Scenarios that failed.
pub fn failed(results: &Results) -> impl Iterator<Item = &ScenarioResult> {
    results.scenarios.iter().filter(|s| !(s.exit_code == 0 && s.error.is_none() && !s.cases.is_empty()))
}

pub fn currency(results: &Results) -> String {
    if let Some(currency) = results.currency.as_ref().filter(|c| !c.is_empty()) {
        return currency.clone();
    }
    let economics = results.annual.iter().filter_map(|a| a.economics.as_ref());
    if let Some(e) = economics.map(|e| &e.currency).find(|c| !c.is_empty()) {
        return e.clone();
    }
    "cost units".into()
}

/// The wording for a decrease of the objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    pub noun: &'static str,
    /// Wording of a gain: the verb that precedes the amount, and the words that follow the amount.
    gains: (&'static str, &'static str),
    loses: (&'static str, &'static str),
}

impl Words {
    /// `saves about 1 020 EUR a year (970 to 1 070 EUR)`.
    pub fn sentence(self, sum: &Saving, money: &str, about: &str) -> String {
        let e = sum.estimate;
        let gains = e.p50 >= 0.0;
        let negated = Estimate { p10: -e.p90, p50: -e.p50, p90: -e.p10, mean: -e.mean };
        let i = number::estimate(if gains { &e } else { &negated }, number::PROSE);
        let (verb, more) = if gains { self.gains } else { self.loses };
        let (amount, high) = (with_unit(&i.value.text, money), with_unit(&i.high.text, money));
        let has_interval = e.p10 < e.p90;
        if !has_interval {
            return format!("{verb} {about}{amount} {}{more}", sum.per);
        }
        format!("{verb} {about}{amount} {}{more} ({} to {high})", sum.per, i.low.text)
    }
}

/// Returns the words that describe the savings in `results`. A negative objective is income, so a decrease is described
/// as a gain.
pub fn words(results: &Results) -> Words {
    let weight = |s: &ScenarioResult| s.days_per_year.unwrap_or(1.0) / s.hours.max(1e-9);
    let now: f64 = completed(results).filter_map(|s| Some(weight(s) * s.cases.first()?.objective.p50)).sum();
    match now < 0.0 {
        true => Words { noun: "Gain", gains: ("earns", " more"), loses: ("earns", " less") },
        false => Words { noun: "Saving", gains: ("saves", ""), loses: ("costs", " more") },
    }
}

/// Replay checks of the KPIs that have a price or contribute to the benefit.
pub fn priced_replays(results: &Results) -> impl Iterator<Item = &ReplayCheck> {
    let priced: Vec<&str> = completed(results)
        .take(1)
        .flat_map(|s| s.cases.iter().take(1))
        .flat_map(|c| &c.kpis)
        .filter(|k| k.price.is_some_and(|p| p != 0.0) || results.benefit.contains(&k.name))
        .map(|k| k.name.as_str())
        .collect();
    results.model.replay.iter().filter(move |r| priced.contains(&r.kpi.as_str()))
}

/// All cases except the baseline, best first. The first page presents the best case. The list is empty if no case can
/// be compared with a baseline.
pub fn rank(results: &Results) -> Vec<RankedCase<'_>> {
    let mut ranked: Vec<RankedCase<'_>> = names(results).into_iter().filter_map(|name| assess(results, name)).collect();
    let run_count = ranked.iter().map(|p| p.runs.len()).max().unwrap_or(0);
    ranked.sort_by(|a, b| {
        let order = |p: &RankedCase<'_>| match p.answer {
            Answer::Do | Answer::Try => 0,
            Answer::Unknown => 1,
            Answer::Dont => 2,
        };
        let key = |p: &RankedCase<'_>| (p.runs.len() < run_count, order(p));
        key(a).cmp(&key(b)).then(b.saving.mean.total_cmp(&a.saving.mean))
    });
    ranked
}

/// Names of the cases other than the baseline, in order of appearance.
fn names(results: &Results) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for case in completed(results).flat_map(|s| s.cases.iter().skip(1)) {
        if !names.contains(&case.name.as_str()) {
            names.push(&case.name);
        }
    }
    names
}

fn assess<'a>(results: &'a Results, name: &'a str) -> Option<RankedCase<'a>> {
    let weighted = completed(results).any(|s| s.days_per_year.is_some());
    let runs: Vec<CaseRun<'a>> = completed(results)
        .filter_map(|scenario| {
            let baseline = scenario.cases.first()?;
            let case = scenario.cases.iter().skip(1).find(|c| c.name == name)?;
            let weight = if weighted { scenario.days_per_year.unwrap_or(0.0) } else { scenario.hours };
            Some(CaseRun { scenario, baseline, case, weight })
        })
        .collect();
    let annual = results.annual.iter().find(|a| a.case == name);
    let saved = match annual {
        Some(a) => saving(&a.objective_change),
        None => sum(&runs)?,
    };
    let mut optimism_check = OptimismCheck::default();
    runs.iter().filter_map(|r| r.case.optimism_check.as_ref()).for_each(|p| optimism_check.add(p));
    // If the plans are over-optimistic, only the saving on ensemble members that were not used for planning counts.
    let saved = saved.scaled(optimism_check.share());
    let support = mean_support(&runs);
    let (violated, tolerated): (Vec<_>, Vec<_>) =
        runs.iter().flat_map(|run| violated_more(*run)).partition(|(run, used)| excludes(*run, used, &runs));
    let mut pick = RankedCase {
        case: name,
        saving: saved,
        optimism_check,
        economics: annual.and_then(|a| a.economics.as_ref()),
        annual,
        support,
        violated,
        tolerated,
        unidentified: unidentified(results, &runs),
        caveats: Vec::new(),
        answer: Answer::Dont,
        runs,
    };
    pick.caveats = caveats(results, &pick);
    let bad = !pick.violated.is_empty() || support.outside > OUTSIDE_DONT || !saved.measurable || saved.mean <= 0.0;
    pick.answer = match (bad || pick.loses_money(), pick.caveats.is_empty()) {
        _ if !pick.unidentified.is_empty() => Answer::Unknown,
        (true, _) => Answer::Dont,
        (false, false) => Answer::Try,
        (false, true) => Answer::Do,
    };
    Some(pick)
}

/// The controls that a case moves although their effects cannot be identified from the log. A control may differ from
/// the baseline by as much as it moved independently of other signals in the log.
fn unidentified<'a>(results: &'a Results, runs: &[CaseRun<'a>]) -> Vec<&'a ControlIdentification> {
    let of_level = |level| results.model.identification.iter().filter(move |i| i.level == level);
    of_level(IdentificationLevel::NotIdentified).filter(|i| moves(runs, i)).collect()
}

/// Whether the case moves a control further from the baseline than the control moved independently in the log.
fn moves(runs: &[CaseRun<'_>], control: &ControlIdentification) -> bool {
    runs.iter().flat_map(|r| &r.case.controls).filter(|c| c.signal == control.control).any(|c| {
        let difference = c.rms_difference.unwrap_or((c.mean - c.baseline_mean).abs());
        let rounding = 1e-6 * c.mean.abs().max(c.baseline_mean.abs());
        difference > control.own_movement.max(rounding)
    })
}

/// The sum of the savings of several scenarios. The ends of the intervals are added, as if the errors were fully
/// correlated, which is conservative.
fn sum(runs: &[CaseRun<'_>]) -> Option<Difference> {
    let mut total = Difference { mean: 0.0, low: 0.0, high: 0.0, measurable: false };
    let mut any = false;
    for change in runs.iter().filter_map(|r| r.case.objective_change.as_ref()) {
        let s = saving(change);
        total.mean += s.mean;
        total.low += s.low;
        total.high += s.high;
        any = true;
    }
    total.measurable = total.low > 0.0 || total.high < 0.0;
    any.then_some(total)
}

fn mean_support(runs: &[CaseRun<'_>]) -> SupportShare {
    let mut s = SupportShare { inside: 0.0, edge: 0.0, outside: 0.0 };
    let total: f64 = runs.iter().map(|r| r.weight).sum();
    for r in runs {
        let w = if total > 0.0 { r.weight / total } else { 1.0 / runs.len() as f64 };
        s.inside += w * r.case.support.inside;
        s.edge += w * r.case.support.edge;
        s.outside += w * r.case.support.outside;
    }
    s
}

/// Limits that `run.case` violates more often than its baseline. Differences that are
/// too small to be distinguished from zero with this number of simulated futures are ignored.
fn violated_more(run: CaseRun<'_>) -> Vec<(CaseRun<'_>, &LimitUse)> {
    let slack_chance = (SLACK_PARTICLES / run.scenario.particles.max(1) as f64).max(SLACK_CHANCE);
    let mut out = Vec::new();
    for used in &run.case.limits {
        let base = counterpart(used, run.baseline);
        let (share, chance) = base.map_or((0.0, 0.0), |b| (b.share_beyond, b.chance));
        let longer = used.share_beyond > (share + SLACK_SHARE).max(SLACK_FACTOR * share);
        if longer || (used.chance > chance + slack_chance && used.share_beyond > share) {
            out.push((run, used));
        }
    }
    out
}

/// Whether additional violations of a limit in one scenario exclude the case.
fn excludes(run: CaseRun<'_>, used: &LimitUse, runs: &[CaseRun<'_>]) -> bool {
    if used.kind == LimitKind::Hard {
        return true;
    }
    let share = |case: &CaseResult| counterpart(used, case).map_or(0.0, |l| l.share_beyond);
    let total: f64 = runs.iter().map(|r| r.weight).sum();
    let weight = |r: &CaseRun<'_>| if total > 0.0 { r.weight / total } else { 1.0 / runs.len() as f64 };
    let [now, then] = [
        runs.iter().map(|r| weight(r) * share(r.baseline)).sum::<f64>(),
        runs.iter().map(|r| weight(r) * share(r.case)).sum(),
    ];
    used.share_beyond > share(run.baseline) + SLACK_SOFT || then > (now + SLACK_SHARE).max(SLACK_FACTOR * now)
}

/// Returns how `case` uses the limit to which `used` refers.
pub fn counterpart<'a>(used: &LimitUse, case: &'a CaseResult) -> Option<&'a LimitUse> {
    case.limits.iter().find(|l| l.signal == used.signal && l.kind == used.kind)
}

/// Caveats of a case as clauses to be formatted by [`marked`](super::text::marked), most serious first.
fn caveats(results: &Results, pick: &RankedCase<'_>) -> Vec<String> {
    let mut out = Vec::new();
    let runs = &pick.runs;
    if pick.support.outside > OUTSIDE_TRY {
        let far = runs.iter().max_by(|a, b| a.case.support.outside.total_cmp(&b.case.support.outside));
        let far =
            far.filter(|r| runs.len() > 1 && r.case.support.outside > OUTSIDE_DONT).map_or_else(String::new, |r| {
                format!(
                    " ({} in “{}”)",
                    number::percent_text(r.case.support.outside),
                    short(&readable(&r.scenario.name), 30)
                )
            });
        let share = number::percent_text(pick.support.outside);
        out.push(format!("{share} of the time is spent outside the logged range{far}"));
    }
    if pick.saving.low < LOW_END * pick.saving.mean {
        out.push("the saving is hardly larger than its uncertainty".into());
    }
    let is_weak = |i: &&ControlIdentification| i.level == IdentificationLevel::Weak && moves(runs, i);
    if let Some(weak) = results.model.identification.iter().find(is_weak) {
        out.push(format!("the log identifies the effect of {} only weakly", tag(&weak.control, 40)));
    }
    if let Some((run, caveat)) = runs.iter().find_map(|r| Some((r, r.scenario.baseline_caveat.as_ref()?))) {
        out.push(format!("in “{}”, {}", short(&readable(&run.scenario.name), 30), short(caveat, 160)));
    }
    if pick.optimism_check.share() < 1.0 {
        let gap = number::percent_text(pick.optimism_check.gap().unwrap_or(0.0));
        out.push(format!(
            "on ensemble members that were not used for planning, plans save {gap} less than predicted (already subtracted)"
        ));
    }
    if pick.economics.is_some_and(|e| e.npv.p10 < 0.0 && e.capex > 0.0) {
        out.push("the investment may not pay for itself".into());
    }
    if let Some((run, used)) = pick.tolerated.first() {
        out.push(format!(
            "in “{}”, the case may violate a limit of {} more often than the present operation",
            short(&readable(&run.scenario.name), 30),
            tag(&used.signal, 40)
        ));
    }
    if runs.iter().any(|r| !r.case.perfect_forecast.is_empty()) {
        out.push("the controller used true future values".into());
    }
    let at_horizon = scores_at_horizon(results);
    let worst = at_horizon.iter().min_by(|a, b| a.skill.total_cmp(&b.skill));
    if let Some(worst) = worst.filter(|s| s.skill <= 0.0) {
        out.push(format!("the model forecasts {} no better than “no change”", tag(&worst.signal, 40)));
    }
    if at_horizon.iter().any(|s| s.coverage[2] < MIN_COVERAGE) {
        out.push("the 90 % intervals of the model are too narrow".into());
    }
    if let Some(r) = priced_replays(results).find(|r| !r.inside) {
        let all = r.segments.max(1);
        out.push(format!(
            "{} of {} replays do not reproduce the measured {}",
            all.saturating_sub(r.within),
            all,
            short(&readable(&r.kpi), 40)
        ));
    }
    if results.model.responses.iter().any(|r| !r.agrees) {
        out.push("the model contradicts a known effect".into());
    }
    let failed = failed(results).count();
    if failed > 0 {
        out.push(format!("{} did not run", crate::error::plural(failed, "scenario", "scenarios")));
    }
    if !results.quality.incomplete.is_empty() {
        out.push("the log is incomplete".into());
    }
    out
}

/// Hold-out scores of the chosen model at the longest scored horizon up to the control horizon, one per signal.
pub fn scores_at_horizon(results: &Results) -> Vec<&Score> {
    let m = &results.model;
    let chosen =
        || m.scores.iter().filter(|s| s.model == m.model && s.skill.is_finite() && s.horizon <= m.horizon.max(1));
    let last = chosen().map(|s| s.horizon).max().unwrap_or(0);
    chosen().filter(|s| s.horizon == last).collect()
}
