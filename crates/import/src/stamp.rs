//! Reads dates and times of day that are written as text.

use crate::month;

/// Microseconds per second.
pub const SECOND_US: i64 = 1_000_000;
/// Microseconds per day.
pub const DAY_US: i64 = 86_400 * SECOND_US;

/// Order of the three numbers of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Ymd,
    Dmy,
    Mdy,
}

impl Order {
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Ymd, Self::Dmy, Self::Mdy].into_iter().find(|o| o.name() == text)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Ymd => "ymd",
            Self::Dmy => "dmy",
            Self::Mdy => "mdy",
        }
    }
}

/// A time that was written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// µs since 1970, in the time zone of the text.
    pub local: i64,
    /// Offset from UTC in seconds, if the text has one.
    pub offset: Option<i64>,
}

/// A date whose order of day, month and year may be ambiguous.
#[derive(Debug, Clone, Copy)]
struct Date {
    parts: [u32; 3],
    /// The order of day, month and year, if the text alone determines this order.
    order: Option<Order>,
    /// Whether the year has two digits.
    short_year: bool,
}

/// The orders of day, month and year that are consistent with the entries of a column.
#[derive(Debug, Clone, Default)]
pub struct Orders {
    /// First entry that can only be read in this order, for `Ymd`, `Dmy` and `Mdy`.
    pub only: [Option<String>; 3],
    /// First entry that can be read as `Dmy` and as `Mdy`.
    pub unclear: Option<String>,
    /// Number of entries that cannot be read as a time in any order.
    pub unreadable: usize,
    pub readable: usize,
}

impl Orders {
    /// Adds an entry that consists of a date with or without a time of day.
    pub fn add(&mut self, text: &str) {
        let Some((date, _)) = date(text.trim()).filter(|(_, rest)| clock_and_zone(rest).is_some()) else {
            self.unreadable += 1;
            return;
        };
        let valid = |order| days(date, order).is_some();
        let order = match date.order {
            Some(order) => valid(order).then_some(Some(order)),
            None => match (valid(Order::Dmy), valid(Order::Mdy)) {
                (true, true) => Some(None),
                (true, false) => Some(Some(Order::Dmy)),
                (false, true) => Some(Some(Order::Mdy)),
                (false, false) => valid(Order::Ymd).then_some(Some(Order::Ymd)),
            },
        };
        let slot = match order {
            None => {
                self.unreadable += 1;
                return;
            }
            Some(None) => &mut self.unclear,
            Some(Some(order)) => &mut self.only[order as usize],
        };
        self.readable += 1;
        if slot.is_none() {
            *slot = Some(text.to_owned());
        }
    }
}

/// Reads a date, with or without a time of day and an offset. `order` is used if the text itself does not determine the
/// order; if `order` is `None`, such a text cannot be read.
pub fn parse(text: &str, order: Option<Order>) -> Option<Stamp> {
    if let Some(stamp) = iso(text.as_bytes()) {
        return Some(stamp);
    }
    let (date, rest) = date(text.trim())?;
    let day = days(date, date.order.or(order)?)?;
    let (clock, offset) = clock_and_zone(rest)?;
    Some(Stamp { local: day * DAY_US + clock, offset })
}

/// Fast path for the most frequent notation, `2024-01-31 12:34:56` with `T` or a space and with or without `Z`.
fn iso(text: &[u8]) -> Option<Stamp> {
    let (text, offset) = match text {
        [text @ .., b'Z'] => (text, Some(0)),
        text => (text, None),
    };
    if text.len() != 19 || text[4] != b'-' || text[7] != b'-' || text[13] != b':' || text[16] != b':' {
        return None;
    }
    let part = |range: std::ops::Range<usize>| {
        text[range].iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| 10 * n + u32::from(b - b'0')))
    };
    let day = civil_days(part(0..4)?, part(5..7)?, part(8..10)?)?;
    let (h, m, s) = (part(11..13)?, part(14..16)?, part(17..19)?);
    let valid = matches!(text[10], b' ' | b'T') && h < 24 && m < 60 && s < 60;
    valid.then(|| Stamp { local: day * DAY_US + i64::from(h * 3600 + m * 60 + s) * SECOND_US, offset })
}

/// Whether the text is a date in which the order of day and month is ambiguous.
pub fn needs_order(text: &str) -> bool {
    date(text.trim()).is_some_and(|(date, _)| date.order.is_none())
}

