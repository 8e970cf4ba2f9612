//! Parquet → the raw samples of every column that the tag list names, in the order of the file.
//!
//! polars reads lazily and streaming: only the columns that are needed, batch by batch, each batch taken into plain
//! vectors as it comes.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_schema::DataType as ArrowType;
use jiff::tz::TimeZone;
use polars::prelude::{
    DataFrame, DataType, Engine, Expr, Float64Chunked, Int64Chunked, LazyFrame, PlRefPath, PlanCallback,
    ScanArgsParquet, StringChunked, col,
};

use super::Finding;
use super::files::{self, FileColumn, LogFile, suggestion};
use super::finding::Tally;
use super::time::{TimeKind, TimeReader};
use crate::error::{Error, Result};
use crate::spec::LogSpec;

/// The samples of one column or tag, in the order of the files. Null is [`NULL`], a column that its file lacks
/// [`ABSENT`].
#[derive(Debug, Default)]
pub(super) struct Raw {
    /// µs UTC; shared by all columns of a wide log.
    pub time: Arc<Vec<i64>>,
    pub value: Vec<f64>,
    /// Index into [`Scan::labels`].
    pub episode: Option<Arc<Vec<u32>>>,
    /// Where each file begins.
    pub breaks: Arc<Vec<usize>>,
    /// Samples with a bad flag, which are not among the values.
    pub flagged: Tally,
}

/// A log as read.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub tags: Vec<Raw>,
    /// Episode labels, sorted.
    pub labels: Vec<String>,
    pub findings: Vec<Finding>,
    pub long: bool,
}

/// A null of the file, as a number.
pub(super) const NULL: f64 = f64::from_bits(0x7ff8_0000_0000_0001);
/// A column that this file does not have.
pub(super) const ABSENT: f64 = f64::from_bits(0x7ff8_0000_0000_0002);

/// The time zone of time stamps that carry none.
pub(super) fn zone(spec: &LogSpec) -> Result<TimeZone> {
    match &spec.timezone {
        None => Ok(TimeZone::UTC),
        Some(name) => TimeZone::get(name).map_err(|e| {
            Error::Data(format!(
                "`log.timezone = \"{}\"` is not known: {e}; write an IANA name such as `Europe/Berlin`, or `UTC`",
                name.value
            ))
        }),
    }
}

/// How a file's time column is to be read.
pub(super) fn time_kind(file: &LogFile, name: &str) -> Result<TimeKind> {
    let Some(column) = file.find(name) else {
        let hint = suggestion(name, file.columns.iter().map(|c| c.name.as_str()));
        return Err(Error::Data(format!("{}: there is no time column `{name}`; {hint}", file.name)));
    };
    let stored = |t: &ArrowType| match t {
        // polars has no seconds: it reads them as milliseconds.
        ArrowType::Timestamp(unit, _) => files::per_second(*unit).max(1_000),
        _ => 1_000,
    };
    match &column.data_type {
        t @ ArrowType::Timestamp(_, Some(_)) => Ok(TimeKind::Instant { per_second: stored(t) }),
        t @ (ArrowType::Timestamp(_, None) | ArrowType::Date64) => Ok(TimeKind::Local { per_second: stored(t) }),
        ArrowType::Date32 => Ok(TimeKind::LocalDays),
        ArrowType::UInt8 | ArrowType::UInt16 | ArrowType::Boolean | ArrowType::Null => Err(not_a_time(file, column)),
        _ if matches!(column.kind, "integer" | "float") => Ok(TimeKind::Epoch),
        _ if column.kind == "text" => Ok(TimeKind::Text),
        _ => Err(not_a_time(file, column)),
    }
}

fn not_a_time(file: &LogFile, column: &FileColumn) -> Error {
    Error::Data(format!(
        "{}: the time column `{}` has the type {}; write it as a timestamp, as RFC 3339 text or as seconds since 1970",
        file.name, column.name, column.data_type
    ))
}

