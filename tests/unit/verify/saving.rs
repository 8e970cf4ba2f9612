//! Tests of `src/verify/saving.rs` and `src/verify/baseline.rs` with a simulated building whose energy use is known.

use jiff::Timestamp;

use super::*;
use crate::compute::cpu;
use crate::verify::{Intervals, Settings};

const HOURS: usize = 24 * 150;
const BASELINE: usize = 24 * 120;

/// The use of a building in summer, with AR(1) noise: 100 kWh/h, plus 4 kWh/h per kelvin above 12 °C, plus 30 kWh/h on
/// working days from 8 to 18 h. In the reporting period, the use is multiplied by `factor`, and the outdoor temperature
/// rises by `warmer`.
fn building(factor: f64, warmer: f64, seed: u64) -> Intervals {
    let start = "2024-05-06T00:00:00Z".parse::<Timestamp>().unwrap().as_second();
    let (key, mut weather, mut noise) = (Key::new(seed), 0.0, 0.0);
    let (mut used, mut outdoor) = (Vec::new(), Vec::new());
    for i in 0..HOURS {
        let hour = (i % 24) as f64;
        weather = 0.98 * weather + 0.7 * key.fold(1).normal(i as u64);
        noise = 0.8 * noise + 3.0 * key.fold(2).normal(i as u64);
        let reporting = i >= BASELINE;
        let t = 15.0
            + 6.0 * (std::f64::consts::TAU * (hour - 9.0) / 24.0).sin()
            + weather
            + if reporting { warmer } else { 0.0 };
        let office = (i / 24) % 7 < 5 && (8..18).contains(&(i % 24));
        let use_now = 100.0 + 4.0 * (t - 12.0).max(0.0) + if office { 30.0 } else { 0.0 } + noise;
        used.push(if reporting { factor * use_now } else { use_now });
        outdoor.push(t);
    }
    let at = |i: usize| Timestamp::from_second(start + 3_600 * i as i64).unwrap();
    Intervals {
        start: (0..HOURS).map(at).collect(),
        end: (0..HOURS).map(|i| at(i + 1)).collect(),
        used,
        length: vec![1.0; HOURS],
        drivers: vec![outdoor],
        weekday: (0..HOURS).map(|i| i / 24 % 7).collect(),
        hour: (0..HOURS).map(|i| i % 24).collect(),
        per_day: 24,
    }
}

fn saving(intervals: &Intervals) -> Saving {
    let compute = cpu();
    let settings = Settings { reporting: HOURS - BASELINE, frozen: None, seed: 1, compute: &compute };
    let baseline = AdjustedBaseline::fit(intervals, 0..BASELINE, &settings).unwrap();
    Saving::new(&baseline, intervals, BASELINE..HOURS, false, 1).unwrap()
}

#[test]
fn a_known_saving_is_found_and_verified() {
    let found = saving(&building(0.9, 0.0, 1));
    let right = found.measured * (1.0 / 0.9 - 1.0);
    assert!((found.saving / right - 1.0).abs() < 0.1, "{found:?} {right}");
    assert!(found.low < right && right < found.high && found.claim == Claim::Verified, "{found:?} {right}");
    assert_eq!((found.intervals, found.outside < 0.05), (HOURS - BASELINE, true));
}

#[test]
fn warmer_weather_is_not_taken_for_an_increase_of_the_use() {
    let found = saving(&building(1.0, 3.0, 2));
    assert!(found.low < 0.0 && 0.0 < found.high, "{found:?}");
    assert_eq!(found.claim, Claim::NotShown);
    // Without an adjustment, the use seems to have increased by about 9 %.
    assert!(found.saving.abs() < 0.03 * found.measured, "{found:?}");
}

#[test]
fn intervals_of_buildings_without_a_saving_contain_zero() {
    let covered = (10..30).filter(|seed| {
        let s = saving(&building(1.0, 0.0, *seed));
        s.low <= 0.0 && 0.0 <= s.high
    });
    let covered = covered.count();
    assert!(covered >= 17, "{covered} of 20");
}

#[test]
fn a_saving_in_unknown_weather_is_not_verified() {
    let found = saving(&building(0.8, 20.0, 3));
    assert!(found.outside > 0.5 && found.claim == Claim::Extrapolated, "{found:?}");
    // nor is the absence of a saving stated in unknown weather
    let found = saving(&building(1.0, 20.0, 3));
    assert!(found.outside > 0.5 && found.claim == Claim::Extrapolated, "{found:?}");
}

#[test]
fn a_use_that_nothing_explains_is_not_fit_for_claims() {
    let mut intervals = building(0.9, 0.0, 4);
    let key = Key::new(9);
    for (i, used) in intervals.used.iter_mut().enumerate() {
        *used = if key.uniform(i as u64) < 0.2 { 500.0 } else { 1.0 };
    }
    assert_eq!(saving(&intervals).claim, Claim::NotFit);
}

/// For a sum of m white errors, the bootstrap and the placebo windows must both give the standard deviation σ √m.
#[test]
fn sums_of_independent_errors_have_the_right_spread() {
    let key = Key::new(5);
    let errors: Vec<f64> = (0..24 * 200).map(|i| key.normal(i as u64)).collect();
    let m = 24 * 20;
    let right = 1.645 * (m as f64).sqrt();
    let [low, high] = bootstrap(&errors, m, 7 * 24, 1);
    for half in [low, high, placebo(&errors, &[], 0, m)] {
        assert!((0.6..1.6).contains(&(half / right)), "{half} {right}");
    }
}
