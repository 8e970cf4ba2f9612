//! The saving in the reporting period, its interval, and the claim that it supports.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::baseline::AdjustedBaseline;
use super::intervals::Intervals;
use super::statistics::Fitness;
use crate::error::{Error, Result};
use crate::rng::Key;
use crate::stats::{NORMAL_95, quantile_type_7, sorted_finite, student_t_95};

/// Number of bootstrap samples.
const SAMPLES: usize = 1_000;
/// Length of a bootstrap block in days.
const BLOCK_DAYS: usize = 7;
/// 75th percentile of the standard normal distribution.
const NORMAL_75: f64 = 0.674_489_750;
/// Maximum half-width of the 90 % interval of a verified saving, as a fraction of the saving.
const MAX_UNCERTAINTY: f64 = 0.5;
/// Minimum number of standard errors between zero and a verified saving.
const MIN_STANDARD_ERRORS: f64 = 2.0;
/// A driver counts as outside its range in the baseline period if it is beyond the range by more than this fraction of
/// the width of the range (not tuned).
const MARGIN: f64 = 0.05;
/// A saving is verified only if the fraction of intervals with a driver outside its range in the baseline period is at
/// most this value (not tuned).
const MAX_OUTSIDE: f64 = 0.1;
/// A saving is verified only if at least this fraction of the intervals was measured (not tuned).
pub const MIN_MEASURED: f64 = 0.8;

/// The claim about a saving that is supported by the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// The saving is more than two standard errors above zero, its 90 % interval is at most ± 50 % of the saving, the
    /// model is accurate enough, and the drivers stay within their range in the baseline period.
    Verified,
    /// The interval of the saving lies above zero, but a condition for a verified saving is not met.
    Indicated,
    /// A driver is often outside its range in the baseline period.
    Extrapolated,
    /// The interval contains zero.
    NotShown,
    /// The interval lies below zero: the consumption has increased.
    Increase,
    /// The model of the baseline is not accurate enough.
    NotFit,
}

impl Claim {
    /// The claim in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified saving",
            Self::Indicated => "indicated, not verified",
            Self::Extrapolated => "no claim: the adjusted baseline is extrapolated",
            Self::NotShown => "no saving shown: the interval contains zero",
            Self::Increase => "the use has increased",
            Self::NotFit => "not fit for savings claims",
        }
    }
}

/// The saving in the reporting period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Saving {
    /// Number of intervals in which the consumption and all drivers were measured, and total number of intervals.
    pub intervals: usize,
    pub all_intervals: usize,
    /// Total length of the measured intervals in days.
    pub days: f64,
    /// Measured consumption, and predicted consumption without the change.
    pub measured: f64,
    pub adjusted_baseline: f64,
    /// `adjusted_baseline` − `measured`, with its 90 % interval.
    pub saving: f64,
    pub low: f64,
    pub high: f64,
    /// The saving relative to the adjusted baseline; `None` if the adjusted baseline is zero.
    pub relative: Option<f64>,
    /// Distances from the saving to the ends of the interval, for each of the three methods.
    pub formula: [f64; 2],
    pub bootstrap: [f64; 2],
    pub placebo: [f64; 2],
    /// Fraction of the intervals in which a driver lies outside its range in the baseline period.
    pub outside: f64,
    pub claim: Claim,
}

impl Saving {
    /// Computes the saving. If `doubtful` is true, the data may be wrong, so the saving is not verified.
    ///
    /// # Errors
    /// [`Error::Data`] if no interval of the reporting period is usable.
    pub fn new(
        baseline: &AdjustedBaseline,
        intervals: &Intervals,
        reporting: Range<usize>,
        doubtful: bool,
        seed: u64,
    ) -> Result<Self> {
        let rows = intervals.known(reporting.clone());
        let m = rows.len();
        if m == 0 {
            return Err(Error::Data(
                "the reporting period contains no interval in which the use and all drivers were measured; choose another \
                 period, or leave out drivers with gaps (`--drivers`)"
                    .into(),
            ));
        }
        let measured: f64 = rows.iter().map(|r| intervals.used[*r]).sum();
        let adjusted_baseline: f64 = rows.iter().map(|r| baseline.predicted[*r]).sum();
        let saving = adjusted_baseline - measured;
        let per_day = intervals.per_day;
        let daily = (per_day == 1).then(|| m as f64 / (365.0 / 12.0));
        let formula = baseline.statistics.formula_half_width(m, adjusted_baseline, daily);
        let bootstrap = bootstrap(&baseline.errors, m, BLOCK_DAYS * per_day, seed);
        let placebo = placebo(&baseline.errors, &baseline.forward, baseline.forecasts, m);
        let widest = |k: usize| formula.max(bootstrap[k]).max(placebo);
        let (low, high) = (saving - widest(0), saving + widest(1));
        let outside = outside(baseline, intervals, &rows);
        let standard_error = widest(0).max(widest(1)) / NORMAL_95;
        let uncertainty = widest(0).max(widest(1)) / saving.abs();
        let verified =
            saving > MIN_STANDARD_ERRORS * standard_error && uncertainty <= MAX_UNCERTAINTY && outside <= MAX_OUTSIDE;
        let claim = match baseline.statistics.fitness() {
            Fitness::NotFit => Claim::NotFit,
            _ if outside > MAX_OUTSIDE => Claim::Extrapolated,
            _ if low <= 0.0 && high >= 0.0 => Claim::NotShown,
            _ if high < 0.0 => Claim::Increase,
            Fitness::Fit if verified && !doubtful && m as f64 >= MIN_MEASURED * reporting.len() as f64 => {
                Claim::Verified
            }
            _ => Claim::Indicated,
        };
        Ok(Self {
            intervals: m,
            all_intervals: reporting.len(),
            days: rows.iter().map(|r| intervals.days(*r)).sum(),
            measured,
            adjusted_baseline,
            saving,
            low,
            high,
            relative: (adjusted_baseline != 0.0).then(|| saving / adjusted_baseline.abs()),
            formula: [formula; 2],
            bootstrap,
            placebo: [placebo; 2],
            outside,
            claim,
        })
    }
}

