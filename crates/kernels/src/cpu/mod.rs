//! The CPU backend, based on matrix products from faer, rayon threads over ensemble members and tiles of rows, and SIMD
//! instructions chosen at run time.

pub(crate) mod covariance;
mod dense;
mod derivatives;
mod evidence;
mod factor;
mod gp;
mod inducing;
mod panel;
mod predict;
pub(crate) mod tile;
mod triangular;

use crate::backend::Backend;
use crate::error::Result;
use crate::kernel::{Evidence, GpFunctions, Inducing, Kernel, Points, Solve};
use crate::net::{Net, Tape};

/// The CPU, which is the reference device. CPU operations run on the threads of the rayon pool in which they are
/// called.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu;

impl Backend for Cpu {
    fn name(&self) -> String {
        match rayon::current_num_threads() {
            1 => "cpu (1 thread)".to_owned(),
            threads => format!("cpu ({threads} threads)"),
        }
    }

    fn kernel(&self, kernel: &Kernel, a: Points, b: Points, out: &mut [f64]) -> Result<()> {
        gp::kernel(kernel, a, b, out)
    }

    fn cholesky(&self, a: &mut [f64], n: usize) -> Result<bool> {
        gp::cholesky(a, n)
    }

    fn solve(&self, l: &[f64], n: usize, b: &mut [f64], which: Solve) -> Result<()> {
        gp::solve(l, n, b, which)
    }

    fn evidence(&self, kernel: &Kernel, noise: f64, x: Points, y: &[f64]) -> Result<Option<Evidence>> {
        gp::evidence(kernel, noise, x, y)
    }

    fn gp_predict(&self, gp: &GpFunctions, x: Points, out: &mut [f64], variance: Option<&mut [f64]>) -> Result<()> {
        gp::predict(gp, x, out, variance)
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
        gp::inducing(kernel, noise, jitter, x, y, z, gradient)
    }

    fn forward(&self, net: &Net, x: &[f32], rows: usize, tape: &mut Tape, out: &mut [f32]) -> Result<()> {
        dense::forward(net, x, rows, tape, out)
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
        dense::backward(net, x, rows, tape, out_grad, weight_grad, x_grad)
    }
}
