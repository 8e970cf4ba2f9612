//! Summaries over particles, and paired differences under common random numbers.

use serde::{Deserialize, Serialize};

use super::json::number_or_nan;

use crate::rng::Key;
use crate::stats::{self, quantile_type_6, sorted_finite};

/// Mean, median and 80 % interval over particles.
///
/// All four fields are NaN if no particle has a value. In JSON, NaN is `null`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    #[serde(deserialize_with = "number_or_nan")]
    pub p10: f64,
    #[serde(deserialize_with = "number_or_nan")]
    pub p50: f64,
    #[serde(deserialize_with = "number_or_nan")]
    pub p90: f64,
    #[serde(deserialize_with = "number_or_nan")]
    pub mean: f64,
}

/// A paired difference under common random numbers.
///
/// The interval is a prediction interval for the difference in a single simulated future, not a confidence interval of
/// the mean. With more particles, the ends of the interval become more precise, but its width does not shrink to zero.
/// If the noise is recorded, particles differ only in the ensemble member, and the interval is a prediction interval
/// for one further member.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    #[serde(deserialize_with = "number_or_nan")]
    pub mean: f64,
    /// 90 % interval of the difference; NaN if there is only one particle and its difference is not zero.
    #[serde(deserialize_with = "number_or_nan")]
    pub low: f64,
    #[serde(deserialize_with = "number_or_nan")]
    pub high: f64,
    /// Whether the difference is measurable: false if the interval contains zero.
    pub measurable: bool,
}

impl Estimate {
    /// Summarises `values`, `[particles]`, ignoring values that are not finite.
    ///
    /// The p-quantile is taken at rank p·(n + 1) (type 6 of Hyndman & Fan 1996). For small samples, other quantile
    /// rules give intervals that are too narrow.
    pub fn over(values: &[f64]) -> Self {
        let sorted = sorted_finite(values);
        Self {
            p10: quantile_type_6(&sorted, 0.1),
            p50: quantile_type_6(&sorted, 0.5),
            p90: quantile_type_6(&sorted, 0.9),
            mean: mean(&sorted),
        }
    }

    /// The estimate in another unit; `factor` is positive.
    #[must_use]
    pub fn in_unit(self, factor: f64) -> Self {
        Self { p10: factor * self.p10, p50: factor * self.p50, p90: factor * self.p90, mean: factor * self.mean }
    }
}

impl Difference {
    /// The difference multiplied by `share`, which is between 0 and 1.
    #[must_use]
    pub fn scaled(self, share: f64) -> Self {
        Self { mean: share * self.mean, low: share * self.low, high: share * self.high, ..self }
    }

    /// The difference in another unit; `factor` is positive.
    #[must_use]
    pub fn in_unit(self, factor: f64) -> Self {
        Self { mean: factor * self.mean, low: factor * self.low, high: factor * self.high, ..self }
    }

    /// Computes `case − baseline` for each particle. Particles with the same index have the same noise and the same
    /// ensemble member. A particle is ignored if its value is missing in either case.
    ///
    /// The 90 % interval is a prediction interval for one further draw of the difference. With 19 particles or more,
    /// the ends of the interval are the order statistics at ranks 0.05·(n + 1) and 0.95·(n + 1), which give 90 %
    /// coverage for any distribution. With 2 to 18 particles, the interval is the prediction interval based on
    /// Student's t, mean ± t₀.₉₅(n − 1)·s·√(1 + 1/n). With a single particle and unequal values, there is no interval
    /// (both ends are NaN), and the difference is not measurable. A difference smaller than 1e-9 times the compared
    /// values is considered a rounding error.
    pub fn paired(case: &[f64], baseline: &[f64]) -> Self {
        Self::paired_among(case, baseline, usize::MAX)
    }

    /// Like [`Self::paired`], but for particles that belong to `members` ensemble members. Particle p belongs to member
    /// p mod `members`. Particles of the same member have the same model error, so at most `members` particles are
    /// independent.
    pub fn paired_among(case: &[f64], baseline: &[f64], members: usize) -> Self {
        let scale = case.iter().zip(baseline).filter(|(c, b)| c.is_finite() && b.is_finite());
        let scale = scale.map(|(c, b)| c.abs().max(b.abs())).fold(0.0, f64::max);
        let differences: Vec<f64> = case.iter().zip(baseline).map(|(c, b)| c - b).collect();
        Self::among(&differences, scale, members)
    }

