//! A lasting change of the saving within the reporting period, which may be unrelated to the measure that is verified.

use jiff::civil::Date;

use super::days::Day;
use crate::stats::mean;

/// Minimum number of days before and after a change (not tuned).
const MIN_DAYS: usize = 10;
/// Minimum distance of the two mean savings in standard errors (not tuned; the largest of many candidate dates is used).
const MIN_STANDARD_ERRORS: f64 = 5.0;
/// Minimum distance of the two mean savings relative to the mean adjusted baseline (not tuned).
const MIN_CHANGE: f64 = 0.03;
/// Minimum distance of the two mean savings relative to the mean saving (not tuned).
const MIN_SHARE: f64 = 0.5;
/// Largest autocorrelation of the daily errors that is assumed.
const MAX_CORRELATION: f64 = 0.95;

/// The saving per day before and after a date.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    pub date: Date,
    pub before: f64,
    pub after: f64,
}

impl Shift {
    fn size(&self) -> f64 {
        (self.after - self.before).abs()
    }
}

/// The most significant change of the saving in the reporting period. `None` if the change may be due to the errors of
/// the model, which are measured in the baseline period. Days of non-routine events are left out.
pub fn shift(days: &[Day]) -> Option<Shift> {
    let usable = |d: &&Day| d.event.is_none() && 5 * d.intervals >= 4 * d.all_intervals && d.intervals > 0;
    let saving = |d: &Day| (d.predicted - d.measured) * d.all_intervals as f64 / d.intervals as f64;
    let of = |reporting: bool| -> Vec<(Date, f64)> {
        days.iter().filter(|d| d.reporting == reporting).filter(usable).map(|d| (d.date, saving(d))).collect()
    };
    let predicted: Vec<f64> = days.iter().filter(|d| d.reporting).filter(usable).map(|d| d.predicted.abs()).collect();
    let (found, errors) = largest(&of(true))?;
    let savings: Vec<f64> = of(true).iter().map(|d| d.1).collect();
    let usual = largest(&of(false)).map_or(0.0, |(shift, _)| shift.size());
    let is_large = found.size() > MIN_CHANGE * mean(&predicted)
        && found.size() > MIN_SHARE * mean(&savings).abs()
        && found.size() > usual;
    (errors > MIN_STANDARD_ERRORS && is_large).then_some(found)
}

/// The change with the largest distance in standard errors, and this distance.
fn largest(days: &[(Date, f64)]) -> Option<(Shift, f64)> {
    let candidates = (MIN_DAYS..(days.len() + 1).saturating_sub(MIN_DAYS)).map(|k| {
        let values = |d: &[(Date, f64)]| d.iter().map(|d| d.1).collect::<Vec<f64>>();
        let (left, right) = (values(&days[..k]), values(&days[k..]));
        let (before, after) = (mean(&left), mean(&right));
        let errors: Vec<f64> = left.iter().map(|v| v - before).chain(right.iter().map(|v| v - after)).collect();
        let squares: f64 = errors.iter().map(|e| e * e).sum();
        let products: f64 = errors.windows(2).map(|e| e[0] * e[1]).sum();
        let correlation = if squares > 0.0 { (products / squares).clamp(0.0, MAX_CORRELATION) } else { 0.0 };
        let independent = |n: usize| n as f64 * (1.0 - correlation) / (1.0 + correlation);
        let variance = squares / (days.len() - 2) as f64;
        let error = (variance * (1.0 / independent(left.len()) + 1.0 / independent(right.len()))).sqrt();
        let shift = Shift { date: days[k].0, before, after };
        (shift, if error > 0.0 { shift.size() / error } else { 0.0 })
    });
    candidates.max_by(|a, b| a.1.total_cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;
    use crate::rng::Key;

    /// 100 days of a baseline and 100 days of a reporting period in which the saving is `before` on the first 40 days and
    /// `after` on the others. The errors of the model have a standard deviation of 50 and a lag-1 correlation of 0.5.
    fn days(before: f64, after: f64, seed: u64) -> Vec<Day> {
        let first: Date = "2024-01-01".parse().unwrap();
        let mut error = 0.0;
        (0..200_i64)
            .map(|i| {
                error = 0.5 * error + 43.3 * Key::new(seed).normal(i as u64);
                let saving = if i < 100 {
                    0.0
                } else if i < 140 {
                    before
                } else {
                    after
                };
                Day {
                    date: first.checked_add(i.days()).unwrap(),
                    reporting: i >= 100,
                    intervals: 24,
                    all_intervals: 24,
                    measured: 1000.0 - saving + error,
                    predicted: 1000.0,
                    event: None,
                }
            })
            .collect()
    }

    #[test]
    fn a_step_within_the_reporting_period_is_found() {
        let found = shift(&days(0.0, 150.0, 1)).unwrap();
        let distance = found.date.since("2024-05-20".parse::<Date>().unwrap()).unwrap().get_days().abs();
        assert!(distance <= 3 && (found.after - found.before - 150.0).abs() < 30.0, "{found:?}");
        let same = (0..40).filter(|seed| shift(&days(100.0, 100.0, 100 + seed)).is_some()).count();
        assert_eq!(same, 0);
    }
}
