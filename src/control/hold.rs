//! Constant controls.

use indexmap::IndexMap;

use super::{Context, Control, Controller, Observation};
use crate::config::At;
use crate::error::Result;

/// u(t) = c for each named control (reached at the pace that its move limit allows).
#[derive(Debug, Clone)]
pub struct Hold {
    signals: Vec<usize>,
    values: Vec<f64>,
}

impl Hold {
    pub(super) fn build(held: &IndexMap<String, At<f64>>, context: &Context) -> Result<Self> {
        let mut signals = Vec::with_capacity(held.len());
        for (name, value) in held {
            signals.push(context.control(name, &value.span)?);
        }
        Ok(Self { signals, values: held.values().map(|v| v.value).collect() })
    }
}

impl Controller for Hold {
    fn signals(&self) -> &[usize] {
        &self.signals
    }

    fn act(&mut self, _: &Observation, control: &mut Control) -> Result<()> {
        for (column, value) in control.values.iter_mut().zip(&self.values) {
            column.fill(*value);
        }
        Ok(())
    }
}
