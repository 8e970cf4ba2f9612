//! Order-up-to policies.

use super::{Context, Control, Controller, Observation};
use crate::config::{At, BaseStockLoop};
use crate::error::Result;
use crate::expr::{Program, Registers};

/// Base stock: order = max(0, S − position) in every step. With a reorder point s, the (s, S) policy: the same, but only
/// when position ≤ s (Arrow, Harris & Marschak 1951). S, s and the inventory position are expressions, all in the unit of
/// the order.
#[derive(Debug)]
pub struct BaseStock {
    signals: Vec<usize>,
    loops: Vec<Loop>,
    registers: Registers,
    position: Vec<f64>,
    reorder: Vec<f64>,
}

#[derive(Debug)]
struct Loop {
    position: Program,
    level: Program,
    reorder: Option<Program>,
}

impl BaseStock {
    pub(super) fn build(loops: &[At<BaseStockLoop>], context: &Context) -> Result<Self> {
        let mut signals = Vec::new();
        let mut built = Vec::new();
        for l in loops {
            let order = context.control(&l.order, &l.order.span)?;
            if signals.contains(&order) {
                let message = format!("two policies order `{}`", l.order.value);
                return Err(context.fault("duplicate-control", &l.order.span, message, "keep one policy per control"));
            }
            let unit = &context.schema.signals[order].unit;
            signals.push(order);
            built.push(Loop {
                position: context.program(&l.position, unit)?,
                level: context.program(&l.level, unit)?,
                reorder: l.reorder.as_ref().map(|r| context.program(r, unit)).transpose()?,
            });
        }
        let (position, reorder) = (Vec::new(), Vec::new());
        Ok(Self { signals, loops: built, registers: Registers::default(), position, reorder })
    }
}

impl Controller for BaseStock {
    fn signals(&self) -> &[usize] {
        &self.signals
    }

    fn depth(&self) -> usize {
        let programs = self.loops.iter().flat_map(|l| [Some(&l.position), Some(&l.level), l.reorder.as_ref()]);
        1 + programs.flatten().map(Program::depth).max().unwrap_or(0)
    }

    fn act(&mut self, observation: &Observation, control: &mut Control) -> Result<()> {
        let window = observation.window;
        for (l, order) in self.loops.iter().zip(&mut control.values) {
            self.position.resize(order.len(), 0.0);
            self.reorder.resize(order.len(), 0.0);
            l.position.eval(window, &mut self.registers, &mut self.position);
            l.level.eval(window, &mut self.registers, order);
            match &l.reorder {
                Some(reorder) => reorder.eval(window, &mut self.registers, &mut self.reorder),
                None => self.reorder.fill(f64::INFINITY),
            }
            for ((o, position), reorder) in order.iter_mut().zip(&self.position).zip(&self.reorder) {
                let missing = *o - position;
                *o = if missing.is_nan() || reorder.is_nan() {
                    f64::NAN
                } else if position <= reorder {
                    missing.max(0.0)
                } else {
                    0.0
                };
            }
        }
        Ok(())
    }
}
