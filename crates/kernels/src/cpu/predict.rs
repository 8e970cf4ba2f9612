//! Evaluates GP functions at many rows: weighted sums of kernels, and the posterior variance. The rows are processed in
//! tiles that stay in the L1 cache.

use rayon::prelude::*;

use super::covariance::{Blocks, GROUP, LANES, Lanes, Radial, Work, inverse_lengths, squared, total, vectorised};
use super::tile::Tile;
use crate::kernel::{GpFunctions, Points};

/// Rows per tile.
const ROWS: usize = 64;
/// Number of blocks of points that are processed together for a tile.
const CHUNK: usize = 8;
/// Minimum number of kernel evaluations for which a call uses several threads (not tuned).
const PARALLEL: usize = 1 << 18;

/// The GP functions in the layout that the loops require.
struct Prepared<'a> {
    gp: &'a GpFunctions<'a>,
    inverse: Vec<f64>,
    blocks: Blocks,
    /// Weights `[block][columns]`, with zeros beyond the last point.
    weights: Vec<Lanes>,
    columns: usize,
}

impl<'a> Prepared<'a> {
    fn new(gp: &'a GpFunctions<'a>) -> Self {
        let n = gp.points.n;
        let inverse = inverse_lengths(gp.kernel);
        let blocks = Blocks::new(gp.points, &inverse);
        let columns = gp.weights.len() / n;
        let lanes = |b: usize, c: usize| {
            let column = &gp.weights[c * n..(c + 1) * n];
            std::array::from_fn(|l| column.get(b * LANES + l).copied().unwrap_or(0.0))
        };
        let weights = (0..n.div_ceil(LANES)).flat_map(|b| (0..columns).map(move |c| lanes(b, c))).collect();
        Self { gp, inverse, blocks, weights, columns }
    }

    /// Number of blocks.
    fn count(&self) -> usize {
        self.gp.points.n.div_ceil(LANES)
    }
}

/// Calls `task` with the index of each tile of rows, and then passes the results to `collect` in order. The calls run
/// in parallel if there are many kernel evaluations.
fn tiles<T: Send>(
    rows: usize,
    points: usize,
    task: impl Fn(usize) -> T + Send + Sync,
    mut collect: impl FnMut(usize, T),
) {
    let count = rows.div_ceil(ROWS);
    if rows * points < PARALLEL {
        (0..count).for_each(|t| collect(t, task(t)));
        return;
    }
    let done: Vec<T> = (0..count).into_par_iter().map(task).collect();
    done.into_iter().enumerate().for_each(|(t, part)| collect(t, part));
}

/// Implements [`crate::Backend::gp_predict`] for at least one point.
pub fn predict(gp: &GpFunctions, x: Points, out: &mut [f64], mut variance: Option<&mut [f64]>) {
    let prepared = Prepared::new(gp);
    let columns = prepared.columns;
    let precision = variance.as_ref().and(gp.precision);
    let task = |t: usize| {
        let rows = ROWS.min(x.n - t * ROWS);
        let tile = Tile::new(x, &prepared.inverse, t * ROWS, rows);
        vectorised(gp.kernel.family, Sums { prepared: &prepared, tile: &tile, precision })
    };
    tiles(x.n, gp.points.n, task, |t, (sums, explained): (Vec<f64>, Vec<f64>)| {
        for (r, sums) in sums.chunks_exact(columns.max(1)).enumerate() {
            for (c, sum) in sums.iter().enumerate() {
                out[c * x.n + t * ROWS + r] = *sum;
            }
        }
        if let Some(variance) = &mut variance {
            for (v, e) in variance[t * ROWS..].iter_mut().zip(explained) {
                *v = gp.kernel.variance - e;
            }
        }
    });
}

/// Computes Σ_i k(x_r, z_i) w_ci `[rows][columns]` and, if P is given, k_rᵀ P k_r `[rows]`.
struct Sums<'a> {
    prepared: &'a Prepared<'a>,
    tile: &'a Tile,
    precision: Option<&'a [f64]>,
}

