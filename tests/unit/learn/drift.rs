//! Tests of `src/learn/drift.rs`.

use super::*;
use crate::rng::Key;

const HOUR_MS: i64 = 3_600_000;
const QUARTER: usize = 90 * 24;

#[test]
fn the_stability_index_has_its_golden_value_and_ignores_the_sample_size() {
    assert!((stability_index(&[0.25; 4], &[0.4, 0.3, 0.2, 0.1]) - 0.228_217_4).abs() < 1e-7);
    // for 1,000 and for 100,000 values, the index is below the limit if the distribution is
    // unchanged, and above it after a shift of one standard deviation
    let normals =
        |n: u64, shift: f64, stream: u64| (0..n).map(|i| shift + Key::new(stream).normal(i)).collect::<Vec<_>>();
    for n in [1_000, 100_000] {
        let reference = normals(n, 0.0, 1);
        for stream in 2..12 {
            let (equal, shifted) = (normals(n, 0.0, stream), normals(n, 1.0, stream));
            assert!(input_shift(&reference, &equal).unwrap() < 0.1);
            assert!(input_shift(&reference, &shifted).unwrap() > SHIFTED);
        }
    }
    // a change of a constant in either direction is a shift
    assert!(input_shift(&[3.0; 50], &[3.0; 9]).unwrap().abs() < 1e-12);
    assert!([2.0, 4.0].iter().all(|v| input_shift(&[3.0; 50], &[*v; 9]).unwrap() > 1.0));
    assert_eq!(input_shift(&[f64::NAN], &[1.0]), None);
}

/// Errors with a daily pattern, an autocorrelation of `phi` at lag 1 and a standard deviation of 1.
/// From row `from` on, the errors are shifted by `shift` plus `slope` per row.
fn errors(rows: usize, phi: f64, stream: u64, from: usize, shift: f64, slope: f64) -> Vec<(usize, f64)> {
    let key = Key::new(stream);
    let mut e = key.normal(u64::MAX);
    let daily = |t: usize| (std::f64::consts::TAU * t as f64 / 24.0).sin();
    (0..rows)
        .map(|t| {
            e = phi * e + (1.0 - phi * phi).sqrt() * key.normal(t as u64);
            let drift = if t < from { 0.0 } else { shift + slope * (t - from) as f64 };
            (t, 3.0 + e + daily(t) + drift)
        })
        .collect()
}

#[test]
fn the_run_length_agrees_with_published_tables() {
    // one-sided CUSUM with allowance 0.5 on normal innovations (Brook & Evans 1972; Siegmund 1985)
    let reference =
        Reference { pattern: vec![0.0], day: 0.0, phi: 0.0, sd: 1.0, innovation_sd: 1.0, sorted: vec![0.0] };
    for (h, shift, published) in [(4.0, 0.0, 335.4), (5.0, 0.0, 930.0), (4.0, 1.0, 8.38), (5.0, 1.0, 10.4)] {
        let found = reference.run_length(h, 1.0, shift);
        assert!((found / published - 1.0).abs() < 0.02, "h = {h}, shift = {shift}: {found} instead of {published}");
    }
}

/// Mean number of false alarms in a stream of 90 days with a budget of one alarm, estimated from
/// `streams` streams.
fn false_alarms(streams: u64, phi: f64) -> f64 {
    let alarms = |stream: u64| {
        let all = errors(2 * QUARTER, phi, stream, 0, 0.0, 0.0);
        let reference = Reference::new(&all[..QUARTER], HOUR_MS).unwrap();
        reference.alarms(&all[QUARTER..], QUARTER as f64).len()
    };
    (0..streams).map(alarms).sum::<usize>() as f64 / streams as f64
}

/// Median number of hours until an alarm after a change, over 101 streams.
fn delay(phi: f64, shift: f64, slope: f64) -> usize {
    let mut delays: Vec<usize> = (0..101)
        .map(|stream| {
            let all = errors(2 * QUARTER, phi, 1_000 + stream, QUARTER + 200, shift, slope);
            let reference = Reference::new(&all[..QUARTER], HOUR_MS).unwrap();
            let alarms = reference.alarms(&all[QUARTER..], QUARTER as f64);
            alarms.iter().find(|a| a.row >= QUARTER + 200).map_or(usize::MAX, |a| a.row - QUARTER - 200)
        })
        .collect();
    delays.sort_unstable();
    delays[50]
}

#[test]
fn false_alarms_stay_within_the_budget() {
    let rate = false_alarms(150, 0.9);
    println!("{rate:.3} false alarms per 90 days over 150 streams");
    // the standard error of a mean of 150 Poisson numbers is 0.08
    assert!((0.65..=1.35).contains(&rate), "{rate}");
}

/// DRIFT-1 in full, part of `just battery`.
#[test]
#[ignore = "takes half a minute"]
fn false_alarms_of_1000_streams_stay_within_the_budget() {
    for phi in [0.0, 0.5, 0.9] {
        let rate = false_alarms(1_000, phi);
        println!("battery: false alarms per 90 days with an autocorrelation of {phi}: {rate:.3} over 1000 streams");
        assert!((0.75..=1.25).contains(&rate), "{phi}: {rate}");
    }
}

#[test]
fn shifts_of_the_errors_are_found_soon() {
    for phi in [0.0, 0.5, 0.9] {
        let [one, two, slow] = [(1.0, 0.0), (2.0, 0.0), (0.0, 1.0 / 720.0)].map(|(s, l)| delay(phi, s, l));
        println!(
            "battery: median delay with an autocorrelation of {phi}: {one} h (1 sd), {two} h (2 sd), {slow} h (1 sd a month)"
        );
        let limits = if phi < 0.9 { [72, 24, 14 * 24] } else { [168, 72, 30 * 24] };
        assert!(one <= limits[0] && two <= limits[1] && slow <= limits[2], "{phi}: {one} {two} {slow}");
    }
}

#[test]
fn an_alarm_estimates_the_time_and_the_size_of_the_change() {
    let all = errors(2 * QUARTER, 0.5, 7, QUARTER + 300, -2.0, 0.0);
    let reference = Reference::new(&all[..QUARTER], HOUR_MS).unwrap();
    let alarms = reference.alarms(&all[QUARTER..], QUARTER as f64);
    let alarm = alarms.iter().find(|a| a.row >= QUARTER + 300).unwrap();
    assert!(alarm.since.abs_diff(QUARTER + 300) <= 12, "{alarm:?}");
    let size = reference.size(&all[QUARTER..], alarm.since);
    assert!((size + 2.0).abs() < 0.2, "{size}");
    // a reference cannot be estimated from too few errors, or from errors without noise
    assert!(Reference::new(&all[..50], HOUR_MS).is_none());
    let constant: Vec<(usize, f64)> = (0..500).map(|t| (t, 1.0)).collect();
    assert!(Reference::new(&constant, HOUR_MS).is_none());
}
