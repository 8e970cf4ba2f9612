//! One-step errors out of fold, and what they tell of the noise: how it fades, how wide it is, and its shape.

use super::map::StepMap;
use super::quantile::interpolate;
use super::starts::{Start, one_step_errors};
use crate::trajectory::Trajectory;

/// Innovations that a shape is told from; fewer are taken for normal.
const ENOUGH: usize = 200;
/// Quantiles of a shape: as far into the tails as [`clip`] leaves them.
const QUANTILES: usize = 512;
/// A standard deviation of white innovations below this is rounding: they do not vary.
const STILL: f64 = 1e-6;

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

/// Residuals with the outermost thousandth of each target pulled in: a trip or a start-up must not shape the noise of
/// normal running.
pub(super) fn clip(residuals: &[Residuals], targets: usize) -> Vec<Residuals> {
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

pub(super) fn lag_one(residuals: &[Residuals], i: usize) -> f64 {
    correlation(residuals, i, 1).clamp(-0.5, 0.98)
}

/// The φ whose powers forecast the errors best over the whole horizon: the least Σ_h (φ^2h − 2 φ^h ρ_h), ρ_h the
/// correlation at lag h. Of an AR(1) process this is its φ; where a slow offset lies under white noise, it is nearer to
/// the offset's.
pub(super) fn fading(residuals: &[Residuals], i: usize, horizon: usize) -> f64 {
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
pub(super) fn slow(residuals: &[Residuals], i: usize, horizon: usize) -> f64 {
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

/// Innovations e(t) − φ e(t − 1) of all targets at once: `[pairs][targets]`.
pub(super) fn innovations(residuals: &[Residuals], phi: &[f64]) -> Vec<Vec<f64>> {
    let of = |block: &Residuals, (a, b): (usize, usize)| -> Vec<f64> {
        phi.iter().zip(&block.errors).map(|(phi, e)| e[b] - phi * e[a]).collect()
    };
    let all = residuals.iter().flat_map(|block| block.neighbours().map(move |pair| of(block, pair)));
    all.filter(|innovation| innovation.iter().all(|e| e.is_finite())).collect()
}

/// Covariance of `innovations` about zero: `[targets][targets]`.
pub(super) fn covariance(innovations: &[Vec<f64>], targets: usize) -> Vec<Vec<f64>> {
    let scale = 1.0 / innovations.len().max(1) as f64;
    let of = |i: usize, j: usize| scale * innovations.iter().map(|e| e[i] * e[j]).sum::<f64>();
    let lower: Vec<Vec<f64>> = (0..targets).map(|i| (0..=i).map(|j| of(i, j)).collect()).collect();
    (0..targets).map(|i| (0..targets).map(|j| lower[i.max(j)][i.min(j)]).collect()).collect()
}

/// The shape of each target's part of `innovations`, L⁻¹ e: quantiles of mean zero and unit variance, at equal steps of
/// probability. Errors of a good model are mostly small and seldom large, and what a KPI makes of them may depend on
/// that. Empty, for the normal distribution, where there are too few or they do not vary: `[targets][quantiles]`.
pub(super) fn shapes(innovations: &[Vec<f64>], factor: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut white: Vec<Vec<f64>> = vec![Vec::with_capacity(innovations.len()); factor.len()];
    for innovation in innovations {
        for (j, row) in factor.iter().enumerate() {
            let told: f64 = row[..j].iter().zip(&white).map(|(l, z)| l * z[z.len() - 1]).sum();
            let z = if row[j] > 0.0 { (innovation[j] - told) / row[j] } else { 0.0 };
            white[j].push(z);
        }
    }
    white.into_iter().map(shape).collect()
}

fn shape(mut z: Vec<f64>) -> Vec<f64> {
    if z.len() < ENOUGH {
        return Vec::new();
    }
    z.sort_by(f64::total_cmp);
    let mut quantiles: Vec<f64> =
        (0..QUANTILES).map(|q| interpolate(&z, (q as f64 + 0.5) / QUANTILES as f64)).collect();
    let mean = quantiles.iter().sum::<f64>() / QUANTILES as f64;
    let sd = (quantiles.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / QUANTILES as f64).sqrt();
    if sd <= STILL {
        return Vec::new();
    }
    quantiles.iter_mut().for_each(|v| *v = (*v - mean) / sd);
    quantiles
}

/// Lower-triangular factor of a covariance. Columns that add nothing beyond rounding become zero, so that targets
/// which are exact functions of one another do no harm.
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
    fn gaps_do_not_count_as_neighbours() {
        let residuals = Residuals { rows: vec![0, 1, 2, 10, 11, 12, 13, 20], errors: vec![vec![1.0; 8]] };
        assert_eq!(residuals.neighbours().count(), 5);
        assert_eq!(innovations(&[residuals], &[0.25]), vec![vec![0.75]; 5]);
    }

    #[test]
    fn a_singular_covariance_is_factored() {
        let l = cholesky(&[vec![4.0, 2.0, 0.0], vec![2.0, 1.0, 0.0], vec![0.0, 0.0, 0.0]]);
        assert_eq!(l, [[2.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]);
    }

    #[test]
    fn a_shape_has_the_quantiles_of_what_each_target_adds() {
        // of the first target: mostly small, seldom large; the second adds normal noise to half of it, the third nothing
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
        // half of a normal sample lies within 0.674 sd; of the first target's nearly all of its small errors do
        let half = |s: &[f64]| 0.5 * (interpolate(s, 0.75) - interpolate(s, 0.25));
        assert!((half(&shapes[1]) - 0.674).abs() < 0.04, "{}", half(&shapes[1]));
        assert!(half(&shapes[0]) < 0.2, "{}", half(&shapes[0]));
        assert!(shapes[2].is_empty(), "what never varies has no shape");
        assert!(shape((0..ENOUGH - 1).map(|i| i as f64).collect()).is_empty(), "too few");
        assert!(shape(vec![0.1 + 0.2; ENOUGH]).is_empty(), "nor has what is always the same");
    }
}
