//! The headline of the report and the reasons for it.

use crate::error::plural;
use crate::scenario::results::{ControlEffect, Economics, EffectContrast, KpiResult, Results};

use super::breach::breach;
use super::cases::{Answer, RankedCase};
use super::caveats::OUTSIDE_DONT;
use super::display::Display;
use super::duration::hours_text;
use super::experience::beyond;
use super::losing;
use super::number::{self, Interval, PROSE, with_unit};
use super::outlook;
use super::runs::{completed, failed};
use super::saving::Words;
use super::text::{capitalised, readable, short, tag};

/// What the report on a twin without a control lacks.
const NO_CONTROL: &str = "To compare ways of operating the plant, add to the log what staff can change, such as set-points or \
                          valve positions, with the role “control” in twin.toml.";

/// The answer, the headline (which starts with the answer), and a few sentences with reasons.
pub fn headline(results: &Results, ranked: &[RankedCase<'_>], words: Words) -> (Answer, String, Vec<String>) {
    let Some(pick) = ranked.first() else {
        let failed = failed(results).count();
        let reason = match (failed, results.scenarios.len()) {
            (0, 0) => "There are no scenarios.".to_owned(),
            (0, _) => "Only the baseline was simulated, so there is nothing to compare it with.".to_owned(),
            (n, all) if n == all => "No scenario was completed. See the errors below.".to_owned(),
            (n, _) => {
                format!("No case can be compared with the baseline: {} failed.", plural(n, "scenario", "scenarios"))
            }
        };
        let alone = || completed(results).filter_map(|s| s.cases.first());
        let is_forecast = alone().next().is_some() && alone().all(|c| c.controls.is_empty());
        let mut because = match is_forecast {
            true => outlook::sentences(results).into_iter().chain([NO_CONTROL.to_owned()]).collect(),
            false => vec![reason],
        };
        because.extend(alone().find(|c| c.support.outside > OUTSIDE_DONT).map(|c| {
            let beyond = beyond(c);
            let beyond = if beyond.is_empty() { String::new() } else { format!(": {beyond}") };
            let share = number::percent_text(c.support.outside);
            format!("The baseline itself is outside the logged range {share} of the time{beyond}. Do not rely on its values.")
        }));
        let headline = match is_forecast {
            true => "Don’t expect advice: the twin has no control, so it can only forecast.",
            false => "Don’t change anything based on this report.",
        };
        return (Answer::Dont, headline.into(), because);
    };
    if pick.is_unpriced() {
        let headline = "Unknown which case is better: no KPI has a price.".into();
        let reason = "The tables show how each KPI changes. Give KPIs a price under [objective] in twin.toml.".into();
        return (Answer::Unknown, headline, vec![reason]);
    }
    let case = short(&readable(pick.case), 40);
    let gain = words.sentence(&pick.saving, "");
    let mut because = Vec::new();
    let headline = match pick.answer {
        Answer::Do => format!("Do run “{case}”. It {gain}."),
        Answer::Try => {
            let caveats: Vec<&str> = pick.caveats.iter().map(String::as_str).collect();
            if !caveats.is_empty() {
                because.push(format!("Run it under supervision, because {}.", join(&caveats, 2)));
            }
            match pick.costs_for_a_limit() {
                true => format!("Try “{case}” if its limits must be kept. It {gain}."),
                false => format!("Try “{case}”. It {}.", words.sentence(&pick.saving, "about ")),
            }
        }
        Answer::Unknown => {
            because.extend(pick.unidentified.iter().take(2).map(|c| format!("{}. {}.", c.reason(), c.advice())));
            because.extend(pick.contradicted.iter().take(1).map(|e| contradiction(e)));
            because.extend(pick.unseen_effect.map(|why| format!("{}.", capitalised(why))));
            let is_short = pick.unidentified.is_empty() && pick.contradicted.is_empty();
            let why = if is_short { "a scenario is too short" } else { "the log is inconclusive" };
            return (pick.answer, format!("Unknown whether “{case}” helps: {why}."), because);
        }
        Answer::Dont if pick.objective.mean <= 0.0 => {
            let outweighed =
                if pick.saving.value.mean > 0.0 { format!(", but {}", pick.outweighed_by()) } else { String::new() };
            because.push(format!("The best case, “{case}”, {gain}{outweighed}."));
            because.extend(losing::reason(pick).map(|why| format!("{}.", capitalised(&why))));
            "Don’t change anything: no case is better than the present operation.".into()
        }
        Answer::Dont
            if !pick.is_exact && pick.runs.iter().all(|r| r.case.kpis.iter().all(|k| k.samples.len() == 1)) =>
        {
            because.push(format!("The best case, “{case}”, {gain} in the only simulated future."));
            "Don’t change anything yet: one simulated future cannot show whether the saving is real. Increase `particles`."
                .into()
        }
        Answer::Dont if !pick.is_better() => {
            let among = match pick.alternatives {
                1 => String::new(),
                n => format!(" It is the best of {n} alternatives."),
            };
            because.push(format!("The best case, “{case}”, {gain}.{among} This difference may be due to chance."));
            "Don’t change anything: no case makes a measurable difference.".into()
        }
        Answer::Dont if pick.is_worse_than_measured() => {
            because.push(format!(
                "Compared with the baseline, it {gain}. But in the same period, the measured operation cost less than both."
            ));
            format!("Don’t run “{case}”: the measured operation was better.")
        }
        Answer::Dont if !pick.violated.is_empty() => {
            let signals = pick.violated_signals();
            because.push(format!("It {gain}, but at a higher risk of limit violations."));
            format!("Don’t run “{case}”: it violates limits of {signals} more than the baseline does.")
        }
        Answer::Dont if pick.missed_total.is_some() => {
            because.extend(pick.missed_total.map(|text| format!("It {gain}, but {text}.")));
            format!("Don’t run “{case}”: it violates a limit on a total.")
        }
        Answer::Dont if pick.loses_money() => {
            let purchase = pick.economics.filter(|e| e.capex > 0.0);
            because.extend(pick.economics.map(|e| cost_exceeds_gain(e, &gain)));
            match purchase {
                Some(_) => format!("Don’t buy “{case}”: its gain does not cover its cost."),
                None => format!("Don’t run “{case}”: it costs more than it gains."),
            }
        }
        Answer::Dont => {
            because.push(format!(
                "{} of the time is spent outside the logged range, so the gain is unreliable.",
                number::percent_text(pick.support.outside)
            ));
            format!("Don’t run “{case}”: the log contains no similar operating conditions.")
        }
    };
    if pick.answer == Answer::Dont || pick.costs_for_a_limit() {
        because.extend(breach(ranked, words));
    }
    if pick.answer.advises() {
        because.extend(penalties(results, pick));
        because.extend(
            pick.runs.iter().find_map(|r| r.case.reached.first()).map(|text| format!("{}.", capitalised(text))),
        );
    }
    (pick.answer, headline, because)
}

/// Why the effect of a control does not determine a saving, and what to do.
fn contradiction(e: &ControlEffect) -> String {
    let (control, signal) = (tag(&e.control, 40), tag(&e.signal, 40));
    let Some(EffectContrast { effects, since, size, after_hours, is_slow }) = &e.contrast else {
        return format!(
            "The moves of {control} contradict its effect on {signal} in the model (see “Needs attention”)."
        );
    };
    let effect = |value: f64| with_unit(&number::plain(value, 2).text, &number::unit(&e.unit));
    let [first, second] = effects.map(effect);
    if let Some(hours) = after_hours {
        return format!(
            "More than {} after a move, the effect of {control} on {signal} is {first} in the model, but about {second} in \
             the log. Test a lasting change on the plant first.",
            hours_text(*hours)
        );
    }
    if *is_slow {
        return format!(
            "Right after a move of {control}, {signal} changes by {first}, but by {second} over longer stretches: something \
             that changes slowly, such as fouling, changed together with it. Test this control on the plant first."
        );
    }
    match (since, size) {
        (Some(since), _) => format!(
            "The effect of {control} on {signal} changed during the log: {first} until {since}, {second} since then. \
             Its effect may depend on the season, or the plant was modified (then leave out older rows with `from` in `log`). \
             Test this control again."
        ),
        (None, size) => format!(
            "Moves of {control} by less than {} change {signal} by {first}, larger moves by {second}: something else \
             changed together with them. Test this control on the plant first.",
            number::plain(size.unwrap_or(f64::NAN), 2).text
        ),
    }
}

/// A sentence about the penalties that the case increases or reduces. Penalties have a price in the objective but are
/// not paid, so they are reported in their own units next to the saving.
fn penalties(results: &Results, pick: &RankedCase<'_>) -> Option<String> {
    let cash = results.cash.as_ref()?;
    let run = pick.runs.iter().max_by(|a, b| a.weight.total_cmp(&b.weight))?;
    let kpis = pick.annual.map_or(&run.case.kpis, |a| &a.kpis);
    let is_penalty = |k: &&KpiResult| k.price.is_some_and(|p| p != 0.0) && !cash.kpis.contains(&k.name);
    let changes: Vec<String> = kpis.iter().filter(is_penalty).filter_map(penalty).take(2).collect();
    let place = match pick.annual {
        None if pick.runs.len() > 1 => format!(" in “{}”", short(&readable(&run.scenario.name), 30)),
        _ => String::new(),
    };
    (!changes.is_empty()).then(|| format!("Besides, {}{place}.", changes.join(" and ")))
}

/// `` `violation` falls by 120 K·h (80 to 160) ``; `None` if the change is not measurable.
fn penalty(k: &KpiResult) -> Option<String> {
    let d = k.change.filter(|d| d.measurable)?;
    let (mean, low, high) = if d.mean < 0.0 { (-d.mean, -d.high, -d.low) } else { (d.mean, d.low, d.high) };
    let (i, unit) = match k.kind.is_share() {
        true => (Interval::shares(mean, low, high, PROSE, "percentage\u{a0}points"), String::new()),
        false => {
            let Display { factor, unit } = Display::new(&k.unit, mean.abs());
            (number::within(factor * mean, factor * low, factor * high, PROSE), unit)
        }
    };
    let verb = if d.mean < 0.0 { "falls" } else { "rises" };
    let amount = with_unit(&i.value.text, &unit);
    Some(format!("{} {verb} by {amount} ({} to {})", tag(&k.name, 40), i.low.text, i.high.text))
}

/// A sentence stating that the gain is smaller than the cost.
fn cost_exceeds_gain(e: &Economics, gain: &str) -> String {
    let years = number::plain(e.lifetime_years, PROSE).text;
    format!("It {gain}, but over {years} years this gain is smaller than the cost.")
}

/// Joins strings in the same way as [`list`](super::text::list), but expects them to be already shortened and marked
/// up.
fn join(pieces: &[&str], limit: usize) -> String {
    match pieces {
        [all @ .., last] if pieces.len() <= limit && !all.is_empty() => format!("{} and {last}", all.join(", ")),
        [one] => (*one).to_owned(),
        _ => pieces.iter().take(limit).copied().collect::<Vec<_>>().join(" and "),
    }
}
