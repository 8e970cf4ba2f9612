//! Gaussian processes on the GPU, in f64. The launch geometry and the array layouts of each kernel are documented in
//! gp.cu.

use cudarc::driver::{CudaSlice, CudaView};

use super::device::{Device, blocks, failed, launch, tiles};
use super::linear::{Matrices, MatricesMut, Transpose};
use crate::error::Result;
use crate::kernel::{Evidence, Family, GpFunctions, Kernel, Points, Solve};

/// Number of values per tile of a kernel matrix (64 MB; not tuned).
const TILE: usize = 1 << 23;

/// The parameters of a covariance function on the device.
struct Covariance {
    family: u64,
    variance: f64,
    /// The inverse length-scales, `[d]`.
    inverse: CudaSlice<f64>,
    dimensions: u64,
}

/// The first `n` points of a view of device memory with the layout `[d][spacing]`.
struct DevicePoints<'a> {
    values: &'a CudaView<'a, f64>,
    spacing: usize,
    n: usize,
}

impl Covariance {
    fn new(device: &Device, kernel: &Kernel) -> Result<Self> {
        let inverse: Vec<f64> = kernel.lengths.iter().map(|l| 1.0 / l).collect();
        let family = match kernel.family {
            Family::SquaredExponential => 0,
            Family::Matern52 => 1,
        };
        let dimensions = inverse.len() as u64;
        Ok(Self { family, variance: kernel.variance, inverse: device.upload(&inverse)?, dimensions })
    }

    /// Queues `out[i + j n] = k(a_i, b_j)`.
    fn block(&self, device: &Device, a: &DevicePoints, b: &DevicePoints, out: &mut CudaSlice<f64>) -> Result<()> {
        let (n, m) = (a.n as u64, b.n as u64);
        let (lda, ldb) = (a.spacing as u64, b.spacing as u64);
        let last = (self.dimensions as usize).saturating_sub(1);
        if out.len() < a.n * b.n || a.values.len() < last * a.spacing + a.n || b.values.len() < last * b.spacing + b.n {
            return Err(failed("covariance", "the sizes of the points and the matrix do not match"));
        }
        launch!(
            device,
            covariance_block,
            tiles(a.n, b.n)?,
            &self.family,
            &self.variance,
            a.values,
            &lda,
            &n,
            b.values,
            &ldb,
            &m,
            &self.inverse,
            &self.dimensions,
            out,
        )
    }
}

/// Returns a view of the points, starting at point `start`.
fn points_from<'a>(points: &'a CudaSlice<f64>, start: usize) -> Result<CudaView<'a, f64>> {
    points.try_slice(start..).ok_or_else(|| failed("points", "the allocation is too short"))
}

pub fn kernel(device: &Device, kernel: &Kernel, a: Points, b: Points, out: &mut [f64]) -> Result<()> {
    let covariance = Covariance::new(device, kernel)?;
    let (a_values, b_values) = (device.upload(a.values)?, device.upload(b.values)?);
    let tile = (TILE / a.n).clamp(1, b.n);
    let mut block = device.allocate(a.n * tile)?;
    let all = a_values.as_view();
    for (start, columns) in (0..b.n).step_by(tile).zip(out.chunks_mut(a.n * tile)) {
        let part = points_from(&b_values, start)?;
        let a = DevicePoints { values: &all, spacing: a.n, n: a.n };
        let b = DevicePoints { values: &part, spacing: b.n, n: tile.min(b.n - start) };
        covariance.block(device, &a, &b, &mut block)?;
        device.download(&block, columns)?;
    }
    device.finish("kernel matrix")
}

pub fn cholesky(device: &Device, a: &mut [f64], n: usize) -> Result<bool> {
    let mut matrix = device.upload(a)?;
    if !device.factor(&mut matrix, n)? {
        return Ok(false);
    }
    let order = n as u64;
    launch!(device, zero_above, tiles(n, n)?, &order, &mut matrix)?;
    device.download(&matrix, a)?;
    device.finish("cholesky")?;
    // The documentation of cuSOLVER does not state whether a NaN counts as a failing pivot.
    Ok(a.iter().step_by(n + 1).all(|pivot| pivot.is_finite() && *pivot > 0.0))
}

pub fn solve(device: &Device, l: &[f64], n: usize, b: &mut [f64], which: Solve) -> Result<()> {
    let factor = device.upload(l)?;
    let mut solution = device.upload(b)?;
    device.solve(&factor, n, &mut solution, b.len() / n, which)?;
    device.download(&solution, b)?;
    device.finish("solve")
}

