//! The Gaussian process of one target.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::hyper::{Hyper, Observed, Tuned, tune, tune_inducing};
use super::inducing::select_inducing_points;
use super::posterior::{Posterior, exact_posterior, precision, sparse_posterior};
use super::search::Effort;
use crate::compute::{Compute, Family, GpFunctions, Kernel, Points, RandomFourierFeatures};
use crate::config::GpSpec;
use crate::error::{Error, Result};
use crate::rng::Key;

/// Number of rows in the first and in the second hyper-parameter search (not tuned). The first search compares several
/// starting points, and the second search continues from the best of these points.
const FIRST_ROWS: usize = 400;
const NEXT_ROWS: usize = 600;
/// Number of starting points in the first hyper-parameter search (not tuned).
const STARTS: usize = 3;
/// Limits on the first hyper-parameter search (not tuned).
const FIRST: Effort = Effort { iterations: 20, evaluations: 30, gain: 1e-5 };
/// Maximum number of floating-point operations in the second and in the third hyper-parameter search (not tuned). If
/// the process is exact, the third search uses all rows.
const WORK: [f64; 2] = [5e9, 3e10];
/// Maximum number of evaluations in the second and in the third hyper-parameter search (not tuned).
const EVALUATIONS: usize = 60;
/// Number of rows in the search that optimises the inducing points, and limits of this search (not tuned).
const BOUND_ROWS: usize = 4000;
const BOUND: Effort = Effort { iterations: 20, evaluations: 20, gain: 1e-6 };
/// Maximum number of rows from which the initial inducing points are selected (not tuned).
const CANDIDATES: usize = 4000;
/// Number of random Fourier features in a function drawn from the prior (not tuned).
const FEATURES: usize = 256;
/// Maximum number of points in a stored process (not tuned).
const MAX_POINTS: usize = 50_000;

/// A Gaussian process over the standardised inputs that are not constant. The target is divided by its standard
/// deviation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Process {
    /// Standard deviation of the target, in the unit of the target.
    pub scale: f64,
    kernel: Kernel,
    noise: f64,
    /// Number of observations.
    pub rows: usize,
    points: Vec<f64>,
    weights: Vec<f64>,
    precision: Vec<f64>,
    #[serde(skip)]
    prior_draws: Vec<RandomFourierFeatures>,
    /// The full matrix P of the posterior variance, computed on first use.
    #[serde(skip)]
    full_precision: OnceLock<Vec<f64>>,
}

/// The data and the settings for fitting a process.
#[derive(Clone, Copy)]
pub struct ProcessFit<'a> {
    pub compute: &'a Compute,
    pub observed: Observed<'a>,
    pub scale: f64,
    pub spec: &'a GpSpec,
    pub family: Family,
    pub key: Key,
    /// Hyper-parameters of an earlier fit, used without a search; `None` to search for hyper-parameters.
    pub hyper: Option<&'a Hyper>,
}

impl Process {
    pub fn fit(task: &ProcessFit) -> Result<Self> {
        let ProcessFit { compute, observed, scale, spec, key, .. } = *task;
        let n = observed.x.n;
        let mut hyper = match task.hyper {
            Some(known) => known.clone(),
            None => task.search()?,
        };
        let draws = key.fold(1);
        let posterior = if n <= *spec.max_points {
            let prior_draws = prior_draws(&hyper.kernel, *spec.samples, key);
            exact_posterior(compute, observed, &hyper, &prior_draws, draws)?
        } else {
            let sample = Subsample::new(observed, CANDIDATES, key.fold(4));
            let mut z = select_inducing_points(compute, &hyper.kernel, sample.observed().x, *spec.inducing)?;
            if task.hyper.is_none() {
                let sample = Subsample::new(observed, BOUND_ROWS, key.fold(5));
                hyper = tune_inducing(compute, sample.observed(), &hyper, &mut z, BOUND)?.hyper;
            }
            let prior_draws = prior_draws(&hyper.kernel, *spec.samples, key);
            sparse_posterior(compute, observed, &hyper, z, &prior_draws, draws)?
        };
        let Posterior { points, weights, noise, precision } = posterior;
        let kernel = hyper.kernel;
        let prior_draws = prior_draws(&kernel, *spec.samples, key);
        Ok(Self {
            scale,
            kernel,
            noise,
            rows: n,
            points,
            weights,
            precision,
            prior_draws,
            full_precision: OnceLock::new(),
        })
    }

