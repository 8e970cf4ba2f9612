//! Chance limits: by how much plans keep away from a limit, so that it holds with some probability.
//!
//! A plan is judged by few futures, often by their mean alone. Many futures around the last plan say how far the plant may
//! come off that mean at each step ahead; the limit is moved in by the normal quantile of that distance (tightening: Mesbah
//! 2016). For a linear twin the distance does not depend on the plan.

use super::futures::Noise;
use super::rollout::{Start, Workspace};
use super::setup::Setup;
use crate::rng::normal_quantile;
use crate::schema::Bounds;
use crate::stats::mean_and_sample_sd;

/// Futures that are looked at.
const FUTURES: usize = 64;

/// By how much each limit is moved in, for each future of the plan; empty: not at all.
#[derive(Default)]
pub(super) struct Margins {
    /// Futures of the plan.
    particles: usize,
    /// Per limit `[horizon]`.
    widths: Vec<Vec<f64>>,
    /// Per limit `[horizon][particles]`: how far each future of the plan lies off the mean one anyhow.
    own: Vec<Vec<f64>>,
}

impl Margins {
    /// Limits are where they are.
    pub fn forget(&mut self) {
        self.widths.clear();
    }

    /// The range in which `limit` is kept by future `particle` at `step`; where nothing is left of it, its middle.
    pub fn range(&self, limit: usize, range: Bounds, step: usize, particle: usize) -> Bounds {
        let Some(width) = self.widths.get(limit).map(|w| w[step]) else { return range };
        let own = self.own[limit][step * self.particles + particle];
        let (mut low, mut high) = (range.low + width, range.high - width);
        if low > high {
            (low, high) = (0.5 * (range.low + range.high), 0.5 * (range.low + range.high));
        }
        Bounds { low: low + own, high: high + own }
    }
}

impl Workspace {
    /// Moves limits in by how far the futures of the sequence `at`, `[moves * controls]`, spread; not at all where the plan
    /// has no confidence to keep.
    pub fn tighten(&mut self, setup: &Setup, start: &Start, at: &[f64]) {
        let Some(confidence) = setup.confidence.filter(|_| !setup.kept.is_empty()) else { return };
        // Futures of the same number have the same noise: those of the plan are the first of these.
        let futures = FUTURES.max(self.futures().count());
        // The one future of a plan is the mean one, and members without noise lie where they lie.
        let noisy = self.futures().noise != Noise::None;
        let mut margins = std::mem::take(&mut self.margins);
        let Margins { particles, widths, own } = &mut margins;
        *particles = self.futures().count();
        let planned = *particles;
        let horizon = setup.blocks.horizon();
        widths.resize_with(setup.kept.len(), Vec::new);
        own.resize_with(setup.kept.len(), Vec::new);
        widths.iter_mut().for_each(|w| w.resize(horizon, 0.0));
        own.iter_mut().for_each(|o| {
            o.clear();
            o.resize(horizon * planned, 0.0);
        });
        let quantile = normal_quantile(confidence);
        self.foresee(setup, start, at, futures, &mut |step, frame, _| {
            for (l, limit) in setup.kept.iter().enumerate() {
                let values = limit.column(frame);
                let (mean, deviation) = spread(values);
                widths[l][step] = quantile * deviation;
                if noisy {
                    let own = &mut own[l][step * planned..(step + 1) * planned];
                    own.iter_mut().zip(values).for_each(|(o, v)| *o = if v.is_finite() { v - mean } else { 0.0 });
                }
            }
        });
        self.margins = margins;
    }
}

/// Mean and standard deviation of the finite values; zero deviation of fewer than two.
fn spread(values: &[f64]) -> (f64, f64) {
    let finite = || values.iter().copied().filter(|v| v.is_finite());
    if finite().count() < 2 {
        return (0.0, 0.0);
    }
    mean_and_sample_sd(finite())
}
