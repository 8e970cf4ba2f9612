//! The page of a verification: the claim, the measured use against the adjusted baseline, and the protocol.

use askama::Template;

use super::chart::{self, Band, TrendChart};
use super::clock::Clock;
use super::number::{self, Interval, PROSE, Quantity, TABLE, with_unit};
use super::page::STYLE;
use super::promises::{Promises, promises};
use super::text::{Markup, marked, readable, sentence, short, tag};
use crate::error::{Error, Result};
use crate::verify::{Claim, Day, Fitness, Length, Outcome, Saving, Verification};

/// Largest number of ticks on the time axis.
const MAX_TICKS: usize = 8;
/// Palette entries of the shaded periods.
const EVENT: usize = 2;
const MISSING: usize = 5;

/// The data of the template `verification.html`.
#[derive(Debug, Template)]
#[template(path = "verification.html")]
struct Page {
    style: &'static str,
    plant: String,
    kpi: String,
    unit: String,
    word: &'static str,
    class: &'static str,
    headline: Markup,
    because: Vec<Markup>,
    figures: Vec<Figure>,
    warnings: Vec<Markup>,
    charts: Vec<Chart>,
    statistics: Vec<Statistic>,
    methods: Vec<(&'static str, Quantity, Quantity)>,
    promises: Option<Promises>,
    protocol: Vec<(&'static str, Markup)>,
    tables: Vec<DayTable>,
}

#[derive(Debug)]
struct Figure {
    label: &'static str,
    value: Option<Quantity>,
    unit: String,
    range: Option<(Quantity, Quantity)>,
    note: &'static str,
    bad: bool,
}

#[derive(Debug)]
struct Chart {
    title: &'static str,
    unit: String,
    svg: String,
}

#[derive(Debug)]
struct Statistic {
    name: &'static str,
    value: Option<Quantity>,
    unit: String,
    limit: String,
    bad: bool,
    meaning: &'static str,
}

#[derive(Debug)]
struct DayTable {
    title: &'static str,
    rows: Vec<DayRow>,
}

#[derive(Debug)]
struct DayRow {
    date: String,
    intervals: usize,
    all: usize,
    measured: Option<Quantity>,
    predicted: Option<Quantity>,
    event: String,
}

/// Renders the page of a verification as one self-contained HTML file.
///
/// # Errors
/// [`Error::Internal`] if a chart or the template fails, which is a bug in the program.
pub fn verification(v: &Verification) -> Result<String> {
    let clock = Clock::new(&v.timezone);
    let unit = number::unit(&v.unit);
    let (word, class) = match v.saving.claim {
        Claim::Verified => ("Verified", "do"),
        Claim::Indicated => ("Indicated", "try"),
        Claim::Extrapolated => ("No claim", "unknown"),
        Claim::NotShown => ("Not shown", "unknown"),
        Claim::Increase => ("Increase", "dont"),
        Claim::NotFit => ("Not fit", "dont"),
    };
    let periods = [("Reporting period", true), ("Baseline period", false)];
    let charts = periods.iter().map(|(title, reporting)| chart(v, title, *reporting, &unit, &clock));
    let page = Page {
        style: STYLE,
        plant: short(&readable(&v.plant), 80),
        kpi: readable(&v.frozen.kpi),
        word,
        class,
        headline: marked(&headline(v, &unit, &clock)),
        because: because(v).iter().map(|text| marked(text)).collect(),
        figures: figures(v, &unit),
        warnings: v.warnings.iter().map(|w| marked(&sentence(w))).collect(),
        charts: charts.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect(),
        statistics: statistics(v, &unit),
        methods: methods(&v.saving),
        promises: promises(&v.promises, &clock),
        protocol: protocol(v, &clock),
        tables: periods.iter().map(|(title, reporting)| table(v, title, *reporting)).collect(),
        unit,
    };
    page.render().map_err(|e| Error::Internal(format!("template of the verification: {e}")))
}

/// The claim as one sentence, which is shown after the word for the claim.
fn headline(v: &Verification, unit: &str, clock: &Clock) -> String {
    let s = &v.saving;
    let i = number::within(s.saving.abs(), s.low, s.high, PROSE);
    let amount = with_unit(&i.value.text, unit);
    let direction = if s.saving < 0.0 { "higher" } else { "lower" };
    let kpi = tag(&v.frozen.kpi, 40);
    let period = clock.period(&v.reporting);
    match s.claim {
        Claim::Verified | Claim::Indicated | Claim::Increase => {
            format!(
                "In the reporting period ({period}), {kpi} was {amount} {direction} than expected without the change."
            )
        }
        Claim::NotShown => format!("In the reporting period ({period}), {kpi} did not measurably change."),
        Claim::Extrapolated => {
            format!(
                "The conditions of the reporting period ({period}) were too rare in the baseline period to judge {kpi}."
            )
        }
        Claim::NotFit => format!("The model of {kpi} is not fit for savings claims."),
    }
}

fn because(v: &Verification) -> Vec<String> {
    let s = &v.saving;
    let mut out = Vec::new();
    match s.claim {
        Claim::Indicated => out.push(
            "The saving is not verified, for at least one of these reasons: it is less than two standard errors above zero, \
             its interval is wider than ± 50 %, the accuracy of the model is unknown, or the data are doubtful."
                .to_owned(),
        ),
        Claim::NotFit => out.push(
            "On left-out folds, the errors of the model exceed the limits below. Add drivers that explain the use, or use a \
             longer baseline."
                .to_owned(),
        ),
        _ => {}
    }
    if let Some(check) = &v.promise {
        let i = number::within(check.saving, check.low, check.high, PROSE);
        out.push(format!(
            "{}: the report promised {} ({} to {}) in these {} days with “{}”.",
            match check.outcome {
                Outcome::Kept => "The promise was kept",
                Outcome::Missed => "The promise was missed",
                Outcome::Exceeded => "The promise was exceeded",
                Outcome::Undecided => "It is undecided whether the promise was kept",
                Outcome::NotMeasured => "The verification does not show whether the promise was kept",
            },
            with_unit(&i.value.text, &number::unit(&v.unit)),
            i.low.text,
            i.high.text,
            number::plain(check.days, PROSE).text,
            short(&readable(&check.promise.case), 40)
        ));
    }
    out
}

fn figures(v: &Verification, unit: &str) -> Vec<Figure> {
    let s = &v.saving;
    let ranged = |label, unit: &str, i: Interval| Figure {
        label,
        value: Some(i.value),
        unit: unit.to_owned(),
        range: Some((i.low, i.high)),
        note: "",
        bad: false,
    };
    let mut out = vec![ranged("Avoided use", unit, number::within(s.saving, s.low, s.high, PROSE))];
    if let (Some([value, low, high]), Some(currency)) = (v.money, v.currency.as_ref().filter(|c| **c != v.unit)) {
        out.push(ranged("In money", currency, number::within(value, low.min(high), high.max(low), PROSE)));
    }
    let share = s.relative.map(number::percent);
    out.push(Figure { value: share, range: None, note: "n/a", ..ranged("Of the adjusted baseline", "", nothing()) });
    let (note, bad) = match v.fitness {
        Fitness::Fit => ("fit for claims", false),
        Fitness::NotFit => ("not fit for savings claims", true),
        Fitness::Unknown => ("unknown", false),
    };
    out.push(Figure { value: None, range: None, note, bad, ..ranged("Grade of the model", "", nothing()) });
    out
}

fn nothing() -> Interval {
    number::within(0.0, 0.0, 0.0, PROSE)
}

fn statistics(v: &Verification, unit: &str) -> Vec<Statistic> {
    let q = &v.statistics;
    let row = |name, value, meaning| Statistic {
        name,
        value,
        unit: String::new(),
        limit: String::new(),
        bad: false,
        meaning,
    };
    let number = |value: f64| Some(number::plain(value, TABLE));
    let mut out: Vec<Statistic> = q
        .criteria()
        .iter()
        .map(|c| Statistic {
            limit: number::percent_text(c.limit),
            bad: c.value.abs() > c.limit,
            ..row(
                c.name,
                Some(number::percent(c.value)),
                match c.name {
                    "CV(RMSE)" => "root mean square error with n − p degrees of freedom, relative to the mean use",
                    "NMBE" => "mean error relative to the mean use; positive if the model predicts too little",
                    _ => "the corresponding statistic, computed from monthly sums",
                },
            )
        })
        .collect();
    out.extend([
        row(
            "CV(RMSE), n",
            q.cv_rmse.map(number::percent),
            "root mean square error with n degrees of freedom, relative to the mean use",
        ),
        row("PNRMSE", number(q.pnrmse), "root mean square error relative to the range from P10 to P90 of the use"),
        Statistic {
            unit: unit.to_owned(),
            ..row("RMSE", number(q.rmse_adjusted), "root mean square error with n − p degrees of freedom")
        },
        row("n", number(q.n as f64), "number of intervals of the baseline period"),
        row("p", number(q.p as f64), "number of coefficients, including the intercept"),
        row("ρ", number(q.autocorrelation), "autocorrelation of the errors of neighbouring intervals"),
        row("n′", number(q.effective_n), "effective number of intervals, n (1 − ρ)/(1 + ρ)"),
    ]);
    out
}

fn methods(s: &Saving) -> Vec<(&'static str, Quantity, Quantity)> {
    let all = [
        ("Formula (fractional savings uncertainty)", s.formula),
        ("Bootstrap of blocks of seven days", s.bootstrap),
        ("Placebo windows", s.placebo),
    ];
    all.map(|(name, [below, above])| (name, number::plain(below, TABLE), number::plain(above, TABLE))).to_vec()
}

/// The protocol of a verification according to the IPMVP: option, boundary, dates, adjustments and hashes.
fn protocol(v: &Verification, clock: &Clock) -> Vec<(&'static str, Markup)> {
    let tags = |names: &[String]| names.iter().map(|n| tag(n, 40)).collect::<Vec<_>>().join(", ");
    let length = match v.frozen.length {
        Length::Hour => "hours",
        Length::Day => "days",
        Length::Step => "steps of the log",
    };
    let calendar = if v.frozen.drivers.is_empty() { "" } else { ", their means over the preceding day" };
    let events: Vec<String> = v.events.iter().map(|e| format!("{}: {}", e.period, e.reason)).collect();
    let none = |text: String| if text.is_empty() { "none".to_owned() } else { text };
    let holidays: Vec<String> = v.holidays.iter().map(ToString::to_string).collect();
    let s = &v.saving;
    let rows = [
        (
            "Option",
            "C (whole facility) if the boundary is the meter of a site, otherwise B (retrofit isolation, all parameters \
             measured); analysis of metered data, not a simulation"
                .to_owned(),
        ),
        ("Boundary", format!("{}: {}, from {}", tag(&v.frozen.kpi, 40), v.formula, tags(&v.boundary))),
        ("Baseline", clock.period(&v.frozen.baseline)),
        ("Reporting", clock.period(&v.reporting)),
        ("Time zone", clock.zone_at(&v.reporting.to.to_string())),
        ("Measured", format!("{} of {} intervals ({length}) of the reporting period", s.intervals, s.all_intervals)),
        ("Routine adjustments", none(format!("{}{calendar}, hour and day of the week", tags(&v.frozen.drivers)))),
        ("Non-routine events", none(events.join("; "))),
        ("Holidays", none(holidays.join(", "))),
        ("Model", format!("{}, folds of {} intervals", v.frozen.model, v.frozen.fold)),
        ("Frozen baseline", v.file.display().to_string()),
        ("Hash of that file", v.frozen_hash.clone()),
        ("Hash of the baseline data", v.frozen.data.clone()),
        ("Hash of the model", v.frozen.fit.clone()),
        ("Hash of the reporting data", v.data_hash.clone()),
        ("twinopt", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    rows.into_iter().map(|(label, text)| (label, marked(text.trim_start_matches(", ")))).collect()
}

/// The chart of one period; `None` if it has no measured day.
fn chart(v: &Verification, title: &'static str, reporting: bool, unit: &str, clock: &Clock) -> Result<Option<Chart>> {
    let days: Vec<&Day> = v.days.iter().filter(|d| d.reporting == reporting).collect();
    let (Some(first), true) = (days.first(), days.iter().any(|d| d.intervals > 0)) else { return Ok(None) };
    let start = clock.midnight(first.date);
    let begin: Vec<f64> =
        days.iter().map(|d| clock.hours_between(&start, &clock.midnight(d.date)).unwrap_or(f64::NAN)).collect();
    let gaps: Vec<f64> = begin.windows(2).map(|w| w[1] - w[0]).collect();
    // The length of a row: a day, or an interval if intervals are longer than a day.
    let length = gaps.iter().copied().fold(f64::INFINITY, f64::min).clamp(24.0, 24.0 * 366.0);
    let length = if gaps.is_empty() { 24.0 } else { length };
    let end = |i: usize| begin.get(i + 1).map_or(begin[i] + length, |next| next.min(begin[i] + 1.1 * length));
    let (mut hours, mut measured, mut predicted, mut spans) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (i, day) in days.iter().enumerate() {
        let scale = day.all_intervals as f64 / day.intervals as f64;
        let value = |v: f64| if day.intervals > 0 { scale * v } else { f64::NAN };
        hours.push(0.5 * (begin[i] + end(i)));
        measured.push(value(day.measured));
        predicted.push(value(day.predicted));
        if day.intervals < day.all_intervals {
            spans.push((begin[i], end(i), if day.event.is_some() { EVENT } else { MISSING }));
        }
        if let Some(next) = begin.get(i + 1).filter(|next| **next > end(i) + 1.0) {
            // The log has no rows between these days.
            hours.push(end(i));
            measured.push(f64::NAN);
            predicted.push(f64::NAN);
            spans.push((end(i), *next, MISSING));
        }
    }
    let hours_total = end(days.len() - 1);
    let ticks = clock.ticks(&start, hours_total, MAX_TICKS);
    let mean = |values: &[f64]| {
        let known: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        number::plain(known.iter().sum::<f64>() / known.len().max(1) as f64, PROSE).text
    };
    let left_out = days.iter().filter(|d| d.intervals < d.all_intervals).count();
    let description = format!(
        "Measured use: mean {}. Adjusted baseline: mean {}. {left_out} of {} days are incomplete or left out.",
        with_unit(&mean(&measured), unit),
        with_unit(&mean(&predicted), unit),
        days.len()
    );
    let id = if reporting { "reporting" } else { "baseline" };
    let mut picture = TrendChart::new(id, title, &description, hours_total, &ticks);
    picture.spans = spans;
    let band = |name: &str, colour, values| Band {
        name: name.to_owned(),
        colour,
        hours: &hours,
        p10: values,
        p50: values,
        p90: values,
    };
    picture.bands = vec![band("baseline", 0, &predicted), band("measured", 1, &measured)];
    let per = if length > 30.0 { "per interval" } else { "per day" };
    Ok(Some(Chart { title, unit: format!("{unit} {per}"), svg: chart::trend(&picture)? }))
}

fn table(v: &Verification, title: &'static str, reporting: bool) -> DayTable {
    let days = v.days.iter().filter(|d| d.reporting == reporting);
    let shown = |d: &Day, value: f64| (d.intervals > 0).then(|| number::plain(value, TABLE));
    let row = |d: &Day| DayRow {
        date: d.date.to_string(),
        intervals: d.intervals,
        all: d.all_intervals,
        measured: shown(d, d.measured),
        predicted: shown(d, d.predicted),
        event: match d.event.and_then(|e| v.events.get(e)) {
            Some(event) => short(&event.reason, 60),
            None if d.intervals < d.all_intervals => "not measured".to_owned(),
            None => String::new(),
        },
    };
    DayTable { title, rows: days.map(row).collect() }
}
