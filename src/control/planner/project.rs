//! Projection of a sequence of moves onto the feasible set.

use super::constraints::ControlConstraints;
use super::forbidden::Forbidden;
use super::problem::{Problem, TotalLimit};
use crate::schema::Bounds;

/// Changes `sequence`, `[moves * controls]`, to satisfy the constraints of each control
/// ([`super::ControlConstraints`]) and the limits on totals.
///
/// First, each move, in chronological order, is set to the allowed value nearest to its target.
/// Then, a control whose total is too large is shifted towards its lower bound, and a control whose
/// total is too small is shifted towards its upper bound. The shift is only as large as necessary
/// to satisfy the limit. If the limit cannot be satisfied, every move is shifted towards the bound
/// as far as the constraints allow. Forbidden moves take precedence over all other limits on
/// totals. The projection is idempotent.
pub fn project(problem: &Problem, sequence: &mut [f64]) {
    let forbidden: Vec<Option<Forbidden>> = (0..problem.controls()).map(|c| Forbidden::new(problem, c)).collect();
    for (c, forbidden) in forbidden.iter().enumerate() {
        project_control(problem, c, forbidden.as_ref(), sequence, |_, v| v);
    }
    for total in &problem.totals {
        let sum = total.sum(problem, sequence);
        if !total.bounds.contains(sum) {
            enforce_total(problem, total, forbidden[total.control].as_ref(), sequence, sum);
        }
    }
}

/// Sets the value v of control `c` in each move k to the allowed value nearest to `target(k, v)`.
fn project_control(
    problem: &Problem,
    c: usize,
    forbidden: Option<&Forbidden>,
    sequence: &mut [f64],
    target: impl Fn(usize, f64) -> f64,
) {
    let (constraints, controls) = (&problem.constraints[c], problem.controls());
    let (mut last, mut since) = (problem.previous[c], problem.since[c]);
    for (k, (value, steps)) in sequence.iter_mut().skip(c).step_by(controls).zip(&problem.steps).enumerate() {
        let high = forbidden.map_or(constraints.bounds.high, |f| f.highest(constraints, k, last));
        let bounds = Bounds { high, ..constraints.bounds };
        *value = ControlConstraints { bounds, ..*constraints }.nearest(last, since, target(k, *value));
        since = constraints.since(last, since, *value, *steps);
        last = *value;
    }
}

