//! Tests of `src/control/planner/quadratic.rs`.

use proptest::prelude::*;

use super::*;

fn value(q: &Quadratic, x: &DVector<f64>) -> f64 {
    0.5 * x.dot(&(&q.hessian * x)) + q.gradient.dot(x)
}

fn bounds(n: usize, low: f64, high: f64) -> Vec<Row> {
    let row = |i, coefficient, bound| Row { coefficients: vec![(i, coefficient)], bound };
    (0..n).flat_map(|i| [row(i, 1.0, high), row(i, -1.0, -low)]).collect()
}

#[test]
fn a_textbook_problem_is_solved() {
    // Minimise (x − 1)² + (y − 2.5)² subject to x − 2y ≥ −2, x + 2y ≤ 6, x − 2y ≤ 2, x ≥ 0 and y ≥ 0. The solution is
    // (1.4, 1.7).
    let q =
        Quadratic { hessian: DMatrix::from_diagonal_element(2, 2, 2.0), gradient: DVector::from_vec(vec![-2.0, -5.0]) };
    let row = |a: f64, b: f64, bound| Row { coefficients: vec![(0, a), (1, b)], bound };
    let mut rows = vec![row(-1.0, 2.0, 2.0), row(1.0, 2.0, 6.0), row(1.0, -2.0, 2.0)];
    rows.extend(bounds(2, 0.0, f64::MAX));
    let x = q.minimise(&rows).unwrap();
    assert!((x[0] - 1.4).abs() < 1e-9 && (x[1] - 1.7).abs() < 1e-9, "{x}");
    assert_eq!(Quadratic { hessian: DMatrix::from_element(2, 2, 1.0), ..q }.minimise(&rows), None);
}

proptest! {
    /// No feasible point that differs from the solution in one coordinate, or in two neighbouring coordinates, may be
    /// better.
    #[test]
    fn no_feasible_point_nearby_is_better(
        seed in prop::collection::vec(-1.0..1.0f64, 36),
        gradient in prop::collection::vec(-5.0..5.0f64, 6),
        step in 0.05..1.0f64,
    ) {
        let a = DMatrix::from_row_slice(6, 6, &seed);
        let q = Quadratic {
            hessian: &a * a.transpose() + DMatrix::from_diagonal_element(6, 6, 0.05),
            gradient: DVector::from_vec(gradient),
        };
        let mut rows = bounds(6, -1.0, 0.5);
        for i in 1..6 {
            rows.push(Row { coefficients: vec![(i, 1.0), (i - 1, -1.0)], bound: step });
            rows.push(Row { coefficients: vec![(i, -1.0), (i - 1, 1.0)], bound: step });
        }
        let x = q.minimise(&rows).unwrap();
        let feasible = |x: &DVector<f64>, slack: f64| rows.iter().all(|r| r.dot(x) <= r.bound + slack);
        prop_assert!(feasible(&x, 1e-7));
        for i in 0..6 {
            for j in 0..6 {
                for (di, dj) in [(1e-3, 0.0), (-1e-3, 0.0), (1e-3, 1e-3), (-1e-3, -1e-3), (1e-3, -1e-3)] {
                    let mut y = x.clone();
                    y[i] += di;
                    y[j] += dj;
                    prop_assert!(!feasible(&y, 0.0) || value(&q, &y) >= value(&q, &x) - 1e-9);
                }
            }
        }
    }
}
