//! A counter-based random number generator, which is the only source of randomness in `twinopt`.
//!
//! A [`Key`] identifies a stream. Number i of a stream depends only on (key, i), so a key gives the same numbers on any
//! thread and in any order, like a key in JAX. [`Key::fold`] derives a new stream. A stream has no mutable state.

/// A stream of random numbers, computed by applying the finaliser of SplitMix64 (Steele, Lea & Flood 2014) to the key
/// and a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(u64);

impl Key {
    #[inline]
    pub fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x9E37_79B9_7F4A_7C15))
    }

    /// Derives a new stream from `self` and `data`, such as the index of a step, a particle or a case.
    #[must_use]
    #[inline]
    pub fn fold(self, data: u64) -> Self {
        Self(mix(self.0 ^ mix(data.wrapping_add(0xD1B5_4A32_D192_ED03))))
    }

    /// Number `i` of the stream, as 64 random bits.
    #[inline]
    pub fn bits(self, i: u64) -> u64 {
        mix(self.0.wrapping_add(i.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15)))
    }

    /// Number `i` of the stream, uniformly distributed in the open interval (0, 1).
    #[inline]
    pub fn uniform(self, i: u64) -> f64 {
        ((self.bits(i) >> 11) as f64 + 0.5) * (1.0 / (1u64 << 53) as f64)
    }

    /// Number `i` of the stream, as a standard normal variate: [`normal_quantile`] of [`Key::uniform`].
    #[inline]
    pub fn normal(self, i: u64) -> f64 {
        normal_quantile(self.uniform(i))
    }

    /// Number `i` of the stream, converted to an integer in `0..n`.
    #[inline]
    pub fn below(self, i: u64, n: usize) -> usize {
        ((u128::from(self.bits(i)) * n as u128) >> 64) as usize
    }

    /// Fills `out` with the first `out.len()` numbers of the stream, converted to standard normal variates.
    pub fn fill_normal(self, out: &mut [f64]) {
        for (i, o) in out.iter_mut().enumerate() {
            *o = self.normal(i as u64);
        }
    }
}

#[inline]
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Quantile function of the standard normal distribution, with a relative error below 1.2e-9. Rational approximation of
/// P. J. Acklam (2003).
pub fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] =
        [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416];
    let tail = |q: f64| {
        (((((C[0] * q + C[1]) * q + C[2]) * q + C[3]) * q + C[4]) * q + C[5])
            / ((((D[0] * q + D[1]) * q + D[2]) * q + D[3]) * q + 1.0)
    };
    if p < 0.02425 {
        tail((-2.0 * p.ln()).sqrt())
    } else if p > 1.0 - 0.02425 {
        -tail((-2.0 * (1.0 - p).ln()).sqrt())
    } else {
        let q = p - 0.5;
        let r = q * q;
        (((((A[0] * r + A[1]) * r + A[2]) * r + A[3]) * r + A[4]) * r + A[5]) * q
            / (((((B[0] * r + B[1]) * r + B[2]) * r + B[3]) * r + B[4]) * r + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normals_have_the_moments_of_a_standard_normal() {
        let mut z = vec![0.0; 200_000];
        Key::new(7).fill_normal(&mut z);
        let n = z.len() as f64;
        let mean = z.iter().sum::<f64>() / n;
        let var = z.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        let kurt = z.iter().map(|v| (v - mean).powi(4)).sum::<f64>() / n / var.powi(2);
        assert!(mean.abs() < 0.01 && (var - 1.0).abs() < 0.02 && (kurt - 3.0).abs() < 0.08, "{mean} {var} {kurt}");
    }

    #[test]
    fn keys_give_different_streams_and_repeat() {
        let k = Key::new(1);
        assert_ne!(k.fold(0).bits(0), k.fold(1).bits(0));
        assert_eq!(k.fold(3).normal(9), Key::new(1).fold(3).normal(9));
        assert!((normal_quantile(0.975) - 1.959_963_985).abs() < 1e-8);
        assert!((0..1000).all(|i| k.below(i, 7) < 7));
    }
}
