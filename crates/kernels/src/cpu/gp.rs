//! Gaussian processes on the CPU. Each function checks the sizes of its slices, and then calls the module that
//! implements the operation.

use faer::{MatMut, MatRef};

use super::triangular::solve_columns;
use super::{covariance, evidence as exact, factor, inducing as sparse, predict as functions};
use crate::error::{Error, Result};
use crate::kernel::{Evidence, GpFunctions, Inducing, Kernel, Points, Solve};

/// Returns an error that names `operation` if `right` is false, which means that a slice has the wrong size.
fn sizes(operation: &str, right: bool) -> Result<()> {
    if right { Ok(()) } else { Err(Error::Failed(format!("{operation}: a slice has the wrong size"))) }
}

fn fits(kernel: &Kernel, points: Points) -> bool {
    points.values.len() == kernel.lengths.len() * points.n
}

pub fn kernel(kernel: &Kernel, a: Points, b: Points, out: &mut [f64]) -> Result<()> {
    sizes("kernel", fits(kernel, a) && fits(kernel, b) && out.len() == a.n * b.n)?;
    covariance::fill(kernel, a, b, false, out);
    Ok(())
}

pub fn cholesky(a: &mut [f64], n: usize) -> Result<bool> {
    sizes("cholesky", a.len() == n * n)?;
    let definite = factor::cholesky(MatMut::from_column_major_slice_mut(a, n, n));
    for j in 1..n {
        a[j * n..j * n + j].fill(0.0);
    }
    Ok(definite)
}

pub fn solve(l: &[f64], n: usize, b: &mut [f64], which: Solve) -> Result<()> {
    sizes("solve", l.len() == n * n && (n == 0 || b.len().is_multiple_of(n)))?;
    if let Some(columns) = b.len().checked_div(n) {
        let l = MatRef::from_column_major_slice(l, n, n);
        solve_columns(l, MatMut::from_column_major_slice_mut(b, n, columns), which);
    }
    Ok(())
}

pub fn evidence(kernel: &Kernel, noise: f64, x: Points, y: &[f64]) -> Result<Option<Evidence>> {
    sizes("evidence", fits(kernel, x) && y.len() == x.n)?;
    Ok(exact::evidence(kernel, noise, x, y))
}

pub fn predict(gp: &GpFunctions, x: Points, out: &mut [f64], variance: Option<&mut [f64]>) -> Result<()> {
    let n = gp.points.n;
    let right = fits(gp.kernel, gp.points)
        && fits(gp.kernel, x)
        && n > 0
        && gp.weights.len() == n * out.len().checked_div(x.n).unwrap_or(0)
        && gp.precision.is_none_or(|p| p.len() == n * n)
        && variance.as_ref().is_none_or(|v| v.len() == x.n);
    if x.n == 0 {
        return sizes("gp_predict", out.is_empty());
    }
    sizes("gp_predict", right)?;
    functions::predict(gp, x, out, variance);
    Ok(())
}

pub fn inducing(
    kernel: &Kernel,
    noise: f64,
    jitter: f64,
    x: Points,
    y: &[f64],
    z: Points,
    gradient: bool,
) -> Result<Option<Inducing>> {
    sizes("gp_inducing", fits(kernel, x) && fits(kernel, z) && y.len() == x.n && z.n > 0)?;
    Ok(sparse::inducing(&sparse::Model { kernel, noise, jitter, x, y, z }, gradient))
}
