//! The hyper-parameters of a process, and the maximisation of its marginal likelihood.

use super::search::{Effort, Optimum, maximise};
use crate::compute::{Compute, Family, Kernel, Points};
use crate::error::Result;

/// Bounds of length-scales, variance and noise, for inputs and targets of unit variance (guesses).
const LENGTH: [f64; 2] = [1e-3, 1e3];
const VARIANCE: [f64; 2] = [1e-3, 1e3];
const NOISE: [f64; 2] = [1e-6, 10.0];
/// Curvature of the penalty outside the bounds: 5 nats if a logarithm is 0.1 outside (guess).
const PENALTY: f64 = 1e3;
/// Added to the diagonal of K_uu, relative to the variance, for numerical stability (guess).
pub const JITTER: f64 = 1e-6;

/// A kernel and the noise variance.
#[derive(Debug, Clone, PartialEq)]
pub struct Hyper {
    pub kernel: Kernel,
    pub noise: f64,
}

/// Observations of one target, in columns of unit variance.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    pub x: Points<'a>,
    pub y: &'a [f64],
}

/// Hyper-parameters with their log marginal likelihood, or its lower bound.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuned {
    pub hyper: Hyper,
    pub value: f64,
    /// Number of evaluations of the likelihood or bound.
    pub evaluations: usize,
}

impl Hyper {
    /// The logarithms of the length-scales, the variance and the noise.
    fn logarithms(&self) -> Vec<f64> {
        let all = self.kernel.lengths.iter().chain([&self.kernel.variance, &self.noise]);
        all.map(|v| v.ln()).collect()
    }

    /// Hyper-parameters from the first d + 2 of `logarithms`.
    fn from_logarithms(family: Family, logarithms: &[f64], d: usize) -> Self {
        let lengths = logarithms[..d].iter().map(|v| v.exp()).collect();
        let (variance, noise) = (logarithms[d].exp(), logarithms[d + 1].exp());
        Self { kernel: Kernel { family, variance, lengths }, noise }
    }
}

/// A quadratic penalty on logarithms outside the bounds, to be added to a log likelihood. Also adds its gradient to
/// `gradient`.
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

/// Whether the logarithms are in the range where the likelihood can be evaluated.
fn in_range(logarithms: &[f64], d: usize) -> bool {
    logarithms.iter().take(d + 2).all(|v| v.abs() < 20.0)
}

/// Maximises the log marginal likelihood of an exact process, starting at `start`. Returns `start` if nothing better is
/// found.
///
/// # Errors
/// Those of the device; [`crate::error::Error::Data`] if the likelihood is undefined at the start.
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

/// Maximises the lower bound of a process with inducing points over the hyper-parameters and over the points `z`
/// `[d][m]`, which are overwritten.
///
/// # Errors
/// Those of [`tune`].
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
