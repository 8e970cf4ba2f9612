//! Reads the columns, the time span and the ranges of values of a log.

use std::collections::HashMap;
use std::path::Path;
use std::sync::OnceLock;

use jiff::Timestamp;

use crate::config::{Loaded, LogSpec, TimeSpan, TwinSpec};
use crate::error::{Error, LogFault};
use crate::log::{self, Column, ColumnKind, OperatingHours, is_relative};
use crate::trajectory::Trajectory;

/// In logs with more values than this, the limits of signals are not compared with the logged ranges (not tuned).
const MOST_VALUES: usize = 20_000_000;

/// The columns, the time span and the ranges of values of a log.
#[derive(Debug, Default)]
pub(super) struct LogFacts {
    /// `None` if the files of the log cannot be read.
    pub(super) columns: Option<Vec<Column>>,
    pub(super) failure: Option<Error>,
    /// The fault if the times were probably read in the wrong unit.
    pub(super) implausible: Option<LogFault>,
    span: Option<(Timestamp, Timestamp)>,
    /// Typical time between two rows of a wide log.
    pub(super) sampling: Option<TimeSpan>,
    rows: usize,
    /// Smallest and largest value of each numeric column.
    pub(super) ranges: HashMap<String, (f64, f64)>,
    /// Start and end of each part of the log without gaps; empty until the whole log has been read.
    segments: OnceLock<Vec<(Timestamp, Timestamp)>>,
    /// Known once the whole log has been read; `None` if the plant runs at all hours.
    operating_hours: OnceLock<Option<OperatingHours>>,
}

impl LogFacts {
    pub(super) fn read(file: &Loaded<TwinSpec>) -> Self {
        let (spec, dir) = (&file.value.log, file.path.parent().unwrap_or(Path::new(".")));
        if spec.files.span.is_empty() {
            return Self::default();
        }
        let mut facts = match log::columns(dir, spec) {
            Ok(columns) => Self { columns: Some(columns), ..Self::default() },
            Err(failure) => return Self { failure: Some(failure), ..Self::default() },
        };
        // A time column that is missing or does not contain times is reported by `super::log`, with its location.
        let any_times = facts.columns.iter().flatten().any(|c| c.kind == ColumnKind::Time);
        if facts.find(&spec.time).is_some_and(|c| !any_times || matches!(c.kind, ColumnKind::Time | ColumnKind::Text))
            && let Ok(span) = log::used_time_span(dir, &file.value)
        {
            facts.rows = span.rows;
            facts.implausible = span.implausible(&file.value);
            // Time spans cannot be compared if the times were read in the wrong unit.
            if facts.implausible.is_none() {
                facts.span = Some((span.first, span.last));
                facts.sampling = span.sampling.filter(|_| spec.long.is_none());
            }
        }
        let limited = file.value.signals.iter().any(|s| s.soft.is_some() || s.hard.is_some() || s.valid.is_some());
        if limited
            && spec.long.is_none()
            && facts.rows.saturating_mul(facts.columns.as_ref().map_or(0, Vec::len)) < MOST_VALUES
        {
            facts.read_ranges(dir, spec);
        }
        facts
    }

    fn read_ranges(&mut self, dir: &Path, spec: &LogSpec) {
        let Ok(files) = log::files(dir, spec) else { return };
        for column in files.iter().filter_map(|f| log::describe(std::slice::from_ref(f)).ok()).flatten() {
            if matches!(column.kind, ColumnKind::Float | ColumnKind::Integer) && column.min <= column.max {
                let range = self.ranges.entry(column.name).or_insert((column.min, column.max));
                *range = (range.0.min(column.min), range.1.max(column.max));
            }
        }
    }

    /// Stores the segments of the log.
    pub(super) fn set_segments(&self, log: &Trajectory) {
        self.segments.get_or_init(|| log.segments.iter().map(|s| (log.time(s.start), log.time(s.end))).collect());
    }

    /// Stores the hours of the week in which the plant runs.
    pub(super) fn set_operating_hours(&self, hours: Option<OperatingHours>) {
        self.operating_hours.get_or_init(|| hours);
    }

    /// Returns the hours of the week in which the plant runs; `None` if it runs at all hours, or if the whole log has
    /// not been read.
    pub(super) fn operating_hours(&self) -> Option<&OperatingHours> {
        self.operating_hours.get()?.as_ref()
    }

    /// Returns the start and the end of each segment, or nothing if the whole log has not been read.
    pub(super) fn segments(&self) -> &[(Timestamp, Timestamp)] {
        self.segments.get().map_or(&[], Vec::as_slice)
    }

    /// Returns the first and the last time stamp.
    pub(super) fn span(&self) -> Option<(Timestamp, Timestamp)> {
        self.span
    }

    /// Whether the times are counted from an unknown start.
    pub(super) fn has_relative_times(&self) -> bool {
        self.span.is_some_and(|(_, last)| is_relative(last))
    }

    pub(super) fn length(&self) -> Option<TimeSpan> {
        self.span.map(|(first, last)| TimeSpan::from_ms(last.as_millisecond() - first.as_millisecond()))
    }

    pub(super) fn find(&self, name: &str) -> Option<&Column> {
        self.columns.as_ref()?.iter().find(|c| c.name == name)
    }
}
