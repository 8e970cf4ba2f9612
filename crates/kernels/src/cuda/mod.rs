//! The backend for NVIDIA GPUs, based on cuBLAS, cuSOLVER and a few custom kernels, which are all loaded at run time.
//!
//! Only this module contains `unsafe` code, which calls the driver and the CUDA libraries. The sizes of all arguments
//! are checked before each call. No CUDA library is linked, so the program also runs if a library is missing, and
//! [`Cuda::open`] reports what is missing.
#![allow(unsafe_code)]

mod absent;
mod dense;
mod device;
mod gp;
mod linear;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::backend::Backend;
use crate::cpu::Cpu;
use crate::error::{Error, Result};
use crate::kernel::{Evidence, GpFunctions, Inducing, Kernel, Points, Solve};
use crate::net::{Net, Tape};
use device::Device;

/// Sizes below which the CPU is used, because copying the data to the GPU would take longer than the computation.
/// Unless stated otherwise, the sizes are numbers of floating-point operations. The values are estimates for a PCIe GPU
/// in a machine with 16 CPU cores, and were not measured.
mod threshold {
    /// The size of a kernel matrix is given as a number of elements instead of operations, because the matrix is copied
    /// back to the host.
    pub const KERNEL: f64 = 4e6;
    pub const CHOLESKY: f64 = 1e9;
    pub const SOLVE: f64 = 1e9;
    /// Number of right-hand sides below which copying the factor takes longer than solving the system.
    pub const SOLVE_COLUMNS: usize = 64;
    pub const EVIDENCE: f64 = 2e8;
    pub const PREDICT: f64 = 1e8;
    /// The same threshold applies to forward and backward passes, so that both run on the same device: a backward pass
    /// on the CPU reads the tape that the forward pass on the CPU has filled.
    pub const NETWORKS: f64 = 1e8;
}

/// Number of floating-point operations per covariance, in addition to two per coordinate (not tuned).
const COVARIANCE: usize = 20;

/// The first GPU. [`Cpu`] runs operations that are too small for the GPU. Only one operation runs at a time, and
/// concurrent calls wait for each other. The GPU does not use a [`Tape`]: its backward pass repeats the forward pass,
/// which takes less time than copying a tape to the host and back.
///
/// Repeated calls with the same arguments give bitwise identical results. Results agree with those of [`Cpu`] up to
/// rounding: ‖result − reference‖ / ‖reference‖ is below 1e-9 in f64 and 1e-5 in f32. The CUDA libraries choose an
/// algorithm based on the matrix size, so the last bits of the result for a row can depend on the number of rows.
pub struct Cuda {
    device: Mutex<Device>,
    name: String,
    /// Whether to use the GPU for small operations as well.
    any_size: bool,
}

impl fmt::Debug for Cuda {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Cuda").field("name", &self.name).field("any_size", &self.any_size).finish()
    }
}

impl Cuda {
    /// Starts the first GPU and compiles the kernels for it, which takes about a second.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the driver, a library or a GPU is missing, or if the
    /// driver is too old. The error message states the cause.
    pub fn open() -> Result<Self> {
        let device = Device::open()?;
        let name = format!("cuda ({})", device.name());
        Ok(Self { device: Mutex::new(device), name, any_size: false })
    }

    /// Returns a backend that runs all operations on the GPU regardless of their size, for use in tests.
    #[must_use]
    pub fn at_any_size(self) -> Self {
        Self { any_size: true, ..self }
    }

    /// Returns true if a task with `values` values and `work` floating-point operations is to run on the GPU.
    /// Operations on empty slices always run on the CPU.
    fn takes(&self, values: usize, work: f64, min_work: f64) -> bool {
        values > 0 && (self.any_size || work >= min_work)
    }

    fn enter(&self) -> Result<MutexGuard<'_, Device>> {
        // A poisoned lock means that an operation panicked. Operations share no state, so the device can still be used
        // after a panic.
        let device = self.device.lock().unwrap_or_else(PoisonError::into_inner);
        device.enter()?;
        Ok(device)
    }
}

impl Backend for Cuda {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn kernel(&self, kernel: &Kernel, a: Points, b: Points, out: &mut [f64]) -> Result<()> {
        if !self.takes(out.len(), out.len() as f64, threshold::KERNEL) {
            return Cpu.kernel(kernel, a, b, out);
        }
        points("points a", &a, kernel)?;
        points("points b", &b, kernel)?;
        length("kernel matrix", out.len(), &[a.n, b.n])?;
        gp::kernel(&*self.enter()?, kernel, a, b, out)
    }

    fn cholesky(&self, a: &mut [f64], n: usize) -> Result<bool> {
        if !self.takes(a.len(), (n as f64).powi(3) / 3.0, threshold::CHOLESKY) {
            return Cpu.cholesky(a, n);
        }
        length("matrix", a.len(), &[n, n])?;
        gp::cholesky(&*self.enter()?, a, n)
    }

