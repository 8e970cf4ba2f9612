//! Finds the time column of a source by the names and contents of its columns.

use polars::prelude::*;

use crate::elapsed;
use crate::error::{Error, Result, list};
use crate::frame::FileFrame;
use crate::layout;
use crate::number::{self, Class, Decimal};
use crate::recipe::Source;
use crate::stamp::{self, Order};
use crate::zone::NO_TIME;

/// Number of entries that are examined to find the time column (not tuned).
pub const SAMPLE: usize = 300;

/// The content of a column that can be a time column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Date and time, or a date alone.
    Text {
        date_only: bool,
    },
    Typed,
    /// Times of day as text.
    Clock,
    /// Hours of the day, from 0 to 23 or from 1 to 24, or to 25 at the end of summer time.
    Hour,
    /// Numbers whose unit is inferred from their magnitude.
    Number(Unit),
    /// Numbers whose unit and origin the user gave.
    Elapsed,
}

/// Unit of the numbers in a time column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Days since 1899-12-30, in local time.
    Spreadsheet,
    /// Digits such as 20240131, in local time.
    Digits,
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

impl Unit {
    /// The unit in which all numbers from `min` to `max` are dates between 1980 and 2130.
    pub fn of(min: f64, max: f64) -> Option<Self> {
        const RANGES: [(Unit, f64, f64); 5] = [
            (Unit::Spreadsheet, 29_221.0, 84_007.0),
            (Unit::Seconds, 315_532_800.0, 5_049_129_600.0),
            (Unit::Milliseconds, 315_532_800e3, 5_049_129_600e3),
            (Unit::Microseconds, 315_532_800e6, 5_049_129_600e6),
            (Unit::Nanoseconds, 315_532_800e9, 5_049_129_600e9),
        ];
        let digits = |v: f64| v.fract() == 0.0 && stamp::from_digits(v as i64).is_some();
        if digits(min) && digits(max) {
            return Some(Self::Digits);
        }
        RANGES
            .into_iter()
            .find(|(_, from, to)| (*from..=*to).contains(&min) && (*from..=*to).contains(&max))
            .map(|(u, ..)| u)
    }

    pub fn is_local(self) -> bool {
        matches!(self, Self::Spreadsheet | Self::Digits)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Spreadsheet => "spreadsheet days",
            Self::Digits => "digits",
            Self::Seconds => "seconds since 1970",
            Self::Milliseconds => "milliseconds since 1970",
            Self::Microseconds => "microseconds since 1970",
            Self::Nanoseconds => "nanoseconds since 1970",
        }
    }

    /// µs since 1970.
    pub fn microseconds(self, v: f64) -> i64 {
        match self {
            // a day has 86,400,000 ms; the fraction of a day is rounded to whole ms
            Self::Spreadsheet => ((v - 25_569.0) * 86_400_000.0).round() as i64 * 1_000,
            Self::Digits => stamp::from_digits(v as i64).unwrap_or(NO_TIME),
            Self::Seconds => (v * 1e6).round() as i64,
            Self::Milliseconds => (v * 1e3).round() as i64,
            Self::Microseconds => v.round() as i64,
            Self::Nanoseconds => (v / 1e3).floor() as i64,
        }
    }
}

