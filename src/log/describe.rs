//! Summarises each column of a file for `init` and `check`. This module does not need a list of signals.

use std::collections::BTreeSet;
use std::path::Path;

use arrow_schema::DataType;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rayon::prelude::*;

use super::batches::{Batches, Decoding, each_batch};
use super::cast;
use super::clock::typical_interval;
use super::footer::{self, ColumnKind, FileColumn, LogFile};
use super::scan::{read_times, time_kind, wrong_type, zone};
use super::time::{NO_TIME, TimeKind, TimeReader};
use crate::config::{LogSpec, TimeSpan};
use crate::error::{Error, Result};

/// Summary of one column. Statistics that do not apply to the kind of the column are NaN.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnSummary {
    pub name: String,
    /// Kind of the column. Text that can be parsed as times has the kind `Time`.
    pub kind: ColumnKind,
    pub rows: usize,
    pub min: f64,
    pub mean: f64,
    pub max: f64,
    /// Number of distinct values, counted up to 1,000.
    pub distinct: usize,
    /// Fraction of rows that are null or not finite.
    pub null_share: f64,
    /// Fraction of rows with the same value as the previous row.
    pub zero_moves: f64,
    /// Typical interval between distinct time stamps, for a time column.
    pub step: Option<TimeSpan>,
    /// First and last time stamp, for a time column.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Up to 50 distinct values in sorted order, for a text column.
    pub examples: Vec<String>,
}

/// First and last time stamp of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSpan {
    pub first: Timestamp,
    pub last: Timestamp,
    pub rows: usize,
    /// Typical interval between rows.
    pub sampling: Option<TimeSpan>,
}

/// Maximum number of distinct values that are counted (not tuned).
const MAX_DISTINCT: usize = 1_000;
/// Maximum number of distinct strings that are kept as examples (not tuned).
const MAX_EXAMPLES: usize = 50;

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
}

/// Running summary of strings.
#[derive(Default)]
struct Texts {
    count: usize,
    still: usize,
    last: Option<String>,
    distinct: BTreeSet<String>,
}

impl Numbers {
    fn add(&mut self, v: f64) {
        if !v.is_finite() {
            return;
        }
        self.count += 1;
        self.sum += v;
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
            return;
        }
        self.last = Some(v.into());
        if self.distinct.len() < MAX_DISTINCT && !self.distinct.contains(v) {
            self.distinct.insert(v.into());
        }
    }
}

/// Summarises every column of one Parquet file.
///
/// # Errors
/// [`Error::NoInput`] if the file cannot be read, and [`Error::Data`] if it is damaged.
pub fn describe(file: &Path) -> Result<Vec<ColumnSummary>> {
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    let file = LogFile::open(folder, file)?;
    let columns: Vec<Result<_>> = file.columns.par_iter().map(|c| summary(&file, c)).collect();
    columns.into_iter().collect()
}

fn share(n: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { n as f64 / of as f64 }
}

fn summary(file: &LogFile, column: &FileColumn) -> Result<ColumnSummary> {
    let mut out = ColumnSummary {
        name: column.name.clone(),
        kind: column.kind,
        rows: file.rows,
        min: f64::NAN,
        mean: f64::NAN,
        max: f64::NAN,
        distinct: 0,
        null_share: 0.0,
        zero_moves: 0.0,
        step: None,
        span: None,
        examples: Vec::new(),
    };
    match column.kind {
        ColumnKind::Float | ColumnKind::Integer | ColumnKind::Boolean if column.require_numeric().is_ok() => {
            summarise_numbers(file, &mut out)?;
        }
        ColumnKind::Text => {
            summarise_texts(file, &mut out)?;
            if out.examples.first().is_some_and(|e| reads_as_time(e)) {
                summarise_times(file, &mut out);
            }
        }
        ColumnKind::Time => summarise_times(file, &mut out),
        _ => {}
    }
    Ok(out)
}

