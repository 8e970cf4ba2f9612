//! Reads the times of a source.

use polars::prelude::*;

use crate::date_order;
use crate::elapsed::{self, Elapsed};
use crate::error::{Error, Result, list, plural};
use crate::frame::FileFrame;
use crate::interval_end::{Ends, HOUR_US};
use crate::number::{self, Decimal, Signs};
use crate::recipe::Source;
use crate::stamp::{self, DAY_US, Order, SECOND_US};
use crate::time_column::{Kind, SAMPLE, Unit, any_number, choose, extremes};
use crate::zone::{NO_TIME, Zone};

/// Maximum fraction of rows with an unreadable time, such as a line of totals at the end (not tuned).
const MAX_UNREADABLE: f64 = 0.01;

/// The times of a source.
#[derive(Debug)]
pub struct Times {
    /// µs since 1970 in UTC, or [`NO_TIME`], for each row of each file.
    pub instants: Vec<Vec<i64>>,
    /// Columns from which the times were read.
    pub columns: Vec<String>,
    /// The notation as shown to the user.
    pub notation: String,
    pub order: Option<Order>,
    pub notes: Vec<String>,
}

/// Reads the times of all files of a source. The columns in `values` are never read as times. For files with several
/// tags, `series` contains the tag of each row.
///
/// # Errors
/// [`Error::Data`] or [`Error::Usage`] if the times cannot be read or are ambiguous.
pub fn read(frames: &[FileFrame], source: &Source, values: &[&str], series: &[Vec<u32>]) -> Result<Times> {
    let columns = choose(frames, source, values)?;
    let first = &columns[0];
    let mut notes = Vec::new();
    let mut ends = None;
    let (mut locals, offsets, notation, order) = match first.1 {
        Kind::Typed => typed(frames, &first.0)?,
        Kind::Number(unit) => numbers(frames, &first.0, unit)?,
        Kind::Elapsed => counted(frames, &first.0, source)?,
        Kind::Text { .. } => texts(frames, &first.0, source, &mut ends, &mut notes)?,
        Kind::Clock | Kind::Hour => {
            return Err(Error::Usage(format!(
                "--time: the column `{}` has times of day but no dates; add the column with the date, like `Date+{0}`{}",
                first.0,
                if first.1 == Kind::Hour { format!(", or, {}", elapsed::advice(&first.0)) } else { String::new() }
            )));
        }
    };
    let mut notation = format!("{notation} in `{}`", first.0);
    let dates = locals.clone();
    if let Some((second, kind)) = columns.get(1) {
        let (description, hours) = add_clock(frames, second, *kind, &mut locals, &mut notes)?;
        notation = format!("{notation} and {description}");
        ends = hours.or(ends);
    }
    count_missing(frames, &first.0, &locals, &mut notes)?;
    let has_local =
        locals.iter().zip(&offsets).any(|(l, o)| l.iter().zip(o).any(|(t, o)| *t != NO_TIME && o.is_none()));
    let has_offset = offsets.iter().flatten().any(Option::is_some);
    if has_local && has_offset {
        return Err(Error::Data(format!(
            "{}: some times in `{}` have an offset from UTC, and others do not; export all times in UTC",
            frames[0].name, first.0
        )));
    }
    if has_local {
        let Some(name) = &source.timezone else {
            let sample = frames.iter().zip(&locals).find_map(|(_, l)| l.iter().find(|t| **t != NO_TIME)).copied();
            return Err(Error::Usage(format!(
                "{}: the times in `{}` have no time zone (the first is {}); add `--timezone` with the zone of the plant, such as \
                 `--timezone Europe/Berlin`, or `--timezone UTC`, after the `--from` of this file or before the first `--from`",
                frames[0].name,
                first.0,
                sample.map_or_else(String::new, crate::zone::shown)
            )));
        };
        let mut zone = Zone::new(name)?;
        let mut repeated = 0;
        for (i, (frame, times)) in frames.iter().zip(&mut locals).enumerate() {
            let tags = series.get(i).map_or(&[][..], Vec::as_slice);
            repeated += match ends {
                Some(ends) => ends.resolve(&mut zone, &frame.name, times, &dates[i], tags)?,
                None => zone.resolve(&frame.name, times, tags)?,
            };
        }
        if repeated > 0 {
            notes.push(format!(
                "{} in the hour that is repeated at the end of summer time, assigned by the order of the rows",
                plural(repeated, "row", "rows")
            ));
        }
        notation = format!("{notation}, {name}");
    } else {
        for (times, offsets) in locals.iter_mut().zip(&offsets) {
            for (time, offset) in times.iter_mut().zip(offsets) {
                if *time != NO_TIME {
                    *time -= offset.unwrap_or(0) * SECOND_US;
                }
            }
        }
    }
    Ok(Times { instants: locals, columns: columns.into_iter().map(|c| c.0).collect(), notation, order, notes })
}

