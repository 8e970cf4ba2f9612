//! Computes, in one pass over the rows, weighted sums of the derivatives of the kernels between inducing points and
//! rows.
//!
//! The kernel is variance · g(r²), with h = −2 dg/dr² and Δ = z − x. Given the weights D `[m × rows]`, the sums are Σ D
//! g, Σ D h (Δ_k / length_k)² and, for each inducing point, Σ D h Δ_k / length_k.

use faer::MatRef;

use super::covariance::{Blocks, GROUP, LANES, Lanes, Radial, Work, squared, vectorised};
use super::tile::Tile;
use crate::kernel::{Kernel, Points};

/// Sums of weighted derivatives, before multiplication by the kernel variance.
pub struct Derivatives {
    /// Σ D g.
    variance: Lanes,
    /// Σ D h (Δ_k / length_k)²: `[d]`.
    lengths: Vec<Lanes>,
    /// Σ D h Δ_k / length_k for each inducing point, `[block][d]`.
    points: Vec<Lanes>,
}

impl Derivatives {
    pub fn new(m: usize, d: usize) -> Self {
        let zero = [0.0; LANES];
        Self { variance: zero, lengths: vec![zero; d], points: vec![zero; m.div_ceil(LANES) * d] }
    }

    pub fn merge(&mut self, other: &Self) {
        let own = self.lengths.iter_mut().chain(&mut self.points).chain([&mut self.variance]);
        let others = other.lengths.iter().chain(&other.points).chain([&other.variance]);
        for (a, b) in own.zip(others) {
            for l in 0..LANES {
                a[l] += b[l];
            }
        }
    }

    pub fn variance(&self) -> f64 {
        self.variance.iter().sum()
    }

    pub fn length(&self, k: usize) -> f64 {
        self.lengths[k].iter().sum()
    }

    pub fn point(&self, u: usize, k: usize) -> f64 {
        self.points[u / LANES * self.lengths.len() + k][u % LANES]
    }
}

/// Inputs that stay constant during a pass over the kernels between inducing points and rows.
pub struct Pass<'a> {
    pub kernel: &'a Kernel,
    /// The inducing points.
    pub blocks: Blocks,
    /// 1 / lengths.
    pub scale: &'a [f64],
    /// Number of inducing points.
    pub m: usize,
}

impl Pass<'_> {
    /// Adds the contributions of the rows of `x` with weights `d` `[m × rows]` to `sums`.
    pub fn add(&self, x: Points, d: MatRef<f64>, sums: &mut Derivatives) {
        let tile = Tile::new(x, self.scale, 0, x.n);
        vectorised(self.kernel.family, Add { pass: self, tile: &tile, d, sums });
    }

    #[inline(always)]
    fn add_group<K: Radial, const R: usize>(
        &self,
        b: usize,
        x: &[[f64; R]],
        d: MatRef<f64>,
        row: usize,
        sums: &mut Derivatives,
    ) {
        let (at, block) = (b * LANES, self.blocks.block(b));
        let mut w = [[0.0; LANES]; R];
        for (r, w) in w.iter_mut().enumerate() {
            let column = d.col(row + r);
            match column.try_as_col_major().and_then(|c| c.as_slice()[at..].first_chunk::<LANES>()) {
                Some(full) => *w = *full,
                None => *w = std::array::from_fn(|l| if at + l < self.m { column[at + l] } else { 0.0 }),
            }
        }
        let r2 = squared(block, x);
        for r in 0..R {
            for l in 0..LANES {
                let (g, h) = K::both(r2[r][l]);
                sums.variance[l] = w[r][l].mul_add(g, sums.variance[l]);
                w[r][l] *= h;
            }
        }
        let points = &mut sums.points[b * self.scale.len()..(b + 1) * self.scale.len()];
        for (((z, x), points), lengths) in block.iter().zip(x).zip(points).zip(&mut sums.lengths) {
            // The compiler keeps local copies of the sums in registers.
            let (mut point, mut length) = (*points, *lengths);
            for r in 0..R {
                for l in 0..LANES {
                    let difference = z[l] - x[r];
                    let weighted = w[r][l] * difference;
                    point[l] += weighted;
                    length[l] = weighted.mul_add(difference, length[l]);
                }
            }
            (*points, *lengths) = (point, length);
        }
    }
}

/// Adds the contributions of a tile of rows to the sums.
struct Add<'a> {
    pass: &'a Pass<'a>,
    tile: &'a Tile,
    d: MatRef<'a, f64>,
    sums: &'a mut Derivatives,
}

impl Work for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run<K: Radial>(self) {
        let Self { pass, tile, d, sums } = self;
        for b in 0..pass.m.div_ceil(LANES) {
            let mut row = 0;
            for x in &tile.fours {
                pass.add_group::<K, GROUP>(b, x, d, row, sums);
                row += GROUP;
            }
            for x in &tile.ones {
                pass.add_group::<K, 1>(b, x, d, row, sums);
                row += 1;
            }
        }
    }
}
