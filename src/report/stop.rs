//! Stop conditions, which tell staff when to return to the present operation. Each condition names
//! a quantity and a threshold. Conditions on limits and on the cost also state a duration.

use crate::scenario::results::{InputRange, LimitUse, Results, StopRule, Trend};
use crate::schema::Role;

use super::cases::RankedCase;
use super::duration::hours_text;
use super::number::{self, PROSE, with_unit};
use super::runs::CaseRun;
use super::saving::{self, Words};
use super::text::{readable, short, tag};

/// Maximum number of rules for limits.
const MAX_LIMITS: usize = 2;
/// Maximum number of KPIs that the rule for the cost names.
const MAX_KPIS: usize = 3;

/// The stop conditions as one clause, such as “`inlet` exceeds 27 °C for 30 min, or …”. None of the conditions is true
/// in the simulated scenarios.
pub fn stop(results: &Results, pick: &RankedCase<'_>, words: Words) -> String {
    let mut rules = limits(pick);
    rules.extend(cost(results, pick, words));
    rules.extend(conditions(pick));
    match rules.split_last() {
        None => String::new(),
        Some((only, [])) => format!("{only}."),
        Some((last, rest)) => format!("{}, or {last}.", rest.join(", ")),
    }
}

/// One stop rule for each bound of a limit. If several scenarios have a rule for the same bound,
/// the most tolerant rule applies, so that no scenario triggers the rule.
fn limits(pick: &RankedCase<'_>) -> Vec<String> {
    let controls: Vec<&str> = pick.runs.iter().flat_map(|r| &r.case.controls).map(|c| c.signal.as_str()).collect();
    let mut rules: Vec<(&LimitUse, StopRule)> = Vec::new();
    for l in pick.runs.iter().flat_map(|r| &r.case.limits).filter(|l| !controls.contains(&l.signal.as_str())) {
        for rule in &l.stop {
            let same = |(known, r): &&mut (&LimitUse, StopRule)| {
                (known.signal.as_str(), known.kind, r.above) == (l.signal.as_str(), l.kind, rule.above)
            };
            match rules.iter_mut().find(same) {
                None => rules.push((l, rule.clone())),
                Some((_, known)) => {
                    let further = if rule.above { rule.value > known.value } else { rule.value < known.value };
                    if further || (rule.value == known.value && rule.hours > known.hours) {
                        *known = rule.clone();
                    }
                }
            }
        }
    }
    let mut out: Vec<String> = Vec::new();
    let mut last = None;
    for (limit, rule) in rules.iter().take(MAX_LIMITS) {
        let value = match rule.reached {
            None => number::exact(rule.value),
            Some(_) => number::plain(rule.value, PROSE),
        };
        let unit = number::unit(&limit.unit);
        let value = with_unit(&value.text, &unit);
        let bound = if rule.above { limit.high } else { limit.low };
        let beyond = bound.filter(|_| rule.reached.is_some()).map_or_else(String::new, |bound| {
            format!(" (beyond its limit of {})", with_unit(&number::exact(bound).text, &unit))
        });
        let ends = format!("{value}{beyond} for {}", hours_text(rule.hours));
        let same = last.replace((&limit.signal, rule.above)) == Some((&limit.signal, rule.above));
        match out.last_mut().filter(|_| same) {
            // Two upper limits, or two lower limits, on one signal form one condition.
            Some(text) => *text += &format!(" or {ends}"),
            None => {
                let verb = if rule.above { "exceeds" } else { "falls below" };
                out.push(format!("{} {verb} {ends}", tag(&limit.signal, 40)));
            }
        }
    }
    out
}

