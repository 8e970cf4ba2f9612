//! A GP through inducing points: collapsed bound, its gradient, posterior.

use std::f64::consts::PI;

use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::prelude::{Reborrow, ReborrowMut};
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::covariance::{Blocks, GROUP, LANES, Lanes, Radial, Work, fill, inverse_lengths, squared, vectorised};
use super::factor::{cholesky, invert, square};
use super::gp::solve_columns;
use super::tile::Tile;
use crate::compute::{Inducing, Kernel, Points, Solve};

/// Rows that are projected, or whose part of the gradient is computed, together.
const ROWS: usize = 256;
/// Rows that are one task of the pass over the gradient.
const STRETCH: usize = 4096;

/// What is asked about.
#[derive(Clone, Copy)]
pub struct Model<'a> {
    pub kernel: &'a Kernel,
    pub noise: f64,
    /// Of the diagonal of K_uu, relative to the variance.
    pub jitter: f64,
    pub x: Points<'a>,
    pub y: &'a [f64],
    pub z: Points<'a>,
}

/// With L Lᵀ = K_uu, A = L⁻¹ K_uf / σ, B = I + A Aᵀ = M Mᵀ and c = M⁻¹ A y / σ the bound of Titsias (2009) is
/// −n/2 ln 2πσ² − Σ ln M_ii − yᵀy / 2σ² + ½ cᵀc − (n s² / σ² − tr A Aᵀ) / 2.
///
/// Its derivatives with respect to the kernel matrices (matrix calculus on Q = K_fu K_uu⁻¹ K_uf; α = (y − K_fu w) / σ²):
/// w αᵀ + L⁻ᵀ (I − B⁻¹) A / σ for K_uf, and −½ (w wᵀ + L⁻ᵀ (B − 2 I + B⁻¹) L⁻¹) for K_uu.
pub fn inducing(model: &Model, gradient: bool) -> Option<Inducing> {
    let Model { kernel, noise, jitter, x, y, z } = *model;
    let (n, m, sd) = (x.n, z.n, noise.sqrt());
    let mut prior = vec![0.0; m * m];
    fill(kernel, z, z, false, &mut prior);
    for i in 0..m {
        prior[i * (m + 1)] += jitter * kernel.variance;
    }
    if !cholesky(MatMut::from_column_major_slice_mut(&mut prior, m, m)) {
        return None;
    }
    let l = MatRef::from_column_major_slice(&prior, m, m);
    let a = project(model, l);
    let a = MatRef::from_column_major_slice(&a, m, n);
    let b = gram(a);
    let explained: f64 = (0..m).map(|i| b[(i, i)] - 1.0).sum();
    let mut data = b.clone();
    if !cholesky(data.as_mut()) {
        return None;
    }
    let y = MatRef::from_column_major_slice(y, n, 1);
    let mut c = Mat::zeros(m, 1);
    matmul(c.as_mut(), Accum::Replace, a, y, 1.0 / sd, Par::Seq);
    solve_lower_triangular_in_place(data.as_ref(), c.as_mut(), Par::Seq);
    let rows = n as f64;
    let determinant: f64 = (0..m).map(|i| data[(i, i)].ln()).sum();
    let value = -0.5 * rows * (2.0 * PI * noise).ln() - determinant - 0.5 * y.squared_norm_l2() / noise
        + 0.5 * c.squared_norm_l2()
        - 0.5 * (rows * kernel.variance / noise - explained);

    // M⁻ᵀ c, from which weights and fit follow
    let mut white = c;
    solve_upper_triangular_in_place(data.transpose(), white.as_mut(), Par::Seq);
    let mut weights = white.clone();
    solve_upper_triangular_in_place(l.transpose(), weights.as_mut(), Par::Seq);
    let slopes = if gradient {
        let mut alpha = Mat::from_fn(n, 1, |i, _| y[(i, 0)] / noise);
        matmul(alpha.as_mut(), Accum::Add, a.transpose(), white.as_ref(), -1.0 / sd, Par::Seq);
        slopes(model, l, a, &b, &data, &weights, &alpha)
    } else {
        Vec::new()
    };
    let lower = |m: &Mat<f64>| -> Vec<f64> {
        let size = m.nrows();
        (0..size * size).map(|at| if at % size >= at / size { m[(at % size, at / size)] } else { 0.0 }).collect()
    };
    let (weights, data) = ((0..m).map(|i| weights[(i, 0)]).collect(), lower(&data));
    for j in 1..m {
        prior[j * m..j * m + j].fill(0.0);
    }
    let finite = value.is_finite() && slopes.iter().all(|g| g.is_finite());
    finite.then_some(Inducing { value, gradient: slopes, weights, prior, data })
}

