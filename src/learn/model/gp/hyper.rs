//! Hyper-parameters of a process and the search for them.

use super::search::{Effort, Found, maximise};
use crate::compute::{Compute, Family, Kernel, Points};
use crate::error::Result;

/// Smallest and largest lengths, variance and noise, for inputs and targets of unit variance.
const LENGTH: [f64; 2] = [1e-3, 1e3];
const VARIANCE: [f64; 2] = [1e-3, 1e3];
const NOISE: [f64; 2] = [1e-6, 10.0];
/// Curvature of the wall behind a bound: a tenth beyond it costs 5 nats.
const WALL: f64 = 1e3;
/// Of the diagonal of K_uu, relative to the variance: a bound stays smooth with it.
pub const JITTER: f64 = 1e-6;

/// A kernel and the variance of the noise.
#[derive(Debug, Clone, PartialEq)]
pub struct Hyper {
    pub kernel: Kernel,
    pub noise: f64,
}

/// Observations of one target: columns of unit variance.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    pub x: Points<'a>,
    pub y: &'a [f64],
}

/// Hyper-parameters, and the log marginal likelihood or its bound there.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuned {
    pub hyper: Hyper,
    pub value: f64,
    /// Values of the likelihood or bound that were computed.
    pub evaluations: usize,
}

impl Hyper {
    /// ln lengths, ln variance, ln noise.
    fn logarithms(&self) -> Vec<f64> {
        let all = self.kernel.lengths.iter().chain([&self.kernel.variance, &self.noise]);
        all.map(|v| v.ln()).collect()
    }

    /// From the first d + 2 of `logarithms`.
    fn of(family: Family, logarithms: &[f64], d: usize) -> Self {
        let lengths = logarithms[..d].iter().map(|v| v.exp()).collect();
        let (variance, noise) = (logarithms[d].exp(), logarithms[d + 1].exp());
        Self { kernel: Kernel { family, variance, lengths }, noise }
    }
}

/// Log density of a wall behind the bounds, quadratic in logarithms, added to a likelihood; its slopes into `gradient`.
fn wall(logarithms: &[f64], d: usize, gradient: &mut [f64]) -> f64 {
    let mut sum = 0.0;
    for (i, (v, g)) in logarithms.iter().zip(gradient).take(d + 2).enumerate() {
        let [low, high] = match i {
            i if i < d => LENGTH,
            i if i == d => VARIANCE,
            _ => NOISE,
        };
        let beyond = (v - high.ln()).max(0.0) + (v - low.ln()).min(0.0);
        sum -= 0.5 * WALL * beyond * beyond;
        *g -= WALL * beyond;
    }
    sum
}

/// Further than this from zero a logarithm is not followed.
fn followed(logarithms: &[f64], d: usize) -> bool {
    logarithms.iter().take(d + 2).all(|v| v.abs() < 20.0)
}

/// Maximises the log marginal likelihood of an exact GP from `start`; `start` itself where nothing better is found.
///
/// # Errors
/// The device's; [`crate::error::Error::Data`] when the likelihood cannot be computed at the start.
pub fn tune(compute: &Compute, observed: Observed, start: &Hyper, effort: Effort) -> Result<Tuned> {
    let (family, d) = (start.kernel.family, start.kernel.lengths.len());
    let likelihood = |at: &[f64]| {
        if !followed(at, d) {
            return Ok(None);
        }
        let hyper = Hyper::of(family, at, d);
        let evidence = compute.evidence(&hyper.kernel, hyper.noise, observed.x, observed.y)?;
        Ok(evidence.map(|mut e| {
            let wall = wall(at, d, &mut e.gradient);
            (e.value + wall, e.gradient)
        }))
    };
    let Found { at, value, evaluations } = maximise(&likelihood, start.logarithms(), effort)?;
    Ok(Tuned { hyper: Hyper::of(family, &at, d), value, evaluations })
}

/// Maximises the bound of a GP through inducing points `z` `[d][m]` together with them, in their place.
///
/// # Errors
/// As [`tune`].
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
        if !followed(at, d) {
            return Ok(None);
        }
        let hyper = Hyper::of(family, at, d);
        let points = Points { values: &at[d + 2..], n: m };
        let bound = compute.gp_inducing(&hyper.kernel, hyper.noise, JITTER, observed.x, observed.y, points, true)?;
        Ok(bound.map(|mut b| {
            let wall = wall(at, d, &mut b.gradient);
            (b.value + wall, b.gradient)
        }))
    };
    let mut logarithms = start.logarithms();
    logarithms.extend_from_slice(z);
    let Found { at, value, evaluations } = maximise(&bound, logarithms, effort)?;
    z.copy_from_slice(&at[d + 2..]);
    Ok(Tuned { hyper: Hyper::of(family, &at, d), value, evaluations })
}
