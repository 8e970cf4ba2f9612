//! Statistics that detect drift: shifts of one-step errors, shifts of inputs, and a loss of forecast quality.
//!
//! One-step errors e are compared with those of a reference period. The errors are modelled as the sum of a daily
//! pattern d and a first-order autoregressive process, both of which are estimated in the reference period:
//!
//! ```text
//! z(t) = (e(t) − d(t) − φ (e(t − 1) − d(t − 1))) / s
//! S⁺(t) = max(0, S⁺(t − 1) + z(t) − k),   S⁻(t) = max(0, S⁻(t − 1) − z(t) − k)
//! ```
//!
//! This is a two-sided CUSUM (Page 1954) on the innovations z. The allowance k is half of the change in the mean of z
//! after the errors shift by one standard deviation. An alarm is raised when a sum exceeds its threshold h, after which
//! the sum restarts at zero. The threshold is chosen such that the mean time between false alarms has a given value.
//! The mean time between false alarms is computed from the distribution of z with the Markov chain of Brook & Evans
//! (1972).

use jiff::Timestamp;
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use crate::stats::{mean, mean_and_population_sd, normal_cdf, sorted_finite};

/// What changed since the model was fitted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Signals whose one-step errors have shifted.
    pub errors: Vec<ErrorShift>,
    /// Inputs whose distribution differs from that in the training data.
    pub inputs: Vec<InputShift>,
    /// Effects of controls that differ between champion and challenger.
    pub effects: Vec<EffectChange>,
    /// The loss of the champion on the newest blocks, relative to its loss on its hold-out.
    pub loss: Option<LossRatio>,
}

/// A shift of the one-step errors of a signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorShift {
    pub signal: String,
    /// Estimated time of the change (UTC).
    pub since: String,
    /// Mean error since the change, in standard deviations of the errors in the reference period.
    pub size: f64,
}

/// Population stability index of an input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputShift {
    pub signal: String,
    pub index: f64,
    /// True if the reference consists of training data from the same season of the year.
    pub same_season: bool,
}

/// An effect of a control, estimated from the log of the champion and from that of the challenger, with the half-widths
/// of the 90 % intervals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EffectChange {
    pub control: String,
    pub signal: String,
    pub unit: String,
    pub before: f64,
    pub before_half: f64,
    pub now: f64,
    pub now_half: f64,
}

/// The loss of a model on new blocks, relative to its loss on a reference period, with the lower end of the one-sided
/// 95 % confidence interval. Both losses are relative to the errors of persistence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LossRatio {
    pub ratio: f64,
    pub low: f64,
}

impl Drift {
    /// True if the errors have shifted and the loss has increased significantly.
    pub fn is_costly(&self) -> bool {
        !self.errors.is_empty() && self.loss.is_some_and(|l| l.low > 1.0)
    }

    /// Describes each finding in one clause.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for ErrorShift { signal, since, size } in &self.errors {
            let time = since.parse::<Timestamp>().map(|t| t.strftime("%Y-%m-%d %H:%M UTC").to_string());
            let since = time.unwrap_or_else(|_| since.clone());
            notes.push(format!(
                "since {since}, the one-step forecasts of `{signal}` have been too {} by {:.1} standard deviations of their \
                 errors on average",
                if *size > 0.0 { "low" } else { "high" },
                size.abs()
            ));
        }
        if let Some(LossRatio { ratio, low }) = self.loss.filter(|l| l.low > 1.0) {
            let [ratio, low] = [ratio, low].map(|v| 100.0 * (v - 1.0));
            notes.push(format!(
                "the loss of the champion is {ratio:.0} % higher on the newest blocks than on its hold-out (at least \
                 {low:.0} % with 95 % confidence)"
            ));
        }
        for InputShift { signal, index, same_season } in &self.inputs {
            let reference =
                if *same_season { "in the training data from the same season" } else { "in the training data" };
            notes.push(format!(
                "the distribution of `{signal}` differs from that {reference} (stability index {index:.2})"
            ));
        }
        for e in &self.effects {
            let what = if e.before * e.now < 0.0 { "sign" } else { "size" };
            notes.push(format!(
                "the {what} of the effect of `{}` on `{}` changed: it was {:.3} ± {:.3} and is now {:.3} ± {:.3} {}",
                e.control, e.signal, e.before, e.before_half, e.now, e.now_half, e.unit
            ));
        }
        notes
    }
}

/// Smallest population stability index that counts as a shift (usual value in credit scoring).
pub const SHIFTED: f64 = 0.25;
/// Number of bins between the smallest and the largest reference value, for the population stability index.
const BINS: usize = 10;
/// Lower bound on the fraction of values in a bin, which keeps the index finite.
const LEAST: f64 = 1e-4;
/// Minimum number of values in the reference period (not tuned).
const MIN_REFERENCE: usize = 100;
/// Minimum number of innovations for which their own distribution is used instead of the normal distribution.
const MIN_FOR_SHAPE: usize = 200;
/// Number of harmonics in the daily pattern (not tuned).
const HARMONICS: usize = 2;
/// Number of states of the Markov chain.
const STATES: usize = 50;

