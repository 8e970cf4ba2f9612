//! The state from which a plan starts.

use jiff::Timestamp;

use crate::rng::Key;
use crate::trajectory::Window;

/// Initial conditions of a plan for one particle.
pub(super) struct PlanStart<'a> {
    pub window: &'a Window,
    /// Row of the particle in the window.
    pub row: usize,
    /// Forecasts (signal, values at the next steps): `[signals][horizon]`.
    pub forecasts: &'a [(usize, Vec<f64>)],
    /// Times of the next steps if a gap of the log precedes one of them; otherwise empty.
    pub times: Vec<Timestamp>,
    /// Inputs without a forecast, and the constant values at which they are held: pairs (signal, value).
    pub held_inputs: Vec<(usize, f64)>,
    /// Current values of the planned controls.
    pub previous: Vec<f64>,
    /// Number of steps since each planned control was switched on or off.
    pub since: Vec<usize>,
    /// Estimate of the disturbance observer, `[targets]`; empty before the first estimate.
    pub bias: Vec<f64>,
    pub key: Key,
    /// Whether to re-score the plan in held-out futures.
    pub rescore: bool,
    /// Whether the current state is inside the support of the model.
    pub inside_support: bool,
}
