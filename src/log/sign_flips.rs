//! Finds ranges of samples with the opposite sign, for example because a current transformer was turned round.

use super::detect::{SampleRange, quantiles};

/// A sign is reversed at a sample if the value changes by more than this many times the 99th percentile of all changes
/// (not tuned).
const JUMP_MOVES: f64 = 4.0;
/// Fraction of the values on each side of a reversal that must have the same sign (not tuned).
const MIN_SHARE: f64 = 0.95;
/// Maximum number of ranges. A battery or a reversible drive changes its sign more often.
const MAX_RANGES: usize = 3;
/// Minimum number of samples of a range.
const MIN_LENGTH: usize = 20;
/// The median sizes before and after a reversal differ by at most this factor.
const MAX_RATIO: f64 = 1.5;

/// Finds ranges in which the values `v` have the opposite sign. The values must jump to about the same size with the
/// other sign, and must vary before and after. The sign of most values, or else that of the first value, is assumed to
/// be right.
pub(super) fn sign_flips(v: &[f64]) -> Vec<SampleRange> {
    let n = v.len();
    let moves = || v.windows(2).map(|w| (w[1] - w[0]).abs());
    if n < 3 * MIN_LENGTH {
        return Vec::new();
    }
    let [median, move99] = quantiles(moves(), n, [0.5, 0.99]);
    if median == 0.0 || !median.is_finite() {
        return Vec::new();
    }
    let is_reversed = |i: &usize| {
        let (a, b) = (v[*i - 1], v[*i]);
        a * b < 0.0 && (b - a).abs() > JUMP_MOVES * move99 && (a + b).abs() <= 2.0 * move99
    };
    let flips: Vec<usize> = (1..n).filter(is_reversed).take(2 * MAX_RANGES + 1).collect();
    if flips.is_empty() || flips.len() > 2 * MAX_RANGES {
        return Vec::new();
    }
    let ends: Vec<usize> = [0].into_iter().chain(flips).chain([n]).collect();
    let parts: Vec<&[f64]> = ends.windows(2).map(|w| &v[w[0]..w[1]]).collect();
    let sign = |part: &[f64]| {
        let share = |positive: bool| part.iter().filter(|v| (**v > 0.0) == positive).count() as f64 / part.len() as f64;
        if share(true) >= MIN_SHARE { 1 } else { -i32::from(share(false) >= MIN_SHARE) }
    };
    let size = |part: &[f64]| quantiles(part.iter().map(|v| v.abs()), part.len(), [0.5])[0];
    let fits = |w: &[&[f64]]| {
        let (a, b) = (size(w[0]), size(w[1]));
        sign(w[0]) * sign(w[1]) == -1 && a.max(b) <= MAX_RATIO * a.min(b)
    };
    if parts.iter().any(|p| p.len() < MIN_LENGTH) || !parts.windows(2).all(fits) {
        return Vec::new();
    }
    let positive: usize = parts.iter().filter(|p| sign(p) > 0).map(|p| p.len()).sum();
    let right = if 2 * positive == n { sign(parts[0]) } else { 2 * i32::from(2 * positive > n) - 1 };
    let ranges = ends.windows(2).zip(&parts).filter(|(_, part)| sign(part) != right);
    ranges.map(|(w, _)| SampleRange { from: w[0], to: w[1] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Key;

    fn power(i: usize) -> f64 {
        27.0 + 4.0 * (i as f64 / 15.0).sin() + 0.4 * Key::new(3).normal(i as u64)
    }

    fn ranges(f: impl Fn(usize) -> f64) -> Vec<(usize, usize)> {
        sign_flips(&(0..2000).map(f).collect::<Vec<_>>()).iter().map(|r| (r.from, r.to)).collect()
    }

    #[test]
    fn reversed_signs_are_found() {
        assert_eq!(ranges(|i| if i >= 1200 { -power(i) } else { power(i) }), [(1200, 2000)]);
        assert_eq!(ranges(|i| if i < 300 { -power(i) } else { power(i) }), [(0, 300)]);
        assert_eq!(ranges(|i| if (500..600).contains(&i) { power(i) } else { -power(i) }), [(500, 600)]);
    }

    #[test]
    fn signals_that_change_their_sign_are_not_reversed() {
        let level = |i: usize| if (i / 100).is_multiple_of(2) { power(i) } else { -power(i) };
        assert_eq!(ranges(level), [], "a battery that is charged and discharged");
        assert_eq!(ranges(|i| 20.0 * (i as f64 / 300.0).cos() + 0.3 * Key::new(1).normal(i as u64)), []);
        assert_eq!(ranges(|i| if i >= 1000 { -1.0 } else { 1.0 }), [], "a direction");
        assert_eq!(ranges(power), []);
        assert_eq!(ranges(|i| Key::new(5).normal(i as u64)), []);
        assert_eq!(ranges(|i| power(i) - if i >= 1000 { 35.0 } else { 0.0 }), [], "another level");
    }
}
