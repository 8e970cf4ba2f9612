//! The section of a scenario: its question, its changes to the log, and the comparison of its cases.

use crate::error::Result;
use crate::scenario::results::{CaseResult, ControlUse, LimitKind, LimitUse, NoiseSource, Results, ScenarioResult};

use super::clock::Clock;
use super::colours::Colours;
use super::number::{self, PROSE, Quantity, allowed_range, with_unit};
use super::skipped::skipped;
use super::stores::end_contents;
use super::table::{Column, Table, cost_row, kpi_rows, objective_row};
use super::text::{Markup, capitalised, list, marked, readable, short, tag};
use super::trends::{ChartFigure, charts};
use super::{runs, saving};

/// Maximum numbers of charts per scenario and per report, which keep the report readable and small enough for an e-mail
/// (not tuned).
const MAX_CHARTS: usize = 8;
const MAX_CHARTS_IN_REPORT: usize = 160;

#[derive(Debug)]
pub struct Section {
    pub id: String,
    pub name: String,
    pub question: String,
    pub facts: Vec<String>,
    pub changes: Vec<Markup>,
    /// A sentence about the parts that are not simulated; empty if there are none.
    pub skipped: String,
    /// Exit code and error message if the scenario did not run.
    pub failure: Option<(u8, String)>,
    pub kpis: Table,
    pub cases: Vec<CaseFacts>,
    pub controls: Vec<ControlRow>,
    pub limits: Vec<LimitGroup>,
    /// Limits that no case violates.
    pub kept: Vec<(String, String)>,
    pub charts: Vec<ChartFigure>,
    pub charts_left: usize,
    pub zone: String,
    /// Best case and its saving, for the overview.
    pub best: Option<Best>,
    pub days: Option<Quantity>,
}

#[derive(Debug)]
pub struct Best {
    pub case: String,
    pub saving: Quantity,
    pub low: Quantity,
    pub high: Quantity,
    pub measurable: bool,
    /// `false` if there is only one simulation, which gives no interval.
    pub has_interval: bool,
    pub outside: Quantity,
}

#[derive(Debug)]
pub struct CaseFacts {
    pub name: String,
    pub colour: usize,
    pub controller: String,
    /// Signals whose true future was known to the controller.
    pub perfect_forecast: String,
    /// Remarks on the controller.
    pub notes: Vec<String>,
    pub inside: Quantity,
    pub edge: Quantity,
    pub outside: Quantity,
}

#[derive(Debug)]
pub struct ControlRow {
    pub signal: String,
    pub unit: String,
    pub allowed: String,
    pub cases: Vec<ControlCell>,
}

#[derive(Debug)]
pub struct ControlCell {
    pub case: String,
    pub colour: usize,
    pub mean: Quantity,
    pub min: Quantity,
    pub max: Quantity,
    pub moves: String,
}

#[derive(Debug)]
pub struct LimitGroup {
    pub signal: String,
    pub range: String,
    pub kind: LimitKind,
    pub cases: Vec<LimitCell>,
}

#[derive(Debug)]
pub struct LimitCell {
    pub case: String,
    /// `None` for the measured values.
    pub colour: Option<usize>,
    pub chance: Quantity,
    pub share: Quantity,
    pub worst: Option<Quantity>,
    pub unit: String,
    pub when: String,
}

/// The sections of all scenarios, with failed scenarios first.
pub fn sections(results: &Results, clock: &Clock, currency: &str, colours: &Colours<'_>) -> Result<Vec<Section>> {
    let limit = (MAX_CHARTS_IN_REPORT / results.scenarios.len().max(1)).clamp(3, MAX_CHARTS);
    let ordered = runs::failed(results).chain(runs::completed(results));
    ordered.enumerate().map(|(i, s)| section(results, i + 1, s, clock, currency, colours, limit)).collect()
}

