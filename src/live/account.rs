//! The rows of the loop's log, line by line.

use std::path::Path;

use serde_json::{Map, Value};

use super::fallback::Decision;
use super::record::{Record, Stamp};
use super::tags::{Tag, Tags};
use crate::config::LogSpec;
use crate::error::Result;
use crate::schema::Role;

/// What was seen, planned and predicted: the columns of the twin's log, the plant's other KPIs, `planned_*` of controls and
/// `predicted_*` of states.
pub struct Account {
    record: Record,
    /// KPIs that are no signals, and their columns.
    kpis: Vec<(String, usize)>,
    /// Of each tag.
    places: Vec<Places>,
}

/// Columns of one tag.
struct Places {
    seen: usize,
    /// `planned_*` or `predicted_*`.
    made: Option<usize>,
    /// Its number among the controls.
    control: Option<usize>,
}

impl Account {
    /// `controls`: schema columns of all controls; `kpis`: names that are no signals.
    pub fn new(file: &Path, log: &LogSpec, tags: &Tags, controls: &[usize], kpis: &[String]) -> Self {
        let mut names: Vec<String> = Vec::new();
        let mut place = |name: String| match names.iter().position(|n| *n == name) {
            Some(at) => at,
            None => {
                names.push(name);
                names.len() - 1
            }
        };
        let seen: Vec<usize> = tags.list.iter().map(|t| place(t.column.clone())).collect();
        let own = |k: &&String| **k != log.time.value && log.episode.as_ref().is_none_or(|e| **k != e.value);
        let kpis = kpis.iter().filter(own).map(|k| (k.clone(), place(k.clone()))).collect();
        let made = |t: &Tag| match t.role {
            Role::Control => Some(format!("planned_{}", t.column)),
            Role::State => Some(format!("predicted_{}", t.column)),
            _ => None,
        };
        let places = tags.list.iter().zip(seen).map(|(t, seen)| Places {
            seen,
            made: made(t).map(&mut place),
            control: controls.iter().position(|&c| c == t.signal),
        });
        let places = places.collect();
        let episode = log.episode.as_ref().map(|e| e.value.as_str());
        Self { record: Record::new(file, &log.time, episode, names), kpis, places }
    }

    /// Forgets the rows of `episode` from `line` on.
    pub fn rewind(&mut self, episode: i64, line: i64) {
        self.record.rewind(episode, line);
    }

    /// What the line after the newest row tells of that row, if it is line `line` of `episode`: controls that were in force
    /// (`[controls]`), outputs (`values`, by signal) and KPIs that it realised.
    pub fn realised(
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
        for (tag, places) in tags.list.iter().zip(&self.places) {
            let value = match (tag.role, places.control) {
                (Role::Output, _) => values[tag.signal],
                (_, Some(control)) => in_force[control],
                _ => continue,
            };
            if value.is_finite() {
                self.record.set(places.seen, tag.outside(value));
            }
        }
        for (name, place) in &self.kpis {
            if let Some(v) = kpi.get(name).and_then(Value::as_f64) {
                self.record.set(*place, v);
            }
        }
    }

    /// A new row: `values` and `predicted` by signal.
    pub fn push(&mut self, stamp: Stamp, tags: &Tags, values: &[f64], last: &Decision, predicted: &[f64]) {
        self.record.push(stamp);
        for (tag, places) in tags.list.iter().zip(&self.places) {
            let seen = match (tag.role, places.control) {
                (Role::Output, _) => f64::NAN,
                (_, Some(control)) => last.controls[control],
                _ => values[tag.signal],
            };
            self.record.set(places.seen, tag.outside(seen));
            let made = match (places.control, &last.planned) {
                (Some(control), Some(planned)) => planned[control],
                (Some(_), None) => f64::NAN,
                (None, _) => predicted[tag.signal],
            };
            if let Some(place) = places.made {
                self.record.set(place, tag.outside(made));
            }
        }
    }

    /// Writes the file when enough is new.
    ///
    /// # Errors
    /// As [`Record::write`].
    pub fn write_now_and_then(&mut self) -> Result<()> {
        self.record.write_now_and_then()
    }

    /// Writes the file whole.
    ///
    /// # Errors
    /// As [`Record::write`].
    pub fn write(&mut self) -> Result<()> {
        self.record.write()
    }
}
