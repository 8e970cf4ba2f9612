//! Arithmetic, comparisons and functions on columns. Each operation is a loop over a block of rows.
//!
//! The loops have no branches, so that the compiler can vectorise them. The loops are compiled for several instruction
//! sets, and the best set that the processor supports is used. The results are the same for all instruction sets,
//! because the compiler neither reorders operations nor fuses multiplications with additions.

use pulp::{Arch, Simd, WithSimd};

/// An operation of a program. Constant folding calls the same functions as evaluation, so it does not change results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    /// Power with an integer exponent, by repeated squaring.
    Powi(i32),
    Min,
    Max,
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
    And,
    Or,
    Not,
    Neg,
    Abs,
    Exp,
    Ln,
    Sqrt,
    Sin,
    Cos,
    Floor,
    Round,
    /// Returns the second operand if the first is true, and the third otherwise.
    Select,
}

/// The values of an operand in a block of rows.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    Rows(&'a [f64]),
    Constant(f64),
}

/// Returns true for every value except 0 and NaN.
#[inline(always)]
fn is_true(c: f64) -> bool {
    c.abs() > 0.0
}

#[inline(always)]
fn from_bool(c: bool) -> f64 {
    if c { 1.0 } else { 0.0 }
}

/// Returns NaN if either operand is NaN, so that missing values are not hidden.
#[inline(always)]
fn max(a: f64, b: f64) -> f64 {
    if a > b || a.is_nan() { a } else { b }
}

#[inline(always)]
fn min(a: f64, b: f64) -> f64 {
    if a < b || a.is_nan() { a } else { b }
}

#[inline(always)]
fn powi(x: f64, n: i32) -> f64 {
    let (mut base, mut left, mut out) = (x, n.unsigned_abs(), 1.0);
    while left > 0 {
        if left & 1 == 1 {
            out *= base;
        }
        base *= base;
        left >>= 1;
    }
    if n < 0 { 1.0 / out } else { out }
}

/// 1.5 · 2^52. Adding this constant rounds a number to the nearest whole number, which can be read from the low bits of
/// the sum.
const ROUND_TO_WHOLE: f64 = 6_755_399_441_055_744.0;

/// Computes e^x with an error of at most 1 ulp (2 ulp if the result is subnormal). Results outside the
/// range of f64 become 0 or infinity.
///
/// The argument is split as x = k·ln 2 + r, with ln 2 in two parts (Cody & Waite 1980). The Taylor polynomial of degree
/// 13 approximates e^r (remainder below 4e-18). The power 2^k is applied as two factors, so that results near both ends
/// of the range are correct.
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    let x = if x > 710.0 { 710.0 } else { x };
    let x = if x < -746.0 { -746.0 } else { x };
    let k = (x * std::f64::consts::LOG2_E + ROUND_TO_WHOLE) - ROUND_TO_WHOLE;
    let r = (x - k * LN2_HIGH) - k * LN2_LOW;
    let r2 = r * r;
    let r4 = r2 * r2;
    // Estrin's scheme (1960) evaluates pairs of terms, which gives short dependency chains
    let a = 1.0 / 2.0 + r * (1.0 / 6.0);
    let b = 1.0 / 24.0 + r * (1.0 / 120.0);
    let c = 1.0 / 720.0 + r * (1.0 / 5_040.0);
    let d = 1.0 / 40_320.0 + r * (1.0 / 362_880.0);
    let e = 1.0 / 3_628_800.0 + r * (1.0 / 39_916_800.0);
    let f = 1.0 / 479_001_600.0 + r * (1.0 / 6_227_020_800.0);
    let tail = (a + r2 * b) + r4 * ((c + r2 * d) + r4 * (e + r2 * f));
    let p = 1.0 + (r + r2 * tail);
    let half = (k * 0.5 + ROUND_TO_WHOLE) - ROUND_TO_WHOLE;
    p * power_of_two(half) * power_of_two(k - half)
}

/// 2^k for a whole k in −1022..=1023.
#[inline(always)]
fn power_of_two(k: f64) -> f64 {
    f64::from_bits(((k + ROUND_TO_WHOLE).to_bits() << 52).wrapping_add(1023 << 52))
}