/// The time column, or the columns of date and time of day. The columns in `values` are never read as times.
///
/// # Errors
/// [`Error::Data`] if there is no time column, and [`Error::Usage`] if several columns qualify.
pub fn choose(frames: &[FileFrame], source: &Source, values: &[&str]) -> Result<Vec<(String, Kind)>> {
    let frame = frames.iter().find(|f| f.frame.height() > 0).ok_or_else(|| {
        let name = frames.first().map_or("", |f| f.name.as_str());
        Error::Data(format!("{name}: there are no rows; check `--where` and the files"))
    })?;
    let names: Vec<String> = frame.frame.get_column_names().iter().map(ToString::to_string).collect();
    if source.time_unit.is_some() {
        return counted(frame, source, &names, values).map(|name| vec![(name, Kind::Elapsed)]);
    }
    if let Some(time) = &source.time {
        let parts: Vec<&str> = if names.contains(time) { vec![time.as_str()] } else { time.split('+').collect() };
        let found = parts.iter().map(|part| {
            layout::require(part, &names, &format!("{}: --time", frame.name))?;
            let kind = kind(frame, part, true)?.ok_or_else(|| {
                Error::Data(format!(
                    "{}: the column `{part}` contains no times that can be read{}{}",
                    frame.name,
                    example(frame, part),
                    if is_number(frame, part) { format!("; {}", elapsed::advice(part)) } else { String::new() }
                ))
            })?;
            Ok(((*part).to_owned(), kind))
        });
        return found.collect();
    }
    let mut found = Vec::new();
    for name in names.iter().filter(|n| !values.contains(&n.as_str())) {
        if let Some(kind) = kind(frame, name, false)? {
            found.push((name.clone(), kind));
        }
    }
    let of = |accept: &dyn Fn(Kind) -> bool| found.iter().filter(|(_, k)| accept(*k)).cloned().collect::<Vec<_>>();
    let full = of(&|k| matches!(k, Kind::Typed | Kind::Text { date_only: false }));
    let dates = of(&|k| matches!(k, Kind::Text { date_only: true } | Kind::Number(Unit::Digits)));
    let clocks = of(&|k| matches!(k, Kind::Clock | Kind::Hour));
    let others = of(&|k| matches!(k, Kind::Number(_)));
    if !full.is_empty() {
        return Ok(vec![best(frame, &full)?]);
    }
    if !dates.is_empty() {
        let date = best(frame, &dates)?;
        return if clocks.is_empty() { Ok(vec![date]) } else { Ok(vec![date, best(frame, &clocks)?]) };
    }
    if !others.is_empty() {
        return Ok(vec![best(frame, &others)?]);
    }
    let shown: Vec<String> = names.iter().map(|n| format!("`{n}`{}", example(frame, n))).collect();
    let advice = names.iter().find(|n| layout::unit_of_time(n).is_some() && is_number(frame, n));
    let advice = advice.map_or_else(|| "name the time column with `--time`".into(), |n| elapsed::advice(n));
    Err(Error::Data(format!(
        "{}: no column contains times that can be read; the columns are {}; {advice}",
        frame.name,
        list(&shown, 6)
    )))
}

/// The column whose numbers count from an origin: the one given with `--time`, or the only one whose name suggests
/// this.
fn counted(frame: &FileFrame, source: &Source, names: &[String], values: &[&str]) -> Result<String> {
    if let Some(time) = &source.time {
        layout::require(time, names, &format!("{}: --time", frame.name))?;
        if !is_number(frame, time) {
            let text =
                format!("{}: --time-unit: the column `{time}` contains no numbers{}", frame.name, example(frame, time));
            return Err(Error::Usage(text));
        }
        return Ok(time.clone());
    }
    let is_time = |n: &str| layout::unit_of_time(n).is_some() || layout::time_rank(n).is_some();
    let found: Vec<&String> =
        names.iter().filter(|n| is_time(n) && !values.contains(&n.as_str()) && is_number(frame, n)).collect();
    match found[..] {
        [one] => Ok(one.clone()),
        _ => Err(Error::Usage(format!(
            "{}: --time-unit: name the column with `--time`; the columns are {}",
            frame.name,
            list(names, 20)
        ))),
    }
}

/// Whether a column contains numbers, or text that can be read as numbers.
fn is_number(frame: &FileFrame, name: &str) -> bool {
    let Ok(column) = frame.frame.column(name) else { return false };
    if column.dtype().is_primitive_numeric() {
        return true;
    }
    let texts = column.as_materialized_series().str();
    let mut texts =
        texts.iter().flat_map(|t| t.iter().flatten()).filter(|t| !t.trim().is_empty()).take(SAMPLE).peekable();
    texts.peek().is_some() && texts.all(|t| any_number(t).is_some())
}

