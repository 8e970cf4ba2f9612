//! Thresholds on a model's epistemic uncertainty, estimated on out-of-fold rows.
//!
//! The epistemic uncertainty at a point x is defined as follows:
//!
//! ```text
//! max over targets k of σ_k(x) / e_k
//! ```
//!
//! Here, σ_k is the epistemic standard deviation ([`super::Regressor::epistemic`]), and e_k is the standard deviation
//! of the out-of-fold one-step error. The thresholds are the 95th and 99th percentiles of the uncertainty over the
//! training folds. Each fold is evaluated with the refit that left it out.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::map::StepMap;
use super::starts::{Start, starts, thin, window_at};
use crate::stats::quantile_type_1;
use crate::trajectory::{Frame, Trajectory, Window};

/// Maximum number of rows in each fold at which the uncertainty is evaluated (not tuned).
const ROWS: usize = 600;
/// Percentiles of the epistemic uncertainty above which its level is high and extreme, respectively (not tuned).
const PERCENTILES: (f64, f64) = (0.95, 0.99);

/// Thresholds on the epistemic uncertainty of a model (SUP-1); empty if the model has no ensemble.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EpistemicThresholds {
    /// Standard deviation e of the one-step error of each target: `[targets]`. Targets with a standard deviation of
    /// zero are ignored.
    scale: Vec<f64>,
    high: f64,
    extreme: f64,
}

/// Level of the epistemic uncertainty at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EpistemicLevel {
    Normal,
    /// The uncertainty is above its 95th percentile over the training folds.
    High,
    /// The uncertainty is above its 99th percentile over the training folds.
    Extreme,
}

impl EpistemicThresholds {
    /// Estimates the thresholds. `refits`: leave-one-fold-out refits of the model, one for each of
    /// `folds`. `scale`: standard deviation of the model's one-step error for each target.
    pub fn fit(refits: &[StepMap], log: &Trajectory, folds: &[Vec<Range<usize>>], scale: &[f64]) -> Self {
        let thresholds = Self { scale: scale.to_vec(), high: f64::INFINITY, extreme: f64::INFINITY };
        let mut all = Vec::new();
        for (map, fold) in refits.iter().zip(folds) {
            let rows: Vec<Start> = thin(&starts(map, log, fold, 1, usize::MAX), ROWS);
            if rows.is_empty() || map.regressor.members() < 2 {
                continue;
            }
            let window = window_at(map, log, &rows, 1, 0);
            all.extend(thresholds.uncertainty(map, &window).into_iter().filter(|v| v.is_finite()));
        }
        all.sort_by(f64::total_cmp);
        let percentile = |share: f64| quantile_type_1(&all, share);
        match (percentile(PERCENTILES.0), percentile(PERCENTILES.1)) {
            (Some(high), Some(extreme)) => Self { high, extreme, ..thresholds },
            _ => Self::default(),
        }
    }

    /// Uncertainty level of each row in the current frame of `window`: `[rows]`; empty if the model has no ensemble.
    pub fn levels(&self, map: &StepMap, window: &Window) -> Vec<EpistemicLevel> {
        if self.scale.is_empty() {
            return Vec::new();
        }
        let level = |v: f64| match v {
            v if v <= self.high => EpistemicLevel::Normal,
            v if v <= self.extreme => EpistemicLevel::High,
            _ => EpistemicLevel::Extreme,
        };
        self.uncertainty(map, window).into_iter().map(level).collect()
    }

    /// Returns true if thresholds that were read from a file are valid for a model with `targets`
    /// targets.
    pub fn is_valid(&self, targets: usize) -> bool {
        (self.scale.is_empty() || self.scale.len() == targets) && !self.high.is_nan() && !self.extreme.is_nan()
    }

    /// The epistemic uncertainty of each row. NaN values are replaced by infinity.
    fn uncertainty(&self, map: &StepMap, window: &Window) -> Vec<f64> {
        let rows = window.rows();
        let mut sd = vec![vec![0.0; rows]; self.scale.len()];
        let x: Vec<&[f64]> = map.layout.inputs.iter().map(|&(s, lag)| window.column(s, lag)).collect();
        map.regressor.epistemic(&x, rows, &mut sd);
        let mut uncertainty = vec![0.0f64; rows];
        for (column, scale) in sd.iter().zip(&self.scale).filter(|(_, s)| **s > 0.0) {
            for (u, s) in uncertainty.iter_mut().zip(column) {
                *u = if s.is_nan() { f64::INFINITY } else { u.max(s / scale) };
            }
        }
        uncertainty
    }
}
