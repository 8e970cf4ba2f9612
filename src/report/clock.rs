//! Formats UTC times as local times.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};

use crate::period::Period;

/// The plant's time zone.
#[derive(Debug, Clone)]
pub struct Clock {
    zone: TimeZone,
    name: String,
    unknown: Option<String>,
    /// Whether times are counted from an unknown start, so that days have numbers instead of dates.
    relative: bool,
}

impl Clock {
    /// The clock of the IANA time zone `name`, or of UTC if the name is unknown.
    pub fn new(name: &str) -> Self {
        let relative = false;
        match crate::zone::zone(name) {
            Ok(zone) => Self { zone, name: name.to_owned(), unknown: None, relative },
            Err(_) => Self { zone: TimeZone::UTC, name: "UTC".to_owned(), unknown: Some(name.to_owned()), relative },
        }
    }

    /// The clock of times that are counted from an unknown start.
    pub fn relative() -> Self {
        Self { zone: TimeZone::UTC, name: "counted from the start".to_owned(), unknown: None, relative: true }
    }

    /// The text of a local time. The first day of relative times is day 1.
    fn text(&self, at: &ZonedDateTime, pattern: &str) -> String {
        let origin = Timestamp::UNIX_EPOCH.to_zoned_datetime(self.zone.clone()).date();
        match self.relative {
            false => at.strftime(pattern).to_string(),
            true if !pattern.contains("%-d") && !pattern.contains("%Y") => at.strftime(pattern).to_string(),
            true => {
                let day = format!("day {}", at.date().duration_since(origin).as_hours() / 24 + 1);
                if pattern.contains("%H") { format!("{day}, {}", at.strftime("%H:%M")) } else { day }
            }
        }
    }

    /// The requested time zone if it is unknown and UTC is used instead; otherwise `None`.
    pub fn unknown(&self) -> Option<&str> {
        self.unknown.as_deref()
    }

    pub fn local(&self, utc: &str) -> Option<ZonedDateTime> {
        utc.parse::<Timestamp>().ok().map(|t| t.to_zoned_datetime(self.zone.clone()))
    }

    /// The local date, such as `15 Jul 2024`, or `utc` unchanged if it is not a valid time.
    pub fn date(&self, utc: &str) -> String {
        self.format(utc, "%-d %b %Y")
    }

    /// The local date and time, such as `15 Jul 2024 14:30`.
    pub fn moment(&self, utc: &str) -> String {
        self.format(utc, "%-d %b %Y %H:%M")
    }

    /// The local time without the year, such as `Mon 15 Jul 14:30`, for the axes and tables of a run.
    pub fn within_run(&self, utc: &str) -> String {
        self.format(utc, "%a %-d %b %H:%M")
    }

    /// The first and last day of a period, such as `1 Apr 2024 to 29 Apr 2024`. Each end includes
    /// the time of day if it is not midnight.
    pub fn period(&self, period: &Period) -> String {
        let midnight = |at: Timestamp| at.to_zoned_datetime(self.zone.clone()).time() == Time::midnight();
        let text = |at: Timestamp| at.to_string();
        let from = if midnight(period.from) { self.date(&text(period.from)) } else { self.moment(&text(period.from)) };
        // The end is not part of the period.
        let last = period.to - SignedDuration::from_secs(1);
        let to = if midnight(period.to) { self.date(&text(last)) } else { self.moment(&text(period.to)) };
        format!("{from} to {to}")
    }

    /// The start of a local day, as a UTC time stamp.
    pub fn midnight(&self, day: Date) -> String {
        let start = day.to_datetime(Time::midnight()).to_zoned_datetime(self.zone.clone());
        start.map_or_else(|_| day.to_string(), |z| z.timestamp().to_string())
    }

    /// Hours from `a` to `b`.
    pub fn hours_between(&self, a: &str, b: &str) -> Option<f64> {
        self.days_between(a, b).map(|days| 24.0 * days)
    }

