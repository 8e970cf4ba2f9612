//! Quantiles, moments and the normal distribution function.
//!
//! Different quantile rules give different results in small samples, and results must be reproducible to the last bit.
//! Each quantile rule therefore has its own function. If a rule is among the types of Hyndman & Fan (1996), its
//! function is named after that type. The quantile functions take a sample in ascending order and return NaN or `None`
//! if the sample is empty.

/// Returns the finite values in ascending order.
pub fn sorted_finite(values: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// Type 1, the inverse of the empirical distribution function: the smallest value x with F(x) ≥ p.
///
/// The result is always one of the values ("nearest rank"). Because the quantile is not interpolated, the values may
/// have any `Copy` type, such as `f32`.
pub fn quantile_type_1<T: Copy>(sorted: &[T], p: f64) -> Option<T> {
    let rank = ((sorted.len() as f64 * p).ceil() as usize).max(1);
    sorted.get(rank - 1).copied()
}

/// Type 5 (Hazen): linear interpolation, in which value j of n (0-based) has the cumulative probability (j + ½) / n.
pub fn quantile_type_5(sorted: &[f64], p: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let x = (p * sorted.len() as f64 - 0.5).clamp(0.0, last as f64);
    let i = (x as usize).min(last.saturating_sub(1));
    let next = sorted[(i + 1).min(last)];
    sorted[i] + (x - i as f64) * (next - sorted[i])
}

/// Type 6 (Weibull): linear interpolation at rank p·(n + 1), clamped to the first and the last value.
///
/// Even for small n, a new value from the same distribution is below this quantile with probability p, so intervals
/// between two such quantiles are not too narrow.
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

/// The smallest value x with F(x) > p, where F is the empirical distribution function; the largest
/// value if no x satisfies F(x) > p.
pub fn quantile_right_inverse(sorted: &[f64], p: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    sorted[((p * sorted.len() as f64) as usize).min(last)]
}

/// A weighted sample.
#[derive(Debug, Clone)]
pub struct WeightedSample {
    /// Pairs (value, cumulative probability up to the middle of the value's weight), in ascending order of the values.
    values: Vec<(f64, f64)>,
}

impl WeightedSample {
    /// Creates a sample from pairs (value, weight) in any order.
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

    /// Quantile `p` by linear interpolation. With equal weights, the result equals the result of
    /// [`quantile_type_5`] up to rounding.
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

/// Mean and population standard deviation, with divisor n.
pub fn mean_and_population_sd(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let (n, mean, squares) = mean_and_squares(values);
    (mean, (squares / n).sqrt())
}

/// Mean and sample standard deviation, with divisor n − 1. For a single value, the standard deviation is zero.
pub fn mean_and_sample_sd(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let (n, mean, squares) = mean_and_squares(values);
    (mean, (squares / (n - 1.0).max(1.0)).sqrt())
}

/// Number of values, their mean, and the sum of squared deviations from the mean.
fn mean_and_squares(values: impl Iterator<Item = f64> + Clone) -> (f64, f64, f64) {
    let n = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / n;
    (n, mean, values.map(|v| (v - mean) * (v - mean)).sum())
}

/// 95 % quantile of the standard normal distribution.
pub const NORMAL_95: f64 = 1.644_853_627;

/// 95 % quantile of Student's t with `dof` degrees of freedom; `dof` must be at least 1. The value is interpolated
/// between whole degrees of freedom.
pub fn student_t_95(dof: f64) -> f64 {
    const TABLE: [f64; 17] = [
        6.3138, 2.9200, 2.3534, 2.1318, 2.0150, 1.9432, 1.8946, 1.8595, 1.8331, 1.8125, 1.7959, 1.7823, 1.7709, 1.7613,
        1.7531, 1.7459, 1.7396,
    ];
    let dof = dof.max(1.0);
    if dof >= TABLE.len() as f64 {
        // The first two terms of the expansion in 1/ν (Abramowitz & Stegun 1964, formula 26.7.5).
        let z = NORMAL_95;
        return z + (z.powi(3) + z) / (4.0 * dof) + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * dof * dof);
    }
    let below = dof as usize;
    TABLE[below - 1] + (dof - below as f64) * (TABLE[below] - TABLE[below - 1])
}

/// The quantile of Student's t at the probability `p`, which is at least 0.5, with `dof` degrees of freedom. The
/// distribution function is the finite sum of Abramowitz & Stegun (1964), formulas 26.7.3 and 26.7.4, with t = √dof tan θ.
pub fn student_t(p: f64, dof: usize) -> f64 {
    let cdf = |theta: f64| {
        let (sin, cos) = theta.sin_cos();
        let first = if dof.is_multiple_of(2) { 1.0 } else { cos };
        let terms = (2 - (dof + 1) % 2..dof.saturating_sub(1)).step_by(2);
        let sum = |(sum, term): (f64, f64), k: usize| {
            let next = term * cos * cos * k as f64 / (k + 1) as f64;
            (sum + next, next)
        };
        let (series, _) = terms.fold((first, first), sum);
        let two_sided = match (dof, dof % 2) {
            (0 | 1, _) => theta / std::f64::consts::FRAC_PI_2,
            (_, 0) => sin * series,
            _ => (theta + sin * series) / std::f64::consts::FRAC_PI_2,
        };
        0.5 + 0.5 * two_sided
    };
    let (mut low, mut high) = (0.0, std::f64::consts::FRAC_PI_2);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if cdf(middle) < p { low = middle } else { high = middle }
    }
    (dof.max(1) as f64).sqrt() * low.tan()
}

/// Cumulative distribution function Φ of the standard normal distribution, by formula 26.2.17 of Abramowitz & Stegun
/// (1964), with an error below 7.5e-8. Its inverse is [`crate::rng::normal_quantile`].
pub fn normal_cdf(z: f64) -> f64 {
    const B: [f64; 5] = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let series = B.iter().rev().fold(0.0, |sum, b| (sum + b) * t);
    let tail = series * (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if z > 0.0 { 1.0 - tail } else { tail }
}

/// The quantile of Student's t with `dof` degrees of freedom that corresponds to the quantile `z` of the normal
/// distribution, by the first terms of its expansion in 1/`dof` (Abramowitz & Stegun 1964, formula 26.7.5).
pub fn t_quantile(z: f64, dof: f64) -> f64 {
    z + (z.powi(3) + z) / (4.0 * dof)
        + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * dof * dof)
        + (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / (384.0 * dof.powi(3))
}

#[cfg(test)]
#[path = "../tests/unit/stats.rs"]
mod tests;
