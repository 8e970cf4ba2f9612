//! Maps the names and units of the plant to the signals of the twin.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::flag::{Flag, FlagKind};
use crate::config::SignalSpec;
use crate::error::Result;
use crate::log::ColumnMapping;
use crate::scenario::Plant;
use crate::schema::{Bounds, Role, Schema};
use crate::twin::Dynamics;

/// A value is rejected as implausible if it is outside the logged range by more than this many widths of the range (not
/// tuned). The bound is wide enough for real excursions, but narrow enough to reject error codes and values in the
/// wrong unit.
const PLAUSIBLE_WIDTHS: f64 = 10.0;
/// The largest plausible absolute value of controls, set-points and signals that are constant in the log (not tuned).
const PLAUSIBLE_SIZE: f64 = 1e15;
/// Maximum number of unknown names that are remembered, so that each is reported only once (not tuned). This
/// bound limits the memory that a hostile plant can use.
const MAX_UNKNOWN_NAMES: usize = 64;

/// A signal that has a column in the log.
#[derive(Debug, Clone)]
pub struct Tag {
    pub signal: usize,
    pub role: Role,
    /// Mapping between column and signal; the same mapping is used for the log.
    pub mapping: ColumnMapping,
    plausible: Bounds,
}

impl Tag {
    pub fn column(&self) -> &str {
        &self.mapping.column
    }
}

/// All signals that have a column in the log, and the names that lines may use for them.
#[derive(Debug, Clone)]
pub struct Tags {
    pub list: Vec<Tag>,
    /// For each name, the index of its tag, and whether values under this name are in the unit of the column.
    names: HashMap<String, (usize, bool)>,
    /// Names that belong to no signal and have already been reported.
    unknown: BTreeSet<String>,
}

impl Tags {
    /// # Errors
    /// Returns [`crate::error::Error::Data`] if the unit of a column cannot be converted.
    pub fn new(plant: &Plant) -> Result<Self> {
        let signals = plant.spec.value.signals.iter().map(|s| &s.value);
        Self::from_signals(signals, &plant.schema, |signal| plant.twin.logged_range(signal))
    }

    /// Creates the tags. The function `logged` returns the logged range of a signal.
    fn from_signals<'s>(
        signals: impl IntoIterator<Item = &'s SignalSpec>,
        schema: &Schema,
        logged: impl Fn(usize) -> Bounds,
    ) -> Result<Self> {
        let mut tags = Self { list: Vec::new(), names: HashMap::new(), unknown: BTreeSet::new() };
        for spec in signals {
            let Some(signal) = schema.find(&spec.name) else { continue };
            if spec.value.is_none() && spec.role.value != Role::Derived {
                let own = &schema.signals[signal];
                let plausible = plausible(own.role, logged(signal));
                let mut mapping = ColumnMapping::new(spec, &own.unit)?;
                // Signals that differ only in `where` share a column, so input lines contain signal names instead of
                // the column name.
                if !spec.only.is_empty() {
                    mapping.column = spec.name.value.clone();
                }
                tags.list.push(Tag { signal, role: own.role, mapping, plausible });
            }
        }
        // If the column of one signal has the same name as another signal, the column takes precedence.
        for (i, tag) in tags.list.iter().enumerate() {
            tags.names.insert(tag.column().to_owned(), (i, true));
        }
        for (i, tag) in tags.list.iter().enumerate() {
            tags.names.entry(schema.signals[tag.signal].name.clone()).or_insert((i, false));
        }
        Ok(tags)
    }

    /// Returns the tags with the role `role`.
    pub fn with_role(&self, role: Role) -> impl Iterator<Item = &Tag> {
        self.list.iter().filter(move |t| t.role == role)
    }

    pub fn of_signal(&self, signal: usize) -> Option<&Tag> {
        self.list.iter().find(|t| t.signal == signal)
    }

    /// Reads the signals of `map` whose role is `wanted` into `values`, which has one element per signal. If a value
    /// cannot be used, a flag is added and nothing is written. Unknown names are ignored.
    pub fn read(
        &self,
        map: &Map<String, Value>,
        wanted: impl Fn(Role) -> bool,
        values: &mut [f64],
        flags: &mut Vec<Flag>,
    ) {
        for (name, value) in map {
            let Some(&(i, in_column_unit)) = self.names.get(name) else { continue };
            let tag = &self.list[i];
            if !wanted(tag.role) {
                continue;
            }
            let Some(v) = value.as_f64() else {
                flags.push(Flag::value(if value.is_null() { FlagKind::Missing } else { FlagKind::Type }, name));
                continue;
            };
            let v = if in_column_unit { tag.mapping.to_signal(v) } else { v };
            if !(v.is_finite() && tag.plausible.contains(v)) {
                flags.push(Flag::value(FlagKind::Absurd, name));
            } else if !tag.mapping.is_valid(v) {
                flags.push(Flag::value(FlagKind::Invalid, name));
            } else {
                values[tag.signal] = v;
            }
        }
    }

    /// Reads all numbers in `map` into `values`, which has one element per signal.
    pub fn read_unchecked(&self, map: &Map<String, Value>, values: &mut [f64]) {
        for (name, value) in map {
            if let (Some(&(i, in_column_unit)), Some(v)) = (self.names.get(name), value.as_f64()) {
                let Tag { signal, mapping, .. } = &self.list[i];
                values[*signal] = if in_column_unit { mapping.to_signal(v) } else { v };
            }
        }
    }

    /// Returns the `names` that belong to no signal and have not been reported before.
    pub fn new_unknown<'n>(&mut self, names: impl IntoIterator<Item = &'n String>) -> Vec<String> {
        let mut new = Vec::new();
        for name in names.into_iter().filter(|n| !self.names.contains_key(*n)) {
            if self.unknown.len() < MAX_UNKNOWN_NAMES && self.unknown.insert(name.clone()) {
                new.push(name.clone());
            }
        }
        new
    }

    /// Whether `name` is the name of a signal or of its column.
    pub fn knows(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }
}

/// Returns the range of plausible values, given the role and the `logged` range of a signal.
fn plausible(role: Role, logged: Bounds) -> Bounds {
    let width = logged.high - logged.low;
    // A controller may set controls and set-points to values outside their logged ranges.
    let is_set = matches!(role, Role::Control | Role::Setpoint);
    if width.is_finite() && width > 0.0 && !is_set {
        Bounds { low: logged.low - PLAUSIBLE_WIDTHS * width, high: logged.high + PLAUSIBLE_WIDTHS * width }
    } else {
        Bounds { low: -PLAUSIBLE_SIZE, high: PLAUSIBLE_SIZE }
    }
}

#[cfg(test)]
#[path = "../../../tests/unit/live/protocol/tags.rs"]
mod tests;
