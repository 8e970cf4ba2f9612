//! Parquet → the raw samples of every column that the tag list names, in the order of the file.
//!
//! polars reads lazily and streaming: only the columns that are needed, batch by batch, each batch taken into plain
//! vectors as it comes.

use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_schema::DataType as ArrowType;
use jiff::tz::TimeZone;
use polars::prelude::{
    BooleanChunked, DataFrame, DataType, Engine, Expr, Float64Chunked, Int64Chunked, LazyFrame, PlRefPath,
    PlanCallback, ScanArgsParquet, StringChunked, col,
};

use super::Finding;
use super::files::{self, FileColumn, LogFile, suggestion};
use super::finding::Tally;
use super::time::{NO_TIME, TimeKind, TimeReader};
use crate::error::{Error, Result};
use crate::spec::{LogSpec, LongSpec};

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
    Error::no_input(path, format!("{reason}; the file seems to be damaged, export it again"))
}

fn wrong(file: &LogFile, name: &str, e: impl std::fmt::Display) -> Error {
    Error::Data(format!("{}: column `{name}` cannot be read: {e}", file.name))
}

/// A batch's time column → µs UTC, [`NO_TIME`] where there is none. `clock(row)` is the row's own clock.
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

fn extend_floats(df: &DataFrame, at: usize, file: &LogFile, out: &mut Vec<f64>) -> Result<()> {
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
fn extend_episodes(
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
fn sort_labels(labels: HashMap<String, u32>) -> (Vec<String>, Vec<u32>) {
    let mut pairs: Vec<(String, u32)> = labels.into_iter().collect();
    pairs.sort();
    let mut place = vec![0; pairs.len()];
    for (new, (_, old)) in pairs.iter().enumerate() {
        place[*old as usize] = new as u32;
    }
    (pairs.into_iter().map(|(l, _)| l).collect(), place)
}

fn no_usable_times(files: &[LogFile], column: &str, times: &TimeReader) -> Error {
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

/// Reads a wide log: `wanted` are column names.
pub(super) fn wide(files: &[LogFile], spec: &LogSpec, wanted: &[String]) -> Result<Scan> {
    struct State {
        reader: TimeReader,
        batch: Vec<i64>,
        time: Vec<i64>,
        episode: Vec<u32>,
        labels: HashMap<String, u32>,
        values: Vec<Vec<f64>>,
    }
    let mut findings = Vec::new();
    let mut state = State {
        reader: TimeReader::new(zone(spec)?, 1),
        batch: Vec::new(),
        time: Vec::new(),
        episode: Vec::new(),
        labels: HashMap::new(),
        values: vec![Vec::new(); wanted.len()],
    };
    let mut breaks = Vec::new();
    for name in wanted {
        if !files.iter().any(|f| f.find(name).is_some()) {
            return Err(missing_column(files, name));
        }
        let lacking: Vec<&str> = files.iter().filter(|f| f.find(name).is_none()).map(|f| f.name.as_str()).collect();
        if !lacking.is_empty() {
            findings.push(Finding {
                signal: name.clone(),
                class: "schema-change".into(),
                count: lacking.len(),
                first: String::new(),
                last: String::new(),
                action: "kept".into(),
                note: format!("the column `{name}` is missing from {}", lacking.join(", ")),
            });
        }
    }
    for file in files {
        let kind = time_kind(file, &spec.time)?;
        let mut select = vec![time_expr(&spec.time, kind, file).alias("time")];
        if let Some(episode) = &spec.episode {
            select.push(label_expr(file, episode)?.alias("episode"));
        }
        let first_value = select.len();
        let mut present = Vec::new();
        for (i, name) in wanted.iter().enumerate() {
            let Some(column) = file.find(name) else { continue };
            files::numeric(column).map_err(|cure| {
                Error::Data(format!("{}: column `{name}` has the type {}: {cure}", file.name, column.data_type))
            })?;
            select.push(col(name.as_str()).cast(DataType::Float64).alias(format!("v{i}")));
            present.push(i);
        }
        breaks.push(state.time.len());
        state.reader.start(kind);
        let (owned, with_episode) = (file.clone(), spec.episode.is_some());
        state = each_batch(file, select, state, move |s, df| {
            let kept = s.time.len();
            s.batch.clear();
            read_times(&mut s.reader, df, 0, &owned, |_| 0, &mut s.batch)?;
            s.time.extend_from_slice(&s.batch);
            if with_episode {
                extend_episodes(df, 1, &owned, &mut s.labels, &mut s.episode)?;
            }
            for (k, i) in present.iter().enumerate() {
                extend_floats(df, first_value + k, &owned, &mut s.values[*i])?;
            }
            let rows = s.time.len();
            for v in &mut s.values {
                v.resize(rows, ABSENT);
            }
            if s.batch.contains(&NO_TIME) {
                let keep: Vec<bool> = s.batch.iter().map(|t| *t != NO_TIME).collect();
                drop_rows(&mut s.time, kept, &keep);
                drop_rows(&mut s.episode, kept, &keep);
                s.values.iter_mut().for_each(|v| drop_rows(v, kept, &keep));
            }
            Ok(())
        })?;
    }
    if state.time.is_empty() {
        return Err(no_usable_times(files, &spec.time, &state.reader));
    }
    findings.extend(state.reader.findings(&spec.time));
    let (labels, place) = sort_labels(state.labels);
    state.episode.iter_mut().for_each(|c| *c = place[*c as usize]);
    let (time, breaks) = (Arc::new(state.time), Arc::new(breaks));
    let episode = spec.episode.is_some().then(|| Arc::new(state.episode));
    let tags = state
        .values
        .into_iter()
        .map(|value| Raw {
            time: Arc::clone(&time),
            value,
            episode: episode.clone(),
            breaks: Arc::clone(&breaks),
            flagged: Tally::default(),
        })
        .collect();
    Ok(Scan { tags, labels, findings, long: false })
}

fn drop_rows<T>(values: &mut Vec<T>, from: usize, keep: &[bool]) {
    let mut row = 0;
    values.retain(|_| {
        row += 1;
        row <= from || keep.get(row - 1 - from).copied().unwrap_or(true)
    });
}

fn missing_column(files: &[LogFile], name: &str) -> Error {
    let known: BTreeSet<&str> = files.iter().flat_map(|f| f.columns.iter().map(|c| c.name.as_str())).collect();
    let names = files.iter().map(|f| f.name.as_str()).take(3).collect::<Vec<_>>().join(", ");
    Error::Data(format!("{names}: there is no column `{name}`; {}", suggestion(name, known)))
}

fn need<'a>(file: &'a LogFile, name: &str, role: &str) -> Result<&'a FileColumn> {
    file.find(name).ok_or_else(|| {
        let hint = suggestion(name, file.columns.iter().map(|c| c.name.as_str()));
        Error::Data(format!("{}: there is no {role} column `{name}`; {hint}", file.name))
    })
}

fn label_expr(file: &LogFile, name: &str) -> Result<Expr> {
    let column = need(file, name, "episode")?;
    match (column.kind, &column.data_type) {
        (_, ArrowType::UInt8 | ArrowType::UInt16) | ("other" | "time", _) => Err(Error::Data(format!(
            "{}: the episode column `{name}` has the type {}; write it as text or int64",
            file.name, column.data_type
        ))),
        _ => Ok(col(name).cast(DataType::String)),
    }
}

/// What counts as a good sample.
#[derive(Debug, Clone)]
enum Good {
    All,
    /// Position of the flag in the batch; lower-case texts.
    Text(usize, Vec<String>),
    Number(usize, Vec<f64>),
    Boolean(usize, Vec<bool>),
}

impl Good {
    /// One mark per row of a batch; a missing flag is not a good one.
    fn mark(&self, df: &DataFrame, file: &LogFile, out: &mut Vec<bool>) -> Result<()> {
        out.clear();
        match self {
            Self::All => out.resize(df.height(), true),
            Self::Text(at, good) => {
                let ca: &StringChunked =
                    df.columns()[*at].str().map_err(|e| wrong(file, df.columns()[*at].name(), e))?;
                let is = |v: &str| good.iter().any(|g| g.eq_ignore_ascii_case(v.trim()));
                out.extend(ca.iter().map(|v| v.is_some_and(is)));
            }
            Self::Number(at, good) => {
                let ca: &Float64Chunked =
                    df.columns()[*at].f64().map_err(|e| wrong(file, df.columns()[*at].name(), e))?;
                out.extend(ca.iter().map(|v| v.is_some_and(|v| good.contains(&v))));
            }
            Self::Boolean(at, good) => {
                let ca: &BooleanChunked =
                    df.columns()[*at].bool().map_err(|e| wrong(file, df.columns()[*at].name(), e))?;
                out.extend(ca.iter().map(|v| v.is_some_and(|v| good.contains(&v))));
            }
        }
        Ok(())
    }
}

fn good_expr(file: &LogFile, long: &LongSpec, at: usize) -> Result<(Option<Expr>, Good)> {
    let Some(name) = &long.quality else { return Ok((None, Good::All)) };
    let column = need(file, name, "quality")?;
    let expr = col(name.as_str());
    match (column.kind, &column.data_type) {
        (_, ArrowType::UInt8 | ArrowType::UInt16) | ("other" | "time", _) => Err(Error::Data(format!(
            "{}: the quality column `{}` has the type {}; write it as text or int32",
            file.name, name.value, column.data_type
        ))),
        ("text", _) => Ok((
            Some(expr.cast(DataType::String)),
            Good::Text(at, long.good.iter().map(|g| g.trim().to_owned()).collect()),
        )),
        ("boolean", _) => {
            let good = long.good.iter().filter_map(|g| g.trim().to_lowercase().parse().ok()).collect::<Vec<bool>>();
            // Nobody flags a bad sample `true` and leaves the list of good flags at its default.
            let good = if good.is_empty() { vec![true] } else { good };
            Ok((Some(expr.cast(DataType::Boolean)), Good::Boolean(at, good)))
        }
        _ => Ok((
            Some(expr.cast(DataType::Float64)),
            Good::Number(at, long.good.iter().filter_map(|g| g.trim().parse().ok()).collect()),
        )),
    }
}

/// Reads a long log: `wanted` are tags.
pub(super) fn long(files: &[LogFile], spec: &LogSpec, long: &LongSpec, wanted: &[String]) -> Result<Scan> {
    #[derive(Default)]
    struct Samples {
        time: Vec<i64>,
        value: Vec<f64>,
        episode: Vec<u32>,
        breaks: Vec<usize>,
        flagged: Tally,
    }
    struct State {
        reader: TimeReader,
        tags: Vec<Samples>,
        other: BTreeSet<String>,
        labels: HashMap<String, u32>,
        codes: Vec<u32>,
        times: Vec<i64>,
        values: Vec<f64>,
        episodes: Vec<u32>,
        good: Vec<bool>,
    }
    const OTHER: u32 = u32::MAX;
    let known: Arc<HashMap<String, u32>> =
        Arc::new(wanted.iter().enumerate().map(|(i, n)| (n.clone(), i as u32)).collect());
    let mut state = State {
        // One clock more, for the tags that nobody asked for.
        reader: TimeReader::new(zone(spec)?, wanted.len() + 1),
        tags: wanted.iter().map(|_| Samples::default()).collect(),
        other: BTreeSet::new(),
        labels: HashMap::new(),
        codes: Vec::new(),
        times: Vec::new(),
        values: Vec::new(),
        episodes: Vec::new(),
        good: Vec::new(),
    };
    for file in files {
        let kind = time_kind(file, &spec.time)?;
        let tag = need(file, &long.tag, "tag")?;
        if !matches!(tag.kind, "text" | "integer") || files::numeric(tag).is_err() && tag.kind == "integer" {
            return Err(Error::Data(format!(
                "{}: the tag column `{}` has the type {}; write it as text",
                file.name, long.tag.value, tag.data_type
            )));
        }
        let value = need(file, &long.value, "value")?;
        files::numeric(value).map_err(|cure| {
            Error::Data(format!(
                "{}: the value column `{}` has the type {}: {cure}",
                file.name, long.value.value, value.data_type
            ))
        })?;
        let mut select = vec![
            time_expr(&spec.time, kind, file).alias("time"),
            col(long.tag.as_str()).cast(DataType::String).alias("tag"),
            col(long.value.as_str()).cast(DataType::Float64).alias("value"),
        ];
        if let Some(episode) = &spec.episode {
            select.push(label_expr(file, episode)?.alias("episode"));
        }
        let (expr, good) = good_expr(file, long, select.len())?;
        select.extend(expr.map(|e| e.alias("good")));
        state.reader.start(kind);
        state.tags.iter_mut().for_each(|t| t.breaks.push(t.time.len()));
        let (owned, known, with_episode, clocks) =
            (file.clone(), Arc::clone(&known), spec.episode.is_some(), wanted.len());
        state = each_batch(file, select, state, move |s, df| {
            let tags: &StringChunked = df.columns()[1].str().map_err(|e| wrong(&owned, "tag", e))?;
            s.codes.clear();
            let mut last: Option<(&str, u32)> = None;
            for tag in tags.iter() {
                let tag = tag.unwrap_or("");
                let code = match last {
                    Some((text, code)) if text == tag => code,
                    _ => known.get(tag).copied().unwrap_or(OTHER),
                };
                if code == OTHER && s.other.len() < 10_000 && last.is_none_or(|(text, _)| text != tag) {
                    s.other.insert(tag.to_owned());
                }
                last = Some((tag, code));
                s.codes.push(code);
            }
            let mut times = std::mem::take(&mut s.times);
            times.clear();
            let codes = &s.codes;
            read_times(&mut s.reader, df, 0, &owned, |i| (codes[i] as usize).min(clocks), &mut times)?;
            s.values.clear();
            extend_floats(df, 2, &owned, &mut s.values)?;
            if with_episode {
                s.episodes.clear();
                extend_episodes(df, 3, &owned, &mut s.labels, &mut s.episodes)?;
            }
            good.mark(df, &owned, &mut s.good)?;
            for (i, code) in s.codes.iter().enumerate() {
                let Some(samples) = s.tags.get_mut(*code as usize) else { continue };
                if times[i] == NO_TIME {
                    continue;
                }
                if !s.good[i] {
                    samples.flagged.add(times[i]);
                    continue;
                }
                samples.time.push(times[i]);
                samples.value.push(s.values[i]);
                if with_episode {
                    samples.episode.push(s.episodes[i]);
                }
            }
            s.times = times;
            Ok(())
        })?;
    }
    for (name, samples) in wanted.iter().zip(&state.tags) {
        if samples.time.is_empty() && samples.flagged.count == 0 {
            let rows: usize = files.iter().map(|f| f.rows).sum();
            if rows == 0 || state.reader.bad().0 == rows {
                return Err(no_usable_times(files, &spec.time, &state.reader));
            }
            let names = files.iter().map(|f| f.name.as_str()).take(3).collect::<Vec<_>>().join(", ");
            let there = state
                .other
                .iter()
                .map(String::as_str)
                .chain(wanted.iter().zip(&state.tags).filter(|(_, s)| !s.time.is_empty()).map(|(n, _)| n.as_str()));
            return Err(Error::Data(format!("{names}: there is no tag `{name}`; {}", suggestion(name, there))));
        }
    }
    let (labels, place) = sort_labels(state.labels);
    let tags = state
        .tags
        .into_iter()
        .map(|mut s| {
            s.episode.iter_mut().for_each(|c| *c = place[*c as usize]);
            Raw {
                time: Arc::new(s.time),
                value: s.value,
                episode: spec.episode.is_some().then(|| Arc::new(s.episode)),
                breaks: Arc::new(s.breaks),
                flagged: s.flagged,
            }
        })
        .collect();
    Ok(Scan { tags, labels, findings: state.reader.findings(&spec.time), long: true })
}
