//! The first page of the report: advice, gain, set-points, risks, evidence, and problems that need attention.

use crate::scenario::LONGEST_YEAR;
use crate::scenario::results::{Difference, KpiResult, LimitKind, LimitUse, Results, ScenarioResult};

use super::alarms::alarms;
use super::cases::{Answer, RankedCase};
use super::clock::Clock;
use super::display::Display;
use super::duration::per_step_text;
use super::evidence::evidence;
use super::headline::headline;
use super::number::{self, Interval, PROSE, Quantity, allowed_range, with_unit};
use super::rejected::rejected;
use super::runs::{self, CaseRun};
use super::saving::Words;
use super::setpoints::{SetPoint, SetPoints, setpoints};
use super::stop::stop;
use super::text::{Markup, list, marked, readable, short};
use super::violations::mean_share;

/// Maximum number of rows of each table on the first page. The scenario sections list all controls and limits.
const MAX_SETPOINTS: usize = 4;
const MAX_RISKS: usize = 2;
const MAX_ALARMS: usize = 4;

#[derive(Debug)]
pub struct Front {
    pub answer: Answer,
    /// Whether the first page has so many rows that it needs a denser print layout.
    pub crowded: bool,
    pub headline: Markup,
    pub because: Vec<Markup>,
    pub figures: Vec<KeyFigure>,
    pub setpoints: Vec<SetPoint>,
    pub setpoints_left: usize,
    /// Whether the set-points are recommended. If `false`, the set-points were tested but are not recommended.
    pub advises: bool,
    /// Length of the time step to which the move limit `ramp` applies, such as `10 min`.
    pub step: String,
    pub setpoint_note: String,
    pub orders: Markup,
    /// The conditions under which staff should return to the present operation.
    pub stop: Markup,
    /// The cases that are not recommended.
    pub rejected: Markup,
    pub risks: Vec<Risk>,
    pub risks_left: usize,
    /// A sentence about the limits that are not in the table.
    pub no_risk: Markup,
    pub evidence: Vec<(&'static str, Markup)>,
    pub alarms: Vec<Markup>,
    pub alarms_left: usize,
    pub run: Vec<(&'static str, String)>,
}

/// A key figure that the first page shows in large print.
#[derive(Debug)]
pub struct KeyFigure {
    pub label: String,
    pub value: Option<Quantity>,
    pub unit: String,
    /// Lower end, upper end and name of the interval.
    pub range: Option<(Quantity, Quantity, &'static str)>,
    /// Text to show instead of a value.
    pub note: String,
}

#[derive(Debug)]
pub struct Risk {
    pub signal: String,
    pub range: String,
    pub kind: LimitKind,
    /// Fractions of the time in which the limit is violated: in the log over the same period, in the simulated
    /// baseline, and in the case. `None` if the signal was not logged.
    pub measured: Option<Quantity>,
    pub now: Quantity,
    pub then: Quantity,
    pub worst: Option<Quantity>,
    pub unit: String,
    pub when: String,
    pub worse: bool,
}

pub fn front(results: &Results, ranked: &[RankedCase<'_>], currency: &str, clock: &Clock) -> Front {
    let pick = ranked.first();
    let money = number::unit(currency);
    let words = Words::new(results);
    let (answer, text, because) = headline(results, ranked, words);
    let all_alarms = alarms(results, ranked, words);
    let SetPoints { rows: setpoints, note: setpoint_note, orders } =
        pick.map(|p| setpoints(p, clock)).unwrap_or_default();
    let (risks, no_risk) = pick.map(|p| risks(p, clock)).unwrap_or_default();
    let rows = setpoints.len().min(MAX_SETPOINTS) + risks.len().min(MAX_RISKS) + all_alarms.len().min(MAX_ALARMS);
    Front {
        answer,
        crowded: rows > 7,
        headline: marked(text.strip_prefix(answer.word()).unwrap_or(&text).trim_start()),
        because: because.iter().map(|b| marked(b)).collect(),
        figures: pick
            .filter(|p| p.objective.mean != 0.0 || answer != Answer::Unknown)
            .map_or_else(|| baseline_figures(results), |p| figures(results, p, &money, words)),
        setpoints_left: setpoints.len().saturating_sub(MAX_SETPOINTS),
        setpoints: setpoints.into_iter().take(MAX_SETPOINTS).collect(),
        setpoint_note,
        orders,
        step: per_step_text(&results.model.step),
        advises: answer.advises(),
        stop: marked(&pick.filter(|_| answer.advises()).map(|p| stop(results, p, words)).unwrap_or_default()),
        rejected: marked(&rejected(ranked, words)),
        risks_left: risks.len().saturating_sub(MAX_RISKS),
        risks: risks.into_iter().take(MAX_RISKS).collect(),
        no_risk: marked(&no_risk),
        evidence: evidence(results, pick, clock).into_iter().map(|(label, text)| (label, marked(&text))).collect(),
        alarms_left: all_alarms.len().saturating_sub(MAX_ALARMS),
        alarms: all_alarms.iter().take(MAX_ALARMS).map(|a| marked(a)).collect(),
        run: run(results, clock),
    }
}

fn figures(results: &Results, pick: &RankedCase<'_>, money: &str, words: Words) -> Vec<KeyFigure> {
    let ranged = |label: &str, unit: &str, i: Interval, what| KeyFigure {
        label: label.to_owned(),
        value: Some(i.value),
        unit: unit.to_owned(),
        range: (i.low.value < i.high.value).then_some((i.low, i.high, what)),
        note: String::new(),
    };
    let single = |label: &str, value: Option<Quantity>, unit: &str, note: &str| KeyFigure {
        label: label.to_owned(),
        value,
        unit: unit.to_owned(),
        range: None,
        note: note.to_owned(),
    };
    if pick.answer == Answer::Unknown {
        return vec![single(words.noun, None, "", "unknown")];
    }
    let (noun, amount) = words.figure(&pick.saving);
    let label = match pick.saving.per.as_str() {
        "a year" => format!("Annual {}", noun.to_lowercase()),
        _ => noun.to_owned(),
    };
    let mut out = vec![ranged(&label, &pick.saving.unit, amount, "90 % interval")];
    match pick.economics {
        // If the headline promises no saving, the economics of a saving would contradict the headline.
        Some(_) if !pick.saving.value.measurable || (!pick.answer.advises() && !pick.loses_money()) => {}
        Some(e) => {
            out.push(single("One-time cost", Some(number::plain(e.capex, PROSE)), money, ""));
            let npv = number::estimate(&e.npv, PROSE);
            out.push(match e.risk.is_none() && e.npv.p10 == e.npv.p90 {
                true => single("Net present value", Some(npv.value), money, ""),
                false => ranged("Net present value", money, npv, "P10–P90"),
            });
            let payback = match e.payback {
                Some(_) if e.capex <= 0.0 => single("Payback", None, "", "at once"),
                Some(y) if y < 0.2 => single("Payback", Some(number::plain(365.0 * y, 2)), "days", ""),
                Some(y) => single("Payback", Some(number::plain(y, 2)), "years", ""),
                None => single("Payback", None, "", "never"),
            };
            out.push(payback);
        }
        None if pick.annual.is_none() => out.push(single("Per year", None, "", &no_year(results))),
        None => out.push(single("One-time cost, payback", None, "", "no [economics] in twin.toml")),
    }
    out.extend(carbon(pick));
    out
}

/// The KPIs of the baseline, if it is the only case.
fn baseline_figures(results: &Results) -> Vec<KeyFigure> {
    let Some(baseline) = runs::completed(results).next().and_then(|s| s.cases.first()) else { return Vec::new() };
    let figure = |k: &KpiResult| {
        let share = k.kind.is_share();
        let Display { factor, unit } = Display::new(&k.unit, k.value.p50.abs());
        let i = match share {
            true => Interval::shares(k.value.p50, k.value.p10, k.value.p90, PROSE, "%"),
            false => number::estimate(&k.value.in_unit(factor), PROSE),
        };
        KeyFigure {
            label: format!("{} of the baseline", readable(&k.name)),
            range: (i.low.value < i.high.value).then_some((i.low, i.high, "P10–P90")),
            value: Some(i.value),
            unit: if share { String::new() } else { unit },
            note: String::new(),
        }
    };
    baseline.kpis.iter().take(4).map(figure).collect()
}

/// The change in carbon emissions, if a KPI with a unit of mass measures the emissions.
fn carbon(pick: &RankedCase<'_>) -> Option<KeyFigure> {
    let kpis = match (pick.annual, pick.runs.as_slice()) {
        (Some(annual), _) => &annual.kpis,
        (None, [run]) => &run.case.kpis,
        (None, _) => return None,
    };
    let is_carbon = |k: &&KpiResult| {
        let text = format!("{} {} {}", k.name, k.formula, k.signals.join(" ")).to_lowercase();
        ["co2", "co₂", "carbon"].iter().any(|word| text.contains(word))
            && matches!(Display::new(&k.unit, 1e5).unit.as_str(), "t" | "kt")
    };
    let change = kpis.iter().find(is_carbon).and_then(|k| Some((k, k.change?)));
    let (kpi, d) = change?;
    let Display { factor, unit } = Display::new(&kpi.unit, d.mean.abs());
    let scaled = Difference { mean: factor * d.mean, low: factor * d.low, high: factor * d.high, ..d };
    let i = number::difference(&scaled, PROSE);
    Some(KeyFigure {
        label: "CO₂".into(),
        value: d.measurable.then_some(i.value),
        unit,
        range: d.measurable.then_some((i.low, i.high, "90 % interval")),
        note: "no measurable change".into(),
    })
}

/// Minimum length of a log that shows all seasons.
const DAYS_OF_YEAR: f64 = 360.0;

/// Length of the log in days.
fn log_days(results: &Results) -> Option<f64> {
    let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let (start, end) = (time(&results.quality.start)?, time(&results.quality.end)?);
    Some((end.as_second() - start.as_second()) as f64 / 86_400.0)
}

/// The reason why there is no sum over the year.
pub fn no_year(results: &Results) -> String {
    let weighted = |s: &&ScenarioResult| s.days_per_year.is_some_and(|d| d > 0.0);
    if !results.scenarios.iter().any(|s| weighted(&s)) {
        let days = log_days(results).filter(|days| *days < DAYS_OF_YEAR);
        let log = days.map_or_else(String::new, |d| format!("; the log covers only {d:.0} days of a year"));
        return format!(
            "unknown: set days_per_year in each scenario to the number of days per year that it represents{log}"
        );
    }
    let days: f64 = results.scenarios.iter().filter_map(|s| s.days_per_year).sum();
    if days > LONGEST_YEAR {
        return format!("unknown: days_per_year of the scenarios add up to {}", number::plain(days, PROSE).text);
    }
    let failed: Vec<&str> = runs::failed(results).filter(weighted).map(|s| s.name.as_str()).collect();
    match failed.is_empty() {
        true => "no case ran in all scenarios that have days_per_year".into(),
        false => format!("unknown: {} did not run", list(&failed, 2)),
    }
}

/// Lists each limit once, for the scenario in which the case violates it most. Limits of controls are left out of the
/// list if neither the case nor the baseline violates them. Returns the list of limits, and a sentence that summarises
/// the omitted limits.
fn risks(pick: &RankedCase<'_>, clock: &Clock) -> (Vec<Risk>, String) {
    let contains = |list: &[(CaseRun<'_>, &LimitUse)], run: &CaseRun<'_>, l: &LimitUse| {
        list.iter().any(|(r, b)| r.scenario.name == run.scenario.name && b.signal == l.signal && b.kind == l.kind)
    };
    let key = |run: &CaseRun<'_>, l: &LimitUse| {
        (contains(&pick.violated, run, l), contains(&pick.tolerated, run, l), l.chance, l.share_beyond, l.worst)
    };
    let mut worst: Vec<(CaseRun<'_>, &LimitUse)> = Vec::new();
    let mut unlisted = 0;
    let all = pick.runs.iter().flat_map(|run| run.case.limits.iter().map(move |l| (*run, l)));
    for (run, used) in all {
        match worst.iter_mut().find(|(_, l)| l.signal == used.signal && l.kind == used.kind) {
            None => worst.push((run, used)),
            Some(w) if key(&run, used) > key(&w.0, w.1) => *w = (run, used),
            Some(_) => {}
        }
    }
    worst.retain(|(run, l)| {
        let now = runs::counterpart(l, run.baseline).map_or(0.0, |b| b.chance);
        let control = run.case.controls.iter().any(|c| c.signal == l.signal);
        let unlisted_control = control && l.chance == 0.0 && now == 0.0;
        unlisted += usize::from(unlisted_control);
        !unlisted_control
    });
    // Under changed conditions, the measured operation cannot be compared with the cases.
    let is_changed = pick.runs.iter().any(|r| r.scenario.measured.is_changed);
    let mut risks: Vec<Risk> = worst
        .into_iter()
        .map(|(run, l)| {
            let unit = number::unit(&l.unit);
            let share = |limit: &dyn Fn(&CaseRun<'_>) -> Option<f64>| mean_share(&pick.runs, limit);
            Risk {
                signal: short(&l.signal, 40),
                range: with_unit(&allowed_range(l.low, l.high), &unit),
                kind: l.kind,
                measured: share(&|r| Some(runs::measured(l, r.scenario)?.share_beyond))
                    .filter(|_| !is_changed)
                    .map(number::percent),
                now: number::percent(share(&|r| Some(runs::counterpart(l, r.baseline)?.share_beyond)).unwrap_or(0.0)),
                then: number::percent(share(&|r| Some(runs::counterpart(l, r.case)?.share_beyond)).unwrap_or(0.0)),
                worst: (l.worst > 0.0).then(|| number::signed(l.worst, 2)),
                when: match &l.worst_time {
                    Some(t) if l.worst > 0.0 => {
                        format!("{}, {}", clock.within_run(t), short(&readable(&run.scenario.name), 30))
                    }
                    _ => String::new(),
                },
                unit,
                worse: contains(&pick.violated, &run, l),
            }
        })
        .collect();
    // Limits that are violated more often than in the baseline come first, then hard limits. Limits with equal priority
    // are sorted by the probability of a violation.
    risks.sort_by(|a, b| {
        let key = |r: &Risk| (!r.worse, r.kind != LimitKind::Hard);
        key(a).cmp(&key(b)).then(b.then.value.total_cmp(&a.then.value))
    });
    let sentence = match (unlisted, risks.is_empty()) {
        (0, _) => "",
        (_, true) => {
            "Only controls have limits, and all controls stay within them. No limit states what the plant has to deliver."
        }
        (_, false) => "All controls stay within their limits.",
    };
    (risks, sentence.to_owned())
}

fn run(results: &Results, clock: &Clock) -> Vec<(&'static str, String)> {
    let p = &results.provenance;
    let name = |s: &str| if s.is_empty() { "–".to_owned() } else { short(s, 12) };
    vec![
        ("Run", name(&p.run_id)),
        // The report shows the date of its newest data, not the date on which it was created.
        (
            "Data",
            format!(
                "{} to {} ({})",
                clock.date(&p.data_start),
                clock.moment(if p.as_of.is_empty() { &p.data_end } else { &p.as_of }),
                short(&clock.zone_at(&p.as_of), 50)
            ),
        ),
        ("twinopt", name(&p.crate_version)),
        ("Model", name(&p.model_version)),
    ]
}