/// Whether the text is a date without a time of day.
pub fn is_date_only(text: &str) -> bool {
    date(text.trim()).is_some_and(|(_, rest)| rest.trim().is_empty())
}

/// The day of a date, as the number of days since 1970. `order` is used if the text itself does not determine the
/// order.
pub fn day(text: &str, order: Order) -> Option<i64> {
    let (date, _) = date(text.trim())?;
    days(date, date.order.unwrap_or(order))
}

/// Reads a time of day, in µs after midnight; `24:00` is the end of the day.
pub fn parse_clock(text: &str) -> Option<i64> {
    let text = text.trim();
    match clock_and_zone(text) {
        Some((clock, None)) if text.starts_with(|c: char| c.is_ascii_digit()) => Some(clock),
        _ => None,
    }
}

/// Parses the digits at the start of a text. Returns the value of the digits, the number of digits, and the rest of the
/// text.
fn digits(text: &str) -> Option<(u32, usize, &str)> {
    let end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let value = if end == 0 || end > 9 { None } else { text[..end].parse().ok() };
    value.map(|v| (v, end, &text[end..]))
}

/// Removes the separator in a date: one of `-`, `/`, `.`, `,` and spaces.
fn separator(text: &str) -> Option<(u8, &str)> {
    let first = *text.as_bytes().first()?;
    if !matches!(first, b'-' | b'/' | b'.' | b',' | b' ') {
        return None;
    }
    Some((first, text[1..].trim_start_matches(' ')))
}

/// Parses the date at the start of a text.
fn date(text: &str) -> Option<(Date, &str)> {
    if !text.as_bytes().first()?.is_ascii_digit() {
        // Feb 1, 2024
        let (m, rest) = month::parse(text)?;
        let (d, _, rest) = digits(rest.trim_start())?;
        let (_, rest) = separator(rest)?;
        let (y, width, rest) = digits(rest)?;
        let date = Date { parts: [m, d, y], order: Some(Order::Mdy), short_year: width == 2 };
        return (width == 2 || width == 4).then_some((date, rest));
    }
    let (a, width, rest) = digits(text)?;
    if width == 8 {
        let date = Date { parts: [a / 10_000, a / 100 % 100, a % 100], order: Some(Order::Ymd), short_year: false };
        return Some((date, rest));
    }
    let (sign, rest) = separator(rest)?;
    if let Some((m, rest)) = month::parse(rest) {
        // 01-Feb-24
        let (_, rest) = separator(rest)?;
        let (c, last, rest) = digits(rest)?;
        let order = if width == 4 { Order::Ymd } else { Order::Dmy };
        let years = if width == 4 { width } else { last };
        let date = Date { parts: [a, m, c], order: Some(order), short_year: years == 2 };
        return (years == 2 || years == 4).then_some((date, rest));
    }
    let (b, middle, rest) = digits(rest)?;
    let (again, rest) = separator(rest)?;
    let (c, last, rest) = digits(rest)?;
    let short = |n| n == 1 || n == 2;
    if sign != again || !short(middle) || sign == b' ' {
        return None;
    }
    let parts = [a, b, c];
    match (width, last) {
        (4, n) if short(n) => Some((Date { parts, order: Some(Order::Ymd), short_year: false }, rest)),
        (1 | 2, 4) => {
            // a date with full stops and the year at the end begins with the day in all countries
            let order = (sign == b'.').then_some(Order::Dmy);
            Some((Date { parts, order, short_year: false }, rest))
        }
        (1 | 2, 2) => {
            let order = (sign == b'.' && a <= 31).then_some(Order::Dmy);
            Some((Date { parts, order, short_year: true }, rest))
        }
        _ => None,
    }
}

/// The number of days from 1970-01-01 to a date.
fn days(date: Date, order: Order) -> Option<i64> {
    let [a, b, c] = date.parts;
    let (y, m, d) = match order {
        Order::Ymd => (a, b, c),
        Order::Dmy => (c, b, a),
        Order::Mdy => (c, a, b),
    };
    let y = match date.short_year {
        true if y < 69 => 2000 + y,
        true => 1900 + y,
        false => y,
    };
    civil_days(y, m, d)
}