    fn solve(&self, l: &[f64], n: usize, b: &mut [f64], which: Solve) -> Result<()> {
        let columns = b.len().checked_div(n).unwrap_or(0);
        let few = columns < threshold::SOLVE_COLUMNS && !self.any_size;
        if few || !self.takes(b.len(), n as f64 * b.len() as f64, threshold::SOLVE) {
            return Cpu.solve(l, n, b, which);
        }
        length("factor", l.len(), &[n, n])?;
        length("right-hand sides", b.len(), &[n, columns])?;
        gp::solve(&*self.enter()?, l, n, b, which)
    }

    fn evidence(&self, kernel: &Kernel, noise: f64, x: Points, y: &[f64]) -> Result<Option<Evidence>> {
        if !self.takes(y.len(), (x.n as f64).powi(3), threshold::EVIDENCE) {
            return Cpu.evidence(kernel, noise, x, y);
        }
        points("points", &x, kernel)?;
        length("targets", y.len(), &[x.n])?;
        gp::evidence(&*self.enter()?, kernel, noise, x, y)
    }

    fn gp_predict(&self, gp: &GpFunctions, x: Points, out: &mut [f64], variance: Option<&mut [f64]>) -> Result<()> {
        let n = gp.points.n;
        let columns = gp.weights.len().checked_div(n).unwrap_or(0);
        let for_variance = if gp.precision.is_some() && variance.is_some() { 2 * n } else { 0 };
        let per_pair = 2 * gp.kernel.lengths.len() + COVARIANCE + 2 * columns + for_variance;
        let work = n as f64 * x.n as f64 * per_pair as f64;
        if !self.takes(n.min(x.n), work, threshold::PREDICT) {
            return Cpu.gp_predict(gp, x, out, variance);
        }
        points("centres", &gp.points, gp.kernel)?;
        points("points", &x, gp.kernel)?;
        length("weights", gp.weights.len(), &[n, columns])?;
        length("means", out.len(), &[x.n, columns])?;
        length("precision", gp.precision.map_or(n * n, <[f64]>::len), &[n, n])?;
        length("variances", variance.as_ref().map_or(x.n, |v| v.len()), &[x.n])?;
        gp::predict(&*self.enter()?, gp, x, out, variance)
    }

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
        Cpu.gp_inducing(kernel, noise, jitter, x, y, z, gradient)
    }

    fn forward(&self, net: &Net, x: &[f32], rows: usize, tape: &mut Tape, out: &mut [f32]) -> Result<()> {
        if !self.takes(x.len(), work(net, rows), threshold::NETWORKS) {
            return Cpu.forward(net, x, rows, tape, out);
        }
        let (inputs, outputs) = inputs_and_outputs(net)?;
        length("inputs", x.len(), &[net.members, inputs, rows])?;
        length("outputs", out.len(), &[net.members, outputs, rows])?;
        dense::forward(&*self.enter()?, net, x, rows, out)
    }

    fn backward(
        &self,
        net: &Net,
        x: &[f32],
        rows: usize,
        tape: &mut Tape,
        out_grad: &[f32],
        weight_grad: &mut [f32],
        x_grad: Option<&mut [f32]>,
    ) -> Result<()> {
        if !self.takes(x.len(), work(net, rows), threshold::NETWORKS) {
            return Cpu.backward(net, x, rows, tape, out_grad, weight_grad, x_grad);
        }
        let (inputs, outputs) = inputs_and_outputs(net)?;
        length("inputs", x.len(), &[net.members, inputs, rows])?;
        length("gradients of outputs", out_grad.len(), &[net.members, outputs, rows])?;
        if !weight_grad.is_empty() {
            length("gradients of weights", weight_grad.len(), &[net.weights.len()])?;
        }
        length("gradients of inputs", x_grad.as_ref().map_or(x.len(), |g| g.len()), &[x.len()])?;
        dense::backward(&*self.enter()?, net, x, rows, out_grad, weight_grad, x_grad)
    }
}

/// Number of floating-point operations of a forward pass.
fn work(net: &Net, rows: usize) -> f64 {
    2.0 * net.weights.len() as f64 * rows as f64
}

/// Checks that the networks have layers and the expected number of weights, and returns the numbers of inputs and
/// outputs.
fn inputs_and_outputs(net: &Net) -> Result<(usize, usize)> {
    length("weights", net.weights.len(), &[net.members, Net::size(net.widths)])?;
    match *net.widths {
        [inputs, .., outputs] if !net.widths.contains(&0) => Ok((inputs, outputs)),
        _ => Err(Error::Failed(format!("networks with widths {:?} have no layers", net.widths))),
    }
}

/// Checks that the points have as many coordinates as the kernel has length-scales.
fn points(what: &str, points: &Points, kernel: &Kernel) -> Result<()> {
    length(what, points.values.len(), &[kernel.lengths.len(), points.n])
}

/// Checks that a slice has the size that the operation requires.
fn length(what: &str, found: usize, shape: &[usize]) -> Result<()> {
    if shape.iter().try_fold(1usize, |all, n| all.checked_mul(*n)) == Some(found) {
        return Ok(());
    }
    Err(Error::Failed(format!("{what}: {found} values do not have the shape {shape:?}")))
}