    /// The local day and, unless it is midnight, the time: `15 Jul` or `15 Jul 14:30`.
    pub fn day(&self, utc: &str) -> String {
        let midnight = self.local(utc).is_some_and(|z| (z.hour(), z.minute()) == (0, 0));
        self.format(utc, if midnight { "%-d %b" } else { "%-d %b %H:%M" })
    }

    fn format(&self, utc: &str, pattern: &str) -> String {
        self.local(utc).map_or_else(|| utc.to_owned(), |z| self.text(&z, pattern))
    }

    /// The time zone and its offset at `utc`: `Europe/Berlin, UTC+02:00`, or `UTC`.
    pub fn zone_at(&self, utc: &str) -> String {
        let offset = self.local(utc).map_or_else(|| "+00:00".to_owned(), |z| z.strftime("%:z").to_string());
        if self.name == "UTC" || self.relative { self.name.clone() } else { format!("{}, UTC{offset}", self.name) }
    }

    /// Days from `a` to `b`.
    pub fn days_between(&self, a: &str, b: &str) -> Option<f64> {
        let seconds = self.local(b)?.timestamp().as_second() - self.local(a)?.timestamp().as_second();
        Some(seconds as f64 / 86_400.0)
    }

    /// Returns the ticks for the time axis of a run as pairs (hours since the start, label). The
    /// ticks are at round local times, and there are at most about `limit` of them.
    pub fn ticks(&self, start: &str, hours: f64, limit: usize) -> Vec<(f64, String)> {
        let Some(start) = self.local(start).filter(|_| hours > 0.0 && hours < 2e6) else { return Vec::new() };
        const MINUTES: [i64; 10] = [1, 2, 5, 10, 15, 30, 60, 180, 360, 720];
        const DAYS: [i64; 5] = [1, 2, 3, 7, 14];
        let limit = limit as f64;
        if hours / 24.0 / 14.0 > limit {
            return self.months(&start, hours, limit);
        }
        let within_day = MINUTES.into_iter().find(|m| hours * 60.0 / *m as f64 <= limit);
        let (day_step, minutes) = match within_day {
            Some(m) => (1, m),
            None => {
                let step = DAYS.into_iter().find(|d| hours / 24.0 / *d as f64 <= limit);
                (step.unwrap_or(14), 1440)
            }
        };
        let mut ticks = Vec::new();
        let mut dated = false;
        let mut day = start.date();
        let last = start.timestamp() + SignedDuration::from_secs((hours * 3600.0) as i64);
        for _ in 0..4_000 {
            let mut minute = 0;
            while minute < 1440 {
                let civil = day.at((minute / 60) as i8, (minute % 60) as i8, 0, 0);
                let Ok(at) = civil.to_zoned_datetime(self.zone.clone()) else { return ticks };
                if at.timestamp() > last {
                    return if dated { ticks } else { self.with_date(ticks, &start) };
                }
                let since = at.timestamp().duration_since(start.timestamp()).as_secs_f64() / 3600.0;
                if since >= 0.0 {
                    dated |= minute == 0;
                    let pattern = match (minute, day_step) {
                        (0, 1) => "%a %-d %b",
                        (0, _) => "%-d %b",
                        _ => "%H:%M",
                    };
                    ticks.push((since, self.text(&at, pattern)));
                }
                minute += minutes;
            }
            let Ok(next) = day.checked_add(jiff::Span::new().days(day_step)) else { return ticks };
            day = next;
        }
        ticks
    }

    /// Adds the date to the first label. Otherwise, an axis without a tick at midnight would show
    /// no date.
    fn with_date(&self, mut ticks: Vec<(f64, String)>, start: &ZonedDateTime) -> Vec<(f64, String)> {
        if let Some((_, label)) = ticks.first_mut() {
            *label = format!("{} {label}", self.text(start, "%-d %b"));
        }
        ticks
    }

