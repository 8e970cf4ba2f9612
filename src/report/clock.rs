//! UTC text to local time as people read it.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

/// The plant's time zone.
#[derive(Debug, Clone)]
pub struct Clock {
    zone: TimeZone,
    name: String,
}

impl Clock {
    /// UTC when `name` is no known IANA zone.
    pub fn new(name: &str) -> Self {
        match TimeZone::get(name) {
            Ok(zone) => Self { zone, name: name.to_owned() },
            Err(_) => Self { zone: TimeZone::UTC, name: "UTC".to_owned() },
        }
    }

    pub fn local(&self, utc: &str) -> Option<Zoned> {
        utc.parse::<Timestamp>().ok().map(|t| t.to_zoned(self.zone.clone()))
    }

    /// `15 Jul 2024`; the text itself when it is no time.
    pub fn date(&self, utc: &str) -> String {
        self.format(utc, "%-d %b %Y")
    }

    /// `15 Jul 2024 14:30`.
    pub fn moment(&self, utc: &str) -> String {
        self.format(utc, "%-d %b %Y %H:%M")
    }

    /// `Mon 15 Jul 14:30`, for times within a run whose year is known.
    pub fn within_run(&self, utc: &str) -> String {
        self.format(utc, "%a %-d %b %H:%M")
    }

    fn format(&self, utc: &str, pattern: &str) -> String {
        self.local(utc).map_or_else(|| utc.to_owned(), |z| z.strftime(pattern).to_string())
    }

    /// `Europe/Berlin, UTC+02:00`, as it is at `utc`.
    pub fn zone_at(&self, utc: &str) -> String {
        let offset = self.local(utc).map_or_else(|| "+00:00".to_owned(), |z| z.strftime("%:z").to_string());
        if self.name == "UTC" { "UTC+00:00".to_owned() } else { format!("{}, UTC{offset}", self.name) }
    }

    /// Whole days from `a` to `b`.
    pub fn days_between(&self, a: &str, b: &str) -> Option<f64> {
        let seconds = self.local(b)?.timestamp().as_second() - self.local(a)?.timestamp().as_second();
        Some(seconds as f64 / 86_400.0)
    }

    /// Ticks for a run of `hours` from `start`: hours since the start, and labels at round local times.
    pub fn ticks(&self, start: &str, hours: f64, most: usize) -> Vec<(f64, String)> {
        let Some(start) = self.local(start).filter(|_| hours > 0.0 && hours < 2e6) else { return Vec::new() };
        const MINUTES: [i64; 10] = [1, 2, 5, 10, 15, 30, 60, 180, 360, 720];
        const DAYS: [i64; 10] = [1, 2, 3, 7, 14, 28, 56, 91, 182, 365];
        let most = most as f64;
        let within_day = MINUTES.into_iter().find(|m| hours * 60.0 / *m as f64 <= most);
        let (day_step, minutes) = match within_day {
            Some(m) => (1, m),
            None => {
                let step = DAYS.into_iter().find(|d| hours / 24.0 / *d as f64 <= most);
                (step.unwrap_or((hours / 24.0 / most).ceil() as i64), 1440)
            }
        };
        let mut ticks = Vec::new();
        let mut day = start.date();
        let last = start.timestamp() + SignedDuration::from_secs((hours * 3600.0) as i64);
        for _ in 0..4_000 {
            let mut minute = 0;
            while minute < 1440 {
                let civil = day.at((minute / 60) as i8, (minute % 60) as i8, 0, 0);
                let Ok(at) = civil.to_zoned(self.zone.clone()) else { return ticks };
                if at.timestamp() > last {
                    return ticks;
                }
                let since = at.timestamp().duration_since(start.timestamp()).as_secs_f64() / 3600.0;
                if since >= 0.0 {
                    let pattern = match (minute, day_step) {
                        (0, 1) => "%a %-d %b",
                        (0, d) if d >= 56 => "%b %Y",
                        (0, _) => "%-d %b",
                        _ => "%H:%M",
                    };
                    ticks.push((since, at.strftime(pattern).to_string()));
                }
                minute += minutes;
            }
            let Ok(next) = day.checked_add(jiff::Span::new().days(day_step)) else { return ticks };
            day = next;
        }
        ticks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_local_and_say_so() {
        let c = Clock::new("Europe/Berlin");
        assert_eq!(c.moment("2024-07-15T22:30:00Z"), "16 Jul 2024 00:30");
        assert_eq!(c.zone_at("2024-07-15T22:30:00Z"), "Europe/Berlin, UTC+02:00");
        assert_eq!(c.zone_at("2024-01-15T22:30:00Z"), "Europe/Berlin, UTC+01:00");
        assert_eq!(Clock::new("Mars/<b>").zone_at("2024-01-15T00:00:00Z"), "UTC+00:00");
        assert_eq!(c.date("soon"), "soon");
    }

    #[test]
    fn ticks_stand_at_local_midnights_and_round_hours() {
        let c = Clock::new("Europe/Berlin");
        let t = c.ticks("2024-07-15T00:00:00Z", 168.0, 10);
        assert_eq!((t.len(), t[0].0, t[0].1.as_str()), (7, 22.0, "Tue 16 Jul"));
        let t = c.ticks("2024-07-15T00:00:00Z", 6.0, 8);
        assert_eq!(t[0], (0.0, "02:00".to_owned()));
        assert_eq!(t.len(), 7);
        // The day with 25 hours: midnight follows midnight after 25 hours.
        let t = c.ticks("2024-10-26T22:00:00Z", 48.0, 3);
        assert_eq!(t[1].0 - t[0].0, 25.0);
        assert!(c.ticks("never", 5.0, 5).is_empty());
        assert!(!c.ticks("2015-01-01T00:00:00Z", 8760.0 * 3.0, 8).is_empty());
    }
}
