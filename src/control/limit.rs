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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schema::{MoveLimit, Role, Switching};
    use crate::units::Unit;

    fn control(low: f64, high: f64, max_move: f64, multiple: f64) -> Signal {
        Signal {
            name: "u".into(),
            role: Role::Control,
            unit: Unit::one(),
            hard: Bounds { low, high },
            soft: Bounds::OPEN,
            max_move: MoveLimit::both(max_move),
            multiple,
            switching: Switching::NONE,
        }
    }

    #[test]
    fn contradicting_limits_have_a_precedence() {
        assert_eq!(limited(&control(0.0, 10.0, 1.0, 0.0), 5.0, 0, 9.0), 6.0);
        assert_eq!(limited(&control(0.0, 10.0, 1.0, 0.0), 20.0, 0, 9.0), 10.0);
        assert_eq!(limited(&control(0.0, 10.0, 4.0, 3.0), 0.0, 0, 4.4), 3.0);
        assert_eq!(limited(&control(0.0, 10.0, 1.0, 3.0), 4.5, 0, 9.0), 6.0);
        assert_eq!(limited(&control(1.0, 2.0, f64::INFINITY, 3.0), 1.0, 0, 9.0), 2.0);
        assert_eq!(limited(&control(0.0, 0.3, f64::INFINITY, 0.1), 0.0, 0, 9.0), 0.3);
        assert_eq!(limited(&control(0.0, 10.0, 1.0, 0.0), f64::NAN, 0, 9.0), 9.0);
        assert_eq!(limited(&control(0.0, 10.0, 1.0, 0.0), 5.0, 0, f64::INFINITY), 6.0);
    }

    #[test]
    fn minimum_times_on_and_off_are_kept() {
        let switching = Switching { least: 4.0, run: 3, stop: 2 };
        let signal = Signal { switching, ..control(0.0, 10.0, f64::INFINITY, 0.0) };
        assert_eq!([1.9, 2.1, 4.0, 7.0].map(|w| limited(&signal, 0.0, 2, w)), [0.0, 4.0, 4.0, 7.0]);
        assert_eq!(limited(&signal, 0.0, 1, 7.0), 0.0);
        assert_eq!((limited(&signal, 6.0, 2, 0.0), limited(&signal, 6.0, 3, 0.0)), (4.0, 0.0));
        let asymmetric = Signal { max_move: MoveLimit { down: 1.0, up: 4.0 }, ..signal };
        assert_eq!((limited(&asymmetric, 0.0, 9, 9.0), limited(&asymmetric, 6.0, 9, 0.0)), (4.0, 5.0));
    }

    proptest! {
        #[test]
        fn all_limits_are_kept_from_any_feasible_value(
            low in -50.0..0.0,
            width in 1.0..100.0,
            max_move in prop_oneof![0.1..20.0, Just(f64::INFINITY)],
            multiple in prop_oneof![Just(0.0), 0.1..5.0],
            start in -100.0..100.0,
            wanted in prop::collection::vec(-200.0..200.0, 30),
        ) {
            let signal = control(low, low + width, max_move, multiple);
            let mut previous = limited(&signal, f64::NAN, 0, start);
            let lots = |v: f64| multiple == 0.0 || (v / multiple - (v / multiple).round()).abs() < 1e-6;
            let reachable = lots(previous);
            for w in wanted {
                let v = limited(&signal, previous, 0, w);
                prop_assert!(signal.hard.contains(v));
                prop_assert!((v - previous).abs() <= max_move + 1e-9 || !reachable);
                prop_assert!(lots(v) || !reachable, "{v} is not a multiple of {multiple}");
                previous = v;
            }
        }
    }
}
