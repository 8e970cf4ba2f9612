//! The reasons for caution that change the answer from “do” to “try”, and the reasons that exclude a case.

use crate::scenario::results::{
    ControlEffect, ControlIdentification, Difference, EffectContrast, IdentificationLevel, KpiResult, NoteKind,
    ReplayCheck, Results, Score,
};

use super::cases::RankedCase;
use super::clock::Clock;
use super::duration::hours_text;
use super::number;
use super::runs::{CaseRun, completed, failed};
use super::saving::{self, Saving, Words};
use super::selection::{from_baseline, least_low_end};
use super::text::{list, readable, short, tag};

/// A case gets a caveat if more than this fraction of its saving is due to a baseline that costs more than the measured
/// operation did (not tuned).
const BASELINE_EXCESS: f64 = 0.3;
/// A case gets a caveat if a scenario that is shorter than [`SHORT_SCENARIO_HOURS`] represents more than this number of
/// days per year (not tuned).
const MOST_OF_YEAR: f64 = 300.0;
const SHORT_SCENARIO_HOURS: f64 = 24.0 * 45.0;
/// A case that spends more than this fraction of the time outside the logged range gets a caveat (not tuned).
pub const OUTSIDE_TRY: f64 = 0.05;
/// A case that spends more than this fraction of the time outside the logged range is excluded (not tuned).
pub const OUTSIDE_DONT: f64 = 0.5;
/// A case needs an effect that is known for longer than the control horizon if it lasts longer than this number of
/// control horizons (not tuned).
const SHOWN_WINDOWS: f64 = 3.0;
/// The log refutes an effect in the model if the effect in the log may be zero, and that in the model exceeds this
/// number of half widths of the interval (not tuned).
const UNPROVEN: f64 = 3.0;
/// A 90 % interval counts as too narrow if its measured coverage at the control horizon is below this value (not
/// tuned).
pub const MIN_COVERAGE: f64 = 0.8;

