//! The state from which a plan starts.

use crate::rng::Key;
use crate::trajectory::Window;

/// The state from which a plan starts, for one particle.
pub(super) struct PlanStart<'a> {
    pub window: &'a Window,
    /// The particle's row of the window.
    pub row: usize,
    /// (signal, values at the next steps): `[signals][horizon]`.
    pub forecasts: &'a [(usize, Vec<f64>)],
    /// (signal, value): inputs without a forecast, held constant.
    pub held_inputs: Vec<(usize, f64)>,
    /// Current values of the planned controls.
    pub previous: Vec<f64>,
    /// Number of steps for which each planned control has been on, or off.
    pub since: Vec<usize>,
    /// Estimate of the disturbance observer, `[targets]`; empty until there is one.
    pub bias: Vec<f64>,
    pub key: Key,
    /// Whether to re-score the plan in held-out futures.
    pub rescore: bool,
    /// Whether the current state is inside the support of the model.
    pub inside_support: bool,
}
