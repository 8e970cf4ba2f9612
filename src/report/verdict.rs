//! Do, try, or don't: which case to run, decided from the results alone.
//!
//! The rule, in words (the report prints it too):
//! - of the cases other than the baseline, those that break no limit more than the baseline, and that stay mostly
//!   within what the log has seen, compete; the one with the largest saving wins;
//! - **don't** when there is none, or its saving is not measurable;
//! - **try** when something weakens the evidence ([`Pick::caveats`]); else **do**.

use crate::scenario::results::{
    AnnualResult, CaseResult, Difference, Economics, Estimate, LimitUse, Results, ScenarioResult, Score, SupportShare,
};

use super::number;

/// A case may be this much longer beyond a limit than the baseline (share of the time) before it counts as worse.
const SLACK_SHARE: f64 = 0.001;
/// More of the steps than this outside the log's experience weakens the evidence.
const OUTSIDE_TRY: f64 = 0.05;
/// More than this and there is no evidence.
const OUTSIDE_DONT: f64 = 0.5;
/// A 90 % interval that holds less often than this at the control horizon is no 90 % interval.
const LEAST_COVERAGE: f64 = 0.8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Do,
    Try,
    Dont,
}

impl Answer {
    pub fn word(self) -> &'static str {
        match self {
            Self::Do => "Do",
            Self::Try => "Try",
            Self::Dont => "Don’t",
        }
    }

    /// CSS class.
    pub fn class(self) -> &'static str {
        match self {
            Self::Do => "do",
            Self::Try => "try",
            Self::Dont => "dont",
        }
    }
}

/// A case in one scenario, beside the baseline of the same scenario.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    pub scenario: &'a ScenarioResult,
    pub baseline: &'a CaseResult,
    pub case: &'a CaseResult,
    /// Days of the year, or hours where no scenario has days.
    pub weight: f64,
}

/// A case over everything that was simulated, and what is to be said of it.
#[derive(Debug, Clone)]
pub struct Pick<'a> {
    pub case: &'a str,
    pub runs: Vec<Run<'a>>,
    /// Saving of the objective: −(case − baseline).
    pub saving: Difference,
    /// The year, when the scenarios carry weights.
    pub annual: Option<&'a AnnualResult>,
    pub economics: Option<&'a Economics>,
    pub support: SupportShare,
    /// Limits that it breaks more than the baseline: (run, the case's use, the baseline's).
    pub broken: Vec<(Run<'a>, &'a LimitUse, Option<&'a LimitUse>)>,
    /// What weakens the evidence.
    pub caveats: Vec<String>,
    pub answer: Answer,
}

impl Pick<'_> {
    /// What the saving is a saving over, e.g. `a year`.
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

    /// The yearly money that page one shows: the economics' benefit where there is one, else the objective's saving.
    pub fn headline(&self) -> Money {
        match self.economics {
            Some(e) => Money { estimate: e.benefit_per_year, range: "P10 to P90", per: "a year".into() },
            None => {
                let Difference { mean, low, high, .. } = self.saving;
                Money {
                    estimate: Estimate { p10: low, p50: mean, p90: high, mean },
                    range: "90 % interval",
                    per: self.period(),
                }
            }
        }
    }
}

/// A saving with its range and what the range is.
#[derive(Debug, Clone)]
pub struct Money {
    pub estimate: Estimate,
    pub range: &'static str,
    pub per: String,
}

/// −d: a fall of the objective is a saving.
pub fn saving(d: &Difference) -> Difference {
    Difference { mean: -d.mean, low: -d.high, high: -d.low, measurable: d.measurable }
}

/// Scenarios that ran to the end.
pub fn ran(results: &Results) -> impl Iterator<Item = &ScenarioResult> {
    results.scenarios.iter().filter(|s| s.exit_code == 0 && s.error.is_none() && !s.cases.is_empty())
}

/// Scenarios that did not.
pub fn failed(results: &Results) -> impl Iterator<Item = &ScenarioResult> {
    results.scenarios.iter().filter(|s| !(s.exit_code == 0 && s.error.is_none() && !s.cases.is_empty()))
}

/// The currency of the objective.
pub fn currency(results: &Results) -> String {
    let economics = results
        .annual
        .iter()
        .filter_map(|a| a.economics.as_ref())
        .chain(ran(results).flat_map(|s| &s.cases).filter_map(|c| c.economics.as_ref()));
    if let Some(e) = economics.map(|e| &e.currency).find(|c| !c.is_empty()) {
        return e.clone();
    }
    // Without economics: a KPI priced at one is money already, in its own unit.
    let kpis = ran(results).flat_map(|s| &s.cases).flat_map(|c| &c.kpis);
    let one = kpis.filter(|k| k.price == Some(1.0)).map(|k| &k.unit).find(|u| u.len() == 3 && u.is_ascii());
    one.cloned().unwrap_or_else(|| "cost units".into())
}

/// The case that page one is about, and all others; the first is the pick. Empty when no case ran beside a baseline.
pub fn rank(results: &Results) -> Vec<Pick<'_>> {
    let mut picks: Vec<Pick<'_>> = names(results).into_iter().filter_map(|name| consider(results, name)).collect();
    let most = picks.iter().map(|p| p.runs.len()).max().unwrap_or(0);
    picks.sort_by(|a, b| {
        let key = |p: &Pick<'_>| (p.runs.len() < most, p.answer == Answer::Dont);
        key(a).cmp(&key(b)).then(b.saving.mean.total_cmp(&a.saving.mean))
    });
    picks
}

