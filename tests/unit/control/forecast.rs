//! Tests of `src/control/forecast.rs`.

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::schema::{Schema, Signal};
use crate::units::Unit;

fn forecast(values: Vec<f64>, past: usize, how: ForecastSpec) -> Forecast {
    let signal = Signal::open("load", Role::Disturbance, Unit::one());
    let schema = Arc::new(Schema::new(vec![signal]));
    let mut realised = Trajectory::empty(schema, Timestamp::UNIX_EPOCH, 3_600_000, values.len(), 1);
    realised.columns[0] = values;
    Forecast::of(Arc::new(realised), past, vec![(0, how)])
}

fn seasonal_of(hours: i64) -> ForecastSpec {
    ForecastSpec::Seasonal(TimeSpan::from_ms(hours * 3_600_000))
}

fn forecast_values(f: &Forecast, t: usize, n: usize) -> Vec<f64> {
    let mut out = vec![0.0; n];
    f.fill(0, t, &mut out);
    out
}

#[test]
fn persistence_keeps_the_last_known_value() {
    assert_eq!(forecast_values(&forecast(vec![1.0, 2.0, f64::NAN, 9.0], 2, ForecastSpec::Persistence), 0, 3), [2.0; 3]);
}

#[test]
fn the_seasonal_forecast_adds_a_decaying_difference() {
    // The season has 4 steps. At step 4, the load is 8 higher than one season earlier.
    let f = forecast(vec![0.0, 10.0, 20.0, 30.0, 8.0, -1.0, -1.0], 4, seasonal_of(4));
    assert_eq!(forecast_values(&f, 0, 6), [16.0, 24.0, 32.0, 8.0, 10.0, 20.0]);
    // A missing value is replaced by the value one season earlier.
    let f = forecast(vec![1.0, 2.0, 1.0, f64::NAN, 1.0], 4, seasonal_of(2));
    assert_eq!(forecast_values(&f, 0, 2), [2.0, 1.0]);
    // The history is shorter than one season.
    assert_eq!(forecast_values(&forecast(vec![3.0, 4.0], 1, seasonal_of(4)), 0, 2), [4.0, 4.0]);
}

#[test]
fn the_forecast_of_random_values_is_their_mean() {
    let key = crate::rng::Key::new(3);
    let random: Vec<f64> = (0..700).map(|k| (20.0 * key.uniform(k)).floor()).collect();
    let mean = random.iter().sum::<f64>() / 700.0;
    for how in [seasonal_of(7), ForecastSpec::Learned] {
        let values = forecast_values(&forecast(random.clone(), 699, how), 0, 20);
        assert!(values.iter().all(|v| (v - mean).abs() < 1.0), "{values:?} instead of {mean}");
    }
}

#[test]
fn the_forecast_follows_a_timetable_and_a_persistent_level() {
    // The level of a day persists with the factor 0.9 per day, and each value has an independent error.
    let key = crate::rng::Key::new(5);
    let noise = |k: usize| key.uniform(k as u64) - 0.5;
    let shape = |k: usize| 10.0 * ((k % 24) as f64 / 24.0 * std::f64::consts::TAU).sin();
    let mut level = vec![0.0; 60];
    for day in 1..60 {
        level[day] = 0.9 * level[day - 1] + 3.0 * noise(10_000 + day);
    }
    let values: Vec<f64> = (0..60 * 24).map(|k| shape(k) + level[k / 24] + noise(k)).collect();
    for how in [seasonal_of(24), ForecastSpec::Learned] {
        let (mut squares, mut last, mut count) = (0.0, 0.0, 0);
        for now in (40 * 24..58 * 24).step_by(5) {
            for (h, found) in (1..).zip(forecast_values(&forecast(values.clone(), now, how), 0, 24)) {
                squares += (found - values[now + h]).powi(2);
                last += (values[now + h - 24] - values[now + h]).powi(2);
                count += 1;
            }
        }
        let [error, last] = [squares, last].map(|s: f64| (s / f64::from(count)).sqrt());
        assert!(error < 0.85 * last, "{how:?}: error {error}, of the last day {last}");
    }
}

#[test]
fn the_perfect_forecast_is_the_future_and_then_holds_the_last_value() {
    let f = forecast(vec![1.0, 2.0, 3.0, f64::NAN, 5.0], 0, ForecastSpec::Perfect);
    assert_eq!(forecast_values(&f, 1, 5), [3.0, 3.0, 5.0, 5.0, 5.0]);
}