/// How far the 90 % interval of a sum of `m` errors reaches below and above zero. The errors are drawn in blocks of
/// `block` consecutive errors, as if the end of the baseline were joined to its start (circular block bootstrap:
/// Politis & Romano 1992).
fn bootstrap(errors: &[f64], m: usize, block: usize, seed: u64) -> [f64; 2] {
    let n = errors.len();
    // cumulative sums over two rounds of the errors, because a block that reaches the end continues at the start
    let mut sums = vec![0.0; 2 * n + 1];
    for i in 0..2 * n {
        sums[i + 1] = sums[i] + errors[i % n];
    }
    let block = block.min(n);
    let key = Key::new(seed).fold(0x7665_7269_6679);
    let draws = m.div_ceil(block);
    let totals: Vec<f64> = (0..SAMPLES)
        .map(|sample| {
            let draw = key.fold(sample as u64);
            let blocks = (0..draws).map(|b| (draw.below(b as u64, n), block.min(m - b * block)));
            blocks.map(|(from, length)| sums[from + length] - sums[from]).sum()
        })
        .collect();
    let sorted = sorted_finite(&totals);
    // errors are measured minus predicted consumption, and the saving is predicted minus measured consumption
    let (low, high) = (quantile_type_7(&sorted, 0.05), quantile_type_7(&sorted, 0.95));
    [high.max(0.0), (-low).max(0.0)]
}

/// Half-width of the 90 % interval of a sum of `m` errors, estimated from the sums over all windows of `m` intervals in
/// the baseline and from the forecasts that start within the baseline. If the baseline has fewer than three windows
/// without overlap, shorter windows are used, and their sums are scaled up without assuming that errors cancel.
fn placebo(errors: &[f64], forward: &[f64], forecasts: usize, m: usize) -> f64 {
    let n = errors.len();
    let length = m.min(n / 3).max(1);
    let mut sum: f64 = errors[..length].iter().sum();
    let mut squares = sum * sum;
    for i in length..n {
        sum += errors[i] - errors[i - length];
        squares += sum * sum;
    }
    let windows = (squares / (n - length + 1) as f64).sqrt() / length as f64;
    // a median, because a model that was fitted to few intervals may fail badly in a single forecast
    let sorted = sorted_finite(&forward.iter().map(|e| e.abs()).collect::<Vec<_>>());
    let forward = if sorted.is_empty() { 0.0 } else { quantile_type_7(&sorted, 0.5) / NORMAL_75 };
    student_t_95(n as f64 / length as f64 + forecasts as f64 - 1.0) * windows.max(forward) * m as f64
}

/// Fraction of the intervals `rows` in which a driver lies outside its range in the baseline period.
fn outside(baseline: &AdjustedBaseline, intervals: &Intervals, rows: &[usize]) -> f64 {
    let ranges: Vec<(f64, f64)> = intervals
        .drivers
        .iter()
        .map(|d| {
            let fold = |(low, high): (f64, f64), r: &usize| (low.min(d[*r]), high.max(d[*r]));
            let (low, high) = baseline.rows.iter().fold((f64::INFINITY, f64::NEG_INFINITY), fold);
            let margin = MARGIN * (high - low);
            (low - margin, high + margin)
        })
        .collect();
    let is_outside = |r: &&usize| {
        let mut drivers = intervals.drivers.iter().zip(&ranges);
        drivers.any(|(d, (low, high))| d[**r] < *low || d[**r] > *high)
    };
    rows.iter().filter(is_outside).count() as f64 / rows.len() as f64
}

#[cfg(test)]
#[path = "../../tests/unit/verify/saving.rs"]
mod tests;
