//! Defines the operations that every device implements.

use std::fmt::Debug;

use crate::error::Result;
use crate::kernel::{Evidence, GpFunctions, Inducing, Kernel, Points, Solve};
use crate::net::{Net, Tape};

/// A device. The result for a row does not depend on the values in the other rows, and repeated
/// calls with the same arguments give bitwise identical results.
///
/// # Errors
/// Every operation returns [`crate::Error::Failed`] if a slice has the wrong size, or if the device fails.
pub trait Backend: Send + Sync + Debug {
    /// Name of the device for messages, such as `cpu (2 threads)` or `cuda (NVIDIA H100)`.
    fn name(&self) -> String;

    /// Computes the `[n × m]` kernel matrix `out[i + j n] = k(a_i, b_j)` of the n points `a` and the m points `b`. O(n
    /// m d).
    fn kernel(&self, kernel: &Kernel, a: Points, b: Points, out: &mut [f64]) -> Result<()>;

    /// Overwrites the symmetric `[n × n]` matrix `a` with its lower Cholesky factor, with zeros above the diagonal.
    /// Only the lower triangle of `a` is read. Returns `false` if `a` is not positive definite, in which case the
    /// content of `a` is undefined. O(n³).
    fn cholesky(&self, a: &mut [f64], n: usize) -> Result<bool>;

    /// Solves a system with the lower Cholesky factor `l` `[n × n]`. The solution overwrites the right-hand sides `b`
    /// `[n × m]`. O(n² m).
    fn solve(&self, l: &[f64], n: usize, b: &mut [f64], which: Solve) -> Result<()>;

    /// Computes the log marginal likelihood of an exact GP with noise variance `noise`, and its gradient. Returns
    /// `None` if the kernel matrix plus noise is not positive definite. O(n³).
    fn evidence(&self, kernel: &Kernel, noise: f64, x: Points, y: &[f64]) -> Result<Option<Evidence>>;

    /// Fused GP prediction: `out[c rows + r] = Σ_i k(x_r, z_i) w[c n + i]` for each column c of weights. If `gp` has a
    /// precision P and `variance` is given, also computes `variance[r] = k(x_r, x_r) − k_rᵀ P k_r`. The cost per row is
    /// O(n (d + columns)) without the variance, and O(n²) with it.
    fn gp_predict(&self, gp: &GpFunctions, x: Points, out: &mut [f64], variance: Option<&mut [f64]>) -> Result<()>;

    /// Computes the variational bound of [`Inducing`] for the rows `x`, `y` and the inducing points `z`. For numerical
    /// stability, `jitter` · variance is added to the diagonal of K_uu. Returns `None` if a matrix to be factorised is
    /// not positive definite. O(n m²).
    #[allow(clippy::too_many_arguments, reason = "the function needs the model, its data and the gradient flag")]
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

    /// Batched forward pass, in which the network of each member is applied to the rows of that
    /// member. `x` is `[members][inputs][rows]`, and `out` is `[members][outputs][rows]`. Fills
    /// `tape` for [`Backend::backward`].
    fn forward(&self, net: &Net, x: &[f32], rows: usize, tape: &mut Tape, out: &mut [f32]) -> Result<()>;

    /// Batched backward pass, which uses the `tape` filled by the forward pass. `out_grad` is
    /// `[members][outputs][rows]`. Overwrites `weight_grad`, which has the layout of [`Net::weights`] (skipped if
    /// empty), and `x_grad`, which has the layout of `x` (skipped if `None`).
    #[allow(clippy::too_many_arguments, reason = "the function needs the network, its data and its gradients")]
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
