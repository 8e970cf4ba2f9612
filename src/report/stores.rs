//! Describes stores that contain more or less than in the baseline at the end of a scenario.

use crate::scenario::results::{CaseResult, EndContent};

use super::number::{self, PROSE, with_unit};
use super::text::tag;

/// A clause on the stores whose contents at the end of the scenario differ from those in the baseline, or `None` if there
/// are none.
pub fn end_contents(case: &CaseResult) -> Option<String> {
    let stores: Vec<String> = case.end_contents.iter().map(text).collect();
    let differences = if stores.len() == 1 { "this difference" } else { "these differences" };
    let left = stores.len().saturating_sub(MAX_STORES);
    let more = if left > 0 { format!(", and {left} more") } else { String::new() };
    let shown = stores[..stores.len() - left].join(", ");
    (!stores.is_empty()).then(|| format!("ends with {shown}{more}; the saving does not include {differences}"))
}

/// Maximum number of stores in a clause.
const MAX_STORES: usize = 4;

fn text(content: &EndContent) -> String {
    let values = number::aligned(&[content.case, content.baseline], PROSE);
    let worth = content.worth.map_or_else(String::new, |worth| {
        let worth = number::signed(worth, PROSE).text;
        format!("; plans value the difference at {worth} in the unit of the objective")
    });
    format!(
        "{} at {} (baseline: {}{worth})",
        tag(&content.signal, 40),
        with_unit(&values[0].text, &number::unit(&content.unit)),
        values[1].text
    )
}

/// The value of the content that the case leaves in stores in addition to the baseline, in the unit of the objective.
pub fn worth(case: &CaseResult) -> f64 {
    case.end_contents.iter().filter_map(|c| c.worth).sum()
}
