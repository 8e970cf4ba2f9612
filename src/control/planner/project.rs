//! The one place where a sequence of moves is made to hold its limits.

use super::{Problem, Total};

/// Makes `sequence`, `[moves * controls]`, feasible: what each control may take ([`super::Allowed`]), and totals.
///
/// Moves are taken in order, each to the allowed value nearest to the wished one. A control that takes too much in total
/// is then scaled back towards its low bound, one that takes too little up towards its high bound, by the least share
/// that does; where no share does, it goes all the way. Projecting twice changes nothing.
pub fn project(problem: &Problem, sequence: &mut [f64]) {
    for c in 0..problem.controls() {
        walk(problem, c, sequence, |wish| wish);
    }
    for total in &problem.totals {
        let taken = total.taken(problem, sequence);
        if !total.range.contains(taken) {
            scale(problem, total, sequence, taken);
        }
    }
}

/// Sets control `c` of each move to the allowed value nearest to what `wish` makes of it.
fn walk(problem: &Problem, c: usize, sequence: &mut [f64], wish: impl Fn(f64) -> f64) {
    let (allowed, controls) = (&problem.allowed[c], problem.controls());
    let (mut last, mut since) = (problem.previous[c], problem.since[c]);
    for (value, steps) in sequence.iter_mut().skip(c).step_by(controls).zip(&problem.steps) {
        *value = allowed.next(last, since, wish(*value));
        since = allowed.since(last, since, *value, *steps);
        last = *value;
    }
}

/// Moves a control's values towards the end of its bounds by the least share that brings the total into its range.
fn scale(problem: &Problem, total: &Total, sequence: &mut [f64], taken: f64) {
    let reach = problem.reach(total.control);
    let (end, low) = if taken > total.range.high { (reach.low, 0.0) } else { (reach.high, 1.0) };
    let given = sequence.to_vec();
    let mut attempt = |share: f64| {
        sequence.copy_from_slice(&given);
        walk(problem, total.control, sequence, |wish| wish + share * (end - wish));
        total.taken(problem, sequence)
    };
    let enough = |taken: f64| if low == 0.0 { taken <= total.range.high } else { taken >= total.range.low };
    let (mut less, mut more) = (0.0, 1.0);
    for _ in 0..30 {
        let share = 0.5 * (less + more);
        if enough(attempt(share)) { more = share } else { less = share }
    }
    attempt(more);
    let multiple = problem.allowed[total.control].multiple;
    if multiple <= 0.0 || taken <= total.range.high {
        return;
    }
    // One share for all moves may drop several multiples at once: what still fits is given back, the first move first.
    for i in (total.control..sequence.len()).step_by(problem.controls()) {
        let before = sequence.to_vec();
        sequence[i] += multiple;
        walk(problem, total.control, sequence, |wish| wish);
        if sequence[i] > given[i] || total.taken(problem, sequence) > total.range.high {
            sequence.copy_from_slice(&before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Allowed, Price};
    use super::*;
    use crate::rng::Key;
    use crate::schema::{Bounds, MoveLimit, Switching};

    fn projected(allowed: Allowed, total: Bounds, wish: &[f64]) -> Vec<f64> {
        let mut none = |_: &[Vec<f64>], _: &mut Vec<f64>| {};
        let price: &mut dyn Price = &mut none;
        let problem = Problem {
            moves: wish.len(),
            steps: vec![2; wish.len()],
            allowed: vec![allowed],
            totals: vec![Total { control: 0, range: total }],
            previous: vec![0.0],
            since: vec![9],
            scale: vec![1.0],
            price,
            key: Key::new(1),
            late: &|| false,
        };
        let mut once = wish.to_vec();
        project(&problem, &mut once);
        let mut twice = once.clone();
        project(&problem, &mut twice);
        assert_eq!(once, twice);
        once
    }

    #[test]
    fn totals_hold() {
        let bounds = Bounds { low: 0.0, high: 10.0 };
        let free = Allowed { bounds, ..Allowed::ANY };
        let most = |high| Bounds { low: f64::NEG_INFINITY, high };
        let sum = |u: &[f64]| 2.0 * u.iter().sum::<f64>();
        let u = projected(free, most(24.0), &[4.0, 8.0, 12.0]);
        assert!((sum(&u) - 24.0).abs() < 1e-6 && sum(&u) <= 24.0 && (u[1] / u[0] - 2.0).abs() < 1e-6, "{u:?}");
        let u = projected(Allowed { multiple: 3.0, ..free }, most(24.0), &[4.0, 8.0, 12.0]);
        assert!(sum(&u) <= 24.0 && sum(&u) > 18.0 && u.iter().all(|v| v % 3.0 == 0.0), "{u:?}");
        let u = projected(free, Bounds { low: 30.0, high: f64::INFINITY }, &[4.0, 0.0, 1.0]);
        assert!((sum(&u) - 30.0).abs() < 1e-6, "{u:?}");
        // All the way is not enough.
        assert_eq!(projected(free, Bounds { low: 90.0, high: 99.0 }, &[4.0, 0.0, 1.0]), [10.0; 3]);
        let slow = Allowed { max_move: MoveLimit { down: 1.0, up: 3.0 }, ..free };
        assert_eq!(projected(slow, Bounds::OPEN, &[9.0, 9.0, 0.0]), [3.0, 6.0, 5.0]);
    }

    #[test]
    fn minimum_run_times_hold() {
        let switching = Switching { least: 2.0, run: 4, stop: 4 };
        let machine = Allowed { bounds: Bounds { low: 0.0, high: 10.0 }, switching, ..Allowed::ANY };
        assert_eq!(projected(machine, Bounds::OPEN, &[5.0, 0.0, 0.0, 5.0, 5.0]), [5.0, 2.0, 0.0, 0.0, 5.0]);
    }
}
