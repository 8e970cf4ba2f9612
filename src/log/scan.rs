//! The raw samples of a log, and code shared by the readers of wide and long logs.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::Array;
use arrow_schema::{DataType, TimeUnit};

use super::cast::{self, Integers, Texts};
use super::footer::{ColumnKind, FileColumn, LogFile};
use super::missing::non_null;
use super::occurrences::Occurrences;
use super::quality::Finding;
use super::text::suggestion;
use super::time::{NO_TIME, TimeKind, TimeReader};
use crate::config;
use crate::error::{Error, LogFault, LogKey, Result};

/// The samples of one column or tag, in the order of the files. The module [`super::missing`] describes how missing
/// values are represented.
#[derive(Debug, Default)]
pub(super) struct RawSamples {
    /// Times in µs UTC. All columns of a wide log share one vector of times.
    pub time: Arc<Vec<i64>>,
    pub value: Vec<f64>,
    /// Index into [`Scan::labels`].
    pub episode: Option<Arc<Vec<u32>>>,
    /// Index of the first sample of each file.
    pub breaks: Arc<Vec<usize>>,
    /// Samples that are flagged as bad and are therefore excluded from `value`.
    pub flagged: Occurrences,
    pub flagged_times: Vec<i64>,
    /// The flags of the samples that are flagged as bad, for messages.
    pub bad_flags: String,
}

/// The content of a log, before cleaning.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub tags: Vec<RawSamples>,
    /// Episode labels, sorted.
    pub labels: Vec<String>,
    pub findings: Vec<Finding>,
    pub long: bool,
    /// Unit of the numbers in the time column, if it was inferred.
    pub unit: Option<config::TimeUnit>,
    /// Number of time stamps without a time zone, or 0 if the time zone of the log is given.
    pub without_zone: usize,
}

/// Determines how to read the time column of a file.
pub(super) fn time_kind(file: &LogFile, name: &str) -> Result<TimeKind> {
    let Some(column) = file.find(name) else {
        let hint = suggestion(name, file.columns.iter().map(|c| c.name.as_str()));
        return Err(Error::log(LogKey::Time, format!("{}: there is no time column `{name}`", file.name), hint));
    };
    match &column.data_type {
        DataType::Timestamp(unit, Some(_)) => Ok(TimeKind::Instant { per_second: per_second(*unit) }),
        DataType::Timestamp(unit, None) => Ok(TimeKind::Local { per_second: per_second(*unit) }),
        DataType::Date64 => Ok(TimeKind::Local { per_second: 1_000 }),
        DataType::Date32 => Ok(TimeKind::LocalDays),
        _ if matches!(column.kind, ColumnKind::Integer | ColumnKind::Float) => Ok(TimeKind::Number),
        _ if column.kind == ColumnKind::Text => Ok(TimeKind::Text),
        _ => Err(not_a_time(file, column)),
    }
}

fn not_a_time(file: &LogFile, column: &FileColumn) -> Error {
    let what = format!("{}: the time column `{}` has the type {}", file.name, column.name, column.data_type);
    Error::log(LogKey::Time, what, "export it as a timestamp, as ISO 8601 text or as seconds since 1970")
}

/// Returns the error for a column whose data do not have the type stated in the footer.
pub(super) fn wrong_type(file: &LogFile, name: &str, array: &dyn Array) -> Error {
    Error::Data(format!("{}: column `{name}` cannot be read because it has the type {}", file.name, array.data_type()))
}

