//! The plant's names and units on one side, the twin's on the other.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::line::Flag;
use crate::config::{Resample, SignalSpec};
use crate::error::{Error, Result};
use crate::scenario::Plant;
use crate::schema::{Bounds, Role, Signal};
use crate::twin::Dynamics;
use crate::units::Unit;

/// A value further from what the log has seen than this many widths of it is no measurement.
const ABSURD_WIDTHS: f64 = 10.0;
/// Nor is one beyond this, of a signal that never moved in the log.
const ABSURD: f64 = 1e15;
/// Unknown names that are remembered, so that each is told once.
const MOST_NAMES: usize = 64;

/// One signal with a column.
#[derive(Debug, Clone)]
pub struct Tag {
    pub signal: usize,
    pub role: Role,
    pub column: String,
    pub resample: Resample,
    /// value = gain * column + shift.
    gain: f64,
    shift: f64,
    valid: Bounds,
    plausible: Bounds,
    /// Steps of the plant for which the same value is believed.
    pub flat: Option<i64>,
}

impl Tag {
    /// A value of the column, in the unit of the signal.
    pub fn inside(&self, value: f64) -> f64 {
        self.gain * value + self.shift
    }

    /// A value of the signal, in the unit of its column.
    pub fn outside(&self, value: f64) -> f64 {
        (value - self.shift) / self.gain
    }
}

/// All signals with a column, and the names by which a line may call them.
#[derive(Debug, Clone)]
pub struct Tags {
    pub list: Vec<Tag>,
    /// Name → (tag, in the column's unit).
    names: HashMap<String, (usize, bool)>,
    /// Names that belong to no signal and are told already.
    unknown: BTreeSet<String>,
}

impl Tags {
    /// `dt`: milliseconds between lines.
    ///
    /// # Errors
    /// [`Error::Data`] for a column unit that cannot be converted.
    pub fn new(plant: &Plant, dt: i64) -> Result<Self> {
        let mut tags = Self { list: Vec::new(), names: HashMap::new(), unknown: BTreeSet::new() };
        for s in plant.spec.value.signals.iter().map(|s| &s.value) {
            let Some(signal) = plant.schema.find(&s.name) else { continue };
            if s.value.is_none() && s.role.value != Role::Derived {
                tags.list.push(tag(s, signal, &plant.schema.signals[signal], plant.twin.logged_range(signal), dt)?);
            }
        }
        // a column's name goes before the name of another signal
        for (i, tag) in tags.list.iter().enumerate() {
            tags.names.insert(tag.column.clone(), (i, true));
        }
        for (i, tag) in tags.list.iter().enumerate() {
            tags.names.entry(plant.schema.signals[tag.signal].name.clone()).or_insert((i, false));
        }
        Ok(tags)
    }

    /// Tags with `role`.
    pub fn with_role(&self, role: Role) -> impl Iterator<Item = &Tag> {
        self.list.iter().filter(move |t| t.role == role)
    }

    /// Reads what `map` says of signals that `wanted` takes, into `values` by signal; NaN where there is no usable value.
    /// Other names are left alone.
    pub fn read(
        &self,
        map: &Map<String, Value>,
        wanted: impl Fn(Role) -> bool,
        values: &mut [f64],
        flags: &mut Vec<Flag>,
    ) {
        for (name, value) in map {
            let Some(&(i, in_column)) = self.names.get(name) else { continue };
            let tag = &self.list[i];
            if !wanted(tag.role) {
                continue;
            }
            let Some(v) = value.as_f64() else {
                flags.push(Flag::of(if value.is_null() { "missing" } else { "type" }, name));
                continue;
            };
            let v = if in_column { tag.inside(v) } else { v };
            if !(v.is_finite() && tag.plausible.contains(v)) {
                flags.push(Flag::of("absurd", name));
            } else if !tag.valid.contains(v) {
                flags.push(Flag::of("invalid", name));
            } else {
                values[tag.signal] = v;
            }
        }
    }

    /// Those of `names` that belong to no signal and have not been told before.
    pub fn strangers<'n>(&mut self, names: impl IntoIterator<Item = &'n String>) -> Vec<String> {
        let mut new = Vec::new();
        for name in names.into_iter().filter(|n| !self.names.contains_key(*n)) {
            if self.unknown.len() < MOST_NAMES && self.unknown.insert(name.clone()) {
                new.push(name.clone());
            }
        }
        new
    }

    /// Whether a line may call something `name`.
    pub fn knows(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }
}

fn tag(s: &SignalSpec, signal: usize, own: &Signal, seen: Bounds, dt: i64) -> Result<Tag> {
    let holds = matches!(own.role, Role::Control | Role::Setpoint);
    let resample = s.resample.as_ref().map_or(if holds { Resample::Hold } else { Resample::Mean }, |r| r.value);
    let (gain, shift) = match &s.column_unit {
        None => (1.0, 0.0),
        Some(text) => Unit::parse(text)
            .and_then(|from| from.conversion(&own.unit))
            .map_err(|e| Error::Data(format!("signal `{}`: `column_unit = \"{}\"`: {e}", own.name, text.value)))?,
    };
    let width = seen.high - seen.low;
    let moved = width.is_finite() && width > 0.0 && !holds;
    let plausible = if moved {
        Bounds { low: seen.low - ABSURD_WIDTHS * width, high: seen.high + ABSURD_WIDTHS * width }
    } else {
        Bounds { low: -ABSURD, high: ABSURD }
    };
    Ok(Tag {
        signal,
        role: own.role,
        column: s.column.as_ref().unwrap_or(&s.name).value.clone(),
        resample,
        gain,
        shift,
        valid: s.valid.as_ref().map_or(Bounds::OPEN, |v| Bounds { low: v.value[0], high: v.value[1] }),
        plausible,
        flat: s.flat.as_ref().map(|f| (f.ms() / dt.max(1)).max(1)),
    })
}
