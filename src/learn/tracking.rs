//! Adapts the widths of forecast intervals by adaptive conformal inference.
//!
//! The plant may change after the calibration, or the final model may be more accurate than the refits whose errors
//! were used for the calibration. The calibrated width of each signal and horizon is therefore multiplied by a factor
//! e^θ, which adapts to the errors of earlier forecasts:
//!
//! ```text
//! interval_t = e^θ_t · w · [σ q_0.05, σ q_0.95]
//! θ_{t+1} = clamp(θ_t + γ (miss_t − α), −ln 10, ln 10)
//! ```
//!
//! miss_t is 1 if the error was outside the interval and 0 otherwise, and α is one minus the expected coverage of the
//! interval (0.1 for continuous errors). The method is quantile tracking (Gibbs & Candès 2021, 2024; Angelopoulos,
//! Candès & Tibshirani 2023) on a logarithmic scale. If θ never reaches a bound, the fraction of misses over n
//! forecasts with known errors differs from α by |θ_n − θ_0| / (γ n).
//!
//! The candidates for the gain γ of each signal are listed in [`GAINS`]. The gain with the lowest interval score
//! (Gneiting & Raftery 2007) is selected. Each block is scored with a calibration fitted on the preceding blocks.
//!
//! The error of an h-step forecast made at row t is known at row t + h. The interval width of a forecast depends only
//! on errors that are already known when the forecast is made.

use serde::{Deserialize, Serialize};

use super::calibration::Calibration;
use super::rollouts::Rollouts;

/// Level of the interval whose width is tracked.
const LEVEL: f64 = 0.9;
/// Candidate gains γ (not tuned). Even the smallest gain can halve a width within a few hundred forecasts.
/// With smaller gains, the widths would adapt too slowly to have an effect within a hold-out.
const GAINS: [f64; 4] = [0.04, 0.07, 0.12, 0.2];
/// Maximum factor by which a calibrated interval width is multiplied (not tuned). The minimum factor is the inverse of
/// the maximum factor.
const MAX_FACTOR: f64 = 10.0;

/// Factors by which the calibrated interval widths are multiplied, for each signal and horizon.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tracking {
    /// γ: `[signals]`.
    gain: Vec<f64>,
    /// Value of θ at the end of the training blocks: `[signals][horizon]`.
    before_holdout: Vec<Vec<f64>>,
    /// Value of θ at the end of the log: `[signals][horizon]`.
    theta: Vec<Vec<f64>>,
}

/// For each forecast, the factors e^θ by which the calibrated interval widths are multiplied.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrackedWidths {
    starts: usize,
    /// `[signals][horizon * starts]`, horizon-major.
    widths: Vec<Vec<f64>>,
}

impl TrackedWidths {
    /// The width factor for signal number `k`, horizon `h` (1-based) and start number `start`; 1 if no widths are
    /// tracked.
    pub fn at(&self, k: usize, h: usize, start: usize) -> f64 {
        self.widths.get(k).and_then(|w| w.get((h.max(1) - 1) * self.starts + start)).copied().unwrap_or(1.0)
    }
}

impl Tracking {
    /// Selects the gains and tracks the widths over `runs`, which are the training blocks to which `calibration` was
    /// fitted, oldest first.
    pub fn fit(runs: &[Rollouts], calibration: &Calibration) -> Self {
        let zero: Vec<Vec<f64>> = calibration.sd.iter().map(|sd| vec![0.0; sd.len()]).collect();
        let signals = zero.len();
        let earlier: Vec<(usize, Calibration)> = (2..runs.len()).map(|b| (b, calibration.refit(&runs[..b]))).collect();
        let loss = |k: usize, gain: f64| -> f64 {
            let mut loss = 0.0;
            for (block, calibration) in &earlier {
                let mut theta = zero[k].clone();
                for run in &runs[..*block] {
                    track(k, gain, &mut theta, calibration, run);
                }
                let widths = track(k, gain, &mut theta, calibration, &runs[*block]);
                loss += interval_score(k, &widths, calibration, &runs[*block]);
            }
            loss
        };
        let best = |k: usize| {
            let losses = GAINS.map(|gain| (gain, loss(k, gain)));
            losses.into_iter().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(GAINS[0], |b| b.0)
        };
        let gain = (0..signals).map(best).collect();
        let mut tracking = Self { gain, before_holdout: zero.clone(), theta: zero };
        for run in runs {
            tracking.update(calibration, run);
        }
        tracking.before_holdout.clone_from(&tracking.theta);
        tracking
    }

