//! Orders that are planned through an order-up-to level.
//!
//! A plan of fixed orders cannot react to demand that becomes known only after the plan is made, so
//! its orders are too early or too large. If the plan sets order-up-to levels instead of orders,
//! the order in each future is the level minus the inventory position. Base-stock policies, which
//! order in this way, are optimal for serial supply chains (Clark & Scarf 1960).

use super::resolved::PlannedStockSettings;
use crate::control::covering_order;
use crate::expr::{Program, Registers};
use crate::schema::Signal;
use crate::trajectory::{Frame, Window};

/// Converts the planned order-up-to level of a control to an order.
pub(super) struct OrderUpTo {
    position: Program,
    /// The signal of the order, with its hard limits, multiple and minimum.
    order: Signal,
}

impl OrderUpTo {
    pub fn new(settings: &PlannedStockSettings, order: &Signal) -> Self {
        Self { position: settings.position.clone(), order: order.clone() }
    }

    /// Replaces the order-up-to levels in `levels`, `[rows]`, with the corresponding orders at the current frame of
    /// `window`.
    pub fn order(&self, window: &Window, registers: &mut Registers, position: &mut Vec<f64>, levels: &mut [f64]) {
        position.resize(window.rows(), 0.0);
        self.position.eval(window, registers, position);
        for (level, position) in levels.iter_mut().zip(position.iter()) {
            *level = self.order.hard.clamp(covering_order(&self.order, *level - position));
        }
    }
}
