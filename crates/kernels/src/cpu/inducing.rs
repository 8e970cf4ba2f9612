//! Computes the collapsed evidence lower bound (Titsias 2009) of a sparse GP with m inducing points Z, its gradient,
//! and the posterior.
//!
//! With K_uu = K(Z, Z) = L Lᵀ, K_uf = K(Z, X), A = L⁻¹ K_uf / σ, B = I + A Aᵀ = M Mᵀ and c = M⁻¹ A y / σ, the bound on
//! the log marginal likelihood of n rows under a kernel with variance s² is
//!
//!   −n/2 ln 2πσ² − Σ_i ln M_ii − yᵀy / 2σ² + ½ cᵀc − (n s² / σ² − tr A Aᵀ) / 2.
//!
//! The posterior mean at x is k(x, Z) w, where w = L⁻ᵀ M⁻ᵀ c. With P = L⁻ᵀ (I − B⁻¹) L⁻¹ and α = (y − K_fu w) / σ², the
//! derivative of the bound is w αᵀ + P K_uf / σ² with respect to K_uf, and −½ (w wᵀ + L⁻ᵀ (B − 2 I + B⁻¹) L⁻¹) with
//! respect to K_uu (matrix calculus on Q = K_fu K_uu⁻¹ K_uf).

use std::f64::consts::PI;
use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::prelude::ReborrowMut;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::covariance::{Blocks, fill, inverse_lengths};
use super::derivatives::{Derivatives, Pass};
use super::factor::{cholesky, invert, lower_plus_square, lower_triangle, multiply_upper, square, symmetrise};
use super::triangular::solve_columns;
use crate::kernel::{Inducing, Kernel, Points, Solve};

/// Number of rows whose kernel values are computed together. This number is not a power of two, because columns spaced
/// by a power of two would map to the same cache sets.
const ROWS: usize = 248;
/// Number of tasks. Each task processes a fixed range of rows, and the partial sums are added in a fixed order.
const TASKS: usize = 8;

/// A sparse GP model and its data.
#[derive(Clone, Copy)]
pub struct Model<'a> {
    pub kernel: &'a Kernel,
    pub noise: f64,
    /// Value added to the diagonal of K_uu, as a multiple of the variance.
    pub jitter: f64,
    pub x: Points<'a>,
    pub y: &'a [f64],
    pub z: Points<'a>,
}

/// Computes the bound, the posterior and, if `gradient` is true, the gradient in 4 n m² floating-point operations.
/// Returns `None` if K_uu or B is not positive definite. Both passes over the data process a few hundred rows at a
/// time, so that no matrix has n rows.
pub fn inducing(model: &Model, gradient: bool) -> Option<Inducing> {
    let Model { kernel, noise, jitter, x, y, z } = *model;
    let (m, rows, sd) = (z.n, x.n as f64, noise.sqrt());
    let mut prior = Mat::zeros(m, m);
    let mut k = vec![0.0; m * m];
    fill(kernel, z, z, false, &mut k);
    prior.copy_from(MatRef::from_column_major_slice(&k, m, m));
    for i in 0..m {
        prior[(i, i)] += jitter * kernel.variance;
    }
    if !cholesky(prior.as_mut()) {
        return None;
    }
    let prior = lower_triangle(prior.as_ref());
    let Projected { b, ay } = project(model, prior.as_ref());
    let mut data = b.clone();
    if !cholesky(data.as_mut()) {
        return None;
    }
    let data = lower_triangle(data.as_ref());
    let mut c = Mat::from_fn(m, 1, |i, _| ay[i] / sd);
    solve_columns(data.as_ref(), c.as_mut(), Solve::Forward);
    let squares: f64 = y.iter().map(|y| y * y).sum();
    let determinant: f64 = (0..m).map(|i| data[(i, i)].ln()).sum();
    let explained: f64 = (0..m).map(|i| b[(i, i)] - 1.0).sum();
    let value = -0.5 * rows * (2.0 * PI * noise).ln() - determinant - 0.5 * squares / noise + 0.5 * c.squared_norm_l2()
        - 0.5 * (rows * kernel.variance / noise - explained);
    let mut weights = c;
    solve_columns(data.as_ref(), weights.as_mut(), Solve::Backward);
    solve_columns(prior.as_ref(), weights.as_mut(), Solve::Backward);
    let weights: Vec<f64> = (0..m).map(|i| weights[(i, 0)]).collect();
    let gradient = if gradient { gradient_of(model, &prior, &b, &data, &weights) } else { Vec::new() };
    let flat = |a: &Mat<f64>| -> Vec<f64> { a.col_iter().flat_map(|c| c.iter()).copied().collect() };
    let finite = value.is_finite() && gradient.iter().all(|g| g.is_finite());
    finite.then(|| Inducing { value, gradient, weights, prior: flat(&prior), data: flat(&data) })
}

