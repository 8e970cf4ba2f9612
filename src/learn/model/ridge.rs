//! Ridge regression (Hoerl & Kennard 1970) from Gram matrices.
//!
//! > w = argmin Σ_r (y_r − b − w · x_r)² / n + λ ‖w‖² = V (Λ + λ I)⁻¹ Vᵀ cov(x, y)
//!
//! Here, V Λ Vᵀ is the eigendecomposition of the covariance matrix of the standardised inputs. A single pass over the
//! data computes the Gram matrices of all blocks in O(n p²). The Gram matrix of a fold or of a bootstrap sample is the
//! sum of the Gram matrices of its blocks. The eigendecomposition takes O(p³), and the solution for each penalty λ then
//! takes O(p²).

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use rayon::prelude::*;

use super::blocks::Blocks;
use crate::error::{Error, Result};
use crate::learn::dataset::{Dataset, Scaling};

/// Number of rows standardised at a time (not tuned; they fit into the first-level cache).
const TILE: usize = 128;

/// Gram matrix of the standardised columns (1, x, y): their products, summed over a set of rows.
#[derive(Debug, Clone)]
pub struct Gram {
    inputs: usize,
    targets: usize,
    /// Symmetric, `[1 + p + q]²`; only entries with `i <= j` are set.
    sums: Vec<f64>,
}

impl Gram {
    pub fn zero(inputs: usize, targets: usize) -> Self {
        Self { inputs, targets, sums: vec![0.0; (1 + inputs + targets).pow(2)] }
    }

    fn width(&self) -> usize {
        1 + self.inputs + self.targets
    }

    fn at(&self, i: usize, j: usize) -> f64 {
        self.sums[i.min(j) * self.width() + i.max(j)]
    }

    /// Adds `weight` times another Gram matrix.
    pub fn add(&mut self, other: &Self, weight: f64) {
        for (a, b) in self.sums.iter_mut().zip(&other.sums) {
            *a += weight * b;
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> f64 {
        self.sums[0]
    }

    fn from_rows(data: &Dataset, rows: &[usize], x: &Scaling, y: &Scaling) -> Self {
        let mut gram = Self::zero(data.x.len(), data.y.len());
        let width = gram.width();
        let scaled = data.x.iter().zip(x.mean.iter().zip(x.inverse()));
        let columns: Vec<_> = scaled.chain(data.y.iter().zip(y.mean.iter().zip(y.inverse()))).collect();
        let mut tile = vec![0.0; width * TILE];
        for rows in rows.chunks(TILE) {
            tile[..rows.len()].fill(1.0);
            tile[rows.len()..TILE].fill(0.0);
            for ((column, (mean, inverse)), z) in columns.iter().zip(tile[TILE..].chunks_mut(TILE)) {
                for (z, &r) in z.iter_mut().zip(rows) {
                    *z = (column[r] - *mean) * inverse;
                }
                z[rows.len()..].fill(0.0);
            }
            for i in 0..width {
                let a = &tile[i * TILE..(i + 1) * TILE];
                for j in i..width {
                    gram.sums[i * width + j] += dot(a, &tile[j * TILE..(j + 1) * TILE]);
                }
            }
        }
        gram
    }

    /// The Gram matrices of all blocks, in the order of the blocks.
    pub fn from_blocks(data: &Dataset, rows: &[usize], blocks: &Blocks, x: &Scaling, y: &Scaling) -> Vec<Self> {
        blocks.ranges.par_iter().map(|b| Self::from_rows(data, &rows[b.clone()], x, y)).collect()
    }

    /// Sum of the squared errors of a linear model that predicts target `j`, over the rows that this Gram matrix
    /// summarises.
    pub fn squared_error(&self, j: usize, intercept: f64, weights: &DVector<f64>) -> f64 {
        let t = 1 + self.inputs + j;
        let mut sum = self.at(t, t) - 2.0 * intercept * self.at(0, t) + intercept.powi(2) * self.rows();
        for (k, w) in weights.iter().enumerate() {
            let product: f64 = weights.iter().enumerate().map(|(l, v)| v * self.at(1 + k, 1 + l)).sum();
            sum += w * (product + 2.0 * (intercept * self.at(0, 1 + k) - self.at(1 + k, t)));
        }
        sum.max(0.0)
    }
}

/// Dot product of two slices. Eight partial sums in a fixed order allow the compiler to use vector instructions.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for k in 0..8 {
            sums[k] += a[k] * b[k];
        }
    }
    sums.iter().sum()
}

