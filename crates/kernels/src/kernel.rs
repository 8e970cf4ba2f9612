//! Covariance functions, and the inputs and results of operations on Gaussian processes.

use serde::{Deserialize, Serialize};

/// Points stored as `[d][n]`, so that the values of each coordinate are contiguous.
#[derive(Debug, Clone, Copy)]
pub struct Points<'a> {
    pub values: &'a [f64],
    /// Number of points.
    pub n: usize,
}

impl Points<'_> {
    /// Number of coordinates of a point.
    pub fn dimensions(&self) -> usize {
        self.values.len().checked_div(self.n).unwrap_or(0)
    }
}

/// Family of covariance functions g(r), where r is the scaled distance (Rasmussen & Williams 2006, ch. 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    /// exp(−r²/2).
    SquaredExponential,
    /// (1 + √5 r + 5 r²/3) exp(−√5 r).
    Matern52,
}

/// Stationary covariance k(a, b) = variance · g(r) with r² = Σ_k ((a_k − b_k) / lengths_k)². There is one length-scale
/// per coordinate (automatic relevance determination).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kernel {
    pub family: Family,
    pub variance: f64,
    /// Length-scales `[d]`, in the units of the coordinates.
    pub lengths: Vec<f64>,
}

/// What [`crate::Backend::solve`] computes from a Cholesky factor L and the right-hand sides b.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Solve {
    /// L⁻¹ b.
    Forward,
    /// L⁻ᵀ b.
    Backward,
    /// (L Lᵀ)⁻¹ b.
    Both,
}

/// Log marginal likelihood and its gradient.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    pub value: f64,
    /// Gradient `[d + 2]` with respect to ln lengths, ln variance and ln noise.
    pub gradient: Vec<f64>,
}

/// Functions computed from kernels centred at `n` points: linear combinations of the kernels (such as posterior means
/// and pathwise corrections), and the posterior variance.
#[derive(Debug, Clone, Copy)]
pub struct GpFunctions<'a> {
    pub kernel: &'a Kernel,
    pub points: Points<'a>,
    /// `[columns][n]`.
    pub weights: &'a [f64],
    /// The symmetric `[n × n]` matrix P in the posterior variance k(x, x) − k(x, Z) P k(Z, x). For an exact GP, P = (K
    /// + σ²I)⁻¹. For inducing points, P = K_uu⁻¹ − Σ⁻¹ with Σ = K_uu + σ⁻² K_uf K_fu.
    pub precision: Option<&'a [f64]>,
}

/// Results for a sparse GP with m inducing points: the collapsed evidence lower bound (Titsias 2009) and the optimal
/// posterior.
#[derive(Debug, Clone, PartialEq)]
pub struct Inducing {
    /// The bound.
    pub value: f64,
    /// Gradient with respect to ln lengths, ln variance and ln noise `[d + 2]`, followed by the inducing points
    /// `[d][m]`. The gradient is empty if it was not requested.
    pub gradient: Vec<f64>,
    /// Weights of the posterior mean, `[m]`.
    pub weights: Vec<f64>,
    /// The lower triangular factor L in K_uu = L Lᵀ, `[m × m]`.
    pub prior: Vec<f64>,
    /// The lower triangular factor M in I + σ⁻² L⁻¹ K_uf K_fu L⁻ᵀ = M Mᵀ, `[m × m]`.
    pub data: Vec<f64>,
}
