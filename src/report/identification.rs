//! The table that shows whether the log identifies the effect of each control.

use crate::scenario::results::{ControlIdentification, IdentificationLevel};

use super::number::{self, Quantity, TABLE};
use super::text::short;

/// How well the log determines the effect of a control.
#[derive(Debug)]
pub struct IdentificationRow {
    pub control: String,
    pub level: &'static str,
    pub identified: bool,
    pub explained: String,
    pub own: Quantity,
    pub unit: String,
    pub moves: String,
    pub time: String,
    pub companion: String,
}

impl IdentificationRow {
    pub fn new(i: &ControlIdentification) -> Self {
        Self {
            control: short(&i.control, 60),
            level: match i.level {
                IdentificationLevel::Identified => "identified",
                IdentificationLevel::Weak => "weakly identified",
                IdentificationLevel::NotIdentified => "not identified",
            },
            identified: i.level == IdentificationLevel::Identified,
            explained: i.explained_text(),
            own: number::plain(i.own_movement, TABLE),
            unit: number::unit(&i.unit),
            moves: format!("{:.0}", i.moves),
            time: i.holding_time.clone(),
            companion: i.companion.clone().unwrap_or_default(),
        }
    }
}
