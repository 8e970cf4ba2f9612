//! Page one: what to do, what it is worth, how, at what risk, how sure, and what needs looking at.

use crate::scenario::results::{ControlUse, LimitUse, Results};

use super::clock::Clock;
use super::number::{self, Interval, PROSE, Quantity, with_unit};
use super::text::{list, short};
use super::verdict::{self, Answer, Pick, Run};

/// Rows on page one; the scenarios' tables have all.
const MOST_SETPOINTS: usize = 6;
const MOST_RISKS: usize = 5;
const MOST_ALARMS: usize = 5;

#[derive(Debug)]
pub struct Front {
    pub answer: Answer,
    pub headline: String,
    pub who: String,
    pub because: Vec<String>,
    pub figures: Vec<Figure>,
    pub setpoints: Vec<SetPoint>,
    pub setpoints_left: usize,
    pub undo: String,
    pub risks: Vec<Risk>,
    pub risks_left: usize,
    pub sure: Vec<(&'static str, String)>,
    pub alarms: Vec<String>,
    pub alarms_left: usize,
    pub run: Vec<(&'static str, String)>,
}

/// One of the large numbers.
#[derive(Debug)]
pub struct Figure {
    pub label: &'static str,
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
    pub moves: Option<(Quantity, Quantity)>,
    /// `None`: stays as it is.
    pub change: Option<Quantity>,
    pub allowed: String,
    pub ramp: String,
}

#[derive(Debug)]
pub struct Risk {
    pub limit: String,
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
    let (answer, headline, because) = say(results, picks, &money);
    let all_alarms = alarms(results, picks);
    let setpoints = pick.map(|p| setpoints(p, &results.model.step)).unwrap_or_default();
    let risks = pick.map(|p| risks(p, clock)).unwrap_or_default();
    Front {
        answer,
        headline,
        who: format!(
            "For the operators of {}, from the next shift. Compared with the baseline: how the plant runs now.",
            short(&results.plant, 60)
        ),
        because,
        figures: pick.map(|p| figures(p, &money)).unwrap_or_default(),
        setpoints_left: setpoints.len().saturating_sub(MOST_SETPOINTS),
        setpoints: setpoints.into_iter().take(MOST_SETPOINTS).collect(),
        undo: pick.map(undo).unwrap_or_default(),
        risks_left: risks.len().saturating_sub(MOST_RISKS),
        risks: risks.into_iter().take(MOST_RISKS).collect(),
        sure: sure(results, pick, clock),
        alarms_left: all_alarms.len().saturating_sub(MOST_ALARMS),
        alarms: all_alarms.into_iter().take(MOST_ALARMS).collect(),
        run: run(results, clock),
    }
}

/// The verdict: answer, headline, and up to two sentences why.
fn say(results: &Results, picks: &[Pick<'_>], money: &str) -> (Answer, String, Vec<String>) {
    let Some(pick) = picks.first() else {
        let lost = verdict::failed(results).count();
        let why = match (lost, results.scenarios.len()) {
            (0, 0) => "There is no scenario to judge.".to_owned(),
            (0, _) => "Only the baseline was simulated, so there is nothing to compare it with.".to_owned(),
            (n, all) if n == all => "No scenario ran to its end; see the errors below.".to_owned(),
            (n, _) => format!("No case ran beside its baseline; {} failed.", crate::error::plural(n, "scenario")),
        };
        return (Answer::Dont, "Don’t change anything on the strength of this report.".into(), vec![why]);
    };
    let case = short(pick.case, 40);
    let sum = pick.headline();
    let e = number::estimate(&sum.estimate, PROSE);
    let amount = with_unit(e.value.text.trim_start_matches('\u{2212}'), money);
    let range = format!("{} to {}", e.low.text, with_unit(&e.high.text, money));
    let gain = if sum.estimate.p50 >= 0.0 { "saves" } else { "costs" };
    let mut because = Vec::new();
    let headline = match pick.answer {
        Answer::Do => format!("Run “{case}”. It {gain} {amount} {} ({range}).", sum.per),
        Answer::Try => {
            let weak: Vec<&str> = pick.caveats.iter().map(String::as_str).collect();
            because.push(format!("Under supervision only: {}.", list(&weak, 2)));
            format!("Run “{case}” on trial. It {gain} about {amount} {} ({range}).", sum.per)
        }
        Answer::Dont if !pick.saving.measurable => {
            because.push(format!(
                "The best case, “{case}”, would bring {} {} ({range}): no more than chance.",
                with_unit(&e.value.text, money),
                sum.per
            ));
            "Change nothing now: no case makes a measurable difference.".into()
        }
        Answer::Dont if pick.saving.mean <= 0.0 => {
            because.push(format!("The best case, “{case}”, is dearer than the baseline, counting limits broken."));
            "Change nothing now: every case costs more than it saves.".into()
        }
        Answer::Dont if !pick.broken.is_empty() => {
            let signals = broken_signals(pick);
            because.push(format!("It {gain} {amount} {} ({range}), bought with risk.", sum.per));
            format!("Don’t run “{case}”: it takes {} beyond limits more than now.", list(&signals, 2))
        }
        Answer::Dont => {
            because.push(format!(
                "{} of its time lies outside what the log has seen: its saving is a guess.",
                number::percent_text(pick.support.outside)
            ));
            format!("Don’t run “{case}”: nobody knows this ground.")
        }
    };
    (pick.answer, headline, because)
}

fn broken_signals<'a>(pick: &Pick<'a>) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for (_, used, _) in &pick.broken {
        if !names.contains(&used.signal.as_str()) {
            names.push(&used.signal);
        }
    }
    names
}

fn figures(pick: &Pick<'_>, money: &str) -> Vec<Figure> {
    let sum = pick.headline();
    let ranged = |label, i: Interval, what| Figure {
        label,
        value: Some(i.value),
        unit: money.to_owned(),
        range: Some((i.low, i.high, what)),
        note: String::new(),
    };
    let single = |label, value: Option<Quantity>, unit: &str, note: &str| Figure {
        label,
        value,
        unit: unit.to_owned(),
        range: None,
        note: note.to_owned(),
    };
    let label = if sum.per == "a year" { "Saving a year" } else { "Saving" };
    let mut out = vec![ranged(label, number::estimate(&sum.estimate, PROSE), sum.range)];
    match pick.economics {
        Some(e) => {
            out.push(single("One-time cost", Some(number::plain(e.capex, PROSE)), money, ""));
            out.push(ranged("Net present value", number::estimate(&e.npv, PROSE), "P10 to P90"));
            let payback = match e.payback {
                Some(_) if e.capex <= 0.0 => single("Payback", None, "", "at once"),
                Some(y) => single("Payback", Some(number::plain(y, 2)), "years", ""),
                None => single("Payback", None, "", "never"),
            };
            out.push(payback);
        }
        None => out.push(single("One-time cost, payback", None, "", "no economics given")),
    }
    out
}

fn setpoints(pick: &Pick<'_>, step: &str) -> Vec<SetPoint> {
    let mut names: Vec<&str> = Vec::new();
    for c in pick.runs.iter().flat_map(|r| &r.case.controls) {
        if !names.contains(&c.signal.as_str()) {
            names.push(&c.signal);
        }
    }
    names.into_iter().filter_map(|name| setpoint(pick, name, step)).collect()
}

/// One control over all scenarios: means weighted as the year is.
fn setpoint(pick: &Pick<'_>, name: &str, step: &str) -> Option<SetPoint> {
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
    let mut four = number::alike(&[now, advised, low, high], PROSE).into_iter();
    let (now_q, advised_q, low_q, high_q) = (four.next()?, four.next()?, four.next()?, four.next()?);
    let stays = now_q.text == advised_q.text;
    // The change is the difference of what is printed beside it.
    let decimals = now_q.text.split_once('.').map_or(0, |(_, d)| d.len());
    let change = number::fixed(advised - now, i32::try_from(decimals).unwrap_or(0));
    let sign = if advised > now { "+" } else { "" };
    Some(SetPoint {
        signal: name.to_owned(),
        unit: number::unit(&any.unit),
        moves: (low_q.text != high_q.text).then_some((low_q, high_q)),
        change: (!stays).then(|| Quantity { text: format!("{sign}{}", change.text), ..change }),
        now: now_q,
        advised: advised_q,
        allowed: between(any.low, any.high),
        ramp: any
            .max_move
            .map_or_else(|| "any".to_owned(), |m| format!("{} per {}", number::plain(m, PROSE).text, spaced(step))),
    })
}

/// `10min` → `10 min`.
pub fn spaced(span: &str) -> String {
    let cut = span.find(|c: char| c.is_alphabetic()).unwrap_or(span.len());
    let (n, unit) = (span[..cut].trim(), &span[cut..]);
    match n {
        "1" => unit.to_owned(),
        _ => with_unit(n, unit),
    }
}

/// `10 to 25`, `at most 27`, `any`.
pub fn between(low: Option<f64>, high: Option<f64>) -> String {
    let low = low.filter(|v| v.is_finite());
    let high = high.filter(|v| v.is_finite());
    match (low, high) {
        (Some(l), Some(h)) => {
            let t = number::alike(&[l, h], PROSE);
            format!("{} to {}", t[0].text, t[1].text)
        }
        (Some(l), None) => format!("at least {}", number::plain(l, PROSE).text),
        (None, Some(h)) => format!("at most {}", number::plain(h, PROSE).text),
        (None, None) => "any".into(),
    }
}

/// The plain rule for going back.
fn undo(pick: &Pick<'_>) -> String {
    let controls: Vec<&str> = pick.runs.iter().flat_map(|r| &r.case.controls).map(|c| c.signal.as_str()).collect();
    let mut rules: Vec<String> = Vec::new();
    for l in pick.runs.iter().flat_map(|r| &r.case.limits).filter(|l| !controls.contains(&l.signal.as_str())) {
        let unit = number::unit(&l.unit);
        let at = |v: f64| with_unit(&number::plain(v, PROSE).text, &unit);
        let low = l.low.filter(|v| v.is_finite()).map(|v| format!("{} falls below {}", short(&l.signal, 40), at(v)));
        let high = l.high.filter(|v| v.is_finite()).map(|v| format!("{} exceeds {}", short(&l.signal, 40), at(v)));
        for rule in high.into_iter().chain(low) {
            if !rules.contains(&rule) && rules.len() < 2 {
                rules.push(rule);
            }
        }
    }
    rules.push("conditions leave what the log has seen".into());
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let (last, rest) = rules.split_last().map_or(("", &rules[..0]), |(l, r)| (*l, r));
    if rest.is_empty() { format!("{last}.") } else { format!("{}, or {last}.", rest.join(", ")) }
}

/// Each limit in the scenario where the case comes nearest to breaking it.
fn risks(pick: &Pick<'_>, clock: &Clock) -> Vec<Risk> {
    let mut worst: Vec<(Run<'_>, &LimitUse)> = Vec::new();
    for run in &pick.runs {
        for used in &run.case.limits {
            let key = |l: &LimitUse| (l.chance, l.share_beyond, l.worst);
            match worst.iter_mut().find(|(_, l)| l.signal == used.signal && l.kind == used.kind) {
                None => worst.push((*run, used)),
                Some(w) if key(used) > key(w.1) => *w = (*run, used),
                Some(_) => {}
            }
        }
    }
    let mut risks: Vec<Risk> = worst
        .into_iter()
        .map(|(run, l)| {
            let broken = pick.broken.iter().any(|(_, b, _)| b.signal == l.signal && b.kind == l.kind);
            let unit = number::unit(&l.unit);
            Risk {
                limit: format!("{} {}", short(&l.signal, 40), with_unit(&between(l.low, l.high), &unit)),
                kind: l.kind.clone(),
                now: number::percent(verdict::counterpart(l, run.baseline).map_or(0.0, |b| b.chance)),
                then: number::percent(l.chance),
                worst: (l.worst > 0.0).then(|| number::signed(l.worst, 2)),
                unit,
                when: match &l.worst_time {
                    Some(t) if l.worst > 0.0 => format!("{}, {}", clock.within_run(t), short(&run.scenario.name, 30)),
                    _ => String::new(),
                },
                worse: broken,
            }
        })
        .collect();
    // Worse than now first, then hard limits, then by chance.
    risks.sort_by(|a, b| {
        let key = |r: &Risk| (!r.worse, r.kind != "hard");
        key(a).cmp(&key(b)).then(b.then.value.total_cmp(&a.then.value))
    });
    risks
}

fn sure(results: &Results, pick: Option<&Pick<'_>>, clock: &Clock) -> Vec<(&'static str, String)> {
    let mut out = vec![("Claim", "modelled: simulated on a learned twin, not yet measured".to_owned())];
    let p = number::percent_text;
    if let Some(s) = pick.map(|p| p.support) {
        out.push((
            "Experience",
            format!(
                "{} inside what the log has seen, {} at its edge, {} outside",
                p(s.inside),
                p(s.edge),
                p(s.outside)
            ),
        ));
    }
    let m = &results.model;
    let scores = verdict::scores_at_horizon(results);
    if let Some(h) = scores.first().map(|s| s.horizon) {
        let span = |of: fn(&crate::scenario::results::Score) -> f64| {
            let v = scores.iter().map(|s| of(s));
            v.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)))
        };
        let (low, high) = span(|s| s.skill);
        let ahead = ahead(h, &m.step);
        let grade = match low {
            v if v >= 0.5 => "good",
            v if v >= 0.2 => "fair",
            v if v > 0.0 => "weak",
            _ => "none",
        };
        let range = if scores.len() == 1 { p(low.max(-9.99)) } else { format!("{} to {}", p(low.max(-9.99)), p(high)) };
        out.push((
            "Forecasts",
            format!("{grade}: {ahead} ahead, {range} less squared error than “no change”, on unseen data"),
        ));
        let (low, high) = span(|s| s.coverage[2]);
        let range = if scores.len() == 1 { p(low) } else { format!("{} to {}", p(low), p(high)) };
        out.push(("90 % intervals", format!("hold {range} of the time")));
    }
    if !m.model.is_empty() {
        let age = clock
            .days_between(&m.trained_until, &results.provenance.as_of)
            .map(|d| format!(" ({} days before this run’s data end)", number::plain(d.max(0.0).round(), PROSE).text));
        out.push((
            "Model",
            format!(
                "{}, trained until {}{}",
                short(&m.model, 30),
                clock.date(&m.trained_until),
                age.unwrap_or_default()
            ),
        ));
    }
    let q = &results.quality;
    let gaps: usize = q.findings.iter().filter(|f| f.class == "gap").map(|f| f.count).sum();
    let gaps = match gaps {
        0 => "no gaps".to_owned(),
        n => crate::error::plural(n, "gap"),
    };
    let worst = q.signals.iter().filter(|s| s.coverage.is_finite()).min_by(|a, b| a.coverage.total_cmp(&b.coverage));
    let worst = worst.map(|w| format!("; {} is {} complete", short(&w.signal, 40), p(w.coverage)));
    out.push(("Data", format!("{gaps}{}", worst.unwrap_or_default())));
    out
}

