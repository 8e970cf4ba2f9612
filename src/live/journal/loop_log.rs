//! The log of a live loop: its columns, and the values that each line adds to the columns.

use std::path::Path;

use serde_json::{Map, Value};

use super::super::decision::Decision;
use super::super::protocol::tags::{Tag, Tags};
use super::record::{Record, Stamp};
use crate::config::LogSpec;
use crate::error::Result;
use crate::schema::Role;

/// The log of a live loop. The log has the columns of the twin's log, a column for each KPI that is not a signal, a
/// column `planned_*` for each control and a column `predicted_*` for each state.
pub struct LoopLog {
    record: Record,
    /// Names and column indices of KPIs that are not signals.
    kpis: Vec<(String, usize)>,
    /// One element per tag.
    columns: Vec<TagColumns>,
}

/// The columns of one tag.
struct TagColumns {
    measured: usize,
    /// Index of the column `planned_*` or `predicted_*`, if the tag has one.
    expected: Option<usize>,
    /// Index in the list of controls, if the tag is a control.
    control: Option<usize>,
}

impl LoopLog {
    /// Creates an empty log. `controls` contains the column indices of all controls in the schema, and `kpis` the names
    /// of KPIs that are not signals.
    pub fn new(file: &Path, log: &LogSpec, tags: &Tags, controls: &[usize], kpis: &[String]) -> Self {
        let mut names: Vec<String> = Vec::new();
        let mut index = |name: String| match names.iter().position(|n| *n == name) {
            Some(at) => at,
            None => {
                names.push(name);
                names.len() - 1
            }
        };
        let measured: Vec<usize> = tags.list.iter().map(|t| index(t.column().to_owned())).collect();
        let is_free = |k: &&String| **k != log.time.value && log.episode.as_ref().is_none_or(|e| **k != e.value);
        let kpis = kpis.iter().filter(is_free).map(|k| (k.clone(), index(k.clone()))).collect();
        let expected = |t: &Tag| match t.role {
            Role::Control => Some(format!("planned_{}", t.column())),
            Role::State => Some(format!("predicted_{}", t.column())),
            _ => None,
        };
        let columns = tags.list.iter().zip(measured).map(|(t, measured)| TagColumns {
            measured,
            expected: expected(t).map(&mut index),
            control: controls.iter().position(|&c| c == t.signal),
        });
        let columns = columns.collect();
        let episode = log.episode.as_ref().map(|e| e.value.as_str());
        Self { record: Record::new(file, &log.time, episode, names), kpis, columns }
    }

    /// Drops the rows of `episode` from line `line` onwards.
    pub fn rewind(&mut self, episode: i64, line: i64) {
        self.record.rewind(episode, line);
    }

    /// If the newest row is line `line` of `episode`, completes this row with values that were received in the next
    /// line. The values are the controls that were in force (one value per control), the outputs (from `values`, which
    /// has one element per signal) and the KPIs.
    pub fn complete_row(
        &mut self,
        (episode, line): (i64, i64),
        tags: &Tags,
        values: &[f64],
        in_force: &[f64],
        kpi: &Map<String, Value>,
    ) {
        if self.record.newest() != Some((line, episode)) {
            return;
        }
        for (tag, columns) in tags.list.iter().zip(&self.columns) {
            let value = match (tag.role, columns.control) {
                (Role::Output, _) => values[tag.signal],
                (_, Some(control)) => in_force[control],
                _ => continue,
            };
            if value.is_finite() {
                self.record.set(columns.measured, tag.mapping.to_column(value));
            }
        }
        for (name, column) in &self.kpis {
            if let Some(v) = kpi.get(name).and_then(Value::as_f64) {
                self.record.set(*column, v);
            }
        }
    }

    /// Adds a row. `values` and `predicted` have one element per signal.
    pub fn push(&mut self, stamp: Stamp, tags: &Tags, values: &[f64], decision: &Decision, predicted: &[f64]) {
        self.record.push(stamp);
        for (tag, columns) in tags.list.iter().zip(&self.columns) {
            let measured = match (tag.role, columns.control) {
                (Role::Output, _) => f64::NAN,
                (_, Some(control)) => decision.controls[control],
                _ => values[tag.signal],
            };
            self.record.set(columns.measured, tag.mapping.to_column(measured));
            let expected = match (columns.control, &decision.planned) {
                (Some(control), Some(planned)) => planned[control],
                (Some(_), None) => f64::NAN,
                (None, _) => predicted[tag.signal],
            };
            if let Some(column) = columns.expected {
                self.record.set(column, tag.mapping.to_column(expected));
            }
        }
    }

    /// Writes the file if enough rows have been added since the last write.
    ///
    /// # Errors
    /// Returns the errors of [`Record::write`].
    pub fn write_if_due(&mut self) -> Result<()> {
        self.record.write_if_due()
    }

    /// Writes the whole file.
    ///
    /// # Errors
    /// Returns the errors of [`Record::write`].
    pub fn write(&mut self) -> Result<()> {
        self.record.write()
    }
}
