//! Tests of `src/control/autoregression.rs`.

use super::*;
use crate::rng::Key;

#[test]
fn the_weights_of_an_autoregressive_signal_are_the_powers_of_its_correlation() {
    // y(t) = 5 + z(t) with z(t) = 0.8 z(t - 1) + e, so the best forecast is 5 + 0.8^h z(t).
    let key = Key::new(11);
    let mut z = 0.0;
    let values: Vec<f64> = (0..1200)
        .map(|k| {
            z = 0.8 * z + key.uniform(k) - 0.5;
            5.0 + z
        })
        .collect();
    let fit = Autoregression::fit(&values, &[None], 8).unwrap();
    for (h, weight) in [(1, 0.8), (2, 0.64), (4, 0.4096), (5, 0.33)] {
        let found = fit.weights_at(h)[2];
        assert!((found - weight).abs() < 0.12, "{h}: {found} instead of {weight}");
    }
}

#[test]
fn a_timetable_is_forecast_exactly_and_its_season_is_found() {
    let timetable = |k: usize| [1.0, 4.0, 9.0, 2.0, 7.0, 0.0, 3.0][k % 7];
    let values: Vec<f64> = (0..300).map(timetable).collect();
    let fit = Autoregression::fit(&values, &[None, Some(5), Some(7)], 20).unwrap();
    assert_eq!(fit.season, Some(7));
    let mut out = vec![0.0; 20];
    fit.fill(&values, &mut out);
    for (h, found) in (1..).zip(&out) {
        assert!((found - timetable(299 + h)).abs() < 0.02, "{h}: {found}");
    }
}

#[test]
fn the_weights_are_the_least_squares_solution_within_their_bounds() {
    // The first two differences are independent. Their covariances with the target are 0.5 and 1.7.
    let products = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]];
    let (weights, explained) = bounded_least_squares(&products, &[0.5, 1.7, 0.0], 1_000_000_000);
    assert!((weights[0] - 0.5).abs() < 1e-6 && weights[1] == 1.0 && weights[2] == 0.0, "{weights:?}");
    assert!((explained - (0.25 + 2.4)).abs() < 1e-6, "{explained}");
}

#[test]
fn a_past_that_is_too_short_gives_no_estimate() {
    let values: Vec<f64> = (0..40).map(f64::from).collect();
    assert!(Autoregression::fit(&values, &[Some(7)], 4).is_none());
    assert!(Autoregression::fit(&[f64::NAN; 400], &[None], 4).is_none());
}

#[test]
fn seasons_are_compared_over_the_same_rows() {
    // A weekly pattern of hourly values, whose noise became eight times smaller 45 days ago. The
    // errors of the weekly season are small now, but larger than the errors of the daily season if
    // the two seasons are compared over different rows.
    let (key, rows) = (Key::new(5), 40 * 168);
    let pattern = |k: usize| if k % 168 < 120 { 12.0 * ((k % 24) as f64 - 12.0).abs() / 12.0 } else { 1.0 };
    let noise = |k: usize| if k + 45 * 24 < rows { 4.0 } else { 0.5 } * key.normal(k as u64);
    let values: Vec<f64> = (0..rows).map(|k| pattern(k) + noise(k)).collect();
    assert_eq!(Autoregression::fit(&values, &[None, Some(24), Some(168)], 24).unwrap().season, Some(168));
}

#[test]
fn a_new_largest_value_limits_the_forecast() {
    let key = Key::new(7);
    let mut level = 0.0;
    let values: Vec<f64> = (0..1200)
        .map(|k| {
            level = 0.95 * level + key.uniform(k) - 0.5;
            level
        })
        .collect();
    let fit = Autoregression::fit(&values, &[None], 4).unwrap();
    let mut out = [0.0];
    let record = fit.range.1 + 10.0;
    fit.fill(&[&values[..], &[record]].concat(), &mut out);
    let expected = 0.95 * record;
    assert!(out[0] > fit.range.1 && (out[0] - expected).abs() < 0.1 * expected, "{} instead of {expected}", out[0]);
}
