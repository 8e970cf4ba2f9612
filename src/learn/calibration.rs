//! The distribution of a model's multi-step errors, recalibrated on held-out blocks of time.
//!
//! Each held-out block of training rows is forecast by a model that was not fitted on that block. The error (measured −
//! predicted) of a scored signal at horizon h is modelled as the following random variable:
//!
//! ```text
//! σ_h · w(g) · Z,   w(g) = √(s² + g²) / median √(s² + g²)
//! ```
//!
//! | symbol | meaning |
//! |---|---|
//! | σ_h | standard deviation at horizon h |
//! | g | the model's own one-step standard deviation along the run ([`super::rollouts::Rollouts::model_sd`]) |
//! | s | robust standard deviation of the one-step errors |
//! | w | local width: about 1 on average; always 1 if the local width does not improve the CRPS |
//! | Z | standardised error, with one set of quantiles for each band of horizons 1, 2, 3–4, 5–8, 9–16 … |
//!
//! The method for estimating σ, w and Z is selected separately for each signal and band of horizons. A
//! [`RecalibrationMethod`] is defined by three choices:
//!
//! - Shape of Z: scaled normal, isotonic (Kuleshov et al. 2018) or split-conformal (Lei et al. 2018).
//! - Block weights: equal, or larger for recent blocks.
//! - Width w: local or constant.
//!
//! Every method is fitted on blocks 1 … b − 1 and scored on block b, for each b ≥ 3. The default method is isotonic
//! recalibration with equal block weights and a constant width. The method with the lowest continuous ranked
//! probability score (CRPS) is selected if its CRPS is at least 0.3 % lower than that of the default method. The
//! selected method is then fitted on all blocks. The module [`super::tracking`] adapts the interval widths to the most
//! recent errors.

use serde::{Deserialize, Serialize};

use super::recalibration::{HeldOutErrors, LocalWidth, RecalibrationMethod, crps};
use super::rollouts::Rollouts;
use crate::stats::quantile_type_5;

/// Calibrated distribution of a model's multi-step errors (measured − predicted).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Column index of each scored signal in the schema. The targets come first.
    pub signals: Vec<usize>,
    /// Standard deviation σ at each horizon: `[signals][horizon]`. Element `h` is the value at horizon `h + 1`.
    pub sd: Vec<Vec<f64>>,
    /// Quantiles of Z at equally spaced probabilities, ascending: `[signals][bands][quantiles]`.
    pub shape: Vec<Vec<Vec<f64>>>,
    /// The selected methods: `[signals][bands]`.
    pub method: Vec<Vec<RecalibrationMethod>>,
    /// Local width w of the error distribution of each signal: `[signals]`.
    pub local: Vec<LocalWidth>,
}

impl Calibration {
    /// Selects a method for each signal and band, and fits it. `runs`: one set of open-loop runs for each held-out
    /// block, oldest block first, all with the same signals. `typical`: standard deviation of each signal, used at
    /// horizons without measurements.
    pub fn fit(runs: &[Rollouts], typical: &[f64]) -> Self {
        let Some(first) = runs.first() else { return Self::default() };
        let horizon = first.horizon;
        let mut calibration = Self { signals: first.signals.clone(), ..Self::default() };
        for (k, typical) in typical.iter().enumerate().take(first.signals.len()) {
            let errors = HeldOutErrors::new(runs, k, *typical, 1e-9 * typical.abs().max(1e-9));
            let (mut sd, mut shape, mut method) = (Vec::with_capacity(horizon), Vec::new(), Vec::new());
            for b in 0..=band(horizon) {
                let horizons = horizons(b, horizon);
                let selected = errors.select_method(horizons.clone());
                let before = sd.last().copied().unwrap_or(*typical);
                let distribution = errors.distribution(selected, horizons, before);
                sd.extend(distribution.sd);
                shape.push(distribution.shape);
                method.push(selected);
            }
            calibration.sd.push(sd);
            calibration.shape.push(shape);
            calibration.method.push(method);
            calibration.local.push(errors.local);
        }
        calibration
    }

