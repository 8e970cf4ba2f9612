//! Samples from a stationary GP prior, computed with random Fourier features (Rahimi & Recht 2007).
//!
//! By Bochner's theorem, a stationary kernel is the Fourier transform of its spectral density. If the frequencies ω_i
//! are drawn from the spectral density and the phases b_i are random, the covariance over draws of f(x) = Σ_i a_i cos
//! 2π(ω_i·x + b_i), i = 1 … F, equals the kernel. Evaluating f takes O(F d) operations per row.

use std::f64::consts::TAU;

use pulp::{Arch, Simd, WithSimd};

use crate::cpu::covariance::{GROUP, LANES, Lanes, inverse_lengths, total};
use crate::cpu::tile::Tile;
use crate::kernel::{Family, Kernel, Points};
use crate::rng::Key;
use crate::series::cos_turns;

/// Rows per tile, chosen so that a tile fits into the L1 cache (not tuned).
const ROWS: usize = 64;

/// One sample function from the prior, f(x) = Σ_i a_i cos 2π(ω_i·x + b_i).
///
/// The spectral density is a normal distribution for the squared exponential kernel, and a multivariate t distribution
/// with 5 degrees of freedom for the Matérn-5/2 kernel. A sine and a cosine with independent normal weights are
/// equivalent to one cosine with a Rayleigh-distributed amplitude and a uniform phase. With Rayleigh-distributed
/// amplitudes, the variance of f equals that of the kernel at every x.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomFourierFeatures {
    /// The inverse length-scales, `[d]`.
    inverse: Vec<f64>,
    /// Frequencies in turns per length-scale, `[block][d]`.
    frequencies: Vec<Lanes>,
    /// Phases in turns, `[block]`.
    phases: Vec<Lanes>,
    /// Amplitudes, `[block]`.
    amplitudes: Vec<Lanes>,
}

impl RandomFourierFeatures {
    /// Draws a sample function with at least `features` cosines from the random stream `key`.
    pub fn new(kernel: &Kernel, features: usize, key: Key) -> Self {
        let (d, blocks) = (kernel.lengths.len(), features.div_ceil(LANES).max(1));
        let scale = (kernel.variance / (blocks * LANES) as f64).sqrt();
        let mut draw = Self {
            inverse: inverse_lengths(kernel),
            frequencies: vec![[0.0; LANES]; blocks * d],
            phases: vec![[0.0; LANES]; blocks],
            amplitudes: vec![[0.0; LANES]; blocks],
        };
        for i in 0..blocks * LANES {
            let (key, b, l) = (key.fold(i as u64), i / LANES, i % LANES);
            let squares = |from: u64, n: u64| (from..from + n).map(|j| key.normal(j).powi(2)).sum::<f64>();
            let tail = match kernel.family {
                Family::SquaredExponential => 1.0,
                Family::Matern52 => (5.0 / squares(3, 5)).sqrt(),
            };
            draw.phases[b][l] = key.uniform(0);
            draw.amplitudes[b][l] = scale * squares(1, 2).sqrt();
            for k in 0..d {
                draw.frequencies[b * d + k][l] = key.normal(8 + k as u64) * tail / TAU;
            }
        }
        draw
    }

    /// `out[r] += f(x_r)`. The result for a row does not depend on the other rows.
    pub fn add(&self, x: Points, out: &mut [f64]) {
        for (t, out) in out.chunks_mut(ROWS).enumerate() {
            let tile = Tile::new(x, &self.inverse, t * ROWS, out.len());
            Arch::new().dispatch(Values { draw: self, tile: &tile, out });
        }
    }

    /// Computes the arguments ω·x + b (in turns) of a block of cosines at R rows.
    #[inline(always)]
    fn turns<const R: usize>(&self, block: usize, x: &[[f64; R]]) -> [Lanes; R] {
        let mut turns = [self.phases[block]; R];
        for (w, x) in self.frequencies[block * x.len()..(block + 1) * x.len()].iter().zip(x) {
            for r in 0..R {
                for l in 0..LANES {
                    turns[r][l] = w[l].mul_add(x[r], turns[r][l]);
                }
            }
        }
        turns
    }

    #[inline(always)]
    fn values<const R: usize>(&self, x: &[[f64; R]], out: &mut [f64]) {
        let mut sums = [[0.0; LANES]; R];
        for (b, a) in self.amplitudes.iter().enumerate() {
            let turns = self.turns(b, x);
            for r in 0..R {
                for l in 0..LANES {
                    sums[r][l] = a[l].mul_add(cos_turns(turns[r][l]), sums[r][l]);
                }
            }
        }
        for r in 0..R {
            out[r] += total(&sums[r]);
        }
    }
}

struct Values<'a> {
    draw: &'a RandomFourierFeatures,
    tile: &'a Tile,
    out: &'a mut [f64],
}

impl WithSimd for Values<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { draw, tile, out } = self;
        let mut row = 0;
        for x in &tile.fours {
            draw.values::<GROUP>(x, &mut out[row..]);
            row += GROUP;
        }
        for x in &tile.ones {
            draw.values::<1>(x, &mut out[row..]);
            row += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Backend, Cpu};

    #[test]
    fn draws_have_the_covariance_of_the_kernel() {
        let x = [0.0, 0.3, 1.5, -0.2, 0.4, 2.0];
        let points = Points { values: &x, n: 3 };
        for family in [Family::SquaredExponential, Family::Matern52] {
            let kernel = Kernel { family, variance: 2.0, lengths: vec![0.8, 1.3] };
            let draws = 4000;
            let mut sums = [0.0; 9];
            for m in 0..draws {
                let mut f = [0.0; 3];
                RandomFourierFeatures::new(&kernel, 64, Key::new(3).fold(m)).add(points, &mut f);
                (0..9).for_each(|at| sums[at] += f[at % 3] * f[at / 3] / draws as f64);
            }
            let mut exact = [0.0; 9];
            Cpu.kernel(&kernel, points, points, &mut exact).unwrap();
            for (s, e) in sums.iter().zip(exact) {
                assert!((s - e).abs() < 0.12, "{family:?}: {sums:?} {exact:?}");
            }
        }
    }

    #[test]
    fn rows_are_independent_and_values_are_finite() {
        let (d, n) = (3, 7);
        let mut x = vec![0.0; d * n];
        Key::new(1).fill_normal(&mut x);
        let kernel = Kernel { family: Family::Matern52, variance: 1.5, lengths: vec![0.5, 1.0, 2.0] };
        let draw = RandomFourierFeatures::new(&kernel, 100, Key::new(2));
        let value = |x: &[f64], n: usize| {
            let mut out = vec![0.0; n];
            draw.add(Points { values: x, n }, &mut out);
            out
        };
        let all = value(&x, n);
        for r in 0..n {
            let row: Vec<f64> = (0..d).map(|k| x[k * n + r]).collect();
            assert_eq!(value(&row, 1)[0].to_bits(), all[r].to_bits());
        }
        assert!(value(&[1e300; 3], 1)[0].is_finite());
    }
}
