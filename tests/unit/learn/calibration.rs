//! Tests of `src/learn/calibration.rs`.

use super::*;
use crate::learn::recalibration::ErrorShape;
use crate::learn::starts::Start;
use crate::rng::Key;

/// Rollouts of one signal in several blocks. All predictions are zero, so the measured values are the errors.
fn runs(blocks: usize, starts: usize, horizon: usize, error: impl Fn(usize, usize, usize) -> f64) -> Vec<Rollouts> {
    (0..blocks)
        .map(|b| Rollouts {
            signals: vec![0],
            horizon,
            starts: (0..starts).map(|row| Start { row, first: 0, reach: horizon }).collect(),
            predicted: vec![vec![0.0; horizon * starts]],
            measured: vec![
                (0..horizon).flat_map(|h| (0..starts).map(move |s| (h, s))).map(|(h, s)| error(b, h, s)).collect(),
            ],
            model_sd: vec![vec![0.0; horizon * starts]],
            last: vec![vec![0.0; starts]],
        })
        .collect()
}

#[test]
fn bands_of_horizons_double_in_length_and_cover_every_horizon() {
    assert_eq!([1, 2, 3, 4, 5, 8, 9, 16, 17].map(band), [0, 1, 2, 2, 3, 3, 4, 4, 5]);
    for last in 1..40 {
        let all: Vec<usize> = (0..=band(last)).flat_map(|b| horizons(b, last)).collect();
        assert_eq!(all, (1..=last).collect::<Vec<_>>());
    }
}

#[test]
fn intervals_cover_stationary_errors() {
    let key = Key::new(3);
    let error = |b, h, s| (1.0 + h as f64) * key.fold(b as u64).fold(h as u64).normal(s as u64);
    let c = Calibration::fit(&runs(5, 800, 4, error), &[1.0]);
    for h in 1..=4 {
        assert!((c.sd_at(0, h) / h as f64 - 1.0).abs() < 0.05);
        let (low, high) = c.interval(0, h, 0.9);
        assert!((high / h as f64 - 1.645).abs() < 0.12 && (low / h as f64 + 1.645).abs() < 0.12, "{low} {high}");
    }
    // The errors are normal and stationary. For such errors, a method that favours recent errors may be selected only
    // together with the scaled normal shape.
    assert!(c.method[0].iter().all(|m| !m.recent || m.shape == ErrorShape::ScaledNormal), "{:?}", c.method);
}

#[test]
fn growing_errors_select_recent_weights() {
    let key = Key::new(4);
    let error = |b: usize, h, s| 3f64.powi(b as i32) * key.fold(b as u64).fold(h as u64).normal(s as u64);
    let c = Calibration::fit(&runs(5, 400, 2, error), &[1.0]);
    assert!(c.method[0].iter().all(|m| m.recent), "{:?}", c.method);
    assert!(c.sd_at(0, 1) > 1.2 * (0..5).map(|b| 9f64.powi(b)).sum::<f64>().sqrt() / 5f64.sqrt());
}

#[test]
fn one_outlier_does_not_widen_its_horizon() {
    let key = Key::new(9);
    let error = |b, h, s| match (b, h, s) {
        (3, 6, 100) => 1000.0,
        _ => key.fold(b as u64).fold(h as u64).normal(s as u64),
    };
    let c = Calibration::fit(&runs(5, 150, 8, error), &[1.0]);
    for h in 1..=8 {
        let (low, high) = c.interval(0, h, 0.9);
        assert!((high - 1.645).abs() < 0.2 && (low + 1.645).abs() < 0.2, "{low} {high} at {h}");
    }
}

#[test]
fn mostly_zero_errors_give_narrow_intervals() {
    // Four out of five errors are zero at horizon 3, seven out of eight at horizon 4, and all errors at horizon 5.
    let key = Key::new(10);
    let every = |h: usize| [1, 1, 5, 8, usize::MAX][h];
    let error = |b, h, s: usize| match s % every(h) {
        0 if h < 4 => key.fold(b as u64).fold(h as u64).normal(s as u64),
        _ => 0.0,
    };
    let c = Calibration::fit(&runs(5, 400, 5, error), &[1.0]);
    for (h, every) in [(1, 1.0), (2, 1.0), (3, 5.0), (4, 8.0)] {
        assert!((c.sd_at(0, h) * f64::sqrt(every) - 1.0).abs() < 0.15, "{} at {h}", c.sd_at(0, h));
    }
    assert!(c.sd_at(0, 5) < 1e-8, "{}", c.sd_at(0, 5));
    assert_eq!([c.expected_coverage(0, 1, 0.9), c.expected_coverage(0, 5, 0.9)], [0.9, 1.0]);
    assert!(c.expected_coverage(0, 3, 0.5) > 0.8 && c.expected_coverage(0, 3, 0.9) < 0.95);
}

#[test]
fn skewed_errors_select_empirical_quantiles() {
    let key = Key::new(5);
    let error = |b, h, s| -key.fold(b as u64).fold(h as u64).uniform(s as u64).ln() - 1.0;
    let c = Calibration::fit(&runs(5, 600, 2, error), &[1.0]);
    assert!(c.method[0].iter().all(|m| m.shape == ErrorShape::Isotonic), "{:?}", c.method);
    let (low, high) = c.interval(0, 1, 0.9);
    assert!((low + 0.949).abs() < 0.05 && (high - 1.996).abs() < 0.2, "{low} {high}");
}

#[test]
fn an_informative_model_sd_selects_local_widths() {
    let key = Key::new(6);
    // For every tenth rollout, both the error and the predicted standard deviation are thirty times larger.
    let size = |s: usize| if s.is_multiple_of(10) { 3.0 } else { 0.1 };
    let error = |b, h, s: usize| size(s) * key.fold(b as u64).fold(h as u64).normal(s as u64);
    let mut runs = runs(5, 600, 2, error);
    for run in &mut runs {
        run.model_sd[0] = (0..2 * 600).map(|i| size(i % 600)).collect();
    }
    let c = Calibration::fit(&runs, &[1.0]);
    assert!(c.method[0].iter().all(|m| m.local), "{:?}", c.method);
    for s in [0, 1] {
        let (_, high) = c.interval(0, 1, 0.9);
        let width = high * c.local_width(0, 1, size(s));
        assert!((width / (1.645 * size(s)) - 1.0).abs() < 0.4, "{width} {}", size(s));
    }
}
