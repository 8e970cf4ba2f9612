//! The noise of a simulation. The one-step errors are modelled as a first-order vector autoregressive process.
//!
//! ```text
//! e(t) = o + φ ∘ (e(t − 1) − o) + L ε(t)
//! ```
//!
//! | symbol | meaning | estimated as |
//! |---|---|---|
//! | e(t) | one-step error of each target, measured − predicted, in the target's unit | out-of-fold predictions |
//! | φ | lag-1 correlation of each target's error (∘: element by element) | of a state: ρ₁, the autocorrelation about zero at lag 1, clamped to [−0.5, 0.98]; of an output: argmin Σ_h (φ²ʰ − 2 φʰ ρ_h) over the horizon |
//! | L | lower-triangular factor of the innovations' covariance Σ = L Lᵀ | Σ = mean of η ηᵀ, η(t) = e(t) − φ ∘ e(t − 1) |
//! | ε(t) | independent draws with zero mean and unit variance | quantiles of the components of L⁻¹ η, or standard normal if there are too few |
//! | o | offset of a particle, drawn once: o ~ N(0, ω²) | of an output: ω² = mean square of the means of e over long periods; of a state: 0 |
//!
//! For an output, φ minimises the squared error of φʰ e(t) as a forecast of e(t + h), because the forecast error of an
//! output at horizon h is e(t + h) itself. For a state, φ is the lag-1 correlation of e, because the forecast error of
//! a state is a sum of one-step errors.
//!
//! A target that depends on no input and no past value, such as the demand for a product, is described by a
//! distribution instead of the autoregressive process: the error is a value drawn from the distribution, minus the mean
//! of the distribution ([`Distribution`]).
//!
//! The variance of simulated particles may differ from that of the out-of-fold errors. [`super::NoiseModel::inflate`]
//! therefore scales the rows of the matrix L.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::distribution::Distribution;
use super::residuals::{
    Residuals, cholesky, clip, covariance, innovations, offset_sd, phi_by_horizon, phi_by_lag_one, shapes,
};
use crate::rng::Key;
use crate::stats::quantile_type_5;

/// Number of particles per parallel task (not tuned).
const CHUNK: usize = 1_024;
/// Number of the random stream from which the offsets are drawn. All other streams are numbered by simulation step, and
/// step numbers never reach `u64::MAX`.
const OFFSETS: u64 = u64::MAX;

/// Autoregressive process of the one-step errors. The symbols are defined in the module documentation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NoiseProcess {
    /// φ: `[targets]`.
    pub phi: Vec<f64>,
    /// Matrix L, row by row, including the inflation factors: `[targets][targets]`.
    pub factor: Vec<Vec<f64>>,
    /// Quantiles of ε at equally spaced probabilities, scaled to zero mean and unit variance: `[targets][quantiles]`.
    /// For a target without quantiles, ε is standard normal.
    pub shape: Vec<Vec<f64>>,
    /// Standard deviation ω of the offset: `[targets]`. The offset of a particle is constant, so it represents a bias
    /// that does not average out over a long run.
    pub offset: Vec<f64>,
    /// Distributions of the independent targets; empty if there are none: `[targets]`. For an independent target, φ, ω,
    /// and the corresponding row and column of L are zero.
    pub distributions: Vec<Option<Distribution>>,
}

impl NoiseProcess {
    /// Estimates the noise process from the one-step errors in several blocks of the log. `is_output`: whether each
    /// target is an output. `distributions`: the distributions of the independent targets; empty if there are none.
    pub fn estimate(
        residuals: &[Residuals],
        is_output: &[bool],
        horizon: usize,
        distributions: Vec<Option<Distribution>>,
    ) -> Self {
        let mut clipped = clip(residuals, is_output.len());
        let is_independent = |i: usize| distributions.get(i).is_some_and(Option::is_some);
        // A missing value of an independent target must not exclude the row for the other targets.
        for block in &mut clipped {
            let own = block.errors.iter_mut().enumerate().filter(|(i, _)| is_independent(*i));
            own.for_each(|(_, errors)| errors.fill(0.0));
        }
        let correlation = |(i, output): (usize, &bool)| match output {
            _ if is_independent(i) => 0.0,
            true => phi_by_horizon(&clipped, i, horizon),
            false => phi_by_lag_one(&clipped, i),
        };
        let phi: Vec<f64> = is_output.iter().enumerate().map(correlation).collect();
        let innovations = innovations(&clipped, &phi);
        let factor = cholesky(&covariance(&innovations, is_output.len()));
        let shape = shapes(&innovations, &factor);
        let offset = |(i, output): (usize, &bool)| if *output { offset_sd(&clipped, i, horizon) } else { 0.0 };
        let offset = is_output.iter().enumerate().map(offset).collect();
        Self { phi, factor, shape, offset, distributions }
    }

