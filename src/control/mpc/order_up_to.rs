//! Orders that are planned through an order-up-to level.
//!
//! A plan of fixed orders cannot react to demand that becomes known only after the plan is made, so it orders too early
//! or too much. If the plan sets order-up-to levels instead, the order in each future is the level minus the inventory
//! position. Such base-stock policies are optimal for serial supply chains (Clark & Scarf 1960).

use super::resolved::PlannedStockSettings;
use crate::expr::{Program, Registers};
use crate::schema::Bounds;
use crate::trajectory::{Frame, Window};

/// Converts the planned order-up-to level of a control to an order.
pub(super) struct OrderUpTo {
    position: Program,
    /// Hard limits of the order.
    hard: Bounds,
    multiple: f64,
}

impl OrderUpTo {
    /// `hard` contains the hard limits of an order. An order must be a multiple of `multiple`.
    pub fn new(settings: &PlannedStockSettings, hard: Bounds, multiple: f64) -> Self {
        Self { position: settings.position.clone(), hard, multiple }
    }

    /// Replaces the order-up-to levels in `levels`, `[rows]`, with the corresponding orders at the current frame of
    /// `window`.
    pub fn order(&self, window: &Window, registers: &mut Registers, position: &mut Vec<f64>, levels: &mut [f64]) {
        position.resize(window.rows(), 0.0);
        self.position.eval(window, registers, position);
        for (level, position) in levels.iter_mut().zip(position.iter()) {
            let missing = *level - position;
            let order = if self.multiple > 0.0 { (missing / self.multiple).round() * self.multiple } else { missing };
            *level = self.hard.clamp(order);
        }
    }
}
