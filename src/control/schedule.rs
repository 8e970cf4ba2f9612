//! Controls by time of day and week.

use indexmap::IndexMap;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Context, Control, Controller, Observation};
use crate::config::{At, ScheduleEntry};
use crate::error::Result;
use crate::trajectory::Frame;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY: u32 = 24 * 60;

/// u(t) = the value of the last entry at or before the local time of the step's start; the week is a ring.
#[derive(Debug, Clone)]
pub struct Schedule {
    signals: Vec<usize>,
    /// Per control: (minute of the local week since Monday 00:00, value), ascending.
    weeks: Vec<Vec<(u32, f64)>>,
    timezone: TimeZone,
}

impl Schedule {
    pub(super) fn build(controls: &IndexMap<String, Vec<At<ScheduleEntry>>>, context: &Context) -> Result<Self> {
        let (mut signals, mut weeks) = (Vec::new(), Vec::new());
        for (name, entries) in controls {
            let span = entries.first().map_or(0..0, |e| e.span.clone());
            signals.push(context.control(name, &span)?);
            let mut week = Vec::new();
            for entry in entries {
                let minute = minute_of_day(&entry.at).map_err(|e| {
                    context.fault("bad-schedule", &entry.at.span, e, "write the time of day as HH:MM, like `06:30`")
                })?;
                let days = entry.days.as_ref().map_or("mon-sun", |d| d.value.as_str());
                let days = days_of_week(days).map_err(|e| {
                    let span = entry.days.as_ref().map_or(entry.span.clone(), |d| d.span.clone());
                    context.fault("bad-schedule", &span, e, "name days like `mon`, `mon-fri` or `sat,sun`")
                })?;
                week.extend(days.into_iter().map(|d| (d * DAY + minute, entry.value.value.value)));
            }
            if week.is_empty() {
                return Err(context.fault(
                    "bad-schedule",
                    &span,
                    format!("the schedule of `{name}` has no entry"),
                    "give at least one `{ at = \"HH:MM\", value = … }`",
                ));
            }
            // Of two entries for the same minute the later one in the file counts.
            week.reverse();
            week.sort_by_key(|(minute, _)| *minute);
            week.dedup_by_key(|(minute, _)| *minute);
            weeks.push(week);
        }
        Ok(Self { signals, weeks, timezone: context.timezone.clone() })
    }

    fn minute_of_week(&self, time: Timestamp) -> u32 {
        let local = time.to_zoned(self.timezone.clone());
        let day = u32::try_from(local.weekday().to_monday_zero_offset()).unwrap_or(0);
        let part = |v: i8| u32::try_from(v).unwrap_or(0);
        day * DAY + part(local.hour()) * 60 + part(local.minute())
    }
}

impl Controller for Schedule {
    fn signals(&self) -> &[usize] {
        &self.signals
    }

    fn act(&mut self, observation: &Observation, control: &mut Control) -> Result<()> {
        let minute = self.minute_of_week(observation.window.time());
        for (column, week) in control.values.iter_mut().zip(&self.weeks) {
            let after = week.partition_point(|(m, _)| *m <= minute);
            column.fill(week[(after + week.len() - 1) % week.len()].1);
        }
        Ok(())
    }
}

/// Minutes since midnight of `HH:MM`.
pub fn minute_of_day(text: &str) -> std::result::Result<u32, String> {
    let bad = || format!("`{text}` is no time of day");
    let (hour, minute) = text.split_once(':').ok_or_else(bad)?;
    let part = |p: &str, limit: u32| -> Option<u32> {
        let digits = (1..=2).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit());
        p.parse().ok().filter(|v| digits && *v < limit)
    };
    Ok(part(hour, 24).ok_or_else(bad)? * 60 + part(minute, 60).ok_or_else(bad)?)
}

/// Days since Monday of `mon`, `mon-fri`, `fri-mon`, `sat,sun`.
pub fn days_of_week(text: &str) -> std::result::Result<Vec<u32>, String> {
    let day = |name: &str| {
        let name = name.trim().to_lowercase();
        DAYS.iter().position(|d| *d == name).ok_or_else(|| format!("`{name}` is no day of the week"))
    };
    let mut days = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        days.extend((0..=(last + 7 - first) % 7).map(|k| ((first + k) % 7) as u32));
    }
    days.sort_unstable();
    days.dedup();
    Ok(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_read() {
        assert_eq!(days_of_week("mon-fri").unwrap(), [0, 1, 2, 3, 4]);
        assert_eq!(days_of_week("Fri-Mon").unwrap(), [0, 4, 5, 6]);
        assert_eq!(days_of_week("sat, sun").unwrap(), [5, 6]);
        assert!(days_of_week("funday").unwrap_err().contains("funday"));
        assert_eq!(minute_of_day("06:30").unwrap(), 390);
        assert!(minute_of_day("24:00").is_err() && minute_of_day("7").is_err() && minute_of_day("+7:00").is_err());
    }

    #[test]
    fn local_time_follows_the_clock_change() {
        let schedule = Schedule { signals: vec![], weeks: vec![], timezone: TimeZone::get("Europe/Berlin").unwrap() };
        // Monday 08:00 local, before and after the change of 2024-03-31.
        let before = "2024-03-25T07:00:00Z".parse().unwrap();
        let after = "2024-04-01T06:00:00Z".parse().unwrap();
        assert_eq!(schedule.minute_of_week(before), 480);
        assert_eq!(schedule.minute_of_week(after), 480);
    }
}
