//! Periods of time.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// A period between two times. The period does not include its end time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Period {
    /// Parses `FROM..TO`. If `TO` is a date, the period includes that day.
    ///
    /// # Errors
    /// What is wrong with `text`, and how to write a period.
    pub fn parse(text: &str, zone: &TimeZone) -> Result<Self, String> {
        let invalid = |part: &str| {
            format!(
                "`{part}` in the period `{text}` is neither a date nor a time; write it like `2024-01-01..2024-03-31` or \
                 `2024-01-01T00:00:00Z..2024-04-01T00:00:00Z`"
            )
        };
        let (from, to) = text.split_once("..").ok_or_else(|| invalid(text))?;
        let start = start(from, zone).ok_or_else(|| invalid(from))?;
        let period = Self { from: start, to: end(to, zone).ok_or_else(|| invalid(to))? };
        if period.from >= period.to {
            return Err(format!("the period `{text}` ends before it begins; exchange the two times"));
        }
        Ok(period)
    }

    pub fn overlaps(&self, other: &Self) -> bool {
        self.from < other.to && other.from < self.to
    }
}

/// The time that `text` gives, which is the start of the day if `text` is a date.
pub fn start(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let text = text.trim();
    text.parse::<Timestamp>().ok().or_else(|| midnight(date(text)?, zone))
}

/// The time that `text` gives, which is the end of the day if `text` is a date.
pub fn end(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let text = text.trim();
    text.parse::<Timestamp>().ok().or_else(|| midnight(date(text)?.tomorrow().ok()?, zone))
}

fn date(text: &str) -> Option<Date> {
    text.parse().ok().filter(|_| !text.contains([':', 'T', 't', ' ']))
}

fn midnight(date: Date, zone: &TimeZone) -> Option<Timestamp> {
    zone.to_ambiguous_timestamp(date.to_datetime(Time::midnight())).compatible().ok()
}
