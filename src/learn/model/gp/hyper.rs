//! The hyper-parameters of a Gaussian process, and the maximisation of its marginal likelihood.

use super::search::{Effort, Optimum, maximise};
use crate::compute::{Compute, Family, Kernel, Points};
use crate::error::Result;

/// Bounds on the length-scales, the variance and the noise, for inputs and targets with unit variance (not tuned).
const LENGTH: [f64; 2] = [1e-3, 1e3];
const VARIANCE: [f64; 2] = [1e-3, 1e3];
const NOISE: [f64; 2] = [1e-6, 10.0];
/// Curvature of the penalty outside the bounds (not tuned). The penalty is 5 nats if the logarithm of a hyper-parameter
/// exceeds its bound by 0.1.
const PENALTY: f64 = 1e3;
/// Jitter added to the diagonal of K_uu for numerical stability, relative to the variance (not tuned).
pub const JITTER: f64 = 1e-6;

/// A kernel and a noise variance.
#[derive(Debug, Clone, PartialEq)]
pub struct Hyper {
    pub kernel: Kernel,
    pub noise: f64,
}

/// Observations of one target, stored as columns with unit variance.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    pub x: Points<'a>,
    pub y: &'a [f64],
}

/// Hyper-parameters, with their log marginal likelihood or, for a sparse process, with a lower bound on this
/// likelihood.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuned {
    pub hyper: Hyper,
    pub value: f64,
    /// Number of evaluations of the likelihood or of its lower bound.
    pub evaluations: usize,
}

impl Hyper {
    /// The logarithms of the length-scales, the variance and the noise.
    fn logarithms(&self) -> Vec<f64> {
        let all = self.kernel.lengths.iter().chain([&self.kernel.variance, &self.noise]);
        all.map(|v| v.ln()).collect()
    }

    /// Converts the first d + 2 values of `logarithms` to hyper-parameters.
    fn from_logarithms(family: Family, logarithms: &[f64], d: usize) -> Self {
        let lengths = logarithms[..d].iter().map(|v| v.exp()).collect();
        let (variance, noise) = (logarithms[d].exp(), logarithms[d + 1].exp());
        Self { kernel: Kernel { family, variance, lengths }, noise }
    }
}

/// Returns a quadratic penalty for hyper-parameters outside the bounds, to be added to a log likelihood. Adds the
/// gradient of the penalty to `gradient`.
fn penalty(logarithms: &[f64], d: usize, gradient: &mut [f64]) -> f64 {
    let mut sum = 0.0;
    for (i, (v, g)) in logarithms.iter().zip(gradient).take(d + 2).enumerate() {
        let [low, high] = match i {
            i if i < d => LENGTH,
            i if i == d => VARIANCE,
            _ => NOISE,
        };
        let beyond = (v - high.ln()).max(0.0) + (v - low.ln()).min(0.0);
        sum -= 0.5 * PENALTY * beyond * beyond;
        *g -= PENALTY * beyond;
    }
    sum
}

/// Returns true if the logarithms of the hyper-parameters are in the range where the likelihood can
/// be evaluated.
fn in_range(logarithms: &[f64], d: usize) -> bool {
    logarithms.iter().take(d + 2).all(|v| v.abs() < 20.0)
}

/// Maximises the log marginal likelihood of an exact Gaussian process, starting from `start`. Returns `start` if the
/// search finds nothing better.
///
/// # Errors
/// Returns any error of the compute device, or [`crate::error::Error::Data`] if the likelihood is
/// undefined at `start`.
pub fn tune(compute: &Compute, observed: Observed, start: &Hyper, effort: Effort) -> Result<Tuned> {
    let (family, d) = (start.kernel.family, start.kernel.lengths.len());
    let likelihood = |at: &[f64]| {
        if !in_range(at, d) {
            return Ok(None);
        }
        let hyper = Hyper::from_logarithms(family, at, d);
        let evidence = compute.evidence(&hyper.kernel, hyper.noise, observed.x, observed.y)?;
        Ok(evidence.map(|mut e| {
            let penalty = penalty(at, d, &mut e.gradient);
            (e.value + penalty, e.gradient)
        }))
    };
    let Optimum { at, value, evaluations } = maximise(&likelihood, start.logarithms(), effort)?;
    Ok(Tuned { hyper: Hyper::from_logarithms(family, &at, d), value, evaluations })
}

/// Maximises the lower bound on the log marginal likelihood of a sparse process over its hyper-parameters and its
/// inducing points. The inducing points `z` (`[d][m]`) are overwritten with the optimised points.
///
/// # Errors
/// Returns the same errors as [`tune`].
pub fn tune_inducing(
    compute: &Compute,
    observed: Observed,
    start: &Hyper,
    z: &mut [f64],
    effort: Effort,
) -> Result<Tuned> {
    let (family, d) = (start.kernel.family, start.kernel.lengths.len());
    let m = z.len() / d.max(1);
    let bound = |at: &[f64]| {
        if !in_range(at, d) {
            return Ok(None);
        }
        let hyper = Hyper::from_logarithms(family, at, d);
        let points = Points { values: &at[d + 2..], n: m };
        let bound = compute.gp_inducing(&hyper.kernel, hyper.noise, JITTER, observed.x, observed.y, points, true)?;
        Ok(bound.map(|mut b| {
            let penalty = penalty(at, d, &mut b.gradient);
            (b.value + penalty, b.gradient)
        }))
    };
    let mut logarithms = start.logarithms();
    logarithms.extend_from_slice(z);
    let Optimum { at, value, evaluations } = maximise(&bound, logarithms, effort)?;
    z.copy_from_slice(&at[d + 2..]);
    Ok(Tuned { hyper: Hyper::from_logarithms(family, &at, d), value, evaluations })
}
