//! Describes stores that contain more or less than in the baseline at the end of a scenario.

use crate::scenario::results::{CaseResult, EndContent};

use super::number::{self, PROSE, with_unit};
use super::text::tag;

/// One clause for each store whose content at the end of the scenario differs from that in the baseline.
pub fn end_contents(case: &CaseResult) -> impl Iterator<Item = String> {
    case.end_contents.iter().map(text)
}

fn text(content: &EndContent) -> String {
    let values = number::aligned(&[content.case, content.baseline], PROSE);
    let worth = content.worth.map_or_else(String::new, |worth| {
        format!(", which plans value at {} in the unit of the objective", number::signed(worth, PROSE).text)
    });
    format!(
        "ends with {} at {}, the baseline at {}; the saving does not include this difference{worth}",
        tag(&content.signal, 40),
        values[0].text,
        with_unit(&values[1].text, &number::unit(&content.unit))
    )
}

/// The value of the content that the case leaves in stores in addition to the baseline, in the unit of the objective.
pub fn worth(case: &CaseResult) -> f64 {
    case.end_contents.iter().filter_map(|c| c.worth).sum()
}