proptest! {
    #[test]
    fn only_the_perfect_forecast_depends_on_the_future(
        values in prop::collection::vec(prop_oneof![9 => -5.0..5.0, 1 => Just(f64::NAN)], 12..160),
        noise in prop::collection::vec(-9.0..9.0, 160),
        past in 0_usize..120,
        t in 0_usize..8,
        season in 1_i64..9,
    ) {
        let now = (past + t).min(values.len() - 1);
        let mut other = values.clone();
        for (v, n) in other.iter_mut().zip(&noise).skip(now + 1) {
            *v = *n;
        }
        for how in [ForecastSpec::Persistence, ForecastSpec::Learned, seasonal_of(season)] {
            let bits = |v: &[f64]| -> Vec<u64> {
                forecast_values(&forecast(v.to_vec(), past, how), t, 20).iter().map(|x| x.to_bits()).collect()
            };
            prop_assert_eq!(bits(&values), bits(&other));
        }
    }
}

#[test]
fn the_errors_in_the_futures_have_the_spread_of_past_errors() {
    let key = crate::rng::Key::new(21);
    let values: Vec<f64> = (0..900).map(|k| 12.0 * key.uniform(k)).collect();
    // The standard deviation of a uniform value is its range divided by √12, and the standard
    // deviation of a sum of h values grows with √h.
    let deviation = 12.0 / 12f64.sqrt();
    for how in [seasonal_of(7), ForecastSpec::Learned] {
        let errors = forecast(values.clone(), 899, how).errors(0, 0, 9, 32);
        assert_eq!((errors.len(), errors[0].len()), (32, 9));
        for h in [1, 4, 9] {
            let sums: Vec<f64> = errors.iter().map(|e| e[..h].iter().sum()).collect();
            let (mean, sd) = crate::stats::mean_and_sample_sd(sums.iter().copied());
            let expected = deviation * (h as f64).sqrt();
            assert!((sd / expected - 1.0).abs() < 0.2 && mean.abs() < 0.3 * expected, "{h}: {mean} ± {sd}");
        }
    }
    assert!(forecast(values, 899, ForecastSpec::Perfect).errors(0, 0, 9, 32).is_empty());
    assert!(forecast(vec![1.0; 9], 8, ForecastSpec::Learned).errors(0, 0, 9, 32).is_empty());
}

/// A run that skips rows 8 to 11 of the realised signals.
#[test]
fn forecasts_continue_after_a_gap() {
    let values =
        [&[0.0, 10.0, 20.0, 30.0, 0.0, 10.0, 20.0, 30.0][..], &[f64::NAN; 4], &[1.0, 11.0, 21.0, 31.0]].concat();
    let across = |how| {
        let f = forecast(values.clone(), 0, how);
        Forecast { present: Present::AtRows(Arc::new([6, 7, 12, 13, 14, 15])), ..f }
    };
    let perfect = across(ForecastSpec::Perfect);
    assert_eq!(forecast_values(&perfect, 0, 4), [30.0, 1.0, 11.0, 21.0]);
    assert_eq!(forecast_values(&perfect, 4, 3), [31.0, 31.0, 31.0]);
    // With a season of 4 steps, the values after the gap are forecast from the values at the same times before the gap.
    let seasonal = across(seasonal_of(4));
    assert_eq!(forecast_values(&seasonal, 1, 3), [0.0, 10.0, 20.0]);
    let hours = |t: usize, n| seasonal.times(t, n).iter().map(|t| t.as_second() / 3600).collect::<Vec<_>>();
    assert_eq!(hours(0, 4), [7, 12, 13, 14]);
    assert_eq!(hours(3, 4), Vec::<i64>::new());
    assert_eq!(hours(0, 7), [7, 12, 13, 14, 15, 16, 17]);
}

#[test]
fn the_futures_of_different_signals_have_unrelated_orders() {
    // Correlation of two permutations with mean (n - 1) / 2 and variance (n² - 1) / 12.
    let correlation = |a: &[usize], b: &[usize]| {
        let n = a.len() as f64;
        let sum: f64 =
            a.iter().zip(b).map(|(a, b)| (*a as f64 - (n - 1.0) / 2.0) * (*b as f64 - (n - 1.0) / 2.0)).sum();
        sum / n / ((n * n - 1.0) / 12.0)
    };
    for (count, most) in [(8, 0.35), (64, 0.1), (256, 0.06)] {
        let orders: Vec<Vec<usize>> = (0..4).map(|i| order(i, count)).collect();
        for (i, a) in orders.iter().enumerate() {
            let mut sorted = a.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..count).collect::<Vec<_>>());
            for b in &orders[..i] {
                assert!(correlation(a, b).abs() < most, "{count}: {}", correlation(a, b));
            }
        }
    }
}