    pub fn hyper(&self) -> Hyper {
        Hyper { kernel: self.kernel.clone(), noise: self.noise }
    }

    /// Number of points at which the kernels of a prediction are centred.
    pub fn size(&self) -> usize {
        self.points.len() / self.kernel.lengths.len().max(1)
    }

    /// Returns true if the process has inducing points.
    pub fn is_sparse(&self) -> bool {
        !self.precision.is_empty()
    }

    /// Checks a process restored from bytes, and computes the fields that are not stored. The error describes the
    /// invalid part of the process.
    pub fn restore(&mut self, d: usize, samples: usize, key: Key) -> std::result::Result<(), &'static str> {
        let m = self.points.len().checked_div(d).unwrap_or(0);
        let positive = |v: &f64| v.is_finite() && *v > 0.0;
        if self.kernel.lengths.len() != d
            || !(1..=MAX_POINTS).contains(&m)
            || self.points.len() != d * m
            || self.weights.len() != (1 + samples) * m
            || !(self.precision.is_empty() || self.precision.len() == m * (m + 1) / 2)
        {
            return Err("its parts are inconsistent");
        }
        let scales = self.kernel.lengths.iter().chain([&self.kernel.variance, &self.noise, &self.scale]);
        if !scales.clone().all(positive) || !scales.map(|v| 1.0 / v).all(|v| v.is_finite()) {
            return Err("a scale is not a positive number");
        }
        if self.points.iter().chain(&self.weights).chain(&self.precision).any(|v| !v.is_finite()) {
            return Err("a weight is not finite");
        }
        self.prior_draws = prior_draws(&self.kernel, samples, key);
        Ok(())
    }

    /// Returns the kernel sum for one draw, or for the posterior mean if `member` is `None`.
    fn function(&self, member: Option<usize>) -> GpFunctions<'_> {
        let (m, column) = (self.size(), member.map_or(0, |m| 1 + m));
        let weights = &self.weights[column * m..(column + 1) * m];
        GpFunctions { kernel: &self.kernel, points: Points { values: &self.points, n: m }, weights, precision: None }
    }

    /// Computes the values of one draw at `x`, or of the posterior mean if `member` is `None`, in multiples of `scale`.
    pub fn predict(&self, compute: &Compute, member: Option<usize>, x: Points, out: &mut [f64]) -> Result<()> {
        compute.gp_predict(&self.function(member), x, out, None)?;
        if let Some(m) = member {
            self.prior_draws[m].add(x, out);
        }
        Ok(())
    }

    /// Computes the kernel sums of the mean and of all draws at `x`: `[1 + draws][rows]`. The prior functions are not
    /// included; see [`Process::add_prior_draw`].
    pub fn sums(&self, compute: &Compute, x: Points, out: &mut [f64]) -> Result<()> {
        Ok(compute.gp_predict(&GpFunctions { weights: &self.weights, ..self.function(None) }, x, out, None)?)
    }

    /// Adds the values of a draw's prior function at `x` to `out`.
    pub fn add_prior_draw(&self, member: usize, x: Points, out: &mut [f64]) {
        self.prior_draws[member].add(x, out);
    }

    /// Computes the posterior standard deviation at `x`, in multiples of `scale`.
    pub fn posterior_sd(&self, compute: &Compute, x: Points, out: &mut [f64]) -> Result<()> {
        let full = match self.full_precision.get() {
            Some(full) => full,
            None => {
                let points = Points { values: &self.points, n: self.size() };
                let full = precision(compute, &self.hyper(), points, &self.precision)?;
                self.full_precision.get_or_init(|| full)
            }
        };
        let functions = GpFunctions { precision: Some(full), ..self.function(None) };
        let mut mean = vec![0.0; x.n];
        compute.gp_predict(&functions, x, &mut mean, Some(out))?;
        for v in out {
            *v = v.max(0.0).sqrt();
        }
        Ok(())
    }
}

