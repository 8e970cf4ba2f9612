//! The verdict (do, try, unknown or don't) and the recommended case. The verdict depends only on
//! the results.
//!
//! The rules are:
//! - A case other than the baseline is a candidate if it spends at most half of the time outside
//!   the logged range, if its gain covers its cost, and if it violates no limit more often than the
//!   baseline. Additional violations of a soft limit in one scenario are tolerated if they last at
//!   most 1 % of the time and do not increase the total over all scenarios. A case is not a
//!   candidate if it exceeds a hard limit much further than the baseline, if it violates a limit on
//!   the total of a control, or if it costs more than the measured operation did in the same
//!   conditions. The candidate with the largest decrease in the objective is chosen.
//! - The decrease in the objective includes the value, according to the plans, of the content that the case leaves in
//!   stores. The saving does not include it.
//! - The answer is **try** for a case that is not measurably better than the baseline, but keeps a
//!   hard limit that the baseline violates.
//! - The answer is **don't** if there is no candidate, or if neither the saving nor the decrease in the objective is
//!   measurable.
//! - A twin without learned parts has only one simulated future. A decrease in the objective then counts as measurable,
//!   and the unknown error of the equations is a caveat.
//! - The answer is **unknown**, whatever the simulated saving, if the log does not identify the
//!   effect of a control, and the case moves this control further than it moved independently in
//!   the log. The answer is also **unknown** if a scenario ends before the changes of the case take
//!   effect, if the log contradicts the effect of a moved control on the cost and savings are not
//!   corrected, or if the case seems to save money by an effect that the logged moves of the
//!   control do not show. If the answer is **unknown**, page one shows no saving.
//! - If all KPIs in the saving are averages, such as mean values, the saving is the mean over the
//!   scenarios instead of the sum.
//! - The answer is **try** if there is a caveat ([`RankedCase::caveats`]), and **do** otherwise.

use crate::scenario::results::{AnnualResult, CaseResult, Difference, KpiKind, KpiResult, Results, SupportShare};

use super::cases::{Answer, RankedCase};
use super::caveats::{OUTSIDE_DONT, caveats, contradicted, unidentified, unproven};
use super::measured::BaselineExcess;
use super::number;
use super::runs::{CaseRun, completed, has_only_equations};
use super::saving::{self, Saving};
use super::selection::{alternatives, independent};
use super::stores::worth;
use super::violations::{excludes, kept_limit, violated_more};

/// All cases except the baseline, best first. The first page of the report shows the best-ranked case. The list is
/// empty if no case can be compared with a baseline.
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
        key(a).cmp(&key(b)).then(b.objective.mean.total_cmp(&a.objective.mean))
    });
    ranked
}

/// The names of the cases whose saving is unknown. For these cases, the log does not support the
/// differences from the baseline that the model predicts.
pub fn unknown_cases(results: &Results) -> Vec<&str> {
    rank(results).iter().filter(|p| p.answer == Answer::Unknown).map(|p| p.case).collect()
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
    let hours = runs.iter().map(|r| r.scenario.hours).sum::<f64>();
    let total = |is_average: bool, of: &dyn Fn(&CaseResult) -> Option<Difference>| {
        let savings = runs.iter().filter_map(|r| Some((of(r.case)?, r.scenario.hours)));
        sum(savings.map(|(saving, of_run)| if is_average { saving.scaled(of_run / hours) } else { saving }))
    };
    let priced = |k: &KpiResult| k.price.is_some_and(|p| p != 0.0);
    let paid = |k: &KpiResult| results.cash.as_ref().map_or(priced(k), |c| c.kpis.contains(&k.name));
    let is_average = are_averages(results, &paid);
    let objective = match annual {
        Some(a) => saving::decrease(&a.objective_change),
        None => total(are_averages(results, &priced), &|c| c.objective_change.as_ref().map(saving::decrease))?,
    };
    let are_sums = !are_averages(results, &priced);
    let times = |r: &CaseRun<'_>| if annual.is_some() { 24.0 * r.weight / r.scenario.hours } else { 1.0 };
    let stored: f64 = runs.iter().filter(|_| are_sums).map(|r| times(r) * worth(r.case)).sum();
    let saved = match (&results.cash, annual) {
        (None, _) => objective,
        (Some(_), Some(a)) => saving::of_year(results, a),
        (Some(_), None) => total(is_average, &|case| saving::of_case(results, case))?,
    };
    let support = mean_support(&runs);
    let (violated, tolerated): (Vec<_>, Vec<_>) =
        runs.iter().flat_map(|run| violated_more(*run)).partition(|(run, used)| excludes(*run, used, &runs));
    let mut pick = RankedCase {
        case: name,
        saving: Saving { value: saved, unit: saving::unit(results), per: period(annual, &runs, is_average) },
        objective: shifted(objective, stored),
        stored,
        economics: annual.and_then(|a| a.economics.as_ref()),
        annual,
        support,
        saving_support: saving_support(&runs, annual.is_some()),
        violated,
        tolerated,
        unidentified: unidentified(results, &runs),
        contradicted: contradicted(results, &runs),
        is_exact: has_only_equations(results) && runs.iter().all(|r| r.case.kpis.iter().all(|k| k.samples.len() == 1)),
        unseen_effect: runs.iter().find_map(|r| r.case.unseen_effect.as_deref()),
        missed_total: runs.iter().find_map(missed_total),
        baseline_excess: BaselineExcess::of(results, &runs),
        alternatives: alternatives(results),
        independent: independent(results, &runs),
        kept: runs.iter().find_map(|run| kept_limit(*run)),
        caveats: Vec::new(),
        answer: Answer::Dont,
        runs,
    };
    if !pick.violated.is_empty() || pick.missed_total.is_some() || support.outside > OUTSIDE_DONT {
        pick.kept = None;
    }
    pick.caveats = caveats(results, &pick);
    let bad = !pick.violated.is_empty()
        || pick.missed_total.is_some()
        || support.outside > OUTSIDE_DONT
        || pick.is_worse_than_measured()
        || !pick.is_better();
    let unproven = unproven(results, &pick.runs);
    if !bad && !pick.loses_money() {
        pick.contradicted.extend(unproven);
    }
    pick.answer = match (bad || pick.loses_money(), pick.caveats.is_empty()) {
        _ if !pick.unidentified.is_empty() || !pick.contradicted.is_empty() || pick.unseen_effect.is_some() => {
            Answer::Unknown
        }
        (true, _) if pick.costs_for_a_limit() => Answer::Try,
        (true, _) => Answer::Dont,
        (false, false) => Answer::Try,
        (false, true) => Answer::Do,
    };
    Some(pick)
}

