//! The operations of a device.

use std::fmt::Debug;

use crate::error::Result;
use crate::kernel::{Evidence, GpFunctions, Inducing, Kernel, Points, Solve};
use crate::net::{Net, Tape};

/// A device. A row's result does not depend on the other rows, and the same call gives the same bytes.
///
/// # Errors
/// Every operation returns [`crate::Error::Failed`] if a slice has the wrong size or the device fails.
pub trait Backend: Send + Sync + Debug {
    /// Name of the device for messages: `cpu (2 threads)`, `cuda (NVIDIA H100)`.
    fn name(&self) -> String;

    /// Kernel matrix: `out[i + j n] = k(a_i, b_j)`, `[n × m]` for the n points `a` and the m points `b`. O(n m d).
    fn kernel(&self, kernel: &Kernel, a: Points, b: Points, out: &mut [f64]) -> Result<()>;

    /// Replaces the symmetric `[n × n]` matrix `a` by its lower Cholesky factor, with zeros above the diagonal. Reads only
    /// the lower triangle. Returns `false` if `a` is not positive definite; the content of `a` is then undefined. O(n³).
    fn cholesky(&self, a: &mut [f64], n: usize) -> Result<bool>;

    /// Solves with the lower factor `l` `[n × n]` in place: `b` is `[n × m]`. O(n² m).
    fn solve(&self, l: &[f64], n: usize, b: &mut [f64], which: Solve) -> Result<()>;

    /// Log marginal likelihood of an exact GP with noise variance `noise`, and its gradient. `None` if the kernel matrix
    /// with noise is not positive definite. O(n³).
    fn evidence(&self, kernel: &Kernel, noise: f64, x: Points, y: &[f64]) -> Result<Option<Evidence>>;

    /// Fused GP prediction: `out[c rows + r] = Σ_i k(x_r, z_i) w[c n + i]` for every column c of weights. If `gp` has a
    /// precision P and `variance` is given, also `variance[r] = k(x_r, x_r) − k_rᵀ P k_r`. O(n (d + columns)) per row,
    /// O(n²) with the variance.
    fn gp_predict(&self, gp: &GpFunctions, x: Points, out: &mut [f64], variance: Option<&mut [f64]>) -> Result<()>;

    /// Vector-Jacobian product of [`Backend::gp_predict`]:
    /// `out[k rows + r] = Σ_c cotangent[c rows + r] · ∂out_c/∂x_k` at row r. O(n (d + columns)) per row.
    fn gp_vjp(&self, gp: &GpFunctions, x: Points, cotangent: &[f64], out: &mut [f64]) -> Result<()>;

    /// Variational bound of [`Inducing`] for rows `x`, `y` and inducing points `z`. `jitter` · variance is added to the
    /// diagonal of K_uu. `None` if a matrix is not positive definite. O(n m²).
    #[allow(clippy::too_many_arguments, reason = "a model, its data and what to compute")]
    fn gp_inducing(
        &self,
        kernel: &Kernel,
        noise: f64,
        jitter: f64,
        x: Points,
        y: &[f64],
        z: Points,
        gradient: bool,
    ) -> Result<Option<Inducing>>;

    /// Batched forward pass, each member's network on its own rows. `x`: `[members][inputs][rows]`; `out`:
    /// `[members][outputs][rows]`. Fills `tape` for [`Backend::backward`].
    fn forward(&self, net: &Net, x: &[f32], rows: usize, tape: &mut Tape, out: &mut [f32]) -> Result<()>;

    /// Batched backward pass of the forward pass that filled `tape`. `out_grad`: `[members][outputs][rows]`. Overwrites
    /// `weight_grad` (layout of [`Net::weights`]; skipped if empty) and `x_grad` (layout of `x`; skipped if `None`).
    #[allow(clippy::too_many_arguments, reason = "a pass, its data and its gradients")]
    fn backward(
        &self,
        net: &Net,
        x: &[f32],
        rows: usize,
        tape: &mut Tape,
        out_grad: &[f32],
        weight_grad: &mut [f32],
        x_grad: Option<&mut [f32]>,
    ) -> Result<()>;
}