fn example(frame: &FileFrame, name: &str) -> String {
    let column = frame.frame.column(name).ok().and_then(|c| c.cast(&DataType::String).ok());
    let text = column.as_ref().and_then(|c| c.str().ok()).and_then(|c| c.iter().flatten().next().map(str::to_owned));
    text.map_or_else(String::new, |t| format!(" (e.g. `{t}`)"))
}

/// The candidate with the most common name for a time column.
fn best(frame: &FileFrame, candidates: &[(String, Kind)]) -> Result<(String, Kind)> {
    let rank = |name: &str| layout::time_rank(name).unwrap_or(usize::MAX);
    let smallest = candidates.iter().map(|(name, _)| rank(name)).min().unwrap_or(0);
    let equal: Vec<&(String, Kind)> = candidates.iter().filter(|(name, _)| rank(name) == smallest).collect();
    match equal[..] {
        [one] => Ok(one.clone()),
        _ => {
            let names: Vec<String> = equal.iter().map(|(name, _)| format!("`{name}`")).collect();
            Err(Error::Usage(format!(
                "{}: the columns {} contain times; name the right one with `--time`",
                frame.name,
                names.join(" and ")
            )))
        }
    }
}

/// The kind of times in the column `name`. `named`: whether the user named this column as the time column.
fn kind(frame: &FileFrame, name: &str, named: bool) -> Result<Option<Kind>> {
    let bad = |e: PolarsError| Error::Data(format!("{}: {e}", frame.name));
    let column = frame.frame.column(name).map_err(bad)?.as_materialized_series();
    let like_time = named || layout::time_rank(name).is_some();
    match column.dtype() {
        DataType::Datetime(..) | DataType::Date => Ok(Some(Kind::Typed)),
        DataType::String => {
            let texts: Vec<&str> = column
                .str()
                .map_err(bad)?
                .iter()
                .flatten()
                .map(str::trim)
                .filter(|t| !t.is_empty())
                .take(SAMPLE)
                .collect();
            Ok(text_kind(&texts, like_time, layout::is_hour(name)))
        }
        t if t.is_primitive_numeric() => {
            let numbers = column.cast(&DataType::Float64).map_err(bad)?;
            let numbers: Vec<f64> = numbers.f64().map_err(bad)?.iter().flatten().take(SAMPLE).collect();
            Ok(number_kind(&numbers, like_time, layout::is_hour(name)))
        }
        _ => Ok(None),
    }
}

fn text_kind(texts: &[&str], like_time: bool, like_hour: bool) -> Option<Kind> {
    if texts.is_empty() {
        return None;
    }
    let most = |accept: &dyn Fn(&str) -> bool| texts.iter().filter(|t| accept(t)).count() * 10 >= texts.len() * 9;
    if most(&|t| number::classify(t) != Class::Other) {
        let numbers: Vec<f64> = texts.iter().filter_map(|t| any_number(t)).collect();
        return number_kind(&numbers, like_time, like_hour);
    }
    let is_stamp = |t: &str| [Order::Dmy, Order::Mdy, Order::Ymd].iter().any(|o| stamp::parse(t, Some(*o)).is_some());
    if most(&is_stamp) {
        return Some(Kind::Text { date_only: most(&|t| stamp::is_date_only(t)) });
    }
    most(&|t| stamp::parse_clock(t).is_some()).then_some(Kind::Clock)
}

/// The number in a text, with any decimal separator.
pub fn any_number(text: &str) -> Option<f64> {
    number::number(text, Decimal::Point).or_else(|| number::number(text, Decimal::Comma))
}

fn number_kind(numbers: &[f64], like_time: bool, like_hour: bool) -> Option<Kind> {
    if numbers.is_empty() {
        return None;
    }
    if like_hour && numbers.iter().all(|v| v.fract() == 0.0 && (0.0..=25.0).contains(v)) {
        return Some(Kind::Hour);
    }
    let (min, max) = extremes(numbers.iter().copied());
    Unit::of(min, max).filter(|_| like_time).map(Kind::Number)
}

/// The smallest and the largest number.
pub fn extremes(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    numbers.fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), v| (min.min(v), max.max(v)))
}
