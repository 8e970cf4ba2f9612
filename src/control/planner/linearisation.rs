//! Local model of the cost and of the plant's limits around a sequence.

use nalgebra::{DMatrix, DVector};

use super::quadratic::Quadratic;

/// Gauss-Newton model of the cost around a sequence u, as a function of the change δ of its values, `[moves *
/// controls]`:
///
/// J(u + δ) ≈ cost + gradientᵀ δ + ½ ‖residuals + jacobian δ‖² − ½ ‖residuals‖²
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Linearisation {
    pub cost: f64,
    /// Gradient of the part of the cost that is not a sum of squares.
    pub gradient: Vec<f64>,
    /// Weighted residuals.
    pub residuals: Vec<f64>,
    /// `[moves * controls][residuals]`.
    pub jacobian: Vec<Vec<f64>>,
    /// Linearised limits on states, outputs and derived signals.
    pub limits: Vec<LinearisedLimit>,
}

/// A linearised limit: gradientᵀ δ ≤ slack. If the slack is negative, the sequence violates the limit.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearisedLimit {
    /// `[moves * controls]`.
    pub gradient: Vec<f64>,
    pub slack: f64,
    /// Rank of the limit, which is 0 for a hard limit. A lower rank means a higher priority.
    pub rank: u32,
}

impl Linearisation {
    /// Whether every array has the length required for sequences of length `n`, and every number is finite.
    pub(super) fn is_finite(&self, n: usize) -> bool {
        let finite = |v: &[f64]| v.iter().all(|v| v.is_finite());
        self.gradient.len() == n
            && self.jacobian.len() == n
            && self.jacobian.iter().all(|j| j.len() == self.residuals.len() && finite(j))
            && finite(&self.gradient)
            && finite(&self.residuals)
            && self.limits.iter().all(|l| l.gradient.len() == n && finite(&l.gradient) && !l.slack.is_nan())
    }

    /// Gradient of the whole cost: gradient + jacobianᵀ residuals.
    pub(super) fn full_gradient(&self) -> Vec<f64> {
        let squares = self.jacobian.iter().map(|j| j.iter().zip(&self.residuals).map(|(j, r)| j * r).sum::<f64>());
        self.gradient.iter().zip(squares).map(|(g, s)| g + s).collect()
    }

    /// The model without its constant term, as a function of δ / `scale`. Before scaling, the Hessian is jacobianᵀ
    /// jacobian.
    pub(super) fn quadratic(&self, scale: &[f64]) -> Quadratic {
        let n = scale.len();
        let mut hessian = DMatrix::zeros(n, n);
        for i in 0..n {
            for j in 0..=i {
                let product: f64 = self.jacobian[i].iter().zip(&self.jacobian[j]).map(|(a, b)| a * b).sum();
                hessian[(i, j)] = scale[i] * scale[j] * product;
                hessian[(j, i)] = hessian[(i, j)];
            }
        }
        let gradient = DVector::from_iterator(n, self.full_gradient().iter().zip(scale).map(|(g, s)| g * s));
        Quadratic { hessian, gradient }
    }
}
