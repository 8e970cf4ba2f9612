//! Converts local times to instants.

use std::collections::HashMap;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::error::{Error, Result};
use crate::stamp::{self, DAY_US, SECOND_US, Stamp};

/// The value that represents a missing time.
pub const NO_TIME: i64 = i64::MIN;

/// A time zone, as written by the user.
pub struct Zone {
    name: String,
    zone: Option<TimeZone>,
    /// Offset in seconds, if the zone has a fixed offset.
    fixed: i64,
    /// The UTC offset of each local day on which the offset does not change.
    days: HashMap<i64, Option<i64>>,
}

enum Offset {
    One(i64),
    /// The local time occurs twice; contains the offsets of the first and the second occurrence.
    Two(i64, i64),
    None,
}

impl Zone {
    /// # Errors
    /// [`Error::Usage`] if there is no time zone with this name.
    pub fn new(name: &str) -> Result<Self> {
        let fixed = stamp::zone(name).filter(|_| name != "CET" && name != "MEZ" && name != "CEST" && name != "MESZ");
        let zone = match fixed {
            Some(_) => None,
            None => Some(TimeZone::get(name).map_err(|_| {
                let text = format!(
                    "--timezone: there is no time zone `{name}`; use a name such as Europe/Berlin, UTC or +01:00"
                );
                Error::Usage(text)
            })?),
        };
        Ok(Self { name: name.to_owned(), zone, fixed: fixed.unwrap_or(0), days: HashMap::new() })
    }

    fn offset(&mut self, local: i64) -> Offset {
        let Some(zone) = &self.zone else { return Offset::One(self.fixed) };
        let day = local.div_euclid(DAY_US);
        let constant = *self.days.entry(day).or_insert_with(|| {
            let at = |us| match ambiguous(zone, us) {
                Some(AmbiguousOffset::Unambiguous { offset }) => Some(i64::from(offset.seconds())),
                _ => None,
            };
            // if the offset changes on this day, the offsets before and after the day differ
            let (start, end) = (at((day - 1) * DAY_US), at((day + 2) * DAY_US));
            start.filter(|_| start == end && start == at(day * DAY_US))
        });
        if let Some(offset) = constant {
            return Offset::One(offset);
        }
        match ambiguous(zone, local) {
            Some(AmbiguousOffset::Unambiguous { offset }) => Offset::One(i64::from(offset.seconds())),
            Some(AmbiguousOffset::Fold { before, after }) => {
                Offset::Two(i64::from(before.seconds()), i64::from(after.seconds()))
            }
            _ => Offset::None,
        }
    }

    /// Converts the local times of one file to instants, in place. In a repeated hour, the order of the rows
    /// determines which of two equal local times is earlier. `series` is the tag of each row, if a file contains
    /// several tags. Returns the number of rows in repeated hours.
    ///
    /// # Errors
    /// [`Error::Data`] if a time does not exist in the zone, or if a repeated hour cannot be resolved by the
    /// order of the rows.
    pub fn resolve(&mut self, file: &str, times: &mut [i64], series: &[u32]) -> Result<usize> {
        let mut repeated = 0;
        let tags = series.iter().filter(|tag| **tag != u32::MAX).max().map_or(0, |tag| *tag as usize + 1);
        // all rows without a tag use the last index
        let tag = |row: usize| series.get(row).map_or(0, |tag| (*tag as usize).min(tags));
        let mut last = vec![NO_TIME; tags + 1];
        let downwards = direction(times, &tag, tags + 1);
        for step in 0..times.len() {
            let row = if downwards == Some(true) { times.len() - 1 - step } else { step };
            let local = times[row];
            if local == NO_TIME {
                continue;
            }
            let instant = match self.offset(local) {
                Offset::One(offset) => local - offset * SECOND_US,
                Offset::Two(first, second) => {
                    repeated += 1;
                    if downwards.is_none() {
                        let text = format!(
                            "{file}: {} occurs twice in {} (end of summer time), and the rows are not sorted by time, so \
                             the two occurrences cannot be distinguished; export times in UTC or sorted by time",
                            shown(local),
                            self.name
                        );
                        return Err(Error::Data(text));
                    }
                    let early = local - first * SECOND_US;
                    if last[tag(row)] >= early { local - second * SECOND_US } else { early }
                }
                Offset::None => {
                    let text = format!(
                        "{file}: {} does not exist in {} (start of summer time); if the clock of the logger is not \
                         changed in summer, give its offset, such as `--timezone +01:00`",
                        shown(local),
                        self.name
                    );
                    return Err(Error::Data(text));
                }
            };
            last[tag(row)] = instant;
            times[row] = instant;
        }
        Ok(repeated)
    }
}

/// The instant of one stamp. `zone` is the time zone of a stamp without an offset; `None` if it has neither.
///
/// # Errors
/// Returns the errors of [`Zone::new`], and those of [`Zone::resolve`] with `option` in the message.
pub fn instant_of(stamp: Stamp, zone: Option<&str>, option: &str) -> Result<Option<i64>> {
    match (stamp.offset, zone) {
        (Some(offset), _) => Ok(Some(stamp.local - offset * SECOND_US)),
        (None, Some(zone)) => {
            let mut time = [stamp.local];
            Zone::new(zone)?.resolve(option, &mut time, &[])?;
            Ok(Some(time[0]))
        }
        (None, None) => Ok(None),
    }
}

