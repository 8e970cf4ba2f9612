//! Quantiles, moments and the normal distribution function.
//!
//! Quantile rules give different results in small samples, and results must be reproducible to the last bit. Each rule
//! therefore has its own function, named by its type in Hyndman & Fan (1996) if it has one. The quantile functions take
//! a sample in ascending order and return NaN or `None` if it is empty.

/// The finite values, in ascending order.
pub fn sorted_finite(values: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// Type 1, the inverse of the empirical distribution function: the smallest value x with F(x) ≥ p.
///
/// The result is always one of the values ("nearest rank"), so the function also works on `f32`.
pub fn quantile_type_1<T: Copy>(sorted: &[T], p: f64) -> Option<T> {
    let rank = ((sorted.len() as f64 * p).ceil() as usize).max(1);
    sorted.get(rank - 1).copied()
}

/// Type 5 (Hazen): linear interpolation; value j of n (0-based) has the probability (j + ½) / n.
pub fn quantile_type_5(sorted: &[f64], p: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let x = (p * sorted.len() as f64 - 0.5).clamp(0.0, last as f64);
    let i = (x as usize).min(last.saturating_sub(1));
    let next = sorted[(i + 1).min(last)];
    sorted[i] + (x - i as f64) * (next - sorted[i])
}

/// Type 6 (Weibull): linear interpolation at rank p·(n + 1), clamped to the first and the last value.
///
/// A new value of the same distribution is below the result with probability p even for small n, so intervals are not
/// too narrow.
pub fn quantile_type_6(sorted: &[f64], p: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let rank = (p * (sorted.len() + 1) as f64 - 1.0).clamp(0.0, last as f64);
    let below = rank.floor() as usize;
    let (a, b) = (sorted[below], sorted[(below + 1).min(last)]);
    a + (rank - below as f64) * (b - a)
}

/// Type 7: linear interpolation at the 0-based position p·(n − 1).
pub fn quantile_type_7(sorted: &[f64], p: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let x = p * last as f64;
    let i = (x as usize).min(last.saturating_sub(1));
    let next = sorted[(i + 1).min(last)];
    sorted[i] + (x - i as f64) * (next - sorted[i])
}

/// The value nearest to the 0-based position p·(n − 1), with halves rounded up.
pub fn quantile_nearest(sorted: &[f64], p: f64) -> f64 {
    at_position(sorted, |last| (last * p).round())
}

/// The value at the 0-based position ⌊p·(n − 1)⌋ (NumPy's `lower`).
pub fn quantile_lower(sorted: &[f64], p: f64) -> f64 {
    at_position(sorted, |last| (p * last).floor())
}

/// The value at the 0-based position ⌈p·(n − 1)⌉ (NumPy's `higher`).
pub fn quantile_higher(sorted: &[f64], p: f64) -> f64 {
    at_position(sorted, |last| (p * last).ceil())
}

fn at_position(sorted: &[f64], position: impl Fn(f64) -> f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    sorted[(position(last as f64) as usize).min(last)]
}

/// The smallest value x with F(x) > p, where F is the empirical distribution function; the largest value if there is
/// none.
pub fn quantile_right_inverse(sorted: &[f64], p: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    sorted[((p * sorted.len() as f64) as usize).min(last)]
}

/// A weighted sample.
#[derive(Debug, Clone)]
pub struct WeightedSample {
    /// Pairs (value, cumulative probability at the middle of its weight), in ascending order.
    values: Vec<(f64, f64)>,
}

impl WeightedSample {
    /// A sample of pairs (value, weight) in any order.
    pub fn new(values: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let mut values: Vec<(f64, f64)> = values.into_iter().collect();
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        let total: f64 = values.iter().map(|v| v.1).sum();
        let mut before = 0.0;
        for (_, w) in &mut values {
            let weight = *w;
            *w = (before + 0.5 * weight) / total;
            before += weight;
        }
        Self { values }
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Quantile `p` by linear interpolation. With equal weights it equals [`quantile_type_5`] up to rounding.
    pub fn quantile(&self, p: f64) -> f64 {
        let at = self.values.partition_point(|v| v.1 < p);
        let Some(&(high, above)) = self.values.get(at) else { return self.values.last().map_or(f64::NAN, |v| v.0) };
        let Some(&(low, below)) = at.checked_sub(1).and_then(|i| self.values.get(i)) else { return high };
        low + (high - low) * (p - below) / (above - below)
    }
}

/// Half of Gini's mean difference, ½ E|X − X'|, of the empirical distribution of `sorted`.
pub fn half_mean_difference(sorted: &[f64]) -> f64 {
    let n = sorted.len() as f64;
    sorted.iter().enumerate().map(|(i, x)| x * (2.0 * i as f64 + 1.0 - n)).sum::<f64>() / (n * n)
}

/// Arithmetic mean; NaN if there are no values.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Arithmetic mean; zero if there are no values.
pub fn mean_or_zero(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Mean and standard deviation with divisor n (of the population).
pub fn mean_and_population_sd(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let (n, mean, squares) = mean_and_squares(values);
    (mean, (squares / n).sqrt())
}

/// Mean and standard deviation with divisor n − 1 (of the sample); the deviation of one value is zero.
pub fn mean_and_sample_sd(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let (n, mean, squares) = mean_and_squares(values);
    (mean, (squares / (n - 1.0).max(1.0)).sqrt())
}

/// Number of values, their mean and the sum of squared deviations from it.
fn mean_and_squares(values: impl Iterator<Item = f64> + Clone) -> (f64, f64, f64) {
    let n = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / n;
    (n, mean, values.map(|v| (v - mean) * (v - mean)).sum())
}

/// Distribution function Φ of the standard normal distribution, with an error below 7.5e-8: polynomial 26.2.17 of
/// Abramowitz & Stegun (1964). Its inverse is [`crate::rng::normal_quantile`].
pub fn normal_cdf(z: f64) -> f64 {
    const B: [f64; 5] = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let series = B.iter().rev().fold(0.0, |sum, b| (sum + b) * t);
    let tail = series * (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if z > 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::normal_quantile;

    #[test]
    fn each_quantile_rule_gives_its_textbook_value() {
        let four = [1.0, 2.0, 3.0, 4.0];
        assert_eq!([0.25, 0.26, 1.0].map(|p| quantile_type_1(&four, p)), [Some(1.0), Some(2.0), Some(4.0)]);
        assert_eq!([0.25, 0.5, 0.75].map(|p| quantile_right_inverse(&four, p)), [2.0, 3.0, 4.0]);
        assert_eq!([0.0, 0.25, 0.5, 1.0].map(|p| quantile_type_5(&four, p)), [1.0, 1.5, 2.5, 4.0]);
        assert_eq!([0.0, 0.2, 0.5, 1.0].map(|p| quantile_type_6(&four, p)), [1.0, 1.0, 2.5, 4.0]);
        assert_eq!([0.0, 0.5, 0.75, 1.0].map(|p| quantile_type_7(&four, p)), [1.0, 2.5, 3.25, 4.0]);
        assert_eq!([0.1, 0.5, 0.9].map(|p| quantile_nearest(&four, p)), [1.0, 3.0, 4.0]);
        assert_eq!((quantile_lower(&four, 0.5), quantile_higher(&four, 0.5)), (2.0, 3.0));
    }

    #[test]
    fn an_empty_sample_has_no_quantile() {
        assert_eq!(quantile_type_1::<f32>(&[], 0.5), None);
        let rules = [
            quantile_type_5,
            quantile_type_6,
            quantile_type_7,
            quantile_nearest,
            quantile_lower,
            quantile_higher,
            quantile_right_inverse,
        ];
        assert!(rules.iter().all(|quantile| quantile(&[], 0.5).is_nan()));
        assert!(WeightedSample::new([]).quantile(0.5).is_nan());
    }

    #[test]
    fn equal_weights_give_the_unweighted_quantiles() {
        let plain: Vec<f64> = (0..37).map(|i| f64::from(i * i)).collect();
        let weighted = WeightedSample::new(plain.iter().rev().map(|v| (*v, 0.25)));
        for p in [0.001, 0.1, 0.35, 0.5, 0.9, 0.999] {
            assert!((weighted.quantile(p) - quantile_type_5(&plain, p)).abs() < 1e-9, "{p}");
        }
    }

    #[test]
    fn a_weighted_quantile_follows_the_weights() {
        let sample = WeightedSample::new([(0.0, 1.0), (1.0, 8.0), (2.0, 1.0)]);
        assert_eq!(sample.quantile(0.5), 1.0);
        assert!((sample.quantile(0.275) - 0.5).abs() < 1e-12);
        assert_eq!((sample.quantile(0.01), sample.quantile(0.99)), (0.0, 2.0));
    }

    #[test]
    fn standard_deviations_have_the_stated_divisor() {
        let values = [1.0, 2.0, 3.0, 6.0];
        assert_eq!(mean_and_population_sd(values.into_iter()), (3.0, 3.5f64.sqrt()));
        assert_eq!(mean_and_sample_sd(values.into_iter()), (3.0, (14.0f64 / 3.0).sqrt()));
        assert_eq!(mean_and_sample_sd([2.0].into_iter()), (2.0, 0.0));
        assert!(mean(&[]).is_nan());
        assert_eq!(mean_or_zero(&[]), 0.0);
    }

    #[test]
    fn half_mean_difference_agrees_with_the_sum_over_all_pairs() {
        let sorted = [-1.0, 0.5, 2.0, 7.0];
        let pairs = sorted.iter().flat_map(|a| sorted.iter().map(move |b| f64::abs(a - b)));
        assert!((half_mean_difference(&sorted) - 0.5 * pairs.sum::<f64>() / 16.0).abs() < 1e-12);
    }

    #[test]
    fn normal_cdf_matches_tables_and_inverts_normal_quantile() {
        for (z, p) in [(-2.0, 0.022_750_13), (0.0, 0.5), (1.0, 0.841_344_75), (2.0, 0.977_249_87)] {
            assert!((normal_cdf(z) - p).abs() < 1e-7);
        }
        for p in [1e-6, 0.025, 0.3, 0.5, 0.8, 0.999] {
            assert!((normal_cdf(normal_quantile(p)) - p).abs() < 1e-7);
        }
    }
}