/// The sums over rows that are needed for the bound.
struct Projected {
    /// I + A Aᵀ, both triangles.
    b: Mat<f64>,
    /// A y.
    ay: Vec<f64>,
}

/// Returns the range of rows (out of n) that task `i` processes.
fn task_rows(n: usize, i: usize) -> Range<usize> {
    i * n / TASKS..(i + 1) * n / TASKS
}

/// Copies the given rows of `x` into `buffer`, and returns them as points.
fn copy_rows<'a>(x: Points, rows: Range<usize>, buffer: &'a mut Vec<f64>) -> Points<'a> {
    buffer.clear();
    x.values.chunks_exact(x.n).for_each(|column| buffer.extend_from_slice(&column[rows.clone()]));
    Points { values: buffer, n: rows.len() }
}

/// First pass over the rows, which computes the sums for the bound. `prior` is L with zeros above the diagonal.
fn project(model: &Model, prior: MatRef<f64>) -> Projected {
    let Model { kernel, noise, x, y, z, .. } = *model;
    let (m, scale) = (z.n, 1.0 / noise.sqrt());
    let mut inverse = prior.to_owned();
    invert(inverse.as_mut());
    let whitening = Mat::from_fn(m, m, |i, j| inverse[(j, i)] * scale);
    let parts: Vec<Projected> = (0..TASKS)
        .into_par_iter()
        .map(|task| {
            let mut part = Projected { b: Mat::zeros(m, m), ay: vec![0.0; m] };
            let (mut points, mut k) = (Vec::new(), vec![0.0; ROWS * m]);
            let range = task_rows(x.n, task);
            for start in range.clone().step_by(ROWS) {
                let rows = start..range.end.min(start + ROWS);
                let k = &mut k[..rows.len() * m];
                fill(kernel, copy_rows(x, rows.clone(), &mut points), z, false, k);
                let mut a = MatMut::from_column_major_slice_mut(k, rows.len(), m);
                multiply_upper(whitening.as_ref(), a.rb_mut());
                lower_plus_square(part.b.as_mut(), a.as_ref());
                let ay = MatMut::from_column_major_slice_mut(&mut part.ay, m, 1);
                let y = MatRef::from_column_major_slice(&y[rows.clone()], rows.len(), 1);
                matmul(ay, Accum::Add, a.transpose(), y, 1.0, Par::Seq);
            }
            part
        })
        .collect();
    let mut total = Projected { b: Mat::identity(m, m), ay: vec![0.0; m] };
    for part in &parts {
        total.b += &part.b;
        total.ay.iter_mut().zip(&part.ay).for_each(|(a, b)| *a += b);
    }
    symmetrise(total.b.as_mut().transpose_mut());
    total
}

