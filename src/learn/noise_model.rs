//! How wrong the model is: correlated one-step noise for simulations, beside the calibrated distribution of its forecasts.
//!
//! Everything is estimated out of fold: each block of the training data is predicted by a model that has not seen it.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::calibrate::Calibration;
use super::map::{StepMap, StepScratch};
use super::model::Particle;
use super::quantile::interpolate;
use super::residuals::{Residuals, cholesky, clip, covariance, fading, innovations, lag_one, shapes, slow};
use super::rollouts::{Start, window_at, write_inputs};
use super::track::Tracking;
use crate::rng::{Key, normal_quantile};
use crate::schema::Role;
use crate::trajectory::{Frame, Trajectory};

/// Particles whose noise is drawn as one piece of work.
const PIECE: usize = 1_024;
/// Share of errors and of simulated futures whose widths are compared: a few lost runs (trips) do not count.
const CENTRE: f64 = 0.9;
/// Name of the stream of offsets; no step has this number.
const OFFSETS: u64 = u64::MAX;

/// Noise model of the one-step map and distribution of its multi-step errors.
///
/// One-step errors follow e(t) = φ ∘ e(t − 1) + L ε(t): e in the targets' units, `L` lower triangular over the targets,
/// ε independent, of unit variance and of the shape that it had out of fold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NoiseModel {
    /// Lag-1 correlation of each target's one-step error: `[targets]`.
    pub phi: Vec<f64>,
    /// L, row by row, inflated: `[targets][targets]`.
    pub factor: Vec<Vec<f64>>,
    /// Quantiles of ε, at equal steps of probability, of zero mean and unit variance; of a target without any, ε is
    /// normal: `[targets][quantiles]`.
    pub shape: Vec<Vec<f64>>,
    /// Standard deviation, over stretches of time, of what an output's error is on average: a particle keeps one draw of
    /// it, so that a bias does not average out over a long run. Zero for states: `[targets]`.
    pub offset: Vec<f64>,
    /// By how much each target's innovations were widened so that simulated futures spread as far as the model has
    /// been wrong: `[targets]`.
    pub inflation: Vec<f64>,
    /// Distribution of the multi-step errors.
    pub calibration: Calibration,
    /// How wide it must be beside that, as the newest forecasts of the log came out.
    pub tracking: Tracking,
}

impl NoiseModel {
    /// The noise model of one-step residuals in blocks, its forecasts not yet calibrated; `inflation` is one. `levels[i]`: target `i`
    /// is an output, whose error at horizon h is the noise itself (of a state, it is the sum of the noise so far).
    pub fn of_residuals(residuals: &[Residuals], levels: &[bool], horizon: usize) -> Self {
        let clipped = clip(residuals, levels.len());
        let correlation =
            |(i, level): (usize, &bool)| if *level { fading(&clipped, i, horizon) } else { lag_one(&clipped, i) };
        let phi: Vec<f64> = levels.iter().enumerate().map(correlation).collect();
        let innovations = innovations(&clipped, &phi);
        let factor = cholesky(&covariance(&innovations, levels.len()));
        let shape = shapes(&innovations, &factor);
        let offset = |(i, level): (usize, &bool)| if *level { slow(&clipped, i, horizon) } else { 0.0 };
        let offset = levels.iter().enumerate().map(offset).collect();
        Self { inflation: vec![1.0; phi.len()], phi, factor, shape, offset, ..Self::default() }
    }

    /// Widens (or narrows) the innovations until particles that `map` simulates from `starts` spread, over the whole
    /// horizon, as far as it was wrong out of fold. The members' disagreement counts as spread.
    pub fn inflate(&mut self, map: &StepMap, log: &Trajectory, starts: &[Start], particles: usize, key: Key) {
        let aims = self.aims();
        if aims.is_empty() || starts.is_empty() {
            return;
        }
        let quiet = self.variances(map, log, starts, particles, None);
        // Each round corrects what the last one's coupling between targets has moved.
        for _ in 0..3 {
            let noisy = self.variances(map, log, starts, particles, Some(key));
            for i in 0..aims.len() {
                let gained = noisy[i] - quiet[i];
                if gained <= 0.0 || !gained.is_finite() {
                    continue;
                }
                let was = self.inflation[i];
                let now = (was * ((aims[i] - quiet[i]).max(0.0) / gained).sqrt()).clamp(0.3, 5.0);
                self.inflation[i] = now;
                self.factor[i].iter_mut().for_each(|l| *l *= now / was);
            }
        }
    }

    /// Variance of each target's error by its central 90 %, averaged over horizons, as the width of its intervals has moved
    /// since. Empty where nothing was calibrated: `[targets]`.
    fn aims(&self) -> Vec<f64> {
        let horizon = self.calibration.sd.first().map_or(0, Vec::len);
        let width = |i: usize, h: usize| {
            let (low, high) = self.calibration.interval(i, h, CENTRE);
            normal_variance(self.tracking.width(i, h) * (high - low))
        };
        let aim = |i: usize| (1..=horizon).map(|h| width(i, h)).sum::<f64>() / horizon as f64;
        if horizon == 0 { Vec::new() } else { (0..self.phi.len()).map(aim).collect() }
    }

