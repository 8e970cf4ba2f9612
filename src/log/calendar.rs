//! Steps of whole days, weeks or parts of a day in the time zone of the plant.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ToSpan};

use super::time;
use crate::config::TwinSpec;
use crate::error::{Error, Result};

const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;
const WEEK_US: i64 = 7 * DAY_US;

/// Returns the time zone in which steps are built: the plant's time zone or, if none is given, the log's time zone.
pub(super) fn zone(spec: &TwinSpec) -> Result<TimeZone> {
    match (&spec.timezone, &spec.log.timezone) {
        (None, Some(_)) => time::zone(&spec.log),
        _ => spec.zone(),
    }
}

/// Returns the start (µs UTC) of each step from the step that contains `first` to the step that contains `last`,
/// followed by the end of the last step. Days begin at local midnight and may have 23 or 25 hours, and weeks begin on
/// Monday. Returns `None` unless the step is a whole number of days, or a part of a day that is longer than one hour
/// and divides the day evenly.
pub(super) fn bounds(first: i64, last: i64, step: i64, spec: &TwinSpec) -> Result<Option<Vec<i64>>> {
    if step % DAY_US != 0 && (step <= HOUR_US || DAY_US % step != 0) {
        return Ok(None);
    }
    let zone = zone(spec)?;
    let civil = |us: i64| Timestamp::from_microsecond(us).ok().map(|t| zone.to_datetime(t));
    let Some(begin) = civil(first) else { return Ok(None) };
    let midnight = |date: Date| date.to_datetime(Time::midnight());
    let mut at: DateTime = if step % WEEK_US == 0 {
        midnight(begin.date().saturating_sub(i64::from(begin.weekday().to_monday_zero_offset()).days()))
    } else if step >= DAY_US {
        midnight(begin.date())
    } else {
        let of_day = (begin.duration_since(midnight(begin.date())).as_micros() as i64).div_euclid(step) * step;
        midnight(begin.date()).saturating_add(of_day.microseconds())
    };
    let mut out = Vec::new();
    loop {
        let start = zone.to_ambiguous_timestamp(at).compatible().map_err(|e| Error::Data(e.to_string()))?;
        let start = start.as_microsecond();
        out.push(start);
        if start > last {
            return Ok(Some(out));
        }
        at = at.saturating_add(step.microseconds());
    }
}

/// Returns the UTC offset (µs), modulo `step`, of the time zone in which steps are built.
pub(super) fn phase(first: i64, step: i64, spec: &TwinSpec) -> Result<i64> {
    let at = Timestamp::from_microsecond(first).unwrap_or(Timestamp::UNIX_EPOCH);
    let offset: Offset = zone(spec)?.to_offset(at);
    Ok((-i64::from(offset.seconds()) * 1_000_000).rem_euclid(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(first: &str, last: &str, step: i64, zone: &str) -> Vec<String> {
        let text = format!(
            "name = \"x\"\nstep = \"1d\"\ntimezone = \"{zone}\"\nsignals = []\n[log]\nfiles = \"a\"\ntime = \"t\""
        );
        let us = |t: &str| t.parse::<Timestamp>().unwrap().as_microsecond();
        let found = bounds(us(first), us(last), step, &toml::from_str(&text).unwrap()).unwrap().unwrap();
        found.iter().map(|t| Timestamp::from_microsecond(*t).unwrap().to_string()).collect()
    }

    #[test]
    fn days_are_local_and_weeks_begin_on_monday() {
        let days = starts("2024-03-30T12:00:00Z", "2024-04-01T12:00:00Z", DAY_US, "Europe/Berlin");
        assert_eq!(
            days,
            ["2024-03-29T23:00:00Z", "2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z", "2024-04-01T22:00:00Z"]
        );
        let weeks = starts("2024-01-04T00:00:00Z", "2024-01-10T00:00:00Z", WEEK_US, "UTC");
        assert_eq!(weeks, ["2024-01-01T00:00:00Z", "2024-01-08T00:00:00Z", "2024-01-15T00:00:00Z"]);
        let shifts = starts("2024-10-27T06:00:00Z", "2024-10-27T08:00:00Z", 8 * HOUR_US, "Europe/Berlin");
        assert_eq!(shifts, ["2024-10-26T22:00:00Z", "2024-10-27T07:00:00Z", "2024-10-27T15:00:00Z"]);
    }
}
