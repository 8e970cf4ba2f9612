//! Forecasts of a signal from its past values.
//!
//! The forecast of the signal y for step t + h, made at step t, is
//!
//! ```text
//!   ŷ(t + h) = m + a_h (c − m) + b_h (l − c) + d_h (y(t) − c(t)),    0 ≤ a_h, b_h, d_h ≤ 1
//! ```
//!
//! where m is the mean of the recent past. The phase of a step is its position within the season.
//! At the phase of step t + h, c is the mean over recent seasons, and l is the value in the latest
//! season. At the phase of step t, c(t) is the mean over earlier seasons. All these values are
//! known at step t. The weights are estimated by least squares from past values, separately for
//! several leads h. Each weight is the fraction of a difference that persisted in the past. If a
//! signal follows a timetable, a_h is near 1. If a signal is purely random, all weights are near 0,
//! and the forecast is the mean. Without a season, the forecast is m + d_h (y(t) − m).

/// Number of seasons over which the mean and the mean seasonal profile are computed (not tuned).
const SEASONS: usize = 28;
/// Number of rows over which the mean is computed if there is no season (not tuned).
const ROWS: usize = 1000;
/// Approximate number of origins from which the weights are estimated; fewer than twice this number
/// are used (not tuned).
const ORIGINS: usize = 300;
/// Minimum number of origins required to estimate weights (not tuned).
const LEAST: usize = 30;
/// Leads for which weights are estimated. The weights of other leads are interpolated (not tuned).
const LEADS: [usize; 16] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 144, 192, 288];
/// Number of passes of coordinate descent, which converges in a few passes for three weights.
const PASSES: usize = 50;
/// When forecasts are compared, the error of a forecast with a season is increased by this
/// fraction, because a seasonal forecast has more weights (not tuned).
const SEASON_COST: f64 = 0.02;

/// The weights a_h, b_h and d_h for one lead.
type Weights = [f64; 3];

/// A fitted forecast model of one signal.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Autoregression {
    /// Length of the season in steps; `None` if there is no season.
    season: Option<usize>,
    /// (lead, weights), in ascending order of the leads.
    weights: Vec<(usize, Weights)>,
    /// Smallest and largest past value. Forecasts are clamped to this range, which is extended to
    /// the present value if necessary.
    range: (f64, f64),
}

/// The inputs of a forecast for one origin and one lead.
struct Features {
    mean: f64,
    differences: Weights,
}

impl Autoregression {
    /// Fits the model to the values `known`, for leads up to `horizon`. `seasons` contains the
    /// candidate season lengths in steps; `None` means no season. The candidate with the smallest
    /// error on past values is chosen. Returns `None` if the history is too short.
    pub fn fit(known: &[f64], seasons: &[Option<usize>], horizon: usize) -> Option<Self> {
        let is_long = |s: &&Option<usize>| known.len() > s.map_or(0, |s| 2 * s) + LEAST;
        let possible: Vec<Option<usize>> = seasons.iter().filter(is_long).copied().collect();
        // All seasons are compared over the same rows, because the size of the errors can change with time.
        let longest = possible.iter().flatten().max().copied().unwrap_or(0);
        let (first, length) = (2 * longest, (SEASONS * longest).max(ROWS).max(2 * (longest + LEAST)));
        let recent = &known[known.len().saturating_sub(length + first)..];
        let fits = possible.iter().filter_map(|&season| Self::fit_season(recent, season, first, horizon));
        // If several candidates have the same error, the first candidate is chosen.
        let best = fits.min_by(|a, b| a.1.total_cmp(&b.1));
        best.map(|(fit, _)| fit)
    }

    /// Estimates the weights for one season, from origins that are at least `first` steps after the first value.
    /// Returns the forecast and its mean squared error.
    fn fit_season(known: &[f64], season: Option<usize>, first: usize, horizon: usize) -> Option<(Self, f64)> {
        let past = Past::new(known);
        let leads = LEADS.iter().copied().take_while(|h| *h < horizon).chain([horizon.max(1)]);
        let mut weights = Vec::new();
        let (mut squares, mut pairs) = (0.0, 0);
        for h in leads {
            let last = known.len().saturating_sub(h);
            let stride = (last.saturating_sub(first) / ORIGINS).max(1);
            let (mut products, mut targets) = ([[0.0; 3]; 3], [0.0; 3]);
            let (mut square, mut count) = (0.0, 0);
            for t in (first..last).rev().step_by(stride) {
                let target = known[t + h];
                let Some(Features { mean, differences }) = past.features(t, season, h) else { continue };
                if !target.is_finite() {
                    continue;
                }
                let target = target - mean;
                for (i, x) in differences.iter().enumerate() {
                    targets[i] += x * target;
                    differences.iter().zip(&mut products[i]).for_each(|(y, p)| *p += x * y);
                }
                (square, count) = (square + target * target, count + 1);
            }
            if count < LEAST {
                break;
            }
            let (found, explained) = bounded_least_squares(&products, &targets, count);
            (squares, pairs) = (squares + square - explained, pairs + count);
            weights.push((h, found));
        }
        let finite = known.iter().copied().filter(|v| v.is_finite());
        let range = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let cost = if season.is_some() { 1.0 + SEASON_COST } else { 1.0 };
        (!weights.is_empty()).then(|| (Self { season, weights, range }, cost * squares / pairs as f64))
    }