    /// The same of simulated particles, whose errors are their departures from the mean of their cloud; NaN where one is
    /// lost: `[targets]`.
    fn variances(
        &self,
        map: &StepMap,
        log: &Trajectory,
        starts: &[Start],
        particles: usize,
        key: Option<Key>,
    ) -> Vec<f64> {
        let q = self.phi.len();
        let (n, horizon) = (starts.len(), self.calibration.sd.first().map_or(0, Vec::len));
        let members = map.regressor.members().max(1);
        let mut window = window_at(map, log, starts, particles, 0);
        let batch: Vec<Particle> =
            (0..n * particles).map(|r| Particle { member: Some((r % particles) % members), rows: r..r + 1 }).collect();
        let mut noise = vec![vec![0.0; n * particles]; q];
        let mut scratch = StepScratch::default();
        let mut departures = Vec::with_capacity(n * particles);
        let mut variance = vec![0.0; q];
        // the mean of a cloud goes along with its particles
        let unbiased = particles as f64 / (particles as f64 - 1.0).max(1.0);
        for h in 0..horizon {
            write_inputs(&mut window, log, starts, particles, h);
            map.observe(&mut window, &mut scratch);
            if let Some(key) = key {
                self.next(&mut noise, key, h as u64);
            }
            map.step(&mut window, &batch, key.is_some().then_some(noise.as_slice()), &mut scratch);
            for (i, v) in variance.iter_mut().enumerate() {
                let signal = self.calibration.signals[i];
                let lag = usize::from(log.schema.signals[signal].role == Role::Output);
                departures.clear();
                for cloud in window.column(signal, lag).chunks(particles) {
                    let mean = cloud.iter().sum::<f64>() / particles as f64;
                    departures.extend(cloud.iter().map(|v| v - mean));
                }
                departures.sort_unstable_by(f64::total_cmp);
                let end = |p: f64| interpolate(&departures, p);
                *v += unbiased * normal_variance(end(0.5 + 0.5 * CENTRE) - end(0.5 - 0.5 * CENTRE)) / horizon as f64;
            }
        }
        variance
    }

    /// The noise of the next step: e ← o + φ (e − o) + L ε, o the particle's own offset. `noise`:
    /// `[targets][particles]`, the last step's. Particle `p` of target `j` draws number `p` of the stream (step, j):
    /// equal particles of different cases share it.
    pub fn next(&self, noise: &mut [Vec<f64>], key: Key, step: u64) {
        if noise.first().is_none_or(|n| n.len() <= PIECE) {
            return self.draw(noise, 0, key, step);
        }
        let mut pieces: Vec<Vec<&mut [f64]>> = Vec::new();
        for column in noise {
            for (i, some) in column.chunks_mut(PIECE).enumerate() {
                match pieces.get_mut(i) {
                    Some(piece) => piece.push(some),
                    None => pieces.push(vec![some]),
                }
            }
        }
        let numbered = pieces.into_par_iter().enumerate();
        numbered.for_each(|(i, mut piece)| self.draw(&mut piece, i * PIECE, key, step));
    }

    /// The noise of the particles `first ..`.
    fn draw(&self, noise: &mut [impl AsMut<[f64]>], first: usize, key: Key, step: u64) {
        self.decay(noise);
        let kept = key.fold(OFFSETS);
        for (j, offset) in self.offset.iter().enumerate().filter(|(_, o)| **o > 0.0) {
            let stream = kept.fold(j as u64);
            for (p, e) in noise[j].as_mut().iter_mut().enumerate() {
                *e += (1.0 - self.phi[j]) * offset * stream.normal((first + p) as u64);
            }
        }
        let particles = noise.first_mut().map_or(0, |n| n.as_mut().len());
        let key = key.fold(step);
        for j in 0..self.phi.len() {
            let stream = key.fold(j as u64);
            let shape = self.shape.get(j).filter(|s| !s.is_empty());
            for p in 0..particles {
                let drawn = (first + p) as u64;
                let z = shape.map_or_else(|| stream.normal(drawn), |s| interpolate(s, stream.uniform(drawn)));
                for (column, l) in noise[j..].iter_mut().zip(&self.factor[j..]) {
                    column.as_mut()[p] += l[j] * z;
                }
            }
        }
    }

    /// Whether this may come from a file with `targets` targets.
    pub fn is_sound(&self, targets: usize) -> bool {
        self.phi.len() == targets
            && self.offset.len() == targets
            && self.factor.len() == targets
            && self.factor.iter().all(|row| row.len() == targets)
            && (self.shape.is_empty() || self.shape.len() == targets)
            && self.inflation.len() == targets
            && [&self.phi, &self.offset]
                .into_iter()
                .chain(&self.factor)
                .chain(&self.shape)
                .flatten()
                .all(|v| v.is_finite())
    }

