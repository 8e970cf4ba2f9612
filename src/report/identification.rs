//! The table that shows whether the log identifies the effect of each control.

use crate::scenario::results::{ControlEffect, ControlIdentification, IdentificationLevel};

use super::duration::hours_text;
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

/// The effect of a control on a signal according to the model and according to the log.
#[derive(Debug)]
pub struct EffectRow {
    pub control: String,
    pub signal: String,
    pub unit: String,
    pub window: String,
    pub model: Quantity,
    pub log: Quantity,
    pub low: Quantity,
    pub high: Quantity,
    pub agrees: bool,
    pub corrected: bool,
}

impl EffectRow {
    pub fn new(e: &ControlEffect) -> Self {
        let (log, half) = (e.model + e.error, e.half_width());
        Self {
            control: short(&e.control, 60),
            signal: short(&e.signal, 60),
            unit: number::unit(&e.unit),
            window: hours_text(e.hours),
            model: number::plain(e.model, TABLE),
            log: number::plain(log, TABLE),
            low: number::plain(log - half, TABLE),
            high: number::plain(log + half, TABLE),
            agrees: e.agrees(),
            corrected: e.accumulation.is_some(),
        }
    }
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