/// Second pass over the rows, which computes the gradient with respect to ln lengths, ln variance, ln noise and the
/// inducing points.
fn gradient_of(model: &Model, prior: &Mat<f64>, b: &Mat<f64>, data: &Mat<f64>, weights: &[f64]) -> Vec<f64> {
    let Model { kernel, noise, jitter, x, y, z } = *model;
    let (m, d) = (z.n, kernel.lengths.len());
    let mut inverse = data.clone();
    invert(inverse.as_mut());
    square(inverse.as_mut());
    symmetrise(inverse.as_mut().transpose_mut());
    let trace: f64 = (0..m).map(|i| inverse[(i, i)]).sum();
    let explained: f64 = (0..m).map(|i| b[(i, i)] - 1.0).sum();
    let identity = |i: usize, j: usize| f64::from(u8::from(i == j));

    // P / σ²
    let mut precision = Mat::from_fn(m, m, |i, j| (identity(i, j) - inverse[(i, j)]) / noise);
    solve_columns(prior.as_ref(), precision.as_mut(), Solve::Backward);
    solve_columns(prior.as_ref(), precision.transpose_mut(), Solve::Backward);
    let mut prior_weights = Mat::from_fn(m, m, |i, j| b[(i, j)] - 2.0 * identity(i, j) + inverse[(i, j)]);
    solve_columns(prior.as_ref(), prior_weights.as_mut(), Solve::Backward);
    solve_columns(prior.as_ref(), prior_weights.transpose_mut(), Solve::Backward);
    for j in 0..m {
        for i in 0..m {
            prior_weights[(i, j)] = -0.5 * weights[i].mul_add(weights[j], prior_weights[(i, j)]);
        }
    }

    let scale = inverse_lengths(kernel);
    let pass = Pass { kernel, blocks: Blocks::new(z, &scale), scale: &scale, m };
    let w = MatRef::from_column_major_slice(weights, m, 1);
    let parts: Vec<(Derivatives, f64)> = (0..TASKS)
        .into_par_iter()
        .map(|task| {
            let (mut part, mut squares) = (Derivatives::new(m, d), 0.0);
            let (mut points, mut k, mut product) = (Vec::new(), vec![0.0; m * ROWS], Mat::zeros(m, ROWS));
            let range = task_rows(x.n, task);
            for start in range.clone().step_by(ROWS) {
                let rows = start..range.end.min(start + ROWS);
                let n = rows.len();
                let points = copy_rows(x, rows.clone(), &mut points);
                fill(kernel, z, points, false, &mut k[..m * n]);
                let k = MatRef::from_column_major_slice(&k[..m * n], m, n);
                let mut alpha = Mat::from_fn(n, 1, |i, _| y[start + i] / noise);
                matmul(alpha.as_mut(), Accum::Add, k.transpose(), w, -1.0 / noise, Par::Seq);
                squares += alpha.squared_norm_l2();
                let mut product = product.subcols_mut(0, n);
                matmul(product.rb_mut(), Accum::Replace, precision.as_ref(), k, 1.0, Par::Seq);
                matmul(product.rb_mut(), Accum::Add, w, alpha.transpose(), 1.0, Par::Seq);
                pass.add(points, product.as_ref(), &mut part);
            }
            (part, squares)
        })
        .collect();
    let (mut cross, mut squares) = (Derivatives::new(m, d), 0.0);
    for (part, part_squares) in &parts {
        cross.merge(part);
        squares += part_squares;
    }
    let mut within = Derivatives::new(m, d);
    pass.add(z, prior_weights.as_ref(), &mut within);

    let diagonal: f64 = (0..m).map(|i| prior_weights[(i, i)]).sum();
    let (rows, variance) = (x.n as f64, kernel.variance);
    let mut gradient: Vec<f64> = (0..d).map(|k| variance * (cross.length(k) + within.length(k))).collect();
    let total = cross.variance() + within.variance() + jitter * diagonal;
    gradient.push(variance * total - 0.5 * rows * variance / noise);
    gradient.push(0.5 * (squares * noise - (rows - m as f64 + trace) + rows * variance / noise - explained));
    // Each inducing point determines one row of K_uf, and one row and one column of K_uu.
    for (k, scale) in scale.iter().enumerate() {
        gradient.extend((0..m).map(|u| -variance * scale * (cross.point(u, k) + 2.0 * within.point(u, k))));
    }
    gradient
}