    /// Summarises the paired `differences`, `[particles]`. `scale` is the magnitude of the compared values.
    pub fn over(differences: &[f64], scale: f64) -> Self {
        Self::among(differences, scale, usize::MAX)
    }

    /// Draws `count` values from the distribution that is predicted for a new difference. The 90 %
    /// interval of this distribution is given by [`Self::paired_among`]. `None` if the interval is
    /// unknown.
    pub fn draws(differences: &[f64], members: usize, key: Key, count: usize) -> Option<Vec<f64>> {
        let sorted = sorted_finite(differences);
        let independent = independent(sorted.len(), members);
        let mean = mean(&sorted);
        Some(match independent {
            // Identical values differ by exactly zero.
            1 if mean == 0.0 => vec![0.0; count],
            0 | 1 => return None,
            2..19 => {
                let variance = variance_of_draw(differences, if members > 1 { members } else { usize::MAX });
                let sd = (variance * (1.0 + 1.0 / independent as f64)).sqrt();
                let dof = independent - 1;
                let student = |i: usize| {
                    let squares = (0..dof).map(|j| key.fold(1).normal((i * dof + j) as u64).powi(2)).sum::<f64>();
                    key.normal(i as u64) / (squares / dof as f64).sqrt()
                };
                (0..count).map(|i| mean + sd * student(i)).collect()
            }
            _ => (0..count).map(|i| quantile_type_6(&sorted, key.uniform(i as u64))).collect(),
        })
    }

    fn among(differences: &[f64], scale: f64, members: usize) -> Self {
        let sorted = sorted_finite(differences);
        let n = sorted.len();
        let independent = independent(n, members);
        let mean = mean(&sorted);
        let (low, high) = match independent {
            // Identical values differ by exactly zero.
            1 if mean == 0.0 => (0.0, 0.0),
            0 | 1 => (f64::NAN, f64::NAN),
            2..19 => {
                let variance = variance_of_draw(differences, if members > 1 { members } else { usize::MAX });
                let half = stats::student_t_95((independent - 1) as f64)
                    * (variance * (1.0 + 1.0 / independent as f64)).sqrt();
                (mean - half, mean + half)
            }
            _ => (quantile_type_6(&sorted, 0.05), quantile_type_6(&sorted, 0.95)),
        };
        let measurable = n > 1 && (low > 0.0 || high < 0.0) && mean.abs() > 1e-9 * scale;
        Self { mean, low, high, measurable }
    }
}

/// Number of independent particles among `n` particles that belong to `members` ensemble members.
fn independent(n: usize, members: usize) -> usize {
    // With one member, the particles differ only in their noise, which is independent.
    if members > 1 { n.min(members) } else { n }
}

/// Variance of the difference for one random draw of an ensemble member and its noise, estimated by a one-way analysis
/// of variance: S + W (1 − 1/r), where S is the variance of the means of the members, W is the variance within members,
/// and r is the mean number of particles per member. Particles of a member are not independent, so their variance about
/// the overall mean would be too small. Differences that are not finite are ignored.
fn variance_of_draw(differences: &[f64], members: usize) -> f64 {
    let mut groups: Vec<Vec<f64>> = vec![Vec::new(); members.min(differences.len())];
    for (p, d) in differences.iter().enumerate().filter(|(_, d)| d.is_finite()) {
        groups[p % members].push(*d);
    }
    groups.retain(|g| !g.is_empty());
    let sum_of_squares = |values: &[f64]| {
        let mean = stats::mean(values);
        values.iter().map(|v| (v - mean).powi(2)).sum::<f64>()
    };
    let means: Vec<f64> = groups.iter().map(|g| stats::mean(g)).collect();
    let (n, k) = (groups.iter().map(Vec::len).sum::<usize>() as f64, groups.len() as f64);
    let between = sum_of_squares(&means) / (k - 1.0).max(1.0);
    let within = groups.iter().map(|g| sum_of_squares(g)).sum::<f64>() / (n - k).max(1.0);
    between + within * (1.0 - k / n)
}

/// Mean of values in ascending order, clamped so that rounding cannot move the mean outside the range of the values.
fn mean(sorted: &[f64]) -> f64 {
    match (sorted.first(), sorted.last()) {
        (Some(first), Some(last)) => stats::mean(sorted).clamp(*first, *last),
        _ => f64::NAN,
    }
}

#[cfg(test)]
#[path = "../../tests/unit/value/compare.rs"]
mod tests;