fn section(
    results: &Results,
    n: usize,
    s: &ScenarioResult,
    clock: &Clock,
    currency: &str,
    colours: &Colours<'_>,
    limit: usize,
) -> Result<Section> {
    let id = format!("s{n}");
    let failed = s.exit_code != 0 || s.error.is_some() || s.cases.is_empty();
    let failure = failed.then(|| {
        (
            s.exit_code,
            s.error.clone().unwrap_or_else(|| "The scenario has neither results nor an error message.".to_owned()),
        )
    });
    let cases: &[CaseResult] = if failed { &[] } else { &s.cases };
    let (violated, kept) = limits(s, cases, clock, colours);
    let (charts, charts_left) = charts(&id, s, cases, clock, colours, limit)?;
    Ok(Section {
        name: readable(&s.name),
        question: s.question.replace("degC", "°C"),
        facts: facts(s, clock),
        skipped: skipped(&results.quality, s).map_or_else(String::new, |text| format!("{}.", capitalised(&text))),
        changes: s.changes.iter().map(|c| marked(&change(c))).collect(),
        failure,
        kpis: kpis(results, s, cases, currency, colours),
        cases: cases.iter().map(|c| case_facts(c, colours)).collect(),
        controls: controls(cases, colours),
        limits: violated,
        kept,
        charts,
        charts_left,
        zone: clock.zone_at(&s.start),
        best: best(results, cases),
        days: s.days_per_year.map(|d| number::plain(d, PROSE)),
        id,
    })
}

fn facts(s: &ScenarioResult, clock: &Clock) -> Vec<String> {
    let length = if s.hours >= 48.0 { (s.hours / 24.0, "days") } else { (s.hours, "hours") };
    let mut out = vec![
        format!(
            "Start: {} ({}). Length: {}",
            clock.moment(&s.start),
            clock.zone_at(&s.start),
            with_unit(&number::plain(length.0, PROSE).text, length.1)
        ),
        match (s.particles, s.noise) {
            (1, _) => "One simulation of each case".to_owned(),
            (n, NoiseSource::Drawn) => format!("{} simulated futures, the same for every case", number::count(n)),
            (n, NoiseSource::Recorded) => {
                format!("{} simulations of each case, which differ only in the ensemble member", number::count(n))
            }
        },
    ];
    if !s.noise_note.is_empty() {
        out.push(s.noise_note.replace('`', ""));
    }
    if let Some(d) = s.days_per_year {
        out.push(format!("The scenario represents {} days of the year", number::plain(d, PROSE).text));
    }
    out
}

fn kpis(results: &Results, s: &ScenarioResult, cases: &[CaseResult], currency: &str, colours: &Colours<'_>) -> Table {
    if cases.is_empty() {
        return Table::default();
    }
    let kpis: Vec<&[_]> = cases.iter().map(|c| c.kpis.as_slice()).collect();
    let mut rows = kpi_rows(&kpis, currency);
    let costs: Vec<_> = cases.iter().map(|c| (c.cash, c.cash_change)).collect();
    rows.extend(cost_row(results, &kpis, &costs));
    rows.push(objective_row(currency, cases.iter().map(|c| (c.objective, c.objective_change))));
    let column = |c: &CaseResult| Column { name: readable(&c.name), colour: Some(colours.get(&c.name)) };
    Table { columns: cases.iter().map(column).collect(), rows }.with_measured(&s.measured.kpis)
}

/// Formats a change such as `outdoor_temp + 6 K`, with the name of the signal as a tag.
fn change(text: &str) -> String {
    match text.split_once(' ') {
        Some((name, rest)) if !text.contains('`') => format!("{} {rest}", tag(name, 60)),
        _ => text.to_owned(),
    }
}

fn best(results: &Results, cases: &[CaseResult]) -> Option<Best> {
    let changed = cases.iter().filter(|c| c.objective_change.is_some());
    let gain = |c: &CaseResult| c.objective_change.map_or(f64::NEG_INFINITY, |d| -d.mean);
    let case = changed.max_by(|a, b| gain(a).total_cmp(&gain(b)))?;
    let d = saving::of_case(results, case)?;
    let i = number::within(d.mean, d.low, d.high, PROSE);
    Some(Best {
        case: readable(&case.name),
        saving: i.value,
        low: i.low,
        high: i.high,
        measurable: d.measurable,
        has_interval: d.low.is_finite(),
        outside: number::percent(case.support.outside),
    })
}

