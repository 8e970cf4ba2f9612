//! Exponential, logistic and softplus functions in single precision, applied to whole slices.

use pulp::{Arch, Simd, WithSimd};

/// The constant 1.5 · 2²³. Adding this constant to a number rounds it to an integer, which can be read from the lowest
/// bits of the sum.
const ROUND: f32 = 12_582_912.0;
/// Polynomial approximation of (2^f − 1) / f on [−½, ½], interpolated at the Chebyshev points of an interval that is 2
/// % wider. The relative error of 2^f is below 2e-7.
const EXP2: [f32; 5] = [6.931_472e-1, 2.402_232_4e-1, 5.550_378_6e-2, 9.668_321e-3, 1.338_323_5e-3];
/// Polynomial approximation of ln(1 + u) / u on [0, 1], interpolated at Chebyshev points. The relative error of the
/// approximation is below 2e-8.
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

/// Computes 2^t with t clamped to ±126, so that the result neither overflows nor becomes subnormal.
#[inline(always)]
fn exp2<S: Simd>(s: S, t: S::f32s) -> S::f32s {
    let t = s.max_f32s(s.min_f32s(t, s.splat_f32s(126.0)), s.splat_f32s(-126.0));
    let shifted = s.add_f32s(t, s.splat_f32s(ROUND));
    let f = s.sub_f32s(t, s.sub_f32s(shifted, s.splat_f32s(ROUND)));
    // Estrin's scheme has half the latency of Horner's scheme.
    let c = EXP2;
    let square = s.mul_f32s(f, f);
    let low = s.mul_add_e_f32s(f, s.splat_f32s(c[0]), s.splat_f32s(1.0));
    let middle = s.mul_add_e_f32s(f, s.splat_f32s(c[2]), s.splat_f32s(c[1]));
    let high = s.mul_add_e_f32s(f, s.splat_f32s(c[4]), s.splat_f32s(c[3]));
    let power = s.mul_add_e_f32s(s.mul_add_e_f32s(high, square, middle), square, low);
    // The integer part of the exponent is added to the exponent bits.
    let exponent = s.wrapping_dyn_shl_u32s(s.transmute_u32s_f32s(shifted), s.splat_u32s(23));
    s.transmute_f32s_u32s(s.add_u32s(s.transmute_u32s_f32s(power), exponent))
}

/// eˣ.
#[inline(always)]
fn exp<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    exp2(s, s.mul_f32s(x, s.splat_f32s(std::f32::consts::LOG2_E)))
}

/// 1 / (1 + e⁻ˣ).
#[inline(always)]
fn logistic<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    let one = s.splat_f32s(1.0);
    let e = exp2(s, s.mul_f32s(x, s.splat_f32s(-std::f32::consts::LOG2_E)));
    s.div_f32s(one, s.add_f32s(one, e))
}

/// Replaces each value x in `values` by its SiLU, x / (1 + e⁻ˣ), and stores the derivative of the SiLU at x
/// in `derivative`.
pub struct Silu<'a> {
    pub values: &'a mut [f32],
    pub derivative: &'a mut [f32],
}

impl WithSimd for Silu<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        for (v, derivative) in S::as_mut_simd_f32s(self.values).0.iter_mut().zip(S::as_mut_simd_f32s(self.derivative).0)
        {
            let sigma = logistic(s, *v);
            *v = s.mul_f32s(*v, sigma);
            *derivative = s.mul_add_e_f32s(*v, s.sub_f32s(s.splat_f32s(1.0), sigma), sigma);
        }
    }
}

/// ln(1 + eˣ).
#[inline(always)]
fn softplus<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    let u = exp(s, s.neg_f32s(s.abs_f32s(x)));
    let mut sum = s.splat_f32s(0.0);
    for c in LN1P.into_iter().rev() {
        sum = s.mul_add_e_f32s(sum, u, s.splat_f32s(c));
    }
    s.mul_add_e_f32s(sum, u, s.max_f32s(x, s.splat_f32s(0.0)))
}

/// A scalar function that is applied to each element of a slice.
#[derive(Debug, Clone, Copy)]
pub enum Elementwise {
    Exp,
    Logistic,
    Softplus,
}

impl Elementwise {
    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::f32s) -> S::f32s {
        match self {
            Self::Exp => exp(s, x),
            Self::Logistic => logistic(s, x),
            Self::Softplus => softplus(s, x),
        }
    }

    /// Applies the function to each element of `x` in place, using the widest vector instructions of the CPU.
    pub fn apply(self, x: &mut [f32]) {
        Arch::new().dispatch(Apply { function: self, x });
    }
}

struct Apply<'a> {
    function: Elementwise,
    x: &'a mut [f32],
}

// This implementation uses no closures, because a closure that is not inlined would be compiled for the baseline CPU,
// without wide vector instructions.
impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let (body, tail) = S::as_mut_simd_f32s(self.x);
        for v in body {
            *v = self.function.value(s, *v);
        }
        if !tail.is_empty() {
            let v = self.function.value(s, s.partial_load_f32s(tail));
            s.partial_store_f32s(tail, v);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_agree_with_the_standard_library() {
        let x: Vec<f32> = (-2000..=2000).map(|i| i as f32 * 0.02).collect();
        let worst = |function: Elementwise, f: &dyn Fn(f64) -> f64| {
            let mut y = x.clone();
            function.apply(&mut y);
            let error = |(x, y): (&f32, &f32)| (f64::from(*y) - f(f64::from(*x))).abs() / f(f64::from(*x));
            x.iter().zip(&y).map(error).fold(0.0, f64::max)
        };
        // For large x, the rounding of x · log₂e dominates the error of exp.
        assert!(worst(Elementwise::Exp, &f64::exp) < 3e-6);
        assert!(worst(Elementwise::Logistic, &|x| 1.0 / (1.0 + (-x).exp())) < 3e-6);
        assert!(worst(Elementwise::Softplus, &|x| x.max(0.0) + (-x.abs()).exp().ln_1p()) < 3e-6);
    }

    #[test]
    fn functions_are_finite_and_monotone_everywhere() {
        for function in [Elementwise::Exp, Elementwise::Logistic, Elementwise::Softplus] {
            let mut x = [f32::MIN, -1e4, -200.0, 0.0, 200.0, 1e4, f32::MAX];
            function.apply(&mut x);
            assert!(x.iter().all(|v| v.is_finite()) && x.is_sorted(), "{function:?} {x:?}");
            assert!(x[0].abs() < 1e-37, "{x:?}");
        }
    }
}
