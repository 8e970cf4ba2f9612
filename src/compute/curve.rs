//! Exponential, logistic and softplus curves on whole registers, single precision.

use pulp::{Arch, Simd, WithSimd};

/// 1.5 · 2²³: adding it rounds to an integer, which is then in the low bits.
const ROUND: f32 = 12_582_912.0;
/// (2^f − 1) / f on [−½, ½], interpolated at Chebyshev points: relative error of 2^f below 1e-8.
const EXP2: [f32; 6] = [6.931_472e-1, 2.402_265_1e-1, 5.550_357e-2, 9.618_083e-3, 1.339_086_3e-3, 1.545_316_3e-4];
/// ln(1 + u) / u on [0, 1], interpolated at Chebyshev points: relative error below 2e-8.
const LN1P: [f32; 10] = [
    1.0,
    -4.999_989_3e-1,
    3.332_971e-1,
    -2.495_161_6e-1,
    1.966_327_4e-1,
    -1.526_966_7e-1,
    1.054_362_4e-1,
    -5.637_361e-2,
    1.954_252_7e-2,
    -3.176_057e-3,
];

/// Horner's rule.
#[inline(always)]
fn polynomial<S: Simd>(s: S, x: S::f32s, c: &[f32]) -> S::f32s {
    let mut sum = s.splat_f32s(0.0);
    for &c in c.iter().rev() {
        sum = s.mul_add_e_f32s(sum, x, s.splat_f32s(c));
    }
    sum
}

/// 2^t for t within ±126, beyond it what is there: neither overflow nor subnormal numbers.
#[inline(always)]
fn exp2<S: Simd>(s: S, t: S::f32s) -> S::f32s {
    let t = s.max_f32s(s.min_f32s(t, s.splat_f32s(126.0)), s.splat_f32s(-126.0));
    let shifted = s.add_f32s(t, s.splat_f32s(ROUND));
    let f = s.sub_f32s(t, s.sub_f32s(shifted, s.splat_f32s(ROUND)));
    let power = s.mul_add_e_f32s(polynomial(s, f, &EXP2), f, s.splat_f32s(1.0));
    // The integer part goes straight into the exponent.
    let exponent = s.wrapping_dyn_shl_u32s(s.transmute_u32s_f32s(shifted), s.splat_u32s(23));
    s.transmute_f32s_u32s(s.add_u32s(s.transmute_u32s_f32s(power), exponent))
}

/// eˣ.
#[inline(always)]
pub fn exp<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    exp2(s, s.mul_f32s(x, s.splat_f32s(std::f32::consts::LOG2_E)))
}

/// 1 / (1 + e⁻ˣ).
#[inline(always)]
pub fn logistic<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    let one = s.splat_f32s(1.0);
    let e = exp2(s, s.mul_f32s(x, s.splat_f32s(-std::f32::consts::LOG2_E)));
    s.div_f32s(one, s.add_f32s(one, e))
}

/// x / (1 + e⁻ˣ).
#[inline(always)]
pub fn silu<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    let e = exp2(s, s.mul_f32s(x, s.splat_f32s(-std::f32::consts::LOG2_E)));
    s.div_f32s(x, s.add_f32s(s.splat_f32s(1.0), e))
}

/// [`silu`] and its derivative.
#[inline(always)]
pub fn silu_and_slope<S: Simd>(s: S, x: S::f32s) -> (S::f32s, S::f32s) {
    let sigma = logistic(s, x);
    let value = s.mul_f32s(x, sigma);
    (value, s.mul_add_e_f32s(value, s.sub_f32s(s.splat_f32s(1.0), sigma), sigma))
}

/// ln(1 + eˣ).
#[inline(always)]
pub fn softplus<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    let u = exp(s, s.neg_f32s(s.abs_f32s(x)));
    s.mul_add_e_f32s(polynomial(s, u, &LN1P), u, s.max_f32s(x, s.splat_f32s(0.0)))
}

/// A curve over a slice, in place.
#[derive(Debug, Clone, Copy)]
pub enum Curve {
    Exp,
    Logistic,
    Softplus,
}

impl Curve {
    /// Every element of `x` becomes the curve's value there. With the best instructions that the processor has.
    pub fn map(self, x: &mut [f32]) {
        Arch::new().dispatch(Map { curve: self, x });
    }
}

struct Map<'a> {
    curve: Curve,
    x: &'a mut [f32],
}

impl WithSimd for Map<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        match self.curve {
            Curve::Exp => each(s, self.x, |v| exp(s, v)),
            Curve::Logistic => each(s, self.x, |v| logistic(s, v)),
            Curve::Softplus => each(s, self.x, |v| softplus(s, v)),
        }
    }
}

#[inline(always)]
fn each<S: Simd>(s: S, x: &mut [f32], f: impl Fn(S::f32s) -> S::f32s) {
    let (body, tail) = S::as_mut_simd_f32s(x);
    for v in body {
        *v = f(*v);
    }
    if !tail.is_empty() {
        let v = f(s.partial_load_f32s(tail));
        s.partial_store_f32s(tail, v);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_right_to_the_last_bits() {
        let x: Vec<f32> = (-2000..=2000).map(|i| i as f32 * 0.02).collect();
        let worst = |curve: Curve, f: &dyn Fn(f64) -> f64| {
            let mut y = x.clone();
            curve.map(&mut y);
            let error = |(x, y): (&f32, &f32)| (f64::from(*y) - f(f64::from(*x))).abs() / f(f64::from(*x));
            x.iter().zip(&y).map(error).fold(0.0, f64::max)
        };
        // The rounding of x · log₂e is what exp has of error for large x.
        assert!(worst(Curve::Exp, &f64::exp) < 3e-6);
        assert!(worst(Curve::Logistic, &|x| 1.0 / (1.0 + (-x).exp())) < 3e-6);
        assert!(worst(Curve::Softplus, &|x| x.max(0.0) + (-x.abs()).exp().ln_1p()) < 3e-6);
    }

    #[test]
    fn curves_have_no_holes() {
        for (curve, at_minus_infinity) in [(Curve::Exp, 0.0), (Curve::Logistic, 0.0), (Curve::Softplus, 0.0)] {
            let mut x = [f32::MIN, -1e4, -200.0, 0.0, 200.0, 1e4, f32::MAX];
            curve.map(&mut x);
            assert!(x.iter().all(|v| v.is_finite()) && x.is_sorted(), "{curve:?} {x:?}");
            assert!((x[0] - at_minus_infinity).abs() < 1e-37, "{x:?}");
        }
    }
}