fn summarise_numbers(file: &LogFile, out: &mut ColumnSummary) -> Result<()> {
    let name = out.name.as_str();
    let (mut n, mut values) = (Numbers::default(), Vec::new());
    let mut batches = Batches::new(file, &[(name, Decoding::Plain)])?;
    while let Some(columns) = batches.next()? {
        values.clear();
        columns.iter().try_for_each(|c| cast::floats(c, &mut values).ok_or_else(|| wrong_type(file, name, c)))?;
        values.iter().for_each(|v| n.add(*v));
    }
    out.min = n.min.unwrap_or(f64::NAN);
    out.max = n.max.unwrap_or(f64::NAN);
    out.mean = if n.count == 0 { f64::NAN } else { n.sum / n.count as f64 };
    out.distinct = n.distinct.len();
    out.null_share = share(file.rows.saturating_sub(n.count), file.rows);
    out.zero_moves = share(n.still, n.moves);
    Ok(())
}

fn summarise_texts(file: &LogFile, out: &mut ColumnSummary) -> Result<()> {
    let name = out.name.as_str();
    let mut t = Texts::default();
    let mut batches = Batches::new(file, &[(name, Decoding::Codes)])?;
    while let Some(columns) = batches.next()? {
        for c in &columns {
            cast::Texts::new(c).ok_or_else(|| wrong_type(file, name, c))?.iter().for_each(|v| t.add(v));
        }
    }
    out.distinct = t.distinct.len();
    out.null_share = share(file.rows.saturating_sub(t.count), file.rows);
    out.zero_moves = share(t.still, t.count.saturating_sub(1));
    out.examples = t.distinct.into_iter().take(MAX_EXAMPLES).collect();
    Ok(())
}

fn reads_as_time(text: &str) -> bool {
    let mut reader = TimeReader::new(TimeZone::UTC, 1);
    reader.start(TimeKind::Text);
    reader.text(Some(text), 0) != NO_TIME
}

fn summarise_times(file: &LogFile, out: &mut ColumnSummary) {
    let Ok((mut times, _)) = times(std::slice::from_ref(file), &out.name, TimeZone::UTC) else { return };
    times.sort_unstable();
    times.dedup();
    out.kind = ColumnKind::Time;
    out.distinct = times.len().min(MAX_DISTINCT);
    out.step = interval(&times);
    let at = |t: Option<&i64>| t.and_then(|t| Timestamp::from_microsecond(*t).ok());
    out.span = at(times.first()).zip(at(times.last()));
}

/// Returns the typical interval between sorted times (µs).
fn interval(times: &[i64]) -> Option<TimeSpan> {
    typical_interval(times).map(|(dt, _)| TimeSpan::from_ms((dt + 500) / 1_000))
}

/// Returns all readable time stamps (µs) in the files, and the total number of rows.
fn times(files: &[LogFile], name: &str, zone: TimeZone) -> Result<(Vec<i64>, usize)> {
    let (mut reader, mut times) = (TimeReader::new(zone, 1), Vec::new());
    for file in files {
        reader.start(time_kind(file, name)?);
        each_batch(file, &[(name, Decoding::Plain)], |columns| {
            columns.iter().try_for_each(|c| {
                read_times(&mut reader, c, |_| 0, &mut times).ok_or_else(|| wrong_type(file, name, c))
            })
        })?;
    }
    times.retain(|t| *t != NO_TIME);
    Ok((times, files.iter().map(|f| f.rows).sum()))
}

/// Returns the first and last time stamp of the log and its typical sampling interval. Only the time column is read.
///
/// # Errors
/// Returns the same errors as [`super::read()`] if there is no file, no time column, or no row with a time.
pub fn time_span(dir: &Path, spec: &LogSpec) -> Result<LogSpan> {
    let files = footer::open(dir, spec)?;
    // Time stamps in UTC need no time zone, so an unknown `log.timezone` is not an error if all files use UTC.
    let instants = files
        .iter()
        .all(|f| f.find(&spec.time).is_some_and(|c| matches!(c.data_type, DataType::Timestamp(_, Some(_)))));
    let zone = if instants { TimeZone::UTC } else { zone(spec)? };
    let (mut times, rows) = times(&files, &spec.time, zone)?;
    times.sort_unstable();
    let at = |t: Option<&i64>| t.and_then(|t| Timestamp::from_microsecond(*t).ok());
    match (at(times.first()), at(times.last())) {
        (Some(first), Some(last)) => Ok(LogSpan { first, last, rows, sampling: interval(&times) }),
        _ => Err(Error::Data(format!(
            "{}: no row of the time column `{}` contains a time; export the log again",
            files.iter().map(|f| f.name.as_str()).collect::<Vec<_>>().join(", "),
            spec.time.value
        ))),
    }
}
