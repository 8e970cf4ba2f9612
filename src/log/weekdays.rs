//! Finds the weekdays on which a log never has rows, such as Saturday and Sunday if the plant is closed at weekends.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::ToSpan;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;

use crate::schema::{Role, Signal};
use crate::trajectory::Trajectory;

/// Minimum number of weeks from which free weekdays are inferred (not tuned).
const MIN_WEEKS: usize = 4;
/// Maximum number of free weekdays.
const MAX_FREE: usize = 3;
pub(super) const WEEK: [Weekday; 7] = [
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
    Weekday::Saturday,
    Weekday::Sunday,
];

/// The weekdays on which a log never has rows.
#[derive(Debug, Clone)]
pub(super) struct FreeDays {
    zone: TimeZone,
    days: Vec<Weekday>,
}

impl FreeDays {
    /// Finds the free weekdays from sorted times (µs UTC). A weekday is free if it has rows in at most 5 % of the
    /// weeks, although at least 4 other weekdays have rows in at least half of the weeks (not tuned).
    pub fn new(time: &[i64], zone: TimeZone) -> Self {
        let mut dates: BTreeSet<Date> = BTreeSet::new();
        let mut last = (i64::MAX, i64::MIN);
        for t in time {
            // Most time stamps lie on the same day as the preceding time stamp.
            if (last.0..last.1).contains(t) {
                continue;
            }
            let Some(date) = date(*t, &zone) else { continue };
            dates.insert(date);
            last = (*t, midnight(date.saturating_add(1.day()), &zone));
        }
        let weeks = match (dates.first(), dates.last()) {
            (Some(a), Some(b)) => usize::try_from((b.duration_since(*a).as_hours() / 24 + 1) / 7).unwrap_or(0),
            _ => 0,
        };
        let on = |day: Weekday| dates.iter().filter(|d| d.weekday() == day).count();
        let days: Vec<Weekday> = WEEK.into_iter().filter(|d| 20 * on(*d) <= weeks).collect();
        let used = WEEK.into_iter().filter(|d| 2 * on(*d) >= weeks).count();
        let is_week = weeks >= MIN_WEEKS && days.len() <= MAX_FREE && used + days.len() == 7;
        Self { zone, days: if is_week { days } else { Vec::new() } }
    }

    /// Whether the log never has rows on the weekday of `date`.
    pub fn contains(&self, date: Date) -> bool {
        self.days.contains(&date.weekday())
    }

    /// Returns the local date of a time (µs UTC).
    pub fn date(&self, time: i64) -> Option<Date> {
        date(time, &self.zone)
    }

    /// Moves `from` back and `to` forward over adjacent free days.
    pub fn extend(&self, from: i64, to: i64) -> (i64, i64) {
        let (mut start, mut end) = (from, to);
        let is_free = |d: Date| self.contains(d);
        for _ in 0..self.days.len() {
            if let Some(before) = date(start - 1, &self.zone).filter(|d| is_free(*d)) {
                start = midnight(before, &self.zone);
            }
            if let Some(after) = date(end, &self.zone).filter(|d| is_free(*d)) {
                end = midnight(after.saturating_add(1.day()), &self.zone);
            }
        }
        (start, end)
    }

    /// Lists the free weekdays, like `Saturday and Sunday`; `None` if there are none.
    pub fn list(&self) -> Option<String> {
        names(&self.days)
    }
}

/// Lists weekdays, like `Saturday and Sunday`; `None` if there are none.
pub(super) fn names(days: &[Weekday]) -> Option<String> {
    let names: Vec<String> = days.iter().map(|d| format!("{d:?}")).collect();
    match &names[..] {
        [] => None,
        [one] => Some(one.clone()),
        [first @ .., last] => Some(format!("{} and {last}", first.join(", "))),
    }
}

/// Lists the weekdays on which no signal was measured, such as `Saturday and Sunday`; `None` if there is no such
/// weekday.
pub fn free_days(log: &Trajectory, zone: TimeZone) -> Option<String> {
    // the reader repeats the last values of controls and set-points
    let is_repeated = |s: &Signal| matches!(s.role, Role::Control | Role::Setpoint);
    let signals = || log.schema.signals.iter().zip(&log.columns).filter(|(s, _)| !is_repeated(s));
    let has_value = |t: &usize| signals().any(|(_, column)| column[*t].is_finite());
    let time: Vec<i64> = (0..log.steps).filter(has_value).map(|t| log.time(t).as_microsecond()).collect();
    FreeDays::new(&time, zone).list()
}

fn date(us: i64, zone: &TimeZone) -> Option<Date> {
    Timestamp::from_microsecond(us).ok().map(|t| zone.to_datetime(t).date())
}

/// The start (µs UTC) of a local day.
fn midnight(date: Date, zone: &TimeZone) -> i64 {
    let start = zone.to_ambiguous_timestamp(date.to_datetime(Time::midnight())).compatible();
    start.map_or(i64::MAX, Timestamp::as_microsecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000;
    /// 2024-01-01, a Monday.
    const MONDAY: i64 = 1_704_067_200_000_000;

    fn free(days: impl Iterator<Item = i64>) -> FreeDays {
        FreeDays::new(&days.map(|d| MONDAY + d * DAY).collect::<Vec<_>>(), TimeZone::UTC)
    }

    #[test]
    fn weekdays_without_rows_are_free() {
        let names = |days: &mut dyn Iterator<Item = i64>| free(days).list();
        assert_eq!(names(&mut (0..60).filter(|d| d % 7 < 5)), Some("Saturday and Sunday".into()));
        assert_eq!(names(&mut (0..60).filter(|d| d % 7 != 6)), Some("Sunday".into()));
        assert_eq!(names(&mut (0..60)), None);
        // a log with rows on every third day, and a log that is too short
        assert_eq!(names(&mut (0..60).filter(|d| d % 3 == 0)), None);
        assert_eq!(names(&mut (0..20).filter(|d| d % 7 < 5)), None);
    }

    #[test]
    fn a_week_that_ends_on_friday_is_complete() {
        let days = free((0..60).filter(|d| d % 7 < 5));
        let at = |day: i64| MONDAY + day * DAY;
        assert_eq!(days.extend(at(0), at(5)), (at(-2), at(7)));
        assert_eq!(days.extend(at(1), at(3)), (at(1), at(3)));
    }
}
