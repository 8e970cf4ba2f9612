//! The section of a scenario: its question, its changes to the log, and the comparison of its cases.

use crate::error::Result;
use crate::scenario::results::{
    CaseResult, ControlUse, LimitKind, LimitUse, OptimismCheck, Results, ScenarioResult, Trend,
};
use crate::schema::Role;

use super::chart::{self, Band, Limit, TrendChart};
use super::clock::Clock;
use super::number::{self, PROSE, Quantity, allowed_range, with_unit};
use super::table::{Cell, Change, Column, Row, Table, kpi_rows};
use super::text::{Markup, list, marked, readable, short, tag};
use super::verdict::{self, Pick};

/// Most charts per scenario and per report, so that the report stays readable and small enough for a mail (guess).
const MOST_CHARTS: usize = 8;
const MOST_CHARTS_IN_ALL: usize = 160;
/// Rows of the data table of a chart.
const CHART_ROWS: usize = 8;

#[derive(Debug)]
pub struct Section {
    pub id: String,
    pub name: String,
    pub question: String,
    pub facts: Vec<String>,
    pub changes: Vec<Markup>,
    /// (exit code, message) if the scenario did not run.
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
    pub outside: Quantity,
}

#[derive(Debug)]
pub struct CaseFacts {
    pub name: String,
    pub colour: usize,
    pub controller: String,
    /// Signals whose true future the controller received.
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
    pub colour: usize,
    pub chance: Quantity,
    pub share: Quantity,
    pub worst: Option<Quantity>,
    pub unit: String,
    pub when: String,
}

/// A chart and its data.
#[derive(Debug)]
pub struct ChartFigure {
    pub signal: String,
    pub unit: String,
    pub role: &'static str,
    /// Limits outside the chart.
    pub beyond: String,
    pub svg: String,
    pub heads: Vec<String>,
    pub rows: Vec<(String, Vec<String>)>,
}

/// Sections of all scenarios; failed scenarios come first.
pub fn sections(results: &Results, clock: &Clock, currency: &str, colours: &Colours<'_>) -> Result<Vec<Section>> {
    let most = (MOST_CHARTS_IN_ALL / results.scenarios.len().max(1)).clamp(3, MOST_CHARTS);
    let ordered = verdict::failed(results).chain(verdict::ran(results));
    ordered.enumerate().map(|(i, s)| section(i + 1, s, clock, currency, colours, most)).collect()
}

/// The palette entry of every case, the same in all scenarios.
#[derive(Debug)]
pub struct Colours<'a>(Vec<&'a str>);

impl<'a> Colours<'a> {
    /// The order is: the baseline, the case of page one, the other cases.
    pub fn new(results: &'a Results, picks: &[Pick<'a>]) -> Self {
        let baseline = verdict::ran(results).filter_map(|s| s.cases.first()).map(|c| c.name.as_str()).take(1);
        let others = verdict::ran(results).flat_map(|s| s.cases.iter().skip(1)).map(|c| c.name.as_str());
        let mut names: Vec<&str> = Vec::new();
        for name in baseline.chain(picks.first().map(|p| p.case)).chain(others) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Self(names)
    }

    pub fn get(&self, name: &str) -> usize {
        chart::colour(self.0.iter().position(|n| *n == name).unwrap_or(0))
    }
}

fn section(
    n: usize,
    s: &ScenarioResult,
    clock: &Clock,
    currency: &str,
    colours: &Colours<'_>,
    most: usize,
) -> Result<Section> {
    let id = format!("s{n}");
    let failed = s.exit_code != 0 || s.error.is_some() || s.cases.is_empty();
    let failure = failed.then(|| {
        (s.exit_code, s.error.clone().unwrap_or_else(|| "There are no results and no error message.".to_owned()))
    });
    let cases: &[CaseResult] = if failed { &[] } else { &s.cases };
    let (violated, kept) = limits(cases, clock, colours);
    let (charts, charts_left) = charts(&id, s, cases, clock, colours, most)?;
    Ok(Section {
        name: readable(&s.name),
        question: s.question.replace("degC", "°C"),
        facts: facts(s, clock),
        changes: s.changes.iter().map(|c| marked(&change(c))).collect(),
        failure,
        kpis: kpis(cases, currency, colours),
        cases: cases.iter().map(|c| case_facts(c, colours)).collect(),
        controls: controls(cases, colours),
        limits: violated,
        kept,
        charts,
        charts_left,
        zone: clock.zone_at(&s.start),
        best: best(cases),
        days: s.days_per_year.map(|d| number::plain(d, PROSE)),
        id,
    })
}

