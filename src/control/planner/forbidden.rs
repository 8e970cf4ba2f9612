//! Moves in which a control must stay at its lower bound because of a limit on its total, such as "never between 17:00 and
//! 20:00".
//!
//! A control that falls slowly, or that must stay on for some time, reaches its lower bound in time
//! only if the moves before the forbidden moves are also restricted.

use super::constraints::ControlConstraints;
use super::problem::{Problem, TotalLimit};

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
    /// Returns `None` if no move of control `c` is forbidden.
    pub fn new(problem: &Problem, c: usize) -> Option<Self> {
        let constraints = &problem.constraints[c];
        let (low, high) = (constraints.bounds.low, constraints.bounds.high);
        let forbids = |total: &&TotalLimit| {
            let least = low * total.steps.iter().sum::<usize>() as f64;
            total.control == c && low.is_finite() && total.bounds.high <= least + ROUNDING * least.abs().max(1.0)
        };
        let is_forbidden = |k: usize| problem.totals.iter().filter(forbids).any(|t| t.steps[k] > 0);
        // Planners project many candidates, and most problems have no forbidden moves.
        if !(0..problem.moves).any(is_forbidden) {
            return None;
        }
        let forbidden: Vec<bool> = (0..problem.moves).map(is_forbidden).collect();
        // The move limit per move is that of the shortest block. The last block is ignored, because the horizon may
        // truncate it.
        let per_move = constraints.max_move.down;
        let complete = problem.steps.len().saturating_sub(1).max(1);
        let shortest = problem.steps.iter().take(complete).copied().min().unwrap_or(1).max(1);
        let per_step = per_move / shortest as f64;
        let (mut highest, mut ahead) = (vec![high; problem.moves], vec![None; problem.moves]);
        let (mut most, mut distance) = (f64::INFINITY, None);
        for k in (0..problem.moves).rev() {
            distance = if forbidden[k] { Some(0) } else { distance.map(|d: usize| d + problem.steps[k]) };
            ahead[k] = distance;
            highest[k] = if forbidden[k] { low } else { high.min(most) };
            most = highest[k] + if forbidden[k] { per_step } else { per_move };
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

#[cfg(test)]
mod tests {
    use super::super::problem::CostFunction;
    use super::super::project::project;
    use super::*;
    use crate::rng::Key;
    use crate::schema::{Bounds, MoveLimit};

    /// The control falls by at most 1 per step, so by `shortest` per move. The last move is forbidden.
    #[test]
    fn a_slow_control_is_low_in_time_for_moves_of_any_length() {
        for (steps, shortest, expected) in [
            (vec![1, 1, 3, 5], 1.0, [3.0, 2.0, 1.0, 0.0]),
            (vec![3, 3, 3, 1], 3.0, [7.0, 4.0, 1.0, 0.0]),
            (vec![2, 2, 2, 2], 2.0, [5.0, 3.0, 1.0, 0.0]),
        ] {
            let mut none = |_: &[Vec<f64>], _: &mut Vec<f64>| {};
            let cost_function: &mut dyn CostFunction = &mut none;
            let bounds = Bounds { low: 0.0, high: 10.0 };
            let max_move = MoveLimit { down: shortest, up: 10.0 };
            let never = Bounds { low: f64::NEG_INFINITY, high: 0.0 };
            let problem = Problem {
                moves: 4,
                totals: vec![TotalLimit { control: 0, bounds: never, steps: vec![0, 0, 0, steps[3]] }],
                steps,
                constraints: vec![ControlConstraints { bounds, max_move, ..ControlConstraints::UNCONSTRAINED }],
                previous: vec![0.0],
                since: vec![9],
                scale: vec![1.0],
                cost_function,
                key: Key::new(1),
                out_of_time: &|| false,
            };
            let mut sequence = [9.0; 4];
            project(&problem, &mut sequence);
            assert_eq!(sequence, expected, "{:?}", problem.steps);
        }
    }
}
