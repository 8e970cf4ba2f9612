//! Tests of `src/log/resample.rs`.

use std::sync::Arc;

use super::*;

const MIN: i64 = 60_000_000;

fn samples(pairs: &[(i64, f64)]) -> Samples {
    Samples {
        time: Arc::new(pairs.iter().map(|p| p.0 * MIN).collect()),
        value: pairs.iter().map(|p| p.1).collect(),
        length: Vec::new(),
    }
}

fn resampled(pairs: &[(i64, f64)], how: Resample) -> Resampled {
    with(pairs, |m| m.how = how)
}

fn with(pairs: &[(i64, f64)], change: impl Fn(&mut Method)) -> Resampled {
    let grid = Grid { start: 0, step: 10 * MIN, steps: 8, slack: 0, bounds: Vec::new() };
    let mut method = Method {
        how: Resample::Mean,
        max_gap: 30 * MIN,
        hold_forever: false,
        weighted: false,
        interval: None,
        longest: i64::MAX,
        partial: Partial::Missing,
        empty: None,
    };
    change(&mut method);
    resample(&samples(pairs), &grid, std::slice::from_ref(&(0..8)), &method)
}

fn shown(r: &Resampled) -> Vec<String> {
    r.value.iter().map(|v| if v.is_nan() { "-".into() } else { v.to_string() }).collect()
}

#[test]
fn mean_sum_hold_and_linear_resampling() {
    let s = [(0, 1.0), (4, 3.0), (11, 5.0), (70, 7.0)];
    assert_eq!(shown(&resampled(&s, Resample::Mean)), ["2", "5", "-", "-", "-", "-", "-", "7"]);
    assert_eq!(shown(&resampled(&s, Resample::Sum)), ["4", "5", "-", "-", "-", "-", "-", "7"]);
    let held = resampled(&s, Resample::Hold);
    assert_eq!(shown(&held), ["3", "5", "5", "5", "5", "-", "-", "7"]);
    assert_eq!((held.held.count, held.missing.count, held.sampled), (3, 2, 3));
    let s = [(0, 0.0), (15, 15.0), (40, 40.0), (75, 75.0)];
    let line = resampled(&s, Resample::Linear);
    assert_eq!(shown(&line), ["0", "10", "20", "30", "40", "-", "-", "75"]);
    assert_eq!(line.interpolated.count, 2);
}

#[test]
fn a_weighted_mean_counts_each_sample_for_as_long_as_it_is_the_latest() {
    let s = [(0, 1.0), (4, 3.0), (9, 8.0), (12, 5.0), (75, 7.0)];
    let mean = with(&s, |m| m.weighted = true);
    // (4 * 1 + 5 * 3 + 1 * 8) / 10, (2 * 8 + 8 * 5) / 10, then 5 until 12 min + 30 min, then 7 for the covered half.
    assert_eq!(shown(&mean), ["2.7", "5.6", "5", "5", "5", "-", "-", "7"]);
    assert_eq!(mean.held.count, 3);
    let forever = with(&s, |m| (m.weighted, m.hold_forever) = (true, true));
    assert_eq!(shown(&forever)[4..], ["5", "5", "5", "6"]);
}

#[test]
fn amounts_are_split_by_overlap_and_partly_covered_steps_are_missing_or_scaled() {
    let amounts = |s: &[(i64, f64)], every: i64, partial| {
        shown(&with(s, |m| (m.how, m.interval, m.partial) = (Resample::Sum, Some(every * MIN), partial)))
    };
    // 30 in minutes 5 to 25, 60 in minutes 25 to 45, and 40 in minutes 45 to 65.
    let slow = [(5, 30.0), (25, 60.0), (45, 40.0)];
    assert_eq!(amounts(&slow, 20, Partial::Missing), ["-", "15", "22.5", "30", "25", "20", "-", "-"]);
    let fast = [(0, 1.0), (5, 2.0), (10, 4.0), (20, 8.0), (25, 16.0)];
    assert_eq!(amounts(&fast, 5, Partial::Missing)[..4], ["3", "-", "24", "-"]);
    assert_eq!(amounts(&fast, 5, Partial::Scale)[..4], ["3", "8", "24", "-"]);
    let sales = with(&[(3, 2.0), (4, 5.0), (35, 1.0)], |m| (m.how, m.empty) = (Resample::Sum, Some(0.0)));
    assert_eq!(shown(&sales), ["7", "0", "0", "1", "0", "0", "0", "0"]);
    assert_eq!((sales.empty.count, sales.missing.count), (6, 0));
}

#[test]
fn the_increases_of_a_counter_with_jittered_times_add_up_to_the_difference_of_its_readings() {
    const N: usize = 400;
    for (jitter, slack) in [(10e6, MIN), (60e6, MIN), (170e6, MIN), (60e6, 0)] {
        let key = crate::rng::Key::new(jitter as u64);
        // The first and the last reading lie at the ends of steps.
        let shift = |i: usize| if i.is_multiple_of(N) { 0.0 } else { jitter * (2.0 * key.uniform(i as u64) - 1.0) };
        let time: Vec<i64> = (0..=N).map(|i| i as i64 * 10 * MIN + shift(i) as i64).collect();
        // Energy since the first reading; the counter is reset at every 90th reading.
        let rise = |i: usize| 5.0 + 4.0 * key.uniform(1_000 + i as u64);
        let mut energy = vec![0.0];
        (1..=N).for_each(|i| energy.push(energy[i - 1] + rise(i)));
        let reading = |i: usize| energy[i] - if i < 90 { -500.0 } else { energy[i / 90 * 90 - 1] };
        let readings =
            Samples { time: Arc::new(time.clone()), value: (0..=N).map(reading).collect(), length: Vec::new() };
        let increases = super::super::counter::increases(&readings, 60 * MIN);
        assert_eq!(increases.resets.count, 4);
        let at = |t: i64| {
            let i = time.partition_point(|u| *u <= t).clamp(1, N);
            energy[i - 1] + (energy[i] - energy[i - 1]) * ((t - time[i - 1]) as f64 / (time[i] - time[i - 1]) as f64)
        };
        let grid = Grid { start: 0, step: 10 * MIN, steps: N, slack, bounds: Vec::new() };
        let method = Method {
            how: Resample::Sum,
            max_gap: 60 * MIN,
            hold_forever: false,
            weighted: false,
            interval: Some(10 * MIN),
            longest: i64::MAX,
            partial: Partial::Missing,
            empty: None,
        };
        // Two segments that meet must share the interval between them.
        for segments in [vec![0..N], vec![0..123, 123..N]] {
            let value = resample(&increases.samples, &grid, &segments, &method).value;
            for (k, v) in value.iter().enumerate() {
                let expected = at((k as i64 + 1) * 10 * MIN) - at(k as i64 * 10 * MIN);
                assert!((v - expected).abs() < 1e-6, "{jitter} {slack} {k}: {v} instead of {expected}");
            }
            assert!((value.iter().sum::<f64>() - energy[N]).abs() < 1e-6);
        }
    }
}
