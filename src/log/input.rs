//! The signals of a log, the columns from which they are read, and the rules for cleaning them.

use super::calendar;
use super::clean::Rule;
use super::column::ColumnMapping;
use super::kind::{is_amount, is_counted};
use super::scan::Wanted;
use super::unit_jumps::OtherUnits;
use crate::config::{Kind, TwinSpec};
use crate::error::{Error, Result};
use crate::schema::{Role, Schema};
use crate::units::Unit;

/// A signal that is read from a column of the log.
pub(super) struct Input {
    /// Index of the signal in the schema.
    pub signal: usize,
    pub rule: Rule,
    /// Index of the signal's column in the list of columns to read.
    pub column: usize,
}

/// Returns the signals that have a column in the log, and the columns to read.
pub(super) fn inputs(spec: &TwinSpec, schema: &Schema, max_gap: i64) -> Result<(Vec<Input>, Vec<Wanted>)> {
    let mut columns: Vec<Wanted> = Vec::new();
    let mut out = Vec::new();
    let zone = calendar::zone(spec)?;
    for s in &spec.signals {
        let s = &s.value;
        if s.role.value == Role::Derived || s.value.is_some() || s.start.is_some() {
            continue;
        }
        let signal = schema
            .find(&s.name)
            .ok_or_else(|| Error::Internal(format!("the schema lacks the signal `{}`", s.name.value)))?;
        let unit = &schema.signals[signal].unit;
        let mapping = ColumnMapping::new(s, unit)?;
        let amount =
            is_amount(unit, s.role.value) || (s.role.value != Role::State && is_counted(&mapping.column, unit));
        let counter = mapping.kind == Kind::Counter;
        let rule = Rule {
            signal: s.name.value.clone(),
            unit: unit.text.clone(),
            mapping,
            // The readings of a counter grow by any factor.
            other_units: if counter { OtherUnits::default() } else { OtherUnits::new(unit) },
            absolute_zero: absolute_zero(unit),
            amount,
            role: s.role.value,
            step: spec.step.ms().saturating_mul(1_000),
            zone: zone.clone(),
            max_gap,
            window: (i64::MIN, i64::MAX),
        };
        let (events, amounts) = (rule.is_event(), amount || rule.mapping.kind == Kind::Amount);
        let column = match columns.iter().position(|c| c.column == rule.mapping.column && c.only == s.only) {
            Some(known) => known,
            None => {
                let (column, only) = (rule.mapping.column.clone(), s.only.clone());
                columns.push(Wanted { column, only, events, amounts });
                columns.len() - 1
            }
        };
        columns[column].events &= events;
        columns[column].amounts &= amounts;
        out.push(Input { signal, rule, column });
    }
    Ok((out, columns))
}

/// Returns absolute zero in a temperature unit with an offset (degC, degF). Returns `None` for the unit K, because a
/// value in K may be a temperature difference.
fn absolute_zero(unit: &Unit) -> Option<f64> {
    (unit.offset != 0.0 && unit.scale > 0.0).then(|| -unit.offset / unit.scale)
}
