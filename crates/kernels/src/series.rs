//! The functions exp and cos in double precision, computed from Taylor series without branches or tables, so that the
//! compiler can vectorise loops that call them.

/// The constant 1.5 · 2⁵². Adding this constant to a number whose magnitude is below 2⁵¹ rounds it to an integer, which
/// can be read from the lowest bits of the sum.
const ROUND: f64 = 6_755_399_441_055_744.0;
/// Lower bound to which arguments of exp are clamped; exp(−700) ≈ 1e-304.
const MIN_ARGUMENT: f64 = -700.0;
/// The constant ln 2 as the sum of two numbers, the first of which can be multiplied exactly by any integer below 2²⁰.
const LN2: [f64; 2] = [6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10];
/// 1 / k! for k = 12, 11, …, 0.
const EXP: [f64; 13] = [
    1.0 / 479_001_600.0,
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    0.5,
    1.0,
    1.0,
];
/// (−1)ᵏ / (2 k + 1)! for k = 10, 9, …, 0.
const SIN: [f64; 11] = [
    1.0 / 51_090_942_171_709_440_000.0,
    -1.0 / 121_645_100_408_832_000.0,
    1.0 / 355_687_428_096_000.0,
    -1.0 / 1_307_674_368_000.0,
    1.0 / 6_227_020_800.0,
    -1.0 / 39_916_800.0,
    1.0 / 362_880.0,
    -1.0 / 5_040.0,
    1.0 / 120.0,
    -1.0 / 6.0,
    1.0,
];

/// Computes eˣ for x ≤ 700 to within 4 units in the last place. Arguments below −700 give e⁻⁷⁰⁰, and NaN gives NaN.
///
/// With x = n ln 2 + r and |r| ≤ ½ ln 2, the result is the Taylor series of eʳ times 2ⁿ, whose bit pattern is
/// constructed directly.
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    let x = if x < MIN_ARGUMENT { MIN_ARGUMENT } else { x };
    let shifted = x.mul_add(std::f64::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN2[1], n.mul_add(-LN2[0], x));
    let mut p = EXP[0];
    for c in &EXP[1..] {
        p = p.mul_add(r, *c);
    }
    p * f64::from_bits((shifted.to_bits() << 52).wrapping_add(1023 << 52))
}

/// Computes cos 2πu, where u is an angle in turns. The absolute error is below 1e-15, apart from the rounding of u. If
/// |u| exceeds 2⁵¹, the result is an arbitrary number in −1..=1. NaN gives NaN.
///
/// For |u| ≤ ½, cos 2πu = sin 2π(¼ − |u|), and the sine is computed from its Taylor series.
#[inline(always)]
pub fn cos_turns(u: f64) -> f64 {
    let off = (u - ((u + ROUND) - ROUND)).abs();
    let off = if off > 0.5 { 0.5 } else { off };
    let y = (0.25 - off) * std::f64::consts::TAU;
    let square = y * y;
    let mut p = SIN[0];
    for c in &SIN[1..] {
        p = p.mul_add(square, *c);
    }
    p * y
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_agrees_with_the_standard_library() {
        assert_eq!((exp(0.0), exp(-1e30), exp(f64::NEG_INFINITY)), (1.0, exp(-700.0), exp(-700.0)));
        assert!(exp(f64::NAN).is_nan() && exp(-700.0) < 1e-303);
        let mut worst = 0.0_f64;
        for i in 0..200_000 {
            let x = -700.0 + 0.006_25 * f64::from(i) + 1e-7 * f64::from(i % 977);
            if x <= 700.0 {
                worst = worst.max((exp(x) / x.exp() - 1.0).abs());
            }
        }
        assert!(worst < 9e-16, "{worst}");
    }

    #[test]
    fn cos_agrees_with_the_standard_library() {
        let mut worst = 0.0_f64;
        for i in -100_000..100_000 {
            let u = 2.3e-5 * f64::from(i);
            let exact = (std::f64::consts::TAU * (u - u.round())).cos();
            worst = worst.max((cos_turns(u) - exact).abs());
        }
        assert!(worst < 1e-15, "{worst}");
        assert!([1e17, -1e300, 2f64.powi(52) + 1.0].iter().all(|u| cos_turns(*u).abs() <= 1.0));
        assert!(cos_turns(f64::NAN).is_nan());
    }
}