/// Cases other than the baseline, in order of appearance.
fn names(results: &Results) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for case in ran(results).flat_map(|s| s.cases.iter().skip(1)) {
        if !names.contains(&case.name.as_str()) {
            names.push(&case.name);
        }
    }
    names
}

fn consider<'a>(results: &'a Results, name: &'a str) -> Option<Pick<'a>> {
    let weighted = ran(results).any(|s| s.days_per_year.is_some());
    let runs: Vec<Run<'a>> = ran(results)
        .filter_map(|scenario| {
            let baseline = scenario.cases.first()?;
            let case = scenario.cases.iter().skip(1).find(|c| c.name == name)?;
            let weight = if weighted { scenario.days_per_year.unwrap_or(0.0) } else { scenario.hours };
            Some(Run { scenario, baseline, case, weight })
        })
        .collect();
    let annual = results.annual.iter().find(|a| a.case == name);
    let saved = match annual {
        Some(a) => saving(&a.objective_change),
        None => sum(&runs)?,
    };
    let economics = annual.and_then(|a| a.economics.as_ref()).or(match runs.as_slice() {
        [only] => only.case.economics.as_ref(),
        _ => None,
    });
    let support = mean_support(&runs);
    let broken: Vec<_> = runs.iter().flat_map(|run| broken_more(*run)).collect();
    let caveats = caveats(results, &runs, &support);
    let bad = !broken.is_empty() || support.outside > OUTSIDE_DONT || !saved.measurable || saved.mean <= 0.0;
    let answer = match (bad, caveats.is_empty()) {
        (true, _) => Answer::Dont,
        (false, false) => Answer::Try,
        (false, true) => Answer::Do,
    };
    Some(Pick { case: name, runs, saving: saved, annual, economics, support, broken, caveats, answer })
}

/// Savings of several scenarios added up; their intervals are added as if errors went the same way, which is the
/// cautious choice.
fn sum(runs: &[Run<'_>]) -> Option<Difference> {
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

fn mean_support(runs: &[Run<'_>]) -> SupportShare {
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

/// Limits that `run.case` breaks more than its baseline, beyond what the number of particles can tell apart.
fn broken_more(run: Run<'_>) -> Vec<(Run<'_>, &LimitUse, Option<&LimitUse>)> {
    let slack_chance = (1.5 / run.scenario.particles.max(1) as f64).max(0.05);
    let mut out = Vec::new();
    for used in &run.case.limits {
        let base = counterpart(used, run.baseline);
        let (share, chance) = base.map_or((0.0, 0.0), |b| (b.share_beyond, b.chance));
        let longer = used.share_beyond > (share + SLACK_SHARE).max(1.1 * share);
        if longer || (used.chance > chance + slack_chance && used.share_beyond > share) {
            out.push((run, used, base));
        }
    }
    out
}

/// The baseline's use of the same limit.
pub fn counterpart<'a>(used: &LimitUse, baseline: &'a CaseResult) -> Option<&'a LimitUse> {
    baseline.limits.iter().find(|l| l.signal == used.signal && l.kind == used.kind)
}

fn caveats(results: &Results, runs: &[Run<'_>], support: &SupportShare) -> Vec<String> {
    let mut out = Vec::new();
    if support.outside > OUTSIDE_TRY {
        out.push(format!("{} of the time lies outside what the log has seen", number::percent_text(support.outside)));
    }
    if runs.iter().any(|r| !r.case.perfect_forecast.is_empty()) {
        out.push("the controller was told the true future, which no real one is".into());
    }
    let at_horizon = scores_at_horizon(results);
    if let Some(worst) = at_horizon.iter().min_by(|a, b| a.skill.total_cmp(&b.skill)) {
        if worst.skill <= 0.0 {
            out.push(format!("the model forecasts {} no better than “no change” would", worst.signal));
        }
    }
    if at_horizon.iter().any(|s| s.coverage[2] < LEAST_COVERAGE) {
        out.push("the model’s 90 % intervals are too narrow".into());
    }
    if results.model.replay.iter().any(|r| !r.inside) {
        out.push("the twin does not reproduce the log’s own KPIs".into());
    }
    if results.model.responses.iter().any(|r| !r.agrees) {
        out.push("the model contradicts a known direction of effect".into());
    }
    let lost = failed(results).count();
    if lost > 0 {
        out.push(format!("{} did not run", crate::error::plural(lost, "scenario")));
    }
    if !results.quality.incomplete.is_empty() {
        out.push("the log is incomplete".into());
    }
    out
}

/// Hold-out scores of the chosen model at the longest horizon up to the control horizon, one per signal.
pub fn scores_at_horizon(results: &Results) -> Vec<&Score> {
    let m = &results.model;
    let chosen = || m.scores.iter().filter(|s| s.model == m.model && s.horizon <= m.horizon.max(1));
    let last = chosen().map(|s| s.horizon).max().unwrap_or(0);
    chosen().filter(|s| s.horizon == last).collect()
}
