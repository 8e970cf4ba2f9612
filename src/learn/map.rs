//! The deterministic one-step map of a plant over a window: known equations, derived signals, and a regressor for the rest.

use std::sync::Arc;

use super::model::{Particle, Regressor};
use crate::expr::{Program, Registers};
use crate::schema::Schema;
use crate::trajectory::Window;

/// What a regressor's output column means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Target {
    /// x(t+1) − x(t) of a state.
    Delta(usize),
    /// x(t+1) − known equation, of a state with `residual = true`.
    Residual(usize),
    /// y(t) of an output.
    Level(usize),
}

/// The columns that a regressor reads and writes.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Layout {
    /// (signal, lag) of each input column.
    pub inputs: Vec<(usize, usize)>,
    pub targets: Vec<Target>,
}

/// The known part of a twin.
#[derive(Debug, Clone, Default)]
pub struct Equations {
    /// Signals with a constant value.
    pub constants: Vec<(usize, f64)>,
    /// Derived signals that need only x, d and the past: known before the controls are.
    pub early: Vec<(usize, Program)>,
    /// Derived signals that need u or y.
    pub late: Vec<(usize, Program)>,
    /// Known next values of states; with `true`, a residual is learned on top.
    pub next: Vec<(usize, Program, bool)>,
}

/// Equations and a regressor over one schema.
#[derive(Debug, Clone)]
pub struct StepMap {
    pub schema: Arc<Schema>,
    pub equations: Equations,
    pub layout: Layout,
    pub regressor: Arc<dyn Regressor>,
}

/// Buffers of a [`StepMap`] for a batch size.
#[derive(Debug, Default)]
pub struct StepScratch {
    pub registers: Registers,
    /// Regressor outputs: `[targets][rows]`.
    pub out: Vec<Vec<f64>>,
}

impl StepMap {
    /// Frames that a step reads, the present one included.
    pub fn depth(&self) -> usize {
        1
    }

    /// Fills the constants and early derived signals of the current frame.
    pub fn observe(&self, _window: &mut Window, _scratch: &mut StepScratch) {}

    /// Completes the current frame (outputs, late derived signals), advances the window and writes the next states.
    /// `noise`: an additive term per target and particle, `[targets][particles]`.
    pub fn step(
        &self,
        _window: &mut Window,
        _particles: &[Particle],
        _noise: Option<&[Vec<f64>]>,
        _scratch: &mut StepScratch,
    ) {
    }
}
