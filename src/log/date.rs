//! Reads dates and times that are written as text, and proposes a format for entries that cannot be read without one.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::Offset;

const DAY_US: i64 = 86_400_000_000;
/// Minimum number of time stamps per date that is required to judge the order of day and month (not tuned).
const MIN_TIMES: usize = 4;

/// A time that was written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Civil {
    /// µs since 1970 in UTC.
    Instant(i64),
    /// µs since 1970 in local time.
    Local(i64),
}

/// Formats that need no setting, because a date that begins with the year can be read in only one way.
const YEAR_FIRST: [&str; 5] =
    ["%Y/%m/%d", "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S%.f", "%Y.%m.%d %H:%M", "%Y.%m.%d %H:%M:%S%.f"];
/// Possible beginnings of a format that starts with the year.
const YEARS: [&str; 5] = ["%Y", "%y", "%F", "%C", "%G"];
/// Date formats that are proposed to the user.
const DATES: [&str; 15] = [
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d.%m.%y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d %b %Y",
    "%b %d %Y",
    "%b %d, %Y",
    "%Y-%d-%m",
    "%Y/%d/%m",
];
/// Time-of-day formats that are proposed to the user.
const CLOCKS: [&str; 6] = ["", " %H:%M", " %H:%M:%S", " %H:%M:%S%.f", " %I:%M %p", " %I:%M:%S %p"];

/// Reads a time in the first of the given formats that fits. ISO 8601 and dates that begin with the year are read
/// without a format, unless a given format begins with the year. `24:00` is midnight at the end of the day.
pub(super) fn parse(text: &str, formats: &[String]) -> Option<Civil> {
    // A date that begins with the year cannot be confused with a date that begins with the day or the month.
    let iso = !formats.iter().any(|f| YEARS.iter().any(|y| f.starts_with(y)));
    let given = |text: &str| formats.iter().find_map(|f| formatted(text, f));
    with_day_end(text.trim(), |text| given(text).or_else(|| if iso { year_first(text) } else { None }))
}

/// Reads a time with `read`, and interprets `24:00` as midnight at the end of the day.
fn with_day_end(text: &str, read: impl Fn(&str) -> Option<Civil>) -> Option<Civil> {
    read(text).or_else(|| {
        let at = day_end(text)?;
        let same_day = format!("{}00{}", &text[..at], &text[at + 2..]);
        let rest = text[at + 5..].trim_start_matches(":00");
        let fraction = rest.strip_prefix('.').map_or("", |f| f.trim_start_matches('0'));
        match read(&same_day)? {
            _ if rest.starts_with(':') || fraction.starts_with(|c: char| c.is_ascii_digit()) => None,
            Civil::Instant(us) => Some(Civil::Instant(us + DAY_US)),
            Civil::Local(us) => Some(Civil::Local(us + DAY_US)),
        }
    })
}

/// Returns the position of the time `24:00` in a text.
fn day_end(text: &str) -> Option<usize> {
    text.find("24:00").filter(|at| text[..*at].ends_with([' ', 'T']))
}

/// Whether a time is written as `24:00`.
pub(super) fn is_day_end(text: &str) -> bool {
    day_end(text).is_some()
}

/// Reads a time between 00:00 and 23:59 whose date begins with the year.
fn year_first(text: &str) -> Option<Civil> {
    if let Ok(t) = text.parse::<Timestamp>() {
        return Some(Civil::Instant(t.as_microsecond()));
    }
    let iso = text.parse::<DateTime>().ok().and_then(local);
    iso.or_else(|| YEAR_FIRST.iter().find_map(|f| formatted(text, f)))
}

fn formatted(text: &str, format: &str) -> Option<Civil> {
    let parts = strtime::parse(format, text).ok()?;
    match parts.to_timestamp() {
        Ok(t) => Some(Civil::Instant(t.as_microsecond())),
        Err(_) => parts.to_datetime().ok().and_then(local),
    }
}

/// Converts a local time to µs since 1970.
pub(super) fn local(time: DateTime) -> Option<Civil> {
    Offset::UTC.to_timestamp(time).ok().map(|t| Civil::Local(t.as_microsecond()))
}

/// Whether `text` can be read in `format`.
pub(super) fn fits(text: &str, format: &str) -> bool {
    // A year with two digits must not be read as a year of the first century.
    let read = with_day_end(text.trim(), |text| formatted(text, format));
    matches!(read, Some(Civil::Local(us)) if us > -2_208_988_800_000_000)
}

/// Returns those formats among the ones proposed to the user in which `text` can be read.
pub(super) fn formats(text: &str) -> Vec<String> {
    if !text.contains(|c: char| c.is_ascii_digit()) {
        return Vec::new();
    }
    let all = DATES.iter().flat_map(|date| CLOCKS.iter().map(move |clock| format!("{date}{clock}")));
    all.filter(|f| fits(text, f)).collect()
}