/// One value, such as a time or an offset, for each row of each file.
type PerRow<T> = Vec<Vec<T>>;
/// The local time or instant of each row, the offset of each row in seconds, the notation of the times, and the order
/// of day and month.
type Read = (PerRow<i64>, PerRow<Option<i64>>, String, Option<Order>);

fn series<'a>(frame: &'a FileFrame, name: &str) -> Result<&'a Series> {
    let column = frame.frame.column(name);
    let missing = |_| {
        Error::Data(format!(
            "{}: there is no time column `{name}`, which other files have; give the files of each layout in a separate `--from`",
            frame.name
        ))
    };
    column.map(Column::as_materialized_series).map_err(missing)
}

fn typed(frames: &[FileFrame], name: &str) -> Result<Read> {
    let (mut times, mut offsets, mut zoned) = (Vec::new(), Vec::new(), false);
    for frame in frames {
        let bad = |e: PolarsError| Error::Data(format!("{}: the time column `{name}`: {e}", frame.name));
        let column = series(frame, name)?;
        let zone = match column.dtype() {
            DataType::Datetime(_, zone) => zone.is_some(),
            DataType::Date => false,
            other => {
                return Err(Error::Data(format!(
                    "{}: the time column `{name}` has the type {other}, but contains times in other files",
                    frame.name
                )));
            }
        };
        zoned |= zone;
        let converted =
            column.cast(&DataType::Datetime(TimeUnit::Microseconds, None)).or_else(|_| column.cast(&DataType::Int64));
        let physical = converted.and_then(|c| c.cast(&DataType::Int64)).map_err(bad)?;
        let values: Vec<i64> = physical.i64().map_err(bad)?.iter().map(|t| t.unwrap_or(NO_TIME)).collect();
        offsets.push(vec![zone.then_some(0); values.len()]);
        times.push(values);
    }
    Ok((times, offsets, if zoned { "stamps in UTC" } else { "stamps without a zone" }.into(), None))
}

/// The numbers of a time column, for each row of each file.
fn read_numbers(frames: &[FileFrame], name: &str) -> Result<PerRow<Option<f64>>> {
    let mut all: PerRow<Option<f64>> = Vec::new();
    for frame in frames {
        let bad = |e: PolarsError| Error::Data(format!("{}: the time column `{name}`: {e}", frame.name));
        let column = series(frame, name)?;
        if column.dtype() == &DataType::String {
            let texts = column.str().map_err(bad)?;
            let mut signs = Signs::default();
            for text in texts.iter().flatten() {
                signs.add(text);
            }
            let decimal = signs.decide(true).ok().flatten().unwrap_or(Decimal::Point);
            all.push(texts.iter().map(|t| t.and_then(|t| number::number(t, decimal))).collect());
        } else {
            let values = column.cast(&DataType::Float64).map_err(bad)?;
            all.push(values.f64().map_err(bad)?.iter().collect());
        }
    }
    Ok(all)
}

