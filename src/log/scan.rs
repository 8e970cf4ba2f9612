//! The raw samples of a log, and code shared by the readers of wide and long logs.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::Array;
use arrow_schema::{DataType, TimeUnit};
use indexmap::IndexMap;

use super::cast::{self, Integers, Texts};
use super::footer::{ColumnKind, FileColumn, LogFile};
use super::missing::non_null;
use super::occurrences::Occurrences;
use super::packed::Packed;
use super::quality::Finding;
use super::store::Store;
use super::text::suggestion;
use super::time::{NO_TIME, NumericTimes, TimeKind, TimeReader};
use crate::config::{At, Labels};
use crate::error::{Error, LogKey, Result};

/// The samples of one column or tag, in the order of the files. The module [`super::missing`] describes how missing
/// values are represented.
#[derive(Debug, Default)]
pub(super) struct RawSamples {
    pub samples: Store,
    /// Index into [`Scan::labels`].
    pub episode: Option<Arc<Vec<u32>>>,
    /// Index of the first sample of each file.
    pub breaks: Arc<Vec<usize>>,
    /// Samples that are excluded from `samples` because they are flagged as bad.
    pub flagged: Occurrences,
    pub flagged_times: Packed<i64>,
    /// The flags that mark samples as bad, for messages.
    pub bad_flags: String,
}

/// A column or tag to read.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub column: String,
    /// Conditions on the rows from which the column or tag is read, in addition to `log.where`.
    pub only: IndexMap<String, At<Labels>>,
    /// Whether the rows are separate events, which may have equal times.
    pub events: bool,
    /// Whether the values seem to be amounts, which could be added.
    pub amounts: bool,
}

/// The content of a log, before cleaning.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub tags: Vec<RawSamples>,
    /// Episode labels, sorted.
    pub labels: Vec<String>,
    pub findings: Vec<Finding>,
    pub long: bool,
    /// Whether each tag has its own times, either because the log is in long format or because the signals are read
    /// from different rows.
    pub own_times: bool,
    /// For a wide log, whether each row of the first file was read.
    pub first_file: Vec<bool>,
    /// The numbers in the time column, if there are any.
    pub numbers: Option<NumericTimes>,
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
    reader.unreadable_mut().count_rows((0..array.len()).filter(|row| clock(*row).is_some()).count());
    if reader.kind() == TimeKind::Text {
        let texts = Texts::new(array)?;
        reader.learn_from_texts(texts.iter().enumerate().filter(|(row, _)| clock(*row).is_some()).filter_map(|t| t.1));
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
