//! Summarises each column of a file for `init` and `check`. This module does not need a list of signals.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use arrow_schema::DataType;
use jiff::Timestamp;
use rayon::prelude::*;

use super::batches::{Batches, Decoding, each_batch};
use super::cast;
use super::clock::typical_interval;
use super::counter::Rises;
use super::date;
use super::excluded::{Excluded, none_left};
use super::footer::{self, ColumnKind, FileColumn, LogFile};
use super::intervals;
use super::numerals::{Numerals, OtherTexts, Written};
use super::scan::{read_times, time_kind, wrong_type};
use super::time::{NO_TIME, NumericTimes, TimeReader};
use super::time_span::{Span, implausible};
use crate::config::{At, Decimal, LogSpec, TimeFormats, TimeSpan, TwinSpec};
use crate::error::{Error, LogFault, Result};

/// Summary of one column. Statistics that do not apply to the kind of the column are NaN.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnSummary {
    pub name: String,
    /// Kind of the column. Text that can be parsed as times has the kind `Time`.
    pub kind: ColumnKind,
    /// Whether the file stores the column as text.
    pub is_text: bool,
    pub rows: usize,
    pub min: f64,
    pub mean: f64,
    pub max: f64,
    /// Number of distinct values, counted up to 1,000.
    pub distinct: usize,
    /// Fraction of rows that are null or not finite.
    pub null_share: f64,
    /// Fraction of rows with the same value as the previous row or, for a time column, as any earlier row.
    pub zero_moves: f64,
    /// Typical interval between distinct time stamps, for a time column.
    pub step: Option<TimeSpan>,
    /// First and last time stamp, for a time column.
    pub span: Option<(Timestamp, Timestamp)>,
    /// The longest stretch without a gap in the newest quarter of a time column.
    pub stretch: Option<(Timestamp, Timestamp)>,
    /// Up to 1,000 distinct values in sorted order, for a text column.
    pub examples: Vec<String>,
    /// The most frequent value of a text column with at most 1,000 distinct values, and the number of rows with this
    /// value.
    pub commonest: Option<(String, usize)>,
    /// Whether the numbers look like readings of a counter.
    pub counts: bool,
    /// Whether the numbers fall to about 0 several times before they reach the end of a usual range of counters.
    pub restarts: bool,
    /// Whether the changes of the numbers persist, like those of a stored quantity.
    pub is_integral: bool,
    /// Whether the numbers look like readings of a net meter or like a stored quantity.
    pub accumulates: bool,
    pub notation: Notation,
}

/// How the times or numbers of a column are written, if this requires settings in `twin.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notation {
    /// Formats in which the times can be read. If there is more than one format, the formats differ in the order of day
    /// and month.
    pub time_formats: Vec<String>,
    /// Whether the times lack a time zone.
    pub without_zone: bool,
    /// The decimal separator; `None` if the numbers can be read without the setting `decimal`.
    pub decimal: Option<Decimal>,
    /// Texts among the numbers.
    pub missing: Vec<String>,
}

/// First and last time stamp of a log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogSpan {
    pub first: Timestamp,
    pub last: Timestamp,
    pub rows: usize,
    /// Number of distinct time stamps.
    pub distinct: usize,
    /// Typical interval between rows, as a time span and in µs.
    pub sampling: Option<TimeSpan>,
    interval: i64,
    /// The numbers in the time column, if there are any.
    pub numbers: Option<NumericTimes>,
}

impl LogSpan {
    /// Returns the fault if the time span is implausible for the step, which indicates that the times were read in a
    /// wrong unit.
    pub fn implausible(&self, spec: &TwinSpec) -> Option<LogFault> {
        let (first, last) = (self.first.as_microsecond(), self.last.as_microsecond());
        implausible(&Span { first, last, rows: self.distinct, interval: self.interval }, self.numbers, spec)
    }
}

/// Maximum number of distinct values that are counted (not tuned).
pub const MAX_DISTINCT: usize = 1_000;
/// Maximum number of distinct strings that are kept as examples (not tuned).
const MAX_EXAMPLES: usize = 1_000;

/// Running summary of numbers.
#[derive(Default)]
struct Numbers {
    sum: f64,
    count: usize,
    moves: usize,
    still: usize,
    last: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    distinct: BTreeSet<u64>,
    rises: Rises,
}

