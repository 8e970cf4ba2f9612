//! The tag list of a twin file as a [`Schema`].

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use super::{At, TwinSpec};
use crate::schema::{self, Schema, Signal};
use crate::units::Unit;

/// What is wrong with a part of a file, and its place there.
pub type Complaint = (String, Range<usize>);

/// The tag list: units parsed, open limits and missing moves filled in.
///
/// A derived signal without a unit has the unit `1` here; `expr::schema` gives it the unit of its expression.
/// Fails with every unit that is not understood and every name that stands twice.
pub fn schema(spec: &TwinSpec) -> std::result::Result<Arc<Schema>, Vec<Complaint>> {
    let mut complaints = Vec::new();
    let mut names = HashSet::new();
    let mut signals = Vec::with_capacity(spec.signals.len());
    for signal in &spec.signals {
        if !names.insert(signal.name.as_str()) {
            complaints.push((format!("the name `{}` stands twice", signal.name.value), signal.name.span.clone()));
        }
        let unit = match &signal.unit {
            None => Unit::one(),
            Some(text) => Unit::parse(text).unwrap_or_else(|why| {
                complaints.push((why, text.span.clone()));
                Unit::one()
            }),
        };
        signals.push(Signal {
            name: signal.name.value.clone(),
            role: signal.role.value,
            unit,
            hard: range(signal.hard.as_ref()),
            soft: range(signal.soft.as_ref()),
            max_move: signal.max_move.as_ref().map_or(schema::MoveLimit::NONE, |m| {
                let (down, up) = m.value.limits();
                schema::MoveLimit { down, up }
            }),
            multiple: signal.multiple.as_ref().map_or(0.0, |m| m.value),
            switching: schema::Switching {
                least: signal.min_on.as_ref().map_or(0.0, |m| m.value),
                run: signal.min_run.as_ref().map_or(0, |t| t.value.steps(spec.step.value, 0)),
                stop: signal.min_stop.as_ref().map_or(0, |t| t.value.steps(spec.step.value, 0)),
            },
        });
    }
    if complaints.is_empty() { Ok(Arc::new(Schema::new(signals))) } else { Err(complaints) }
}

fn range(limits: Option<&At<[f64; 2]>>) -> schema::Bounds {
    limits.map_or(schema::Bounds::OPEN, |l| schema::Bounds { low: l.value[0], high: l.value[1] })
}