/// Shifts the moves that contribute to a total towards one of the bounds of the control, only as
/// far as necessary to satisfy the limit. Moves in another period, to which another limit can
/// apply, are not shifted.
fn enforce_total(problem: &Problem, total: &TotalLimit, forbidden: Option<&Forbidden>, sequence: &mut [f64], sum: f64) {
    let bounds = problem.finite_bounds(total.control);
    let too_large = sum > total.bounds.high;
    let end = if too_large { bounds.low } else { bounds.high };
    let targets = sequence.to_vec();
    let mut attempt = |share: f64| {
        sequence.copy_from_slice(&targets);
        let counts = |k: usize| total.steps[k] > 0;
        let target = |k: usize, v: f64| if counts(k) { v + share * (end - v) } else { v };
        project_control(problem, total.control, forbidden, sequence, target);
        total.sum(problem, sequence)
    };
    let satisfied = |sum: f64| if too_large { sum <= total.bounds.high } else { sum >= total.bounds.low };
    // The fraction is found by bisection to a precision of 2⁻³⁰.
    let (mut less, mut more) = (0.0, 1.0);
    for _ in 0..30 {
        let share = 0.5 * (less + more);
        if satisfied(attempt(share)) { more = share } else { less = share }
    }
    attempt(more);
    let multiple = problem.constraints[total.control].multiple;
    if multiple <= 0.0 || sum <= total.bounds.high {
        return;
    }
    // Because all moves are shifted by the same fraction of their distance to the bound, rounding to multiples of
    // `multiple` may lower more moves than necessary. The following loop visits the moves in chronological order, and
    // raises each move by `multiple` if the raised move does not exceed its target and the total stays within its
    // limit.
    let moves = (total.control..sequence.len()).step_by(problem.controls()).zip(&total.steps);
    for i in moves.filter(|(_, steps)| **steps > 0).map(|(i, _)| i) {
        let before = sequence.to_vec();
        sequence[i] += multiple;
        project_control(problem, total.control, forbidden, sequence, |_, v| v);
        if sequence[i] > targets[i] || total.sum(problem, sequence) > total.bounds.high {
            sequence.copy_from_slice(&before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::problem::CostFunction;
    use super::*;
    use crate::rng::Key;
    use crate::schema::{MoveLimit, Switching};

    /// Projects moves of two steps each, which start from 0.
    fn projected(constraints: ControlConstraints, totals: &[TotalLimit], targets: &[f64]) -> Vec<f64> {
        let mut none = |_: &[Vec<f64>], _: &mut Vec<f64>| {};
        let cost_function: &mut dyn CostFunction = &mut none;
        let problem = Problem {
            moves: targets.len(),
            steps: vec![2; targets.len()],
            constraints: vec![constraints],
            totals: totals.to_vec(),
            previous: vec![0.0],
            since: vec![9],
            scale: vec![1.0],
            cost_function,
            key: Key::new(1),
            out_of_time: &|| false,
        };
        let mut once = targets.to_vec();
        project(&problem, &mut once);
        let mut twice = once.clone();
        project(&problem, &mut twice);
        assert_eq!(once, twice);
        once
    }

    fn total(low: f64, high: f64, steps: &[usize]) -> TotalLimit {
        TotalLimit { control: 0, bounds: Bounds { low, high }, steps: steps.to_vec() }
    }

    #[test]
    fn totals_are_within_their_limits() {
        let bounds = Bounds { low: 0.0, high: 10.0 };
        let free = ControlConstraints { bounds, ..ControlConstraints::UNCONSTRAINED };
        let at_most = |high| [total(f64::NEG_INFINITY, high, &[2; 3])];
        let at_least = |low, high| [total(low, high, &[2; 3])];
        let sum = |u: &[f64]| 2.0 * u.iter().sum::<f64>();
        let u = projected(free, &at_most(24.0), &[4.0, 8.0, 12.0]);
        assert!((sum(&u) - 24.0).abs() < 1e-6 && sum(&u) <= 24.0 && (u[1] / u[0] - 2.0).abs() < 1e-6, "{u:?}");
        let u = projected(ControlConstraints { multiple: 3.0, ..free }, &at_most(24.0), &[4.0, 8.0, 12.0]);
        assert!(sum(&u) <= 24.0 && sum(&u) > 18.0 && u.iter().all(|v| v % 3.0 == 0.0), "{u:?}");
        let u = projected(free, &at_least(30.0, f64::INFINITY), &[4.0, 0.0, 1.0]);
        assert!((sum(&u) - 30.0).abs() < 1e-6, "{u:?}");
        // The limit cannot be satisfied, so the control is set to its bound.
        assert_eq!(projected(free, &at_least(90.0, 99.0), &[4.0, 0.0, 1.0]), [10.0; 3]);
        let slow = ControlConstraints { max_move: MoveLimit { down: 1.0, up: 3.0 }, ..free };
        assert_eq!(projected(slow, &[], &[9.0, 9.0, 0.0]), [3.0, 6.0, 5.0]);
    }

    #[test]
    fn a_limit_on_one_period_does_not_reduce_the_total_of_another() {
        let free = ControlConstraints { bounds: Bounds { low: 0.0, high: 10.0 }, ..ControlConstraints::UNCONSTRAINED };
        let night = total(30.0, f64::INFINITY, &[2, 2, 0, 0]);
        let day = total(f64::NEG_INFINITY, 2.0, &[0, 0, 2, 2]);
        for totals in [[night.clone(), day.clone()], [day, night]] {
            let u = projected(free, &totals, &[5.0, 5.0, 5.0, 0.0]);
            let expected = [7.5, 7.5, 1.0, 0.0];
            assert!(u.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{u:?}");
        }
    }

    #[test]
    fn forbidden_moves_take_precedence_over_a_required_total() {
        let project_with = |constraints: ControlConstraints| {
            let mut none = |_: &[Vec<f64>], _: &mut Vec<f64>| {};
            let cost_function: &mut dyn CostFunction = &mut none;
            let limit = |low: f64, high: f64, steps: [usize; 5]| TotalLimit {
                control: 0,
                bounds: Bounds { low, high },
                steps: steps.to_vec(),
            };
            let problem = Problem {
                moves: 5,
                steps: vec![1; 5],
                constraints: vec![constraints],
                totals: vec![
                    limit(20.0, f64::INFINITY, [1, 1, 1, 0, 0]),
                    limit(f64::NEG_INFINITY, 0.0, [0, 0, 0, 1, 1]),
                ],
                previous: vec![0.0],
                since: vec![9],
                scale: vec![1.0],
                cost_function,
                key: Key::new(1),
                out_of_time: &|| false,
            };
            let mut u = [0.0, 0.0, 9.0, 9.0, 9.0];
            project(&problem, &mut u);
            u
        };
        let free = ControlConstraints { bounds: Bounds { low: 0.0, high: 10.0 }, ..ControlConstraints::UNCONSTRAINED };
        // The control must be at 3 before the forbidden moves, because it falls by at most 3 per step.
        let u = project_with(ControlConstraints { max_move: MoveLimit { down: 3.0, up: 10.0 }, ..free });
        assert!(u[2] <= 3.0 + 1e-9 && u[1] <= 6.0 + 1e-9 && u[3..] == [0.0, 0.0], "{u:?}");
        // A machine that runs for at least 2 steps is not started one step before the forbidden moves.
        let u = project_with(ControlConstraints { switching: Switching { least: 4.0, run: 2, stop: 1 }, ..free });
        assert!(u[3..] == [0.0, 0.0], "{u:?}");
        let short = Switching { least: 4.0, run: 4, stop: 1 };
        assert_eq!(project_with(ControlConstraints { switching: short, ..free }), [0.0; 5]);
    }

    #[test]
    fn minimum_on_and_off_times_are_respected() {
        let switching = Switching { least: 2.0, run: 4, stop: 4 };
        let machine = ControlConstraints {
            bounds: Bounds { low: 0.0, high: 10.0 },
            switching,
            ..ControlConstraints::UNCONSTRAINED
        };
        assert_eq!(projected(machine, &[], &[5.0, 0.0, 0.0, 5.0, 5.0]), [5.0, 2.0, 0.0, 0.0, 5.0]);
    }
}
