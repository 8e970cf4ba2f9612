//! NVIDIA GPUs: cuBLAS, cuSOLVER and a few kernels of our own, all loaded at run time.
//!
//! The only module with `unsafe` code: calls of the driver and its libraries, each behind a check of its sizes.
//! No CUDA library is linked: without one the program runs, and [`Cuda::open`] says what is missing.
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

/// Work below which the processor is the faster device, because data have to travel. Floating-point operations, where
/// not stated otherwise. Estimates for a GPU on PCIe beside some 16 cores: not measured yet.
mod least {
    /// Elements of a kernel matrix, which returns to the host.
    pub const KERNEL: f64 = 4e6;
    pub const CHOLESKY: f64 = 1e9;
    pub const SOLVE: f64 = 1e9;
    /// Right-hand sides that make the factor's journey worth it.
    pub const SOLVE_COLUMNS: usize = 64;
    pub const EVIDENCE: f64 = 2e8;
    pub const PREDICT: f64 = 1e8;
    /// Forward and backward alike: a tape is filled by the device that reads it.
    pub const NETWORKS: f64 = 1e8;
}

/// Operations that one covariance is worth, beside two a coordinate.
const COVARIANCE: usize = 20;

/// The first GPU. Hands work that is too small for it to [`Cpu`]. One operation at a time: calls from several threads
/// wait for each other. A [`Tape`] stays as it is: a backward pass computes the forward pass again, which costs less than
/// the tape's journey to the host and back.
///
/// The same call gives the same bytes. Results agree with [`Cpu`]'s within rounding: 1e-9 in f64, 1e-5 in f32, of the
/// norm. Libraries choose their algorithm by size, so the last bits of a row can depend on how many rows there are.
pub struct Cuda {
    device: Mutex<Device>,
    name: String,
    everything: bool,
}

impl fmt::Debug for Cuda {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Cuda").field("name", &self.name).field("everything", &self.everything).finish()
    }
}

impl Cuda {
    /// Starts the first GPU and compiles the kernels for it (about a second).
    ///
    /// # Errors
    /// [`Error::Usage`], with what is missing and the help: the driver, a library, a GPU, a driver that is new enough.
    pub fn open() -> Result<Self> {
        let device = Device::open()?;
        let name = format!("cuda ({})", device.name());
        Ok(Self { device: Mutex::new(device), name, everything: false })
    }

    /// Computes on the GPU whatever the size: for tests of it.
    #[must_use]
    pub fn everything(self) -> Self {
        Self { everything: true, ..self }
    }

    /// Whether `work` with as many as `values` values is for the GPU. Nothing to compute is nothing for it.
    fn takes(&self, values: usize, work: f64, least: f64) -> bool {
        values > 0 && (self.everything || work >= least)
    }

    fn enter(&self) -> Result<MutexGuard<'_, Device>> {
        // A poisoned lock: an operation has panicked, and left no state behind that the next one reads.
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
        if !self.takes(out.len(), out.len() as f64, least::KERNEL) {
            return Cpu.kernel(kernel, a, b, out);
        }
        points("points a", &a, kernel)?;
        points("points b", &b, kernel)?;
        length("kernel matrix", out.len(), &[a.n, b.n])?;
        gp::kernel(&*self.enter()?, kernel, a, b, out)
    }

    fn cholesky(&self, a: &mut [f64], n: usize) -> Result<bool> {
        if !self.takes(a.len(), (n as f64).powi(3) / 3.0, least::CHOLESKY) {
            return Cpu.cholesky(a, n);
        }
        length("matrix", a.len(), &[n, n])?;
        gp::cholesky(&*self.enter()?, a, n)
    }

    fn solve(&self, l: &[f64], n: usize, b: &mut [f64], which: Solve) -> Result<()> {
        let columns = b.len().checked_div(n).unwrap_or(0);
        let few = columns < least::SOLVE_COLUMNS && !self.everything;
        if few || !self.takes(b.len(), n as f64 * b.len() as f64, least::SOLVE) {
            return Cpu.solve(l, n, b, which);
        }
        length("factor", l.len(), &[n, n])?;
        length("right-hand sides", b.len(), &[n, columns])?;
        gp::solve(&*self.enter()?, l, n, b, which)
    }

    fn evidence(&self, kernel: &Kernel, noise: f64, x: Points, y: &[f64]) -> Result<Option<Evidence>> {
        if !self.takes(y.len(), (x.n as f64).powi(3), least::EVIDENCE) {
            return Cpu.evidence(kernel, noise, x, y);
        }
        points("points", &x, kernel)?;
        length("targets", y.len(), &[x.n])?;
        gp::evidence(&*self.enter()?, kernel, noise, x, y)
    }

    fn gp_predict(&self, gp: &GpFunctions, x: Points, out: &mut [f64], variance: Option<&mut [f64]>) -> Result<()> {
        let n = gp.points.n;
        let columns = gp.weights.len().checked_div(n).unwrap_or(0);
        let spread = if gp.precision.is_some() && variance.is_some() { 2 * n } else { 0 };
        let each = 2 * gp.kernel.lengths.len() + COVARIANCE + 2 * columns + spread;
        let work = n as f64 * x.n as f64 * each as f64;
        if !self.takes(n.min(x.n), work, least::PREDICT) {
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

    // the processor computes derivatives and sparse GPs
    fn gp_vjp(&self, gp: &GpFunctions, x: Points, cotangent: &[f64], out: &mut [f64]) -> Result<()> {
        Cpu.gp_vjp(gp, x, cotangent, out)
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
        if !self.takes(x.len(), work(net, rows), least::NETWORKS) {
            return Cpu.forward(net, x, rows, tape, out);
        }
        let (inputs, outputs) = ends(net)?;
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
        if !self.takes(x.len(), work(net, rows), least::NETWORKS) {
            return Cpu.backward(net, x, rows, tape, out_grad, weight_grad, x_grad);
        }
        let (inputs, outputs) = ends(net)?;
        length("inputs", x.len(), &[net.members, inputs, rows])?;
        length("gradients of outputs", out_grad.len(), &[net.members, outputs, rows])?;
        length("gradients of weights", weight_grad.len(), &[net.weights.len()])?;
        length("gradients of inputs", x_grad.as_ref().map_or(x.len(), |g| g.len()), &[x.len()])?;
        dense::backward(&*self.enter()?, net, x, rows, out_grad, weight_grad, x_grad)
    }
}

/// Floating-point operations of a forward pass.
fn work(net: &Net, rows: usize) -> f64 {
    2.0 * net.weights.len() as f64 * rows as f64
}

/// Inputs and outputs of networks that are whole.
fn ends(net: &Net) -> Result<(usize, usize)> {
    length("weights", net.weights.len(), &[net.members, Net::size(net.widths)])?;
    match *net.widths {
        [inputs, .., outputs] if !net.widths.contains(&0) => Ok((inputs, outputs)),
        _ => Err(Error::Failed(format!("networks of widths {:?} have no layer", net.widths))),
    }
}

fn points(what: &str, points: &Points, kernel: &Kernel) -> Result<()> {
    length(what, points.values.len(), &[kernel.lengths.len(), points.n])
}

/// That a slice has the size which the operation states for it.
fn length(what: &str, found: usize, shape: &[usize]) -> Result<()> {
    if shape.iter().try_fold(1usize, |all, n| all.checked_mul(*n)) == Some(found) {
        return Ok(());
    }
    Err(Error::Failed(format!("{what}: {found} values where the shape is {shape:?}")))
}
