//! The posterior of a Gaussian process, represented by kernel weights.

use super::hyper::{Hyper, JITTER, Observed};
use crate::compute::{Compute, Inducing, Points, RandomFourierFeatures, Solve};
use crate::error::{Error, Result};
use crate::rng::Key;

/// Jitters, relative to the variance, that are tried on the diagonal of a kernel matrix, one after another, until the
/// Cholesky decomposition of the matrix succeeds (not tuned).
const JITTERS: [f64; 5] = [0.0, 1e-10, 1e-8, 1e-6, 1e-4];

/// The mean of a posterior, and functions drawn from the posterior.
#[derive(Debug, Clone, PartialEq)]
pub struct Posterior {
    /// Points at which the kernels are centred: `[d][m]`.
    pub points: Vec<f64>,
    /// Kernel weights of the mean, followed by those of the correction for each draw: `[1 + draws][m]`.
    pub weights: Vec<f64>,
    /// Noise variance, including the jitter.
    pub noise: f64,
    /// Matrix P in the posterior variance k(x, x) − k(x, Z) P k(Z, x), stored as its lower triangle, column by column.
    /// The stored triangle is empty for an exact posterior, for which [`precision`] computes P.
    pub precision: Vec<f64>,
}

/// Computes the exact posterior. Draw i is the prior function `prior_draws[i]` plus the correction
/// k(x, X) (K + σ²I)⁻¹ (y − prior_draws(X) − ε) (Matheron's rule; Wilson et al. 2020), with ε drawn
/// from `key`.
///
/// # Errors
/// Returns any error of the compute device, or [`Error::Data`] if no jitter makes the kernel matrix
/// positive definite.
pub fn exact_posterior(
    compute: &Compute,
    observed: Observed,
    hyper: &Hyper,
    prior_draws: &[RandomFourierFeatures],
    key: Key,
) -> Result<Posterior> {
    let n = observed.x.n;
    for jitter in JITTERS {
        let noise = hyper.noise + jitter * hyper.kernel.variance;
        let Some(factor) = factor(compute, hyper, noise, observed.x)? else { continue };
        let mut weights = observed.y.repeat(1 + prior_draws.len());
        for (i, (prior_draw, column)) in prior_draws.iter().zip(weights.chunks_exact_mut(n).skip(1)).enumerate() {
            let mut prior = vec![0.0; n];
            prior_draw.add(observed.x, &mut prior);
            let (key, sd) = (key.fold(i as u64), noise.sqrt());
            for (r, (w, f)) in column.iter_mut().zip(prior).enumerate() {
                *w -= f + sd * key.normal(r as u64);
            }
        }
        compute.solve(&factor, n, &mut weights, Solve::Both)?;
        return Ok(Posterior { points: observed.x.values.to_vec(), weights, noise, precision: Vec::new() });
    }
    Err(not_definite())
}

/// Computes the posterior with inducing points `z` (`[d][m]`). Draw i is the prior function
/// `prior_draws[i]` plus the correction k(x, Z) K_uu⁻¹ (u − prior_draws(Z)), with u drawn from the
/// optimal Gaussian over the inducing values (Titsias 2009).
///
/// # Errors
/// Returns the same errors as [`exact_posterior`].
pub fn sparse_posterior(
    compute: &Compute,
    observed: Observed,
    hyper: &Hyper,
    z: Vec<f64>,
    prior_draws: &[RandomFourierFeatures],
    key: Key,
) -> Result<Posterior> {
    let m = z.len() / hyper.kernel.lengths.len().max(1);
    let points = Points { values: &z, n: m };
    for more in [1.0, 10.0, 100.0] {
        let Observed { x, y } = observed;
        let inducing = compute.gp_inducing(&hyper.kernel, hyper.noise, more * JITTER, x, y, points, false)?;
        let Some(Inducing { weights: mean, prior, data, .. }) = inducing else { continue };
        // K_uu⁻¹ u = w + L⁻ᵀ M⁻ᵀ ξ with ξ ~ N(0, I)
        let mut drawn = vec![0.0; prior_draws.len() * m];
        let mut own = drawn.clone();
        for (i, prior_draw) in prior_draws.iter().enumerate() {
            key.fold(i as u64).fill_normal(&mut drawn[i * m..(i + 1) * m]);
            prior_draw.add(points, &mut own[i * m..(i + 1) * m]);
        }
        compute.solve(&data, m, &mut drawn, Solve::Backward)?;
        compute.solve(&prior, m, &mut drawn, Solve::Backward)?;
        compute.solve(&prior, m, &mut own, Solve::Both)?;
        let corrections = drawn.iter().zip(&own).enumerate().map(|(at, (d, o))| mean[at % m] + d - o);
        let weights = mean.iter().copied().chain(corrections).collect();

        // P = L⁻ᵀ (I − (M Mᵀ)⁻¹) L⁻¹
        let mut p = identity(m);
        compute.solve(&data, m, &mut p, Solve::Both)?;
        for (at, v) in p.iter_mut().enumerate() {
            *v = f64::from(u8::from(at % m == at / m)) - *v;
        }
        compute.solve(&prior, m, &mut p, Solve::Backward)?;
        let mut p = transposed(&p, m);
        compute.solve(&prior, m, &mut p, Solve::Backward)?;
        let precision = (0..m).flat_map(|j| (j..m).map(move |i| (i, j))).map(|(i, j)| p[i + j * m]).collect();
        return Ok(Posterior { points: z, weights, noise: hyper.noise, precision });
    }
    Err(not_definite())
}

/// Returns the full `[m × m]` matrix P of a posterior.
///
/// # Errors
/// Returns any error of the compute device.
pub fn precision(compute: &Compute, hyper: &Hyper, points: Points, lower: &[f64]) -> Result<Vec<f64>> {
    let m = points.n;
    if lower.is_empty() {
        let Some(factor) = factor(compute, hyper, hyper.noise, points)? else { return Err(not_definite()) };
        let mut p = identity(m);
        compute.solve(&factor, m, &mut p, Solve::Both)?;
        return Ok(p);
    }
    let mut p = vec![0.0; m * m];
    let entries = (0..m).flat_map(|j| (j..m).map(move |i| (i, j)));
    for ((i, j), v) in entries.zip(lower) {
        p[i + j * m] = *v;
        p[j + i * m] = *v;
    }
    Ok(p)
}

/// Cholesky factor L of K + noise · I, where K is the kernel matrix of the points `x`.
fn factor(compute: &Compute, hyper: &Hyper, noise: f64, x: Points) -> Result<Option<Vec<f64>>> {
    let mut a = vec![0.0; x.n * x.n];
    compute.kernel(&hyper.kernel, x, x, &mut a)?;
    for i in 0..x.n {
        a[i * (x.n + 1)] += noise;
    }
    Ok(compute.cholesky(&mut a, x.n)?.then_some(a))
}

fn identity(m: usize) -> Vec<f64> {
    (0..m * m).map(|at| f64::from(u8::from(at % m == at / m))).collect()
}

fn transposed(a: &[f64], m: usize) -> Vec<f64> {
    (0..m * m).map(|at| a[at / m + at % m * m]).collect()
}

fn not_definite() -> Error {
    Error::Data(
        "the kernel matrix of `gp` is not positive definite, even with 1e-4 of its variance added to the diagonal. \
         Some training rows or inputs are duplicates. Reduce `model.lags`, list duplicate signals in `model.ignore`, \
         or remove `gp` from `model.choose`"
            .into(),
    )
}