/// The number of days from 1970-01-01 to a date between 1900 and 2200.
fn civil_days(y: u32, m: u32, d: u32) -> Option<i64> {
    let leap = y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    let length = match m {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1900..=2200).contains(&y) || d == 0 || d > length {
        return None;
    }
    // the algorithm `days_from_civil`, in which the year starts in March
    let (y, m, d) = (i64::from(y) - i64::from(m <= 2), i64::from(m), i64::from(d));
    let (era, of_era) = (y / 400, y % 400);
    let of_year = (153 * (m + if m > 2 { -3 } else { 9 }) + 2) / 5 + d - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// Reads the digits `YYYYMMDD`, `YYYYMMDDhhmm` or `YYYYMMDDhhmmss` of a number.
pub fn from_digits(value: i64) -> Option<i64> {
    let (date, clock) = match value {
        19_000_101..=22_001_231 => (value, 0),
        190_001_010_000..=220_012_312_400 => (value / 10_000, value % 10_000 * 100),
        19_000_101_000_000..=22_001_231_240_000 => (value / 1_000_000, value % 1_000_000),
        _ => return None,
    };
    let part = |v: i64| u32::try_from(v).ok();
    let day = civil_days(part(date / 10_000)?, part(date / 100 % 100)?, part(date % 100)?)?;
    let (h, m, s) = (clock / 10_000, clock / 100 % 100, clock % 100);
    let valid = (h < 24 || (h == 24 && m == 0 && s == 0)) && m < 60 && s < 60;
    valid.then_some(day * DAY_US + (h * 3600 + m * 60 + s) * SECOND_US)
}

/// Reads the part of a text that follows the date: the time of day (in µs after midnight) and the offset from UTC (in
/// seconds).
fn clock_and_zone(rest: &str) -> Option<(i64, Option<i64>)> {
    let rest = rest.trim_start_matches(',');
    let text = rest.strip_prefix(['T', 't']).unwrap_or(rest).trim_start();
    if text.is_empty() {
        return Some((0, None));
    }
    let (first, width, mut rest) = digits(text)?;
    let (mut h, mut m, mut s, mut fraction) = (first, 0, 0, 0);
    match width {
        4 => (h, m) = (first / 100, first % 100),
        6 => (h, m, s) = (first / 10_000, first / 100 % 100, first % 100),
        1 | 2 => {
            let sign = rest.chars().next().filter(|c| matches!(c, ':' | '.' | 'h'));
            if let Some(sign) = sign {
                (m, _, rest) = digits(&rest[1..]).filter(|d| d.1 == 2)?;
                if let Some((second, 2, after)) = rest.strip_prefix(sign).and_then(digits) {
                    (s, rest) = (second, after);
                    if let Some(read) = rest.strip_prefix(['.', ',', ':']).and_then(fraction_digits) {
                        (fraction, rest) = read;
                    }
                }
            }
        }
        _ => return None,
    }
    rest = rest.trim_start();
    let bare_hour = width <= 2 && rest.len() == text.len() - width;
    let mut twelve = false;
    for (word, afternoon) in [("am", false), ("pm", true), ("a.m.", false), ("p.m.", true)] {
        if let Some(start) = rest.get(..word.len()).filter(|start| start.eq_ignore_ascii_case(word)) {
            if !(1..=12).contains(&h) {
                return None;
            }
            h = h % 12 + if afternoon { 12 } else { 0 };
            rest = rest[start.len()..].trim_start();
            twelve = true;
            break;
        }
    }
    if bare_hour && !twelve {
        return None;
    }
    if h > 24 || m > 59 || s > 59 || (h == 24 && (m, s, fraction) != (0, 0, 0)) {
        return None;
    }
    let offset = if rest.is_empty() { None } else { Some(zone(rest)?) };
    Some((i64::from(h * 3600 + m * 60 + s) * SECOND_US + fraction, offset))
}

/// Parses the digits of a fraction of a second. Returns the fraction in µs and the rest of the text.
fn fraction_digits(text: &str) -> Option<(i64, &str)> {
    let end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    if end == 0 {
        return None;
    }
    let used = &text[..end.min(6)];
    let scale = 10_i64.pow(6 - used.len() as u32);
    used.parse::<i64>().ok().map(|v| (v * scale, &text[end..]))
}

/// Reads an offset from UTC, in seconds.
pub fn zone(text: &str) -> Option<i64> {
    match text {
        "Z" | "z" | "UTC" | "GMT" => return Some(0),
        "CET" | "MEZ" => return Some(3_600),
        "CEST" | "MESZ" => return Some(7_200),
        _ => {}
    }
    let text = text.strip_prefix("UTC").or_else(|| text.strip_prefix("GMT")).unwrap_or(text);
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (first, width, rest) = digits(&text[1..])?;
    let (h, m) = match (width, rest.strip_prefix(':').and_then(digits)) {
        (1 | 2, Some((m, 2, ""))) => (first, m),
        (1 | 2, None) if rest.is_empty() => (first, 0),
        (4, None) if rest.is_empty() => (first / 100, first % 100),
        _ => return None,
    };
    (h <= 15 && m < 60).then(|| sign * i64::from(h * 3600 + m * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_microsecond()
    }

    #[test]
    fn dates_and_times_in_many_notations() {
        for (text, order, right) in [
            ("2024-02-29T12:34:56.789Z", Order::Ymd, "2024-02-29T12:34:56.789Z"),
            ("2024/2/9 7:05", Order::Ymd, "2024-02-09T07:05:00Z"),
            ("24.12.2011 00:15:30", Order::Dmy, "2011-12-24T00:15:30Z"),
            ("03/04/2024 1:05 PM", Order::Mdy, "2024-03-04T13:05:00Z"),
            ("03/04/2024 12:05 am", Order::Dmy, "2024-04-03T00:05:00Z"),
            ("01-Feb-24 00:00:00.25", Order::Ymd, "2024-02-01T00:00:00.25Z"),
            ("1. Okt. 2024", Order::Ymd, "2024-10-01T00:00:00Z"),
            ("Mar 5, 2024 06:00", Order::Ymd, "2024-03-05T06:00:00Z"),
            ("20240131T0645", Order::Ymd, "2024-01-31T06:45:00Z"),
            ("31.12.2023 24:00", Order::Dmy, "2024-01-01T00:00:00Z"),
            ("24.12.11 23:59", Order::Dmy, "2011-12-24T23:59:00Z"),
        ] {
            assert_eq!(parse(text, Some(order)).map(|s| s.local), Some(us(right)), "{text}");
        }
        assert_eq!(parse("2024-01-01 00:00:00+05:30", None).and_then(|s| s.offset), Some(19_800));
        assert_eq!(parse("2024-01-01T00:00:00-0330", None).and_then(|s| s.offset), Some(-12_600));
        for text in
            ["2023-02-29", "24:00", "12.5", "1/2/3/4", "2024-01-01 24:01", "2024-01-01 7", "32.01.2024", "abc", ""]
        {
            assert_eq!(parse(text, Some(Order::Dmy)), None, "{text}");
        }
    }

    #[test]
    fn every_day_from_1900_to_2200_has_the_right_number() {
        let mut day = us("1900-01-01T00:00:00Z") / DAY_US;
        let mut date = jiff::civil::date(1900, 1, 1);
        while date.year() <= 2200 {
            let (y, m, d) = (date.year() as u32, date.month() as u32, date.day() as u32);
            assert_eq!(civil_days(y, m, d), Some(day), "{date}");
            (date, day) = (date.tomorrow().unwrap(), day + 1);
        }
    }

    #[test]
    fn the_order_is_decided_by_the_whole_column() {
        let orders = |texts: &[&str]| {
            let mut orders = Orders::default();
            texts.iter().for_each(|t| orders.add(t));
            orders
        };
        let o = orders(&["03/04/2024 10:00", "13/04/2024 10:00"]);
        assert!(o.only[Order::Dmy as usize].is_some() && o.only[Order::Mdy as usize].is_none() && o.unclear.is_some());
        let o = orders(&["04/13/2024", "13/04/2024", "x"]);
        assert!(o.only[Order::Dmy as usize].is_some() && o.only[Order::Mdy as usize].is_some());
        assert_eq!((o.readable, o.unreadable), (2, 1));
    }

    #[test]
    fn digits_are_read_as_dates() {
        assert_eq!(from_digits(20240131), Some(us("2024-01-31T00:00:00Z")));
        assert_eq!(from_digits(202401312400), Some(us("2024-02-01T00:00:00Z")));
        assert_eq!(from_digits(20240131235959), Some(us("2024-01-31T23:59:59Z")));
        assert_eq!(from_digits(20241331), None);
    }
}