    /// The expected noise of the next step: e ← φ e.
    pub fn decay(&self, noise: &mut [impl AsMut<[f64]>]) {
        for (column, phi) in noise.iter_mut().zip(&self.phi) {
            column.as_mut().iter_mut().for_each(|e| *e *= phi);
        }
    }
}

/// Variance of the normal distribution whose central part is so wide.
fn normal_variance(width: f64) -> f64 {
    (0.5 * width / normal_quantile(0.5 + 0.5 * CENTRE)).powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ar_one(phi: [f64; 2], l: [[f64; 2]; 2], n: usize) -> Residuals {
        let key = Key::new(5);
        let mut e = [0.0; 2];
        let mut errors = vec![Vec::new(), Vec::new()];
        for t in 0..n {
            let z = [key.fold(0).normal(t as u64), key.fold(1).normal(t as u64)];
            for i in 0..2 {
                e[i] = phi[i] * e[i] + l[i][0] * z[0] + l[i][1] * z[1];
                errors[i].push(e[i]);
            }
        }
        Residuals { rows: (0..n).collect(), errors }
    }

    #[test]
    fn noise_of_an_ar_process_is_recovered() {
        let l = [[2.0, 0.0], [-0.6, 0.5]];
        let residuals = [ar_one([0.8, 0.2], l, 20_000)];
        let spread = NoiseModel::of_residuals(&residuals, &[false, true], 12);
        assert!((spread.phi[0] - 0.8).abs() < 0.02 && (spread.phi[1] - 0.2).abs() < 0.02, "{:?}", spread.phi);
        for (row, truth) in spread.factor.iter().zip(l) {
            assert!(row.iter().zip(truth).all(|(a, b)| (a - b).abs() < 0.03), "{:?}", spread.factor);
        }
        // What it simulates has the covariance of what it was made from.
        let mut noise = vec![vec![0.0; 4000]; 2];
        for step in 0..40 {
            spread.next(&mut noise, Key::new(9), step);
        }
        let var = |x: &[f64]| x.iter().map(|v| v * v).sum::<f64>() / x.len() as f64;
        assert!((var(&noise[0]) / (4.0 / (1.0 - 0.64)) - 1.0).abs() < 0.08);
        let cross = noise[0].iter().zip(&noise[1]).map(|(a, b)| a * b).sum::<f64>() / 4000.0;
        assert!((cross / (-1.2 / (1.0 - 0.16)) - 1.0).abs() < 0.12, "{cross}");
    }

    #[test]
    fn equal_particles_share_their_noise() {
        let spread = NoiseModel::of_residuals(&[ar_one([0.5, 0.5], [[1.0, 0.0], [0.3, 1.0]], 500)], &[false; 2], 12);
        let mut few = vec![vec![0.0; 3]; 2];
        let mut many = vec![vec![0.0; 2 * PIECE + 30]; 2];
        let mut whole = many.clone();
        for step in 0..5 {
            spread.next(&mut few, Key::new(1), step);
            spread.next(&mut many, Key::new(1), step);
            spread.draw(&mut whole, 0, Key::new(1), step);
        }
        assert_eq!(few[1][..], many[1][..3]);
        // in pieces or whole
        assert_eq!(many, whole);
        let before = few.clone();
        spread.decay(&mut few);
        assert!((few[0][2] - spread.phi[0] * before[0][2]).abs() < 1e-15);
    }

    #[test]
    fn what_is_simulated_is_as_skewed_as_what_it_was_made_from() {
        // exponential, about its mean
        let key = Key::new(8);
        let errors = vec![(0..20_000).map(|t| -key.uniform(t).ln() - 1.0).collect()];
        let spread = NoiseModel::of_residuals(&[Residuals { rows: (0..20_000).collect(), errors }], &[true], 12);
        let mut noise = vec![vec![0.0; 20_000]];
        spread.next(&mut noise, Key::new(2), 0);
        noise[0].sort_by(f64::total_cmp);
        for p in [0.05f64, 0.25, 0.5, 0.75, 0.95] {
            let (drawn, truth) = (interpolate(&noise[0], p), -(1.0 - p).ln() - 1.0);
            assert!((drawn - truth).abs() < 0.06, "{p}: {drawn} for {truth}");
        }
    }

    #[test]
    fn spread_survives_its_file() {
        let spread = NoiseModel::of_residuals(&[ar_one([0.5, 0.5], [[1.0, 0.0], [0.3, 1.0]], 500)], &[false; 2], 12);
        let bytes = postcard::to_allocvec(&spread).unwrap();
        assert_eq!(postcard::from_bytes::<NoiseModel>(&bytes).unwrap(), spread);
    }
}