/// Population stability index Σ (a − e) ln(a / e) of the fractions `actual` and `expected`.
pub fn stability_index(expected: &[f64], actual: &[f64]) -> f64 {
    let term = |(e, a): (&f64, &f64)| (a.max(LEAST) - e.max(LEAST)) * (a.max(LEAST) / e.max(LEAST)).ln();
    expected.iter().zip(actual).map(term).sum()
}

/// [`stability_index`] of the finite values in `newer`. The bins contain equal numbers of values from `reference`, and
/// two further bins contain values outside its range. Returns `None` if `newer` or `reference` has
/// no finite value.
pub fn input_shift(reference: &[f64], newer: &[f64]) -> Option<f64> {
    let (reference, newer) = (sorted_finite(reference), sorted_finite(newer));
    let n = reference.len();
    if n == 0 || newer.is_empty() {
        return None;
    }
    let lowest = reference[0];
    let mut edges: Vec<f64> = (1..=BINS).map(|i| reference[(i * n).div_ceil(BINS) - 1]).collect();
    edges.dedup();
    let fractions = |sorted: &[f64]| -> Vec<f64> {
        let below = sorted.partition_point(|v| *v < lowest);
        let ends = edges.iter().map(|edge| sorted.partition_point(|v| v <= edge));
        let ends: Vec<usize> = [0, below].into_iter().chain(ends).chain([sorted.len()]).collect();
        ends.windows(2).map(|w| (w[1] - w[0]) as f64 / sorted.len() as f64).collect()
    };
    Some(stability_index(&fractions(&reference), &fractions(&newer)))
}

/// Pairs (row of the log, one-step error of a signal), in ascending order of rows.
pub type Errors = [(usize, f64)];

/// The one-step errors of a signal in the reference period.
pub struct Reference {
    /// Coefficients of the daily pattern: constant, cosines, sines.
    pattern: Vec<f64>,
    /// Steps per day; 0 if a daily pattern cannot be resolved.
    day: f64,
    phi: f64,
    /// Standard deviation of the errors after subtraction of the daily pattern.
    sd: f64,
    /// Standard deviation of the innovations.
    innovation_sd: f64,
    /// The innovations z, sorted.
    sorted: Vec<f64>,
}

/// An alarm of the detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alarm {
    /// Row of the estimated change.
    pub since: usize,
    /// Row of the alarm.
    pub row: usize,
}

impl Reference {
    /// Estimates the daily pattern and the autoregressive process from the errors in the reference
    /// period. Returns `None` if there are too few errors, or if the errors are constant.
    pub fn new(errors: &Errors, step_ms: i64) -> Option<Self> {
        if errors.len() < MIN_REFERENCE {
            return None;
        }
        let per_day = 86_400_000.0 / step_ms as f64;
        // the period must contain several days, and a day must contain several steps
        let day = if per_day >= 6.0 && errors.len() as f64 >= 7.0 * per_day { per_day } else { 0.0 };
        let mut out = Self { pattern: Vec::new(), day, phi: 0.0, sd: 0.0, innovation_sd: 0.0, sorted: Vec::new() };
        out.pattern = out.fit_pattern(errors)?;
        let left: Vec<(usize, f64)> = errors.iter().map(|(t, e)| (*t, e - out.daily(*t))).collect();
        let (cross, square) = left
            .windows(2)
            .filter(|w| w[1].0 == w[0].0 + 1)
            .fold((0.0, 0.0), |(c, s), w| (c + w[0].1 * w[1].1, s + 0.5 * (w[0].1.powi(2) + w[1].1.powi(2))));
        out.phi = if square > 0.0 { (cross / square).clamp(0.0, 0.98) } else { 0.0 };
        out.sd = mean_and_population_sd(left.iter().map(|(_, e)| *e)).1;
        out.innovation_sd = 1.0;
        let raw: Vec<f64> = out.innovations(errors).into_iter().map(|(_, z)| z).collect();
        out.innovation_sd = mean_and_population_sd(raw.iter().copied()).1;
        // a standard deviation below this bound is due to rounding errors
        let typical = mean(&errors.iter().map(|(_, e)| e.abs()).collect::<Vec<_>>());
        if out.innovation_sd.is_nan() || out.innovation_sd <= 1e-9 * typical {
            return None;
        }
        out.sorted = sorted_finite(&raw.iter().map(|z| z / out.innovation_sd).collect::<Vec<_>>());
        Some(out)
    }

    fn basis(&self, row: usize) -> impl Iterator<Item = f64> + use<> {
        let (day, row) = (self.day, row as f64);
        let harmonics = if day > 0.0 { HARMONICS } else { 0 };
        let angle = move |h: usize| std::f64::consts::TAU * (h + 1) as f64 * row / day;
        std::iter::once(1.0).chain((0..harmonics).flat_map(move |h| [angle(h).cos(), angle(h).sin()]))
    }