/// 2^52. All `f64` values of at least this magnitude are whole numbers.
const FIRST_ALL_WHOLE: f64 = 4_503_599_627_370_496.0;

/// Like `f64::floor`, but without a function call (baseline x86-64 has no floor instruction).
#[inline(always)]
fn floor(x: f64) -> f64 {
    let near = ((x.abs() + FIRST_ALL_WHOLE) - FIRST_ALL_WHOLE).copysign(x);
    let down = if near > x { near - 1.0 } else { near };
    if x.abs() < FIRST_ALL_WHOLE { down } else { x }
}

/// Like `f64::round`, but without a function call.
#[inline(always)]
fn round(x: f64) -> f64 {
    let size = x.abs();
    let even = (size + FIRST_ALL_WHOLE) - FIRST_ALL_WHOLE;
    let away = if size - even == 0.5 { even + 1.0 } else { even };
    if size < FIRST_ALL_WHOLE { away.copysign(x) } else { x }
}

#[inline(always)]
fn unary(a: Values, out: &mut [f64], f: impl Fn(f64) -> f64) {
    match a {
        Values::Rows(a) => {
            for (o, a) in out.iter_mut().zip(a) {
                *o = f(*a);
            }
        }
        Values::Constant(a) => out.fill(f(a)),
    }
}

#[inline(always)]
fn binary(a: Values, b: Values, out: &mut [f64], f: impl Fn(f64, f64) -> f64) {
    match (a, b) {
        (Values::Rows(a), Values::Rows(b)) => {
            for ((o, a), b) in out.iter_mut().zip(a).zip(b) {
                *o = f(*a, *b);
            }
        }
        (Values::Rows(a), Values::Constant(b)) => unary(Values::Rows(a), out, |a| f(a, b)),
        (Values::Constant(a), b) => unary(b, out, |b| f(a, b)),
    }
}

#[inline(always)]
fn select(c: Values, a: Values, b: Values, out: &mut [f64]) {
    let pick = |c: f64, a: f64, b: f64| if is_true(c) { a } else { b };
    match (c, a, b) {
        (Values::Constant(c), a, b) => unary(if is_true(c) { a } else { b }, out, |x| x),
        (c, a, Values::Constant(b)) => binary(c, a, out, |c, a| pick(c, a, b)),
        (c, Values::Constant(a), b) => binary(c, b, out, |c, b| pick(c, a, b)),
        (Values::Rows(c), Values::Rows(a), Values::Rows(b)) => {
            for (((o, c), a), b) in out.iter_mut().zip(c).zip(a).zip(b) {
                *o = pick(*c, *a, *b);
            }
        }
    }
}

/// Computes `out = op(a, b, c)` for every row. The operands have the same length as `out`.
pub fn run(op: Op, [a, b, c]: [Values; 3], out: &mut [f64]) {
    Arch::new().dispatch(Run { op, a, b, c, out });
}

