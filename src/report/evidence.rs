//! The section “Evidence” on the first page.

use crate::error::plural;
use crate::log::FindingClass;
use crate::scenario::results::{CaseResult, Results, ScenarioResult, Setting, SupportShare};
use crate::verify::TrackRecord;

use super::cases::RankedCase;
use super::caveats::{self, OUTSIDE_DONT, OUTSIDE_TRY};
use super::clock::Clock;
use super::display::Display;
use super::duration::{ahead, hours_text};
use super::experience::beyond;
use super::number::{self, PROSE};
use super::promises::summary;
use super::runs;
use super::text::{readable, short, tag};

/// The rows of the section “Evidence” as pairs (label, text).
pub fn evidence(results: &Results, pick: Option<&RankedCase<'_>>, clock: &Clock) -> Vec<(&'static str, String)> {
    let mut out = vec![("Basis", "simulation".to_owned())];
    let p = number::percent_text;
    let baseline = || runs::completed(results).next().and_then(|s| s.cases.first());
    let support = pick.map(|p| p.support).or_else(|| baseline().map(|c| c.support));
    if let Some(s) = support {
        // The listed signals are those of the scenario that spends the most time outside the logged range.
        let far = pick.and_then(|p| p.runs.iter().map(|r| r.case).max_by(|a, b| outside(a).total_cmp(&outside(b))));
        let beyond = far.or_else(baseline).map(beyond).filter(|text| !text.is_empty());
        let beyond = beyond.map_or_else(String::new, |text| format!(": {text}"));
        let shares = |s: &SupportShare| format!("{} inside, {} edge, {} outside", p(s.inside), p(s.edge), p(s.outside));
        out.push(("Logged range", format!("{}{beyond}", shares(&s))));
        // The first page has room for only a few words.
        let number = |share: f64| p(share).trim_end_matches(['%', '\u{a0}']).to_owned();
        // If the signs of the parts differ, their fractions of the sum have no meaning.
        let is_share = |s: &SupportShare| [s.inside, s.edge, s.outside].iter().all(|part| *part >= -0.005);
        let label = if results.cash.is_some() { "Money" } else { "Improvement" };
        out.extend(pick.and_then(|p| p.saving_support).filter(is_share).map(|money| {
            let [inside, edge, outside] = [money.inside, money.edge, money.outside].map(number);
            (label, format!("{inside}/{edge}/{outside}\u{a0}% inside/edge/outside"))
        }));
    }
    let heaviest = pick.and_then(|p| p.runs.iter().max_by(|a, b| a.weight.total_cmp(&b.weight)));
    let shown = match heaviest {
        Some(run) => Some((run.scenario, run.baseline)),
        None => runs::completed(results).find_map(|s| Some((s, s.cases.first()?))),
    };
    out.extend(shown.and_then(|(s, baseline)| measured(results, s, baseline)).map(|text| ("Measured", text)));
    let planned =
        pick.is_some_and(|p| p.runs.iter().flat_map(|r| &r.case.controls).any(|u| u.setting == Setting::Plan));
    out.extend(forecasts(results, support.map_or(0.0, |s| s.outside), planned));
    let shown = pick.and_then(|p| caveats::shown_hours(results, &p.runs));
    out.extend(shown.map(|hours| ("Effects", format!("slower than {} unknown", hours_text(hours)))));
    let m = &results.model;
    if !m.model.is_empty() {
        let model = short(&m.model, 30);
        let trained = format!("{model}, trained until {}", clock.date(&m.trained_until));
        out.push(("Model", if runs::has_only_equations(results) { model } else { trained }));
    }
    out.push(("Data", data(results)));
    if !results.promises.is_empty() {
        out.push(("Promises", summary(TrackRecord::new(&results.promises))));
    }
    out
}

/// A measured KPI is not comparable with a simulated one if more than this fraction of its values is missing (not
/// tuned).
const MANY_MISSING: f64 = 0.005;

