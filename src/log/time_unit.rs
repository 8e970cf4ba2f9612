//! Infers the meaning of numbers in a time column from their size and from the name of the column.

use jiff::ToSpan;
use jiff::civil::DateTime;

use super::date::{Civil, local};
use crate::config::TimeUnit;

/// Number of days from 1899-12-30, the origin of spreadsheet dates, to 1970-01-01.
const SPREADSHEET_EPOCH: f64 = 25_569.0;
/// Numbers in this range are spreadsheet days (1990 to 2119) unless the column name states a unit other than days.
/// Dates in days since 1970 are below this range (for example, 20,000 is 2024-10-04).
const SPREADSHEET_DAYS: std::ops::RangeInclusive<f64> = 32_874.0..=80_000.0;
/// The years 1990 to 2100, which contain almost every log, in seconds since 1970.
const USUAL: std::ops::Range<f64> = 6.3e8..4.1e9;
/// A spreadsheet time is rounded to the nearest whole second if it differs from this second by at most this many µs,
/// because exported dates often have only about 11 significant digits.
const SPREADSHEET_ERROR: f64 = 50_000.0;

impl TimeUnit {
    /// Returns the number of µs per unit, or `None` if the numbers are local times.
    pub(super) fn us(self) -> Option<f64> {
        Some(match self {
            Self::Ns => 1e-3,
            Self::Us => 1.0,
            Self::Ms => 1e3,
            Self::S => 1e6,
            Self::Min => 60e6,
            Self::H => 3_600e6,
            Self::D => 86_400e6,
            Self::Spreadsheet | Self::Digits => return None,
        })
    }

    /// Returns the name of the unit in `twin.toml`, and a description.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Ns => ("ns", "nanoseconds since 1970"),
            Self::Us => ("us", "microseconds since 1970"),
            Self::Ms => ("ms", "milliseconds since 1970"),
            Self::S => ("s", "seconds since 1970"),
            Self::Min => ("min", "minutes since 1970"),
            Self::H => ("h", "hours since 1970"),
            Self::D => ("d", "days since 1970"),
            Self::Spreadsheet => ("spreadsheet", "spreadsheet days (45292 is 2024-01-01) in local time"),
            Self::Digits => ("digits", "the digits of a date in local time"),
        }
    }
}

/// Infers the unit of `values`, which are numbers from the time column `name`.
pub(super) fn infer(name: &str, values: &[f64]) -> TimeUnit {
    let finite = || values.iter().copied().filter(|v| v.is_finite());
    let (min, max) = finite().fold((f64::INFINITY, 0.0_f64), |(a, b), v| (a.min(v), b.max(v.abs())));
    let by_size = match max {
        v if v < 1e11 => TimeUnit::S,
        v if v < 1e14 => TimeUnit::Ms,
        v if v < 1e17 => TimeUnit::Us,
        _ => TimeUnit::Ns,
    };
    // a number with ten digits may also be a time in seconds since 1970, but several such times rarely all look like
    // dates
    let seconds = (1_900_010_100.0..=2_200_123_124.0).contains(&max) && finite().count() < 3;
    if max >= 19_000_101.0 && !seconds && finite().all(|v| digits(v).is_some()) {
        return TimeUnit::Digits;
    }
    if by_size.us().is_some_and(|us| USUAL.contains(&(max * us / 1e6))) {
        return by_size;
    }
    let named = named(name);
    if named.is_none() && min <= max {
        let usual = |unit: &TimeUnit| {
            let seconds = |v: f64| unit.us().map_or(0.0, |us| v * us / 1e6);
            // If MATLAB date numbers were read as hours, they would be times after 2050.
            (USUAL.start..2.5e9).contains(&seconds(min)) && (USUAL.start..2.5e9).contains(&seconds(max))
        };
        if let Some(unit) = [TimeUnit::Min, TimeUnit::H].into_iter().find(usual) {
            return unit;
        }
    }
    if named.is_none_or(|n| n == TimeUnit::D)
        && min <= max
        && SPREADSHEET_DAYS.contains(&min)
        && SPREADSHEET_DAYS.contains(&max)
    {
        return TimeUnit::Spreadsheet;
    }
    named.unwrap_or(by_size)
}

/// Returns the unit that is contained in the name of a column.
fn named(name: &str) -> Option<TimeUnit> {
    let lower = name.to_lowercase();
    lower.split(|c: char| !c.is_alphanumeric()).rev().find_map(|word| match word {
        "ns" | "nanos" | "nanoseconds" => Some(TimeUnit::Ns),
        "us" | "micros" | "microseconds" => Some(TimeUnit::Us),
        "ms" | "millis" | "milliseconds" => Some(TimeUnit::Ms),
        "s" | "sec" | "secs" | "second" | "seconds" => Some(TimeUnit::S),
        "min" | "mins" | "minute" | "minutes" => Some(TimeUnit::Min),
        "h" | "hr" | "hrs" | "hour" | "hours" => Some(TimeUnit::H),
        "d" | "day" | "days" => Some(TimeUnit::D),
        _ => None,
    })
}