    /// Refits the error distributions to `runs`, using the methods already selected.
    pub(super) fn refit(&self, runs: &[Rollouts]) -> Self {
        let Some(horizon) = runs.first().map(|r| r.horizon) else { return self.clone() };
        let mut other = self.clone();
        for k in 0..self.signals.len() {
            // Horizons without measurements in `runs` use the typical standard deviation.
            let typical = self.sd_at(k, 1);
            let largest = self.sd[k].iter().copied().fold(0.0, f64::max);
            let errors = HeldOutErrors::new(runs, k, typical, 1e-9 * largest);
            other.local[k] = errors.local;
            other.sd[k].clear();
            for (b, method) in self.method[k].iter().enumerate() {
                let before = other.sd[k].last().copied().unwrap_or(typical);
                let distribution = errors.distribution(*method, horizons(b, horizon), before);
                other.sd[k].extend(distribution.sd);
                other.shape[k][b] = distribution.shape;
            }
        }
        other
    }

    /// Returns true if a calibration that was read from a file is valid for a schema with `signals`
    /// signals.
    pub fn is_valid(&self, signals: usize) -> bool {
        let n = self.signals.len();
        self.signals.iter().all(|s| *s < signals)
            && [self.sd.len(), self.shape.len(), self.method.len(), self.local.len()] == [n; 4]
            && self.sd.iter().all(|column| !column.is_empty())
            && self.shape.iter().all(|bands| !bands.is_empty() && bands.iter().all(|quantiles| !quantiles.is_empty()))
    }

    /// σ of scored signal number `k` at horizon `h` (1-based). Beyond the last horizon, σ stays constant.
    pub fn sd_at(&self, k: usize, h: usize) -> f64 {
        let column = &self.sd[k];
        column[(h.max(1) - 1).min(column.len() - 1)]
    }

    /// Local width w(g) of a forecast, where g = `model_sd` is the one-step standard deviation predicted by the model.
    pub fn local_width(&self, k: usize, h: usize, model_sd: f64) -> f64 {
        let methods = &self.method[k];
        let method = methods[band(h.max(1)).min(methods.len() - 1)];
        if method.local { self.local[k].at(model_sd) } else { 1.0 }
    }

    /// Quantile of σ_h · Z at probability `p`.
    pub fn quantile(&self, k: usize, h: usize, p: f64) -> f64 {
        self.sd_at(k, h) * quantile_type_5(self.shape_at(k, h), p)
    }

    /// Central interval of σ_h · Z with coverage `level`.
    pub fn interval(&self, k: usize, h: usize, level: f64) -> (f64, f64) {
        let (sd, (low, high)) = (self.sd_at(k, h), central(self.shape_at(k, h), level));
        (sd * low, sd * high)
    }

    /// Fraction of the calibration errors inside the closed interval [`Self::interval`]. If many errors have the same
    /// value, such as zero, the fraction inside the interval can exceed `level`.
    pub fn expected_coverage(&self, k: usize, h: usize, level: f64) -> f64 {
        let shape = self.shape_at(k, h);
        let (low, high) = central(shape, level);
        let covered = shape.iter().filter(|q| (low..=high).contains(*q)).count();
        (covered as f64 / shape.len() as f64).max(level)
    }

    /// CRPS of the distribution of σ_h · `width` · Z at the observed `error`.
    pub fn crps(&self, k: usize, h: usize, width: f64, error: f64) -> f64 {
        crps(self.shape_at(k, h), self.sd_at(k, h) * width, error)
    }

    fn shape_at(&self, k: usize, h: usize) -> &[f64] {
        let bands = &self.shape[k];
        &bands[band(h.max(1)).min(bands.len() - 1)]
    }
}

/// Central interval with coverage `level`, computed from the quantiles `shape` of a distribution.
fn central(shape: &[f64], level: f64) -> (f64, f64) {
    (quantile_type_5(shape, 0.5 - 0.5 * level), quantile_type_5(shape, 0.5 + 0.5 * level))
}

/// Index of the band that contains horizon `h`: 1 → 0, 2 → 1, 3–4 → 2, 5–8 → 3 …
fn band(h: usize) -> usize {
    if h <= 1 { 0 } else { (h - 1).ilog2() as usize + 1 }
}

/// The horizons of a band, up to the horizon `last`.
fn horizons(band: usize, last: usize) -> std::ops::Range<usize> {
    let (from, to) = if band == 0 { (1, 2) } else { ((1 << (band - 1)) + 1, (1 << band) + 1) };
    from..to.min(last + 1)
}

#[cfg(test)]
#[path = "../../tests/unit/learn/calibration.rs"]
mod tests;
