//! Stacks the candidates. The stack is a weighted mean of the candidates, with the weights that minimise the
//! out-of-fold multi-step errors.

use std::sync::Arc;

use super::data::TrainingData;
use super::fit::FittedModel;
use super::judge::Candidate;
use crate::error::Result;
use crate::learn::map::StepMap;
use crate::learn::model::{STACK, Stack};
use crate::learn::rollouts::Rollouts;

/// Number of gradient descent steps (not tuned; far fewer steps suffice for the weights to converge to three digits).
const STEPS: usize = 400;
/// Step size of the gradient descent (not tuned).
const RATE: f64 = 0.5;
/// Weights below this value are set to zero, because a model with a small weight costs computing time but hardly
/// changes the result (not tuned).
const MIN_WEIGHT: f64 = 0.02;

/// Stacks the candidates. The weights of the final stack are estimated on all folds. For a refit that leaves one fold
/// out, the weights are estimated on the remaining folds.
pub(super) fn stack(data: &TrainingData, candidates: &[Candidate]) -> Result<FittedModel> {
    let layout = &candidates[0].map.layout;
    let folds = 0..data.split.folds.len();
    let stack = |left_out: Option<usize>| -> Result<StepMap> {
        let used: Vec<usize> = folds.clone().filter(|fold| Some(*fold) != left_out).collect();
        let runs: Vec<Vec<&Rollouts>> = candidates.iter().map(|c| used.iter().map(|&f| &c.runs[f]).collect()).collect();
        let models = candidates.iter().map(|c| left_out.map_or(&c.map, |fold| &c.refits[fold]).regressor.clone());
        let stack = Stack::new(models.collect(), weights(&runs, layout.targets.len()))?;
        Ok(data.step_map(layout, Arc::new(stack)))
    };
    let refits = folds.clone().map(|fold| stack(Some(fold))).collect::<Result<_>>()?;
    Ok(FittedModel { name: STACK, map: stack(None)?, refits, distributions: Vec::new() })
}

/// Computes the weight of each candidate for each target: `[candidates][targets]`. The weights of a
/// target are non-negative, sum to one, and minimise the multi-step CRPS of the runs. `runs` is
/// `[candidates][folds]`; all runs have the same starts.
///
/// The expected CRPS of a calibrated normal forecast with standard deviation σ is σ / √π. The
/// weights therefore minimise the sum over horizons of the root mean squared error of the weighted
/// mean, relative to that for equal weights.
fn weights(runs: &[Vec<&Rollouts>], targets: usize) -> Vec<Vec<f64>> {
    let mut weights = vec![vec![0.0; targets]; runs.len()];
    for k in 0..targets {
        for (model_weights, w) in weights.iter_mut().zip(minimise(&covariances(runs, k))) {
            model_weights[k] = w;
        }
    }
    weights
}

/// Computes one matrix `[candidates²]` for each horizon with data. Element (i, j) of a matrix is
/// the mean product of the errors of candidates i and j for signal number `k`.
fn covariances(runs: &[Vec<&Rollouts>], k: usize) -> Vec<Vec<f64>> {
    let m = runs.len();
    let Some(first) = runs.first().and_then(|r| r.first()) else { return Vec::new() };
    let covariance = |h: usize| {
        let (mut sums, mut count) = (vec![0.0; m * m], 0.0);
        for (fold, run) in runs[0].iter().enumerate() {
            let n = run.starts.len();
            for start in 0..n {
                let at = (h - 1) * n + start;
                let error = |i: usize| runs[i][fold].predicted[k][at] - runs[i][fold].measured[k][at];
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

/// Minimises Σ_h √(wᵀ C_h w), which is convex, over the simplex by exponentiated gradient (Kivinen & Warmuth 1997).
fn minimise(covariances: &[Vec<f64>]) -> Vec<f64> {
    let m = covariances.first().map_or(0, |c| c.len().isqrt());
    let mut w = vec![1.0 / m.max(1) as f64; m];
    let product = |c: &[f64], w: &[f64], i: usize| (0..m).map(|j| c[i * m + j] * w[j]).sum::<f64>();
    let rmse = |c: &[f64], w: &[f64]| (0..m).map(|i| w[i] * product(c, w, i)).sum::<f64>().max(0.0).sqrt();
    let scales: Vec<f64> = covariances.iter().map(|c| rmse(c, &w)).collect();
    for _ in 0..STEPS {
        let mut gradient = vec![0.0; m];
        for (c, scale) in covariances.iter().zip(&scales).filter(|(_, s)| **s > 0.0) {
            let now = rmse(c, &w).max(1e-12 * scale);
            for (i, g) in gradient.iter_mut().enumerate() {
                *g += product(c, &w, i) / (now * scale);
            }
        }
        let largest = gradient.iter().fold(0.0f64, |a, g| a.max(g.abs())).max(1e-300);
        w.iter_mut().zip(&gradient).for_each(|(w, g)| *w *= (-RATE * g / largest).exp());
        let sum: f64 = w.iter().sum();
        w.iter_mut().for_each(|w| *w /= sum);
    }
    w.iter_mut().for_each(|w| *w = if *w < MIN_WEIGHT { 0.0 } else { *w });
    let sum: f64 = w.iter().sum();
    w.into_iter().map(|w| w / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn independent_errors_are_weighted_by_inverse_variance() {
        let w = minimise(&[vec![1.0, 0.0, 0.0, 4.0]]);
        assert!((w[0] - 0.8).abs() < 0.01, "{w:?}");
    }

    #[test]
    fn a_model_that_only_adds_noise_gets_no_weight() {
        // The errors of the second model equal those of the first model plus noise.
        let w = minimise(&[vec![1.0, 1.0, 1.0, 2.0], vec![3.0, 3.0, 3.0, 5.0]]);
        assert_eq!(w, [1.0, 0.0]);
        assert_eq!(minimise(&[vec![0.0; 4]]), [0.5, 0.5]);
    }
}
