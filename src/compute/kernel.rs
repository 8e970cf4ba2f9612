//! Covariance functions and what a GP asks of a device.

use serde::{Deserialize, Serialize};

/// Points as the columns of a matrix: `[d][n]`, a coordinate contiguous over all points.
#[derive(Debug, Clone, Copy)]
pub struct Points<'a> {
    pub values: &'a [f64],
    /// Number of points.
    pub n: usize,
}

impl Points<'_> {
    /// Coordinates of a point.
    pub fn dimensions(&self) -> usize {
        self.values.len().checked_div(self.n).unwrap_or(0)
    }
}

/// How covariance falls with the scaled distance r (Rasmussen & Williams 2006, ch. 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    /// exp(−r²/2).
    SquaredExponential,
    /// (1 + √5 r + 5 r²/3) exp(−√5 r).
    Matern52,
}

/// Stationary covariance k(a, b) = variance · g(r), r² = Σ ((a_k − b_k) / lengths_k)²: one length-scale a coordinate (ARD).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kernel {
    pub family: Family,
    pub variance: f64,
    /// `[d]`, in the coordinates' units.
    pub lengths: Vec<f64>,
}

/// Log marginal likelihood and its gradient.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    pub value: f64,
    /// With respect to ln lengths, ln variance, ln noise: `[d + 2]`.
    pub gradient: Vec<f64>,
}

/// Functions in the span of kernels at `n` points: posterior means, pathwise corrections, and the posterior variance.
#[derive(Debug, Clone, Copy)]
pub struct GpFunctions<'a> {
    pub kernel: &'a Kernel,
    pub points: Points<'a>,
    /// `[columns][n]`.
    pub weights: &'a [f64],
    /// P of the posterior variance k(x, x) − k(x, Z) P k(Z, x): `[n × n]`, symmetric. Exact GP: (K + σ²I)⁻¹; inducing points:
    /// K_uu⁻¹ − Σ⁻¹.
    pub precision: Option<&'a [f64]>,
}

/// A GP seen through inducing points: the collapsed variational bound of its log marginal likelihood (Titsias 2009) and
/// the posterior that it stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct Inducing {
    pub value: f64,
    /// With respect to ln lengths, ln variance, ln noise `[d + 2]`, then the inducing points `[d][m]`; empty unless asked
    /// for.
    pub gradient: Vec<f64>,
    /// Of the posterior mean: `[m]`.
    pub weights: Vec<f64>,
    /// L with L Lᵀ = K_uu: `[m × m]`, lower.
    pub prior: Vec<f64>,
    /// M with M Mᵀ = I + σ⁻² L⁻¹ K_uf K_fu L⁻ᵀ: `[m × m]`, lower.
    pub data: Vec<f64>,
}
