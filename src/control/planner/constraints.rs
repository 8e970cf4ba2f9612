//! Constraints on the values of one control.

use crate::schema::{Bounds, MoveLimit, Switching};

/// Constraints on the sequence of values of one control.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ControlConstraints {
    /// Hard limits, usually narrowed to the logged range.
    pub bounds: Bounds,
    /// Largest change per move. The change of the first move is relative to the current value.
    pub max_move: MoveLimit,
    /// Values must be integer multiples of this number; 0 allows any value.
    pub multiple: f64,
    /// Minimum value while on, and minimum on-time and off-time in steps.
    pub switching: Switching,
}

impl ControlConstraints {
    #[cfg(test)]
    pub const UNCONSTRAINED: Self =
        Self { bounds: Bounds::OPEN, max_move: MoveLimit::NONE, multiple: 0.0, switching: Switching::NONE };

    /// Converts the limits on the change per step to limits on the change per move, where a move lasts `steps` steps.
    pub fn per_move(&self, steps: f64) -> Self {
        Self { max_move: self.max_move.times(steps), ..*self }
    }

    /// Returns the allowed value nearest to `target` for a move from `last`. `since` is the number of steps since the
    /// control was last switched on or off.
    ///
    /// If the constraints contradict each other, the move limit takes precedence. A control that starts outside its
    /// bounds, between two multiples, or between off and its minimum, moves to an allowed value as fast as the move
    /// limit permits. A target that is not finite is replaced by `last`.
    pub fn nearest(&self, last: f64, since: usize, target: f64) -> f64 {
        let target = self.bounds.clamp(if target.is_finite() { target } else { last });
        let reach = self.max_move.reach(last);
        let both = Bounds { low: self.bounds.low.max(reach.low), high: self.bounds.high.min(reach.high) };
        if self.switching.least > 0.0 {
            return self.nearest_switched(last, since, target, both).unwrap_or_else(|| reach.clamp(target));
        }
        if self.multiple <= 0.0 {
            return reach.clamp(target);
        }
        match self.nearest_multiple(target, both) {
            Some(value) => value,
            None => reach.clamp(self.nearest_multiple(target, self.bounds).unwrap_or(target)),
        }
    }

    /// Number of steps since the control was last switched on or off, counted after the control has moved from `last`
    /// to `value` and stayed there for `steps` steps.
    pub fn since(&self, last: f64, since: usize, value: f64, steps: usize) -> usize {
        let switched = self.switching.is_on(value) != self.switching.is_on(last);
        if switched { steps } else { since.saturating_add(steps) }
    }

    /// Returns the allowed value nearest to `target`: zero, or a value of at least the minimum.
    /// Returns `None` if no value is allowed.
    fn nearest_switched(&self, last: f64, since: usize, target: f64, both: Bounds) -> Option<f64> {
        let Switching { least, run, stop } = self.switching;
        let was_on = self.switching.is_on(last);
        let must_stay = last.is_finite() && since < if was_on { run } else { stop };
        let off = both.contains(0.0) && !(must_stay && was_on);
        let range = Bounds { low: both.low.max(least), high: both.high };
        let on = if must_stay && !was_on { None } else { self.nearest_multiple(target, range) };
        match on {
            Some(on) if !off || (on - target).abs() < target.abs() => Some(on),
            _ => off.then_some(0.0),
        }
    }

    /// The value in `range` that is nearest to `target`, or the nearest multiple of `self.multiple` if only multiples
    /// are allowed; `None` if `range` contains no such value.
    fn nearest_multiple(&self, target: f64, range: Bounds) -> Option<f64> {
        if self.multiple <= 0.0 {
            return (range.low <= range.high).then(|| range.clamp(target));
        }
        // A bound that is itself a multiple must not be excluded because of a rounding error.
        let slack = 1e-9;
        let (first, last) = ((range.low / self.multiple - slack).ceil(), (range.high / self.multiple + slack).floor());
        (first <= last).then(|| (target / self.multiple).round().max(first).min(last) * self.multiple)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(high: f64, max_move: f64, multiple: f64) -> ControlConstraints {
        ControlConstraints {
            bounds: Bounds { low: 0.0, high },
            max_move: MoveLimit::both(max_move),
            multiple,
            ..ControlConstraints::UNCONSTRAINED
        }
    }

    #[test]
    fn the_move_limit_takes_precedence_over_bounds_and_multiples() {
        let inf = f64::INFINITY;
        assert_eq!(control(10.0, 1.0, 0.0).nearest(5.0, 0, 9.0), 6.0);
        assert_eq!(control(10.0, 1.0, 0.0).nearest(20.0, 0, 9.0), 19.0);
        assert_eq!(control(10.0, inf, 0.0).nearest(20.0, 0, 12.0), 10.0);
        // The target is 9. From 4, one move can reach only one multiple of 3, which is 3. From 4.5, no multiple can be
        // reached in one move, so the control moves as far as possible towards 9.
        assert_eq!(control(10.0, 1.0, 3.0).nearest(4.0, 0, 9.0), 3.0);
        assert_eq!(control(10.0, 1.0, 3.0).nearest(4.5, 0, 9.0), 5.5);
        assert_eq!(control(10.0, 4.0, 3.0).nearest(0.0, 0, 4.6), 3.0);
        assert_eq!(control(10.0, 1.0, 3.0).nearest(3.0, 0, 9.0), 3.0);
        assert_eq!(control(0.3, inf, 0.1).nearest(0.0, 0, 9.0), 0.1 * 3.0);
        assert_eq!(control(10.0, 1.0, 0.0).nearest(5.0, 0, f64::NAN), 5.0);
        assert_eq!(control(10.0, 1.0, 0.0).nearest(f64::NAN, 0, 7.0), 7.0);
        assert_eq!(
            ControlConstraints { bounds: Bounds { low: 4.0, high: 4.0 }, ..ControlConstraints::UNCONSTRAINED }
                .nearest(4.0, 0, 7.0),
            4.0
        );
    }

    #[test]
    fn a_switched_control_is_off_or_above_its_minimum() {
        let machine =
            ControlConstraints { switching: Switching { least: 4.0, run: 3, stop: 2 }, ..control(10.0, 5.0, 3.0) };
        // The multiples above the minimum are 6 and 9, which cannot be reached from 0 by one move of at most 5.
        assert_eq!([0.0, 2.9, 4.5, 9.0].map(|t| machine.nearest(0.0, 9, t)), [0.0; 4]);
        let quick = ControlConstraints { max_move: MoveLimit { down: 6.0, up: 9.0 }, ..machine };
        assert_eq!([0.0, 2.9, 3.1, 9.0].map(|t| quick.nearest(0.0, 9, t)), [0.0, 0.0, 6.0, 9.0]);
        assert_eq!([1, 2].map(|since| quick.nearest(0.0, since, 9.0)), [0.0, 9.0]);
        assert_eq!([2, 3].map(|since| quick.nearest(6.0, since, 0.0)), [6.0, 0.0]);
        assert_eq!(quick.nearest(9.0, 9, 0.0), 6.0);
    }
}
