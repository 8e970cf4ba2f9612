use std::sync::Arc;

use super::*;
use crate::log::counter::{Increases, Rises, increases};
use crate::log::samples::Samples;
use crate::rng::Key;

const MIN: i64 = 60_000_000;

fn readings(value: Vec<f64>) -> Samples {
    Samples { time: Arc::new((0..value.len() as i64).map(|i| i * 15 * MIN).collect()), value, length: Vec::new() }
}

fn noise(i: usize) -> f64 {
    Key::new(11).normal(i as u64)
}

/// The share of the range by which a counter rises per reading: a machine that is off for a third of the time.
fn switched(i: usize) -> f64 {
    let day = 1.0 + 0.4 * (i as f64 / 96.0 * std::f64::consts::TAU).sin();
    if (i / 11).is_multiple_of(3) { 0.0 } else { ((0.3 + 0.03 * noise(i)) * day).clamp(0.0, 0.48) }
}

fn totals(increase: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut total = vec![0.0];
    (1..5_000).for_each(|i| total.push(total[i - 1] + increase(i).round()));
    total
}

fn sum(found: &Increases) -> f64 {
    found.samples.value.iter().sum()
}

#[test]
fn increases_above_a_quarter_of_the_range_are_not_those_of_a_net_meter() {
    // with and without times at which the machine is off; signed, scaled and unusual ranges; above half of the range
    let steady = |i: usize| 0.36 + 0.08 * (i as f64 / 96.0 * std::f64::consts::TAU).sin() + 0.01 * noise(i);
    for (range, lowest, scale) in [
        (65_536.0, 0.0, 1.0),
        (65_536.0, -32_768.0, 1.0),
        (65_536.0, 0.0, 0.1),
        (4_096.0, 0.0, 1.0),
        (5_000.0, 0.0, 1.0),
        (1_200.0, 0.0, 1.0),
    ] {
        for big in [1.0, 1.6] {
            let share = |i: usize| if range > 60_000.0 { big * switched(i) } else { switched(i) };
            for total in [totals(|i| range * share(i)), totals(|i| range * steady(i))] {
                let wrapped: Vec<f64> =
                    total.iter().map(|t| ((t - lowest).rem_euclid(range) + lowest) * scale).collect();
                let found = increases(&readings(wrapped.clone()), i64::MAX);
                let right = scale * total[4_999];
                assert!((sum(&found) / right - 1.0).abs() < 1e-3, "{range} {lowest} {big} {} {right}", sum(&found));
                assert_eq!((found.decreases.count, found.falls.count, found.resets.count), (0, 0, 0), "{range}");
                assert!(Rises::of(&readings(wrapped)).is_counter(), "{range} {lowest} {big}");
            }
        }
    }
}

#[test]
fn a_net_meter_may_restart_at_the_end_of_its_range() {
    let net = |i: usize| 4_000.0 * (i as f64 / 96.0 * std::f64::consts::TAU).sin() + 3_000.0 * noise(i) + 500.0;
    let total = totals(net);
    let found = increases(&readings(total.iter().map(|t| t.rem_euclid(65_536.0)).collect()), i64::MAX);
    assert!((sum(&found) - total[4_999]).abs() < 1e-6, "{} {}", sum(&found), total[4_999]);
    assert!(found.decreases.count > 1_000 && found.rollovers.count > 20);
}

#[test]
fn a_net_meter_may_fall_faster_than_it_rises() {
    // photovoltaics with ten times the power of the load
    let net = |i: usize| {
        let sun = (i as f64 / 96.0 * std::f64::consts::TAU).sin().max(0.0);
        900.0 + 100.0 * noise(i) - 9_000.0 * sun * (0.6 + 0.3 * noise(i + 7)).clamp(0.0, 1.0)
    };
    let total: Vec<f64> = totals(net).iter().map(|t| t + 2e7).collect();
    let found = increases(&readings(total.clone()), i64::MAX);
    assert!((sum(&found) - (total[4_999] - total[0])).abs() < 1e-6);
    assert_eq!(found.falls.count, 0);
}

#[test]
fn a_daily_reset_below_a_power_of_two_is_not_the_end_of_the_range() {
    let value: Vec<f64> =
        totals(|i| 900.0 * switched(i)).chunks(96).flat_map(|day| day.iter().map(|v| v - day[0] + 1.0)).collect();
    let largest = value.iter().copied().fold(0.0, f64::max);
    let scaled: Vec<f64> = value.iter().map(|v| (v * 30_000.0 / largest).round()).collect();
    let found = increases(&readings(scaled.clone()), i64::MAX);
    let right: f64 = scaled.windows(2).map(|w| if w[1] >= w[0] { w[1] - w[0] } else { w[1] }).sum();
    assert!((sum(&found) - right).abs() < 1e-6, "{} {right}", sum(&found));
    assert_eq!((found.rollovers.count, found.decreases.count), (0, 0));
}

#[test]
fn the_increase_is_unknown_if_the_counter_may_have_restarted_twice() {
    let total = totals(|i| 65_536.0 * (0.4 + 0.02 * noise(i)));
    let mut s = readings(total.iter().map(|t| t % 65_536.0).collect());
    let keep: Vec<bool> = (0..s.value.len()).map(|i| !(1_000..1_002).contains(&i)).collect();
    s.retain(&keep);
    let found = increases(&s, i64::MAX);
    assert_eq!(found.ambiguous.count, 1);
    let right = total[4_999] - (total[1_002] - total[999]);
    assert!((sum(&found) - right).abs() < 1e-6);
}

#[test]
fn amounts_and_levels_are_not_counters() {
    for (range, seed) in [(65_536.0, 1), (10_000.0, 2), (5_000.0, 3)] {
        let amount = |i: usize| (range * 0.999 * Key::new(seed).uniform(i as u64)).round();
        assert!(Cycle::of(&(0..5_000).map(amount).collect::<Vec<_>>()).is_none(), "{range}");
        // a pump that is switched on and off every few readings
        let pump = |i: usize| if (i / 2).is_multiple_of(2) { 0.0 } else { (range * 0.9 + 100.0 * noise(i)).round() };
        assert!(!Rises::of(&readings((0..5_000).map(pump).collect())).is_counter(), "{range}");
        let every_row = |i: usize| (i % 2) as f64 * range * 0.9 + 0.02 * range * noise(i).abs();
        assert!(!Rises::of(&readings((0..5_000).map(every_row).collect())).is_counter(), "{range}");
    }
}