    /// Ticks on the first day of months or years.
    fn months(&self, start: &ZonedDateTime, hours: f64, limit: f64) -> Vec<(f64, String)> {
        const MONTHS: [i16; 9] = [1, 2, 3, 6, 12, 24, 60, 120, 240];
        let step = MONTHS.into_iter().find(|m| hours / 730.5 / f64::from(*m) <= limit).unwrap_or(600);
        let mut ticks = Vec::new();
        // Months are counted from January of the first year, so that ticks fall on the starts of quarters and
        // half-years.
        let mut month = 0i16;
        for _ in 0..4_000 {
            let year = start.date().year() + month / 12;
            let Ok(first) = jiff::civil::Date::new(year, (month % 12) as i8 + 1, 1) else { break };
            let Ok(at) = first.to_zoned_datetime(self.zone.clone()) else { break };
            let since = at.timestamp().duration_since(start.timestamp()).as_secs_f64() / 3600.0;
            if since > hours {
                break;
            }
            if since >= 0.0 {
                let pattern = if step >= 12 { "%Y" } else { "%b %Y" };
                ticks.push((since, self.text(&at, pattern)));
            }
            month += step;
        }
        ticks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_local_and_name_their_zone() {
        let c = Clock::new("Europe/Berlin");
        assert_eq!(c.moment("2024-07-15T22:30:00Z"), "16 Jul 2024 00:30");
        assert_eq!(c.zone_at("2024-07-15T22:30:00Z"), "Europe/Berlin, UTC+02:00");
        assert_eq!(c.zone_at("2024-01-15T22:30:00Z"), "Europe/Berlin, UTC+01:00");
        assert_eq!(Clock::new("Mars/<b>").zone_at("2024-01-15T00:00:00Z"), "UTC");
        assert_eq!((Clock::new("Mars/<b>").unknown(), c.unknown()), (Some("Mars/<b>"), None));
        assert_eq!(c.date("soon"), "soon");
    }

    #[test]
    fn relative_times_have_days_instead_of_dates() {
        let c = Clock::relative();
        assert_eq!(c.moment("1970-01-01T00:58:00Z"), "day 1, 00:58");
        assert_eq!(
            (c.date("1970-06-30T00:00:00Z"), c.zone_at("")),
            ("day 181".into(), "counted from the start".into())
        );
        assert_eq!(c.within_run("1970-01-08T06:00:00Z"), "day 8, 06:00");
        let ticks = c.ticks("1970-01-08T00:00:00Z", 96.0, 8);
        assert_eq!(ticks.iter().map(|t| t.1.as_str()).collect::<Vec<_>>()[..3], ["day 8", "12:00", "day 9"]);
    }

    #[test]
    fn ticks_are_at_local_midnights_and_round_hours() {
        let c = Clock::new("Europe/Berlin");
        let t = c.ticks("2024-07-15T00:00:00Z", 168.0, 10);
        assert_eq!((t.len(), t[0].0, t[0].1.as_str()), (7, 22.0, "Tue 16 Jul"));
        let t = c.ticks("2024-07-15T00:00:00Z", 6.0, 8);
        assert_eq!((t[0].clone(), t[1].1.as_str()), ((0.0, "15 Jul 02:00".to_owned()), "03:00"));
        assert_eq!(t.len(), 7);
        // The day on which daylight saving time ends has 25 hours.
        let t = c.ticks("2024-10-26T22:00:00Z", 48.0, 3);
        assert_eq!(t[1].0 - t[0].0, 25.0);
        let t = c.ticks("2031-03-01T00:00:00Z", 180.0 * 24.0, 8);
        let labels: Vec<&str> = t.iter().map(|t| t.1.as_str()).collect();
        assert_eq!(labels, ["Apr 2031", "May 2031", "Jun 2031", "Jul 2031", "Aug 2031"]);
        assert!(c.ticks("never", 5.0, 5).is_empty());
        assert!(!c.ticks("2015-01-01T00:00:00Z", 8760.0 * 3.0, 8).is_empty());
    }
}
