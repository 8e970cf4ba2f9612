//! The hours of the week in which a plant runs, learned from the steps of its log with measured values.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::weekdays::{WEEK, names};
use crate::config::TwinSpec;
use crate::error::Result;
use crate::schema::{Role, Signal};
use crate::trajectory::Trajectory;

/// 1980-01-01 in seconds since 1970.
const OLDEST: i64 = 315_532_800;
const HOUR_MS: i64 = 3_600_000;
const HOURS: usize = 7 * 24;
/// Minimum length of a log, in weeks, from which operating hours are learned (not tuned).
const MIN_WEEKS: usize = 4;
/// An hour of the week is closed if the log has values in at most this fraction of the weeks, and open if it has values
/// in at least the second fraction of the weeks (not tuned).
const CLOSED: f64 = 0.05;
const OPEN: f64 = 0.5;
/// Minimum number of consecutive closed hours (not tuned). A shorter pause, such as that of a nightly backup of the
/// logger, does not show that the plant is closed.
const MIN_CLOSED: usize = 4;

/// The hours of the local week in which a log never has measured values, such as the hours of the weekend.
#[derive(Debug, Clone)]
pub struct OperatingHours {
    zone: TimeZone,
    /// One entry for each hour of the week, starting on Monday.
    closed: Vec<bool>,
}

/// The hours of the week in which the plant of `log` runs, in the time zone of the plant. `None` if no hour is always
/// closed, or if the times are counted from an unknown start.
///
/// # Errors
/// The errors of [`TwinSpec::zone`].
pub fn operating_hours(log: &Trajectory, spec: &TwinSpec) -> Result<Option<OperatingHours>> {
    let zone = spec.zone()?;
    Ok(Some(log).filter(|log| !is_relative(log.time(log.steps))).and_then(|log| OperatingHours::new(log, zone)))
}

/// Whether the times of a log that ends at `end` are counted from an unknown start. This is assumed if `end` is before
/// 1980, because no log of a plant is that old.
pub fn is_relative(end: Timestamp) -> bool {
    end.as_second() < OLDEST
}

impl OperatingHours {
    /// Learns the operating hours. `None` if the plant runs at all hours, if its hours are irregular, or if the log is
    /// shorter than four weeks.
    fn new(log: &Trajectory, zone: TimeZone) -> Option<Self> {
        let first = log.time(0).as_millisecond().div_euclid(HOUR_MS);
        let hours = usize::try_from(log.time(log.steps).as_millisecond().div_euclid(HOUR_MS) - first).ok()?;
        if hours < MIN_WEEKS * HOURS {
            return None;
        }
        let mut measured = vec![0i64; hours + 1];
        let values = Measured::new(log);
        for t in log.segments.iter().flat_map(Clone::clone).filter(|t| values.any(*t)) {
            let end = log.time(t + 1).as_millisecond();
            let mut from = log.time(t).as_millisecond();
            while from < end {
                let hour = from.div_euclid(HOUR_MS);
                let to = end.min((hour + 1) * HOUR_MS);
                if let Some(ms) = usize::try_from(hour - first).ok().and_then(|h| measured.get_mut(h)) {
                    *ms += to - from;
                }
                from = to;
            }
        }
        let mut counts = vec![(0usize, 0usize); HOURS];
        for (h, ms) in (first..).zip(&measured[..hours]) {
            let slot = Timestamp::from_millisecond(h * HOUR_MS).ok().map(|t| hour_of_week(t, &zone))?;
            counts[slot].0 += 1;
            counts[slot].1 += usize::from(2 * ms >= HOUR_MS);
        }
        let share: Vec<f64> = counts.iter().map(|(all, measured)| *measured as f64 / (*all).max(1) as f64).collect();
        let regular = share.iter().all(|s| *s <= CLOSED || *s >= OPEN);
        let free = |h: usize| share[h % HOURS] <= CLOSED;
        // the number of free hours before or after hour `h`, at most `MIN_CLOSED`
        let before = |h: usize| (1..=MIN_CLOSED).take_while(|k| free(h + HOURS - k)).count();
        let after = |h: usize| (1..=MIN_CLOSED).take_while(|k| free(h + k)).count();
        let closed: Vec<bool> = (0..HOURS).map(|h| free(h) && before(h) + 1 + after(h) >= MIN_CLOSED).collect();
        (regular && closed.contains(&true) && closed.contains(&false)).then_some(Self { zone, closed })
    }

    /// Whether the plant never runs at this time.
    pub fn is_closed(&self, time: Timestamp) -> bool {
        self.closed[hour_of_week(time, &self.zone)]
    }

    /// Number of hours from `from` to `to` in which the plant never runs.
    pub fn closed_hours(&self, from: Timestamp, to: Timestamp) -> usize {
        let hours = usize::try_from(to.duration_since(from).as_hours()).unwrap_or(0);
        let at = |h: &usize| from.checked_add(SignedDuration::from_hours(*h as i64)).is_ok_and(|t| self.is_closed(t));
        (0..hours).filter(at).count()
    }

    /// Operating time of the plant per year, in days of 24 hours.
    pub fn days_per_year(&self) -> f64 {
        let open = self.closed.iter().filter(|c| !**c).count();
        (365.0 * open as f64 / HOURS as f64).round()
    }

