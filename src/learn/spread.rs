//! How wrong the model is: correlated one-step noise for simulations, beside the calibrated distribution of its forecasts.
//!
//! Everything is estimated out of fold: each block of the training data is predicted by a model that has not seen it.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::calibrate::Calibration;
use super::map::{StepMap, StepScratch};
use super::model::Particle;
use super::quantile::interpolate;
use super::rollouts::{Start, one_step_errors, window_at, write_inputs};
use super::track::Tracking;
use crate::rng::Key;
use crate::schema::Role;
use crate::trajectory::{Frame, Trajectory};

/// Particles whose noise is drawn as one piece of work.
const PIECE: usize = 1_024;
/// Name of the stream of offsets; no step has this number.
const OFFSETS: u64 = u64::MAX;

/// Noise model of the one-step map and distribution of its multi-step errors.
///
/// One-step errors follow e(t) = φ ∘ e(t − 1) + L ε(t), ε standard normal: e in the targets' units, `L` lower
/// triangular over the targets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Lag-1 correlation of each target's one-step error: `[targets]`.
    pub phi: Vec<f64>,
    /// L, row by row, inflated: `[targets][targets]`.
    pub factor: Vec<Vec<f64>>,
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

/// Out-of-fold one-step errors, measured − predicted, at consecutive rows.
#[derive(Debug, Clone, Default)]
pub struct Residuals {
    /// Rows of the log, ascending.
    pub rows: Vec<usize>,
    /// `[targets][rows]`.
    pub errors: Vec<Vec<f64>>,
}

impl Residuals {
    /// Errors of `map` at `starts`, without noise.
    pub fn of(map: &StepMap, log: &Trajectory, starts: &[Start]) -> Self {
        if starts.is_empty() {
            return Self { rows: Vec::new(), errors: vec![Vec::new(); map.layout.targets.len()] };
        }
        Self { rows: starts.iter().map(|s| s.row).collect(), errors: one_step_errors(map, log, starts, 0) }
    }

    /// Indices (i, i + 1) of errors one step apart.
    fn neighbours(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.rows.windows(2).enumerate().filter(|(_, w)| w[1] == w[0] + 1).map(|(i, _)| (i, i + 1))
    }
}

impl Spread {
    /// The noise model of one-step residuals in blocks, its forecasts not yet calibrated; `inflation` is one. `levels[i]`: target `i`
    /// is an output, whose error at horizon h is the noise itself (of a state, it is the sum of the noise so far).
    pub fn of_residuals(residuals: &[Residuals], levels: &[bool], horizon: usize) -> Self {
        let clipped = clip(residuals, levels.len());
        let correlation =
            |(i, level): (usize, &bool)| if *level { fading(&clipped, i, horizon) } else { lag_one(&clipped, i) };
        let phi: Vec<f64> = levels.iter().enumerate().map(correlation).collect();
        let factor = cholesky(&innovations(&clipped, &phi));
        let offset = |(i, level): (usize, &bool)| if *level { slow(&clipped, i, horizon) } else { 0.0 };
        let offset = levels.iter().enumerate().map(offset).collect();
        Self { inflation: vec![1.0; phi.len()], phi, factor, offset, ..Self::default() }
    }

