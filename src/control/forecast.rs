//! What a controller is told about the future.

use std::sync::Arc;

use crate::spec::ForecastSpec;
use crate::trajectory::Trajectory;

/// Forecasts of every disturbance and set-point, made at each step from what was known then.
#[derive(Debug, Clone)]
pub struct Forecast {
    /// The realised signals of the run, preceded by `past` steps of history; 1 particle.
    pub realised: Arc<Trajectory>,
    /// Steps of history before step 0 of the run.
    pub past: usize,
    /// (signal, how it is forecast).
    pub signals: Vec<(usize, ForecastSpec)>,
}

impl Forecast {
    /// Values of forecast signal number `i` for steps `t + 1 ..= t + out.len()` of the run, made at step `t`.
    pub fn fill(&self, _i: usize, _t: usize, out: &mut [f64]) {
        out.fill(0.0);
    }
}