/// A = L⁻¹ K_uf / σ: `[m × n]`.
fn project(model: &Model, l: MatRef<f64>) -> Vec<f64> {
    let Model { kernel, noise, x, z, .. } = *model;
    let (m, scale) = (z.n, 1.0 / noise.sqrt());
    let mut a = vec![0.0; m * x.n];
    fill(kernel, z, x, false, &mut a);
    a.par_chunks_mut(m * ROWS).for_each(|a| {
        for v in a.iter_mut() {
            *v *= scale;
        }
        let rows = a.len() / m;
        solve_lower_triangular_in_place(l, MatMut::from_column_major_slice_mut(a, m, rows), Par::Seq);
    });
    a
}

/// I + A Aᵀ, both triangles.
fn gram(a: MatRef<f64>) -> Mat<f64> {
    let m = a.nrows();
    let mut b = Mat::identity(m, m);
    super::factor::add_square(b.as_mut(), a, 1.0);
    mirror(b.as_mut());
    b
}

/// Copies the lower triangle to the upper.
fn mirror(a: MatMut<f64>) {
    let mut a = a;
    for j in 0..a.ncols() {
        for i in 0..j {
            a[(i, j)] = a[(j, i)];
        }
    }
}

fn slopes(
    model: &Model,
    l: MatRef<f64>,
    a: MatRef<f64>,
    b: &Mat<f64>,
    data: &Mat<f64>,
    weights: &Mat<f64>,
    alpha: &Mat<f64>,
) -> Vec<f64> {
    let Model { kernel, noise, jitter, x, z, .. } = *model;
    let (n, m, d) = (x.n, z.n, kernel.lengths.len());
    let mut inverse = data.clone();
    invert(inverse.as_mut());
    square(inverse.as_mut());
    mirror(inverse.as_mut());
    let trace: f64 = (0..m).map(|i| inverse[(i, i)]).sum();
    let explained: f64 = (0..m).map(|i| b[(i, i)] - 1.0).sum();

    // L⁻ᵀ (I − B⁻¹) / σ
    let mut half = Mat::from_fn(m, m, |i, j| (f64::from(u8::from(i == j)) - inverse[(i, j)]) / noise.sqrt());
    solve_columns(l, half.as_mut(), Solve::Backward);
    // −½ (w wᵀ + L⁻ᵀ (B − 2 I + B⁻¹) L⁻¹)
    let mut own = Mat::from_fn(m, m, |i, j| b[(i, j)] - 2.0 * f64::from(u8::from(i == j)) + inverse[(i, j)]);
    solve_columns(l, own.as_mut(), Solve::Backward);
    solve_columns(l, own.transpose_mut(), Solve::Backward);
    for j in 0..m {
        for i in 0..m {
            own[(i, j)] = -0.5 * weights[(i, 0)].mul_add(weights[(j, 0)], own[(i, j)]);
        }
    }

    let scale = inverse_lengths(kernel);
    let pass = Pass { kernel, blocks: Blocks::new(z, &scale), scale: &scale, m };
    let parts: Vec<Part> = (0..n.div_ceil(STRETCH))
        .into_par_iter()
        .map(|s| {
            let mut part = Part::new(m, d);
            let mut product = Mat::zeros(m, ROWS);
            for start in (s * STRETCH..n.min((s + 1) * STRETCH)).step_by(ROWS) {
                let rows = ROWS.min(n - start);
                let mut product = product.subcols_mut(0, rows);
                let alpha = alpha.subrows(start, rows);
                matmul(product.rb_mut(), Accum::Replace, half.as_ref(), a.subcols(start, rows), 1.0, Par::Seq);
                matmul(product.rb_mut(), Accum::Add, weights.as_ref(), alpha.transpose(), 1.0, Par::Seq);
                pass.add(x, start, product.rb(), &mut part);
            }
            part
        })
        .collect();
    let mut cross = Part::new(m, d);
    for part in &parts {
        cross.merge(part);
    }
    let mut within = Part::new(m, d);
    for start in (0..m).step_by(ROWS) {
        pass.add(z, start, own.as_ref().subcols(start, ROWS.min(m - start)), &mut within);
    }

    let diagonal: f64 = (0..m).map(|i| own[(i, i)]).sum();
    let (rows, variance) = (n as f64, kernel.variance);
    let mut gradient: Vec<f64> =
        (0..d).map(|k| variance * (sum(&cross.lengths[k]) + sum(&within.lengths[k]))).collect();
    gradient.push(
        variance * (sum(&cross.variance) + sum(&within.variance) + jitter * diagonal) - 0.5 * rows * variance / noise,
    );
    let residual = alpha.squared_norm_l2() * noise;
    gradient.push(0.5 * (residual - (rows - m as f64 + trace) + rows * variance / noise - explained));
    // each inducing point stands in a row of K_uf, and in a row and a column of K_uu
    for (k, scale) in scale.iter().enumerate() {
        let lane = |part: &Part, u: usize| part.points[u / LANES * d + k][u % LANES];
        gradient.extend((0..m).map(|u| -variance * scale * (lane(&cross, u) + 2.0 * lane(&within, u))));
    }
    gradient
}