/// Converts a number that represents a local time.
pub(super) fn local_time(unit: TimeUnit, value: f64) -> Option<Civil> {
    match unit {
        TimeUnit::Digits => digits(value),
        _ => {
            let us = (value - SPREADSHEET_EPOCH) * 86_400e6;
            let second = (us / 1e6).round() * 1e6;
            let us = if (us - second).abs() <= SPREADSHEET_ERROR { second } else { (us / 1e3).round() * 1e3 };
            Some(Civil::Local(us as i64))
        }
    }
}

/// Reads the digits of a date and time: `YYYYMMDD`, `YYYYMMDDhh`, `YYYYMMDDhhmm` or `YYYYMMDDhhmmss`. Hour 24 is the
/// end of the day.
fn digits(value: f64) -> Option<Civil> {
    if value.fract() != 0.0 || !(0.0..1e15).contains(&value) {
        return None;
    }
    let n = value as i64;
    let (date, clock) = match n {
        19_000_101..=22_001_231 => (n, 0),
        1_900_010_100..=2_200_123_124 => (n / 100, n % 100 * 10_000),
        190_001_010_000..=220_012_312_359 => (n / 10_000, n % 10_000 * 100),
        19_000_101_000_000..=22_001_231_235_959 => (n / 1_000_000, n % 1_000_000),
        _ => return None,
    };
    let part = |n: i64| i8::try_from(n % 100).ok();
    let year = i16::try_from(date / 10_000).ok()?;
    let (hour, minute, second) = (part(clock / 10_000)?, part(clock / 100)?, part(clock)?);
    let is_end = (hour, minute, second) == (24, 0, 0);
    let hour = if is_end { 0 } else { hour };
    let time = DateTime::new(year, part(date / 100)?, part(date)?, hour, minute, second, 0).ok()?;
    local(if is_end { time.checked_add(1.day()).ok()? } else { time })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_follows_from_the_size_and_the_name() {
        for (name, first, last, unit) in [
            ("Timestamp", 45_292.0, 45_304.5, TimeUnit::Spreadsheet),
            ("day", 45_292.0, 45_304.0, TimeUnit::Spreadsheet),
            ("day", 19_990.0, 20_100.0, TimeUnit::D),
            ("day", 20_001.0, 20_500.0, TimeUnit::D),
            ("time_s", 45_292.0, 45_304.5, TimeUnit::S),
            ("hour", 0.0, 743.0, TimeUnit::H),
            ("t_min", 0.0, 5_000.0, TimeUnit::Min),
            ("time", 0.0, 5_000.0, TimeUnit::S),
            ("time", 0.0, 28_000_000.0, TimeUnit::S),
            ("time", 27_960_480.0, 27_973_965.0, TimeUnit::Min),
            ("time", 466_008.0, 466_908.0, TimeUnit::H),
            ("time_s", 466_008.0, 466_908.0, TimeUnit::S),
            ("hour", 1.7e9, 1.8e9, TimeUnit::S),
            ("time", 1.7e12, 1.8e12, TimeUnit::Ms),
            ("time", 1.7e15, 1.8e15, TimeUnit::Us),
            ("time", 1.7e18, 1.8e18, TimeUnit::Ns),
            ("date", 20_240_101.0, 20_240_229.0, TimeUnit::Digits),
            ("time", 202_401_010_000.0, 202_412_312_359.0, TimeUnit::Digits),
        ] {
            assert_eq!(infer(name, &[first, last]), unit, "{name} {first}");
        }
    }

    #[test]
    fn spreadsheet_days_and_digits_are_local_times() {
        let at = |text: &str| text.parse::<DateTime>().ok().and_then(local);
        assert_eq!(local_time(TimeUnit::Spreadsheet, 45_292.0 + 15.0 / 1_440.0), at("2024-01-01T00:15:00"));
        assert_eq!(local_time(TimeUnit::Spreadsheet, 45_292.010_417), at("2024-01-01T00:15:00"));
        assert_eq!(local_time(TimeUnit::Digits, 20_240_131.0), at("2024-01-31T00:00:00"));
        assert_eq!(local_time(TimeUnit::Digits, 202_401_312_359.0), at("2024-01-31T23:59:00"));
        assert_eq!(local_time(TimeUnit::Digits, 20_240_230.0), None);
        assert_eq!(local_time(TimeUnit::Digits, 2_023_030_107.0), at("2023-03-01T07:00:00"));
        assert_eq!(local_time(TimeUnit::Digits, 2_023_022_824.0), at("2023-03-01T00:00:00"));
        let hours: Vec<f64> = (1..=24).map(|h| 2_023_030_100.0 + f64::from(h)).collect();
        assert_eq!(infer("date", &hours), TimeUnit::Digits);
        let seconds: Vec<f64> = (0..24).map(|h| 2_023_030_000.0 + 3_600.0 * f64::from(h)).collect();
        assert_eq!(infer("date", &seconds), TimeUnit::S);
    }
}
