//! What follows from advice: a controller that does as advised.

use crate::control::{Control, Controller, Observation};
use crate::error::Result;

/// The advised move, and then the rest of the plan whatever comes, or whoever plans anew.
pub struct Follow<'m> {
    pub signals: Vec<usize>,
    /// `[signals]`.
    pub advised: Vec<f64>,
    /// `[steps][signals]`.
    pub wishes: Vec<Vec<f64>>,
    /// A plan of levels is no list of moves: each future has its own orders.
    pub levels: Option<&'m mut (dyn Controller + 'm)>,
    /// One of `signals`, by its number, that stays at a value all the same.
    pub stays: Option<(usize, f64)>,
}

impl<'m> Follow<'m> {
    pub fn once(signals: &[usize], advised: &[f64]) -> Self {
        Self { signals: signals.to_vec(), advised: advised.to_vec(), wishes: Vec::new(), levels: None, stays: None }
    }
}

impl Controller for Follow<'_> {
    fn signals(&self) -> &[usize] {
        &self.signals
    }

    fn depth(&self) -> usize {
        self.levels.as_ref().map_or(1, |l| l.depth())
    }

    fn act(&mut self, observation: &Observation, control: &mut Control) -> Result<()> {
        if let Some(levels) = &mut self.levels {
            levels.act(observation, control)?;
        }
        let wish = match observation.step {
            0 => Some(&self.advised),
            step => self.wishes.get(step).or(self.wishes.last()),
        };
        if let Some(wish) = wish {
            control.values.iter_mut().zip(wish).for_each(|(column, v)| column.fill(*v));
        }
        if let Some((number, value)) = self.stays {
            control.values[number].fill(value);
        }
        Ok(())
    }
}