fn case_facts(c: &CaseResult, colours: &Colours<'_>) -> CaseFacts {
    let perfect: Vec<&str> = c.perfect_forecast.iter().map(String::as_str).collect();
    CaseFacts {
        name: readable(&c.name),
        colour: colours.get(&c.name),
        controller: c.controller.clone(),
        perfect_forecast: list(&perfect, 4),
        notes: c.notes.iter().cloned().chain(end_contents(c)).collect(),
        inside: number::percent(c.support.inside),
        edge: number::percent(c.support.edge),
        outside: number::percent(c.support.outside),
    }
}

fn controls(cases: &[CaseResult], colours: &Colours<'_>) -> Vec<ControlRow> {
    let Some(first) = cases.iter().find(|c| !c.controls.is_empty()) else { return Vec::new() };
    first.controls.iter().map(|u| control(u, cases, colours)).collect()
}

fn control(first: &ControlUse, cases: &[CaseResult], colours: &Colours<'_>) -> ControlRow {
    let uses: Vec<(&CaseResult, &ControlUse)> =
        cases.iter().filter_map(|c| c.controls.iter().find(|u| u.signal == first.signal).map(|u| (c, u))).collect();
    // Use the same number of decimals for the values of all cases.
    let range = first.low.zip(first.high).map(|(l, h)| h - l);
    let means: Vec<f64> = uses.iter().map(|(_, u)| u.mean).collect();
    let means = number::aligned_within(&means, PROSE, range);
    // Extremes are rounded separately from means: for an integer control, only the extremes are integers.
    let ends: Vec<f64> = uses.iter().flat_map(|(_, u)| [u.min, u.max]).collect();
    let ends = number::aligned_within(&ends, PROSE, range);
    let row = |(((c, u), mean), ends): ((&(&CaseResult, &ControlUse), &Quantity), &[Quantity])| ControlCell {
        case: readable(&c.name),
        colour: colours.get(&c.name),
        mean: mean.clone(),
        min: ends[0].clone(),
        max: ends[1].clone(),
        moves: number::count(u.moves),
    };
    ControlRow {
        signal: first.signal.clone(),
        unit: number::unit(&first.unit),
        allowed: allowed_range(first.low, first.high),
        cases: uses.iter().zip(&means).zip(ends.chunks_exact(2)).map(row).collect(),
    }
}

/// Returns the limits that at least one case violates, with an entry for every case, and the limits that no case
/// violates.
fn limits(
    s: &ScenarioResult,
    cases: &[CaseResult],
    clock: &Clock,
    colours: &Colours<'_>,
) -> (Vec<LimitGroup>, Vec<(String, String)>) {
    let Some(first) = cases.iter().find(|c| !c.limits.is_empty()) else { return (Vec::new(), Vec::new()) };
    let (violated, kept): (Vec<&LimitUse>, Vec<&LimitUse>) = first.limits.iter().partition(|l| {
        let uses = cases.iter().filter_map(|c| runs::counterpart(l, c)).chain(runs::measured(l, s));
        uses.into_iter().any(|u| u.chance > 0.0)
    });
    let range = |l: &LimitUse| with_unit(&allowed_range(l.low, l.high), &number::unit(&l.unit));
    let cell = |case: String, colour: Option<usize>, u: &LimitUse| LimitCell {
        case,
        colour,
        chance: number::percent(u.chance),
        share: number::percent(u.share_beyond),
        worst: (u.worst > 0.0).then(|| number::signed(u.worst, 2)),
        unit: number::unit(&u.unit),
        when: match &u.worst_time {
            Some(t) if u.worst > 0.0 => clock.within_run(t),
            _ => String::new(),
        },
    };
    let group =
        |l: &LimitUse| LimitGroup {
            signal: short(&l.signal, 60),
            range: range(l),
            kind: l.kind,
            cases: runs::measured(l, s)
                .map(|m| cell("measured".into(), None, m))
                .into_iter()
                .chain(cases.iter().filter_map(|c| {
                    Some(cell(readable(&c.name), Some(colours.get(&c.name)), runs::counterpart(l, c)?))
                }))
                .collect(),
        };
    let kept =
        kept.into_iter().map(|l| (short(&l.signal, 60), format!("{} ({})", range(l), l.kind.as_str()))).collect();
    (violated.into_iter().map(group).collect(), kept)
}