/// The condition that the case costs more than the present operation in a comparable period.
fn cost(results: &Results, pick: &RankedCase<'_>, words: Words) -> Option<String> {
    let cash = results.cash.as_ref().filter(|_| pick.saving.value.mean > 0.0)?;
    let run = pick.runs.iter().max_by(|a, b| a.weight.total_cmp(&b.weight))?;
    let before = run.baseline.cash?;
    let income = words == Words::income();
    let value = number::estimate(&before, PROSE).value;
    let text = value.text.trim_start_matches('\u{2212}').to_owned();
    let names: Vec<String> = cash.kpis.iter().map(|k| tag(k, 40)).collect();
    let what = match names.as_slice() {
        names if names.len() <= MAX_KPIS => names.join(" + "),
        _ => "the total cost".to_owned(),
    };
    let (what, verb) = if income { ("the income".to_owned(), "falls below") } else { (what, "exceeds") };
    Some(format!(
        "{what} {verb} {} in {} like “{}”{}",
        with_unit(&text, &saving::unit(results)),
        hours_text(run.scenario.hours),
        short(&readable(&run.scenario.name), 30),
        mean_conditions(run)
    ))
}

/// The mean over a scenario of the first disturbance that is not constant, in brackets, such as
/// ``(mean `outdoor` 3.2 °C)``.
fn mean_conditions(run: &CaseRun<'_>) -> String {
    let mut disturbances = run.case.trends.iter().filter(|t| t.role == Role::Disturbance);
    let mean = |t: &Trend| {
        let values = || t.p50.iter().filter(|v| v.is_finite());
        let mean = values().sum::<f64>() / values().count() as f64;
        let constant = values().zip(values().skip(1)).all(|(a, b)| a == b);
        (mean.is_finite() && !constant).then(|| {
            format!(
                "mean {} {}",
                tag(&t.signal, 40),
                with_unit(&number::plain(mean, PROSE).text, &number::unit(&t.unit))
            )
        })
    };
    disturbances.find_map(mean).map_or_else(String::new, |mean| format!(" ({mean})"))
}

/// A stop condition for the disturbance that comes closest to an end of its logged range. Its threshold is beyond all
/// values in the log and in the scenarios. An end of the range that is a physical limit, such as a humidity of 100 % or
/// a flow of 0, is left out.
fn conditions(pick: &RankedCase<'_>) -> Option<String> {
    let inputs = || pick.runs.iter().flat_map(|r| &r.case.inputs).filter(|i| i.role == Role::Disturbance);
    // How close a run comes to the upper or lower end of the logged range; 1 means that the run reaches this end.
    let position = |(i, above): &(&InputRange, bool)| {
        let distance = if *above { i.run[1] - i.logged[0] } else { i.logged[1] - i.run[0] };
        distance / (i.logged[1] - i.logged[0])
    };
    let highest = |i: &InputRange| i.run[1].max(i.logged[1]);
    let is_physical = |i: &InputRange, above: bool| match i.unit.as_str() {
        _ if !above => i.run[0].min(i.logged[0]) == 0.0,
        "%" => highest(i) >= 99.0,
        "" | "1" => i.logged[0] >= 0.0 && (0.99..=1.0).contains(&highest(i)),
        _ => false,
    };
    let ends = inputs().filter(|i| i.logged[1] > i.logged[0]).flat_map(|i| [(i, false), (i, true)]);
    let ends = ends.filter(|(i, above)| !is_physical(i, *above));
    let (top, above) = ends.max_by(|a, b| position(a).total_cmp(&position(b)))?;
    let end = usize::from(above);
    let all = inputs().filter(|i| i.signal == top.signal).map(|i| i.run[end]);
    let value = all.fold(top.logged[end], if above { f64::max } else { f64::min });
    // The threshold is rounded away from the scenario, so that the scenario itself does not meet the stop condition.
    let place = 10f64.powi(value.abs().max(1e-12).log10().floor() as i32 - 2);
    let value = if above { (value / place - 1e-6).ceil() * place } else { (value / place + 1e-6).floor() * place };
    Some(format!(
        "{} {} {}",
        tag(&top.signal, 40),
        if above { "exceeds" } else { "falls below" },
        with_unit(&number::plain(value, PROSE).text, &number::unit(&top.unit))
    ))
}
