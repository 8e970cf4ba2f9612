//! The parts of a scenario that are not simulated.

use crate::log::Quality;
use crate::scenario::results::ScenarioResult;

use super::duration::hours_text;

/// A sentence without a period about the parts of a scenario in which the log has no data; `None` if there are none.
pub fn skipped(quality: &Quality, s: &ScenarioResult) -> Option<String> {
    let hours = s.span_hours() - s.hours;
    let when = if quality.closed.is_empty() { String::new() } else { format!(" {}", quality.closed) };
    (hours > 0.0).then(|| {
        format!(
            "{} of {} are not simulated, because the log has no data{when}; all figures, measured and simulated, cover \
             the other {}",
            hours_text(hours),
            hours_text(s.span_hours()),
            hours_text(s.hours),
        )
    })
}
