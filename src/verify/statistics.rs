//! Goodness of fit of the model of the adjusted baseline in the baseline period, computed on left-out folds.

use serde::{Deserialize, Serialize};

use super::intervals::Intervals;
use crate::stats::{mean, quantile_type_7, sorted_finite, student_t_95};

/// Relative errors are undefined if the absolute mean consumption is below this fraction of its interquartile range.
const MIN_MEAN: f64 = 0.05;
/// Largest accepted CV(RMSE) and absolute NMBE, for intervals and for months (ASHRAE Guideline 14).
const MAX_CV: f64 = 0.30;
const MAX_BIAS: f64 = 0.10;
const MAX_MONTHLY_CV: f64 = 0.15;
const MAX_MONTHLY_BIAS: f64 = 0.05;
/// Minimum number of days in a month for the monthly comparison (not tuned).
const MIN_DAYS_OF_MONTH: usize = 20;
/// Minimum number of months for a monthly comparison (not tuned).
const MIN_MONTHS: usize = 3;

/// Statistics of the out-of-fold errors. Relative values are `None` if the mean consumption is close to zero.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Number of baseline intervals n.
    pub n: usize,
    /// Number of coefficients p, including the intercept.
    pub p: usize,
    /// Lag-1 autocorrelation ρ of the errors.
    pub autocorrelation: f64,
    /// Effective number of intervals n′ = n (1 − ρ)/(1 + ρ).
    pub effective_n: f64,
    /// Mean error relative to the mean consumption. A positive value means that the predicted consumption is too low on
    /// average.
    pub nmbe: Option<f64>,
    /// Root mean square error with n degrees of freedom, relative to the mean consumption.
    pub cv_rmse: Option<f64>,
    /// Root mean square error with n − p degrees of freedom, relative to the mean consumption.
    pub cv_rmse_adjusted: Option<f64>,
    /// Root mean square error relative to the range between the 10 % and the 90 % quantile of the consumption.
    pub pnrmse: f64,
    /// NMBE and CV(RMSE) of monthly sums, if the baseline covers enough months.
    pub monthly: Option<(f64, f64)>,
    /// Root mean square error with n − p degrees of freedom, in the unit of the consumption.
    pub rmse_adjusted: f64,
}

/// Whether the model is accurate enough for a statement about savings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fitness {
    Fit,
    NotFit,
    /// The mean consumption is close to zero, so relative errors are undefined.
    Unknown,
}

/// A statistic that must not exceed a limit. For the NMBE, the limit applies to its absolute value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Criterion {
    pub name: &'static str,
    pub value: f64,
    pub limit: f64,
}

impl Statistics {
    pub(super) fn new(intervals: &Intervals, rows: &[usize], errors: &[f64], p: usize) -> Self {
        let used: Vec<f64> = rows.iter().map(|r| intervals.used[*r]).collect();
        let n = rows.len();
        let sorted = sorted_finite(&used);
        let quantile = |level: f64| quantile_type_7(&sorted, level);
        let mean_use = mean(&used);
        let relative = mean_use.abs() >= MIN_MEAN * (quantile(0.75) - quantile(0.25)) && mean_use != 0.0;
        let squares: f64 = errors.iter().map(|e| e * e).sum();
        let rmse = (squares / n as f64).sqrt();
        let rmse_adjusted = (squares / n.saturating_sub(p).max(1) as f64).sqrt();
        let autocorrelation = autocorrelation(rows, errors);
        let monthly = monthly(intervals, rows, errors);
        Self {
            n,
            p,
            autocorrelation,
            effective_n: n as f64 * (1.0 - autocorrelation) / (1.0 + autocorrelation),
            nmbe: relative.then(|| mean(errors) / mean_use),
            cv_rmse: relative.then(|| rmse / mean_use.abs()),
            cv_rmse_adjusted: relative.then(|| rmse_adjusted / mean_use.abs()),
            pnrmse: rmse / (quantile(0.9) - quantile(0.1)),
            monthly: monthly.filter(|_| relative),
            rmse_adjusted,
        }
    }

    pub fn fitness(&self) -> Fitness {
        let criteria = self.criteria();
        match criteria.iter().all(|c| c.value.abs() <= c.limit) {
            _ if criteria.is_empty() => Fitness::Unknown,
            true => Fitness::Fit,
            false => Fitness::NotFit,
        }
    }

    /// The statistics that decide whether the model is accurate enough, with their limits. The list is empty if
    /// relative errors are undefined.
    pub fn criteria(&self) -> Vec<Criterion> {
        let (Some(bias), Some(cv)) = (self.nmbe, self.cv_rmse_adjusted) else { return Vec::new() };
        let criterion = |name, value, limit| Criterion { name, value, limit };
        let mut out = vec![criterion("CV(RMSE)", cv, MAX_CV), criterion("NMBE", bias, MAX_BIAS)];
        if let Some((bias, cv)) = self.monthly {
            out.push(criterion("CV(RMSE) by month", cv, MAX_MONTHLY_CV));
            out.push(criterion("NMBE by month", bias, MAX_MONTHLY_BIAS));
        }
        out
    }

