//! Converts the tag list of a twin file to a [`Schema`].

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use super::{At, SignalSpec, TwinSpec};
use crate::schema::{self, Schema, Signal};
use crate::units::Unit;

/// A message, and the byte range in the file to which the message refers.
pub type Complaint = (String, Range<usize>);

/// Converts the tag list to a schema. Absent limits become infinite.
///
/// A derived signal without a unit provisionally gets the unit `1`. `expr::schema` replaces this unit with the unit of
/// the signal's expression.
///
/// # Errors
/// Returns a message for every invalid unit and for every name that occurs twice.
pub fn schema(spec: &TwinSpec) -> std::result::Result<Arc<Schema>, Vec<Complaint>> {
    let mut complaints = Vec::new();
    let mut names = HashSet::new();
    for name in spec.signals.iter().map(|s| &s.name) {
        if !names.insert(name.as_str()) {
            complaints.push((format!("there are two signals called `{}`", name.value), name.span.clone()));
        }
    }
    let signals = signals(spec, |why, text| complaints.push((why, text.span.clone())));
    if complaints.is_empty() { Ok(Arc::new(Schema::new(signals))) } else { Err(complaints) }
}

/// Returns the signals of the tag list. `invalid` is called for every invalid unit, which is replaced by the unit `1`.
pub fn signals(spec: &TwinSpec, mut invalid: impl FnMut(String, &At<String>)) -> Vec<Signal> {
    let mut unit = |text: Option<&At<String>>| {
        let Some(text) = text else { return Unit::one() };
        Unit::parse(text).unwrap_or_else(|why| {
            invalid(why, text);
            Unit::one()
        })
    };
    let signal = |signal: &At<SignalSpec>| Signal {
        name: signal.name.value.clone(),
        role: signal.role.value,
        unit: unit(signal.unit.as_ref()),
        hard: range(signal.hard.as_ref()),
        soft: range(signal.soft.as_ref()),
        max_move: signal.max_move.as_ref().map_or(schema::MoveLimit::NONE, |m| {
            let (down, up) = m.value.limits();
            schema::MoveLimit { down, up }
        }),
        multiple: signal.multiple.as_ref().map_or(0.0, |m| m.value),
        switching: schema::Switching {
            least: signal.min_on.as_ref().map_or(0.0, |m| m.value),
            run: signal.min_run.as_ref().map_or(0, |t| t.value.steps_up(spec.step.value)),
            stop: signal.min_stop.as_ref().map_or(0, |t| t.value.steps_up(spec.step.value)),
        },
    };
    spec.signals.iter().map(signal).collect()
}

fn range(limits: Option<&At<[f64; 2]>>) -> schema::Bounds {
    limits.map_or(schema::Bounds::OPEN, |l| schema::Bounds { low: l.value[0], high: l.value[1] })
}
