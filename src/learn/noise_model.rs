//! The noise model of a learned model describes the errors of its simulations and of its forecasts.
//!
//! The noise model describes the same out-of-fold errors in two ways:
//!
//! - [`NoiseProcess`] describes the one-step errors, which a simulation adds at every step.
//! - [`Calibration`] and [`Tracking`] describe the distribution of multi-step errors, which determines the forecast
//!   intervals.
//!
//! The noise process and the calibration must agree, so that the spread of simulated particles matches the forecast
//! intervals. For each target, let
//!
//! ```text
//! a   variance of the calibrated errors, averaged over the horizon
//! v   variance of simulated particles with noise, averaged over the horizon
//! v₀  like v, but without noise, so that only the ensemble members differ
//! ```
//!
//! The target's row of the matrix L is scaled by an inflation factor s, which is updated by s ← s √(max(a − v₀, 0) / (v
//! − v₀)) and clamped to 0.3 ≤ s ≤ 5. The update is repeated three times, because the targets are coupled. Each
//! variance is computed from the central 90 % interval, assuming a normal distribution, so that rare plant trips have
//! little effect.

use serde::{Deserialize, Serialize};

use super::calibration::Calibration;
use super::distribution::Distribution;
use super::map::{StepMap, StepScratch};
use super::noise_process::NoiseProcess;
use super::regressor::Particle;
use super::residuals::Residuals;
use super::starts::{Start, window_at, write_inputs};
use super::tracking::Tracking;
use crate::rng::{Key, normal_quantile};
use crate::schema::Role;
use crate::stats::quantile_type_5;
use crate::trajectory::{Frame, Trajectory};

/// Level of the central interval whose width is matched between simulations and forecasts (not tuned).
const LEVEL: f64 = 0.9;
/// Number of updates of the inflation factors (not tuned).
const ROUNDS: usize = 3;
/// Minimum and maximum of the inflation factor s (not tuned).
const INFLATION: (f64, f64) = (0.3, 5.0);

/// Noise process of a one-step map and distribution of its multi-step errors, both estimated from out-of-fold errors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NoiseModel {
    pub process: NoiseProcess,
    /// Inflation factor s by which each row of the matrix L was multiplied: `[targets]`.
    pub inflation: Vec<f64>,
    /// Distribution of the multi-step errors.
    pub calibration: Calibration,
    /// Factors that adapt the widths of the forecast intervals to the most recent forecast errors in the log.
    pub tracking: Tracking,
}

impl NoiseModel {
    /// Estimates the noise process from one-step residuals in blocks of time. In the result, all inflation factors are
    /// one and the calibration is empty. `is_output`: whether each target is an output. `distributions`: the
    /// distributions of the independent targets; empty if there are none.
    pub fn from_residuals(
        residuals: &[Residuals],
        is_output: &[bool],
        horizon: usize,
        distributions: Vec<Option<Distribution>>,
    ) -> Self {
        Self {
            process: NoiseProcess::estimate(residuals, is_output, horizon, distributions),
            inflation: vec![1.0; is_output.len()],
            ..Self::default()
        }
    }

    /// Scales the innovations so that the variance of particles simulated with `map` from `starts` matches the variance
    /// of the calibrated errors.
    pub fn inflate(&mut self, map: &StepMap, log: &Trajectory, starts: &[Start], particles: usize, key: Key) {
        let aims = self.calibrated_variances();
        if aims.is_empty() || starts.is_empty() {
            return;
        }
        let quiet = self.simulated_variances(map, log, starts, particles, None);
        for _ in 0..ROUNDS {
            let noisy = self.simulated_variances(map, log, starts, particles, Some(key));
            for i in 0..aims.len() {
                let gained = noisy[i] - quiet[i];
                if gained <= 0.0 || !gained.is_finite() || self.process.is_independent(i) {
                    continue;
                }
                let old = self.inflation[i];
                let new = (old * ((aims[i] - quiet[i]).max(0.0) / gained).sqrt()).clamp(INFLATION.0, INFLATION.1);
                self.inflation[i] = new;
                self.process.factor[i].iter_mut().for_each(|l| *l *= new / old);
            }
        }
    }

    /// Variance of the calibrated errors, computed with the current interval widths and averaged over the horizon:
    /// `[targets]`. The result is empty if there is no calibration.
    fn calibrated_variances(&self) -> Vec<f64> {
        let horizon = self.calibration.sd.first().map_or(0, Vec::len);
        let width = |i: usize, h: usize| {
            let (low, high) = self.calibration.interval(i, h, LEVEL);
            normal_variance(self.tracking.width(i, h) * (high - low))
        };
        let aim = |i: usize| (1..=horizon).map(|h| width(i, h)).sum::<f64>() / horizon as f64;
        if horizon == 0 { Vec::new() } else { (0..self.process.phi.len()).map(aim).collect() }
    }

    /// Variance of simulated particles about the mean of the particles with the same start, averaged over the horizon:
    /// `[targets]`. The result is NaN if a particle diverged. If `key` is `None`, the particles have no noise.
    fn simulated_variances(
        &self,
        map: &StepMap,
        log: &Trajectory,
        starts: &[Start],
        particles: usize,
        key: Option<Key>,
    ) -> Vec<f64> {
        let targets = self.process.phi.len();
        let (n, horizon) = (starts.len(), self.calibration.sd.first().map_or(0, Vec::len));
        let members = map.regressor.members().max(1);
        let mut window = window_at(map, log, starts, particles, 0);
        let batch: Vec<Particle> =
            (0..n * particles).map(|r| Particle { member: Some((r % particles) % members), rows: r..r + 1 }).collect();
        let mut noise = vec![vec![0.0; n * particles]; targets];
        let mut scratch = StepScratch::default();
        let mut deviations = Vec::with_capacity(n * particles);
        let mut variance = vec![0.0; targets];
        // Bessel's correction is needed because the mean is estimated from the same particles.
        let correction = particles as f64 / (particles as f64 - 1.0).max(1.0);
        for h in 0..horizon {
            write_inputs(&mut window, log, starts, particles, h);
            map.observe(&mut window, &mut scratch);
            if let Some(key) = key {
                self.process.advance(&mut noise, key, h as u64);
            }
            map.step(&mut window, &batch, key.is_some().then_some(noise.as_slice()), &mut scratch);
            for (i, v) in variance.iter_mut().enumerate() {
                let signal = self.calibration.signals[i];
                let lag = usize::from(log.schema.signals[signal].role == Role::Output);
                deviations.clear();
                for chunk in window.column(signal, lag).chunks(particles) {
                    let mean = chunk.iter().sum::<f64>() / particles as f64;
                    deviations.extend(chunk.iter().map(|v| v - mean));
                }
                deviations.sort_unstable_by(f64::total_cmp);
                let end = |p: f64| quantile_type_5(&deviations, p);
                *v += correction * normal_variance(end(0.5 + 0.5 * LEVEL) - end(0.5 - 0.5 * LEVEL)) / horizon as f64;
            }
        }
        variance
    }

    /// Returns true if a noise model that was read from a file is valid for a model with `targets`
    /// targets.
    pub fn is_valid(&self, targets: usize) -> bool {
        self.process.is_valid(targets) && self.inflation.len() == targets
    }
}

/// Variance of the normal distribution whose central interval at level [`LEVEL`] has the width `width`.
fn normal_variance(width: f64) -> f64 {
    (0.5 * width / normal_quantile(0.5 + 0.5 * LEVEL)).powi(2)
}