    /// Writes to `out` the forecasts of the steps after the last value of `known`.
    pub fn fill(&self, known: &[f64], out: &mut [f64]) {
        let rows = self.season.map_or(ROWS, |s| (SEASONS + 2) * s);
        let past = Past::new(&known[known.len().saturating_sub(rows)..]);
        let Some(now) = past.known.len().checked_sub(1) else { return out.fill(f64::NAN) };
        let present = past.known[now];
        // `min` and `max` ignore a present value of NaN.
        let (low, high) = (self.range.0.min(present), self.range.1.max(present));
        for (h, o) in (1..).zip(out) {
            *o = match past.features(now, self.season, h) {
                Some(Features { mean, differences }) => {
                    let weights = self.weights_at(h);
                    let value = mean + differences.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>();
                    value.clamp(low, high)
                }
                None => f64::NAN,
            };
        }
    }

    /// The weights at lead `h`, interpolated between the leads for which weights were estimated.
    fn weights_at(&self, h: usize) -> Weights {
        let after = self.weights.partition_point(|(lead, _)| *lead < h);
        match (after.checked_sub(1).map(|i| self.weights[i]), self.weights.get(after)) {
            (_, Some(&(lead, weights))) if lead == h => weights,
            (Some((a, low)), Some(&(b, high))) => {
                let share = (h - a) as f64 / (b - a) as f64;
                std::array::from_fn(|i| (1.0 - share) * low[i] + share * high[i])
            }
            (_, Some(&(_, weights))) | (Some((_, weights)), None) => weights,
            (None, None) => [0.0; 3],
        }
    }
}

/// The values of a signal, with cumulative sums for the fast computation of means.
struct Past<'a> {
    known: &'a [f64],
    /// Sum and number of the finite values before each row: `[rows + 1]`.
    sums: Vec<(f64, usize)>,
}

impl<'a> Past<'a> {
    fn new(known: &'a [f64]) -> Self {
        let mut sums = Vec::with_capacity(known.len() + 1);
        sums.push((0.0, 0));
        let mut total = (0.0, 0);
        for v in known {
            if v.is_finite() {
                total = (total.0 + v, total.1 + 1);
            }
            sums.push(total);
        }
        Self { known, sums }
    }

    /// The mean of the `rows` rows up to and including row `now`.
    fn mean(&self, now: usize, rows: usize) -> Option<f64> {
        let (from, to) = (self.sums[(now + 1).saturating_sub(rows)], self.sums[now + 1]);
        (to.1 > from.1).then(|| (to.0 - from.0) / (to.1 - from.1) as f64)
    }

    /// The inputs of the forecast of row `now + h` made at row `now`; `None` if the known values
    /// are not sufficient to compute the inputs.
    fn features(&self, now: usize, season: Option<usize>, h: usize) -> Option<Features> {
        let present = self.known[now];
        let Some(season) = season else {
            let mean = self.mean(now, ROWS)?;
            let difference = if present.is_finite() { present - mean } else { 0.0 };
            return Some(Features { mean, differences: [0.0, 0.0, difference] });
        };
        // The value in row `at` and the values at the same time in earlier seasons, newest first.
        let at_time = |at: usize| (0..=at).rev().step_by(season).take(SEASONS).map(|k| &self.known[k]);
        let level = self.mean(now, SEASONS * season)?;
        let at = (now + h).checked_sub(h.div_ceil(season) * season)?;
        let profile = mean(at_time(at))?;
        let last = if self.known[at].is_finite() { self.known[at] - profile } else { 0.0 };
        // For leads of one season or more, the latest season already contains the present value.
        let usual = now.checked_sub(season).filter(|_| h < season && present.is_finite());
        let difference = usual.and_then(|k| mean(at_time(k))).map_or(0.0, |usual| present - usual);
        Some(Features { mean: level, differences: [profile - level, last, difference] })
    }
}

/// The mean of the finite values; `None` if there are no finite values.
fn mean<'a>(values: impl Iterator<Item = &'a f64>) -> Option<f64> {
    let (sum, count) = values.filter(|v| v.is_finite()).fold((0.0, 0_usize), |(s, n), v| (s + v, n + 1));
    (count > 0).then(|| sum / count as f64)
}

/// Minimises ½ wᵀPw − tᵀw for weights between 0 and 1 by coordinate descent. Returns the weights, and the amount by
/// which they reduce the sum of squares. The weights are shrunk slightly towards zero, which has an
/// effect only if there are few observations.
fn bounded_least_squares(products: &[[f64; 3]; 3], targets: &Weights, count: usize) -> (Weights, f64) {
    let (mut weights, shrinkage) = ([0.0; 3], 1.0 + 1.0 / count as f64);
    for _ in 0..PASSES {
        for i in 0..3 {
            let own = products[i][i] * shrinkage;
            let others: f64 = (0..3).filter(|j| *j != i).map(|j| products[i][j] * weights[j]).sum();
            weights[i] = if own > 0.0 { ((targets[i] - others) / own).clamp(0.0, 1.0) } else { 0.0 };
        }
    }
    let pairs = (0..3).flat_map(|i| (0..3).map(move |j| (i, j)));
    let quadratic: f64 = pairs.map(|(i, j)| products[i][j] * weights[i] * weights[j]).sum();
    let linear: f64 = weights.iter().zip(targets).map(|(w, t)| w * t).sum();
    (weights, 2.0 * linear - quadratic)
}

#[cfg(test)]
#[path = "../../tests/unit/control/autoregression.rs"]
mod tests;
