//! The trend charts of a scenario.

use crate::error::Result;
use crate::scenario::results::{CaseResult, LimitKind, ScenarioResult, Trend};
use crate::schema::Role;

use super::chart::{self, Band, Limit, TrendChart};
use super::clock::Clock;
use super::colours::Colours;
use super::number::{self, PROSE, with_unit};
use super::text::{list, readable, short};

/// Number of rows in the data table of a chart.
const CHART_ROWS: usize = 8;

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

/// The signals that get a chart, in this order: signals with limits, signals of priced KPIs, controls, measured signals
/// of other KPIs, outputs, and derived signals of other KPIs.
fn important(cases: &[CaseResult]) -> Vec<&Trend> {
    let Some(first) = cases.first() else { return Vec::new() };
    let simulated = |t: &Trend| matches!(t.role, Role::Derived | Role::Output | Role::State);
    let in_kpi = |t: &Trend, priced: bool| {
        let mut kpis = first.kpis.iter().filter(|k| k.price.is_some() == priced);
        simulated(t) && kpis.any(|k| k.signals.contains(&t.signal))
    };
    // A signal with the same values in all cases does not help to compare the cases.
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

/// Returns at most `limit` charts of a scenario, and the number of signals for which there is no chart.
pub fn charts(
    id: &str,
    s: &ScenarioResult,
    cases: &[CaseResult],
    clock: &Clock,
    colours: &Colours<'_>,
    limit: usize,
) -> Result<(Vec<ChartFigure>, usize)> {
    let signals = important(cases);
    let ticks = clock.ticks(&s.start, s.span_hours(), 8);
    let figures = signals
        .iter()
        .take(limit)
        .enumerate()
        .map(|(i, t)| figure(&format!("{id}-c{}", i + 1), t, s, cases, clock, &ticks, colours))
        .collect::<Result<Vec<_>>>()?;
    Ok((figures, signals.len().saturating_sub(limit)))
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
    let mut picture = TrendChart::new(id, &title, &description, s.span_hours(), ticks);
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

/// A sentence for screen readers that describes one line of a chart.
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
    // The hard limits of a control define its allowed range.
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

/// The rows of the data table of a chart: the time, followed by the median (P10 to P90) of each case.
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
