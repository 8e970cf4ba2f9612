//! Out-of-fold one-step errors, and the estimators for the noise process. The symbols are defined in
//! [`super::noise_process`].

use super::map::StepMap;
use super::starts::{Start, one_step_errors};
use crate::stats::{mean_and_population_sd, quantile_type_5};
use crate::trajectory::Trajectory;

/// Minimum number of innovations for estimating their distribution (not tuned). If there are fewer innovations than
/// this minimum, a normal distribution is assumed.
const MIN_FOR_SHAPE: usize = 200;
/// Number of quantiles that describe the distribution of an innovation. More quantiles would resolve only the tails
/// that [`clip`] removes.
const QUANTILES: usize = 512;
/// A standard deviation of whitened innovations below this value is attributed to rounding error.
const ROUNDING: f64 = 1e-6;
/// Fraction of the errors that [`clip`] limits in each tail of their distribution (not tuned).
const CLIPPED: f64 = 0.001;
/// Minimum and maximum of the lag-1 correlation φ of a state's one-step error (not tuned).
const LAG_ONE: (f64, f64) = (-0.5, 0.98);

/// One-step errors (measured − predicted) in one contiguous block of the log.
#[derive(Debug, Clone, Default)]
pub struct Residuals {
    /// Rows of the log for which the errors were computed, in ascending order.
    pub rows: Vec<usize>,
    /// `[targets][rows]`.
    pub errors: Vec<Vec<f64>>,
}

impl Residuals {
    /// Computes the one-step errors of `map` at the rows of `starts`.
    pub fn measure(map: &StepMap, log: &Trajectory, starts: &[Start]) -> Self {
        if starts.is_empty() {
            return Self { rows: Vec::new(), errors: vec![Vec::new(); map.layout.targets.len()] };
        }
        Self { rows: starts.iter().map(|s| s.row).collect(), errors: one_step_errors(map, log, starts, 0) }
    }

    /// Pairs of indices (i, i + 1) of errors that are one time step apart.
    fn neighbours(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.rows.windows(2).enumerate().filter(|(_, w)| w[1] == w[0] + 1).map(|(i, _)| (i, i + 1))
    }
}

/// Limits the errors of each target to the range between their 0.1 % and 99.9 % quantiles, so that a trip or a start-up
/// does not affect the noise estimated for normal operation.
pub(super) fn clip(residuals: &[Residuals], targets: usize) -> Vec<Residuals> {
    let mut clipped = residuals.to_vec();
    for i in 0..targets {
        let mut all: Vec<f64> =
            residuals.iter().flat_map(|r| r.errors[i].iter().copied()).filter(|e| e.is_finite()).collect();
        if all.len() < 20 {
            continue;
        }
        all.sort_by(f64::total_cmp);
        let (low, high) = (quantile_type_5(&all, CLIPPED), quantile_type_5(&all, 1.0 - CLIPPED));
        for block in &mut clipped {
            block.errors[i].iter_mut().for_each(|e| *e = if e.is_nan() { *e } else { e.clamp(low, high) });
        }
    }
    clipped
}

/// Autocorrelation ρ of the errors of target `i` at lag `lag`, computed without subtracting the mean error.
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

/// Estimates φ of target `i` as the lag-1 correlation of its errors.
pub(super) fn phi_by_lag_one(residuals: &[Residuals], i: usize) -> f64 {
    correlation(residuals, i, 1).clamp(LAG_ONE.0, LAG_ONE.1)
}

/// Estimates φ of target `i` as the value with which AR(1) forecasts of the errors are most accurate over the horizon:
/// argmin Σ_h (φ²ʰ − 2 φʰ ρ_h) for 0 ≤ φ < 1. If the errors are an AR(1) process, the estimate is the coefficient of
/// that process. If the errors are white noise plus a slowly varying offset, the estimate is close to the AR(1)
/// coefficient of the offset.
pub(super) fn phi_by_horizon(residuals: &[Residuals], i: usize, horizon: usize) -> f64 {
    // At most 48 lags are used, because further lags would hardly change the result even for a long horizon.
    let stride = horizon.div_ceil(48);
    let lags: Vec<(i32, f64)> =
        (1..=horizon).step_by(stride).map(|h| (h as i32, correlation(residuals, i, h))).collect();
    let loss = |phi: f64| lags.iter().map(|(h, rho)| phi.powi(2 * h) - 2.0 * phi.powi(*h) * rho).sum::<f64>();
    let mut best = (f64::INFINITY, 0.0);
    // The grid of φ is finer near one, where a small difference has a large effect over many steps.
    for j in 0..=400 {
        let phi = (1.0 - (1.0 - f64::from(j) / 400.0).powi(2)).min(0.999);
        let l = loss(phi);
        if l < best.0 {
            best = (l, phi);
        }
    }
    best.1
}