/// The expression that gives [`TimeReader`] what it reads.
pub(super) fn time_expr(name: &str, kind: TimeKind, file: &LogFile) -> Expr {
    let float = file.find(name).is_some_and(|c| c.kind == "float");
    match kind {
        TimeKind::Text => col(name).cast(DataType::String),
        TimeKind::Epoch if float => col(name).cast(DataType::Float64),
        _ => col(name).cast(DataType::Int64),
    }
}

/// The lazy frame of one file; patterns and cloud addresses are never expanded by polars.
pub(super) fn lazy(file: &LogFile) -> Result<LazyFrame> {
    let path = file.path.to_str().ok_or_else(|| Error::no_input(&file.path, "its name is not UTF-8; rename it"))?;
    let args = ScanArgsParquet { glob: false, cache: false, ..Default::default() };
    LazyFrame::scan_parquet(PlRefPath::new(path), args).map_err(|e| Error::no_input(&file.path, e))
}

/// Runs `select` over a file on the streaming engine and hands over its batches in order.
pub(super) fn each_batch<S: Send + 'static>(
    file: &LogFile,
    select: Vec<Expr>,
    state: S,
    take: impl Fn(&mut S, &DataFrame) -> Result<()> + Send + Sync + 'static,
) -> Result<S> {
    let shared = Arc::new(Mutex::new((Some(state), None::<Error>)));
    let inner = Arc::clone(&shared);
    let batch = PlanCallback::new(move |df: DataFrame| {
        let mut guard = inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (state, fault) = &mut *guard;
        if let (Some(state), None) = (state.as_mut(), fault.as_ref())
            && let Err(e) = take(state, &df)
        {
            *fault = Some(e);
        }
        Ok(guard.1.is_some())
    });
    let frame = lazy(file)?.select(select);
    // A damaged page can make the decoder panic; that is the file's fault and must be told as such.
    let run = catch_unwind(AssertUnwindSafe(|| {
        frame.sink_batches(batch, true, None)?.collect_with_engine(Engine::Streaming).map(|_| ())
    }));
    let mut guard = shared.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(e) = guard.1.take() {
        return Err(e);
    }
    match run {
        Ok(Ok(())) => guard.0.take().ok_or_else(|| Error::Internal("a batch sink lost its state".into())),
        Ok(Err(e)) => Err(damaged(&file.path, &e.to_string())),
        Err(_) => Err(damaged(&file.path, "the Parquet reader gave up")),
    }
}

fn damaged(path: &Path, reason: &str) -> Error {
    let reason = reason.lines().next().unwrap_or(reason);
    Error::Data(format!("{}: {reason}; the file seems to be damaged, export it again", path.display()))
}

pub(super) fn wrong(file: &LogFile, name: &str, e: impl std::fmt::Display) -> Error {
    Error::Data(format!("{}: column `{name}` cannot be read: {e}", file.name))
}

/// A batch's time column → µs UTC, `NO_TIME` where there is none. `clock(row)` is the row's own clock.
pub(super) fn read_times(
    reader: &mut TimeReader,
    df: &DataFrame,
    at: usize,
    file: &LogFile,
    clock: impl Fn(usize) -> usize,
    out: &mut Vec<i64>,
) -> Result<()> {
    let column = &df.columns()[at];
    let bad = |e| wrong(file, column.name(), e);
    match column.dtype() {
        DataType::String => {
            let ca: &StringChunked = column.str().map_err(bad)?;
            out.extend(ca.iter().enumerate().map(|(i, v)| reader.text(v, clock(i))));
        }
        DataType::Float64 => {
            let ca: &Float64Chunked = column.f64().map_err(bad)?;
            reader.learn_epoch(ca.iter().flatten());
            out.extend(ca.iter().map(|v| reader.epoch(v)));
        }
        _ => {
            let ca: &Int64Chunked = column.i64().map_err(bad)?;
            if reader.kind() == TimeKind::Epoch {
                reader.learn_epoch(ca.iter().flatten().map(|v| v as f64));
            }
            out.extend(ca.iter().enumerate().map(|(i, v)| reader.integer(v, clock(i))));
        }
    }
    Ok(())
}

