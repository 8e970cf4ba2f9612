//! The few coarse operations that cost time, behind one trait, so that a device is one file.
//!
//! Host slices in, host slices out. Matrices are column-major: a column, which is a signal or a feature over all rows,
//! is contiguous. [`Cpu`] is the reference; another device agrees with it within a stated tolerance.

mod cpu;
mod cuda;
mod curve;
mod fourier;
mod kernel;
mod net;
mod series;

use std::fmt::Debug;
use std::sync::Arc;

pub use cpu::Cpu;
pub use cuda::Cuda;
pub use curve::Curve;
pub use fourier::RandomFourierFeatures;
pub use kernel::{Evidence, Family, GpFunctions, Inducing, Kernel, Points};
pub use net::{Net, Tape};

use crate::error::Result;

/// The device that a model computes on.
pub type Compute = Arc<dyn Backend>;

/// The processor.
pub fn cpu() -> Compute {
    Arc::new(Cpu)
}

/// Which device to compute on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// A GPU where there is one that works, else the processor.
    #[default]
    Auto,
    Cpu,
    Cuda,
}

/// Opens a device.
///
/// # Errors
/// [`crate::error::Error::Usage`] when `Cuda` is asked for and cannot be: what is missing, and the help. `Auto` then
/// takes the processor and says nothing.
pub fn open(device: Device) -> Result<Compute> {
    match device {
        Device::Cpu => Ok(cpu()),
        Device::Cuda => Ok(Arc::new(Cuda::open()?)),
        Device::Auto => Ok(Cuda::open().map_or_else(|_| cpu(), |cuda| Arc::new(cuda))),
    }
}

/// What a factor is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Solve {
    /// L⁻¹ b.
    Forward,
    /// L⁻ᵀ b.
    Backward,
    /// (L Lᵀ)⁻¹ b.
    Both,
}

/// A device. A row's result does not depend on the other rows, and the same call gives the same bytes.
///
/// # Errors
/// Every operation: [`crate::error::Error::Internal`] when slices do not have the stated sizes or the device fails.
pub trait Backend: Send + Sync + Debug {
    /// What it is, for people: `cpu (2 threads)`, `cuda (NVIDIA H100)`.
    fn name(&self) -> String;

    /// `out[i + j n] = k(a_i, b_j)`: `[n × m]`, n points of `a` and m of `b`.
    fn kernel(&self, kernel: &Kernel, a: Points, b: Points, out: &mut [f64]) -> Result<()>;

    /// The lower Cholesky factor of the symmetric `[n × n]` matrix `a` (its lower triangle is read) in its place, zeros
    /// above. `false` when `a` is not positive definite; `a` is then of no use.
    fn cholesky(&self, a: &mut [f64], n: usize) -> Result<bool>;

    /// Solves with the factor `l` `[n × n]`, in the place of `b` `[n × m]`.
    fn solve(&self, l: &[f64], n: usize, b: &mut [f64], which: Solve) -> Result<()>;

    /// Log marginal likelihood of an exact GP with noise and its gradient; `None` when the kernel matrix with noise is
    /// not positive definite.
    fn evidence(&self, kernel: &Kernel, noise: f64, x: Points, y: &[f64]) -> Result<Option<Evidence>>;

    /// Fused GP prediction: `out[c rows + r] = Σ_i k(x_r, z_i) w[c n + i]` for every column c of weights, and, where
    /// the functions carry a precision P and `variance` is asked for, `k(x_r, x_r) − k_rᵀ P k_r` in `variance[r]`.
    fn gp_predict(&self, gp: &GpFunctions, x: Points, out: &mut [f64], variance: Option<&mut [f64]>) -> Result<()>;

    /// Derivatives of [`Backend::gp_predict`]: `out[k rows + r] = Σ_c cotangent[c rows + r] · ∂out_c/∂x_k` at row r. A
    /// device without its own takes the processor's.
    fn gp_vjp(&self, gp: &GpFunctions, x: Points, cotangent: &[f64], out: &mut [f64]) -> Result<()> {
        cpu::vjp(gp, x, cotangent, out)
    }

    /// The bound of [`Inducing`] for rows `x`, `y` and inducing points `z`, in O(n m²). `jitter` · variance is added to
    /// the diagonal of K_uu; `None` when a matrix is not positive definite. A device without its own takes the
    /// processor's.
    #[allow(clippy::too_many_arguments, reason = "a model, its data and what is asked")]
    fn gp_inducing(
        &self,
        kernel: &Kernel,
        noise: f64,
        jitter: f64,
        x: Points,
        y: &[f64],
        z: Points,
        gradient: bool,
    ) -> Result<Option<Inducing>> {
        cpu::inducing(kernel, noise, jitter, x, y, z, gradient)
    }

    /// Batched forward pass: every member's network over its own rows. `x`: `[members][inputs][rows]`; `out`:
    /// `[members][outputs][rows]`. `tape` keeps what [`Backend::backward`] needs.
    fn forward(&self, net: &Net, x: &[f32], rows: usize, tape: &mut Tape, out: &mut [f32]) -> Result<()>;

    /// Batched backward pass of the forward pass that filled `tape`. `out_grad`: `[members][outputs][rows]`. Overwrites
    /// `weight_grad` (as [`Net::weights`]; empty: not wanted) and, where given, `x_grad` (as `x`).
    #[allow(clippy::too_many_arguments, reason = "a pass, its data and where its gradients go")]
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