/// Whether the rows of each series run backwards in time. `None` if the rows are not sorted. The hour that is repeated
/// at the end of summer time is ignored in this check.
fn direction(times: &[i64], tag: &impl Fn(usize) -> usize, tags: usize) -> Option<bool> {
    let mut last = vec![NO_TIME; tags];
    let (mut up, mut down, mut hours_up, mut hours_down) = (0_usize, 0_usize, 0_usize, 0_usize);
    for (row, time) in times.iter().enumerate().filter(|(_, t)| **t != NO_TIME) {
        let previous = std::mem::replace(&mut last[tag(row)], *time);
        if previous != NO_TIME {
            let step = time - previous;
            let more_than_an_hour = step.abs() > 2 * 3_600 * SECOND_US;
            match step.signum() {
                1 => (up, hours_up) = (up + 1, hours_up + usize::from(more_than_an_hour)),
                -1 => (down, hours_down) = (down + 1, hours_down + usize::from(more_than_an_hour)),
                _ => {}
            }
        }
    }
    let downwards = down > up;
    let (against, long) = if downwards { (up, hours_up) } else { (down, hours_down) };
    (long == 0 && (against <= last.len() || against * 20 <= up + down)).then_some(downwards)
}

fn civil(local: i64) -> Option<DateTime> {
    let instant = jiff::Timestamp::from_microsecond(local).ok()?;
    Some(TimeZone::UTC.to_datetime(instant))
}

fn ambiguous(zone: &TimeZone, local: i64) -> Option<AmbiguousOffset> {
    Some(zone.to_ambiguous_timestamp(civil(local)?).offset())
}

/// A local time as shown to the user.
pub fn shown(local: i64) -> String {
    civil(local).map_or_else(|| local.to_string(), |t| t.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// An instant as shown to the user.
pub fn instant(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us).map_or_else(|_| us.to_string(), |t| t.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(text: &str) -> i64 {
        stamp::parse(text, None).unwrap().local
    }

    fn resolve(zone: &str, texts: &[&str], series: &[u32]) -> Result<Vec<String>> {
        let mut times: Vec<i64> = texts.iter().map(|t| local(t)).collect();
        Zone::new(zone)?.resolve("a.csv", &mut times, series)?;
        Ok(times.into_iter().map(instant).collect())
    }

    #[test]
    fn the_order_of_the_rows_tells_apart_the_hours_of_a_repeated_hour() {
        let day = [
            "2024-10-27 01:30",
            "2024-10-27 02:00",
            "2024-10-27 02:30",
            "2024-10-27 02:00",
            "2024-10-27 02:30",
            "2024-10-27 03:00",
        ];
        let right = [
            "2024-10-26T23:30:00Z",
            "2024-10-27T00:00:00Z",
            "2024-10-27T00:30:00Z",
            "2024-10-27T01:00:00Z",
            "2024-10-27T01:30:00Z",
            "2024-10-27T02:00:00Z",
        ];
        let more: Vec<&str> = (0..30).flat_map(|_| ["2024-01-01 00:00"]).chain(day).collect();
        assert_eq!(resolve("Europe/Berlin", &more, &[]).unwrap()[30..], right);
        let mut back: Vec<&str> = day.to_vec();
        back.reverse();
        let mut expected = right.to_vec();
        expected.reverse();
        back.extend(["2024-10-27 01:00", "2024-10-27 00:00", "2024-10-26 23:00"]);
        let mut more: Vec<String> = (1..25).map(|d| format!("2024-11-{:02} 00:00", 30 - d)).collect();
        more.extend(back.iter().map(|t| (*t).to_owned()));
        let texts: Vec<&str> = more.iter().map(String::as_str).collect();
        assert_eq!(resolve("Europe/Berlin", &texts, &[]).unwrap()[24..30], expected);
    }

    #[test]
    fn each_tag_has_its_own_order() {
        let texts = ["2024-10-27 02:00", "2024-10-27 02:00", "2024-10-27 02:00", "2024-10-27 02:00"];
        let read = resolve("Europe/Berlin", &texts, &[0, 1, 0, 1]).unwrap();
        assert_eq!(
            read,
            ["2024-10-27T00:00:00Z", "2024-10-27T00:00:00Z", "2024-10-27T01:00:00Z", "2024-10-27T01:00:00Z"]
        );
    }

    #[test]
    fn times_that_do_not_exist_and_unsorted_repeated_hours_are_refused() {
        let error = resolve("Europe/Berlin", &["2024-03-31 02:30"], &[]).unwrap_err().to_string();
        assert!(error.contains("2024-03-31 02:30:00 does not exist"), "{error}");
        assert_eq!(resolve("+01:00", &["2024-03-31 02:30"], &[]).unwrap(), ["2024-03-31T01:30:00Z"]);
        assert_eq!(resolve("CET", &["2024-07-01 02:00"], &[]).unwrap(), ["2024-07-01T00:00:00Z"]);
        let texts = ["2024-10-27 02:30", "2024-10-20 02:00", "2024-10-27 02:00", "2024-10-21 02:00"];
        assert!(resolve("Europe/Berlin", &texts, &[]).is_err());
        assert!(matches!(Zone::new("Mars/North"), Err(Error::Usage(_))));
    }
}
