//! Durations as text.

use super::number::{self, PROSE, with_unit};
use crate::config::TimeSpan;
use crate::error::plural;

/// Formats a duration in days, hours, minutes or seconds: `14 days`, `24 h`, `30 min`, `10 s`.
pub fn hours_text(hours: f64) -> String {
    let (value, unit) = match hours {
        h if h >= 48.0 => (h / 24.0, "days"),
        h if h >= 1.0 => (h, "h"),
        h if h * 60.0 >= 1.0 => (h * 60.0, "min"),
        h => (h * 3600.0, "s"),
    };
    with_unit(&number::plain(value, PROSE).text, unit)
}

/// Formats the duration of `steps` time steps: 24 steps of `10min` → `4 h`.
pub fn ahead(steps: usize, step: &str) -> String {
    match step.parse::<TimeSpan>() {
        Ok(s) => hours_text(s.seconds() * steps as f64 / 3600.0),
        Err(_) => plural(steps, "step", "steps"),
    }
}

/// Formats a step with a space before the unit: `1min` → `1 min`.
pub fn step_text(step: &str) -> String {
    let (n, unit) = split(step);
    with_unit(n, unit)
}

/// Formats a step for use after the word "per": `1min` → `min`, `10min` → `10 min`.
pub fn per_step_text(step: &str) -> String {
    match split(step) {
        ("1", unit) => unit.to_owned(),
        (n, unit) => with_unit(n, unit),
    }
}

/// Splits a time span such as `10min` into number and unit.
fn split(span: &str) -> (&str, &str) {
    let (n, unit) = span.split_at(span.find(|c: char| c.is_alphabetic()).unwrap_or(span.len()));
    (n.trim(), unit)
}
