//! Times of day and days of the week, as users write them: `06:30`, `mon-fri`.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MINUTES_PER_DAY: u32 = 24 * 60;

/// A time of day with a resolution of one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay(u32);

impl TimeOfDay {
    /// Minutes since midnight.
    pub const fn minutes(self) -> u32 {
        self.0
    }

    pub const fn hour(self) -> u32 {
        self.0 / 60
    }

    pub const fn minute(self) -> u32 {
        self.0 % 60
    }
}

/// Parses `06:30` or `6:30`.
impl FromStr for TimeOfDay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let part = |digits: &str, limit: u32| -> Option<u32> {
            let valid = (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse().ok().filter(|v| valid && *v < limit)
        };
        let minutes = text.split_once(':').and_then(|(hour, minute)| Some(part(hour, 24)? * 60 + part(minute, 60)?));
        minutes.map(Self).ok_or_else(|| format!("`{text}` is not a time of day"))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour(), self.minute())
    }
}

/// A set of days of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Weekdays([bool; 7]);

impl Weekdays {
    pub const EVERY_DAY: Self = Self([true; 7]);

    /// The days in the set, as numbers from 0 (Monday) to 6 (Sunday).
    pub fn days(self) -> impl Iterator<Item = u32> {
        (0..7).filter(move |&day| self.0[day as usize])
    }

    /// Returns `time` on each day of the set, in minutes since Monday 00:00.
    pub fn minutes_of_week(self, time: TimeOfDay) -> impl Iterator<Item = u32> {
        self.days().map(move |day| day * MINUTES_PER_DAY + time.minutes())
    }
}

/// Parses `mon`, `mon-fri`, `fri-mon` (across the weekend) or `sat,sun`, in upper or lower case. If parsing fails, the
/// error contains the first word that is not the name of a day.
impl FromStr for Weekdays {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let day = |word: &str| {
            let name = word.trim().to_lowercase();
            DAYS.iter().position(|d| *d == name).ok_or_else(|| word.trim().to_owned())
        };
        let mut set = [false; 7];
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (day(first)?, day(last)?);
            (0..=(last + 7 - first) % 7).for_each(|k| set[(first + k) % 7] = true);
        }
        Ok(Self(set))
    }
}

/// Formats three or more consecutive days as a range: `mon-fri,sun`.
impl fmt::Display for Weekdays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        let mut first = 0;
        while first < 7 {
            let length = self.0[first..].iter().take_while(|on| **on).count();
            if length > 2 {
                parts.push(format!("{}-{}", DAYS[first], DAYS[first + length - 1]));
            } else {
                parts.extend(DAYS[first..first + length].iter().map(|d| (*d).to_owned()));
            }
            first += length + 1;
        }
        f.write_str(&parts.join(","))
    }
}

/// Help text for an invalid time of day; the text suggests a corrected time if possible.
pub(super) fn time_of_day_help(key: &str, text: &str) -> String {
    let guess = || -> Option<TimeOfDay> {
        let mut parts = text.trim().split([':', '.', 'h']);
        let hour = parts.next()?.trim();
        let minute = parts.next().map(str::trim).filter(|m| !m.is_empty()).unwrap_or("00");
        format!("{hour}:{minute}").parse().ok()
    };
    match guess() {
        Some(time) => format!("write `{key} = \"{time}\"`"),
        None => "use a time from 00:00 to 23:59, such as `06:30`".to_owned(),
    }
}

/// Help text for a word that is not a day of the week.
pub(super) fn weekday_help(word: &str) -> String {
    match DAYS.iter().find(|d| word.to_lowercase().starts_with(*d)) {
        Some(day) => format!("write `{day}`; the valid days are mon, tue, wed, thu, fri, sat, sun"),
        None => "write the days as `mon`, `mon-fri` or `sat,sun`".to_owned(),
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl JsonSchema for TimeOfDay {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TimeOfDay".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^([01]?[0-9]|2[0-3]):[0-5]?[0-9]$",
            "description": "A time of day: `06:30`."
        })
    }
}

impl<'de> Deserialize<'de> for Weekdays {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map_err(|word| serde::de::Error::custom(format!("`{word}` is not a day of the week")))
    }
}

impl Serialize for Weekdays {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl JsonSchema for Weekdays {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Weekdays".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Days of the week: `mon`, `mon-fri`, `sat,sun`."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_are_parsed_and_printed() {
        for (text, minutes) in [("06:30", 390), ("6:30", 390), ("0:5", 5), ("23:59", 1439)] {
            assert_eq!(text.parse::<TimeOfDay>().unwrap().minutes(), minutes);
        }
        for text in ["24:00", "7", "+7:00", "06:60", "006:30", ""] {
            assert!(text.parse::<TimeOfDay>().is_err(), "{text}");
        }
        assert_eq!("6:5".parse::<TimeOfDay>().unwrap().to_string(), "06:05");
    }

    #[test]
    fn weekdays_are_parsed_in_any_case_and_printed() {
        let days = |text: &str| text.parse::<Weekdays>().map(|w| w.days().collect::<Vec<_>>());
        assert_eq!(days("mon-fri"), Ok(vec![0, 1, 2, 3, 4]));
        assert_eq!(days("Fri-Mon, WED"), Ok(vec![0, 2, 4, 5, 6]));
        assert_eq!(days("mon-frday"), Err("frday".to_owned()));
        for text in ["mon-fri", "sat,sun", "mon-wed,fri", "mon-sun"] {
            assert_eq!(text.parse::<Weekdays>().unwrap().to_string(), text);
        }
        assert_eq!("mon-sun".parse(), Ok(Weekdays::EVERY_DAY));
    }

    #[test]
    fn help_shows_the_time_that_was_probably_meant() {
        assert_eq!(time_of_day_help("at", "6.30"), "write `at = \"06:30\"`");
        assert_eq!(time_of_day_help("at", "6h"), "write `at = \"06:00\"`");
        assert!(time_of_day_help("at", "25:00").contains("23:59"));
    }
}
