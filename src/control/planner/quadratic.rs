//! Small quadratic programs: the step of the planners that know slopes.

use nalgebra::{Cholesky, DMatrix, DVector};

/// ½ xᵀ H x + gᵀ x, with H symmetric and positive definite.
#[derive(Debug, Clone)]
pub(super) struct Quadratic {
    pub hessian: DMatrix<f64>,
    pub gradient: DVector<f64>,
}

/// Σ slope · x ≤ bound, over the variables that it names.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub slopes: Vec<(usize, f64)>,
    pub bound: f64,
}

impl Row {
    pub fn dot(&self, x: &DVector<f64>) -> f64 {
        self.slopes.iter().map(|(i, s)| s * x[*i]).sum()
    }
}

/// A constraint in force: its row, H⁻¹ times its slopes, and its multiplier.
struct Active {
    row: usize,
    reach: DVector<f64>,
    multiplier: f64,
}

impl Quadratic {
    /// The least point that holds `rows`; none when the Hessian is not positive definite or not finite.
    ///
    /// Method: the dual active-set method of Goldfarb & Idnani (1983), from the free minimum towards feasibility, one
    /// violated row at a time. Rows that contradict those in force are left as they are.
    pub fn least(&self, rows: &[Row]) -> Option<DVector<f64>> {
        let factor = Cholesky::new(self.hessian.clone())?;
        let mut x = -factor.solve(&self.gradient);
        let mut active: Vec<Active> = Vec::new();
        let mut given_up = vec![false; rows.len()];
        for _ in 0..10 * (rows.len() + 1) {
            let Some(row) = most_violated(rows, &given_up, &x) else { break };
            if !enter(&factor, rows, row, &mut active, &mut x) {
                given_up[row] = true;
            }
        }
        x.iter().all(|v| v.is_finite()).then_some(x)
    }
}

fn most_violated(rows: &[Row], given_up: &[bool], x: &DVector<f64>) -> Option<usize> {
    let mut worst = None;
    let mut most = 0.0;
    for (i, row) in rows.iter().enumerate() {
        let size = row.slopes.iter().map(|s| s.1.abs()).fold(0.0, f64::max);
        let excess = row.dot(x) - row.bound;
        if size > 0.0 && !given_up[i] && excess > 1e-9 * (size + row.bound.abs()) && excess > most * size {
            (worst, most) = (Some(i), excess / size);
        }
    }
    worst
}

/// Moves `x` until row `new` holds, dropping rows in force whose multiplier would turn negative; false when no point
/// holds it together with the others.
fn enter(
    factor: &Cholesky<f64, nalgebra::Dyn>,
    rows: &[Row],
    new: usize,
    active: &mut Vec<Active>,
    x: &mut DVector<f64>,
) -> bool {
    let mut slopes = DVector::zeros(x.len());
    rows[new].slopes.iter().for_each(|(i, s)| slopes[*i] += s);
    let reach = factor.solve(&slopes);
    let own = rows[new].dot(&reach);
    let mut multiplier = 0.0;
    loop {
        let across = DVector::from_iterator(active.len(), active.iter().map(|a| rows[a.row].dot(&reach)));
        let between = DMatrix::from_fn(active.len(), active.len(), |i, j| rows[active[i].row].dot(&active[j].reach));
        let Some(shares) = Cholesky::new(between).map(|c| c.solve(&across)) else { return false };
        let mut direction = -reach.clone();
        active.iter().zip(shares.iter()).for_each(|(a, share)| direction.axpy(*share, &a.reach, 1.0));
        let slope = own - across.dot(&shares);
        let excess = rows[new].dot(x) - rows[new].bound;
        let full = if slope > 1e-10 * own { (excess / slope).max(0.0) } else { f64::INFINITY };
        let blocking = active
            .iter()
            .zip(shares.iter())
            .enumerate()
            .filter(|(_, (_, share))| **share > 1e-12)
            .map(|(i, (a, share))| (a.multiplier / share, i))
            .min_by(|a, b| a.0.total_cmp(&b.0));
        let length = blocking.map_or(full, |b| b.0.min(full));
        if !length.is_finite() {
            return false;
        }
        if full.is_finite() {
            x.axpy(length, &direction, 1.0);
        }
        active.iter_mut().zip(shares.iter()).for_each(|(a, share)| a.multiplier -= length * share);
        multiplier += length;
        match blocking {
            Some((at, drop)) if at < full => {
                active.remove(drop);
            }
            _ => {
                active.push(Active { row: new, reach, multiplier });
                return true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(q: &Quadratic, x: &DVector<f64>) -> f64 {
        0.5 * x.dot(&(&q.hessian * x)) + q.gradient.dot(x)
    }

    fn bounds(n: usize, low: f64, high: f64) -> Vec<Row> {
        let row = |i, slope, bound| Row { slopes: vec![(i, slope)], bound };
        (0..n).flat_map(|i| [row(i, 1.0, high), row(i, -1.0, -low)]).collect()
    }

    #[test]
    fn a_textbook_problem_has_its_solution() {
        // Least (x − 1)² + (y − 2.5)² with x − 2y ≥ −2, x + 2y ≤ 6, x − 2y ≤ 2, x, y ≥ 0: (1.4, 1.7).
        let q = Quadratic {
            hessian: DMatrix::from_diagonal_element(2, 2, 2.0),
            gradient: DVector::from_vec(vec![-2.0, -5.0]),
        };
        let row = |a: f64, b: f64, bound| Row { slopes: vec![(0, a), (1, b)], bound };
        let mut rows = vec![row(-1.0, 2.0, 2.0), row(1.0, 2.0, 6.0), row(1.0, -2.0, 2.0)];
        rows.extend(bounds(2, 0.0, f64::MAX));
        let x = q.least(&rows).unwrap();
        assert!((x[0] - 1.4).abs() < 1e-9 && (x[1] - 1.7).abs() < 1e-9, "{x}");
        assert_eq!(Quadratic { hessian: DMatrix::from_element(2, 2, 1.0), ..q }.least(&rows), None);
    }

    proptest! {
        /// No feasible point nearby is better, along any pair of coordinates.
        #[test]
        fn the_least_point_is_least(
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
                rows.push(Row { slopes: vec![(i, 1.0), (i - 1, -1.0)], bound: step });
                rows.push(Row { slopes: vec![(i, -1.0), (i - 1, 1.0)], bound: step });
            }
            let x = q.least(&rows).unwrap();
            let holds = |x: &DVector<f64>, slack: f64| rows.iter().all(|r| r.dot(x) <= r.bound + slack);
            prop_assert!(holds(&x, 1e-7));
            for i in 0..6 {
                for j in 0..6 {
                    for (di, dj) in [(1e-3, 0.0), (-1e-3, 0.0), (1e-3, 1e-3), (-1e-3, -1e-3), (1e-3, -1e-3)] {
                        let mut y = x.clone();
                        y[i] += di;
                        y[j] += dj;
                        prop_assert!(!holds(&y, 0.0) || value(&q, &y) >= value(&q, &x) - 1e-9);
                    }
                }
            }
        }
    }
}
