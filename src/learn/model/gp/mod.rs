//! Gaussian process regression (Rasmussen & Williams 2006) on the residual of a mean function.
//!
//! > y = m(x) + f(x) + ε, f ~ GP(0, k), ε ~ N(0, σ²)
//!
//! There is one process per target and one length-scale per input. Far from the training data, the prediction returns
//! to the mean function m, which is linear or constant. For up to `model.gp.max_points` rows, the posterior is exact;
//! fitting takes O(n³) and a prediction takes O(n). If there are more rows than `max_points`, the posterior uses m
//! inducing points (Titsias 2009); fitting takes O(n m²) and a prediction takes O(m). The hyper-parameters maximise the
//! marginal likelihood or its lower bound. The ensemble members are functions drawn from the posterior by pathwise
//! conditioning (Wilson et al. 2020).

mod hyper;
mod inducing;
mod mean;
mod posterior;
mod process;
mod search;
#[cfg(test)]
#[path = "../../../../tests/unit/learn/model/gp.rs"]
mod tests;

use std::ops::Range;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::artefact;
use crate::compute::{Compute, Family, Kernel, Points};
use crate::config::GpKernel;
use crate::error::{Result, plural};
use crate::learn::dataset::Scaling;
use crate::learn::regressor::{Fit, Particle, Regressor};
use crate::rng::Key;
pub use hyper::{Hyper, Observed};
pub use hyper::{tune, tune_inducing};
pub use inducing::select_inducing_points;
use mean::Mean;
use process::{Process, ProcessFit};
pub use search::Effort;

/// A residual is not learned if its standard deviation, relative to that of the target, is below this value (not
/// tuned).
const MIN_RESIDUAL_SD: f64 = 1e-3;
/// Number of rows predicted at a time (not tuned).
const ROWS: usize = 1024;
/// Largest number of rows per function for which one joint pass over all functions is faster than one pass per function
/// (not tuned).
const FEW: usize = 16;
/// Maximum number of functions drawn from the posterior (not tuned).
const SAMPLES: usize = 1000;

/// A mean function and one Gaussian process per target.
#[derive(Debug, Clone)]
pub struct Gp {
    stored: StoredGp,
    /// Indices of the inputs that vary in the training data.
    active: Vec<usize>,
    compute: Compute,
}

/// The serialised part of the model.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredGp {
    mean: Mean,
    /// Mean and inverse standard deviation of each input. The inputs of a process are (x − mean) · inverse, for all
    /// inputs with a non-zero inverse standard deviation.
    x_mean: Vec<f64>,
    x_inverse: Vec<f64>,
    seed: u64,
    samples: usize,
    /// The process of each target: `[targets]`; `None` for a target that the mean function already explains.
    processes: Vec<Option<Process>>,
}

fn key(seed: u64, target: usize) -> Key {
    Key::new(seed).fold(0x6770).fold(target as u64)
}

fn active(inverse: &[f64]) -> Vec<usize> {
    (0..inverse.len()).filter(|&k| inverse[k] != 0.0).collect()
}

impl Gp {
    pub(super) fn fit(fit: &Fit) -> Result<Self> {
        let Fit { data, rows, seed, options, compute, .. } = *fit;
        let mean = Mean::fit(fit)?;
        let (p, q) = mean.shape();
        let scaling = data.input_scaling(rows);
        let (x_mean, x_inverse) = (scaling.mean.clone(), scaling.inverse());
        let active = active(&x_inverse);
        let mut x = Vec::with_capacity(active.len() * rows.len());
        for &k in &active {
            x.extend(rows.iter().map(|&r| (data.x[k][r] - x_mean[k]) * x_inverse[k]));
        }
        let columns: Vec<&[f64]> = data.x.iter().map(Vec::as_slice).collect();
        let mut means = vec![vec![0.0; data.len()]; q];
        mean.predict_rows(&columns, 0..data.len(), &mut means);
        let residual = |j: usize| -> Vec<f64> { rows.iter().map(|&r| data.y[j][r] - means[j][r]).collect() };
        let targets = data.target_scaling(rows).sd;
        let family = match options.gp.kernel {
            GpKernel::Matern52 => Family::Matern52,
            GpKernel::SquaredExponential => Family::SquaredExponential,
        };
        let earlier = EarlierFit { numbers: fit.hyper, p, family, inverse: &x_inverse, active: &active };
        let processes: Result<Vec<Option<Process>>> = (0..q)
            .into_par_iter()
            .map(|j| {
                let residual = residual(j);
                let all: Vec<usize> = (0..rows.len()).collect();
                let scale = Scaling::estimate(std::slice::from_ref(&residual), &all).sd[0];
                if active.is_empty() || scale <= MIN_RESIDUAL_SD * targets[j] {
                    return Ok(None);
                }
                let y: Vec<f64> = residual.iter().map(|v| v / scale).collect();
                let hyper = earlier.hyper(j, scale);
                let task = ProcessFit {
                    compute,
                    observed: Observed { x: Points { values: &x, n: rows.len() }, y: &y },
                    scale,
                    spec: &options.gp,
                    family,
                    key: key(seed, j),
                    hyper: hyper.as_ref(),
                };
                Ok(Some(Process::fit(&task)?))
            })
            .collect();
        let samples = *options.gp.samples;
        let stored = StoredGp { mean, x_mean, x_inverse, seed, samples, processes: processes? };
        Ok(Self { stored, active, compute: compute.clone() })
    }