pub(super) fn extend_floats(df: &DataFrame, at: usize, file: &LogFile, out: &mut Vec<f64>) -> Result<()> {
    let column = &df.columns()[at];
    let ca: &Float64Chunked = column.f64().map_err(|e| wrong(file, column.name(), e))?;
    if ca.null_count() == 0 {
        for chunk in ca.downcast_iter() {
            out.extend_from_slice(chunk.values());
        }
    } else {
        out.extend(ca.iter().map(|v| v.unwrap_or(NULL)));
    }
    Ok(())
}

/// Episode labels → codes in the order of their first appearance; [`sort_labels`] puts them in order at the end.
pub(super) fn extend_episodes(
    df: &DataFrame,
    at: usize,
    file: &LogFile,
    labels: &mut HashMap<String, u32>,
    out: &mut Vec<u32>,
) -> Result<()> {
    let column = &df.columns()[at];
    let ca: &StringChunked = column.str().map_err(|e| wrong(file, column.name(), e))?;
    let mut last: Option<(&str, u32)> = None;
    for v in ca.iter() {
        let v = v.unwrap_or("");
        let code = match last {
            Some((text, code)) if text == v => code,
            _ => match labels.get(v) {
                Some(code) => *code,
                None => {
                    let code = labels.len() as u32;
                    labels.insert(v.into(), code);
                    code
                }
            },
        };
        last = Some((v, code));
        out.push(code);
    }
    Ok(())
}

/// Sorted labels, and the place of every old code among them: results must not depend on the order of rows.
pub(super) fn sort_labels(labels: HashMap<String, u32>) -> (Vec<String>, Vec<u32>) {
    let mut pairs: Vec<(String, u32)> = labels.into_iter().collect();
    pairs.sort();
    let mut place = vec![0; pairs.len()];
    for (new, (_, old)) in pairs.iter().enumerate() {
        place[*old as usize] = new as u32;
    }
    (pairs.into_iter().map(|(l, _)| l).collect(), place)
}

pub(super) fn no_usable_times(files: &[LogFile], column: &str, times: &TimeReader) -> Error {
    let rows: usize = files.iter().map(|f| f.rows).sum();
    let names = files.iter().map(|f| f.name.as_str()).take(3).collect::<Vec<_>>().join(", ");
    match times.bad() {
        _ if rows == 0 => Error::Data(format!("{names}: the log has no rows; export it again with data in it")),
        (_, Some(example)) => Error::Data(format!(
            "{names}: no row of the time column `{column}` can be read as a time, for example `{example}`; write time stamps, RFC 3339 text such as 2024-06-01T12:00:00Z, or seconds since 1970"
        )),
        _ => Error::Data(format!("{names}: the log holds no row of any signal")),
    }
}

pub(super) fn need<'a>(file: &'a LogFile, name: &str, role: &str) -> Result<&'a FileColumn> {
    file.find(name).ok_or_else(|| {
        let hint = suggestion(name, file.columns.iter().map(|c| c.name.as_str()));
        Error::Data(format!("{}: there is no {role} column `{name}`; {hint}", file.name))
    })
}

pub(super) fn label_expr(file: &LogFile, name: &str) -> Result<Expr> {
    let column = need(file, name, "episode")?;
    match (column.kind, &column.data_type) {
        (_, ArrowType::UInt8 | ArrowType::UInt16) | ("other" | "time", _) => Err(Error::Data(format!(
            "{}: the episode column `{name}` has the type {}; write it as text or int64",
            file.name, column.data_type
        ))),
        _ => Ok(col(name).cast(DataType::String)),
    }
}
