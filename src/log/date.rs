//! Reads dates and times that are written as text, and proposes a format for texts that cannot be read without one.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::Offset;

const DAY_US: i64 = 86_400_000_000;

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
/// Date formats that are proposed to the user.
const DATES: [&str; 13] = [
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
];
/// Time-of-day formats that are proposed to the user.
const CLOCKS: [&str; 6] = ["", " %H:%M", " %H:%M:%S", " %H:%M:%S%.f", " %I:%M %p", " %I:%M:%S %p"];

/// Reads a time in the given format. Without a format, reads ISO 8601 and dates that begin with the year. `24:00` is
/// midnight at the end of the day.
pub(super) fn parse(text: &str, format: Option<&str>) -> Option<Civil> {
    let text = text.trim();
    within_day(text, format).or_else(|| {
        let at = day_end(text)?;
        let same_day = format!("{}00{}", &text[..at], &text[at + 2..]);
        let rest = text[at + 5..].trim_start_matches(":00");
        let fraction = rest.strip_prefix('.').map_or("", |f| f.trim_start_matches('0'));
        match within_day(&same_day, format)? {
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

/// Reads a time between 00:00 and 23:59.
fn within_day(text: &str, format: Option<&str>) -> Option<Civil> {
    if let Some(format) = format {
        return formatted(text, format);
    }
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

/// The formats in which all texts of a column can be read.
#[derive(Debug, Default)]
pub(super) struct Formats {
    /// `None` until the first text has been added.
    fitting: Option<Vec<String>>,
}

impl Formats {
    /// Drops the formats in which `text` cannot be read. A text without a digit, such as `n/a`, is ignored.
    pub fn add(&mut self, text: &str) {
        if !text.contains(|c: char| c.is_ascii_digit()) {
            return;
        }
        // A year with two digits must not be read as a year of the first century.
        let fits = |f: &str| matches!(parse(text, Some(f)), Some(Civil::Local(us)) if us > -2_208_988_800_000_000);
        match &mut self.fitting {
            Some(formats) => formats.retain(|f| fits(f)),
            None => {
                let all = DATES.iter().flat_map(|date| CLOCKS.iter().map(move |clock| format!("{date}{clock}")));
                self.fitting = Some(all.filter(|f| fits(f)).collect());
            }
        }
    }

    /// Returns the remaining formats, one for each order of day, month and year.
    pub fn list(&self) -> Vec<&str> {
        let mut out: Vec<&str> = Vec::new();
        let date = |f: &str| DATES.iter().position(|d| f.starts_with(d) && !f[d.len()..].starts_with(','));
        for format in self.fitting.iter().flatten() {
            if !out.iter().any(|o| date(o) == date(format)) {
                out.push(format);
            }
        }
        out
    }

    /// Returns advice for times that cannot be read.
    pub fn advice(&self) -> String {
        match self.list()[..] {
            [] => "export time stamps, ISO 8601 text such as 2024-06-01T12:00:00Z or seconds since 1970, or describe the text with `time_format` in `log`".into(),
            [one] => format!("set `time_format = \"{one}\"` in `log`"),
            [one, other, ..] => format!(
                "the order of day and month is unclear, so set either `time_format = \"{one}\"` or `time_format = \"{other}\"` in `log`"
            ),
        }
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
            assert_eq!(parse(text, None), at("2022-07-02T00:00:00"), "{text}");
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
            assert_eq!(parse(text, None), None, "{text}");
        }
        assert_eq!(parse("01.02.2022 24:00", Some("%d.%m.%Y %H:%M")), at("2022-02-02T00:00:00"));
    }

    #[test]
    fn a_format_is_proposed_and_an_unclear_order_of_day_and_month_is_stated() {
        let formats = |texts: &[&str]| {
            let mut f = Formats::default();
            texts.iter().for_each(|t| f.add(t));
            f.list().join("|")
        };
        assert_eq!(formats(&["01/07/2022 01:00"]), "%d/%m/%Y %H:%M|%m/%d/%Y %H:%M");
        assert_eq!(formats(&["01/07/2022 01:00", "13/07/2022 24:00"]), "%d/%m/%Y %H:%M");
        assert_eq!(formats(&["24.12.2011 00:00:00"]), "%d.%m.%Y %H:%M:%S");
        assert_eq!(formats(&["24.12.11"]), "%d.%m.%y");
        assert_eq!(formats(&["01-Feb-24 00:00:00.25"]), "%d-%b-%y %H:%M:%S%.f");
        assert_eq!(formats(&["1/31/2024 1:05 PM"]), "%m/%d/%Y %I:%M %p");
        assert_eq!(formats(&["yesterday"]), "");
    }
}
