//! How much a model itself doubts: its epistemic spread against what it had on rows that it had not seen.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::map::StepMap;
use super::starts::{Start, starts, thin, window_at};
use crate::trajectory::{Frame, Trajectory, Window};

/// Unseen rows whose doubt sets the thresholds, per fold.
const ROWS: usize = 600;

/// Thresholds of a model's epistemic spread (SUP-1).
///
/// The doubt at a point is the largest, over the targets, of the epistemic standard deviation relative to the model's
/// one-step error on unseen rows. Thresholds are its 95th and 99th percentile over rows of the training blocks, each
/// doubted by the model that was fitted without the block.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EpistemicThresholds {
    /// What the epistemic standard deviation is relative to; zero for a target that does not count: `[targets]`.
    scale: Vec<f64>,
    inside: f64,
    edge: f64,
}

/// Where a point's doubt lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Usual,
    /// Beyond the 95th percentile.
    High,
    /// Beyond the 99th.
    Beyond,
}

impl EpistemicThresholds {
    /// Of the model whose refits without each of `folds` are `without`. `scale`: its one-step errors, `[targets]`.
    pub fn of(without: &[StepMap], log: &Trajectory, folds: &[Vec<Range<usize>>], scale: &[f64]) -> Self {
        let mut doubt = Self { scale: scale.to_vec(), inside: f64::INFINITY, edge: f64::INFINITY };
        let mut all = Vec::new();
        for (map, fold) in without.iter().zip(folds) {
            let rows: Vec<Start> = thin(&starts(map, log, fold, 1, usize::MAX), ROWS);
            if rows.is_empty() || map.regressor.members() < 2 {
                continue;
            }
            let window = window_at(map, log, &rows, 1, 0);
            all.extend(doubt.values(map, &window).into_iter().filter(|v| v.is_finite()));
        }
        if all.is_empty() {
            return Self::default();
        }
        all.sort_by(f64::total_cmp);
        let percentile = |share: f64| all[((all.len() as f64 * share).ceil() as usize).max(1) - 1];
        doubt.inside = percentile(0.95);
        doubt.edge = percentile(0.99);
        doubt
    }

    /// Of every row of the window's current frame: `[rows]`; nothing when the model has one function only.
    pub fn levels(&self, map: &StepMap, window: &Window) -> Vec<Level> {
        if self.scale.is_empty() {
            return Vec::new();
        }
        let level = |v: f64| match v {
            v if v <= self.inside => Level::Usual,
            v if v <= self.edge => Level::High,
            _ => Level::Beyond,
        };
        self.values(map, window).into_iter().map(level).collect()
    }

    /// Sizes that belong together, for a model of `targets` targets.
    pub fn is_sound(&self, targets: usize) -> bool {
        (self.scale.is_empty() || self.scale.len() == targets) && !self.inside.is_nan() && !self.edge.is_nan()
    }

    fn values(&self, map: &StepMap, window: &Window) -> Vec<f64> {
        let rows = window.rows();
        let mut spread = vec![vec![0.0; rows]; self.scale.len()];
        let x: Vec<&[f64]> = map.layout.inputs.iter().map(|&(s, lag)| window.column(s, lag)).collect();
        map.regressor.epistemic(&x, rows, &mut spread);
        let mut doubt = vec![0.0f64; rows];
        for (column, scale) in spread.iter().zip(&self.scale).filter(|(_, s)| **s > 0.0) {
            for (d, s) in doubt.iter_mut().zip(column) {
                // What is not a number is beyond any threshold.
                *d = if s.is_nan() { f64::INFINITY } else { d.max(s / scale) };
            }
        }
        doubt
    }
}
