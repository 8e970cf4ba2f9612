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
    Forecast { realised: Arc::new(realised), present: Present::AfterHistory(past), signals: vec![(0, how)] }
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
fn the_difference_is_added_only_if_differences_persist() {
    // Independent values: the forecast repeats the values of the last season. The key makes them look random.
    let key = crate::rng::Key::new(3);
    let random: Vec<f64> = (0..700).map(|k| (20.0 * key.uniform(k)).floor()).collect();
    let f = forecast(random.clone(), 699, seasonal_of(7));
    for (found, last) in forecast_values(&f, 0, 6).iter().zip(&random[693..]) {
        assert!((found - last).abs() <= 0.2 * (random[699] - random[692]).abs(), "{found} instead of {last}");
    }
    // A level that changes once a month persists, so the difference is added as before.
    let level = |k: usize| 10.0 * (k / 240) as f64 + (k % 24) as f64;
    let f = forecast((0..700).map(level).collect(), 485, seasonal_of(24));
    let expected = (1..=6).map(|h| level(485 + h - 24) + 10.0 * (1.0 - h as f64 / 24.0));
    for (found, expected) in forecast_values(&f, 0, 6).iter().zip(expected) {
        assert!((found - expected).abs() < 1e-9, "{found} instead of {expected}");
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
        values in prop::collection::vec(prop_oneof![9 => -5.0..5.0, 1 => Just(f64::NAN)], 12..60),
        noise in prop::collection::vec(-9.0..9.0, 60),
        past in 0_usize..8,
        t in 0_usize..8,
        season in 1_i64..9,
    ) {
        let now = (past + t).min(values.len() - 1);
        let mut other = values.clone();
        for (v, n) in other.iter_mut().zip(&noise).skip(now + 1) {
            *v = *n;
        }
        for how in [ForecastSpec::Persistence, seasonal_of(season)] {
            let bits = |v: &[f64]| -> Vec<u64> {
                forecast_values(&forecast(v.to_vec(), past, how), t, 20).iter().map(|x| x.to_bits()).collect()
            };
            prop_assert_eq!(bits(&values), bits(&other));
        }
    }
}

/// A run that leaves out rows 8 to 11 of the realised signals.
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
