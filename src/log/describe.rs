//! A first look at a file, for `init` and `check`, without a tag list.

use std::collections::BTreeSet;
use std::path::Path;

use arrow_schema::DataType as ArrowType;
use jiff::Timestamp;
use polars::prelude::{DataType, Float64Chunked, StringChunked, col};

use super::clock::typical_interval;
use super::files::{self, LogFile};
use super::scan::{each_batch, read_times, time_expr, time_kind, zone};
use super::time::{NO_TIME, TimeReader};
use crate::error::{Error, Result};
use crate::spec::{LogSpec, TimeSpan};

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
    fn add(&mut self, v: Option<f64>) {
        let Some(v) = v.filter(|v| v.is_finite()) else { return };
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
    file.columns.iter().map(|c| column(&file, &c.name)).collect()
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
            let select = vec![col(name).cast(DataType::Float64)];
            let n = each_batch(file, select, Numbers::default(), |n, df| {
                let ca: &Float64Chunked = df.columns()[0].f64().map_err(|e| Error::Data(e.to_string()))?;
                ca.iter().for_each(|v| n.add(v));
                Ok(())
            })?;
            out.min = n.min.unwrap_or(f64::NAN);
            out.max = n.max.unwrap_or(f64::NAN);
            out.mean = if n.seen == 0 { f64::NAN } else { n.sum / n.seen as f64 };
            out.distinct = n.distinct.len();
            out.null_share = share(file.rows.saturating_sub(n.seen), file.rows);
            out.zero_moves = share(n.still, n.moves);
        }
        "time" | "text" => {
            if column.kind == "text" {
                let select = vec![col(name).cast(DataType::String)];
                let t = each_batch(file, select, Texts::default(), |t, df| {
                    let ca: &StringChunked = df.columns()[0].str().map_err(|e| Error::Data(e.to_string()))?;
                    ca.iter().for_each(|v| t.add(v));
                    Ok(())
                })?;
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
            out.step = typical_interval(&times).map(|(dt, _)| TimeSpan::from_ms((dt + 500) / 1_000));
            let at = |t: Option<&i64>| t.and_then(|t| Timestamp::from_microsecond(*t).ok());
            out.span = at(times.first()).zip(at(times.last()));
        }
        _ => {}
    }
    Ok(out)
}

/// Time stamps of all files, without the rows that have none, and how many rows there are.
fn times(files: &[LogFile], name: &str, zone: jiff::tz::TimeZone) -> Result<(Vec<i64>, usize)> {
    let mut state = (TimeReader::new(zone, 1), Vec::new());
    for file in files {
        let kind = time_kind(file, name)?;
        state.0.start(kind);
        let owned = file.clone();
        state = each_batch(file, vec![time_expr(name, kind, file)], state, move |s, df| {
            let (reader, out) = s;
            read_times(reader, df, 0, &owned, |_| 0, out)
        })?;
    }
    state.1.retain(|t| *t != NO_TIME);
    Ok((state.1, files.iter().map(|f| f.rows).sum()))
}

/// First and last time stamp of the log, reading its time column only.
///
/// # Errors
/// As [`super::read`]: no file, no such column, no row with a time.
pub fn time_span(dir: &Path, spec: &LogSpec) -> Result<LogSpan> {
    let files = files::open(dir, spec)?;
    // Sorted numbers in the footers would be quicker still, but a wall clock or text needs each row's reading.
    let instants = files
        .iter()
        .all(|f| f.find(&spec.time).is_some_and(|c| matches!(c.data_type, ArrowType::Timestamp(_, Some(_)))));
    let zone = if instants { jiff::tz::TimeZone::UTC } else { zone(spec)? };
    let (times, rows) = times(&files, &spec.time, zone)?;
    let at = |t: Option<&i64>| t.and_then(|t| Timestamp::from_microsecond(*t).ok());
    match (at(times.iter().min()), at(times.iter().max())) {
        (Some(first), Some(last)) => Ok(LogSpan { first, last, rows }),
        _ => Err(Error::Data(format!(
            "{}: no row of the time column `{}` holds a time; export the log again",
            files.iter().map(|f| f.name.as_str()).collect::<Vec<_>>().join(", "),
            spec.time.value
        ))),
    }
}