    pub(super) fn decode(bytes: &[u8], compute: &Compute) -> Result<Self> {
        let mut stored: StoredGp = artefact::decode("gp", bytes)?;
        stored.mean.check()?;
        let (p, q) = stored.mean.shape();
        let sizes = [stored.x_mean.len(), stored.x_inverse.len(), stored.processes.len()];
        if sizes != [p, p, q] || stored.samples > SAMPLES {
            return Err(artefact::corrupt("gp", "its parts are inconsistent"));
        }
        if stored.x_mean.iter().chain(&stored.x_inverse).any(|v| !v.is_finite()) {
            return Err(artefact::corrupt("gp", "a scale is not finite"));
        }
        let active = active(&stored.x_inverse);
        let (seed, samples) = (stored.seed, stored.samples);
        let restored: std::result::Result<(), &str> = stored
            .processes
            .par_iter_mut()
            .enumerate()
            .filter_map(|(j, process)| process.as_mut().map(|p| p.restore(active.len(), samples, key(seed, j))))
            .collect();
        restored.map_err(|reason| artefact::corrupt("gp", reason))?;
        Ok(Self { stored, active, compute: compute.clone() })
    }

    /// Returns the rows of the particles, grouped by member.
    fn groups(&self, particles: &[Particle]) -> Vec<(Option<usize>, Vec<usize>)> {
        let samples = self.stored.samples;
        let mut rows = vec![Vec::new(); 1 + samples];
        for particle in particles {
            let function = particle.member.filter(|_| samples > 0).map_or(0, |m| 1 + m % samples);
            rows[function].extend(particle.rows.clone());
        }
        let numbered = rows.into_iter().enumerate().filter(|(_, rows)| !rows.is_empty());
        numbered.map(|(function, rows)| (function.checked_sub(1), rows)).collect()
    }

    /// Writes the standardised inputs at `rows` to `to`: `[d][rows]`.
    fn standardised(&self, x: &[&[f64]], rows: &[usize], to: &mut Vec<f64>) {
        to.clear();
        for &k in &self.active {
            let (mean, inverse) = (self.stored.x_mean[k], self.stored.x_inverse[k]);
            to.extend(rows.iter().map(|&r| (x[k][r] - mean) * inverse));
        }
    }

    fn processes(&self) -> impl Iterator<Item = (usize, &Process)> {
        self.stored.processes.iter().enumerate().filter_map(|(j, p)| p.as_ref().map(|p| (j, p)))
    }

    /// Adds the predictions of the processes to `out`, or NaN if the device fails.
    fn add(&self, x: &[&[f64]], groups: &[(Option<usize>, Vec<usize>)], out: &mut [Vec<f64>]) {
        let (mut tile, mut values) = (Vec::new(), Vec::new());
        for (function, rows) in groups {
            for rows in rows.chunks(ROWS) {
                self.standardised(x, rows, &mut tile);
                let points = Points { values: &tile, n: rows.len() };
                for (j, process) in self.processes() {
                    values.clear();
                    values.resize(rows.len(), 0.0);
                    if process.predict(&self.compute, *function, points, &mut values).is_err() {
                        values.fill(f64::NAN);
                    }
                    for (&r, v) in rows.iter().zip(&values) {
                        out[j][r] += process.scale * v;
                    }
                }
            }
        }
    }

    /// Equivalent to [`Gp::add`], but evaluates all functions in one pass, which is faster for many functions with few
    /// rows each.
    fn add_jointly(&self, x: &[&[f64]], groups: &[(Option<usize>, Vec<usize>)], out: &mut [Vec<f64>]) {
        let rows: Vec<usize> = groups.iter().flat_map(|(_, rows)| rows.iter().copied()).collect();
        let (mut all, mut tile) = (Vec::new(), Vec::new());
        self.standardised(x, &rows, &mut all);
        let points = Points { values: &all, n: rows.len() };
        let mut sums = vec![0.0; (1 + self.stored.samples) * rows.len()];
        for (j, process) in self.processes() {
            if process.sums(&self.compute, points, &mut sums).is_err() {
                sums.fill(f64::NAN);
            }
            let mut start = 0;
            for (function, own) in groups {
                let column = function.map_or(0, |m| 1 + m) * rows.len() + start;
                let values = &mut sums[column..column + own.len()];
                if let Some(m) = *function {
                    tile.clear();
                    all.chunks_exact(rows.len()).for_each(|c| tile.extend_from_slice(&c[start..start + own.len()]));
                    process.add_prior_draw(m, Points { values: &tile, n: own.len() }, values);
                }
                for (&r, v) in own.iter().zip(values.iter()) {
                    out[j][r] += process.scale * v;
                }
                start += own.len();
            }
        }
    }
}