fn sum(lanes: &Lanes) -> f64 {
    lanes.iter().sum()
}

/// Sums over rows, without the variance: D∘g, D∘h Δ²/length², and for every inducing point D∘h Δ/length.
struct Part {
    variance: Lanes,
    /// `[d]`.
    lengths: Vec<Lanes>,
    /// `[block][d]`.
    points: Vec<Lanes>,
}

impl Part {
    fn new(m: usize, d: usize) -> Self {
        let zero = [0.0; LANES];
        Self { variance: zero, lengths: vec![zero; d], points: vec![zero; m.div_ceil(LANES) * d] }
    }

    fn merge(&mut self, other: &Self) {
        let own = self.lengths.iter_mut().chain(&mut self.points).chain([&mut self.variance]);
        let others = other.lengths.iter().chain(&other.points).chain([&other.variance]);
        for (a, b) in own.zip(others) {
            for l in 0..LANES {
                a[l] += b[l];
            }
        }
    }
}

/// The pass over kernels between inducing points and rows.
struct Pass<'a> {
    kernel: &'a Kernel,
    blocks: Blocks,
    scale: &'a [f64],
    m: usize,
}

impl Pass<'_> {
    /// Adds the rows of `x` from `start` on, one for each column of D.
    fn add(&self, x: Points, start: usize, d: MatRef<f64>, part: &mut Part) {
        let tile = Tile::new(x, self.scale, start, d.ncols());
        vectorised(self.kernel.family, Add { pass: self, tile: &tile, d, part });
    }

    #[inline(always)]
    fn add_group<K: Radial, const R: usize>(
        &self,
        b: usize,
        x: &[[f64; R]],
        d: MatRef<f64>,
        row: usize,
        part: &mut Part,
    ) {
        let (at, block) = (b * LANES, self.blocks.block(b));
        let mut w = [[0.0; LANES]; R];
        for (r, w) in w.iter_mut().enumerate() {
            let column = d.col(row + r);
            match column.try_as_col_major().and_then(|c| c.as_slice()[at..].first_chunk::<LANES>()) {
                Some(whole) => *w = *whole,
                None => (at..self.m).zip(w).for_each(|(i, w)| *w = column[i]),
            }
        }
        let r2 = squared(block, x);
        for r in 0..R {
            for l in 0..LANES {
                let (g, h) = K::both(r2[r][l]);
                part.variance[l] = w[r][l].mul_add(g, part.variance[l]);
                w[r][l] *= h;
            }
        }
        let points = &mut part.points[b * self.scale.len()..(b + 1) * self.scale.len()];
        for (((z, x), points), lengths) in block.iter().zip(x).zip(points).zip(&mut part.lengths) {
            for r in 0..R {
                for l in 0..LANES {
                    let off = z[l] - x[r];
                    let pull = w[r][l] * off;
                    points[l] += pull;
                    lengths[l] = pull.mul_add(off, lengths[l]);
                }
            }
        }
    }
}

/// A tile of rows on its way into the sums.
struct Add<'a> {
    pass: &'a Pass<'a>,
    tile: &'a Tile,
    d: MatRef<'a, f64>,
    part: &'a mut Part,
}

impl Work for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run<K: Radial>(self) {
        let Self { pass, tile, d, part } = self;
        for b in 0..pass.m.div_ceil(LANES) {
            let mut row = 0;
            for x in &tile.fours {
                pass.add_group::<K, GROUP>(b, x, d, row, part);
                row += GROUP;
            }
            for x in &tile.ones {
                pass.add_group::<K, 1>(b, x, d, row, part);
                row += 1;
            }
        }
    }
}