/// Running summary of strings.
#[derive(Default)]
struct Texts {
    count: usize,
    still: usize,
    last: Option<String>,
    /// Number of rows with each value.
    distinct: BTreeMap<String, usize>,
}

impl Numbers {
    fn add(&mut self, v: f64) {
        if !v.is_finite() {
            return;
        }
        self.count += 1;
        self.sum += v;
        self.rises.add(v);
        if let Some(last) = self.last {
            self.moves += 1;
            self.still += usize::from(last == v);
        }
        self.last = Some(v);
        self.min = Some(self.min.map_or(v, |m| m.min(v)));
        self.max = Some(self.max.map_or(v, |m| m.max(v)));
        if self.distinct.len() < MAX_DISTINCT {
            self.distinct.insert((v + 0.0).to_bits());
        }
    }
}

impl Texts {
    fn add(&mut self, v: Option<&str>) {
        let Some(v) = v else { return };
        self.count += 1;
        if self.last.as_deref() == Some(v) {
            self.still += 1;
        } else {
            self.last = Some(v.into());
        }
        let room = self.distinct.len() < MAX_DISTINCT;
        match self.distinct.get_mut(v) {
            Some(n) => *n += 1,
            None if room => {
                self.distinct.insert(v.into(), 1);
            }
            None => {}
        }
    }
}

/// Summarises every column of the given Parquet files. Every file must have the columns of the last file.
///
/// # Errors
/// [`Error::NoInput`] if a file cannot be read, and [`Error::Data`] if it is damaged or if its columns differ.
pub fn describe(files: &[PathBuf]) -> Result<Vec<ColumnSummary>> {
    let folder = |file: &Path| file.parent().unwrap_or_else(|| Path::new("")).to_path_buf();
    let files = files.iter().map(|f| LogFile::open(&folder(f), f)).collect::<Result<Vec<LogFile>>>()?;
    let Some(last) = files.last() else { return Ok(Vec::new()) };
    let columns: Vec<Result<_>> = last.columns.par_iter().map(|c| summary(&files, c)).collect();
    columns.into_iter().collect()
}

fn share(n: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { n as f64 / of as f64 }
}

fn summary(files: &[LogFile], column: &FileColumn) -> Result<ColumnSummary> {
    let mut out = ColumnSummary {
        name: column.name.clone(),
        kind: column.kind,
        is_text: column.kind == ColumnKind::Text,
        rows: files.iter().map(|f| f.rows).sum(),
        min: f64::NAN,
        mean: f64::NAN,
        max: f64::NAN,
        distinct: 0,
        null_share: 0.0,
        zero_moves: 0.0,
        step: None,
        span: None,
        stretch: None,
        examples: Vec::new(),
        commonest: None,
        counts: false,
        accumulates: false,
        restarts: false,
        is_integral: false,
        notation: Notation::default(),
    };
    match column.kind {
        ColumnKind::Float | ColumnKind::Integer | ColumnKind::Boolean if column.require_numeric().is_ok() => {
            summarise_numbers(files, &mut out)?;
        }
        ColumnKind::Text => {
            summarise_texts(files, &mut out)?;
            if out.examples.iter().find(|e| !e.trim().is_empty()).is_some_and(|e| reads_as_time(e)) {
                summarise_times(files, &mut out);
            } else if out.distinct > 0 {
                summarise_numbers(files, &mut out)?;
            }
        }
        ColumnKind::Time => summarise_times(files, &mut out),
        _ => {}
    }
    Ok(out)
}