    /// Tracks the widths over a later run, and returns the width factors at the time of each forecast in the run.
    pub fn update(&mut self, calibration: &Calibration, run: &Rollouts) -> TrackedWidths {
        let Self { gain, theta, .. } = self;
        let each = gain.iter().zip(theta).enumerate();
        let widths = each.map(|(k, (gain, theta))| track(k, *gain, theta, calibration, run)).collect();
        TrackedWidths { starts: run.starts.len(), widths }
    }

    /// The tracking state at the end of the training blocks.
    #[must_use]
    pub fn before_holdout(&self) -> Self {
        Self { theta: self.before_holdout.clone(), ..self.clone() }
    }

    /// The width factors over `run`, computed as if `run` followed directly after the training blocks.
    pub fn replay(&self, calibration: &Calibration, run: &Rollouts) -> TrackedWidths {
        self.before_holdout().update(calibration, run)
    }

    /// Width factor of signal number `k` at horizon `h` (1-based), tracked up to the end of the log.
    pub fn width(&self, k: usize, h: usize) -> f64 {
        let theta = self.theta.get(k).map_or(&[][..], Vec::as_slice);
        theta.get((h.max(1) - 1).min(theta.len().saturating_sub(1))).map_or(1.0, |theta| theta.exp())
    }
}

/// Tracks the widths of signal number `k` over `run`, updates θ, and returns the width factors: `[horizon * starts]`.
fn track(k: usize, gain: f64, theta: &mut [f64], calibration: &Calibration, run: &Rollouts) -> Vec<f64> {
    let n = run.starts.len();
    let bound = MAX_FACTOR.ln();
    let mut widths = vec![1.0; theta.len() * n];
    for (h, theta) in (1..=run.horizon).zip(theta) {
        let (low, high) = calibration.interval(k, h, LEVEL);
        let alpha = 1.0 - calibration.expected_coverage(k, h, LEVEL);
        let widths = &mut widths[(h - 1) * n..h * n];
        // The gain is zero for an interval of width zero, because such an interval cannot be scaled.
        let gain = if low < high { gain } else { 0.0 };
        // Index of the first forecast whose error is not yet known.
        let mut open = 0;
        for (start, row) in run.starts.iter().map(|s| s.row).chain([usize::MAX]).enumerate() {
            while open < n && run.starts[open].row + h <= row {
                if let Some(pair) = run.pair(k, h, open) {
                    let width = widths[open] * calibration.local_width(k, h, pair.model_sd);
                    let missed = !(low * width..=high * width).contains(&pair.error());
                    let step = f64::from(u8::from(missed)) - alpha;
                    *theta = (*theta + gain * step).clamp(-bound, bound);
                }
                open += 1;
            }
            if start < n {
                widths[start] = theta.exp();
            }
        }
    }
    widths
}

/// Interval score of signal number `k`, relative to the standard deviation at the horizon. The score of a forecast is
/// the width of the interval plus 2 / (1 − level) times the distance of the error from the interval.
fn interval_score(k: usize, widths: &[f64], calibration: &Calibration, run: &Rollouts) -> f64 {
    let n = run.starts.len();
    let mut sum = 0.0;
    for h in 1..=run.horizon {
        let (low, high) = calibration.interval(k, h, LEVEL);
        for pair in run.pairs(k, h) {
            let width = widths[(h - 1) * n + pair.start] * calibration.local_width(k, h, pair.model_sd);
            let (low, high, e) = (low * width, high * width, pair.error());
            let distance = (low - e).max(e - high).max(0.0);
            sum += (high - low + 2.0 / (1.0 - LEVEL) * distance) / calibration.sd_at(k, h);
        }
    }
    sum
}

#[cfg(test)]
#[path = "../../tests/unit/learn/tracking.rs"]
mod tests;