impl Regressor for Gp {
    fn name(&self) -> &'static str {
        "gp"
    }

    fn shape(&self) -> (usize, usize) {
        self.stored.mean.shape()
    }

    fn members(&self) -> usize {
        self.stored.samples.max(1)
    }

    fn predict(&self, x: &[&[f64]], particles: &[Particle], out: &mut [Vec<f64>]) {
        for rows in row_ranges(particles) {
            self.stored.mean.predict_rows(x, rows, out);
        }
        let groups = self.groups(particles);
        let rows: usize = groups.iter().map(|(_, rows)| rows.len()).sum();
        if groups.len() > 1 && rows <= FEW * groups.len() {
            self.add_jointly(x, &groups, out);
        } else {
            self.add(x, &groups, out);
        }
    }

    fn encode(&self) -> Vec<u8> {
        artefact::encode(&self.stored)
    }

    fn is_differentiable(&self) -> bool {
        true
    }

    fn epistemic(&self, x: &[&[f64]], rows: usize, out: &mut [Vec<f64>]) {
        for out in out.iter_mut() {
            out[..rows].fill(0.0);
        }
        let mut tile = Vec::new();
        let all: Vec<usize> = (0..rows).collect();
        for rows in all.chunks(ROWS) {
            self.standardised(x, rows, &mut tile);
            let points = Points { values: &tile, n: rows.len() };
            for (j, process) in self.processes() {
                let out = &mut out[j][rows[0]..rows[0] + rows.len()];
                if process.posterior_sd(&self.compute, points, out).is_err() {
                    out.fill(f64::NAN);
                }
                for v in out {
                    *v *= process.scale;
                }
            }
        }
    }

    /// For each target, the logarithms of the length-scale of every input, of the variance and of the noise, in
    /// physical units. The entries of a target without a process and the length-scales of constant inputs are NaN.
    fn hyper(&self) -> Vec<f64> {
        let p = self.shape().0;
        let mut all = Vec::new();
        for process in &self.stored.processes {
            let mut own = vec![f64::NAN; p + 2];
            if let Some(process) = process {
                let Hyper { kernel, noise } = process.hyper();
                for (&k, length) in self.active.iter().zip(&kernel.lengths) {
                    own[k] = (length / self.stored.x_inverse[k]).ln();
                }
                let unit = process.scale.powi(2);
                own[p] = (kernel.variance * unit).ln();
                own[p + 1] = (noise * unit).ln();
            }
            all.extend(own);
        }
        all
    }

    fn note(&self) -> Option<String> {
        let (_, first) = self.processes().next()?;
        let rows = plural(first.rows, "row", "rows");
        let points = self.processes().map(|(_, p)| p.size()).max().unwrap_or(0);
        Some(if first.is_sparse() {
            format!("fitted to {rows} with {}", plural(points, "inducing point", "inducing points"))
        } else {
            format!("fitted to {rows} with an exact posterior")
        })
    }
}

/// Hyper-parameters of an earlier fit ([`Regressor::hyper`]).
struct EarlierFit<'a> {
    numbers: &'a [f64],
    p: usize,
    family: Family,
    inverse: &'a [f64],
    active: &'a [usize],
}

impl EarlierFit<'_> {
    /// The hyper-parameters of a target, converted to the units of the current fit.
    fn hyper(&self, target: usize, scale: f64) -> Option<Hyper> {
        let own = self.numbers.chunks_exact(self.p + 2).nth(target)?;
        let unit = scale.powi(2);
        // An input that was constant in the earlier fit gets a large length-scale, so that it has no effect.
        let length = |&k: &usize| if own[k].is_finite() { own[k].exp() * self.inverse[k] } else { 1e3 };
        let lengths: Vec<f64> = self.active.iter().map(length).collect();
        let (variance, noise) = (own[self.p].exp() / unit, own[self.p + 1].exp() / unit);
        let valid = lengths.iter().chain([&variance, &noise]).all(|v| v.is_finite() && *v > 0.0);
        valid.then_some(Hyper { kernel: Kernel { family: self.family, variance, lengths }, noise })
    }
}

/// Ranges that contain the rows of the particles. Adjacent rows of different particles are merged into one range.
fn row_ranges(particles: &[Particle]) -> impl Iterator<Item = Range<usize>> {
    particles.chunk_by(|a, b| a.rows.end == b.rows.start).filter_map(|group| match group {
        [first, .., last] | [first @ last] => Some(first.rows.start..last.rows.end),
        [] => None,
    })
}