fn counted(frames: &[FileFrame], name: &str, source: &Source) -> Result<Read> {
    let text = source.time_unit.as_deref().unwrap_or_default();
    let elapsed = Elapsed::parse(text, source.timezone.as_deref())?;
    let all = read_numbers(frames, name)?;
    for (frame, numbers) in frames.iter().zip(&all) {
        if let Some(number) = numbers.iter().flatten().find(|v| elapsed.instant(**v).is_none()) {
            return Err(Error::Usage(format!(
                "{}: --time-unit `{text}`: the number {number} in `{name}` is not between 1900 and 2200; correct the unit",
                frame.name
            )));
        }
    }
    let time = |v: &Option<f64>| v.and_then(|v| elapsed.instant(v)).unwrap_or(NO_TIME);
    let times = all.iter().map(|v| v.iter().map(time).collect()).collect();
    let offsets = all.iter().map(|v| vec![Some(0); v.len()]).collect();
    Ok((times, offsets, text.to_owned(), None))
}

fn numbers(frames: &[FileFrame], name: &str, expected: Unit) -> Result<Read> {
    let all = read_numbers(frames, name)?;
    let (min, max) = extremes(all.iter().flatten().flatten().copied());
    let unit = Unit::of(min, max).ok_or_else(|| {
        Error::Data(format!(
            "{}: the time column `{name}` contains numbers from {min} to {max}, of which only some can be read as {}; \
             correct the other rows, or leave them out with `--where`",
            frames[0].name,
            expected.name()
        ))
    })?;
    let times = all.iter().map(|v| v.iter().map(|v| v.map_or(NO_TIME, |v| unit.microseconds(v))).collect()).collect();
    let offset = (!unit.is_local()).then_some(0);
    let offsets = all.iter().map(|v| vec![offset; v.len()]).collect();
    Ok((times, offsets, unit.name().into(), None))
}

fn texts(
    frames: &[FileFrame],
    name: &str,
    source: &Source,
    ends: &mut Option<Ends>,
    notes: &mut Vec<String>,
) -> Result<Read> {
    let columns = frames.iter().map(|frame| {
        let column = series(frame, name)?;
        column.str().map_err(|_| {
            Error::Data(format!(
                "{}: the time column `{name}` has the type {}, but contains text in other files",
                frame.name,
                column.dtype()
            ))
        })
    });
    let columns = columns.collect::<Result<Vec<&StringChunked>>>()?;
    let given = source.date_order.as_deref().and_then(Order::parse);
    let ordered = columns.iter().any(|c| c.iter().flatten().take(SAMPLE).any(stamp::needs_order));
    let order = match (ordered, given) {
        (true, None) => Some(date_order::decide(frames, name, &columns)?),
        _ => given,
    };
    let (mut times, mut offsets) = (Vec::new(), Vec::new());
    let (mut example, mut day_ends) = (None, 0);
    for column in &columns {
        let (mut local, mut offset) = (Vec::with_capacity(column.len()), Vec::with_capacity(column.len()));
        for text in column.iter() {
            let stamp = text.and_then(|t| stamp::parse(t, order));
            if example.is_none() && stamp.is_some() {
                example = text;
            }
            let is_midnight = stamp.is_some_and(|s| s.local % DAY_US == 0);
            day_ends += usize::from(is_midnight && text.is_some_and(|t| t.contains("24:00")));
            local.push(stamp.map_or(NO_TIME, |s| s.local));
            offset.push(stamp.and_then(|s| s.offset));
        }
        times.push(local);
        offsets.push(offset);
    }
    if day_ends > 0 {
        *ends = Ends::of(&times);
        notes.push(day_end_note(day_ends));
    }
    let order_name = order.map_or_else(String::new, |o| format!(" ({})", o.name()));
    Ok((times, offsets, format!("like `{}`{order_name}", example.unwrap_or("")), order))
}

