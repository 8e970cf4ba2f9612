//! The one place where a sequence of moves is made to hold its limits.

use super::Problem;
use crate::schema::Range;

/// Makes `sequence`, `[moves * controls]`, feasible: within bounds, moves no larger than allowed, whole multiples.
///
/// Moves are taken in order, each to the feasible value nearest to the wished one. Where the limits contradict each
/// other, the move limit holds: a control that starts outside its bounds, or between two multiples, goes there at the
/// pace it can. A wish that is not finite becomes the value before it. Projecting twice changes nothing.
pub fn project(problem: &Problem, sequence: &mut [f64]) {
    let controls = problem.controls();
    for c in 0..controls {
        let (bounds, max_move, multiple) = (problem.bounds[c], problem.max_move[c], problem.multiple[c]);
        let mut last = problem.previous[c];
        for wish in sequence.iter_mut().skip(c).step_by(controls) {
            last = reach(bounds, max_move, multiple, last, *wish);
            *wish = last;
        }
    }
}

/// The feasible value nearest to `wish`, one move after `last`.
pub fn reach(bounds: Range, max_move: f64, multiple: f64, last: f64, wish: f64) -> f64 {
    let wish = bounds.clamp(if wish.is_finite() { wish } else { last });
    let limited = max_move.is_finite() && last.is_finite();
    let (low, high) = if limited { (last - max_move, last + max_move) } else { (f64::NEG_INFINITY, f64::INFINITY) };
    let near = wish.max(low).min(high);
    if multiple <= 0.0 {
        return near;
    }
    // A limit that is a whole multiple itself must not be lost to rounding.
    let slack = 1e-9;
    let whole = |low: f64, high: f64| {
        let (first, last) = ((low / multiple - slack).ceil(), (high / multiple + slack).floor());
        (first <= last).then(|| (wish / multiple).round().max(first).min(last) * multiple)
    };
    match whole(bounds.low.max(low), bounds.high.min(high)) {
        Some(value) => value,
        None => whole(bounds.low, bounds.high).unwrap_or(near).max(low).min(high),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Range = Range { low: 0.0, high: 10.0 };

    #[test]
    fn contradictions_are_left_at_the_pace_of_the_move_limit() {
        assert_eq!(reach(WIDE, 1.0, 0.0, 5.0, 9.0), 6.0);
        assert_eq!(reach(WIDE, 1.0, 0.0, 20.0, 9.0), 19.0);
        assert_eq!(reach(WIDE, f64::INFINITY, 0.0, 20.0, 12.0), 10.0);
        // 3 is within reach of 4; nothing is within reach of 4.5, which moves on towards 9.
        assert_eq!(reach(WIDE, 1.0, 3.0, 4.0, 9.0), 3.0);
        assert_eq!(reach(WIDE, 1.0, 3.0, 4.5, 9.0), 5.5);
        assert_eq!(reach(WIDE, 4.0, 3.0, 0.0, 4.6), 3.0);
        assert_eq!(reach(WIDE, 1.0, 3.0, 3.0, 9.0), 3.0);
        assert_eq!(reach(Range { low: 0.0, high: 0.3 }, f64::INFINITY, 0.1, 0.0, 9.0), 0.1 * 3.0);
        assert_eq!(reach(WIDE, 1.0, 0.0, 5.0, f64::NAN), 5.0);
        assert_eq!(reach(WIDE, 1.0, 0.0, f64::NAN, 7.0), 7.0);
        assert_eq!(reach(Range { low: 4.0, high: 4.0 }, f64::INFINITY, 0.0, 4.0, 7.0), 4.0);
    }
}
