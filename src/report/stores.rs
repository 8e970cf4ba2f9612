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
    format!(
        "ends with {} at {}, the baseline at {}; the saving does not include this difference",
        tag(&content.signal, 40),
        values[0].text,
        with_unit(&values[1].text, &number::unit(&content.unit))
    )
}
