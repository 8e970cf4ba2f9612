//! Controls that a plan moves through an order-up-to level.
//!
//! An open-loop plan of orders cannot react to what its futures bring, and so orders too early or too much. A plan of
//! levels can: in every future the order is what is missing up to the level (base-stock policies are what optimal
//! policies of such chains look like: Clark & Scarf 1960), and only the level is decided now.

use super::limits::ControlLimit;
use super::resolved::PlannedStockSettings;
use super::setup::Setup;
use crate::expr::{Program, Registers};
use crate::schema::{Bounds, MoveLimit, Switching};
use crate::trajectory::{Frame, Window};

/// The inventory position that the order of a planned control fills up to its level.
pub(super) struct Stock {
    position: Program,
    /// What the order may be.
    hard: Bounds,
    multiple: f64,
}

impl Setup<'_> {
    /// Makes the plan move the levels that `settings` describe instead of the orders.
    pub(super) fn plan_levels(&mut self, settings: &[PlannedStockSettings]) {
        for PlannedStockSettings { order, position, level } in settings {
            let Some(c) = self.controls.iter().position(|s| s == order) else { continue };
            self.depth = self.depth.max(position.depth() + 2);
            let ControlLimit { hard, allowed, scale } = &mut self.limits[c];
            self.stocks[c] = Some(Stock { position: position.clone(), hard: *hard, multiple: allowed.multiple });
            (*hard, allowed.bounds, *scale) = (*level, *level, 0.1 * (level.high - level.low));
            (allowed.max_move, allowed.switching) = (MoveLimit::both(f64::INFINITY), Switching::NONE);
        }
    }
}

impl Stock {
    /// Turns levels into orders at the current frame of `window`: `[rows]`.
    pub fn order(&self, window: &Window, registers: &mut Registers, position: &mut Vec<f64>, levels: &mut [f64]) {
        position.resize(window.rows(), 0.0);
        self.position.eval(window, registers, position);
        for (level, position) in levels.iter_mut().zip(position.iter()) {
            let missing = *level - position;
            let whole = if self.multiple > 0.0 { (missing / self.multiple).round() * self.multiple } else { missing };
            *level = self.hard.clamp(whole);
        }
    }
}
