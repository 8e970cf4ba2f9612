//! Tests of `src/verify/outliers.rs`.

use super::*;
use crate::rng::Key;

/// A baseline period of 20 weeks and a reporting period of 6 weeks, from Monday, 2024-01-01. The model predicts 100 on
/// weekdays, and the errors have a standard deviation of 3; the use in the reporting period is 10 % lower.
fn days(change: impl Fn(Date) -> f64) -> Vec<Day> {
    let key = Key::new(11);
    (0..26 * 7)
        .map(|i| {
            let date = "2024-01-01".parse::<Date>().unwrap().saturating_add((i as i64).days());
            let reporting = i >= 20 * 7;
            let usual = if reporting { 90.0 } else { 100.0 } + 3.0 * key.normal(i as u64);
            let measured = usual * change(date);
            Day { date, reporting, intervals: 24, all_intervals: 24, measured, predicted: 100.0, event: None }
        })
        .collect()
}

fn within(date: Date, from: &str, to: &str) -> bool {
    from.parse::<Date>().unwrap() <= date && date <= to.parse::<Date>().unwrap()
}

#[test]
fn usual_weeks_are_not_reported_even_if_the_saving_is_large() {
    assert_eq!(outliers(&days(|_| 1.0)), []);
    let halved = days(|d| if within(d, "2024-05-20", "2024-12-31") { 0.5 } else { 1.0 });
    assert_eq!(outliers(&halved), []);
}

#[test]
fn an_unusual_week_is_found_in_both_periods() {
    let strange =
        |d| if within(d, "2024-03-04", "2024-03-10") || within(d, "2024-06-03", "2024-06-07") { 1.5 } else { 1.0 };
    let found = outliers(&days(strange));
    let shown: Vec<_> = found.iter().map(|o| (o.from.to_string(), o.to.to_string(), o.reporting)).collect();
    assert_eq!(
        shown,
        [("2024-03-04".into(), "2024-03-10".into(), false), ("2024-06-03".into(), "2024-06-09".into(), true)]
    );
    assert!((found[0].excess - 0.5).abs() < 0.05, "{found:?}");
    // 5 of 7 days at 135 instead of 90
    assert!((found[1].excess - 45.0 * 5.0 / 7.0 / 100.0).abs() < 0.05, "{found:?}");
}

#[test]
fn a_single_unusual_day_is_found_on_its_own() {
    let found = outliers(&days(|d| if within(d, "2024-05-01", "2024-05-01") { 0.6 } else { 1.0 }));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].from, found[0].to), (found[0].to, "2024-05-01".parse().unwrap()));
    assert!((found[0].excess + 0.4).abs() < 0.1, "{found:?}");
}

#[test]
fn days_without_measurements_do_not_count() {
    let mut days = days(|_| 1.0);
    for day in days.iter_mut().filter(|d| within(d.date, "2024-03-04", "2024-03-10")) {
        (day.intervals, day.measured, day.predicted) = (0, 0.0, 0.0);
    }
    assert_eq!(outliers(&days), []);
}
