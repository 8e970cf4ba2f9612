//! Moves in which a control must stay at its lower bound because of a limit on its total, such as "never between 17:00 and
//! 20:00".
//!
//! A control that falls slowly, or that must stay on for some time, can satisfy such a limit only if the moves before the
//! forbidden ones take it into account.

use super::constraints::ControlConstraints;
use super::problem::Problem;

/// Relative tolerance for rounding errors.
const ROUNDING: f64 = 1e-9;

/// The forbidden moves of one control.
pub(super) struct Forbidden {
    /// Largest value at the end of each move from which the control can fall to its lower bound in time.
    highest: Vec<f64>,
    /// Number of steps from the start of each move to the next forbidden step; `None` if no forbidden step follows.
    ahead: Vec<Option<usize>>,
}

impl Forbidden {
    /// `None` if no move of control `c` is forbidden.
    pub fn new(problem: &Problem, c: usize) -> Option<Self> {
        let constraints = &problem.constraints[c];
        let (low, high) = (constraints.bounds.low, constraints.bounds.high);
        let mut forbidden = vec![false; problem.moves];
        for total in problem.totals.iter().filter(|t| t.control == c && t.bounds.high.is_finite() && low.is_finite()) {
            let least = low * total.steps.iter().sum::<usize>() as f64;
            if total.bounds.high <= least + ROUNDING * least.abs().max(1.0) {
                forbidden.iter_mut().zip(&total.steps).for_each(|(f, steps)| *f |= *steps > 0);
            }
        }
        if !forbidden.contains(&true) {
            return None;
        }
        // The move limit applies to a block of the shortest length.
        let shortest = problem.steps.iter().copied().min().unwrap_or(1).max(1);
        let fall = constraints.max_move.down / shortest as f64;
        let (mut highest, mut ahead) = (vec![high; problem.moves], vec![None; problem.moves]);
        let (mut most, mut distance) = (f64::INFINITY, None);
        for k in (0..problem.moves).rev() {
            distance = if forbidden[k] { Some(0) } else { distance.map(|d: usize| d + problem.steps[k]) };
            ahead[k] = distance;
            highest[k] = if forbidden[k] { low } else { high.min(most) };
            let steps = if forbidden[k] { 1 } else { problem.steps[k] };
            most = highest[k] + fall * steps as f64;
        }
        Some(Self { highest, ahead })
    }

    /// The largest value that a control may have in move `k` after the value `last`.
    pub fn highest(&self, constraints: &ControlConstraints, k: usize, last: f64) -> f64 {
        let switching = constraints.switching;
        let is_late = self.ahead[k].is_some_and(|ahead| ahead < switching.run);
        if is_late && switching.least > 0.0 && !switching.is_on(last) {
            return self.highest[k].min(0.0).max(constraints.bounds.low);
        }
        self.highest[k]
    }
}
