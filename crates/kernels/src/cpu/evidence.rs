//! Computes the log marginal likelihood of an exact GP and its gradient (Rasmussen & Williams 2006, eq. 5.8 and 5.9).
//!
//! With A = K + σ²I = L Lᵀ and α = A⁻¹ y, the log marginal likelihood is −½ yᵀα − Σ_i ln L_ii − n/2 ln 2π, and its
//! derivative with respect to a hyperparameter θ is ½ tr((α αᵀ − A⁻¹) ∂A/∂θ).

use std::cmp::Ordering;
use std::f64::consts::PI;
use std::ops::Range;

use faer::prelude::ReborrowMut;
use faer::{MatMut, MatRef};
use rayon::prelude::*;

use super::covariance::{
    Blocks, GROUP, LANES, Lanes, Radial, Work, fill, gather, inverse_lengths, squared, vectorised,
};
use super::factor::{factor, invert, square, symmetrise};
use super::triangular::solve_columns;
use crate::kernel::{Evidence, Kernel, Points, Solve};

/// Number of matrix columns per task when the gradient is computed.
const COLUMNS: usize = 64;

/// Computes the log marginal likelihood and its gradient in n³ floating-point operations. The Cholesky factor, its
/// inverse and A⁻¹ successively occupy the same buffer. The distances are recomputed for the gradient instead of being
/// stored.
pub fn evidence(kernel: &Kernel, noise: f64, x: Points, y: &[f64]) -> Option<Evidence> {
    let n = x.n;
    let mut a = vec![0.0; n * n];
    fill(kernel, x, x, true, &mut a);
    for i in 0..n {
        a[i * (n + 1)] += noise;
    }
    let mut m = MatMut::from_column_major_slice_mut(&mut a, n, n);
    if !factor(m.rb_mut()) {
        return None;
    }
    symmetrise(m.rb_mut());
    let mut alpha = y.to_vec();
    solve_columns(m.as_ref(), MatMut::from_column_major_slice_mut(&mut alpha, n, 1), Solve::Both);
    let fit: f64 = y.iter().zip(&alpha).map(|(y, a)| y * a).sum();
    let determinant: f64 = (0..n).map(|i| m[(i, i)].ln()).sum();
    let value = -0.5 * fit - determinant - 0.5 * n as f64 * (2.0 * PI).ln();
    invert(m.rb_mut());
    square(m.rb_mut());
    let gradient = gradient(kernel, noise, x, &alpha, m.as_ref());
    let finite = value.is_finite() && gradient.iter().all(|g| g.is_finite());
    finite.then_some(Evidence { value, gradient })
}

/// Partial sums of the gradient over a range of columns.
struct Sums {
    /// Partial sums of the derivatives with respect to the logarithms of the lengths, `[d]`.
    lengths: Vec<Lanes>,
    /// Partial sum of the derivative with respect to the logarithm of the variance.
    variance: Lanes,
}

/// Computes the gradient. `inverse` is the lower triangle of A⁻¹.
fn gradient(kernel: &Kernel, noise: f64, x: Points, alpha: &[f64], inverse: MatRef<f64>) -> Vec<f64> {
    let n = x.n;
    let scale = inverse_lengths(kernel);
    let blocks = Blocks::new(x, &scale);
    let parts: Vec<Sums> = (0..n.div_ceil(COLUMNS))
        .into_par_iter()
        .map(|chunk| {
            let columns = chunk * COLUMNS..n.min((chunk + 1) * COLUMNS);
            vectorised(kernel.family, ColumnRange { blocks: &blocks, x, scale: &scale, alpha, inverse, columns })
        })
        .collect();
    let total = |lanes: &dyn Fn(&Sums) -> Lanes| kernel.variance * parts.iter().flat_map(lanes).sum::<f64>();
    let mut gradient: Vec<f64> = (0..scale.len()).map(|k| total(&|p| p.lengths[k])).collect();
    gradient.push(total(&|p| p.variance));
    gradient.push(0.5 * noise * (0..n).map(|i| alpha[i] * alpha[i] - inverse[(i, i)]).sum::<f64>());
    gradient
}

struct ColumnRange<'a> {
    blocks: &'a Blocks,
    x: Points<'a>,
    scale: &'a [f64],
    alpha: &'a [f64],
    inverse: MatRef<'a, f64>,
    columns: Range<usize>,
}

impl Work for ColumnRange<'_> {
    type Output = Sums;

    #[inline(always)]
    fn run<K: Radial>(self) -> Sums {
        let Self { blocks, x, scale, alpha, inverse, columns } = self;
        let mut sums = Sums { lengths: vec![[0.0; LANES]; scale.len()], variance: [0.0; LANES] };
        let (mut four, mut one) = (Vec::new(), Vec::new());
        let mut j = columns.start;
        while j + GROUP <= columns.end {
            gather::<GROUP>(x, scale, j, &mut four);
            group::<K, GROUP>(blocks, &four, alpha, inverse, j, &mut sums);
            j += GROUP;
        }
        while j < columns.end {
            gather::<1>(x, scale, j, &mut one);
            group::<K, 1>(blocks, &one, alpha, inverse, j, &mut sums);
            j += 1;
        }
        sums
    }
}

/// Adds the elements on and below the diagonal in columns j..j + R. By symmetry, elements below the diagonal count
/// twice, which cancels the factor ½ before the trace. Diagonal elements have the weight ½.
#[inline(always)]
fn group<K: Radial, const R: usize>(
    blocks: &Blocks,
    rows: &[[f64; R]],
    alpha: &[f64],
    inverse: MatRef<f64>,
    j: usize,
    sums: &mut Sums,
) {
    let n = alpha.len();
    for b in j / LANES..n.div_ceil(LANES) {
        let (at, block) = (b * LANES, blocks.block(b));
        let mut w = [[0.0; LANES]; R];
        for (r, w) in w.iter_mut().enumerate() {
            let column = inverse.col(j + r);
            let full = column.try_as_col_major().and_then(|c| c.as_slice()[at..].first_chunk::<LANES>());
            match (full, alpha[at..].first_chunk::<LANES>()) {
                (Some(k), Some(a)) if at > j + r => {
                    for l in 0..LANES {
                        w[l] = a[l].mul_add(alpha[j + r], -k[l]);
                    }
                }
                // This branch handles the diagonal and the lanes beyond the last point.
                _ => {
                    *w = std::array::from_fn(|l| {
                        let weight = match (at + l).cmp(&(j + r)) {
                            Ordering::Greater if at + l < n => 1.0,
                            Ordering::Equal => 0.5,
                            _ => return 0.0,
                        };
                        weight * (alpha[at + l] * alpha[j + r] - column[at + l])
                    });
                }
            }
        }
        let r2 = squared(block, rows);
        for r in 0..R {
            for l in 0..LANES {
                let (g, h) = K::both(r2[r][l]);
                sums.variance[l] = w[r][l].mul_add(g, sums.variance[l]);
                w[r][l] *= h;
            }
        }
        for ((z, x), sum) in block.iter().zip(rows).zip(&mut sums.lengths) {
            // The compiler keeps a local copy of the sum in registers.
            let mut length = *sum;
            for r in 0..R {
                for l in 0..LANES {
                    let difference = z[l] - x[r];
                    length[l] = (w[r][l] * difference).mul_add(difference, length[l]);
                }
            }
            *sum = length;
        }
    }
}
