//! The reason why MPC performs worse than the baseline.

use super::cases::RankedCase;
use super::saving::Words;
use super::text::{readable, short};

/// Prefix of the description of MPC controllers.
const MPC: &str = "MPC";

/// One sentence for each MPC case that performs worse than the baseline, or whose plans end before their moves take
/// effect. The case of the headline is omitted if the headline already states the reason.
pub fn sentences(ranked: &[RankedCase<'_>], words: Words) -> Vec<String> {
    let others = ranked.iter().enumerate().filter(|(i, p)| *i > 0 || p.objective.mean > 0.0).map(|(_, p)| p);
    let sentence = |p: &RankedCase<'_>| {
        let case = short(&readable(p.case), 40);
        if p.saving.value.mean < 0.0 && p.objective.mean <= 0.0 {
            Some(format!("“{case}” {}: {}.", words.sentence(&p.saving, ""), reason(p)?))
        } else {
            Some(format!("“{case}”: {}.", unseen(p)?))
        }
    };
    others.filter_map(sentence).collect()
}

/// The most likely reason why an MPC case performs worse than the baseline, as a clause; `None` if the case does not
/// use MPC.
pub fn reason(p: &RankedCase<'_>) -> Option<String> {
    p.runs.iter().find(|r| r.case.controller.starts_with(MPC))?;
    if let Some(text) = unseen(p) {
        return Some(text);
    }
    if let Some(note) = p.runs.iter().find_map(|r| r.case.notes.first()) {
        return Some(note.clone());
    }
    Some(
        "within their horizon and with their forecasts, its plans did not find better moves; try a longer `horizon`, \
         another `forecast` or another `planner`"
            .to_owned(),
    )
}

/// A clause that states which effect occurs only after the end of the plans.
fn unseen(p: &RankedCase<'_>) -> Option<String> {
    p.runs.iter().find_map(|r| r.case.unseen.clone())
}