/// The note on rows with the time 24:00.
fn day_end_note(rows: usize) -> String {
    format!(
        "{} the time 24:00, so times probably mark the end of an interval: if so, set `stamps = \"end\"` in twin.toml",
        if rows == 1 { "1 row has".into() } else { format!("{rows} rows have") }
    )
}

/// Adds the times of day from a second column to the dates. Returns a description of the column, and whether the times
/// mark the ends of hours.
fn add_clock(
    frames: &[FileFrame],
    name: &str,
    kind: Kind,
    times: &mut PerRow<i64>,
    notes: &mut Vec<String>,
) -> Result<(String, Option<Ends>)> {
    let mut hours = (24.0, 0.0);
    let mut day_ends = 0;
    for (frame, times) in frames.iter().zip(times.iter_mut()) {
        let bad = |e: PolarsError| Error::Data(format!("{}: the time column `{name}`: {e}", frame.name));
        let texts = series(frame, name)?.cast(&DataType::String).map_err(bad)?;
        for (time, text) in times.iter_mut().zip(texts.str().map_err(bad)?.iter()) {
            let clock = match kind {
                Kind::Hour => text.and_then(any_number).map(|h| {
                    hours = (h.min(hours.0), h.max(hours.1));
                    h as i64 * 3_600 * SECOND_US
                }),
                _ => text.and_then(stamp::parse_clock),
            };
            *time = match clock {
                Some(clock) if *time != NO_TIME => {
                    day_ends += usize::from(kind != Kind::Hour && clock == DAY_US);
                    *time + clock
                }
                _ => NO_TIME,
            };
        }
    }
    let ends = matches!(hours, (1.0, 24.0 | 25.0)).then(|| Ends { length: HOUR_US, counted: hours.1 > 24.0 });
    if day_ends > 0 {
        notes.push(day_end_note(day_ends));
        return Ok((format!("`{name}`"), Ends::of(times)));
    }
    if ends.is_some() {
        notes.push(format!(
            "the hours in `{name}` run from 1 to {}, so they mark the end of the hour: set `stamps = \"end\"` in twin.toml",
            hours.1
        ));
    }
    Ok((format!("`{name}`"), ends))
}

/// Counts rows without a readable time.
///
/// # Errors
/// [`Error::Data`] if too many rows have no readable time.
fn count_missing(frames: &[FileFrame], name: &str, times: &PerRow<i64>, notes: &mut Vec<String>) -> Result<()> {
    let rows: usize = times.iter().map(Vec::len).sum();
    let (mut empty, mut unreadable) = (0, Vec::new());
    for (frame, times) in frames.iter().zip(times) {
        if !times.contains(&NO_TIME) {
            continue;
        }
        let texts = series(frame, name)?.cast(&DataType::String).map_err(|e| Error::Data(e.to_string()))?;
        let texts = texts.str().map_err(|e| Error::Data(e.to_string()))?;
        for (text, _) in texts.iter().zip(times).filter(|(_, t)| **t == NO_TIME) {
            match text.map(str::trim).filter(|t| !t.is_empty()) {
                Some(text) => unreadable.push(format!("`{text}` in {}", frame.name)),
                None => empty += 1,
            }
        }
    }
    if unreadable.len() as f64 > (rows as f64 * MAX_UNREADABLE).max(1.0) || unreadable.len() + empty == rows {
        return Err(Error::Data(format!(
            "{} of {rows} rows have a time in `{name}` that cannot be read: {}; correct them, or leave them out with `--where`",
            unreadable.len(),
            list(&unreadable, 3)
        )));
    }
    if !unreadable.is_empty() {
        notes.push(format!(
            "{} left out, because the time cannot be read: {}",
            plural(unreadable.len(), "row", "rows"),
            list(&unreadable, 3)
        ));
    }
    if empty > 0 {
        notes.push(format!("left out: {} without a time", plural(empty, "row", "rows")));
    }
    Ok(())
}
