//! A controller that follows advice.

use crate::control::{Control, Controller, Observation};
use crate::error::Result;

/// A controller that makes the advised move first, and then follows the plan or a base-stock policy.
pub struct Follow<'m> {
    pub signals: Vec<usize>,
    /// The first move, `[signals]`.
    pub advised: Vec<f64>,
    /// The plan, `[steps][signals]`. After the end of the plan, the controls keep their last planned values.
    pub plan: Vec<Vec<f64>>,
    /// A base-stock policy that is followed instead of `plan`. Base-stock orders differ between simulated futures, so a
    /// single plan cannot represent them.
    pub base_stock: Option<&'m mut (dyn Controller + 'm)>,
    /// A control that keeps a fixed value, given as (index in `signals`, value).
    pub fixed: Option<(usize, f64)>,
}

impl<'m> Follow<'m> {
    /// Creates a controller that makes the move `advised` and has no further plan.
    pub fn once(signals: &[usize], advised: &[f64]) -> Self {
        Self { signals: signals.to_vec(), advised: advised.to_vec(), plan: Vec::new(), base_stock: None, fixed: None }
    }
}

impl Controller for Follow<'_> {
    fn signals(&self) -> &[usize] {
        &self.signals
    }

    fn depth(&self) -> usize {
        self.base_stock.as_ref().map_or(1, |b| b.depth())
    }

    fn act(&mut self, observation: &Observation, control: &mut Control) -> Result<()> {
        if let Some(base_stock) = &mut self.base_stock {
            base_stock.act(observation, control)?;
        }
        let moves = match observation.step {
            0 => Some(&self.advised),
            step => self.plan.get(step).or(self.plan.last()),
        };
        if let Some(moves) = moves {
            control.values.iter_mut().zip(moves).for_each(|(column, v)| column.fill(*v));
        }
        if let Some((index, value)) = self.fixed {
            control.values[index].fill(value);
        }
        Ok(())
    }
}