struct Run<'a> {
    op: Op,
    a: Values<'a>,
    b: Values<'a>,
    c: Values<'a>,
    out: &'a mut [f64],
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { op, a, b, c, out } = self;
        match op {
            Op::Add => binary(a, b, out, |a, b| a + b),
            Op::Sub => binary(a, b, out, |a, b| a - b),
            Op::Mul => binary(a, b, out, |a, b| a * b),
            Op::Div => binary(a, b, out, |a, b| a / b),
            Op::Pow => binary(a, b, out, f64::powf),
            Op::Powi(2) => unary(a, out, |a| a * a),
            Op::Powi(3) => unary(a, out, |a| a * (a * a)),
            Op::Powi(n) => unary(a, out, |a| powi(a, n)),
            // if one operand is a constant other than NaN, the minimum instruction is sufficient, because it returns
            // `x` if `x` is NaN
            Op::Min => match (a, b) {
                (Values::Constant(k), x) | (x, Values::Constant(k)) if !k.is_nan() => {
                    unary(x, out, |x| if k < x { k } else { x });
                }
                _ => binary(a, b, out, min),
            },
            Op::Max => match (a, b) {
                (Values::Constant(k), x) | (x, Values::Constant(k)) if !k.is_nan() => {
                    unary(x, out, |x| if k > x { k } else { x });
                }
                _ => binary(a, b, out, max),
            },
            Op::Lt => binary(a, b, out, |a, b| from_bool(a < b)),
            Op::Le => binary(a, b, out, |a, b| from_bool(a <= b)),
            Op::Gt => binary(a, b, out, |a, b| from_bool(a > b)),
            Op::Ge => binary(a, b, out, |a, b| from_bool(a >= b)),
            Op::Eq => binary(a, b, out, |a, b| from_bool(a == b)),
            Op::Ne => binary(a, b, out, |a, b| from_bool(a != b)),
            Op::And => binary(a, b, out, |a, b| from_bool(is_true(a) & is_true(b))),
            Op::Or => binary(a, b, out, |a, b| from_bool(is_true(a) | is_true(b))),
            Op::Not => unary(a, out, |a| from_bool(!is_true(a))),
            Op::Neg => unary(a, out, |a| -a),
            Op::Abs => unary(a, out, f64::abs),
            Op::Exp => unary(a, out, exp),
            Op::Ln => unary(a, out, f64::ln),
            Op::Sqrt => unary(a, out, f64::sqrt),
            Op::Sin => unary(a, out, f64::sin),
            Op::Cos => unary(a, out, f64::cos),
            Op::Floor => unary(a, out, floor),
            Op::Round => unary(a, out, round),
            Op::Select => select(a, b, c, out),
        }
    }
}

/// Applies the operation to constants.
pub fn fold(op: Op, [a, b, c]: [f64; 3]) -> f64 {
    let mut out = [0.0];
    run(op, [Values::Rows(&[a]), Values::Rows(&[b]), Values::Rows(&[c])], &mut out);
    out[0]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ulps(a: f64, b: f64) -> u64 {
        if a == b || (a.is_nan() && b.is_nan()) { 0 } else { a.to_bits().abs_diff(b.to_bits()) }
    }

    #[test]
    fn exp_is_accurate_at_the_ends_of_its_range() {
        for x in
            [0.0, -0.0, 1.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 709.78, 709.79, 1e308, -1e308, 1e-320]
        {
            assert!(ulps(exp(x), x.exp()) <= 1, "{x}: {} {}", exp(x), x.exp());
        }
        for x in [-708.0, -710.0, -730.5, -744.0, -745.0, -745.2, -746.0, -800.0] {
            assert!(ulps(exp(x), x.exp()) <= 2, "{x}: {} {}", exp(x), x.exp());
        }
        assert!(exp(-0.0) == 1.0 && exp(0.0) == 1.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn exp_is_within_one_ulp(x in -745.0..709.7f64) {
            prop_assert!(ulps(exp(x), x.exp()) <= if x > -708.0 { 1 } else { 2 }, "{} {} {}", x, exp(x), x.exp());
            let small = x * 1e-3;
            prop_assert!(ulps(exp(small), small.exp()) <= 1, "{}", small);
        }

        #[test]
        fn floor_and_round_equal_std(bits in any::<u64>(), n in -1_000_000i32..1_000_000) {
            for x in [f64::from_bits(bits), f64::from(n) * 0.5, f64::from(n) * 0.1, f64::from(n) * 1e12] {
                for (got, std) in [(floor(x), x.floor()), (round(x), x.round())] {
                    prop_assert!(got.to_bits() == std.to_bits() || (got.is_nan() && std.is_nan()), "{} {}", x, got);
                }
            }
        }

        #[test]
        fn min_and_max_with_a_constant_equal_the_general_case(x in prop_oneof![-9.0..9.0f64, Just(f64::NAN)], k in -9.0..9.0f64) {
            for op in [Op::Min, Op::Max] {
                for (a, b) in [(x, k), (k, x)] {
                    let general = fold(op, [a, b, 0.0]);
                    let mut out = [0.0];
                    let as_values = |v: f64, slot| if v.to_bits() == k.to_bits() { Values::Constant(k) } else { Values::Rows(slot) };
                    run(op, [as_values(a, &[a]), as_values(b, &[b]), Values::Constant(0.0)], &mut out);
                    prop_assert!(ulps(general, out[0]) == 0);
                    prop_assert_eq!(general.is_nan(), x.is_nan());
                }
            }
        }
    }
}