impl Work for Sums<'_> {
    type Output = (Vec<f64>, Vec<f64>);

    #[inline(always)]
    fn run<K: Radial>(self) -> Self::Output {
        let Self { prepared, tile, precision } = self;
        let (columns, count) = (prepared.columns, prepared.count());
        let rows = tile.fours.len() * GROUP + tile.ones.len();
        let mut sums = vec![[0.0; LANES]; rows * columns];
        let mut kernels = vec![[0.0; LANES]; if precision.is_some() { rows * count } else { 0 }];
        for start in (0..count).step_by(CHUNK) {
            let chunk = start..count.min(start + CHUNK);
            let mut row = 0;
            for x in &tile.fours {
                group::<K, GROUP>(prepared, chunk.clone(), x, row, &mut sums, &mut kernels);
                row += GROUP;
            }
            for x in &tile.ones {
                group::<K, 1>(prepared, chunk.clone(), x, row, &mut sums, &mut kernels);
                row += 1;
            }
        }
        let explained = match precision {
            Some(precision) => quadratic(&kernels, count, rows, prepared.gp.points.n, precision),
            None => Vec::new(),
        };
        (sums.iter().map(total).collect(), explained)
    }
}

#[inline(always)]
fn group<K: Radial, const R: usize>(
    prepared: &Prepared,
    chunk: std::ops::Range<usize>,
    x: &[[f64; R]],
    row: usize,
    sums: &mut [Lanes],
    kernels: &mut [Lanes],
) {
    let (columns, count) = (prepared.columns, prepared.count());
    for b in chunk {
        let mut k = squared(prepared.blocks.block(b), x);
        for lanes in &mut k {
            for v in lanes {
                *v = prepared.gp.kernel.variance * K::value(*v);
            }
        }
        let weights = &prepared.weights[b * columns..(b + 1) * columns];
        for (r, k) in k.iter().enumerate() {
            let sums = &mut sums[(row + r) * columns..(row + r + 1) * columns];
            for (sum, w) in sums.iter_mut().zip(weights) {
                for l in 0..LANES {
                    sum[l] = k[l].mul_add(w[l], sum[l]);
                }
            }
        }
        if !kernels.is_empty() {
            for (r, k) in k.iter().enumerate() {
                kernels[(row + r) * count + b] = *k;
            }
        }
    }
}

/// Computes k_rᵀ P k_r for the kernels `[rows][count]`. The columns of P are applied to all rows, four columns at a
/// time.
#[inline(always)]
fn quadratic(kernels: &[Lanes], count: usize, rows: usize, n: usize, precision: &[f64]) -> Vec<f64> {
    let mut sums = vec![[0.0; LANES]; rows];
    let blocks = n / LANES;
    for j in (0..n).step_by(GROUP) {
        // Missing columns are replaced by copies of the last column, whose products are multiplied by zero below.
        let columns: [&[f64]; GROUP] = std::array::from_fn(|c| &precision[(j + c).min(n - 1) * n..][..n]);
        let [p0, p1, p2, p3] = columns.map(|c| &c.as_chunks::<LANES>().0[..blocks]);
        let ends: [Lanes; GROUP] =
            columns.map(|c| std::array::from_fn(|l| if l < n % LANES { c[blocks * LANES + l] } else { 0.0 }));
        for (k, sum) in kernels.chunks_exact(count).zip(&mut sums) {
            let mut products = [[0.0; LANES]; GROUP];
            for ((((k, p0), p1), p2), p3) in k.iter().zip(p0).zip(p1).zip(p2).zip(p3) {
                for (product, p) in products.iter_mut().zip([p0, p1, p2, p3]) {
                    for l in 0..LANES {
                        product[l] = p[l].mul_add(k[l], product[l]);
                    }
                }
            }
            let end = k[count - 1];
            for c in 0..GROUP {
                let at = j + c;
                let own = if at < n { k[at / LANES][at % LANES] } else { 0.0 };
                for l in 0..LANES {
                    let product = ends[c][l].mul_add(end[l], products[c][l]);
                    sum[l] = product.mul_add(own, sum[l]);
                }
            }
        }
    }
    sums.iter().map(total).collect()
}
