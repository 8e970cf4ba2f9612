//! The periods of limits on totals, such as "5 kWh by 6:00", "never between 17:00 and 20:00" or "at most 3 h a day".

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::Weekdays;
use crate::schema::Bounds;

/// A recurring period in local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// A part of each day, in minutes since midnight. The period ends on the next day if `to` is not later than `from`.
    /// `days` contains the days of the week on which the period begins.
    Daily { days: Weekdays, from: u32, to: u32 },
    /// Consecutive periods of this length in milliseconds. Days start at midnight, and weeks start on Monday.
    Every(i64),
}

const DAY: i64 = 24 * 60;
const DAY_MS: i64 = DAY * 60_000;
const HOUR_MS: i64 = 3_600_000;
/// 1970-01-01, on which Unix time begins, was a Thursday, three days after a Monday.
const SINCE_MONDAY_MS: i64 = 3 * DAY_MS;

impl Period {
    /// Length of the period in milliseconds.
    pub fn ms(self) -> i64 {
        match self {
            Self::Every(ms) => ms,
            Self::Daily { from, to, .. } => match (i64::from(to) - i64::from(from)).rem_euclid(DAY) {
                0 => DAY_MS,
                minutes => minutes * 60_000,
            },
        }
    }

    /// Number of the period that contains the step of length `step_ms` which starts at `time`;
    /// `None` if no period contains the step.
    pub fn number(self, time: Timestamp, step_ms: i64, zone: &TimeZone) -> Option<i64> {
        let offset = i64::from(zone.to_offset(time).seconds()) * 1_000;
        let local = time.as_millisecond().checked_add(offset)?;
        // After a clock change, a step of several hours or of a day may start an hour too early or too late.
        let unit = step_ms.min(DAY_MS);
        let local = if unit > HOUR_MS { (local + unit / 2).div_euclid(unit) * unit } else { local };
        match self {
            Self::Every(ms) => Some((local + SINCE_MONDAY_MS).div_euclid(ms.max(1))),
            Self::Daily { days, from, .. } => {
                let since = (local - i64::from(from) * 60_000).rem_euclid(DAY_MS);
                let day = (local - since).div_euclid(DAY_MS);
                let weekday = (day + SINCE_MONDAY_MS / DAY_MS).rem_euclid(7);
                let is_listed = days.days().any(|d| i64::from(d) == weekday);
                (is_listed && since < self.ms()).then_some(day)
            }
        }
    }
}

/// A limit on the total of a planned control.
#[derive(Debug, Clone)]
pub(super) struct PlannedTotal {
    /// Index of the control among the planned controls.
    pub control: usize,
    /// Limits on the total over the horizon, or over each period.
    pub bounds: Bounds,
    pub period: Option<Period>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_may_include_midnight() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let daily = |from, to| Period::Daily { days: Weekdays::EVERY_DAY, from, to };
        let number = |from, to, text: &str| daily(from, to).number(text.parse().unwrap(), 60_000, &zone);
        // 2024-01-10 is day 19732 since 1970. The offset from UTC is one hour.
        let day = |text| number(17 * 60, 20 * 60, text);
        assert_eq!(
            ["2024-01-10T15:59:00Z", "2024-01-10T16:00:00Z", "2024-01-10T18:59:00Z", "2024-01-10T19:00:00Z"].map(day),
            [None, Some(19_732), Some(19_732), None]
        );
        let night = |text| number(22 * 60, 6 * 60, text);
        assert_eq!(
            ["2024-01-10T20:59:00Z", "2024-01-10T21:00:00Z", "2024-01-11T04:59:00Z", "2024-01-11T05:00:00Z"].map(night),
            [None, Some(19_732), Some(19_732), None]
        );
        // 2024-01-10 is a Wednesday. A period that begins on Wednesday evening ends on Thursday morning.
        let wednesday = Period::Daily { days: "wed".parse().unwrap(), from: 22 * 60, to: 6 * 60 };
        let wednesday = |text: &str| wednesday.number(text.parse().unwrap(), 60_000, &zone);
        assert_eq!(
            ["2024-01-10T04:59:00Z", "2024-01-10T21:00:00Z", "2024-01-11T04:59:00Z", "2024-01-11T21:00:00Z"]
                .map(wednesday),
            [None, Some(19_732), Some(19_732), None]
        );
        let whole = |text| number(0, 0, text);
        assert_eq!(["2024-01-10T22:59:00Z", "2024-01-10T23:00:00Z"].map(whole), [Some(19_732), Some(19_733)]);
        assert_eq!([(0, 0), (60, 120), (120, 60)].map(|(from, to)| daily(from, to).ms() / 60_000), [1440, 60, 1380]);
    }

    #[test]
    fn days_start_at_midnight_and_weeks_on_monday() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let number =
            |days: i64, text: &str| Period::Every(days * DAY_MS).number(text.parse().unwrap(), 60_000, &zone).unwrap();
        let starts = |days: i64, before: &str, after: &str| number(days, after) == number(days, before) + 1;
        assert!(starts(1, "2024-01-10T22:59:00Z", "2024-01-10T23:00:00Z"));
        // in summer, the offset from UTC is two hours
        assert!(starts(1, "2024-07-10T21:59:00Z", "2024-07-10T22:00:00Z"));
        // 2024-01-15 is a Monday
        assert!(starts(7, "2024-01-14T22:59:00Z", "2024-01-14T23:00:00Z"));
        assert_eq!(number(7, "2024-01-14T23:00:00Z"), number(7, "2024-01-21T22:59:00Z"));
        // if days are counted in steps of 24 h from a day in summer, they start at 23:00 in winter
        let day = |text: &str| Period::Every(DAY_MS).number(text.parse().unwrap(), DAY_MS, &zone).unwrap();
        assert_eq!(day("2024-10-28T22:00:00Z"), day("2024-10-28T23:00:00Z"));
    }
}