    /// Half-width U of the 90 % interval of the saving over `m` intervals with the adjusted baseline `total`, by the
    /// formula for the fractional savings uncertainty. If the intervals are days, `daily` is the length of the
    /// reporting period in months, on which the factor k depends. Otherwise, `daily` is `None`, and k is 1.26.
    pub fn formula_half_width(&self, m: usize, total: f64, daily: Option<f64>) -> f64 {
        let scale = self.cv_rmse_adjusted.map_or(self.rmse_adjusted, |cv| cv * (total / m as f64).abs());
        let k = daily.map_or(1.26, |months| -0.000_24 * months * months + 0.035_35 * months + 1.002_86);
        let (n, m, effective) = (self.n as f64, m as f64, self.effective_n.max(1.0));
        let t = student_t_95(n - self.p as f64);
        k * t * scale * (n / effective * (1.0 + 2.0 / effective) * m).sqrt()
    }
}

/// The lag-1 autocorrelation of the errors, limited to the range from 0 to 0.999. Only pairs of adjacent intervals are
/// included.
fn autocorrelation(rows: &[usize], errors: &[f64]) -> f64 {
    let center = mean(errors);
    let pairs = rows.windows(2).zip(errors.windows(2)).filter(|(r, _)| r[1] == r[0] + 1);
    let products: Vec<f64> = pairs.map(|(_, e)| (e[0] - center) * (e[1] - center)).collect();
    let variance = mean(&errors.iter().map(|e| (e - center).powi(2)).collect::<Vec<_>>());
    let rho = mean(&products) / variance;
    if rho.is_finite() { rho.clamp(0.0, 0.999) } else { 0.0 }
}

/// NMBE and CV(RMSE) of the monthly sums.
fn monthly(intervals: &Intervals, rows: &[usize], errors: &[f64]) -> Option<(f64, f64)> {
    let month = |r: usize| {
        let at = jiff::tz::TimeZone::UTC.to_datetime(intervals.start[r]);
        (at.year(), at.month())
    };
    let mut sums: Vec<((i16, i8), usize, f64, f64)> = Vec::new();
    for (&r, error) in rows.iter().zip(errors) {
        match sums.last_mut().filter(|s| s.0 == month(r)) {
            Some(sum) => (sum.1, sum.2, sum.3) = (sum.1 + 1, sum.2 + intervals.used[r], sum.3 + error),
            None => sums.push((month(r), 1, intervals.used[r], *error)),
        }
    }
    sums.retain(|s| s.1 >= MIN_DAYS_OF_MONTH * intervals.per_day);
    if sums.len() < MIN_MONTHS {
        return None;
    }
    let mean_use = mean(&sums.iter().map(|s| s.2).collect::<Vec<_>>());
    let bias = mean(&sums.iter().map(|s| s.3).collect::<Vec<_>>()) / mean_use;
    let cv = mean(&sums.iter().map(|s| s.3 * s.3).collect::<Vec<_>>()).sqrt() / mean_use.abs();
    Some((bias, cv))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the fractional uncertainty of a saving of 10 % against values computed by hand.
    #[test]
    fn the_formula_gives_the_published_uncertainty() {
        let fractional = |n: usize, p: usize, autocorrelation: f64, cv: f64, daily: Option<f64>| {
            let effective_n = n as f64 * (1.0 - autocorrelation) / (1.0 + autocorrelation);
            let statistics = Statistics {
                n,
                p,
                autocorrelation,
                effective_n,
                nmbe: Some(0.0),
                cv_rmse: Some(cv),
                cv_rmse_adjusted: Some(cv),
                pnrmse: cv,
                monthly: None,
                rmse_adjusted: cv * 7.0,
            };
            let total = 7.0 * n as f64;
            100.0 * statistics.formula_half_width(n, total, daily) / (0.1 * total)
        };
        for (found, right) in [
            (fractional(365, 5, 0.3, 0.15, Some(12.0)), 24.69),
            (fractional(365, 5, 0.0, 0.15, Some(12.0)), 18.08),
            (fractional(8760, 24, 0.9, 0.20, None), 19.35),
            (fractional(8760, 24, 0.0, 0.20, None), 4.43),
        ] {
            assert!((found - right).abs() < 0.005, "{found} {right}");
        }
    }

    #[test]
    fn errors_of_the_preceding_interval_are_paired_only_with_neighbours() {
        let errors = [1.0, -1.0, 1.0, -1.0, 1.0, 1.0];
        assert_eq!(autocorrelation(&[0, 1, 2, 3, 4, 5], &errors), 0.0);
        let slow: Vec<f64> = (0..200).map(|i| (f64::from(i) / 20.0).sin()).collect();
        let rows: Vec<usize> = (0..200).collect();
        assert!(autocorrelation(&rows, &slow) > 0.95);
        let apart: Vec<usize> = (0..200).map(|i| 2 * i).collect();
        assert_eq!(autocorrelation(&apart, &slow), 0.0);
    }
}
