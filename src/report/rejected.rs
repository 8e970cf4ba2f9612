//! The cases that are not recommended, with the reason for each case.

use super::cases::{Answer, RankedCase};
use super::caveats::OUTSIDE_DONT;
use super::number;
use super::saving::Words;
use super::text::{readable, short};

/// Maximum number of cases on the first page.
const MAX_CASES: usize = 3;

/// `“warmer” costs 600 EUR a year more; “night” violates limits of …`. Empty if there is only one case.
pub fn rejected(ranked: &[RankedCase<'_>], words: Words) -> String {
    let Some((pick, others)) = ranked.split_first().filter(|(pick, _)| !pick.is_unpriced()) else {
        return String::new();
    };
    let one = |p: &RankedCase<'_>| format!("“{}” {}", short(&readable(p.case), 40), reason(p, pick, words));
    let mut out: Vec<String> = others.iter().take(MAX_CASES).map(one).collect();
    if others.len() > MAX_CASES {
        out.push(format!("{} more below", others.len() - MAX_CASES));
    }
    if out.is_empty() { String::new() } else { format!("{}.", out.join("; ")) }
}

fn reason(p: &RankedCase<'_>, pick: &RankedCase<'_>, words: Words) -> String {
    let saving = words.amount(&p.saving, "");
    if p.runs.len() < pick.runs.len() {
        return "did not run in all scenarios".into();
    }
    if let Some(why) = p.unseen_effect {
        return format!("cannot be judged: {why}");
    }
    if p.answer == Answer::Unknown {
        return "has an effect that cannot be determined from the log".into();
    }
    if !p.violated.is_empty() {
        return format!("{saving}, but violates limits of {} more often", p.violated_signals());
    }
    if p.is_worse_than_measured() {
        return "is worse than the measured operation".into();
    }
    if let Some(missed) = p.missed_total {
        return format!("{saving}, but {missed}");
    }
    // leaving the logged range is a reason to reject this case only if the chosen case does not leave it as well
    if p.support.outside > OUTSIDE_DONT && pick.support.outside <= OUTSIDE_DONT {
        return format!("is outside the logged range {} of the time", number::percent_text(p.support.outside));
    }
    if p.objective.mean > 0.0 && !p.is_better() {
        return format!("{saving}, which may be due to chance");
    }
    if p.loses_money() {
        return format!("{saving}, which does not cover its cost");
    }
    // A rejected case with a larger saving than the best case must have larger penalties, because the objective
    // determines the ranking.
    if p.saving.value.mean > pick.saving.value.mean || (p.saving.value.mean > 0.0 && p.objective.mean <= 0.0) {
        return format!("{saving}, but {}", p.outweighed_by());
    }
    if p.support.outside > OUTSIDE_DONT {
        return format!(
            "{saving}, also outside the logged range {} of the time",
            number::percent_text(p.support.outside)
        );
    }
    saving
}