    /// Widens (or narrows) the innovations until particles that `map` simulates from `starts` spread, over the whole
    /// horizon, as far as it was wrong out of fold, and as the width of its intervals has moved since: as wide as the normal distribution whose central 90 % are those of
    /// the errors, so that a few lost runs (trips) do not swell all others. The members' disagreement counts as spread.
    pub fn inflate(&mut self, map: &StepMap, log: &Trajectory, starts: &[Start], particles: usize, key: Key) {
        let q = self.phi.len();
        let horizon = self.calibration.sd.first().map_or(0, Vec::len);
        if q == 0 || horizon == 0 || starts.is_empty() {
            return;
        }
        let aims: Vec<f64> = (0..q)
            .map(|i| {
                let width = |h| {
                    let (low, high) = self.calibration.interval(i, h, 0.9);
                    (self.tracking.width(i, h) * (high - low) / (2.0 * 1.644_853_627)).powi(2)
                };
                (1..=horizon).map(width).sum::<f64>() / horizon as f64
            })
            .collect();
        let quiet = self.variances(map, log, starts, particles, None);
        // Two rounds: the second corrects what the first one's coupling between targets has moved.
        for _ in 0..2 {
            let noisy = self.variances(map, log, starts, particles, Some(key));
            for i in 0..q {
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

    /// Variance over particles of each target's signal, averaged over starts and horizons.
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
        let mut variance = vec![0.0; q];
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
                for cloud in window.column(signal, lag).chunks(particles) {
                    let mean = cloud.iter().sum::<f64>() / particles as f64;
                    let square: f64 = cloud.iter().map(|v| (v - mean).powi(2)).sum();
                    *v += square / (particles as f64 - 1.0).max(1.0) / (n * horizon) as f64;
                }
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
            for p in 0..particles {
                let z = stream.normal((first + p) as u64);
                for (column, l) in noise[j..].iter_mut().zip(&self.factor[j..]) {
                    column.as_mut()[p] += l[j] * z;
                }
            }
        }
    }

    /// The expected noise of the next step: e ← φ e.
    pub fn decay(&self, noise: &mut [impl AsMut<[f64]>]) {
        for (column, phi) in noise.iter_mut().zip(&self.phi) {
            column.as_mut().iter_mut().for_each(|e| *e *= phi);
        }
    }
}

/// Residuals with the outermost thousandth of each target pulled in: a trip or a start-up must not shape the noise of
/// normal running.
fn clip(residuals: &[Residuals], targets: usize) -> Vec<Residuals> {
    let mut clipped = residuals.to_vec();
    for i in 0..targets {
        let mut all: Vec<f64> =
            residuals.iter().flat_map(|r| r.errors[i].iter().copied()).filter(|e| e.is_finite()).collect();
        if all.len() < 20 {
            continue;
        }
        all.sort_by(f64::total_cmp);
        let (low, high) = (interpolate(&all, 0.001), interpolate(&all, 0.999));
        for block in &mut clipped {
            block.errors[i].iter_mut().for_each(|e| *e = if e.is_nan() { *e } else { e.clamp(low, high) });
        }
    }
    clipped
}

/// Correlation about zero between errors `lag` steps apart.
fn correlation(residuals: &[Residuals], i: usize, lag: usize) -> f64 {
    let (mut cross, mut square) = (0.0, 0.0);
    for block in residuals {
        for a in 0..block.rows.len().saturating_sub(lag) {
            let b = a + lag;
            let (e, f) = (block.errors[i][a], block.errors[i][b]);
            if block.rows[b] == block.rows[a] + lag && e.is_finite() && f.is_finite() {
                cross += e * f;
                square += 0.5 * (e * e + f * f);
            }
        }
    }
    if square > 0.0 { cross / square } else { 0.0 }
}

fn lag_one(residuals: &[Residuals], i: usize) -> f64 {
    correlation(residuals, i, 1).clamp(-0.5, 0.98)
}

/// The φ whose powers forecast the errors best over the whole horizon: the least Σ_h (φ^2h − 2 φ^h ρ_h), ρ_h the
/// correlation at lag h. Of an AR(1) process this is its φ; where a slow offset lies under white noise, it is nearer to
/// the offset's.
fn fading(residuals: &[Residuals], i: usize, horizon: usize) -> f64 {
    // A few dozen lags tell as much as all of a long horizon.
    let stride = horizon.div_ceil(48);
    let lags: Vec<(i32, f64)> =
        (1..=horizon).step_by(stride).map(|h| (h as i32, correlation(residuals, i, h))).collect();
    let loss = |phi: f64| lags.iter().map(|(h, rho)| phi.powi(2 * h) - 2.0 * phi.powi(*h) * rho).sum::<f64>();
    let mut best = (f64::INFINITY, 0.0);
    // Finer towards one, where a small difference lasts long.
    for j in 0..=400 {
        let phi = (1.0 - (1.0 - f64::from(j) / 400.0).powi(2)).min(0.999);
        let l = loss(phi);
        if l < best.0 {
            best = (l, phi);
        }
    }
    best.1
}

/// Root mean square of the errors' means over long stretches: a fifth of a fold each, at least two horizons; weeks, where
/// the log has months. What of it the AR(1) explains is not taken off: calibration narrows the innovations, and a long
/// run is better told too uncertain than too sure.
fn slow(residuals: &[Residuals], i: usize, horizon: usize) -> f64 {
    let (mut squares, mut count) = (0.0, 0.0);
    for block in residuals {
        let size = (block.rows.len() / 5).max(2 * horizon).max(1);
        for stretch in block.errors[i].chunks_exact(size) {
            let finite: Vec<f64> = stretch.iter().copied().filter(|e| e.is_finite()).collect();
            if 2 * finite.len() >= size {
                let n = finite.len() as f64;
                squares += (finite.iter().sum::<f64>() / n).powi(2);
                count += 1.0;
            }
        }
    }
    if count < 4.0 { 0.0 } else { f64::sqrt(squares / count) }
}

/// Covariance of e(t) − φ e(t − 1) over the targets.
fn innovations(residuals: &[Residuals], phi: &[f64]) -> Vec<Vec<f64>> {
    let q = phi.len();
    let mut covariance = vec![vec![0.0; q]; q];
    let mut count = 0.0;
    let mut innovation = vec![0.0; q];
    for block in residuals {
        for (a, b) in block.neighbours() {
            for i in 0..q {
                innovation[i] = block.errors[i][b] - phi[i] * block.errors[i][a];
            }
            if innovation.iter().any(|e| !e.is_finite()) {
                continue;
            }
            count += 1.0;
            for i in 0..q {
                for j in 0..=i {
                    covariance[i][j] += innovation[i] * innovation[j];
                }
            }
        }
    }
    let scale = 1.0 / f64::max(count, 1.0);
    let lower = covariance.clone();
    for (i, row) in covariance.iter_mut().enumerate() {
        for (j, c) in row.iter_mut().enumerate() {
            *c = scale * lower[i.max(j)][i.min(j)];
        }
    }
    covariance
}

/// Lower-triangular factor of a covariance. Columns that add nothing beyond rounding become zero, so that targets
/// which are exact functions of one another do no harm.
fn cholesky(covariance: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let q = covariance.len();
    let mut l = vec![vec![0.0; q]; q];
    for j in 0..q {
        let left = covariance[j][j] - l[j][..j].iter().map(|v| v * v).sum::<f64>();
        if left <= 1e-12 * covariance[j][j] {
            continue;
        }
        l[j][j] = left.sqrt();
        for i in j + 1..q {
            let dot: f64 = (0..j).map(|k| l[i][k] * l[j][k]).sum();
            l[i][j] = (covariance[i][j] - dot) / l[j][j];
        }
    }
    l
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
        let spread = Spread::of_residuals(&residuals, &[false, true], 12);
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
    fn gaps_do_not_count_as_neighbours() {
        let mut residuals = ar_one([0.9, 0.0], [[1.0, 0.0], [0.0, 1.0]], 8);
        residuals.rows = vec![0, 1, 2, 10, 11, 12, 13, 20];
        assert_eq!(residuals.neighbours().count(), 5);
    }

    #[test]
    fn equal_particles_share_their_noise() {
        let spread = Spread::of_residuals(&[ar_one([0.5, 0.5], [[1.0, 0.0], [0.3, 1.0]], 500)], &[false; 2], 12);
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
    fn a_singular_covariance_is_factored() {
        let l = cholesky(&[vec![4.0, 2.0, 0.0], vec![2.0, 1.0, 0.0], vec![0.0, 0.0, 0.0]]);
        assert_eq!(l, [[2.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]);
    }

    #[test]
    fn spread_survives_its_file() {
        let spread = Spread::of_residuals(&[ar_one([0.5, 0.5], [[1.0, 0.0], [0.3, 1.0]], 500)], &[false; 2], 12);
        let bytes = postcard::to_allocvec(&spread).unwrap();
        assert_eq!(postcard::from_bytes::<Spread>(&bytes).unwrap(), spread);
    }
}
