//! Lists the signals that leave their logged range, with the values that they reach.

use crate::scenario::results::{CaseResult, InputRange};

use super::caveats::OUTSIDE_TRY;
use super::number::{self, PROSE, with_unit};
use super::text::tag;

/// Maximum number of signals on the first page.
const MAX_SIGNALS: usize = 2;

/// `` `outdoor` reaches 34.2 °C, model trained up to 20.4 °C ``, for the signals that are most often
/// outside their logged range. Empty if no signal leaves the range of its logged values.
pub fn beyond(case: &CaseResult) -> String {
    let mut far: Vec<&InputRange> = case.inputs.iter().filter(|i| i.outside > 0.0).collect();
    far.sort_by(|a, b| b.outside.total_cmp(&a.outside));
    let text = |i: &&InputRange| {
        let unit = number::unit(&i.unit);
        let above = i.run[1] - i.logged[1] >= i.logged[0] - i.run[0];
        let (reached, logged, verb, end) = match above {
            true => (i.run[1], i.logged[1], "reaches", "up to"),
            false => (i.run[0], i.logged[0], "falls to", "down to"),
        };
        // Values of different size are not aligned, because the smaller one would be rounded too much.
        let values = match reached.abs() > 10.0 * logged.abs() {
            true => vec![number::plain(reached, PROSE), number::plain(logged, PROSE)],
            false => number::aligned(&[reached, logged], PROSE),
        };
        format!(
            "{} {verb} {}, model trained {end} {}",
            tag(&i.signal, 40),
            with_unit(&values[0].text, &unit),
            with_unit(&values[1].text, &unit)
        )
    };
    far.iter().take(MAX_SIGNALS).map(text).collect::<Vec<_>>().join("; ")
}

/// A clause that states how often a case is outside the logged range, and which signals leave it.
/// `None` if the case is rarely outside.
pub fn warning(case: &CaseResult) -> Option<String> {
    let (outside, beyond) = (case.support.outside, beyond(case));
    (outside > OUTSIDE_TRY).then(|| {
        let signals = if beyond.is_empty() { String::new() } else { format!(" ({beyond})") };
        format!("{} of the time is spent outside the logged range{signals}", number::percent_text(outside))
    })
}