/// Returns one of the `formats` for each order of day, month and year.
pub(super) fn distinct(formats: &[String]) -> Vec<&str> {
    let mut out: Vec<&str> = Vec::new();
    let date = |f: &str| DATES.iter().position(|d| f.starts_with(d) && !f[d.len()..].starts_with(','));
    for format in formats {
        if !out.iter().any(|o| date(o) == date(format)) {
            out.push(format);
        }
    }
    out
}

/// Recognises dates whose day and month are exchanged although they begin with the year, like `2023-31-01`.
#[derive(Debug, Default)]
pub(super) struct DateOrder {
    /// Number of time stamps on each date, which is given in days since 1970. Only the first few dates are kept.
    times: BTreeMap<i64, usize>,
}

impl DateOrder {
    /// Adds a local time.
    pub fn add(&mut self, us: i64) {
        let day = us.div_euclid(DAY_US);
        if self.times.len() <= 12 || self.times.contains_key(&day) {
            *self.times.entry(day).or_default() += 1;
        }
    }

    /// Returns true if all times lie on the same day of consecutive months, and several times on each of these
    /// days except the first and the last.
    pub fn is_exchanged(&self) -> bool {
        let at = |day: i64| Timestamp::from_microsecond(day * DAY_US).ok().map(|t| Offset::UTC.to_datetime(t));
        let dates: Vec<DateTime> = self.times.keys().filter_map(|d| at(*d)).collect();
        // A log can begin late on its first day and end at midnight, which belongs to the next day.
        let mut inner = self.times.values().skip(1).take(self.times.len().saturating_sub(2));
        let consecutive = |w: &[DateTime]| w[0].day() == w[1].day() && w[0].month() + 1 == w[1].month();
        (3..=12).contains(&dates.len()) && dates.windows(2).all(consecutive) && inner.all(|n| *n >= MIN_TIMES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<Civil> {
        text.parse::<DateTime>().ok().and_then(local)
    }

    #[test]
    fn dates_that_begin_with_the_year_and_the_end_of_the_day_are_read() {
        for text in [
            "2022/07/01 24:00",
            "2022-07-01 24:00:00",
            "2022-07-01 24:00:00.000",
            "2022-07-01 24:00:00.0",
            "2022.07.02 00:00",
            "2022/7/2 0:00:00.0",
            "2022/07/02",
        ] {
            assert_eq!(parse(text, &[]), at("2022-07-02T00:00:00"), "{text}");
        }
        for text in [
            "2022-07-01 24:01",
            "2022-07-01 24:00:30",
            "2022-07-01 24:00:00.5",
            "01/07/2022 01:00",
            "2022-13-01",
            "24:00",
            "",
        ] {
            assert_eq!(parse(text, &[]), None, "{text}");
        }
        // a format that begins with the day does not exclude dates that begin with the year
        let formats = ["%d.%m.%Y".to_owned(), "%m/%d/%Y".to_owned()];
        for text in ["31.12.2022", "12/31/2022", "2022-12-31"] {
            assert_eq!(parse(text, &formats), at("2022-12-31T00:00:00"), "{text}");
        }
        assert_eq!(parse("2022-13-01", &["%Y-%d-%m".into()]), at("2022-01-13T00:00:00"));
        assert_eq!(parse("2022-01-13", &["%Y-%d-%m".into()]), None);
        assert_eq!(parse("01.02.2022 24:00", &["%d.%m.%Y %H:%M".into()]), at("2022-02-02T00:00:00"));
    }

    #[test]
    fn a_format_is_proposed_and_an_unclear_order_of_day_and_month_is_stated() {
        let formats = |texts: &[&str]| {
            let mut all = super::formats(texts[0]);
            all.retain(|f| texts.iter().all(|t| fits(t, f)));
            distinct(&all).join("|")
        };
        assert_eq!(formats(&["01/07/2022 01:00"]), "%d/%m/%Y %H:%M|%m/%d/%Y %H:%M");
        assert_eq!(formats(&["01/07/2022 01:00", "13/07/2022 24:00"]), "%d/%m/%Y %H:%M");
        assert_eq!(formats(&["24.12.2011 00:00:00"]), "%d.%m.%Y %H:%M:%S");
        assert_eq!(formats(&["24.12.11"]), "%d.%m.%y");
        assert_eq!(formats(&["01/03/23 00:00"]), "%d/%m/%y %H:%M|%m/%d/%y %H:%M");
        assert_eq!(formats(&["01-Feb-24 00:00:00.25"]), "%d-%b-%y %H:%M:%S%.f");
        assert_eq!(formats(&["1/31/2024 1:05 PM"]), "%m/%d/%Y %I:%M %p");
        assert_eq!(formats(&["yesterday"]), "");
        assert_eq!(formats(&["2023-13-03 00:15"]), "%Y-%d-%m %H:%M");
    }
}
