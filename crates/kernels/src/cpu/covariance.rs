//! Covariance functions that are vectorised over blocks of eight points (one or two vector registers) and evaluated for
//! a few rows at a time.

use std::marker::PhantomData;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::kernel::{Family, Kernel, Points};
use crate::series::exp;

/// Points per block.
pub const LANES: usize = 8;
/// Number of rows that are processed each time a block of points is loaded. The sums of a group of rows fill half of
/// the sixteen vector registers.
pub const GROUP: usize = 4;
/// Upper bound to which r² is clamped. If r² equals this bound, the covariance is practically zero for all kernels, and
/// products with r² do not overflow.
const FAR: f64 = 1e5;
/// Number of kernel matrix columns per task.
const COLUMNS: usize = 64;

/// One value for each of the eight points in a block.
pub type Lanes = [f64; LANES];

/// A covariance g as a function of the squared scaled distance r², and h = −2 dg/dr². With Δ = a − b, the derivatives
/// of g are ∂g/∂ln length_k = h (Δ_k / length_k)² and ∂g/∂a_k = −h Δ_k / length_k².
pub trait Radial {
    /// g.
    fn value(r2: f64) -> f64;
    /// (g, h).
    fn both(r2: f64) -> (f64, f64);
}

pub struct SquaredExponential;
pub struct Matern52;

impl Radial for SquaredExponential {
    #[inline(always)]
    fn value(r2: f64) -> f64 {
        exp(-0.5 * r2)
    }

    #[inline(always)]
    fn both(r2: f64) -> (f64, f64) {
        let g = Self::value(r2);
        (g, g)
    }
}

impl Radial for Matern52 {
    #[inline(always)]
    fn value(r2: f64) -> f64 {
        Self::both(r2).0
    }

    #[inline(always)]
    fn both(r2: f64) -> (f64, f64) {
        let square = 5.0 * r2;
        let s = square.sqrt();
        let e = exp(-s);
        (square.mul_add(1.0 / 3.0, 1.0 + s) * e, (1.0 + s) * e * (5.0 / 3.0))
    }
}

/// A computation on covariances. The loops of the computation are compiled to wide vector instructions only if all code
/// is inlined. Therefore, every function on the call path from `run` to the loops must be `inline(always)`, and none
/// may be a closure that is passed as an argument.
pub trait Work {
    type Output;
    fn run<K: Radial>(self) -> Self::Output;
}

/// Runs `work` for a covariance family, in a version compiled for the vector instructions of this CPU.
pub fn vectorised<W: Work>(family: Family, work: W) -> W::Output {
    match family {
        Family::SquaredExponential => Arch::new().dispatch(For(work, PhantomData::<SquaredExponential>)),
        Family::Matern52 => Arch::new().dispatch(For(work, PhantomData::<Matern52>)),
    }
}

struct For<W, K>(W, PhantomData<K>);

impl<W: Work, K: Radial> WithSimd for For<W, K> {
    type Output = W::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> W::Output {
        self.0.run::<K>()
    }
}

/// Points divided by the length-scales, stored in contiguous blocks of eight points as `[block][d][8]`. The remaining
/// lanes of the last block are filled with copies of the last point.
#[derive(Debug)]
pub struct Blocks {
    pub values: Vec<Lanes>,
    pub d: usize,
}

impl Blocks {
    pub fn new(points: Points, inverse: &[f64]) -> Self {
        let (d, n) = (inverse.len(), points.n);
        let mut values = Vec::with_capacity(n.div_ceil(LANES) * d);
        for start in (0..n).step_by(LANES) {
            for (k, inverse) in inverse.iter().enumerate() {
                let column = &points.values[k * n..(k + 1) * n];
                values.push(match column[start..].first_chunk::<LANES>() {
                    Some(lanes) => lanes.map(|v| v * inverse),
                    None => std::array::from_fn(|l| column[(start + l).min(n - 1)] * inverse),
                });
            }
        }
        Self { values, d }
    }

    /// Block `b`: `[d]`.
    pub fn block(&self, b: usize) -> &[Lanes] {
        &self.values[b * self.d..(b + 1) * self.d]
    }
}