fn summarise_numbers(files: &[LogFile], out: &mut ColumnSummary) -> Result<()> {
    let name = out.name.as_str();
    let is_text = out.is_text;
    let read = |numerals: &Numerals| -> Result<(Numbers, OtherTexts)> {
        let (mut n, mut other, mut values) = (Numbers::default(), OtherTexts::default(), Vec::new());
        for file in files {
            let mut batches = Batches::new(file, &[(name, Decoding::Codes)])?;
            while let Some(columns) = batches.next()? {
                values.clear();
                for c in &columns {
                    let read = numerals.read(c, &mut values, |_, cell| other.add(cell));
                    read.ok_or_else(|| wrong_type(file, name, c))?;
                }
                values.iter().for_each(|v| n.add(*v));
            }
        }
        Ok((n, other))
    };
    let (mut n, other) = read(&Numerals::default())?;
    if is_text {
        let Some((Written::With(decimal), missing)) = other.notation() else { return Ok(()) };
        if decimal.is_some() {
            n = read(&Numerals { decimal, ..Numerals::default() })?.0;
        }
        out.kind = ColumnKind::Float;
        out.notation = Notation { decimal, missing, ..Notation::default() };
    }
    out.min = n.min.unwrap_or(f64::NAN);
    out.max = n.max.unwrap_or(f64::NAN);
    out.mean = if n.count == 0 { f64::NAN } else { n.sum / n.count as f64 };
    out.distinct = n.distinct.len();
    out.null_share = share(out.rows.saturating_sub(n.count), out.rows);
    out.zero_moves = share(n.still, n.moves);
    (out.counts, out.accumulates) = (n.rises.is_counter(), n.rises.accumulates());
    (out.restarts, out.is_integral) = (n.rises.restarts_early(), n.rises.is_integral());
    Ok(())
}

fn summarise_texts(files: &[LogFile], out: &mut ColumnSummary) -> Result<()> {
    let name = out.name.as_str();
    let mut t = Texts::default();
    for file in files {
        let mut batches = Batches::new(file, &[(name, Decoding::Codes)])?;
        while let Some(columns) = batches.next()? {
            for c in &columns {
                cast::Texts::new(c).ok_or_else(|| wrong_type(file, name, c))?.iter().for_each(|v| t.add(v));
            }
        }
    }
    out.distinct = t.distinct.len();
    out.null_share = share(out.rows.saturating_sub(t.count), out.rows);
    out.zero_moves = share(t.still, t.count.saturating_sub(1));
    if out.distinct < MAX_DISTINCT {
        let commonest = t.distinct.iter().min_by_key(|t| std::cmp::Reverse(t.1));
        out.commonest = commonest.map(|(text, n)| (text.clone(), *n));
    }
    out.examples = t.distinct.into_keys().take(MAX_EXAMPLES).collect();
    Ok(())
}

fn reads_as_time(text: &str) -> bool {
    date::parse(text, &[]).is_some() || !date::formats(text).is_empty()
}

fn summarise_times(files: &[LogFile], out: &mut ColumnSummary) {
    let mut spec = LogSpec::wide(String::new(), out.name.clone());
    let Ok(mut read) = times(files, &spec) else { return };
    let formats: Vec<String> = read.reader.unreadable().common_formats().into_iter().map(str::to_owned).collect();
    if read.times.is_empty() {
        // If the order of day and month is unclear, the order that gives the shorter log is the more likely one.
        let span = |t: &Times| t.times.iter().max().zip(t.times.iter().min()).map_or(i64::MAX, |(a, b)| a - b);
        let mut all: Vec<(String, Times)> = Vec::new();
        for format in formats {
            spec.time_format = Some(At::from(TimeFormats::One(format.clone())));
            let Ok(again) = times(files, &spec) else { return };
            all.push((format, again));
        }
        all.sort_by_key(|(_, t)| span(t));
        out.notation.time_formats = all.iter().map(|(format, _)| format.clone()).collect();
        read = all.into_iter().next().map_or(read, |(_, t)| t);
    }
    out.notation.without_zone = read.reader.without_zone() > 0;
    let mut times = read.times;
    times.sort_unstable();
    let rows = times.len();
    times.dedup();
    out.zero_moves = share(rows - times.len(), rows);
    out.kind = ColumnKind::Time;
    out.distinct = times.len().min(MAX_DISTINCT);
    out.step = longest_interval(&times).or_else(|| interval(&times));
    let at = |t: Option<&i64>| t.and_then(|t| Timestamp::from_microsecond(*t).ok());
    out.span = at(times.first()).zip(at(times.last()));
    let newest = &times[times.len() - times.len() / 4..];
    let longest = newest.chunk_by(|a, b| out.step.is_none_or(|s| b - a <= 3_000 * s.ms())).max_by_key(|c| c.len());
    out.stretch = longest.and_then(|c| at(c.first()).zip(at(c.last())));
}

