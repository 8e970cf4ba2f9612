//! Tests of `src/log/clock.rs`.

use super::*;

const MIN: i64 = 60_000_000;

fn regular(n: i64) -> Vec<i64> {
    (0..n).map(|i| 1_704_067_200_000_000 + i * 10 * MIN).collect()
}

fn look(time: &[i64]) -> ClockFaults {
    let value: Vec<f64> = (0..time.len()).map(|i| i as f64).collect();
    examine(time, &value, &[0])
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
    let f = examine(&t, &v, &[0]);
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
