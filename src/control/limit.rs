//! Limits of a control at one step.

use super::planner::ControlConstraints;
use crate::schema::{Bounds, Signal};
use crate::trajectory::{Frame, Window};

/// The value nearest to `wanted` that `signal` may take after `previous`: within the hard limits, at most `max_move`
/// away from `previous` (no limit if that is NaN), and a whole multiple. A control with `min_on` is either 0 or at
/// least `min_on`, and switches only after its minimum time on or off; it has been on or off for `since` steps.
///
/// If these rules contradict each other (the last value in the log is outside the hard limits, or between two multiples that
/// are further apart than a move), the hard limits take precedence, then the multiple, then the move.
pub fn limited(signal: &Signal, previous: f64, since: usize, wanted: f64) -> f64 {
    let hard = signal.hard;
    if wanted.is_nan() {
        return wanted;
    }
    if signal.switching.least > 0.0 {
        let Signal { max_move, multiple, switching, .. } = *signal;
        return hard.clamp(
            ControlConstraints { bounds: hard, max_move, multiple, switching }.nearest(previous, since, wanted),
        );
    }
    let reach = signal.max_move.reach(previous);
    let both = Bounds { low: hard.low.max(reach.low), high: hard.high.min(reach.high) };
    let value = if both.low <= both.high { both.clamp(wanted) } else { hard.clamp(previous) };
    if signal.multiple <= 0.0 || !value.is_finite() {
        return value;
    }
    let nearest = multiple_within(wanted, signal.multiple, both)
        .or_else(|| multiple_within(value, signal.multiple, hard))
        .unwrap_or(value);
    hard.clamp(nearest)
}

/// Number of steps for which `signal` has been on, or off, before the current frame of the window. If the window does
/// not reach back to the last switch, it is the longest minimum time.
pub fn since(signal: &Signal, column: usize, window: &Window, row: usize) -> usize {
    let switching = signal.switching;
    let known = |lag: usize| lag < window.depth() && window.column(column, lag)[row].is_finite();
    let on = |lag: usize| switching.is_on(window.column(column, lag)[row]);
    let memory = switching.memory();
    (1..=memory).find(|&lag| known(lag + 1) && on(lag + 1) != on(1)).unwrap_or(memory)
}

/// The multiple of `step` nearest to `v` inside `range`.
fn multiple_within(v: f64, step: f64, range: Bounds) -> Option<f64> {
    // the tolerance keeps bounds that are multiples themselves
    let (low, high) = ((range.low / step - 1e-9).ceil(), (range.high / step + 1e-9).floor());
    (low <= high).then(|| (v / step).round().clamp(low, high) * step)
}

#[cfg(test)]
#[path = "../../tests/unit/control/limit.rs"]
mod tests;
