//! Tests of `src/log/clock.rs`.

use super::*;

const MIN: i64 = 60_000_000;

fn regular(n: i64) -> Vec<i64> {
    (0..n).map(|i| 1_704_067_200_000_000 + i * 10 * MIN).collect()
}

fn look(time: &[i64]) -> ClockFaults {
    let value: Vec<f64> = (0..time.len()).map(|i| i as f64).collect();
    examine(time, &value, &[0], &TimeZone::UTC)
}

#[test]
fn a_regular_clock_has_no_faults() {
    let f = look(&regular(500));
    assert_eq!((f.out_of_order.count, f.steps.count), (0, 0));
}

#[test]
fn late_rows_are_not_a_clock_step() {
    let mut t = regular(500);
    t.swap(100, 105);
    let f = look(&t);
    assert_eq!((f.out_of_order.count, f.steps.count), (5, 0));
}

#[test]
fn a_clock_set_back_or_forward_is_a_clock_step() {
    let mut t = regular(500);
    t[200..].iter_mut().for_each(|t| *t -= 60 * MIN);
    assert_eq!(look(&t).steps.count, 1);
    let mut t = regular(500);
    t[200..].iter_mut().for_each(|t| *t += 37 * MIN);
    let f = look(&t);
    assert_eq!((f.steps.count, f.out_of_order.count), (1, 0));
    assert!(f.notes[0].starts_with("forward by 37 min"), "{:?}", f.notes);
    let mut t = regular(500);
    t[200..300].iter_mut().for_each(|t| *t += 60 * MIN);
    assert_eq!(look(&t).steps.count, 2);
}

#[test]
fn rows_written_twice_are_not_a_clock_step() {
    let t: Vec<i64> = regular(300).into_iter().chain(regular(500).into_iter().skip(250)).collect();
    let v: Vec<f64> = t.iter().map(|t| *t as f64).collect();
    let f = examine(&t, &v, &[0], &TimeZone::UTC);
    assert_eq!((f.steps.count, f.out_of_order.count), (0, 50));
}

#[test]
fn a_gap_is_not_a_clock_step() {
    let mut t = regular(500);
    t.drain(100..140);
    assert_eq!(look(&t).steps.count, 0);
}

#[test]
fn shuffled_rows_are_only_out_of_order() {
    let mut t = regular(3_000);
    let key = crate::rng::Key::new(5);
    for i in (1..t.len()).rev() {
        t.swap(i, key.below(i as u64, i + 1));
    }
    let f = look(&t);
    assert!(f.steps.count == 0 && f.out_of_order.count > 2_500, "{f:?}");
}

#[test]
fn local_midnights_in_summer_time_are_not_a_clock_step() {
    use jiff::{ToSpan, civil::date};
    for (name, days) in [("Europe/London", 1), ("Australia/Lord_Howe", 1), ("America/New_York", 7)] {
        let zone = crate::zone::zone(name).unwrap();
        let at = |k: i64| date(2023, 1, 2).saturating_add((k * days).days()).at(0, 0, 0, 0);
        let time: Vec<i64> = (0..400 / days).map(|k| zone.to_timestamp(at(k)).unwrap().as_microsecond()).collect();
        let value: Vec<f64> = (0..time.len()).map(|i| i as f64).collect();
        assert_eq!(examine(&time, &value, &[0], &zone).steps.count, 0, "{name}");
        // in another time zone, the days have 23 and 25 hours
        if days == 1 && name == "Europe/London" {
            let found = examine(&time, &value, &[0], &TimeZone::UTC);
            assert_eq!(found.steps.count, 2);
            assert!(found.help.contains("set `timezone`"));
        }
        // a clock that is set back is found in every time zone
        let mut moved = time.clone();
        let from = if days == 1 { 20 } else { 11 };
        moved[from..].iter_mut().for_each(|t| *t -= 5 * HOUR * days);
        assert_eq!(examine(&moved, &value, &[0], &zone).steps.count, 1, "{name}");
    }
}