fn facts(s: &ScenarioResult, clock: &Clock) -> Vec<String> {
    let length = if s.hours >= 48.0 { (s.hours / 24.0, "days") } else { (s.hours, "hours") };
    let mut out = vec![
        format!(
            "From {} ({}), {}",
            clock.moment(&s.start),
            clock.zone_at(&s.start),
            with_unit(&number::plain(length.0, PROSE).text, length.1)
        ),
        match s.particles {
            1 => "One simulated future".to_owned(),
            n => format!("{} simulated futures, the same for every case", number::count(n)),
        },
    ];
    if let Some(d) = s.days_per_year {
        out.push(format!("Represents {} days of the year", number::plain(d, PROSE).text));
    }
    out
}

fn columns(cases: &[CaseResult], colours: &Colours<'_>) -> Vec<Column> {
    cases.iter().map(|c| Column { name: readable(&c.name), colour: colours.get(&c.name) }).collect()
}

fn kpis(cases: &[CaseResult], currency: &str, colours: &Colours<'_>) -> Table {
    if cases.is_empty() {
        return Table::default();
    }
    let kpis: Vec<&[_]> = cases.iter().map(|c| c.kpis.as_slice()).collect();
    let mut rows = kpi_rows(&kpis, currency);
    rows.push(Row {
        name: "objective".into(),
        unit: number::unit(currency),
        priced: "sum of price × KPI".into(),
        total: true,
        cells: cases
            .iter()
            .map(|c| Cell::estimate(&c.objective, c.objective_change.as_ref().map(|d| Change::new(d, Some(1.0)))))
            .collect(),
    });
    Table { columns: columns(cases, colours), rows }
}

/// `outdoor_temp + 6 K` with its name as a tag.
fn change(text: &str) -> String {
    match text.split_once(' ') {
        Some((name, rest)) if !text.contains('`') => format!("{} {rest}", tag(name, 60)),
        _ => text.to_owned(),
    }
}

