//! Alarm limits and control loops, which are recognised by the names of their tags.

use super::Draft;
use super::roles::Guess;
use super::tags::{Attribute, Tag};
use crate::log::ColumnSummary;
use crate::schema::Role;

impl Draft {
    /// Uses constant alarm limits in the log as soft limits of the measurement whose tag has the same stem.
    pub(super) fn limits(&mut self, columns: &[ColumnSummary]) {
        for column in columns.iter().filter(|c| c.distinct == 1 && c.min.is_finite()) {
            let limit = Tag::parse(&column.name);
            let Some(Attribute::Alarm(upper)) = limit.attribute else { continue };
            let measured = |g: &&mut Guess| {
                let tag = Tag::parse(&g.column);
                tag.stem == limit.stem && matches!(tag.attribute, None | Some(Attribute::Measurement(_)))
            };
            let Some(guess) = self.signals.iter_mut().find(measured) else { continue };
            let (low, high) = guess.soft.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
            // The tighter limits are used: HI rather than HIHI, and LO rather than LOLO.
            guess.soft = Some(if upper { (low, high.min(column.min)) } else { (low.max(column.min), high) });
        }
        self.signals.iter_mut().for_each(|g| g.soft = g.soft.filter(|(low, high)| low < high));
    }

    /// If the set-point of a control loop changes, the set-point gets the role of a control, and the signal from the
    /// controller gets the role of an output.
    pub(super) fn loops(&mut self) {
        let moved: Vec<String> = self
            .signals
            .iter()
            .map(|g| (Tag::parse(&g.column), g))
            .filter(|(tag, g)| matches!(tag.attribute, Some(Attribute::Setpoint(_))) && g.role == Role::Control)
            .map(|(tag, _)| tag.stem.to_owned())
            .collect();
        for g in &mut self.signals {
            let tag = Tag::parse(&g.column);
            if matches!(tag.attribute, Some(Attribute::Output(_))) && moved.iter().any(|m| m == tag.stem) {
                g.role = Role::Output;
                g.reason = format!("role from the set-point that it follows, {}", g.reason);
            }
        }
        if !self.signals.iter().any(|s| s.role == Role::Control) {
            for g in self.signals.iter_mut().filter(|s| s.role == Role::Setpoint) {
                g.role = Role::Control;
            }
        }
    }
}
