//! The section “Needs attention” on the first page.

use crate::scenario::results::{ControlEffect, Note, NoteKind, ReplayCheck, Results, ScenarioResult};

use super::cases::{Answer, RankedCase};
use super::duration::hours_text;
use super::losing;
use super::number::{self, PROSE, with_unit};
use super::saving::Words;
use super::skipped::skipped;
use super::stores::end_contents;
use super::text::{capitalised, lead, list, readable, short, tag};
use super::{caveats, runs};

/// Maximum number of characters of all notes on the model (not tuned).
const LONGEST: usize = 640;

/// Sentences for the section “Needs attention”, most serious first.
pub fn alarms(results: &Results, ranked: &[RankedCase<'_>], words: Words) -> Vec<String> {
    let mut out = Vec::new();
    out.extend(losing::sentences(ranked, words));
    // If the answer is “try”, this caveat is already a reason for it.
    let is_reason = ranked.first().is_some_and(|p| p.answer == Answer::Try);
    let caveat = runs::completed(results).find_map(|s| Some((s, s.baseline_caveat.as_ref()?))).filter(|_| !is_reason);
    out.extend(caveat.map(|(s, caveat)| {
        let name = short(&readable(&s.name), 30);
        format!("In “{name}”, {}. Differences from the baseline may be too large or too small.", short(caveat, 160))
    }));
    let failed: Vec<&str> = runs::failed(results).map(|s| s.name.as_str()).collect();
    if !failed.is_empty() {
        out.push(format!("Did not run: {}.", list(&failed, 3)));
    }
    let weighted = |s: &&ScenarioResult| s.days_per_year.is_some();
    let unweighted: Vec<&str> = runs::completed(results).filter(|s| !weighted(s)).map(|s| s.name.as_str()).collect();
    if runs::completed(results).any(|s| weighted(&s)) && !unweighted.is_empty() {
        out.push(format!("Annual figures leave out {}, because days_per_year is missing there.", list(&unweighted, 3)));
    }
    if results.quality.has_relative_times() {
        out.push("The times of the log are not dates. Days are numbered from an unknown start, and weekdays and seasons are unknown.".into());
    }
    let left_out = |s: &&ScenarioResult| s.span_hours() - s.hours;
    let longest = runs::completed(results).max_by(|a, b| left_out(a).total_cmp(&left_out(b)));
    out.extend(longest.and_then(|s| {
        let text = skipped(&results.quality, s)?;
        Some(format!("In “{}”, {text}.", short(&readable(&s.name), 30)))
    }));
    let incomplete: Vec<&str> = results.quality.incomplete.iter().map(String::as_str).collect();
    if !incomplete.is_empty() {
        out.push(format!("Too many missing values: {}.", list(&incomplete, 3)));
    }
    let contradicted: Vec<String> = results
        .model
        .responses
        .iter()
        .filter(|r| !r.agrees)
        .map(|r| format!("{} on {}", short(&r.control, 30), short(&r.signal, 30)))
        .collect();
    if !contradicted.is_empty() {
        let contradicted: Vec<&str> = contradicted.iter().map(String::as_str).collect();
        out.push(format!("The learned effect contradicts the known effect: {}.", list(&contradicted, 2)));
    }
    // The replay errors of priced KPIs are usually correlated, so only the worst KPI is reported.
    if let Some(r) = caveats::priced_replays(results).filter(|r| !r.inside).min_by_key(|r| r.within) {
        out.push(not_reproduced(r, !ranked.is_empty()));
    }
    let narrow: Vec<&str> = caveats::scores_at_horizon(results)
        .into_iter()
        .filter(|s| s.coverage[2] < caveats::MIN_COVERAGE)
        .map(|s| s.signal.as_str())
        .collect();
    if !narrow.is_empty() {
        let what = match ranked.is_empty() {
            true => "Forecasts are more uncertain than their intervals suggest.",
            false => "The saving is more uncertain than its interval suggests.",
        };
        out.push(format!("Forecast intervals are too narrow: {}. {what}", list(&narrow, 2)));
    }
    if let Some(pick) = ranked.first() {
        let mut perfect: Vec<&str> = Vec::new();
        for name in pick.runs.iter().flat_map(|r| &r.case.perfect_forecast) {
            if !perfect.contains(&name.as_str()) {
                perfect.push(name);
            }
        }
        if !perfect.is_empty() {
            out.push(format!(
                "“{}” used true future values of {}. Expect a smaller saving.",
                short(&readable(pick.case), 40),
                list(&perfect, 3)
            ));
        }
    }
    if let Some(pick) = ranked.first()
        && let Some((run, text)) = pick.runs.iter().find_map(|r| Some((r, end_contents(r.case)?)))
    {
        out.push(format!(
            "In “{}”, “{}” {text}.",
            short(&readable(&run.scenario.name), 30),
            short(&readable(pick.case), 40)
        ));
    }
    // Omits notes on models that were not chosen, and notes on how the chosen model was fitted. Notes on coverage are
    // omitted because a separate sentence reports intervals that are too narrow. Notes on effects are omitted because
    // this function reports effects in its own words.
    let omitted = |n: &&Note| {
        use NoteKind as K;
        matches!(n.kind, K::Coverage | K::OtherContradiction | K::Outliers | K::Effect | K::Independent | K::Fit)
    };
    out.extend(results.model.effects.iter().filter(|e| !e.agrees()).take(2).map(contradicted_effect));
    let notes: Vec<&Note> = results.model.notes.iter().filter(|n| !omitted(n)).collect();
    // the fewer items there are, the longer each may be
    let limit = LONGEST / (out.len() + notes.len()).clamp(1, 4);
    out.extend(notes.iter().map(|n| capitalised(&lead(&n.text, limit))));
    out
}

/// Describes an effect of the model that the log contradicts.
fn contradicted_effect(e: &ControlEffect) -> String {
    let (log, half) = (e.model + e.error, e.half_width());
    let i = number::within(log, log - half, log + half, PROSE);
    format!(
        "In the log, {} changes {} by {} ({} to {}) on average over {}, but the model predicts {}. Savings are {}.",
        tag(&e.control, 40),
        tag(&e.signal, 40),
        with_unit(&i.value.text, &number::unit(&e.unit)),
        i.low.text,
        i.high.text,
        hours_text(e.hours),
        number::plain(e.model, 2).text,
        if e.accumulation.is_some() { "corrected for this" } else { "not corrected" },
    )
}

/// Describes a KPI that the twin does not reproduce when it replays the log. `compares` is true if the report states
/// the saving of a case.
fn not_reproduced(r: &ReplayCheck, compares: bool) -> String {
    let all = r.segments.max(1);
    let unit = number::unit(&r.unit);
    let simulated = number::estimate(&r.simulated, PROSE);
    let measured = number::within(r.measured, r.simulated.p10, r.simulated.p90, PROSE).value;
    format!(
        "The twin does not reproduce the logged {} in {} of {} replays of {} (newest: {} measured, \
         {} simulated). {}",
        short(&readable(&r.kpi), 40),
        all.saturating_sub(r.within),
        all,
        hours_text(r.hours),
        measured.text,
        with_unit(&simulated.value.text, &unit),
        match compares {
            true => "Trust the sign of the saving more than its size.",
            false => "Do not rely on simulated values of this KPI.",
        }
    )
}