fn best(cases: &[CaseResult]) -> Option<Best> {
    let changed = cases.iter().filter_map(|c| c.objective_change.as_ref().map(|d| (c, verdict::saving(d))));
    let (case, d) = changed.max_by(|a, b| a.1.mean.total_cmp(&b.1.mean))?;
    let i = number::within(d.mean, d.low, d.high, PROSE);
    Some(Best {
        case: readable(&case.name),
        saving: i.value,
        low: i.low,
        high: i.high,
        measurable: d.measurable,
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
        notes: c.notes.iter().cloned().chain(c.optimism_check.as_ref().and_then(optimism_check)).collect(),
        inside: number::percent(c.support.inside),
        edge: number::percent(c.support.edge),
        outside: number::percent(c.support.outside),
    }
}

/// The sentence on the re-scoring of plans on unseen ensemble members.
fn optimism_check(p: &OptimismCheck) -> Option<String> {
    let gap = p.gap()?;
    let verdict = if p.share() < 1.0 { ", so they are too optimistic" } else { "" };
    let lost = number::percent_text(gap.abs());
    let difference = if gap >= 0.0 { format!("{lost} less") } else { format!("{lost} more") };
    Some(format!("re-scored on unseen ensemble members, its plans save {difference} than predicted{verdict}"))
}

fn controls(cases: &[CaseResult], colours: &Colours<'_>) -> Vec<ControlRow> {
    let Some(first) = cases.iter().find(|c| !c.controls.is_empty()) else { return Vec::new() };
    first.controls.iter().map(|u| control(u, cases, colours)).collect()
}

fn control(first: &ControlUse, cases: &[CaseResult], colours: &Colours<'_>) -> ControlRow {
    let uses: Vec<(&CaseResult, &ControlUse)> =
        cases.iter().filter_map(|c| c.controls.iter().find(|u| u.signal == first.signal).map(|u| (c, u))).collect();
    // All cases have the same number of decimals.
    let range = first.low.zip(first.high).map(|(l, h)| h - l);
    let means: Vec<f64> = uses.iter().map(|(_, u)| u.mean).collect();
    let means = number::aligned_within(&means, PROSE, range);
    // The ends are rounded separately, because those of an integer control are integers.
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

/// Limits that a case violates, with an entry for every case, and limits that no case violates.
fn limits(cases: &[CaseResult], clock: &Clock, colours: &Colours<'_>) -> (Vec<LimitGroup>, Vec<(String, String)>) {
    let Some(first) = cases.iter().find(|c| !c.limits.is_empty()) else { return (Vec::new(), Vec::new()) };
    let (violated, kept): (Vec<&LimitUse>, Vec<&LimitUse>) = first
        .limits
        .iter()
        .partition(|l| cases.iter().filter_map(|c| verdict::counterpart(l, c)).any(|u| u.chance > 0.0));
    let range = |l: &LimitUse| with_unit(&allowed_range(l.low, l.high), &number::unit(&l.unit));
    let group = |l: &LimitUse| LimitGroup {
        signal: short(&l.signal, 60),
        range: range(l),
        kind: l.kind,
        cases: cases
            .iter()
            .filter_map(|c| {
                let u = verdict::counterpart(l, c)?;
                Some(LimitCell {
                    case: readable(&c.name),
                    colour: colours.get(&c.name),
                    chance: number::percent(u.chance),
                    share: number::percent(u.share_beyond),
                    worst: (u.worst > 0.0).then(|| number::signed(u.worst, 2)),
                    unit: number::unit(&u.unit),
                    when: match &u.worst_time {
                        Some(t) if u.worst > 0.0 => clock.within_run(t),
                        _ => String::new(),
                    },
                })
            })
            .collect(),
    };
    let kept =
        kept.into_iter().map(|l| (short(&l.signal, 60), format!("{} ({})", range(l), l.kind.as_str()))).collect();
    (violated.into_iter().map(group).collect(), kept)
}

/// The signals for charts: those with limits, those of priced KPIs, the controls, the outputs, and those of other KPIs.
fn important(cases: &[CaseResult]) -> Vec<&Trend> {
    let Some(first) = cases.first() else { return Vec::new() };
    let simulated = |t: &Trend| matches!(t.role, Role::Derived | Role::Output | Role::State);
    let in_kpi = |t: &Trend, priced: bool| {
        let mut kpis = first.kpis.iter().filter(|k| k.price.is_some() == priced);
        simulated(t) && kpis.any(|k| k.signals.contains(&t.signal))
    };
    // A signal that is the same in all cases does not help to compare them.
    let differs = |t: &Trend| {
        let same = |o: &Trend| o.p50 == t.p50 && o.p10 == t.p10 && o.p90 == t.p90;
        let mut others = cases.iter().skip(1).filter_map(|c| c.trends.iter().find(|o| o.signal == t.signal));
        cases.len() < 2 || others.any(|o| !same(o))
    };
    let groups: [&dyn Fn(&Trend) -> bool; 6] = [
        &|t| simulated(t) && first.limits.iter().any(|l| l.signal == t.signal),
        &|t| in_kpi(t, true),
        &|t| t.role == Role::Control,
        &|t| in_kpi(t, false) && t.role != Role::Derived && differs(t),
        &|t| t.role == Role::Output && differs(t),
        &|t| in_kpi(t, false) && differs(t),
    ];
    let mut out: Vec<&Trend> = Vec::new();
    for group in groups {
        for t in first.trends.iter().filter(|t| group(t)) {
            if !out.iter().any(|o| o.signal == t.signal) {
                out.push(t);
            }
        }
    }
    if out.is_empty() {
        out.extend(first.trends.iter().filter(|t| t.role == Role::Output || t.role == Role::State));
    }
    out
}

fn charts(
    id: &str,
    s: &ScenarioResult,
    cases: &[CaseResult],
    clock: &Clock,
    colours: &Colours<'_>,
    most: usize,
) -> Result<(Vec<ChartFigure>, usize)> {
    let signals = important(cases);
    let ticks = clock.ticks(&s.start, s.hours, 8);
    let figures = signals
        .iter()
        .take(most)
        .enumerate()
        .map(|(i, t)| figure(&format!("{id}-c{}", i + 1), t, s, cases, clock, &ticks, colours))
        .collect::<Result<Vec<_>>>()?;
    Ok((figures, signals.len().saturating_sub(most)))
}

fn figure(
    id: &str,
    signal: &Trend,
    s: &ScenarioResult,
    cases: &[CaseResult],
    clock: &Clock,
    ticks: &[(f64, String)],
    colours: &Colours<'_>,
) -> Result<ChartFigure> {
    let unit = number::unit(&signal.unit);
    let trends: Vec<(&CaseResult, &Trend)> =
        cases.iter().filter_map(|c| c.trends.iter().find(|t| t.signal == signal.signal).map(|t| (c, t))).collect();
    let title = with_unit(&short(&signal.signal, 60), &unit);
    let description = trends.iter().map(|(c, t)| describe(&readable(&c.name), t, &unit)).collect::<Vec<_>>().join(" ");
    let mut picture = TrendChart::new(id, &title, &description, s.hours, ticks);
    picture.limits = limit_lines(&signal.signal, cases);
    picture.bands = trends
        .iter()
        .map(|(c, t)| Band {
            name: readable(&c.name),
            colour: colours.get(&c.name),
            hours: &t.hours,
            p10: &t.p10,
            p50: &t.p50,
            p90: &t.p90,
        })
        .collect();
    let far: Vec<String> = chart::far_limits(&picture)
        .map(|l| format!("{} {}", l.name, with_unit(&number::exact(l.value).text, &unit)))
        .collect();
    let far: Vec<&str> = far.iter().map(String::as_str).collect();
    let beyond = if far.is_empty() { String::new() } else { format!("outside the chart: {}", list(&far, 4)) };
    let svg = chart::trend(&picture)?;
    Ok(ChartFigure {
        signal: signal.signal.clone(),
        unit,
        role: signal.role.as_str(),
        beyond,
        svg,
        heads: trends.iter().map(|(c, _)| readable(&c.name)).collect(),
        rows: sampled(&trends, s, clock),
    })
}

/// A sentence that describes one line of a chart.
fn describe(case: &str, t: &Trend, unit: &str) -> String {
    let finite = || t.p50.iter().copied().filter(|v| v.is_finite());
    let n = finite().count();
    if n == 0 {
        return format!("{case}: no values.");
    }
    let mean = finite().sum::<f64>() / n as f64;
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let q = number::aligned(&[mean, low, high], PROSE);
    format!("{}: mean {}, from {} to {}.", short(case, 40), q[0].text, q[1].text, with_unit(&q[2].text, unit))
}

fn limit_lines(signal: &str, cases: &[CaseResult]) -> Vec<Limit> {
    let mut out: Vec<Limit> = Vec::new();
    let mut add = |name, value: Option<f64>| {
        if let Some(value) = value.filter(|v| v.is_finite() && !out.iter().any(|l| l.value == *v)) {
            out.push(Limit { name, value });
        }
    };
    // The allowed range of a control is given by its hard limits.
    for l in cases.iter().flat_map(|c| &c.limits).filter(|l| l.signal == signal) {
        let name = if l.kind == LimitKind::Hard { "hard limit" } else { "soft limit" };
        add(name, l.low);
        add(name, l.high);
    }
    for c in cases.iter().flat_map(|c| &c.controls).filter(|c| c.signal == signal) {
        add("lowest", c.low);
        add("highest", c.high);
    }
    out
}

/// Some points of a chart as text: the time, then the median (P10 to P90) of each case.
fn sampled(trends: &[(&CaseResult, &Trend)], s: &ScenarioResult, clock: &Clock) -> Vec<(String, Vec<String>)> {
    let Some((_, first)) = trends.first() else { return Vec::new() };
    let n = first.hours.len();
    let rows = CHART_ROWS.min(n);
    let all: Vec<f64> = trends.iter().flat_map(|(_, t)| &t.p50).copied().filter(|v| v.is_finite()).collect();
    let largest = all.iter().copied().fold(0.0f64, |a, v| a.max(v.abs()));
    let start = s.start.parse::<jiff::Timestamp>().ok();
    (0..rows)
        .map(|k| {
            let hours = first.hours[if rows > 1 { k * (n - 1) / (rows - 1) } else { 0 }];
            let at = start.and_then(|t| t.checked_add(jiff::SignedDuration::from_secs((hours * 3600.0) as i64)).ok());
            let time = at.map_or_else(|| format!("{hours:.1} h"), |t| clock.within_run(&t.to_string()));
            let cell = |t: &Trend| {
                let i = t.hours.iter().position(|h| *h >= hours).unwrap_or(t.hours.len().saturating_sub(1));
                let get = |v: &[f64]| v.get(i).copied().unwrap_or(f64::NAN);
                let q = number::aligned(&[get(&t.p50), get(&t.p10), get(&t.p90), largest], PROSE);
                if q[1].text == q[2].text {
                    q[0].text.clone()
                } else {
                    format!("{} ({} to {})", q[0].text, q[1].text, q[2].text)
                }
            };
            (time, trends.iter().map(|(_, t)| cell(t)).collect())
        })
        .collect()
}
