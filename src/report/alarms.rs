//! What on page one needs looking at.

use crate::scenario::results::{Note, NoteKind, ReplayCheck, Results};

use super::front::broken_signals;
use super::number::{self, PROSE, with_unit};
use super::text::{list, readable, short};
use super::verdict::{self, Pick};

/// What a person must look at, the gravest first.
pub fn alarms(results: &Results, picks: &[Pick<'_>]) -> Vec<String> {
    let mut out = Vec::new();
    let lost: Vec<&str> = verdict::failed(results).map(|s| s.name.as_str()).collect();
    if !lost.is_empty() {
        out.push(format!("Did not run: {}.", list(&lost, 3)));
    }
    let gone: Vec<&str> = results.quality.incomplete.iter().map(String::as_str).collect();
    if !gone.is_empty() {
        out.push(format!("Too many values missing: {}.", list(&gone, 3)));
    }
    let against: Vec<String> = results
        .model
        .responses
        .iter()
        .filter(|r| !r.agrees)
        .map(|r| format!("{} on {}", short(&r.control, 30), short(&r.signal, 30)))
        .collect();
    if !against.is_empty() {
        let against: Vec<&str> = against.iter().map(String::as_str).collect();
        out.push(format!("Learned effect has the wrong sign: {}.", list(&against, 2)));
    }
    // The KPIs of the money often miss together: one of them says it.
    if let Some(r) = verdict::priced_replays(results).filter(|r| !r.inside).min_by_key(|r| r.within) {
        out.push(missed(r));
    }
    let narrow: Vec<&str> = verdict::scores_at_horizon(results)
        .into_iter()
        .filter(|s| s.coverage[2] < verdict::LEAST_COVERAGE)
        .map(|s| s.signal.as_str())
        .collect();
    if !narrow.is_empty() {
        out.push(format!("Forecast ranges are too narrow: {}. Take the saving’s range as wider.", list(&narrow, 2)));
    }
    if let Some(pick) = picks.first() {
        let mut told: Vec<&str> = Vec::new();
        for name in pick.runs.iter().flat_map(|r| &r.case.perfect_forecast) {
            if !told.contains(&name.as_str()) {
                told.push(name);
            }
        }
        if !told.is_empty() {
            out.push(format!(
                "“{}” was told the true future of {}: expect less.",
                short(&readable(pick.case), 40),
                list(&told, 3)
            ));
        }
        let more = |p: &&Pick<'_>| p.saving.measurable && p.saving.mean > pick.saving.mean && !p.broken.is_empty();
        if let Some(p) = picks[1..].iter().find(more) {
            let case = short(&readable(p.case), 40);
            out.push(format!("“{case}” would bring more but takes {} beyond limits.", broken_signals(p)));
        }
    }
    // Notes on models that were not chosen, and on intervals (see above), are no matter for page one.
    let aside = |n: &&Note| matches!(n.kind, NoteKind::Coverage | NoteKind::OtherContradiction);
    out.extend(results.model.notes.iter().filter(|n| !aside(n)).map(|n| short(&n.text, 160)));
    out
}

/// What a miss of the log's own figures means for whoever reads the saving.
fn missed(r: &ReplayCheck) -> String {
    let all = r.stretches.max(1);
    let unit = number::unit(&r.unit);
    let simulated = number::estimate(&r.simulated, PROSE);
    let measured = number::within(r.measured, r.simulated.p10, r.simulated.p90, PROSE).value;
    format!(
        "The twin’s range missed the log’s {} in {} of {} replays of {} (newest: {} measured, {} simulated). Trust the \
         direction more than the size.",
        short(&readable(&r.kpi), 40),
        all.saturating_sub(r.within),
        all,
        long(r.hours),
        measured.text,
        with_unit(&simulated.value.text, &unit)
    )
}

/// `24 h`, `14 days`.
pub fn long(hours: f64) -> String {
    match hours {
        h if h >= 48.0 => with_unit(&number::plain(h / 24.0, PROSE).text, "days"),
        h => with_unit(&number::plain(h, PROSE).text, "h"),
    }
}