    /// Returns true if the noise of target `i` is drawn from a distribution of its own.
    pub fn is_independent(&self, i: usize) -> bool {
        self.distributions.get(i).is_some_and(Option::is_some)
    }

    /// Advances `noise` (`[targets][particles]`) from the previous step to step `step`.
    ///
    /// For target `j`, particle `p` uses the random number with index `p` in the stream (step, j). When scenarios are
    /// compared, particle `p` therefore has the same noise in every scenario.
    pub fn advance(&self, noise: &mut [Vec<f64>], key: Key, step: u64) {
        if noise.first().is_none_or(|n| n.len() <= CHUNK) {
            return self.advance_chunk(noise, 0, key, step);
        }
        let mut chunks: Vec<Vec<&mut [f64]>> = Vec::new();
        for column in noise {
            for (i, part) in column.chunks_mut(CHUNK).enumerate() {
                match chunks.get_mut(i) {
                    Some(chunk) => chunk.push(part),
                    None => chunks.push(vec![part]),
                }
            }
        }
        let numbered = chunks.into_par_iter().enumerate();
        numbered.for_each(|(i, mut chunk)| self.advance_chunk(&mut chunk, i * CHUNK, key, step));
    }

    /// Implements [`Self::advance`] for a chunk of particles. `first` is the index of the first particle in the chunk.
    fn advance_chunk(&self, noise: &mut [impl AsMut<[f64]>], first: usize, key: Key, step: u64) {
        self.decay(noise);
        let offsets = key.fold(OFFSETS);
        for (j, offset) in self.offset.iter().enumerate().filter(|(_, o)| **o > 0.0) {
            let stream = offsets.fold(j as u64);
            for (p, e) in noise[j].as_mut().iter_mut().enumerate() {
                *e += (1.0 - self.phi[j]) * offset * stream.normal((first + p) as u64);
            }
        }
        let particles = noise.first_mut().map_or(0, |n| n.as_mut().len());
        let key = key.fold(step);
        for j in 0..self.phi.len() {
            let stream = key.fold(j as u64);
            if let Some(distribution) = self.distributions.get(j).and_then(Option::as_ref) {
                let drift = offsets.fold(j as u64);
                let noise = noise[j].as_mut().iter_mut().enumerate();
                noise.for_each(|(p, e)| *e = distribution.deviation(stream, (first + p) as u64, drift));
                continue;
            }
            let shape = self.shape.get(j).filter(|s| !s.is_empty());
            for p in 0..particles {
                let number = (first + p) as u64;
                let z = shape.map_or_else(|| stream.normal(number), |s| quantile_type_5(s, stream.uniform(number)));
                for (column, l) in noise[j..].iter_mut().zip(&self.factor[j..]) {
                    column.as_mut()[p] += l[j] * z;
                }
            }
        }
    }

    /// Replaces the errors by their expected values at the next step: e ← φ ∘ e.
    pub fn decay(&self, noise: &mut [impl AsMut<[f64]>]) {
        for (column, phi) in noise.iter_mut().zip(&self.phi) {
            column.as_mut().iter_mut().for_each(|e| *e *= phi);
        }
    }

    /// Returns true if a noise process that was read from a file is valid for a model with
    /// `targets` targets.
    pub fn is_valid(&self, targets: usize) -> bool {
        self.phi.len() == targets
            && self.offset.len() == targets
            && self.factor.len() == targets
            && self.factor.iter().all(|row| row.len() == targets)
            && (self.shape.is_empty() || self.shape.len() == targets)
            && (self.distributions.is_empty() || self.distributions.len() == targets)
            && self.distributions.iter().flatten().all(Distribution::is_valid)
            && [&self.phi, &self.offset]
                .into_iter()
                .chain(&self.factor)
                .chain(&self.shape)
                .flatten()
                .all(|v| v.is_finite())
    }
}

#[cfg(test)]
#[path = "../../tests/unit/learn/noise_process.rs"]
mod tests;