/// Appends the times of a batch to `out` in µs UTC, with `NO_TIME` for rows without a time. `clock(row)` returns the
/// index of the clock that belongs to a row, or `None` if the row is not read. Returns `None` if the column contains no
/// times.
pub(super) fn read_times(
    reader: &mut TimeReader,
    array: &dyn Array,
    clock: impl Fn(usize) -> Option<usize>,
    out: &mut Vec<i64>,
) -> Option<()> {
    if reader.kind() == TimeKind::Text {
        let texts = Texts::new(array)?;
        out.extend(texts.iter().enumerate().map(|(i, v)| clock(i).map_or(NO_TIME, |c| reader.text(v, c))));
    } else if let Some(integers) = Integers::new(array) {
        if reader.kind() == TimeKind::Number {
            let values: Vec<f64> = integers.iter().flatten().map(|v| v as f64).collect();
            reader.learn_unit(&values);
        }
        out.extend(integers.iter().enumerate().map(|(i, v)| clock(i).map_or(NO_TIME, |c| reader.integer(v, c))));
    } else {
        let mut values = Vec::new();
        cast::floats(array, &mut values)?;
        let known: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        reader.learn_unit(&known);
        let number = |(i, v): (usize, &f64)| clock(i).map_or(NO_TIME, |c| reader.number(non_null(*v), c));
        out.extend(values.iter().enumerate().map(number));
    }
    Some(())
}

/// Returns the code of the episode label in each row. Codes are assigned in order of first appearance and renumbered
/// later by [`sort_labels`]. Returns `None` if the column contains no labels.
pub(super) fn read_labels(array: &dyn Array, labels: &mut HashMap<String, u32>) -> Option<Vec<u32>> {
    cast::codes(array, |label| {
        let label = label.unwrap_or("");
        labels.get(label).copied().unwrap_or_else(|| {
            let code = labels.len() as u32;
            labels.insert(label.into(), code);
            code
        })
    })
}

/// Returns the sorted labels and a map from old to new codes, so that results do not depend on the order of the rows.
pub(super) fn sort_labels(labels: HashMap<String, u32>) -> (Vec<String>, Vec<u32>) {
    let mut pairs: Vec<(String, u32)> = labels.into_iter().collect();
    pairs.sort();
    let mut place = vec![0; pairs.len()];
    for (new, (_, old)) in pairs.iter().enumerate() {
        place[*old as usize] = new as u32;
    }
    (pairs.into_iter().map(|(l, _)| l).collect(), place)
}

/// Largest fraction of rows without a readable time at which a log is still read (not tuned).
const MAX_UNREADABLE: f64 = 0.2;

/// Returns the fault if no row or too few rows of the log have a readable time. `readable` is the number of rows
/// with a readable time.
pub(super) fn unreadable_times(files: &[LogFile], times: &TimeReader, readable: usize) -> Option<LogFault> {
    let rows: usize = files.iter().map(|f| f.rows).sum();
    let names = files.iter().map(|f| f.name.as_str()).take(3).collect::<Vec<_>>().join(", ");
    let (bad, example) = times.bad();
    if rows == 0 {
        return Some(LogFault::new(
            LogKey::Files,
            format!("{names}: the log has no rows"),
            "export it again with data",
        ));
    }
    if readable > 0 && bad as f64 <= MAX_UNREADABLE * rows as f64 {
        return None;
    }
    let Some(example) = example else {
        return Some(LogFault::new(
            LogKey::Files,
            format!("{names}: the log has no rows for any signal"),
            "correct the columns or tags of the signals",
        ));
    };
    let none = if bad == rows { "no row".to_owned() } else { format!("only {} of {rows} rows", rows - bad) };
    let what = format!(
        "{names}: {none} of the time column `{}` can be read as a time, for example `{example}`",
        times.column()
    );
    Some(LogFault::new(LogKey::Time, what, times.formats().advice()))
}

/// Returns the column `name`, or an error that states the `role` of the column if the file has no column of this name.
pub(super) fn require<'a>(file: &'a LogFile, name: &str, role: &str) -> Result<&'a FileColumn> {
    file.find(name).ok_or_else(|| {
        let hint = suggestion(name, file.columns.iter().map(|c| c.name.as_str()));
        Error::log(LogKey::Column(name.to_owned()), format!("{}: there is no {role} column `{name}`", file.name), hint)
    })
}

/// Checks that the episode column contains labels.
pub(super) fn require_labels(file: &LogFile, name: &str) -> Result<()> {
    let column = require(file, name, "episode")?;
    if matches!(column.kind, ColumnKind::Other | ColumnKind::Time) {
        return Err(Error::Data(format!(
            "{}: the episode column `{name}` has the type {}; export it as text or int64",
            file.name, column.data_type
        )));
    }
    Ok(())
}

/// Returns the number of time units in one second.
fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}
