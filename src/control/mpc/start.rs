//! The state from which a plan starts.

use std::ops::Range;

use jiff::Timestamp;

use crate::rng::Key;
use crate::trajectory::Window;

/// The forecast of one signal.
#[derive(Debug, Clone, Default)]
pub(super) struct SignalForecast {
    pub signal: usize,
    /// `[horizon]`.
    pub values: Vec<f64>,
    /// Errors of the forecast that are added in each simulated future, `[futures][horizon]`. Empty if the forecast has
    /// no errors, or if plans have one future.
    pub errors: Vec<Vec<f64>>,
}

/// Initial conditions of a plan for one particle.
pub(super) struct PlanStart<'a> {
    pub window: &'a Window,
    /// Row of the particle in the window.
    pub row: usize,
    pub forecasts: &'a [SignalForecast],
    /// Times of the next steps if a gap of the log precedes one of these steps; otherwise empty.
    pub times: Vec<Timestamp>,
    /// Times of the past steps, beginning with the newest, if there is a gap of the log between
    /// these steps; otherwise empty.
    pub past_times: Vec<Timestamp>,
    /// Inputs without a forecast, which are held constant, as pairs (signal, value).
    pub held_inputs: Vec<(usize, f64)>,
    /// Current values of the planned controls.
    pub previous: Vec<f64>,
    /// Number of steps since each planned control was switched on or off.
    pub since: Vec<usize>,
    /// Estimate of the disturbance observer, `[targets]`; empty before the first estimate.
    pub bias: Vec<f64>,
    pub key: Key,
    /// Ensemble members that the plan may use.
    pub pool: Range<usize>,
    /// Whether the current state is inside the support of the model.
    pub inside_support: bool,
}
