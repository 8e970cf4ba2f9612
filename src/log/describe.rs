//! A first look at a file, for `init` and `check`, without a tag list.

use std::collections::BTreeSet;
use std::path::Path;

use arrow_schema::DataType;
use jiff::Timestamp;
use rayon::prelude::*;

use super::batches::{As, Batches, each_batch};
use super::cast;
use super::clock::typical_interval;
use super::files::{self, LogFile};
use super::scan::{read_times, time_kind, wrong, zone};
use super::time::{NO_TIME, TimeReader};
use crate::config::{LogSpec, TimeSpan};
use crate::error::{Error, Result};

/// What a column of a file looks like. Numbers are NaN where the kind has none.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnSummary {
    pub name: String,
    /// `float`, `integer`, `text`, `time`, `boolean`, `other`.
    pub kind: &'static str,
    pub rows: usize,
    pub min: f64,
    pub mean: f64,
    pub max: f64,
    /// Different values, counted up to 1,000.
    pub distinct: usize,
    /// Share of rows that are null or not finite.
    pub null_share: f64,
    /// Share of rows whose value equals that of the row before.
    pub zero_moves: f64,
    /// Of time columns (and text that reads as time): the typical distance between different time stamps.
    pub step: Option<TimeSpan>,
    /// Of time columns: first and last.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Of text columns: up to 50 different values, sorted.
    pub examples: Vec<String>,
}

/// First and last time stamp of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSpan {
    pub first: Timestamp,
    pub last: Timestamp,
    pub rows: usize,
    /// Usual time between rows.
    pub sampling: Option<TimeSpan>,
}

const MOST_DISTINCT: usize = 1_000;
const MOST_EXAMPLES: usize = 50;

#[derive(Default)]
struct Numbers {
    sum: f64,
    seen: usize,
    moves: usize,
    still: usize,
    last: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    distinct: BTreeSet<u64>,
}

#[derive(Default)]
struct Texts {
    seen: usize,
    still: usize,
    last: Option<String>,
    distinct: BTreeSet<String>,
}

impl Numbers {
    fn add(&mut self, v: f64) {
        if !v.is_finite() {
            return;
        }
        self.seen += 1;
        self.sum += v;
        if let Some(last) = self.last {
            self.moves += 1;
            self.still += usize::from(last == v);
        }
        self.last = Some(v);
        self.min = Some(self.min.map_or(v, |m| m.min(v)));
        self.max = Some(self.max.map_or(v, |m| m.max(v)));
        if self.distinct.len() < MOST_DISTINCT {
            self.distinct.insert((v + 0.0).to_bits());
        }
    }
}

impl Texts {
    fn add(&mut self, v: Option<&str>) {
        let Some(v) = v else { return };
        self.seen += 1;
        if self.last.as_deref() == Some(v) {
            self.still += 1;
            return;
        }
        self.last = Some(v.into());
        if self.distinct.len() < MOST_DISTINCT && !self.distinct.contains(v) {
            self.distinct.insert(v.into());
        }
    }
}

/// Looks at every column of one Parquet file.
///
/// # Errors
/// [`Error::NoInput`] when it cannot be read; [`Error::Data`] when it is damaged.
pub fn describe(file: &Path) -> Result<Vec<ColumnSummary>> {
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    let file = files::footer(folder, file)?;
    let columns: Vec<Result<_>> = file.columns.par_iter().map(|c| column(&file, &c.name)).collect();
    columns.into_iter().collect()
}

