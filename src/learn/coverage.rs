//! Acceptable range of the coverage of a forecast interval, given the number of independent forecasts.

/// Acceptable deviation from the nominal coverage if the number of forecasts is large (CAL-1).
const TOLERANCE: f64 = 0.03;

/// Effective number of independent values in the time series `series`: n / (1 + 2 Σ ρ_l), where ρ_l is the
/// autocorrelation at lag l. The sum ends before the first pair of consecutive lags whose autocorrelations have a
/// negative sum (initial positive sequence; Geyer 1992). The result is `None` if the series is constant.
pub fn effective_sample_size(series: &[f64]) -> Option<f64> {
    let n = series.len();
    let mean = series.iter().sum::<f64>() / n.max(1) as f64;
    let covariance = |lag: usize| -> f64 {
        series[..n - lag].iter().zip(&series[lag..]).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / n as f64
    };
    let variance = if n == 0 { 0.0 } else { covariance(0) };
    if variance <= 1e-12 * mean * mean {
        return None;
    }
    let mut sum = 0.0;
    for lag in (1..n.saturating_sub(1)).step_by(2) {
        let pair = (covariance(lag) + covariance(lag + 1)) / variance;
        if pair <= 0.0 {
            break;
        }
        sum += pair;
    }
    Some((n as f64 / (1.0 + 2.0 * sum)).clamp(1.0, n as f64))
}

/// Minimum and maximum acceptable coverage of an interval with nominal coverage `level` over `n` independent forecasts:
/// `level` ± 3 percentage points, or the 95 % range of the sampling error if that is wider.
pub fn acceptable(level: f64, n: f64) -> (f64, f64) {
    let half = (1.96 * (level * (1.0 - level) / n.max(1.0)).sqrt()).max(TOLERANCE);
    ((level - half).max(0.0), (level + half).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Key;

    #[test]
    fn autocorrelation_reduces_the_effective_sample_size() {
        let key = Key::new(1);
        let white: Vec<f64> = (0..4000).map(|i| key.normal(i)).collect();
        assert!(effective_sample_size(&white).unwrap() > 3000.0);
        let mut e = 0.0;
        let red: Vec<f64> = (0..20_000)
            .map(|i| {
                e = 0.9 * e + key.normal(i);
                e
            })
            .collect();
        // n (1 − φ) / (1 + φ)
        let n = effective_sample_size(&red).unwrap();
        assert!((n / (20_000.0 / 19.0) - 1.0).abs() < 0.25, "{n}");
        assert_eq!((effective_sample_size(&[1.0; 50]), effective_sample_size(&[])), (None, None));
    }

    #[test]
    fn the_acceptable_range_is_three_points_or_the_sampling_error() {
        let (low, high) = acceptable(0.9, 10_000.0);
        assert!((low - 0.87).abs() < 1e-12 && (high - 0.93).abs() < 1e-12);
        let (low, high) = acceptable(0.9, 49.0);
        assert!((low - 0.816).abs() < 1e-3 && (high - 0.984).abs() < 1e-3);
        assert_eq!(acceptable(0.9, 1.0).1, 1.0);
    }
}