/// The eigendecomposition of the covariance matrix of the inputs.
#[derive(Debug)]
pub struct Basis {
    x_mean: DVector<f64>,
    y_mean: DVector<f64>,
    values: DVector<f64>,
    vectors: DMatrix<f64>,
    /// Vᵀ cov(x, y): `[p][q]`.
    rotated: DMatrix<f64>,
}

impl Basis {
    /// # Errors
    /// Returns [`Error::Internal`] if the eigendecomposition does not converge, which does not
    /// happen with finite data.
    pub fn new(gram: &Gram) -> Result<Self> {
        let (p, q, n) = (gram.inputs, gram.targets, gram.rows().max(1.0));
        let x_mean = DVector::from_fn(p, |k, _| gram.at(0, 1 + k) / n);
        let y_mean = DVector::from_fn(q, |j, _| gram.at(0, 1 + p + j) / n);
        let covariance = DMatrix::from_fn(p, p, |k, l| gram.at(1 + k, 1 + l) / n - x_mean[k] * x_mean[l]);
        let cross = DMatrix::from_fn(p, q, |k, j| gram.at(1 + k, 1 + p + j) / n - x_mean[k] * y_mean[j]);
        if p == 0 {
            let none = DMatrix::zeros(0, 0);
            return Ok(Self { x_mean, y_mean, values: DVector::zeros(0), vectors: none, rotated: cross });
        }
        let Some(eigen) = SymmetricEigen::try_new(covariance, 1e-14, 10_000) else {
            return Err(Error::Internal("the eigenvalues of a covariance matrix did not converge".into()));
        };
        let rotated = eigen.eigenvectors.tr_mul(&cross);
        Ok(Self { x_mean, y_mean, values: eigen.eigenvalues, vectors: eigen.eigenvectors, rotated })
    }

    /// Intercept and weights of target `j` for the penalty λ = `ridge`. The penalty does not apply to the intercept.
    pub fn solve(&self, j: usize, ridge: f64) -> (f64, DVector<f64>) {
        let shrunk =
            DVector::from_fn(self.values.len(), |k, _| self.rotated[(k, j)] / (self.values[k].max(0.0) + ridge));
        let weights = &self.vectors * shrunk;
        (self.y_mean[j] - weights.dot(&self.x_mean), weights)
    }
}

/// Selects the penalty λ of each target by cross-validation. The candidates for λ range from 10⁻⁹ to 10 in steps of
/// half a decade (not tuned), and the one with the smallest sum of squared one-step errors over the folds is selected.
/// If there are fewer than two folds, λ is 10⁻⁶ (not tuned).
///
/// # Errors
/// Returns the same errors as [`Basis::new`].
pub fn select_penalties(folds: &[Gram], targets: usize) -> Result<Vec<f64>> {
    let used: Vec<&Gram> = folds.iter().filter(|g| g.rows() > 0.0).collect();
    if used.len() < 2 {
        return Ok(vec![1e-6; targets]);
    }
    let ridges: Vec<f64> = (-18..=2).map(|k| 10f64.powf(f64::from(k) / 2.0)).collect();
    let errors: Result<Vec<Vec<f64>>> = (0..used.len())
        .into_par_iter()
        .map(|k| {
            let mut rest = Gram::zero(used[k].inputs, targets);
            for (i, g) in used.iter().enumerate() {
                if i != k {
                    rest.add(g, 1.0);
                }
            }
            let basis = Basis::new(&rest)?;
            let error = |(j, ridge): (usize, f64)| {
                let (intercept, weights) = basis.solve(j, ridge);
                used[k].squared_error(j, intercept, &weights)
            };
            Ok((0..targets).flat_map(|j| ridges.iter().map(move |&r| (j, r))).map(error).collect())
        })
        .collect();
    let errors = errors?;
    let total = |j: usize, r: usize| errors.iter().map(|e| e[j * ridges.len() + r]).sum::<f64>();
    let best = |j: usize| (0..ridges.len()).min_by(|&a, &b| total(j, a).total_cmp(&total(j, b))).unwrap_or(0);
    Ok((0..targets).map(|j| ridges[best(j)]).collect())
}
