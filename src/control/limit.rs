//! Limits of a control at one step.

use super::planner::ControlConstraints;
use crate::schema::{Bounds, Signal};
use crate::trajectory::{Frame, Window};

/// Relative tolerance for rounding errors.
const ROUNDING: f64 = 1e-9;

/// Returns the value nearest to `wanted` that `signal` may take after `previous`. The value is within the hard limits,
/// differs from `previous` by at most `max_move` (unless `previous` is NaN), and is an integer multiple of `multiple`.
/// A control with `min_on` is either 0 or at least `min_on`. `since` is the number of steps since the control was
/// last switched on or off. No control is switched again before its minimum on-time or off-time has elapsed.
///
/// If the limits contradict each other, the hard limits take precedence. The multiple takes
/// precedence over the move limit if the control has no `min_on`; with `min_on`, the move limit
/// takes precedence. A contradiction occurs, for example, if the last logged value is outside the
/// hard limits, or if the nearest multiple is too far away to be reached in one move.
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

/// Returns the largest value, not above `most`, that the hard limits, the multiple and the minimum value of `signal`
/// allow. If there is no such value, returns the lower hard limit.
pub fn allowed_below(signal: &Signal, most: f64) -> f64 {
    let Signal { hard, multiple, switching, .. } = signal;
    let value = if *multiple > 0.0 { (most / multiple + ROUNDING).floor() * multiple } else { most };
    let value = if value < switching.least { value.min(0.0) } else { value };
    value.max(hard.low)
}

/// Returns the smallest order that covers the shortage `missing`: an integer multiple of the order's `multiple`, and at
/// least its `min_on`. If the hard limits do not allow an order that covers the shortage, returns the largest allowed
/// order. Without a shortage, the order is zero. The order is rounded up, because rounding to the
/// nearest multiple would leave small shortages uncovered forever.
pub fn covering_order(order: &Signal, missing: f64) -> f64 {
    let (multiple, least) = (order.multiple, order.switching.least);
    if missing.is_nan() {
        return missing;
    }
    // A shortage no larger than rounding errors requires no order.
    if missing <= ROUNDING * multiple.max(least) {
        return 0.0;
    }
    let wanted = missing.max(least);
    let rounded = if multiple > 0.0 { (wanted / multiple - ROUNDING).ceil() * multiple } else { wanted };
    if rounded <= order.hard.high || multiple <= 0.0 {
        return rounded.min(order.hard.high);
    }
    (order.hard.high / multiple + ROUNDING).floor() * multiple
}

/// Number of consecutive steps for which `signal` has been on, or off, before the current frame of the window. If the
/// window does not contain the last switch, returns the larger of the minimum on-time and the minimum off-time.
pub fn since(signal: &Signal, column: usize, window: &Window, row: usize) -> usize {
    let switching = signal.switching;
    let known = |lag: usize| lag < window.depth() && window.column(column, lag)[row].is_finite();
    let on = |lag: usize| switching.is_on(window.column(column, lag)[row]);
    let memory = switching.memory();
    (1..=memory).find(|&lag| known(lag + 1) && on(lag + 1) != on(1)).unwrap_or(memory)
}

/// Returns the multiple of `step` inside `range` that is nearest to `v`.
fn multiple_within(v: f64, step: f64, range: Bounds) -> Option<f64> {
    // The tolerance ensures that rounding errors do not exclude a bound that is itself a multiple.
    let (low, high) = ((range.low / step - ROUNDING).ceil(), (range.high / step + ROUNDING).floor());
    (low <= high).then(|| (v / step).round().clamp(low, high) * step)
}

#[cfg(test)]
#[path = "../../tests/unit/control/limit.rs"]
mod tests;