/// Estimates ω of target `i`: the errors of the target are averaged over periods, and ω is the root mean square of
/// these averages. A period lasts one fifth of a fold, but at least two horizons. The estimate of ω is 0 if there are
/// fewer than four periods.
///
/// The part of ω that the AR(1) process already explains is not subtracted, because the inflation of the noise corrects
/// for that part. For long runs, it is safer to overestimate the uncertainty than to underestimate it.
pub(super) fn offset_sd(residuals: &[Residuals], i: usize, horizon: usize) -> f64 {
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

/// The innovations η(t) = e(t) − φ ∘ e(t − 1): `[steps][targets]`.
pub(super) fn innovations(residuals: &[Residuals], phi: &[f64]) -> Vec<Vec<f64>> {
    let innovation = |block: &Residuals, (a, b): (usize, usize)| -> Vec<f64> {
        phi.iter().zip(&block.errors).map(|(phi, e)| e[b] - phi * e[a]).collect()
    };
    let all = residuals.iter().flat_map(|block| block.neighbours().map(move |pair| innovation(block, pair)));
    all.filter(|innovation| innovation.iter().all(|e| e.is_finite())).collect()
}

/// Covariance Σ of the innovations, computed without subtracting their mean: `[targets][targets]`.
pub(super) fn covariance(innovations: &[Vec<f64>], targets: usize) -> Vec<Vec<f64>> {
    let scale = 1.0 / innovations.len().max(1) as f64;
    let element = |i: usize, j: usize| scale * innovations.iter().map(|e| e[i] * e[j]).sum::<f64>();
    let lower: Vec<Vec<f64>> = (0..targets).map(|i| (0..=i).map(|j| element(i, j)).collect()).collect();
    (0..targets).map(|i| (0..targets).map(|j| lower[i.max(j)][i.min(j)]).collect()).collect()
}

/// Quantiles of each component of ε = L⁻¹ η, scaled to zero mean and unit variance: `[targets][quantiles]`. If a target
/// has too few innovations, or only constant ones, its list of quantiles is empty, which denotes a normal distribution.
///
/// The errors of a good model often have heavy tails. A normal distribution would not reproduce the effect of heavy
/// tails on the KPIs.
pub(super) fn shapes(innovations: &[Vec<f64>], factor: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut white: Vec<Vec<f64>> = vec![Vec::with_capacity(innovations.len()); factor.len()];
    for innovation in innovations {
        for (j, row) in factor.iter().enumerate() {
            let explained: f64 = row[..j].iter().zip(&white).map(|(l, z)| l * z[z.len() - 1]).sum();
            let z = if row[j] > 0.0 { (innovation[j] - explained) / row[j] } else { 0.0 };
            white[j].push(z);
        }
    }
    white.into_iter().map(shape).collect()
}

fn shape(mut z: Vec<f64>) -> Vec<f64> {
    if z.len() < MIN_FOR_SHAPE {
        return Vec::new();
    }
    z.sort_by(f64::total_cmp);
    let mut quantiles: Vec<f64> =
        (0..QUANTILES).map(|q| quantile_type_5(&z, (q as f64 + 0.5) / QUANTILES as f64)).collect();
    let (mean, sd) = mean_and_population_sd(quantiles.iter().copied());
    if sd <= ROUNDING {
        return Vec::new();
    }
    quantiles.iter_mut().for_each(|v| *v = (*v - mean) / sd);
    quantiles
}

/// Lower-triangular Cholesky factor L of a covariance matrix. A column is set to zero if its pivot is no larger than
/// the rounding error, which happens if a target is a linear function of other targets. The Cholesky factorisations in
/// nalgebra and faer reject singular matrices.
pub(super) fn cholesky(covariance: &[Vec<f64>]) -> Vec<Vec<f64>> {
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
    use crate::rng::Key;

    #[test]
    fn rows_on_both_sides_of_a_gap_are_not_neighbours() {
        let residuals = Residuals { rows: vec![0, 1, 2, 10, 11, 12, 13, 20], errors: vec![vec![1.0; 8]] };
        assert_eq!(residuals.neighbours().count(), 5);
        assert_eq!(innovations(&[residuals], &[0.25]), vec![vec![0.75]; 5]);
    }

    #[test]
    fn a_singular_covariance_has_a_factor() {
        let l = cholesky(&[vec![4.0, 2.0, 0.0], vec![2.0, 1.0, 0.0], vec![0.0, 0.0, 0.0]]);
        assert_eq!(l, [[2.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]);
    }

    #[test]
    fn a_shape_has_the_quantiles_of_the_whitened_innovations() {
        // The first target has many small and a few large errors. The error of the second target equals half that of
        // the first target plus normal noise. The error of the third target does not vary.
        let key = Key::new(3);
        let rare = |i: u64| if key.fold(0).uniform(i) < 0.04 { 5.0 } else { 0.2 };
        let draw = |i: u64| {
            let first = rare(i) * key.fold(1).normal(i);
            vec![first, 0.5 * first + 2.0 * key.fold(2).normal(i), 0.0]
        };
        let drawn: Vec<Vec<f64>> = (0..20_000).map(draw).collect();
        let factor = cholesky(&covariance(&drawn, 3));
        let shapes = super::shapes(&drawn, &factor);
        for shape in &shapes[..2] {
            let n = shape.len() as f64;
            let (mean, square) = (shape.iter().sum::<f64>() / n, shape.iter().map(|v| v * v).sum::<f64>() / n);
            assert!(mean.abs() < 1e-12 && (square - 1.0).abs() < 1e-12, "{mean} {square}");
        }
        // Half of a normal distribution lies within 0.674 standard deviations of the mean.
        let half = |s: &[f64]| 0.5 * (quantile_type_5(s, 0.75) - quantile_type_5(s, 0.25));
        assert!((half(&shapes[1]) - 0.674).abs() < 0.04, "{}", half(&shapes[1]));
        assert!(half(&shapes[0]) < 0.2, "{}", half(&shapes[0]));
        assert!(shapes[2].is_empty(), "a target whose errors do not vary has no quantiles");
        assert!(shape((0..MIN_FOR_SHAPE - 1).map(|i| i as f64).collect()).is_empty(), "too few");
        assert!(shape(vec![0.1 + 0.2; MIN_FOR_SHAPE]).is_empty(), "constant");
    }
}