fn prior_draws(kernel: &Kernel, samples: usize, key: Key) -> Vec<RandomFourierFeatures> {
    (0..samples).map(|m| RandomFourierFeatures::new(kernel, FEATURES, key.fold(2).fold(m as u64))).collect()
}

impl ProcessFit<'_> {
    /// Finds the maximum-likelihood hyper-parameters. The search first uses a few rows and several starting points, and
    /// then continues from the best result on more rows.
    fn search(&self) -> Result<Hyper> {
        let few = Subsample::new(self.observed, FIRST_ROWS, self.key.fold(6));
        let mut best: Option<Tuned> = None;
        for start in self.starts() {
            let found = tune(self.compute, few.observed(), &start, FIRST)?;
            if best.as_ref().is_none_or(|b| found.value > b.value) {
                best = Some(found);
            }
        }
        let mut hyper =
            best.ok_or_else(|| Error::Internal("the hyper-parameter search has no starting point".into()))?.hyper;
        let n = self.observed.x.n;
        // Without inducing points, the third search uses all rows.
        let last = if n <= *self.spec.max_points { n } else { n.min(NEXT_ROWS) };
        for (rows, work) in [n.min(NEXT_ROWS), last].into_iter().zip(WORK) {
            let evaluations = ((work / (rows as f64).powi(3)) as usize).min(EVALUATIONS);
            if evaluations > 2 {
                let effort = Effort { iterations: evaluations as u64, evaluations, gain: 1e-7 };
                let sample = Subsample::new(self.observed, rows, self.key.fold(7));
                hyper = tune(self.compute, sample.observed(), &hyper, effort)?.hyper;
            }
            if rows == last {
                break;
            }
        }
        Ok(hyper)
    }

    /// Returns the starting points of the search: a smooth function with little noise, a smoother
    /// function with much noise, and a random one. For comparison, the typical distance between two
    /// standardised points in d dimensions is √(2 d).
    fn starts(&self) -> Vec<Hyper> {
        let d = self.observed.x.dimensions();
        let far = (d as f64).sqrt();
        let key = self.key.fold(3);
        (0..STARTS)
            .map(|s| {
                let (variance, noise) = [(0.9, 0.1), (0.5, 0.5), (0.7, 0.3)][s % 3];
                let length = |k: usize| match s {
                    0 => far,
                    1 => 3.0 * far,
                    s => far * (0.7 * key.fold(s as u64).normal(k as u64)).exp(),
                };
                Hyper { kernel: Kernel { family: self.family, variance, lengths: (0..d).map(length).collect() }, noise }
            })
            .collect()
    }
}

/// A stratified sample of the observations, with one observation drawn from each of several parts of equal size.
struct Subsample {
    x: Vec<f64>,
    y: Vec<f64>,
}

impl Subsample {
    /// Draws at most `max_rows` observations at random. With a fixed stride, all selected observations could be from
    /// the same hour of the day.
    fn new(observed: Observed, max_rows: usize, key: Key) -> Self {
        let n = observed.x.n;
        let count = n.min(max_rows);
        let pick = |i: usize| {
            let (start, end) = (i * n / count, (i + 1) * n / count);
            start + key.below(i as u64, end - start)
        };
        let rows: Vec<usize> = (0..count).map(pick).collect();
        let columns = observed.x.values.chunks_exact(n.max(1));
        Self {
            x: columns.flat_map(|c| rows.iter().map(move |&r| c[r])).collect(),
            y: rows.iter().map(|&r| observed.y[r]).collect(),
        }
    }

    fn observed(&self) -> Observed<'_> {
        Observed { x: Points { values: &self.x, n: self.y.len() }, y: &self.y }
    }
}
