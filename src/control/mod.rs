//! Who moves the controls: simple controllers, and MPC with its planners.

pub mod forecast;
pub mod planner;

pub use forecast::Forecast;

use crate::error::Result;
use crate::trajectory::Window;

/// What a controller may know at a step: present and past, and forecasts; never the future.
#[derive(Clone, Copy)]
pub struct Observation<'a> {
    /// One row per particle; the current frame holds states, disturbances, set-points and early derived signals;
    /// its controls are the log's own.
    pub window: &'a Window,
    /// Step of the run.
    pub step: usize,
    pub forecast: &'a Forecast,
}

/// The controls of one step.
#[derive(Debug, Clone)]
pub struct Control {
    /// Schema columns that the controller moves.
    pub signals: Vec<usize>,
    /// `[signals][rows]`.
    pub values: Vec<Vec<f64>>,
}

impl Control {
    pub fn new(signals: Vec<usize>, rows: usize) -> Self {
        let values = vec![vec![0.0; rows]; signals.len()];
        Self { signals, values }
    }
}

/// A policy in the closed loop; one instance runs all particles of a case.
pub trait Controller: Send {
    /// Schema columns that it moves; the others are replayed from the log.
    fn signals(&self) -> &[usize];
    /// Writes its controls for the current step.
    fn act(&mut self, observation: &Observation, control: &mut Control) -> Result<()>;
}