/// Caveats of a case as clauses to be formatted by [`marked`](super::text::marked), most serious first.
pub fn caveats(results: &Results, pick: &RankedCase<'_>) -> Vec<String> {
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
        let total: f64 = runs.iter().map(|r| r.weight).sum::<f64>().max(f64::MIN_POSITIVE);
        let before = runs.iter().map(|r| r.weight / total * r.baseline.support.outside).sum::<f64>();
        let before = match before > OUTSIDE_TRY {
            true => format!(" (baseline: {})", number::percent_text(before)),
            false => String::new(),
        };
        out.push(format!("{share} of the time is spent outside the logged range{far}{before}"));
    }
    if let Some((run, caveat)) = runs.iter().find_map(|r| Some((r, r.scenario.baseline_caveat.as_ref()?))) {
        out.push(format!("in “{}”, {}", short(&readable(&run.scenario.name), 30), short(caveat, 160)));
    }
    if let Some(excess) = pick.baseline_excess.filter(|e| e.share > BASELINE_EXCESS) {
        out.push(format!(
            "the baseline costs more than the measured operation did; the difference is {} of the saving",
            number::percent_text(excess.share.min(1.0))
        ));
    }
    out.extend(season(results, pick));
    out.extend(one_season(results, runs));
    let saved = &pick.saving.value;
    if saved.mean <= 0.0 && pick.costs_for_a_limit() {
        // The headline states the cost.
    } else if saved.mean <= 0.0 {
        out.push("it costs money and improves only what the objective penalises".into());
    } else if pick.is_exact {
        out.push("the uncertainty is unknown, because the equations are assumed to be exact".into());
    } else if saved.low.is_nan() || saved.low < least_low_end(1, pick.independent) * saved.mean {
        out.push("the saving is hardly larger than its uncertainty".into());
    } else if saved.low < least_low_end(pick.alternatives, pick.independent) * saved.mean {
        out.push(format!("it is the best of {} alternatives, so its saving may be due to chance", pick.alternatives));
    }
    let is_weak = |i: &&ControlIdentification| i.level == IdentificationLevel::Weak && moves(runs, i);
    if let Some(weak) = results.model.identification.iter().find(is_weak) {
        out.push(format!("the log identifies the effect of {} only weakly", tag(&weak.control, 40)));
    }
    let is_idle = |i: &&ControlIdentification| i.idle_since.is_some() && moves(runs, i);
    if let Some(idle) = results.model.identification.iter().find(is_idle) {
        let (control, since) = (tag(&idle.control, 40), idle.idle_since.as_deref().unwrap_or_default());
        out.push(format!(
            "{control} has not moved since {since}, so the log does not show whether its effect is still the same"
        ));
    }
    out.extend(unsettled(results, runs).or_else(|| unshown(results, runs)));
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
    if let Some(worst) = worst.filter(|s| gain(s.skill).is_none()) {
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
    if results.model.notes.iter().any(|n| n.kind == NoteKind::Outdated) {
        out.push("the plant has probably changed since the model was fitted".into());
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

/// A scenario of a few weeks that represents most of a year, in which other seasons may differ.
fn one_season(results: &Results, runs: &[CaseRun<'_>]) -> Option<String> {
    let days = |r: &CaseRun<'_>| r.scenario.days_per_year.unwrap_or(0.0);
    let run = runs.iter().find(|r| days(r) > MOST_OF_YEAR && r.scenario.span_hours() < SHORT_SCENARIO_HOURS)?;
    let start = Clock::new(&results.timezone).local(&run.scenario.start)?;
    if results.quality.has_relative_times() {
        return None;
    }
    let month = start.strftime("%B").to_string();
    Some(format!(
        "{} in {month} represent {} days of the year",
        hours_text(run.scenario.span_hours()),
        number::plain(days(run), number::PROSE).text
    ))
}

/// The scenarios in which the case costs measurably more than the baseline, if the scenarios represent parts of a year
/// and the case saves money in at least one of them.
fn season(results: &Results, pick: &RankedCase<'_>) -> Option<String> {
    let loss = |run: &CaseRun<'_>| {
        let saved = saving::of_case(results, run.case)?;
        (saved.measurable && saved.mean < 0.0).then_some(saved)
    };
    let losses: Vec<(String, Difference)> = pick
        .runs
        .iter()
        .filter_map(|run| Some((format!("“{}”", short(&readable(&run.scenario.name), 30)), loss(run)?)))
        .collect();
    let (_, saved) = losses.first()?;
    if pick.annual.is_none() || losses.len() == pick.runs.len() {
        return None;
    }
    let names: Vec<&str> = losses.iter().map(|(name, _)| name.as_str()).collect();
    let lost = Saving { value: *saved, unit: saving::unit(results), per: String::new() };
    let lost = match losses.len() {
        1 => Words::new(results).amount(&lost, "").trim_end().to_owned(),
        _ => "costs more than the baseline".to_owned(),
    };
    Some(format!("in {} it {lost}, so do not run it then", list(&names, 3)))
}

/// Hold-out scores of the chosen model, one per signal, at the longest scored horizon that does not exceed the control
/// horizon.
pub fn scores_at_horizon(results: &Results) -> Vec<&Score> {
    let m = &results.model;
    let chosen =
        || m.scores.iter().filter(|s| s.model == m.model && s.skill.is_finite() && s.horizon <= m.horizon.max(1));
    let last = chosen().map(|s| s.horizon).max().unwrap_or(0);
    chosen().filter(|s| s.horizon == last).collect()
}

/// The fraction by which the error of a forecast with this skill is lower than that of “no change”; `None` if it is less
/// than 0.5 %.
pub fn gain(skill: f64) -> Option<f64> {
    Some(1.0 - (1.0 - skill).max(0.0).sqrt()).filter(|gain| *gain >= 0.005)
}

/// The controls that a case moves although their effects cannot be identified from the log. A control counts as moved
/// only if it differs from the baseline by more than its independent movement in the log.
pub fn unidentified<'a>(results: &'a Results, runs: &[CaseRun<'a>]) -> Vec<&'a ControlIdentification> {
    let of_level = |level| results.model.identification.iter().filter(move |i| i.level == level);
    of_level(IdentificationLevel::NotIdentified).filter(|i| moves(runs, i)).collect()
}

/// Effects of the moved controls on signals in the cost or the objective for which a saving cannot be computed: effects
/// that differ between two parts of the log, and effects that the log contradicts if savings are not corrected for the
/// difference.
pub fn contradicted<'a>(results: &'a Results, runs: &[CaseRun<'a>]) -> Vec<&'a ControlEffect> {
    moved_effects(results, runs)
        .filter(|e| e.contrast.as_ref().is_some_and(EffectContrast::is_decisive) || e.is_contradicted())
        .collect()
}

/// Effects of the moved controls on signals in the cost or the objective.
fn moved_effects<'a>(results: &'a Results, runs: &[CaseRun<'a>]) -> impl Iterator<Item = &'a ControlEffect> {
    let kpis = || runs.iter().flat_map(|r| &r.case.kpis).filter(|k| is_valued(results, k));
    let moved = |control: &str| {
        runs.iter().flat_map(|r| &r.case.controls).any(|c| c.signal == control && from_baseline(c) > 0.0)
    };
    let effects = results.model.effects.iter();
    effects.filter(move |e| moved(&e.control) && kpis().any(|k| reads(k, &e.signal)))
}

/// A clause about a control whose effect on the cost or the objective long after a move differs from that in the model.
fn unsettled(results: &Results, runs: &[CaseRun<'_>]) -> Option<String> {
    let (e, hours) = moved_effects(results, runs).find_map(|e| Some((e, e.contrast.as_ref()?.after_hours?)))?;
    let [in_model, in_log] = e.contrast.as_ref()?.effects;
    let size = if in_log.abs() > in_model.abs() { "larger" } else { "smaller" };
    Some(format!(
        "later than {} after a move, the effect of {} on {} is {size} in the log than in the model",
        hours_text(hours),
        tag(&e.control, 40),
        tag(&e.signal, 40)
    ))
}

/// A clause about an effect on the cost or the objective that the log shows only within the control horizon, if the
/// case lasts longer.
fn unshown(results: &Results, runs: &[CaseRun<'_>]) -> Option<String> {
    let lasts = |e: &&ControlEffect| runs.iter().any(|r| r.scenario.hours > SHOWN_WINDOWS * e.hours);
    let is_unshown = |e: &&ControlEffect| {
        let is_known = e.accumulation.is_some() && (e.model + e.error).abs() > e.half_width();
        is_known && e.shown_hours.is_some_and(|shown| shown <= e.hours)
    };
    let e = moved_effects(results, runs).filter(lasts).find(is_unshown)?;
    Some(format!(
        "the log does not show whether the effect of {} on {} lasts longer than {}",
        tag(&e.control, 40),
        tag(&e.signal, 40),
        hours_text(e.hours)
    ))
}

/// The time after a move up to which the log shows the effects of the moved controls on the cost or the objective, if a
/// scenario is longer.
pub fn shown_hours(results: &Results, runs: &[CaseRun<'_>]) -> Option<f64> {
    let shown = moved_effects(results, runs).filter_map(|e| e.shown_hours).min_by(f64::total_cmp)?;
    runs.iter().any(|r| r.scenario.hours > shown).then_some(shown)
}

/// An effect of a moved control on the cost or the objective that is in the model, although the moves of the control
/// show no such effect.
pub fn unproven<'a>(results: &'a Results, runs: &[CaseRun<'a>]) -> Option<&'a ControlEffect> {
    moved_effects(results, runs).find(|e| {
        let half = e.half_width();
        !e.agrees() && (e.model + e.error).abs() <= half && e.model.abs() > UNPROVEN * half
    })
}

/// Whether the KPI reads the signal, directly or through derived signals.
fn reads(kpi: &KpiResult, signal: &String) -> bool {
    kpi.signals.contains(signal) || kpi.sources.contains(signal)
}

/// Whether the case moves a control further from the baseline than the control moved independently in the log.
fn moves(runs: &[CaseRun<'_>], control: &ControlIdentification) -> bool {
    runs.iter().flat_map(|r| &r.case.controls).filter(|c| c.signal == control.control).any(|c| {
        let difference = from_baseline(c);
        let rounding = 1e-6 * c.mean.abs().max(c.baseline_mean.abs());
        difference > control.own_movement.max(rounding)
    })
}

/// Whether the KPI has a price or contributes to the benefit.
fn is_valued(results: &Results, kpi: &KpiResult) -> bool {
    let is_paid = results.cash.as_ref().is_some_and(|c| c.kpis.contains(&kpi.name));
    is_paid || kpi.price.is_some_and(|p| p != 0.0)
}

/// Replay checks of the KPIs that have a price or contribute to the benefit.
pub fn priced_replays(results: &Results) -> impl Iterator<Item = &ReplayCheck> {
    let priced: Vec<&str> = completed(results)
        .take(1)
        .flat_map(|s| s.cases.iter().take(1))
        .flat_map(|c| &c.kpis)
        .filter(|k| is_valued(results, k))
        .map(|k| k.name.as_str())
        .collect();
    results.model.replay.iter().filter(move |r| priced.contains(&r.kpi.as_str()))
}
