//! Controls that depend on the time of day and the day of the week.

use std::collections::HashSet;
use std::ops::Range;

use indexmap::IndexMap;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Control, Controller, Observation};
use crate::config::{At, ScheduleEntry, Weekdays, key_place};
use crate::error::Result;
use crate::resolve::{Faults, Names, all};
use crate::trajectory::Frame;

const MINUTES_PER_DAY: u32 = 24 * 60;

/// Column and weekly schedule of each scheduled control.
#[derive(Debug, Clone)]
pub struct ScheduleSettings {
    signals: Vec<usize>,
    weeks: Vec<Week>,
}

/// Non-empty weekly schedule of entries (minutes since Monday 00:00 local time, value), in ascending order.
type Week = Vec<(u32, f64)>;

impl ScheduleSettings {
    pub(super) fn resolve(
        faults: &mut Faults<'_>,
        names: &Names<'_>,
        owner: &str,
        controls: &IndexMap<String, Vec<At<ScheduleEntry>>>,
        place: &Range<usize>,
    ) -> Option<Self> {
        let resolved = all(controls.iter().map(|(name, entries)| {
            let near = entries.first().map_or(place, |e| &e.span);
            let signal = names.control_key(faults, name, near);
            if entries.is_empty() && !faults.any_damage() {
                let place = key_place(faults.text(), name, near);
                let message = format!("{owner}: the schedule of `{name}` is empty");
                faults.add("missing-value", &place, message, "add entries, like `{ at = \"06:00\", value = 20.0 }`");
            }
            for entry in entries {
                names.within_limits(faults, name, &entry.value.value, owner);
            }
            signal.zip(week(faults, name, entries))
        }));
        let (signals, weeks) = resolved?.into_iter().unzip();
        Some(Self { signals, weeks })
    }
}

fn week(faults: &mut Faults<'_>, name: &str, entries: &[At<ScheduleEntry>]) -> Option<Week> {
    let (mut taken, mut week, mut distinct) = (HashSet::new(), Week::new(), true);
    for entry in entries {
        let days = entry.days.as_ref().map_or(Weekdays::EVERY_DAY, |d| d.value);
        let before = taken.len();
        let minutes: Vec<u32> = days.minutes_of_week(*entry.at).collect();
        taken.extend(minutes.iter().copied());
        if taken.len() < before + minutes.len() {
            let message = format!("`{name}` has two values at {} on the same day", entry.at.value);
            faults.add("duplicate-name", &entry.at.span, message, "keep one value, or use different `days` for each");
            distinct = false;
        }
        week.extend(minutes.into_iter().map(|minute| (minute, entry.value.value.value)));
    }
    week.sort_by_key(|(minute, _)| *minute);
    Some(week).filter(|week| distinct && !week.is_empty())
}

/// Sets each control to the value of the last entry at or before the local time at which the step starts. Before the
/// first entry of a week, the last entry of the previous week applies.
#[derive(Debug, Clone)]
pub struct Schedule {
    settings: ScheduleSettings,
    timezone: TimeZone,
}

impl Schedule {
    pub(super) fn new(settings: &ScheduleSettings, timezone: &TimeZone) -> Self {
        Self { settings: settings.clone(), timezone: timezone.clone() }
    }

    fn minute_of_week(&self, time: Timestamp) -> u32 {
        let local = time.to_zoned_datetime(self.timezone.clone());
        let day = u32::try_from(local.weekday().to_monday_zero_offset()).unwrap_or(0);
        let part = |v: i8| u32::try_from(v).unwrap_or(0);
        day * MINUTES_PER_DAY + part(local.hour()) * 60 + part(local.minute())
    }
}

impl Controller for Schedule {
    fn signals(&self) -> &[usize] {
        &self.settings.signals
    }

    fn act(&mut self, observation: &Observation, control: &mut Control) -> Result<()> {
        let minute = self.minute_of_week(observation.window.time());
        for (column, week) in control.values.iter_mut().zip(&self.settings.weeks) {
            let after = week.partition_point(|(m, _)| *m <= minute);
            column.fill(week[(after + week.len() - 1) % week.len()].1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_time_follows_daylight_saving_time() {
        let settings = ScheduleSettings { signals: vec![], weeks: vec![] };
        let schedule = Schedule::new(&settings, &TimeZone::get("Europe/Berlin").unwrap());
        // Both times are Monday 08:00 local time, before and after the start of daylight saving time on 2024-03-31.
        let before = "2024-03-25T07:00:00Z".parse().unwrap();
        let after = "2024-04-01T06:00:00Z".parse().unwrap();
        assert_eq!(schedule.minute_of_week(before), 480);
        assert_eq!(schedule.minute_of_week(after), 480);
    }
}
