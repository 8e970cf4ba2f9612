//! Page one: what to do, what it is worth, how, at what risk, how sure, and what needs looking at.

use crate::log::FindingClass;
use crate::scenario::results::{ControlUse, Economics, LimitUse, Results};

use super::alarms::alarms;
use super::clock::Clock;
use super::number::{self, Interval, PROSE, Quantity, with_unit};
use super::text::{Markup, list, marked, readable, short, tag};
use super::verdict::{self, Answer, Pick, Run, Words};

/// Rows on page one; the scenarios' tables have all.
const MOST_SETPOINTS: usize = 5;
const MOST_RISKS: usize = 3;
const MOST_ALARMS: usize = 5;

#[derive(Debug)]
pub struct Front {
    pub answer: Answer,
    /// So many rows that print must be denser to fit one page.
    pub crowded: bool,
    pub headline: Markup,
    pub who: String,
    pub because: Vec<Markup>,
    pub figures: Vec<Figure>,
    pub setpoints: Vec<SetPoint>,
    pub setpoints_left: usize,
    /// What the advised column is called.
    pub advised: &'static str,
    /// The time that a ramp is per.
    pub step: String,
    /// The controller that moves them.
    pub how: Markup,
    pub undo: Markup,
    pub risks: Vec<Risk>,
    pub risks_left: usize,
    /// On the limits that are not in the table.
    pub no_risk: Markup,
    pub sure: Vec<(&'static str, Markup)>,
    pub alarms: Vec<Markup>,
    pub alarms_left: usize,
    pub run: Vec<(&'static str, String)>,
}

/// One of the large numbers.
#[derive(Debug)]
pub struct Figure {
    pub label: String,
    pub value: Option<Quantity>,
    pub unit: String,
    /// Low, high, and what they are.
    pub range: Option<(Quantity, Quantity, &'static str)>,
    /// In place of a value.
    pub note: String,
}

#[derive(Debug)]
pub struct SetPoint {
    pub signal: String,
    pub unit: String,
    pub now: Quantity,
    pub advised: Quantity,
    /// Lowest and highest advised value, when it moves.
    pub moves: Option<(Quantity, &'static str, Quantity)>,
    /// `None`: stays as it is.
    pub change: Option<Quantity>,
    pub allowed: String,
    pub ramp: String,
}

#[derive(Debug)]
pub struct Risk {
    pub signal: String,
    pub range: String,
    pub kind: String,
    pub now: Quantity,
    pub then: Quantity,
    pub worst: Option<Quantity>,
    pub unit: String,
    pub when: String,
    pub worse: bool,
}

pub fn front(results: &Results, picks: &[Pick<'_>], currency: &str, clock: &Clock) -> Front {
    let pick = picks.first();
    let money = number::unit(currency);
    let words = verdict::words(results);
    let (answer, headline, because) = say(results, picks, &money, words);
    let all_alarms = alarms(results, picks);
    let setpoints = pick.map(setpoints).unwrap_or_default();
    let (risks, no_risk) = pick.map(|p| risks(p, clock)).unwrap_or_default();
    let rows = setpoints.len().min(MOST_SETPOINTS) + risks.len().min(MOST_RISKS) + all_alarms.len().min(MOST_ALARMS);
    Front {
        answer,
        crowded: rows > 7,
        headline: marked(&headline),
        who: match answer {
            Answer::Dont => format!("For the operators of {}.", short(&readable(&results.plant), 60)),
            _ => format!(
                "For the operators of {}, from the next shift; against running on as now.",
                short(&readable(&results.plant), 60)
            ),
        },
        because: because.iter().map(|b| marked(b)).collect(),
        figures: pick.map(|p| figures(results, p, &money, words)).unwrap_or_default(),
        setpoints_left: setpoints.len().saturating_sub(MOST_SETPOINTS),
        setpoints: setpoints.into_iter().take(MOST_SETPOINTS).collect(),
        how: marked(&pick.map(how).unwrap_or_default()),
        step: spaced(&results.model.step),
        advised: if answer == Answer::Dont { "Tried" } else { "Advised" },
        undo: marked(&pick.filter(|_| answer != Answer::Dont).map(undo).unwrap_or_default()),
        risks_left: risks.len().saturating_sub(MOST_RISKS),
        risks: risks.into_iter().take(MOST_RISKS).collect(),
        no_risk: marked(&no_risk),
        sure: sure(results, pick, clock).into_iter().map(|(label, text)| (label, marked(&text))).collect(),
        alarms_left: all_alarms.len().saturating_sub(MOST_ALARMS),
        alarms: all_alarms.iter().take(MOST_ALARMS).map(|a| marked(a)).collect(),
        run: run(results, clock),
    }
}

/// The verdict: answer, headline, and up to two sentences why.
fn say(results: &Results, picks: &[Pick<'_>], money: &str, words: Words) -> (Answer, String, Vec<String>) {
    let Some(pick) = picks.first() else {
        let lost = verdict::failed(results).count();
        let why = match (lost, results.scenarios.len()) {
            (0, 0) => "There is no scenario to judge.".to_owned(),
            (0, _) => "Only the baseline was simulated, so there is nothing to compare it with.".to_owned(),
            (n, all) if n == all => "No scenario ran to its end; see the errors below.".to_owned(),
            (n, _) => format!("No case ran beside its baseline; {} failed.", crate::error::plural(n, "scenario")),
        };
        return (Answer::Dont, "change anything on the strength of this report.".into(), vec![why]);
    };
    let case = short(&readable(pick.case), 40);
    let sum = pick.headline();
    let worth = words.worth(&sum, money, "");
    let mut because = Vec::new();
    let headline = match pick.answer {
        Answer::Do => format!("run “{case}”. It {worth}."),
        Answer::Try => {
            let weak: Vec<&str> = pick.caveats.iter().map(String::as_str).collect();
            because.push(format!("Under supervision, because {}.", said(&weak, 2)));
            format!("“{case}”. It {}.", words.worth(&sum, money, "about "))
        }
        Answer::Dont if pick.runs.iter().all(|r| r.case.kpis.iter().all(|k| k.samples.len() == 1)) => {
            because.push(format!("The best case, “{case}”, {worth} in the one future that was simulated."));
            "change anything yet: one future cannot tell a saving from chance. Raise `particles`.".into()
        }
        Answer::Dont if !pick.saving.measurable => {
            because.push(format!("The best case, “{case}”, {worth}: no more than chance."));
            "change anything: no case makes a measurable difference.".into()
        }
        Answer::Dont if pick.saving.mean <= 0.0 => {
            because.push(format!("The best case, “{case}”, {worth}."));
            "change anything: no case is better than now.".into()
        }
        Answer::Dont if !pick.broken.is_empty() => {
            let signals = broken_signals(pick);
            because.push(format!("It {worth}, bought with risk."));
            format!("run “{case}”: it takes {} beyond limits more than now.", signals)
        }
        Answer::Dont if pick.loses_money() => {
            let bought = pick.economics.filter(|e| e.capex > 0.0);
            because.extend(pick.economics.map(|e| paid(e, &worth)));
            match bought {
                Some(_) => format!("buy “{case}”: what it brings does not pay for it."),
                None => format!("run “{case}”: it costs more money than it brings."),
            }
        }
        Answer::Dont => {
            because.push(format!(
                "{} of its time lies outside what the log has seen: its worth is a guess.",
                number::percent_text(pick.support.outside)
            ));
            format!("run “{case}”: the log knows nothing like it.")
        }
    };
    (pick.answer, headline, because)
}

/// Why the money does not come back; the figures stand below.
fn paid(e: &Economics, worth: &str) -> String {
    let years = number::plain(e.lifetime_years, PROSE).text;
    format!("It {worth}, but over {years} years less than it costs.")
}

/// As [`list`], of pieces that are already cut and marked.
fn said(pieces: &[&str], most: usize) -> String {
    match pieces {
        [all @ .., last] if pieces.len() <= most && !all.is_empty() => format!("{} and {last}", all.join(", ")),
        [one] => (*one).to_owned(),
        _ => pieces.iter().take(most).copied().collect::<Vec<_>>().join(" and "),
    }
}

/// What the advice is, beside the set-points: the controller of the case, where all scenarios have the same.
fn how(pick: &Pick<'_>) -> String {
    let Some(first) = pick.runs.first().map(|r| r.case.controller.as_str()) else { return String::new() };
    let same = pick.runs.iter().all(|r| r.case.controller == first);
    if same && !first.is_empty() { format!("{}.", short(first, 110)) } else { String::new() }
}

pub fn broken_signals(pick: &Pick<'_>) -> String {
    let mut names: Vec<String> = Vec::new();
    for (_, used) in &pick.broken {
        let name = tag(&used.signal, 40);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let left = names.len().saturating_sub(2);
    names.truncate(2);
    match left {
        0 => names.join(" and "),
        n => format!("{} and {n} more", names.join(", ")),
    }
}

fn figures(results: &Results, pick: &Pick<'_>, money: &str, words: Words) -> Vec<Figure> {
    let sum = pick.headline();
    let ranged = |label: &str, i: Interval, what| Figure {
        label: label.to_owned(),
        value: Some(i.value),
        unit: money.to_owned(),
        range: Some((i.low, i.high, what)),
        note: String::new(),
    };
    let single = |label: &str, value: Option<Quantity>, unit: &str, note: &str| Figure {
        label: label.to_owned(),
        value,
        unit: unit.to_owned(),
        range: None,
        note: note.to_owned(),
    };
    let label = if sum.per == "a year" { format!("{} a year", words.noun) } else { words.noun.to_owned() };
    let mut out = vec![ranged(&label, number::estimate(&sum.estimate, PROSE), sum.range)];
    match pick.economics {
        Some(e) => {
            out.push(single("One-time cost", Some(number::plain(e.capex, PROSE)), money, ""));
            out.push(ranged("Net present value", number::estimate(&e.npv, PROSE), "P10–P90"));
            let payback = match e.payback {
                Some(_) if e.capex <= 0.0 => single("Payback", None, "", "at once"),
                Some(y) if y < 0.2 => single("Payback", Some(number::plain(365.0 * y, 2)), "days", ""),
                Some(y) => single("Payback", Some(number::plain(y, 2)), "years", ""),
                None => single("Payback", None, "", "never"),
            };
            out.push(payback);
        }
        None if pick.annual.is_some() => out.push(single("One-time cost, payback", None, "", "no [economics] given")),
        None => out.push(single("Money per year", None, "", &no_year(results))),
    }
    out
}

/// Why there is no sum over the year.
pub fn no_year(results: &Results) -> String {
    let weighted = |s: &&crate::scenario::results::ScenarioResult| s.days_per_year.is_some_and(|d| d > 0.0);
    if !results.scenarios.iter().any(|s| weighted(&s)) {
        return "give the scenarios days_per_year to see money per year".into();
    }
    let lost: Vec<&str> = verdict::failed(results).filter(weighted).map(|s| s.name.as_str()).collect();
    match lost.is_empty() {
        true => "no case ran in every scenario that has days_per_year".into(),
        false => format!("unknown: {} did not run", list(&lost, 2)),
    }
}

fn setpoints(pick: &Pick<'_>) -> Vec<SetPoint> {
    let mut names: Vec<&str> = Vec::new();
    for c in pick.runs.iter().flat_map(|r| &r.case.controls) {
        if !names.contains(&c.signal.as_str()) {
            names.push(&c.signal);
        }
    }
    names.into_iter().filter_map(|name| setpoint(pick, name)).collect()
}

/// One control over all scenarios: means weighted as the year is.
fn setpoint(pick: &Pick<'_>, name: &str) -> Option<SetPoint> {
    let uses: Vec<(f64, &ControlUse)> = pick
        .runs
        .iter()
        .filter_map(|r| r.case.controls.iter().find(|c| c.signal == name).map(|c| (r.weight, c)))
        .collect();
    let (_, any) = *uses.first()?;
    let total: f64 = uses.iter().map(|u| u.0).sum();
    let mean = |of: fn(&ControlUse) -> f64| match total > 0.0 {
        true => uses.iter().map(|(w, c)| w * of(c)).sum::<f64>() / total,
        false => uses.iter().map(|(_, c)| of(c)).sum::<f64>() / uses.len() as f64,
    };
    let low = uses.iter().map(|u| u.1.min).fold(f64::INFINITY, f64::min);
    let high = uses.iter().map(|u| u.1.max).fold(f64::NEG_INFINITY, f64::max);
    let (now, advised) = (mean(|c| c.baseline_mean), mean(|c| c.mean));
    let range = any.low.zip(any.high).map(|(l, h)| h - l);
    let mut means = number::alike_within(&[now, advised], PROSE, range).into_iter();
    let (now_q, advised_q) = (means.next()?, means.next()?);
    // Apart from the means: the ends of an integer control are integers.
    let mut ends = number::alike_within(&[low, high], PROSE, range).into_iter();
    let (low_q, high_q) = (ends.next()?, ends.next()?);
    let stays = now_q.text == advised_q.text;
    let change = number::like(advised - now, &now_q);
    Some(SetPoint {
        signal: name.to_owned(),
        unit: number::unit(&any.unit),
        moves: (low_q.text != high_q.text).then(|| (low_q.clone(), number::dash(&low_q, &high_q), high_q.clone())),
        change: (!stays && !change.text.is_empty()).then(|| change.with_sign()),
        now: now_q,
        advised: advised_q,
        allowed: between(any.low, any.high),
        ramp: any.max_move.map_or_else(|| "any".to_owned(), |m| number::exact(m).text),
    })
}

/// `1min` → `1 min`, `10min` → `10 min`.
pub fn step_of(span: &str) -> String {
    let cut = span.find(|c: char| c.is_alphabetic()).unwrap_or(span.len());
    with_unit(span[..cut].trim(), &span[cut..])
}

/// `1min` → `min`, `10min` → `10 min`: after `per`.
pub fn spaced(span: &str) -> String {
    let cut = span.find(|c: char| c.is_alphabetic()).unwrap_or(span.len());
    let (n, unit) = (span[..cut].trim(), &span[cut..]);
    match n {
        "1" => unit.to_owned(),
        _ => with_unit(n, unit),
    }
}

/// `10–25`, `≤ 27`, `any`: as exact as whoever set them was.
pub fn between(low: Option<f64>, high: Option<f64>) -> String {
    let low = low.filter(|v| v.is_finite());
    let high = high.filter(|v| v.is_finite());
    match (low, high) {
        (Some(l), Some(h)) => number::span(&number::exact(l), &number::exact(h)),
        (Some(l), None) => format!("≥\u{a0}{}", number::exact(l).text),
        (None, Some(h)) => format!("≤\u{a0}{}", number::exact(h).text),
        (None, None) => "any".into(),
    }
}

/// The plain rule for going back.
fn undo(pick: &Pick<'_>) -> String {
    let controls: Vec<&str> = pick.runs.iter().flat_map(|r| &r.case.controls).map(|c| c.signal.as_str()).collect();
    let mut rules: Vec<String> = Vec::new();
    let mut seen: Vec<(&str, u8)> = Vec::new();
    for l in pick.runs.iter().flat_map(|r| &r.case.limits).filter(|l| !controls.contains(&l.signal.as_str())) {
        let unit = number::unit(&l.unit);
        let at = |v: f64| with_unit(&number::exact(v).text, &unit);
        let low = l.low.filter(|v| v.is_finite()).map(|v| format!("{} falls below {}", tag(&l.signal, 40), at(v)));
        let high = l.high.filter(|v| v.is_finite()).map(|v| format!("{} exceeds {}", tag(&l.signal, 40), at(v)));
        for (end, rule) in [(0, high), (1, low)].into_iter().filter_map(|(end, r)| Some((end, r?))) {
            // Of several limits at one end of a signal the first stands for all.
            if !seen.contains(&(l.signal.as_str(), end)) && rules.len() < 2 {
                seen.push((&l.signal, end));
                rules.push(rule);
            }
        }
    }
    rules.push("conditions leave what the log has seen".into());
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let (last, rest) = rules.split_last().map_or(("", &rules[..0]), |(l, r)| (*l, r));
    if rest.is_empty() { format!("{last}.") } else { format!("{}, or {last}.", rest.join(", ")) }
}

/// Each limit in the scenario where the case breaks it, or comes nearest to it; and what is to be said of those that
/// neither the case nor the baseline ever passes and that are limits of controls, which the controller itself keeps.
fn risks(pick: &Pick<'_>, clock: &Clock) -> (Vec<Risk>, String) {
    let is = |list: &[(Run<'_>, &LimitUse)], run: &Run<'_>, l: &LimitUse| {
        list.iter().any(|(r, b)| r.scenario.name == run.scenario.name && b.signal == l.signal && b.kind == l.kind)
    };
    let key = |run: &Run<'_>, l: &LimitUse| {
        (is(&pick.broken, run, l), is(&pick.strained, run, l), l.chance, l.share_beyond, l.worst)
    };
    let mut worst: Vec<(Run<'_>, &LimitUse)> = Vec::new();
    let mut kept = 0;
    let all = pick.runs.iter().flat_map(|run| run.case.limits.iter().map(move |l| (*run, l)));
    for (run, used) in all {
        match worst.iter_mut().find(|(_, l)| l.signal == used.signal && l.kind == used.kind) {
            None => worst.push((run, used)),
            Some(w) if key(&run, used) > key(&w.0, w.1) => *w = (run, used),
            Some(_) => {}
        }
    }
    worst.retain(|(run, l)| {
        let now = verdict::counterpart(l, run.baseline).map_or(0.0, |b| b.chance);
        let control = run.case.controls.iter().any(|c| c.signal == l.signal);
        let quiet = control && l.chance == 0.0 && now == 0.0;
        kept += usize::from(quiet);
        !quiet
    });
    let mut risks: Vec<Risk> = worst
        .into_iter()
        .map(|(run, l)| {
            let unit = number::unit(&l.unit);
            Risk {
                signal: short(&l.signal, 40),
                range: with_unit(&between(l.low, l.high), &unit),
                kind: l.kind.clone(),
                now: number::percent(verdict::counterpart(l, run.baseline).map_or(0.0, |b| b.chance)),
                then: number::percent(l.chance),
                worst: (l.worst > 0.0).then(|| number::signed(l.worst, 2)),
                when: match &l.worst_time {
                    Some(t) if l.worst > 0.0 => {
                        format!("{}, {}", clock.within_run(t), short(&readable(&run.scenario.name), 30))
                    }
                    _ => String::new(),
                },
                unit,
                worse: is(&pick.broken, &run, l),
            }
        })
        .collect();
    // Worse than now first, then hard limits, then by chance.
    risks.sort_by(|a, b| {
        let key = |r: &Risk| (!r.worse, r.kind != "hard");
        key(a).cmp(&key(b)).then(b.then.value.total_cmp(&a.then.value))
    });
    let said = match (kept, risks.is_empty()) {
        (0, _) => "",
        (_, true) => "Only controls have limits; they keep them.",
        (_, false) => "Controls keep their limits.",
    };
    (risks, said.to_owned())
}

fn sure(results: &Results, pick: Option<&Pick<'_>>, clock: &Clock) -> Vec<(&'static str, String)> {
    let mut out = vec![("Claim", "modelled, not measured".to_owned())];
    let p = number::percent_text;
    if let Some(s) = pick.map(|p| p.support) {
        out.push((
            "Experience",
            format!("{} inside the log, {} edge, {} outside", p(s.inside), p(s.edge), p(s.outside)),
        ));
    }
    let m = &results.model;
    let scores = verdict::scores_at_horizon(results);
    if let Some(h) = scores.first().map(|s| s.horizon) {
        let ahead = ahead(h, &m.step);
        let useless: Vec<String> = scores.iter().filter(|s| s.skill <= 0.0).map(|s| tag(&s.signal, 40)).collect();
        let useful = scores.iter().map(|s| s.skill).filter(|v| *v > 0.0).fold(f64::INFINITY, f64::min);
        let grade = match useful {
            v if v.is_infinite() => "none",
            v if v >= 0.5 => "good",
            v if v >= 0.2 => "fair",
            _ => "weak",
        };
        let but = match useless.as_slice() {
            [] => String::new(),
            [one] => format!(", but none of {one}"),
            more => format!(" for {} of {} signals", scores.len() - more.len(), scores.len()),
        };
        out.push((
            "Forecasts",
            match useful.is_finite() {
                true => {
                    format!("{grade}{but}: at least {} less squared error than “no change” {ahead} ahead", p(useful))
                }
                false => format!("none: no better than “no change” {ahead} ahead"),
            },
        ));
        // What is known exactly has no interval to hold.
        let (low, high) = scores
            .iter()
            .filter(|s| s.rmse > 0.0)
            .map(|s| s.coverage[2])
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        if low.is_finite() {
            out.push(("90 % ranges", format!("hold {} of the time", shares(low, high))));
        }
    }
    if !m.model.is_empty() {
        let age = clock
            .days_between(&m.trained_until, &results.provenance.as_of)
            .map(|d| format!(", {} days old", number::plain(d.max(0.0).round(), PROSE).text));
        out.push((
            "Model",
            match age {
                Some(age) => format!("{}{age}", short(&m.model, 30)),
                None => format!("{}, trained until {}", short(&m.model, 30), clock.date(&m.trained_until)),
            },
        ));
    }
    let q = &results.quality;
    // Gaps of the time line split the log; else those of single signals count.
    let of = |line: bool| {
        q.findings
            .iter()
            .filter(|f| f.class == FindingClass::Gap && f.signal.is_empty() == line)
            .map(|f| f.count)
            .sum::<usize>()
    };
    let gaps = match (of(true), of(false)) {
        (0, 0) => "no gaps".to_owned(),
        (0, n) => crate::error::plural(n, "missing stretch").replace("stretchs", "stretches"),
        (n, _) => crate::error::plural(n, "gap"),
    };
    let worst = q.signals.iter().filter(|s| s.coverage.is_finite()).min_by(|a, b| a.coverage.total_cmp(&b.coverage));
    let worst = worst.map(|w| match w.coverage >= 0.9995 {
        true => ", else complete".to_owned(),
        false => format!("; {} {} complete", tag(&w.signal, 40), p(w.coverage)),
    });
    let data = format!("{gaps}{}", worst.unwrap_or_default()).replace("no gaps, else complete", "complete, no gaps");
    out.push(("Data", data));
    out
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

/// `24` steps of `10min` → `4 h`.
pub fn ahead(steps: usize, step: &str) -> String {
    match step.parse::<crate::config::TimeSpan>() {
        Ok(s) => {
            let hours = s.seconds() * steps as f64 / 3600.0;
            let (v, unit) = match hours {
                h if h >= 48.0 => (h / 24.0, "days"),
                h if h >= 1.0 => (h, "h"),
                h if h * 60.0 >= 1.0 => (h * 60.0, "min"),
                h => (h * 3600.0, "s"),
            };
            with_unit(&number::plain(v, PROSE).text, unit)
        }
        Err(_) => crate::error::plural(steps, "step"),
    }
}

fn run(results: &Results, clock: &Clock) -> Vec<(&'static str, String)> {
    let p = &results.provenance;
    let name = |s: &str| if s.is_empty() { "–".to_owned() } else { short(s, 12) };
    vec![
        ("Run", name(&p.run_id)),
        // The report's time is its data's end.
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