/// `24` steps of `10min` → `4 h`.
pub fn ahead(steps: usize, step: &str) -> String {
    match step.parse::<crate::spec::TimeSpan>() {
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

/// What a person must look at, the gravest first.
fn alarms(results: &Results, picks: &[Pick<'_>]) -> Vec<String> {
    let mut out = Vec::new();
    let lost: Vec<&str> = verdict::failed(results).map(|s| s.name.as_str()).collect();
    if !lost.is_empty() {
        out.push(format!("Did not run: {}. Mend and run again.", list(&lost, 3)));
    }
    let gone: Vec<&str> = results.quality.incomplete.iter().map(String::as_str).collect();
    if !gone.is_empty() {
        out.push(format!("Too many values missing: {}. Check the sensors.", list(&gone, 3)));
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
    let off: Vec<&str> = results.model.replay.iter().filter(|r| !r.inside).map(|r| r.kpi.as_str()).collect();
    if !off.is_empty() {
        out.push(format!("The twin, fed the log’s own controls, misses {}.", list(&off, 3)));
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
                short(pick.case, 40),
                list(&told, 3)
            ));
        }
        let more = |p: &&Pick<'_>| p.saving.measurable && p.saving.mean > pick.saving.mean && !p.broken.is_empty();
        if let Some(p) = picks[1..].iter().find(more) {
            let signals = broken_signals(p);
            out.push(format!("“{}” saves more but takes {} beyond limits.", short(p.case, 40), list(&signals, 2)));
        }
    }
    out.extend(results.model.notes.iter().map(|n| short(n, 160)));
    out
}

fn run(results: &Results, clock: &Clock) -> Vec<(&'static str, String)> {
    let p = &results.provenance;
    let name = |s: &str| if s.is_empty() { "–".to_owned() } else { short(s, 12) };
    vec![
        ("Run", name(&p.run_id)),
        ("Data", format!("{} to {}", clock.date(&p.data_start), clock.date(&p.data_end))),
        ("As of", format!("{} ({})", clock.moment(&p.as_of), short(&clock.zone_at(&p.as_of), 50))),
        ("twinopt", name(&p.crate_version)),
        ("Model", name(&p.model_version)),
    ]
}
