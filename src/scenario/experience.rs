//! Comparison of the inputs of the model in a run with their values in the log.

use super::results::InputRange;
use crate::trajectory::Trajectory;
use crate::twin::{Dynamics, Twin};

/// The range of every input of the model in the training rows and in `run`.
pub fn inputs(twin: &Twin, run: &Trajectory) -> Vec<InputRange> {
    let range = |signal: usize| {
        let logged = twin.extremes(signal);
        let values = || run.columns[signal].iter().copied().filter(|v| v.is_finite());
        let known = values().count();
        if known == 0 || !logged.low.is_finite() || !logged.high.is_finite() {
            return None;
        }
        // A value that is outside the logged range only because of rounding is not counted as outside.
        let slack = 1e-9 * logged.low.abs().max(logged.high.abs());
        let outside = values().filter(|v| *v < logged.low - slack || *v > logged.high + slack).count();
        let declared = &run.schema.signals[signal];
        Some(InputRange {
            signal: declared.name.clone(),
            unit: declared.unit.text.clone(),
            role: declared.role,
            logged: [logged.low, logged.high],
            run: [values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max)],
            outside: outside as f64 / known as f64,
        })
    };
    twin.inputs().into_iter().filter_map(range).collect()
}
