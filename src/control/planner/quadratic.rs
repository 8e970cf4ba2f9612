//! Solver for small dense quadratic programs with the dual active-set method of Goldfarb & Idnani (1983).
//!
//! Gauss-Newton solves many quadratic programs per plan: one for each combination of damping factor and rank of the
//! violated limits. With a few dozen variables and few active constraints, the dual method needs only a few iterations.
//! The dual method starts from the unconstrained minimum, so it needs no feasible starting point. Constraints that
//! contradict the active constraints are omitted and do not cause a failure. The planner in `qp.rs` solves one
//! larger sparse program per iteration. The program in `qp.rs` has slack variables, so its Hessian may be singular,
//! which the dual method cannot handle. Therefore, `qp.rs` uses Clarabel.

use nalgebra::{Cholesky, DMatrix, DVector};

/// The function ½ xᵀ H x + gᵀ x with a symmetric, positive definite H.
#[derive(Debug, Clone)]
pub(super) struct Quadratic {
    pub hessian: DMatrix<f64>,
    pub gradient: DVector<f64>,
}

/// The constraint Σ coefficient · x ≤ bound, summed over the listed variables.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub coefficients: Vec<(usize, f64)>,
    pub bound: f64,
}

impl Row {
    pub fn dot(&self, x: &DVector<f64>) -> f64 {
        self.coefficients.iter().map(|(i, a)| a * x[*i]).sum()
    }
}

/// An active constraint: its row, H⁻¹ times its coefficients, and its multiplier.
struct Active {
    row: usize,
    direction: DVector<f64>,
    multiplier: f64,
}

impl Quadratic {
    /// Returns the minimiser subject to `rows`; `None` if the Hessian is not positive definite or not finite.
    ///
    /// The method starts from the unconstrained minimum and repeatedly makes the most violated row active until all
    /// rows are satisfied. Constraint rows that contradict the active rows are skipped and remain violated.
    pub fn minimise(&self, rows: &[Row]) -> Option<DVector<f64>> {
        let factor = Cholesky::new(self.hessian.clone())?;
        let mut x = -factor.solve(&self.gradient);
        let mut active: Vec<Active> = Vec::new();
        let mut infeasible = vec![false; rows.len()];
        for _ in 0..10 * (rows.len() + 1) {
            let Some(row) = most_violated(rows, &infeasible, &x) else { break };
            if !add_constraint(&factor, rows, row, &mut active, &mut x) {
                infeasible[row] = true;
            }
        }
        x.iter().all(|v| v.is_finite()).then_some(x)
    }
}

fn most_violated(rows: &[Row], infeasible: &[bool], x: &DVector<f64>) -> Option<usize> {
    let mut worst = None;
    let mut most = 0.0;
    for (i, row) in rows.iter().enumerate() {
        let size = row.coefficients.iter().map(|s| s.1.abs()).fold(0.0, f64::max);
        let excess = row.dot(x) - row.bound;
        if size > 0.0 && !infeasible[i] && excess > 1e-9 * (size + row.bound.abs()) && excess > most * size {
            (worst, most) = (Some(i), excess / size);
        }
    }
    worst
}

/// Moves `x` until it satisfies row `new`, dropping active rows whose multiplier would become negative. Returns false
/// if no point satisfies both `new` and the active constraints.
fn add_constraint(
    factor: &Cholesky<f64, nalgebra::Dyn>,
    rows: &[Row],
    new: usize,
    active: &mut Vec<Active>,
    x: &mut DVector<f64>,
) -> bool {
    let mut normal = DVector::zeros(x.len());
    rows[new].coefficients.iter().for_each(|(i, a)| normal[*i] += a);
    let unconstrained = factor.solve(&normal);
    let curvature = rows[new].dot(&unconstrained);
    let mut multiplier = 0.0;
    loop {
        let across = DVector::from_iterator(active.len(), active.iter().map(|a| rows[a.row].dot(&unconstrained)));
        let between =
            DMatrix::from_fn(active.len(), active.len(), |i, j| rows[active[i].row].dot(&active[j].direction));
        let Some(shares) = Cholesky::new(between).map(|c| c.solve(&across)) else { return false };
        let mut direction = -unconstrained.clone();
        active.iter().zip(shares.iter()).for_each(|(a, share)| direction.axpy(*share, &a.direction, 1.0));
        let slope = curvature - across.dot(&shares);
        let excess = rows[new].dot(x) - rows[new].bound;
        let full = if slope > 1e-10 * curvature { (excess / slope).max(0.0) } else { f64::INFINITY };
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
                active.push(Active { row: new, direction: unconstrained, multiplier });
                return true;
            }
        }
    }
}

#[cfg(test)]
#[path = "../../../tests/unit/control/planner/quadratic.rs"]
mod tests;
