//! Which values a control may take next.

use crate::schema::{Bounds, MoveLimit, Switching};

/// What the values of one control must hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Allowed {
    /// Hard limits, and what the log has seen.
    pub bounds: Bounds,
    /// Largest change per move; the first one counts from the value in force.
    pub max_move: MoveLimit,
    /// Whole multiples (0: any value).
    pub multiple: f64,
    /// Off at 0 or on, in steps.
    pub switching: Switching,
}

impl Allowed {
    /// Any value.
    pub const ANY: Self =
        Self { bounds: Bounds::OPEN, max_move: MoveLimit::NONE, multiple: 0.0, switching: Switching::NONE };

    /// The same with moves of `steps` steps.
    pub fn over(&self, steps: f64) -> Self {
        Self { max_move: self.max_move.times(steps), ..*self }
    }

    /// The allowed value nearest to `wish`, one move after `last`, which has been on or off for `since` steps.
    ///
    /// Where the limits contradict each other, the move limit holds: a control that starts outside its bounds, between
    /// two multiples, or neither off nor on, goes there at the pace it can. A wish that is not finite becomes `last`.
    pub fn next(&self, last: f64, since: usize, wish: f64) -> f64 {
        let wish = self.bounds.clamp(if wish.is_finite() { wish } else { last });
        let reach = self.max_move.reach(last);
        let both = Bounds { low: self.bounds.low.max(reach.low), high: self.bounds.high.min(reach.high) };
        if self.switching.least > 0.0 {
            return self.switched(last, since, wish, both).unwrap_or_else(|| reach.clamp(wish));
        }
        if self.multiple <= 0.0 {
            return reach.clamp(wish);
        }
        match self.whole(wish, both) {
            Some(value) => value,
            None => reach.clamp(self.whole(wish, self.bounds).unwrap_or(wish)),
        }
    }

    /// How long the control will have been on, or off, at the end of `steps` steps of `value` that follow `last`.
    pub fn since(&self, last: f64, since: usize, value: f64, steps: usize) -> usize {
        let switched = self.switching.is_on(value) != self.switching.is_on(last);
        if switched { steps } else { since.saturating_add(steps) }
    }

    /// 0, or a value that is large enough, whichever is allowed and nearer to `wish`.
    fn switched(&self, last: f64, since: usize, wish: f64, both: Bounds) -> Option<f64> {
        let Switching { least, run, stop } = self.switching;
        let was_on = self.switching.is_on(last);
        let stays = last.is_finite() && since < if was_on { run } else { stop };
        let off = both.contains(0.0) && !(stays && was_on);
        let range = Bounds { low: both.low.max(least), high: both.high };
        let on = if stays && !was_on { None } else { self.whole(wish, range) };
        match on {
            Some(on) if !off || (on - wish).abs() < wish.abs() => Some(on),
            _ => off.then_some(0.0),
        }
    }

    /// The value in `range` nearest to `wish`, a whole multiple where it must be one.
    fn whole(&self, wish: f64, range: Bounds) -> Option<f64> {
        if self.multiple <= 0.0 {
            return (range.low <= range.high).then(|| range.clamp(wish));
        }
        // A limit that is a whole multiple itself must not be lost to rounding.
        let slack = 1e-9;
        let (first, last) = ((range.low / self.multiple - slack).ceil(), (range.high / self.multiple + slack).floor());
        (first <= last).then(|| (wish / self.multiple).round().max(first).min(last) * self.multiple)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(high: f64, max_move: f64, multiple: f64) -> Allowed {
        Allowed { bounds: Bounds { low: 0.0, high }, max_move: MoveLimit::both(max_move), multiple, ..Allowed::ANY }
    }

    #[test]
    fn contradictions_are_left_at_the_pace_of_the_move_limit() {
        let inf = f64::INFINITY;
        assert_eq!(control(10.0, 1.0, 0.0).next(5.0, 0, 9.0), 6.0);
        assert_eq!(control(10.0, 1.0, 0.0).next(20.0, 0, 9.0), 19.0);
        assert_eq!(control(10.0, inf, 0.0).next(20.0, 0, 12.0), 10.0);
        // 3 is within reach of 4; nothing is within reach of 4.5, which moves on towards 9.
        assert_eq!(control(10.0, 1.0, 3.0).next(4.0, 0, 9.0), 3.0);
        assert_eq!(control(10.0, 1.0, 3.0).next(4.5, 0, 9.0), 5.5);
        assert_eq!(control(10.0, 4.0, 3.0).next(0.0, 0, 4.6), 3.0);
        assert_eq!(control(10.0, 1.0, 3.0).next(3.0, 0, 9.0), 3.0);
        assert_eq!(control(0.3, inf, 0.1).next(0.0, 0, 9.0), 0.1 * 3.0);
        assert_eq!(control(10.0, 1.0, 0.0).next(5.0, 0, f64::NAN), 5.0);
        assert_eq!(control(10.0, 1.0, 0.0).next(f64::NAN, 0, 7.0), 7.0);
        assert_eq!(Allowed { bounds: Bounds { low: 4.0, high: 4.0 }, ..Allowed::ANY }.next(4.0, 0, 7.0), 4.0);
    }

    #[test]
    fn off_or_large_enough() {
        let machine = Allowed { switching: Switching { least: 4.0, run: 3, stop: 2 }, ..control(10.0, 5.0, 3.0) };
        // 6 and 9 are the multiples that are on; moves are at most 5.
        assert_eq!([0.0, 2.9, 4.5, 9.0].map(|w| machine.next(0.0, 9, w)), [0.0; 4]);
        let quick = Allowed { max_move: MoveLimit { down: 6.0, up: 9.0 }, ..machine };
        assert_eq!([0.0, 2.9, 3.1, 9.0].map(|w| quick.next(0.0, 9, w)), [0.0, 0.0, 6.0, 9.0]);
        assert_eq!([1, 2].map(|since| quick.next(0.0, since, 9.0)), [0.0, 9.0]);
        assert_eq!([2, 3].map(|since| quick.next(6.0, since, 0.0)), [6.0, 0.0]);
        assert_eq!(quick.next(9.0, 9, 0.0), 6.0);
    }
}
