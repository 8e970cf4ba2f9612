//! Periods of a verification, and events that change the consumption but are unrelated to the saving.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A period between two times. The period does not include its end time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    pub from: Timestamp,
    pub to: Timestamp,
}

/// An event that changed the consumption but is unrelated to the saving, such as a new production line. The analysis
/// leaves out all intervals in the period of the event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NonRoutineEvent {
    /// The period, like `2024-05-01..2024-05-07`.
    pub period: String,
    pub reason: String,
}

impl Period {
    /// Parses `FROM..TO`. If `TO` is a date, the period includes that day.
    pub fn parse(text: &str, zone: &TimeZone) -> Result<Self> {
        let invalid = |part: &str| {
            Error::Usage(format!(
                "`{part}` in the period `{text}` is neither a date nor a time; write it like `2024-01-01..2024-03-31` or \
                 `2024-01-01T00:00:00Z..2024-04-01T00:00:00Z`"
            ))
        };
        let (from, to) = text.split_once("..").ok_or_else(|| invalid(text))?;
        let midnight = |date: Date| zone.to_ambiguous_timestamp(date.to_datetime(Time::midnight())).compatible();
        let at = |part: &str, end: bool| {
            let date = part.trim().parse::<Date>();
            match (part.trim().parse::<Timestamp>(), date) {
                (Ok(time), _) => Ok(time),
                (_, Ok(date)) if !part.contains(':') => {
                    let date = if end { date.tomorrow().unwrap_or(date) } else { date };
                    midnight(date).map_err(|_| invalid(part))
                }
                _ => Err(invalid(part)),
            }
        };
        let period = Self { from: at(from, false)?, to: at(to, true)? };
        if period.from >= period.to {
            return Err(Error::Usage(format!("the period `{text}` ends before it begins")));
        }
        Ok(period)
    }

    pub fn overlaps(&self, other: &Self) -> bool {
        self.from < other.to && other.from < self.to
    }
}
