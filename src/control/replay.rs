//! Replay of the logged controls.

use super::{Control, Controller, Observation};
use crate::error::Result;

/// A controller that sets no control, so that all controls are replayed from the log.
#[derive(Debug, Clone, Copy, Default)]
pub struct Replay;

impl Controller for Replay {
    fn signals(&self) -> &[usize] {
        &[]
    }

    fn act(&mut self, _: &Observation, _: &mut Control) -> Result<()> {
        Ok(())
    }
}