/// The decrease in the objective, increased by the value `stored` of the content that the case leaves in stores.
fn shifted(objective: Difference, stored: f64) -> Difference {
    if stored == 0.0 {
        return objective;
    }
    let Difference { mean, low, high, measurable } = objective;
    let (low, high) = (low + stored, high + stored);
    let measurable = if low.is_nan() { measurable } else { low > 0.0 || high < 0.0 };
    Difference { mean: mean + stored, low, high, measurable }
}

/// The sum of the savings of several scenarios. The ends of the intervals are added, as if the errors were fully
/// correlated, which is conservative.
fn sum(savings: impl Iterator<Item = Difference>) -> Option<Difference> {
    let total = savings.reduce(|a, b| Difference {
        mean: a.mean + b.mean,
        low: a.low + b.low,
        high: a.high + b.high,
        measurable: false,
    })?;
    Some(Difference { measurable: total.low > 0.0 || total.high < 0.0, ..total })
}

/// The first limit on a total that the case violates more often than the baseline.
fn missed_total<'a>(run: &CaseRun<'a>) -> Option<&'a str> {
    let before = |limit: &str| run.baseline.missed_totals.iter().find(|m| m.limit == limit).map_or(0.0, |m| m.share);
    run.case.missed_totals.iter().find(|m| m.share > before(&m.limit)).map(|m| m.text.as_str())
}

/// Whether all KPIs that `counts` selects are averages over the period, which cannot be added up.
fn are_averages(results: &Results, counts: &dyn Fn(&KpiResult) -> bool) -> bool {
    let case = completed(results).find_map(|s| s.cases.first());
    let kinds: Vec<KpiKind> = case.iter().flat_map(|c| &c.kpis).filter(|k| counts(k)).map(|k| k.kind).collect();
    !kinds.is_empty() && kinds.iter().all(|k| k.is_average())
}

/// The period of a saving, such as `a year`.
fn period(annual: Option<&AnnualResult>, runs: &[CaseRun<'_>], is_average: bool) -> String {
    let year = annual.is_some_and(|a| (a.days - 365.0).abs() < 1.5);
    let span = match annual {
        Some(_) if year => "year".to_owned(),
        Some(a) => format!("{} days of the year", number::plain(a.days, number::PROSE).text),
        None => {
            let hours = runs.iter().map(|r| r.scenario.hours).sum::<f64>();
            match hours < 48.0 {
                true => format!("{} simulated hours", number::plain(hours, number::PROSE).text),
                false => format!("{} simulated days", number::plain(hours / 24.0, number::PROSE).text),
            }
        }
    };
    match (is_average, annual) {
        (true, _) if year => "on average over the year".into(),
        (true, _) => format!("on average over {span}"),
        (false, Some(_)) if year => "a year".into(),
        (false, Some(_)) => format!("over {span}"),
        (false, None) => format!("in {span}"),
    }
}

fn mean_support(runs: &[CaseRun<'_>]) -> SupportShare {
    let total: f64 = runs.iter().map(|r| r.weight).sum();
    let weight = |r: &CaseRun<'_>| if total > 0.0 { r.weight / total } else { 1.0 / runs.len() as f64 };
    runs.iter().fold(SupportShare::default(), |sum, r| sum.plus(r.case.support.scaled(weight(r))))
}

/// The fractions of the saving inside, at the edge of, and outside the logged range. If `weighted`
/// is true, each scenario is weighted by the number of days that it represents.
fn saving_support(runs: &[CaseRun<'_>], weighted: bool) -> Option<SupportShare> {
    let times = |r: &CaseRun<'_>| if weighted { r.weight / r.scenario.hours } else { 1.0 };
    let saved: Option<Vec<SupportShare>> =
        runs.iter().map(|r| r.case.saving_support.map(|s| s.scaled(times(r)))).collect();
    let sum = saved?.into_iter().fold(SupportShare::default(), SupportShare::plus);
    (sum.total() > 0.0).then(|| sum.scaled(1.0 / sum.total()))
}
