//! The few coarse operations that cost time, behind one trait, so that a device is one file.
//!
//! Host slices in, host slices out. Matrices are column-major: a column, which is a signal or a feature over all rows,
//! is contiguous. [`Cpu`] is the reference; another device agrees with it within a stated tolerance.

mod cpu;
pub mod curve;
pub use curve as curve_pub;
mod kernel;
mod net;
mod rollout;

use std::fmt::Debug;
use std::sync::Arc;

pub use cpu::Cpu;
pub use curve::Curve;
pub use kernel::{Evidence, Family, GpFunctions, Kernel, Points};
pub use net::{Net, Tape};
pub use rollout::NetRollout;

use crate::error::Result;

/// The device that a model computes on.
pub type Compute = Arc<dyn Backend>;

/// The processor.
pub fn cpu() -> Compute {
    Arc::new(Cpu)
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

    /// Batched forward pass: every member's network over its own rows. `x`: `[members][inputs][rows]`; `out`:
    /// `[members][outputs][rows]`. `tape` keeps what [`Backend::backward`] needs.
    fn forward(&self, net: &Net, x: &[f32], rows: usize, tape: &mut Tape, out: &mut [f32]) -> Result<()>;

    /// Batched backward pass of the forward pass that filled `tape`. `out_grad`: `[members][outputs][rows]`. Overwrites
    /// `weight_grad` (as [`Net::weights`]; empty: not wanted) and, where given, `x_grad` (as `x`).
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

    /// Fused rollout of an ensemble, all steps in one call: see [`NetRollout`]. `states`: `[steps][targets][rows]`.
    fn rollout(&self, rollout: &NetRollout, states: &mut [f32]) -> Result<()>;
}