/// Returns the typical interval between sorted times (µs).
fn interval(times: &[i64]) -> Option<TimeSpan> {
    typical_interval(times).map(|(dt, _)| TimeSpan::from_ms((dt + 500) / 1_000))
}

/// Returns the longest usual interval between sorted times (µs) if the interval changes during the log. With a shorter
/// step, most steps of the part with the longer interval would have no sample. Each interval must apply to a fifth of
/// the log (not tuned).
fn longest_interval(times: &[i64]) -> Option<TimeSpan> {
    const MIN_SHARE: f64 = 0.2;
    let parts = intervals::parts(times);
    let length = |interval: i64| {
        let alike = parts.iter().filter(|p| 10 * (p.interval - interval).abs() <= interval);
        alike.map(|p| times[p.to] - times[p.from]).sum::<i64>() as f64
    };
    let total = (times.last()? - times.first()?) as f64;
    let covered: f64 = parts.iter().map(|p| (times[p.to] - times[p.from]) as f64).sum();
    let longest = parts.iter().map(|p| p.interval).filter(|i| length(*i) >= MIN_SHARE * total).max()?;
    let several = parts.iter().any(|p| 2 * p.interval <= longest && length(p.interval) >= MIN_SHARE * total);
    (several && covered >= 0.9 * total).then(|| TimeSpan::from_ms((longest + 500) / 1_000))
}

/// The readable time stamps (µs) of some files, in the order of the rows.
struct Times {
    times: Vec<i64>,
    rows: usize,
    reader: TimeReader,
}

fn times(files: &[LogFile], spec: &LogSpec) -> Result<Times> {
    let name = spec.time.value.as_str();
    let (mut reader, mut times) = (TimeReader::with_settings(spec, 1)?, Vec::new());
    for file in files {
        reader.start(time_kind(file, name)?);
        each_batch(file, &[(name, Decoding::Plain)], |columns| {
            columns.iter().try_for_each(|c| {
                read_times(&mut reader, c, |_| Some(0), &mut times).ok_or_else(|| wrong_type(file, name, c))
            })
        })?;
    }
    times.retain(|t| *t != NO_TIME);
    Ok(Times { times, rows: files.iter().map(|f| f.rows).sum(), reader })
}

/// Returns the first and last time stamp of the log and its typical sampling interval. Only the time column is read.
///
/// # Errors
/// Returns the same errors as [`super::read()`] if there is no file, no time column, or no row with a time.
pub fn time_span(dir: &Path, spec: &LogSpec) -> Result<LogSpan> {
    span_of(dir, spec, |_| true)
}

/// Like [`time_span`], but without the rows that `from`, `until` and `exclude` leave out.
///
/// # Errors
/// The errors of [`time_span`], and [`Error::Log`] if one of these settings is invalid, or if no row is left.
pub fn used_time_span(dir: &Path, spec: &TwinSpec) -> Result<LogSpan> {
    let excluded = Excluded::new(spec)?;
    span_of(dir, &spec.log, |time| !excluded.contains(time))
}

fn span_of(dir: &Path, spec: &LogSpec, is_used: impl Fn(i64) -> bool) -> Result<LogSpan> {
    let files = footer::open(dir, spec)?;
    // Time stamps in UTC need no time zone, so an unknown `log.timezone` is not an error if all files use UTC.
    let instants = files
        .iter()
        .all(|f| f.find(&spec.time).is_some_and(|c| matches!(c.data_type, DataType::Timestamp(_, Some(_)))));
    let spec = &LogSpec { timezone: spec.timezone.clone().filter(|_| !instants), ..spec.clone() };
    let Times { mut times, rows, reader } = times(&files, spec)?;
    let has_times = !times.is_empty();
    times.retain(|t| is_used(*t));
    times.sort_unstable();
    times.dedup();
    let at = |t: Option<&i64>| t.and_then(|t| Timestamp::from_microsecond(*t).ok());
    match (at(times.first()), at(times.last())) {
        (None, _) if has_times && times.is_empty() => Err(none_left()),
        (Some(first), Some(last)) => Ok(LogSpan {
            first,
            last,
            rows,
            distinct: times.len(),
            sampling: interval(&times),
            interval: typical_interval(&times).map_or(0, |i| i.0),
            numbers: reader.numbers(),
        }),
        _ => Err(Error::Log(reader.fault(&files, 0).into_iter().collect())),
    }
}
