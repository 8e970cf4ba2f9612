//! Times that are numbers, counted in a unit from an origin, such as `hours since 2024-01-01T00:00Z`.

use crate::error::{Error, Result};
use crate::layout;
use crate::stamp::{self, SECOND_US};
use crate::zone;

/// Earliest and latest accepted times, in µs since 1970: the beginnings of the years 1900 and 2200.
const YEARS: [i64; 2] = [-2_208_988_800 * SECOND_US, 7_258_118_400 * SECOND_US];

/// Unit and origin of numbers in a time column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Elapsed {
    /// Length of the unit, µs.
    unit: f64,
    /// The time of the number 0, µs since 1970 in UTC.
    origin: i64,
}

impl Elapsed {
    /// Parses `UNIT since TIME`. `zone` is the time zone that is assumed if `TIME` contains none.
    ///
    /// # Errors
    /// [`Error::Usage`]
    pub fn parse(text: &str, zone: Option<&str>) -> Result<Self> {
        let bad = |what: &str| {
            Error::Usage(format!("--time-unit `{text}`: {what}; write it like `hours since 2024-01-01T00:00Z`"))
        };
        let (unit, origin) = text.split_once(" since ").ok_or_else(|| bad("`since` and the time of 0 are missing"))?;
        let unit = match unit.trim().to_lowercase().as_str() {
            "ns" | "nanosecond" | "nanoseconds" => 1e-3,
            "us" | "µs" | "microsecond" | "microseconds" => 1.0,
            "ms" | "millisecond" | "milliseconds" => 1e3,
            "s" | "sec" | "second" | "seconds" => 1e6,
            "min" | "minute" | "minutes" => 60e6,
            "h" | "hr" | "hour" | "hours" => 3_600e6,
            "d" | "day" | "days" => 86_400e6,
            "week" | "weeks" => 604_800e6,
            other => return Err(bad(&format!("`{other}` is not a unit of time"))),
        };
        let time = |text: &str| stamp::parse(text, Some(stamp::Order::Ymd));
        let date_in_utc = || {
            let date = origin.trim().strip_suffix('Z').filter(|date| stamp::is_date_only(date))?;
            time(date).map(|stamp| stamp::Stamp { offset: Some(0), ..stamp })
        };
        let stamp = time(origin.trim())
            .or_else(date_in_utc)
            .ok_or_else(|| bad(&format!("`{}` is not a readable time", origin.trim())))?;
        let origin = zone::instant_of(stamp, zone, "--time-unit")?
            .ok_or_else(|| bad("the time has no time zone; add `--timezone`, or `Z` for UTC"))?;
        Ok(Self { unit, origin })
    }

    /// The time that a number represents, in µs since 1970 in UTC; `None` if the time is not between 1900 and 2200.
    pub fn instant(&self, number: f64) -> Option<i64> {
        let time = self.origin as f64 + (number * self.unit).round();
        (YEARS[0] as f64..YEARS[1] as f64).contains(&time).then(|| self.origin + (number * self.unit).round() as i64)
    }
}

/// The advice for a column of numbers that are no dates.
pub fn advice(column: &str) -> String {
    let unit = layout::unit_of_time(column).unwrap_or("hours");
    format!(
        "if `{column}` counts from a start, add its unit and the time of 0, such as `--time-unit '{unit} since \
         2024-01-01T00:00Z'`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_origins_are_parsed() {
        let at = |text: &str, number: f64| {
            let instant = Elapsed::parse(text, Some("Europe/Berlin")).unwrap().instant(number).unwrap();
            jiff::Timestamp::from_microsecond(instant).unwrap().to_string()
        };
        assert_eq!(at("hours since 2022-01-01T00:00Z", 8759.0), "2022-12-31T23:00:00Z");
        assert_eq!(at("h since 2022-07-01", 1.5), "2022-06-30T23:30:00Z");
        assert_eq!(at("d since 2022-03-01 06:00+01:00", -0.25), "2022-02-28T23:00:00Z");
        assert_eq!(at("ms since 1970-01-01Z", 1_704_067_200_001.0), "2024-01-01T00:00:00.001Z");
        assert_eq!(at("min since 1999-12-31T23:00Z", 60.0), "2000-01-01T00:00:00Z");
        for bad in ["hours", "h since", "h since tomorrow", "fortnights since 2022-01-01", "h since 2022-01-01"] {
            assert!(matches!(Elapsed::parse(bad, None), Err(Error::Usage(_))), "{bad}");
        }
        assert_eq!(Elapsed::parse("hours since 2022-01-01Z", None).unwrap().instant(1.7e9), None);
    }
}
