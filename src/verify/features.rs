//! The inputs of the model that predicts the adjusted baseline.

use super::intervals::Intervals;
use crate::stats::{mean_or_zero, quantile_type_7, sorted_finite};

/// Number of knots of the piecewise linear function of a driver (not tuned).
const KNOTS: usize = 5;

/// The functions that compute the inputs of the model from the drivers and the calendar.
///
/// There are three kinds of inputs: piecewise linear functions of each driver (with knots at its quantiles in the
/// baseline period), the mean of each driver over the preceding day, and indicators of the hour (separately for
/// Saturdays and Sundays) and of the day of the week.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Features {
    knots: Vec<Vec<f64>>,
}

impl Features {
    /// Chooses the knots from the intervals `rows`.
    pub fn new(intervals: &Intervals, rows: &[usize]) -> Self {
        let knots = intervals.drivers.iter().map(|driver| {
            let known: Vec<f64> = rows.iter().map(|r| driver[*r]).collect();
            let sorted = sorted_finite(&known);
            let mut knots: Vec<f64> =
                (1..=KNOTS).map(|k| quantile_type_7(&sorted, k as f64 / (KNOTS + 1) as f64)).collect();
            knots.dedup();
            knots.retain(|k| k.is_finite());
            knots
        });
        Self { knots: knots.collect() }
    }

    /// The inputs in all intervals: `[inputs][intervals]`.
    pub fn columns(&self, intervals: &Intervals) -> Vec<Vec<f64>> {
        let n = intervals.len();
        let mut out = Vec::new();
        for (driver, knots) in intervals.drivers.iter().zip(&self.knots) {
            out.push(driver.clone());
            out.extend(knots.iter().map(|knot| driver.iter().map(|v| (v - knot).max(0.0)).collect::<Vec<f64>>()));
            out.push((0..n).map(|i| day_before(driver, i, intervals.per_day)).collect());
        }
        let indicator = |is: &dyn Fn(usize) -> bool| (0..n).map(|i| f64::from(u8::from(is(i)))).collect::<Vec<f64>>();
        let weekend = |i: usize| intervals.weekday[i] >= 5;
        if intervals.per_day > 1 {
            for hour in 0..24 {
                for free in [false, true] {
                    out.push(indicator(&|i| intervals.hour[i] == hour && weekend(i) == free));
                }
            }
        }
        out.extend((0..7).map(|day| indicator(&|i| intervals.weekday[i] == day)));
        out
    }
}

/// The mean of `driver` over the day before interval `i`, or its value in interval `i` if no earlier value is known.
fn day_before(driver: &[f64], i: usize, per_day: usize) -> f64 {
    let known: Vec<f64> = driver[i.saturating_sub(per_day)..i].iter().copied().filter(|v| v.is_finite()).collect();
    if known.is_empty() { driver[i] } else { mean_or_zero(&known) }
}