    /// The closed hours in words, such as `on Saturday and Sunday` or `from 22:00 to 06:00`.
    pub fn text(&self) -> String {
        let day = |d: usize| &self.closed[24 * d..24 * (d + 1)];
        let (free, used): (Vec<usize>, Vec<usize>) = (0..7).partition(|d| day(*d).iter().all(|c| *c));
        let days: Vec<_> = free.iter().map(|d| WEEK[*d]).collect();
        let days = names(&days).map(|days| format!("on {days}"));
        let usual = day(used.first().copied().unwrap_or(0));
        let same = used.iter().all(|d| day(*d) == usual);
        // hours at which the plant closes and opens
        let changes: Vec<usize> = (0..24).filter(|h| usual[*h] != usual[(h + 23) % 24]).collect();
        let night = match changes[..] {
            _ if !same => None,
            [] => Some(None),
            [a, b] => {
                let (from, to) = if usual[a] { (a, b) } else { (b, a) };
                Some(Some(format!("from {from:02}:00 to {to:02}:00")))
            }
            _ => None,
        };
        match (days, night) {
            (Some(days), Some(None)) => days,
            (None, Some(Some(night))) => night,
            (Some(days), Some(Some(night))) => format!("{days}, and on the other days {night}"),
            _ => format!("in {} of the 168 hours of the week", self.closed.iter().filter(|c| **c).count()),
        }
    }
}

/// The signals of a log that are measured. Controls and set-points are left out, because the reader repeats their last
/// values.
pub struct Measured<'a> {
    columns: Vec<&'a Vec<f64>>,
}

impl<'a> Measured<'a> {
    pub fn new(log: &'a Trajectory) -> Self {
        let is_measured = |s: &Signal| matches!(s.role, Role::State | Role::Output | Role::Disturbance);
        let constant = |c: &[f64]| c.first().is_some_and(|v| v.is_finite() && c.iter().all(|w| w == v));
        let signals = log.schema.signals.iter().zip(&log.columns);
        Self { columns: signals.filter(|(s, c)| is_measured(s) && !constant(c)).map(|(_, c)| c).collect() }
    }

    /// Whether any signal has a value at step `t` of a log with one particle.
    pub fn any(&self, t: usize) -> bool {
        self.columns.iter().any(|c| c[t].is_finite())
    }
}

fn hour_of_week(time: Timestamp, zone: &TimeZone) -> usize {
    let local = zone.to_datetime(time);
    let day = usize::try_from(local.weekday().to_monday_zero_offset()).unwrap_or(0);
    24 * day + usize::from(local.hour().unsigned_abs())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::schema::Schema;
    use crate::units::Unit;

    /// 1 January 2024, a Monday.
    const MONDAY: i64 = 1_704_067_200;

    /// The operating hours that are learned from a log of ten weeks with a step of `minutes`. The log has values only
    /// in hours for which `runs(day, hour)` is true.
    fn learned(minutes: i64, zone: &str, runs: impl Fn(i64, i64) -> bool) -> Option<OperatingHours> {
        let signal = Signal::open("power", Role::Output, Unit::parse("kW").unwrap());
        let start = Timestamp::from_second(MONDAY).unwrap();
        let steps = usize::try_from(70 * 1440 / minutes).unwrap();
        let mut log = Trajectory::empty(Arc::new(Schema::new(vec![signal])), start, 60_000 * minutes, steps, 1);
        for t in 0..steps {
            let hour = t as i64 * minutes / 60;
            log.columns[0][t] = if runs(hour / 24, hour % 24) { t as f64 } else { f64::NAN };
        }
        OperatingHours::new(&log, crate::zone::zone(zone).unwrap())
    }

    #[test]
    fn closed_hours_are_learned() {
        let week = learned(60, "UTC", |day, _| day % 7 < 5).unwrap();
        assert_eq!((week.text().as_str(), week.days_per_year()), ("on Saturday and Sunday", 261.0));
        let shifts = learned(15, "UTC", |_, hour| (6..22).contains(&hour)).unwrap();
        assert_eq!((shifts.text().as_str(), shifts.days_per_year()), ("from 22:00 to 06:00", 243.0));
        let both = learned(60, "Europe/Berlin", |day, hour| day % 7 < 6 && (5..21).contains(&hour)).unwrap();
        assert_eq!(both.text(), "on Sunday, and on the other days from 22:00 to 06:00");
        let daily = learned(1440, "UTC", |day, _| day % 7 != 0).unwrap();
        assert_eq!((daily.text().as_str(), daily.days_per_year()), ("on Monday", 313.0));
        let at = |hours: i64| Timestamp::from_second(MONDAY + 3600 * hours).unwrap();
        // from Friday 20:00 to Monday 01:00
        assert_eq!(week.closed_hours(at(4 * 24 + 20), at(7 * 24 + 1)), 48);
    }

    #[test]
    fn no_hours_are_learned_from_irregular_or_complete_logs() {
        assert!(learned(60, "UTC", |_, _| true).is_none());
        // a backup of the logger
        assert!(learned(60, "UTC", |_, hour| hour != 2).is_none());
        // one week in five without data, and a plant that is closed every second Saturday
        assert!(learned(60, "UTC", |day, _| day / 7 % 5 > 0).is_none());
        assert!(learned(60, "UTC", |day, _| day % 7 < 5 || day / 7 % 3 == 0).is_none());
    }
}