/// The largest fraction of time that any input spends outside its logged range.
fn outside(case: &CaseResult) -> f64 {
    case.inputs.iter().map(|i| i.outside).fold(0.0, f64::max)
}

/// The measured value of the first KPI of the cost in a scenario, and the value of this KPI in the simulated
/// `baseline`.
fn measured(results: &Results, scenario: &ScenarioResult, baseline: &CaseResult) -> Option<String> {
    let paid = results.cash.as_ref().and_then(|c| c.kpis.first());
    let kpi = baseline.kpis.iter().find(|k| paid.is_none_or(|name| *name == k.name))?;
    let measured = scenario.measured.kpis.iter().find(|m| m.name == kpi.name)?;
    let Display { factor, unit } = Display::new(&kpi.unit, measured.value.abs());
    let value = number::plain(factor * measured.value, PROSE).text;
    let simulated = number::estimate(&kpi.value.in_unit(factor), PROSE).value.text;
    let changed = if scenario.measured.is_changed { " with its changes" } else { "" };
    let missing = match measured.missing > MANY_MISSING {
        true => format!(" without the {} of values that are missing", number::percent_text(measured.missing)),
        false => String::new(),
    };
    Some(format!(
        "{} {}{missing} (“{}”); baseline{changed}: {simulated}",
        tag(&kpi.name, 40),
        number::with_unit(&value, &unit),
        short(&readable(&scenario.name), 30)
    ))
}

/// The accuracy of the forecasts and the coverage of their intervals. If the case is planned from forecasts of the
/// disturbances, the errors of these forecasts also affect the result.
fn forecasts(results: &Results, outside: f64, planned: bool) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    let p = number::percent_text;
    let m = &results.model;
    let scores = caveats::scores_at_horizon(results);
    if let Some(h) = scores.first().map(|s| s.horizon) {
        let ahead = ahead(h, &m.step);
        let without_skill: Vec<String> =
            scores.iter().filter(|s| caveats::gain(s.skill).is_none()).map(|s| tag(&s.signal, 40)).collect();
        let lowest_skill =
            scores.iter().map(|s| s.skill).filter(|v| caveats::gain(*v).is_some()).fold(f64::INFINITY, f64::min);
        let in_operation = with_forecasts(results, h).filter(|_| planned);
        let grade = match in_operation.unwrap_or(f64::INFINITY).min(lowest_skill) {
            v if v.is_infinite() => "none",
            v if v >= 0.5 => "good",
            v if v >= 0.2 => "fair",
            _ => "weak",
        };
        let range = if outside > OUTSIDE_TRY { " within the logged range" } else { "" };
        let exceptions = match without_skill.as_slice() {
            [] => String::new(),
            [one] => format!(", none for {one}"),
            more => format!(" for {} of {} signals", scores.len() - more.len(), scores.len()),
        };
        out.push((
            "Forecasts",
            match lowest_skill.is_finite() {
                // The forecasts were tested on the log, so they say nothing about conditions outside it.
                _ if outside > OUTSIDE_DONT => "not tested outside the logged range".into(),
                true => {
                    let error = |skill: f64| format!("error² at least {} below “no change”, {ahead} ahead", p(skill));
                    match in_operation {
                        None => format!("{grade}{range}{exceptions}: {}", error(lowest_skill)),
                        Some(skill) if caveats::gain(skill).is_some() => format!(
                            "{grade}{range}{exceptions}: {} ({} with known inputs)",
                            error(skill),
                            p(lowest_skill)
                        ),
                        Some(_) => format!(
                            "{grade}{range}{exceptions}: no better than “no change”, {ahead} ahead ({} with known inputs)",
                            p(lowest_skill)
                        ),
                    }
                }
                false => format!("no skill: forecasts {ahead} ahead are no better than “no change”"),
            },
        ));
        // A signal that is forecast without error has no interval.
        let (low, high) = scores
            .iter()
            .filter(|s| s.rmse > 0.0)
            .map(|s| s.coverage[2])
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        if low.is_finite() && outside <= OUTSIDE_DONT {
            out.push(("90 % intervals", format!("cover {}", shares(low, high))));
        }
    }
    out
}