/// Computes the log marginal likelihood and its gradient. All matrices stay on the device, and only the results are
/// copied back.
pub fn evidence(device: &Device, kernel: &Kernel, noise: f64, x: Points, y: &[f64]) -> Result<Option<Evidence>> {
    let (n, d) = (x.n, kernel.lengths.len());
    let covariance = Covariance::new(device, kernel)?;
    let Covariance { family, variance, inverse, dimensions } = &covariance;
    let points = device.upload(x.values)?;
    let targets = device.upload(y)?;
    let order = n as u64;

    let mut matrix = device.allocate::<f64>(n * n)?;
    let shape = tiles(n, n)?;
    launch!(
        device,
        covariance_lower,
        shape,
        family,
        variance,
        &noise,
        &points,
        &order,
        inverse,
        dimensions,
        &mut matrix
    )?;
    if !device.factor(&mut matrix, n)? {
        return Ok(None);
    }
    let mut alpha = device.upload(y)?;
    device.solve(&matrix, n, &mut alpha, 1, Solve::Both)?;
    let mut parts = device.allocate::<f64>(2)?;
    launch!(device, evidence_value, blocks(1, 1)?, &order, &targets, &alpha, &matrix, &mut parts)?;
    if !device.invert(&mut matrix, n)? {
        return Ok(None);
    }

    let mut contributions = device.allocate::<f64>((d + 2) * n)?;
    let shape = blocks(n, 1)?;
    launch!(
        device,
        evidence_weights,
        shape,
        family,
        variance,
        &points,
        &order,
        inverse,
        dimensions,
        &alpha,
        &mut matrix,
        &mut contributions,
    )?;
    if d > 0 {
        launch!(device, evidence_lengths, blocks(n, d)?, &points, &order, inverse, &matrix, &mut contributions)?;
    }
    let mut totals = device.allocate::<f64>(d + 2)?;
    launch!(device, row_sums, blocks(d + 2, 1)?, &order, &contributions, &mut totals)?;

    let (mut value, mut sums) = ([0.0; 2], vec![0.0; d + 2]);
    device.download(&parts, &mut value)?;
    device.download(&totals, &mut sums)?;
    device.finish("evidence")?;
    let [fit, logs] = value;
    let value = -0.5 * fit - logs - 0.5 * n as f64 * (2.0 * std::f64::consts::PI).ln();
    // The factor may contain a NaN that cuSOLVER does not report.
    if !value.is_finite() || sums.iter().any(|s| !s.is_finite()) {
        return Ok(None);
    }
    // Sums 0 and 1 belong to the variance and the noise, which are the last two entries of the gradient.
    sums[1] *= noise;
    sums.rotate_left(2);
    Ok(Some(Evidence { value, gradient: sums }))
}

pub fn predict(
    device: &Device,
    gp: &GpFunctions,
    x: Points,
    out: &mut [f64],
    variance: Option<&mut [f64]>,
) -> Result<()> {
    let (n, rows) = (gp.points.n, x.n);
    let columns = gp.weights.len() / n;
    let covariance = Covariance::new(device, gp.kernel)?;
    let (centres, points) = (device.upload(gp.points.values)?, device.upload(x.values)?);
    let weights = device.upload(gp.weights)?;
    let tile = (TILE / n).clamp(1, rows);
    let mut block = device.allocate::<f64>(n * tile)?;
    let mut means = device.allocate::<f64>(rows * columns)?;
    // If variances are requested, this tuple contains P, the products P k of a tile, and the variances.
    let mut for_variance = match (gp.precision, &variance) {
        (Some(precision), Some(_)) => {
            Some((device.upload(precision)?, device.allocate(n * tile)?, device.allocate(rows)?))
        }
        _ => None,
    };

    let order = n as u64;
    let all = centres.as_view();
    for start in (0..rows).step_by(tile) {
        let part = points_from(&points, start)?;
        let m = tile.min(rows - start);
        let z = DevicePoints { values: &all, spacing: n, n };
        let x = DevicePoints { values: &part, spacing: rows, n: m };
        covariance.block(device, &z, &x, &mut block)?;
        let k = Matrices { values: &block, start: 0, rows: n, stride: 0 };
        if columns > 0 {
            let w = Matrices { values: &weights, start: 0, rows: n, stride: 0 };
            let to = MatricesMut { values: &mut means, start, rows, stride: 0 };
            device.product((m, columns, n), (k, Transpose::Yes), (w, Transpose::No), to)?;
        }
        if let Some((precision, solved, variances)) = &mut for_variance {
            let p = Matrices { values: &*precision, start: 0, rows: n, stride: 0 };
            let to = MatricesMut { values: solved, start: 0, rows: n, stride: 0 };
            device.product((n, m, n), (p, Transpose::No), (k, Transpose::No), to)?;
            let target = variances.try_slice_mut(start..start + m);
            let mut target = target.ok_or_else(|| failed("variances", "the allocation is too short"))?;
            let prior = covariance.variance;
            launch!(device, column_gaps, blocks(m, 1)?, &order, &prior, &block, &*solved, &mut target)?;
        }
    }
    device.download(&means, out)?;
    if let (Some((_, _, variances)), Some(variance)) = (&for_variance, variance) {
        device.download(variances, variance)?;
    }
    device.finish("gp_predict")
}