fn column(file: &LogFile, name: &str) -> Result<ColumnSummary> {
    let column = file.find(name).ok_or_else(|| Error::Internal(format!("no column `{name}`")))?;
    let mut out = ColumnSummary {
        name: name.into(),
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
    let share = |n: usize, of: usize| if of == 0 { 0.0 } else { n as f64 / of as f64 };
    match column.kind {
        "float" | "integer" | "boolean" if files::numeric(column).is_ok() => {
            let (mut n, mut values) = (Numbers::default(), Vec::new());
            let mut batches = Batches::new(file, &[(name, As::Plain)])?;
            while let Some(columns) = batches.next()? {
                values.clear();
                columns.iter().try_for_each(|c| cast::floats(c, &mut values).ok_or_else(|| wrong(file, name, c)))?;
                values.iter().for_each(|v| n.add(*v));
            }
            out.min = n.min.unwrap_or(f64::NAN);
            out.max = n.max.unwrap_or(f64::NAN);
            out.mean = if n.seen == 0 { f64::NAN } else { n.sum / n.seen as f64 };
            out.distinct = n.distinct.len();
            out.null_share = share(file.rows.saturating_sub(n.seen), file.rows);
            out.zero_moves = share(n.still, n.moves);
        }
        "time" | "text" => {
            if column.kind == "text" {
                let mut t = Texts::default();
                let mut batches = Batches::new(file, &[(name, As::Codes)])?;
                while let Some(columns) = batches.next()? {
                    for c in &columns {
                        cast::Texts::new(c).ok_or_else(|| wrong(file, name, c))?.iter().for_each(|v| t.add(v));
                    }
                }
                out.distinct = t.distinct.len();
                out.null_share = share(file.rows.saturating_sub(t.seen), file.rows);
                out.zero_moves = share(t.still, t.seen.saturating_sub(1));
                out.examples = t.distinct.into_iter().take(MOST_EXAMPLES).collect();
                let time_like = out.examples.first().is_some_and(|e| {
                    let mut r = TimeReader::new(jiff::tz::TimeZone::UTC, 1);
                    r.start(super::time::TimeKind::Text);
                    r.text(Some(e), 0) != NO_TIME
                });
                if !time_like {
                    return Ok(out);
                }
            }
            let Ok((mut times, _)) = times(std::slice::from_ref(file), name, jiff::tz::TimeZone::UTC) else {
                return Ok(out);
            };
            times.sort_unstable();
            times.dedup();
            out.kind = "time";
            out.distinct = times.len().min(MOST_DISTINCT);
            out.step = interval(&times);
            let at = |t: Option<&i64>| t.and_then(|t| Timestamp::from_microsecond(*t).ok());
            out.span = at(times.first()).zip(at(times.last()));
        }
        _ => {}
    }
    Ok(out)
}

/// The usual time between `times`, microseconds ascending.
fn interval(times: &[i64]) -> Option<TimeSpan> {
    typical_interval(times).map(|(dt, _)| TimeSpan::from_ms((dt + 500) / 1_000))
}

/// Time stamps of all files, without the rows that have none, and how many rows there are.
fn times(files: &[LogFile], name: &str, zone: jiff::tz::TimeZone) -> Result<(Vec<i64>, usize)> {
    let (mut reader, mut times) = (TimeReader::new(zone, 1), Vec::new());
    for file in files {
        reader.start(time_kind(file, name)?);
        each_batch(file, &[(name, As::Plain)], |columns| {
            columns
                .iter()
                .try_for_each(|c| read_times(&mut reader, c, |_| 0, &mut times).ok_or_else(|| wrong(file, name, c)))
        })?;
    }
    times.retain(|t| *t != NO_TIME);
    Ok((times, files.iter().map(|f| f.rows).sum()))
}

/// First and last time stamp of the log, and the usual time between two, reading its time column only.
///
/// # Errors
/// As [`super::read`]: no file, no such column, no row with a time.
pub fn time_span(dir: &Path, spec: &LogSpec) -> Result<LogSpan> {
    let files = files::open(dir, spec)?;
    // Sorted numbers in the footers would be quicker still, but a wall clock or text needs each row's reading.
    let instants = files
        .iter()
        .all(|f| f.find(&spec.time).is_some_and(|c| matches!(c.data_type, DataType::Timestamp(_, Some(_)))));
    let zone = if instants { jiff::tz::TimeZone::UTC } else { zone(spec)? };
    let (mut times, rows) = times(&files, &spec.time, zone)?;
    times.sort_unstable();
    let at = |t: Option<&i64>| t.and_then(|t| Timestamp::from_microsecond(*t).ok());
    match (at(times.first()), at(times.last())) {
        (Some(first), Some(last)) => Ok(LogSpan { first, last, rows, sampling: interval(&times) }),
        _ => Err(Error::Data(format!(
            "{}: no row of the time column `{}` holds a time; export the log again",
            files.iter().map(|f| f.name.as_str()).collect::<Vec<_>>().join(", "),
            spec.time.value
        ))),
    }
}