/// Considers the signals for which the chosen model has positive skill with the logged inputs, and returns their lowest
/// skill at horizon `h` with forecast inputs.
fn with_forecasts(results: &Results, h: usize) -> Option<f64> {
    let signals = caveats::scores_at_horizon(results).into_iter().filter(|s| caveats::gain(s.skill).is_some());
    signals.filter_map(|s| results.model.skill_with_forecasts(&s.signal, h)).min_by(f64::total_cmp)
}

/// Describes gaps and missing values in the log.
fn data(results: &Results) -> String {
    let q = &results.quality;
    // A gap in all signals splits the log into segments. Gaps in single signals are reported only if no gap affects all
    // signals.
    let gaps_of = |all_signals: bool| {
        q.findings
            .iter()
            .filter(|f| f.class == FindingClass::Gap && f.signal.is_empty() == all_signals)
            .map(|f| f.count)
            .sum::<usize>()
    };
    let seconds = |from: &str, to: &str| {
        let (from, to): (jiff::Timestamp, jiff::Timestamp) = (from.parse().ok()?, to.parse().ok()?);
        Some(to.duration_since(from).as_secs_f64())
    };
    let long = q.findings.iter().filter(|f| f.class == FindingClass::LongGap);
    let long: f64 = long.filter_map(|f| seconds(&f.first, &f.last)).sum();
    let share = seconds(&q.start, &q.end).filter(|span| long > 0.0 && *span > 0.0).map(|span| long / span);
    let gaps = match (gaps_of(true), gaps_of(false)) {
        (0, 0) => None,
        (0, n) => Some(format!("{} in single signals", plural(n, "gap", "gaps"))),
        (n, _) => {
            let share = share.map_or_else(String::new, |s| format!(" ({} of the period)", number::percent_text(s)));
            Some(format!("{}{share}", plural(n, "gap", "gaps")))
        }
    };
    let signals = q.signals.iter().filter(|s| s.coverage.is_finite());
    let worst = signals.min_by(|a, b| a.coverage.total_cmp(&b.coverage));
    let incomplete = worst.filter(|w| w.coverage < 0.9995);
    let incomplete =
        incomplete.map(|w| format!("{} {} complete", tag(&w.signal, 40), number::percent_text(w.coverage)));
    if !q.closed.is_empty() {
        // The gaps include the hours in which the plant does not run.
        let missing = share.map(|s| format!("{} of the period missing", number::percent_text(s)));
        let parts = [Some(format!("no data {}", q.closed)), missing, incomplete];
        return parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
    }
    match (gaps, worst.is_some(), incomplete) {
        (None, false, _) => "no gaps".to_owned(),
        (None, true, None) => "complete, no gaps".to_owned(),
        (None, true, Some(incomplete)) => format!("no gaps; {incomplete}"),
        (Some(gaps), false, _) => gaps,
        (Some(gaps), true, None) => format!("{gaps}, otherwise complete"),
        (Some(gaps), true, Some(incomplete)) if share.is_some() => format!("{gaps}, otherwise {incomplete}"),
        (Some(gaps), true, Some(incomplete)) => format!("{gaps}; {incomplete}"),
    }
}

/// `40–76 %`.
fn shares(low: f64, high: f64) -> String {
    let (low, high) = (number::percent_text(low), number::percent_text(high));
    match low.strip_suffix("\u{a0}%") {
        _ if low == high => high,
        Some(digits) if !low.starts_with('\u{2212}') => format!("{digits}–{high}"),
        _ => format!("{low} to {high}"),
    }
}