/// Divides R rows of `points`, starting at `start`, by the length-scales, and writes the quotients to `to` as `[d][R]`.
pub fn gather<const R: usize>(points: Points, inverse: &[f64], start: usize, to: &mut Vec<[f64; R]>) {
    to.clear();
    let columns = points.values.chunks_exact(points.n.max(1));
    to.extend(columns.zip(inverse).map(|(column, inverse)| std::array::from_fn(|r| column[start + r] * inverse)));
}

/// Computes the squared scaled distances between R rows and the points of a block.
#[inline(always)]
pub fn squared<const R: usize>(block: &[Lanes], rows: &[[f64; R]]) -> [Lanes; R] {
    let mut r2 = [[0.0; LANES]; R];
    for (z, x) in block.iter().zip(rows) {
        for r in 0..R {
            for l in 0..LANES {
                let difference = z[l] - x[r];
                r2[r][l] = difference.mul_add(difference, r2[r][l]);
            }
        }
    }
    for lanes in &mut r2 {
        for v in lanes {
            *v = if *v > FAR { FAR } else { *v };
        }
    }
    r2
}

/// Returns the sum of all lanes, computed by pairwise summation.
#[inline(always)]
pub fn total(lanes: &Lanes) -> f64 {
    let [a, b, c, d, e, f, g, h] = *lanes;
    ((a + e) + (b + f)) + ((c + g) + (d + h))
}

/// 1 / lengths.
pub fn inverse_lengths(kernel: &Kernel) -> Vec<f64> {
    kernel.lengths.iter().map(|l| 1.0 / l).collect()
}

/// `out[i + j n] = k(a_i, b_j)`. If `upper` is true, only the blocks on or above the diagonal are written.
pub fn fill(kernel: &Kernel, a: Points, b: Points, upper: bool, out: &mut [f64]) {
    let n = a.n;
    if n == 0 {
        return;
    }
    let inverse = inverse_lengths(kernel);
    let blocks = Blocks::new(a, &inverse);
    out.par_chunks_mut(COLUMNS * n).enumerate().for_each(|(chunk, out)| {
        let start = chunk * COLUMNS;
        let variance = kernel.variance;
        vectorised(kernel.family, Columns { variance, blocks: &blocks, n, b, inverse: &inverse, start, upper, out });
    });
}

/// Computes the columns of a kernel matrix, starting at column `start`.
struct Columns<'a> {
    variance: f64,
    blocks: &'a Blocks,
    n: usize,
    b: Points<'a>,
    inverse: &'a [f64],
    start: usize,
    upper: bool,
    out: &'a mut [f64],
}

impl Work for Columns<'_> {
    type Output = ();

    #[inline(always)]
    fn run<K: Radial>(self) {
        let Self { variance, blocks, n, b, inverse, start, upper, out } = self;
        let (mut four, mut one) = (Vec::new(), Vec::new());
        let mut groups = out.chunks_exact_mut(GROUP * n);
        let mut j = start;
        for out in groups.by_ref() {
            gather::<GROUP>(b, inverse, j, &mut four);
            group::<K, GROUP>(variance, blocks, n, &four, if upper { j + GROUP } else { n }, out);
            j += GROUP;
        }
        for out in groups.into_remainder().chunks_exact_mut(n) {
            gather::<1>(b, inverse, j, &mut one);
            group::<K, 1>(variance, blocks, n, &one, if upper { j + 1 } else { n }, out);
            j += 1;
        }
    }
}

/// Computes R columns of a kernel matrix, down to the block that contains row `end - 1`.
#[inline(always)]
fn group<K: Radial, const R: usize>(
    variance: f64,
    blocks: &Blocks,
    n: usize,
    rows: &[[f64; R]],
    end: usize,
    out: &mut [f64],
) {
    for b in 0..end.min(n).div_ceil(LANES) {
        let mut k = squared(blocks.block(b), rows);
        for lanes in &mut k {
            for v in lanes {
                *v = variance * K::value(*v);
            }
        }
        let at = b * LANES;
        for (r, k) in k.iter().enumerate() {
            let out = &mut out[r * n..(r + 1) * n][at..n.min(at + LANES)];
            out.copy_from_slice(&k[..out.len()]);
        }
    }
}
