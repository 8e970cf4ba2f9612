//! Weights of a stack, from held-out multi-step errors.

use super::rollouts::Rollouts;

/// Steps of the descent; the weights no longer move in the third digit long before.
const STEPS: usize = 400;

/// Weights of every candidate for every target, `[candidates][targets]`: not negative, summing to one, with the least
/// multi-step CRPS over the runs. `runs`: `[candidates][blocks]`, over the same starts.
///
/// A calibrated normal forecast of standard deviation σ has the expected CRPS σ / √π, so what is minimised is the sum over
/// horizons of the root mean squared error of the weighted mean, each relative to that of equal weights.
pub fn weights(runs: &[Vec<&Rollouts>], targets: usize) -> Vec<Vec<f64>> {
    let mut weights = vec![vec![0.0; targets]; runs.len()];
    for k in 0..targets {
        for (of, w) in weights.iter_mut().zip(descend(&covariances(runs, k))) {
            of[k] = w;
        }
    }
    weights
}

/// Mean products of the candidates' errors in signal number `k`, per horizon: `[candidates²]`.
fn covariances(runs: &[Vec<&Rollouts>], k: usize) -> Vec<Vec<f64>> {
    let m = runs.len();
    let Some(first) = runs.first().and_then(|r| r.first()) else { return Vec::new() };
    let covariance = |h: usize| {
        let (mut sums, mut count) = (vec![0.0; m * m], 0.0);
        for (block, run) in runs[0].iter().enumerate() {
            let n = run.starts.len();
            for start in 0..n {
                let at = (h - 1) * n + start;
                let error = |i: usize| runs[i][block].predicted[k][at] - runs[i][block].measured[k][at];
                if (0..m).all(|i| error(i).is_finite()) {
                    count += 1.0;
                    for i in 0..m {
                        for j in 0..m {
                            sums[i * m + j] += error(i) * error(j);
                        }
                    }
                }
            }
        }
        (count > 0.0).then(|| sums.into_iter().map(|s| s / count).collect())
    };
    (1..=first.horizon).filter_map(covariance).collect()
}

/// Exponentiated gradient (Kivinen & Warmuth 1997) on Σ_h √(wᵀ C_h w), which is convex, over the simplex.
fn descend(covariances: &[Vec<f64>]) -> Vec<f64> {
    let m = covariances.first().map_or(0, |c| c.len().isqrt());
    let mut w = vec![1.0 / m.max(1) as f64; m];
    let product = |c: &[f64], w: &[f64], i: usize| (0..m).map(|j| c[i * m + j] * w[j]).sum::<f64>();
    let size = |c: &[f64], w: &[f64]| (0..m).map(|i| w[i] * product(c, w, i)).sum::<f64>().max(0.0).sqrt();
    let scales: Vec<f64> = covariances.iter().map(|c| size(c, &w)).collect();
    for _ in 0..STEPS {
        let mut gradient = vec![0.0; m];
        for (c, scale) in covariances.iter().zip(&scales).filter(|(_, s)| **s > 0.0) {
            let now = size(c, &w).max(1e-12 * scale);
            for (i, g) in gradient.iter_mut().enumerate() {
                *g += product(c, &w, i) / (now * scale);
            }
        }
        let most = gradient.iter().fold(0.0f64, |a, g| a.max(g.abs())).max(1e-300);
        w.iter_mut().zip(&gradient).for_each(|(w, g)| *w *= (-0.5 * g / most).exp());
        let sum: f64 = w.iter().sum();
        w.iter_mut().for_each(|w| *w /= sum);
    }
    // What weighs next to nothing only costs time.
    w.iter_mut().for_each(|w| *w = if *w < 0.02 { 0.0 } else { *w });
    let sum: f64 = w.iter().sum();
    w.into_iter().map(|w| w / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn independent_errors_weigh_by_their_inverse_variance() {
        let w = descend(&[vec![1.0, 0.0, 0.0, 4.0]]);
        assert!((w[0] - 0.8).abs() < 0.01, "{w:?}");
    }

    #[test]
    fn what_only_adds_error_weighs_nothing() {
        // The second is the first with noise on top.
        let w = descend(&[vec![1.0, 1.0, 1.0, 2.0], vec![3.0, 3.0, 3.0, 5.0]]);
        assert_eq!(w, [1.0, 0.0]);
        assert_eq!(descend(&[vec![0.0; 4]]), [0.5, 0.5]);
    }
}