    /// Fits the daily pattern by least squares. Returns `None` if the errors do not determine the
    /// pattern.
    fn fit_pattern(&self, errors: &Errors) -> Option<Vec<f64>> {
        let n = self.basis(0).count();
        let x = DMatrix::from_row_iterator(errors.len(), n, errors.iter().flat_map(|(t, _)| self.basis(*t)));
        let y = DVector::from_iterator(errors.len(), errors.iter().map(|(_, e)| *e));
        let solved = x.tr_mul(&x).cholesky()?.solve(&x.tr_mul(&y));
        Some(solved.as_slice().to_vec())
    }

    fn daily(&self, row: usize) -> f64 {
        self.basis(row).zip(&self.pattern).map(|(x, c)| x * c).sum()
    }

    /// Returns the innovation z at each row whose preceding row also has an error.
    fn innovations(&self, errors: &Errors) -> Vec<(usize, f64)> {
        let left = |(t, e): (usize, f64)| e - self.daily(t);
        let pairs = errors.windows(2).filter(|w| w[1].0 == w[0].0 + 1);
        pairs.map(|w| (w[1].0, (left(w[1]) - self.phi * left(w[0])) / self.innovation_sd)).collect()
    }

    fn allowance(&self) -> f64 {
        0.5 * ((1.0 - self.phi) / (1.0 + self.phi)).sqrt()
    }

    /// Mean number of steps between alarms of one sum with threshold `h` if the innovations, multiplied by `sign`,
    /// have a mean of `shift`.
    fn run_length(&self, h: f64, sign: f64, shift: f64) -> f64 {
        let n = self.sorted.len();
        let below = |x: f64| {
            if n < MIN_FOR_SHAPE {
                normal_cdf(x)
            } else if sign > 0.0 {
                self.sorted.partition_point(|z| *z <= x) as f64 / n as f64
            } else {
                1.0 - self.sorted.partition_point(|z| *z < -x) as f64 / n as f64
            }
        };
        let width = 2.0 * h / (2 * STATES - 1) as f64;
        // probability that the sum increases by at most `states` + ½ states
        let cdf = |states: f64| below((states + 0.5) * width + self.allowance() - shift);
        let at: Vec<f64> = (0..2 * STATES).map(|i| cdf(i as f64 - STATES as f64)).collect();
        let staying = DMatrix::from_fn(STATES, STATES, |i, j| {
            let up = at[STATES + j - i];
            let p = if j == 0 { up } else { up - at[STATES + j - i - 1] };
            f64::from(u8::from(i == j)) - p
        });
        // the matrix is singular if no change of the sum can reach the threshold
        staying.lu().solve(&DVector::from_element(STATES, 1.0)).map_or(f64::INFINITY, |steps| steps[0])
    }

    /// Returns the threshold at which one sum raises one false alarm in `steps` steps on average.
    /// The mean of the innovations is estimated from n values, so its standard error is 1/√n. The
    /// rate of alarms is averaged over this uncertainty.
    pub fn threshold(&self, steps: f64, sign: f64) -> f64 {
        let deviation = (3.0 / self.sorted.len() as f64).sqrt();
        let rate = |h: f64| {
            let at = |shift: f64| 1.0 / self.run_length(h, sign, shift);
            2.0 / 3.0 * at(0.0) + (at(deviation) + at(-deviation)) / 6.0
        };
        let (mut low, mut high) = (0.1, 200.0);
        for _ in 0..24 {
            let middle = f64::sqrt(low * high);
            if rate(middle) > 1.0 / steps { low = middle } else { high = middle }
        }
        high
    }

    /// Returns all alarms for `errors`. Together, the two sums raise one false alarm in `steps`
    /// steps on average.
    pub fn alarms(&self, errors: &Errors, steps: f64) -> Vec<Alarm> {
        let mut found = Vec::new();
        let innovations = self.innovations(errors);
        for sign in [1.0, -1.0] {
            let threshold = self.threshold(2.0 * steps, sign);
            let (mut sum, mut since, mut last) = (0.0, None, None::<Alarm>);
            for (row, z) in &innovations {
                sum = f64::max(0.0, sum + sign * z - self.allowance());
                since = if sum > 0.0 { since.or(Some(*row)) } else { None };
                if let (true, Some(first)) = (sum > threshold, since) {
                    // a change that persists raises alarms in quick succession
                    let since_change = last.filter(|a| first - a.row <= row - first).map_or(first, |a| a.since);
                    let alarm = Alarm { since: since_change, row: *row };
                    found.push(alarm);
                    (sum, since, last) = (0.0, None, Some(alarm));
                }
            }
        }
        found.sort_by_key(|a| a.row);
        found
    }

    /// Mean of the errors since row `since`, in standard deviations.
    pub fn size(&self, errors: &Errors, since: usize) -> f64 {
        let later: Vec<f64> = errors.iter().filter(|(t, _)| *t >= since).map(|(t, e)| e - self.daily(*t)).collect();
        mean(&later) / self.sd
    }
}

#[cfg(test)]
#[path = "../../tests/unit/learn/drift.rs"]
mod tests;
