//! Compares the candidate models and chooses one.
//!
//! Let ℓ_mf be the loss of model m on fold f, and b the model with the lowest mean loss. The first candidate is the
//! linear model, which is the simplest model. Let d_f = ℓ_linear,f − ℓ_bf be the paired differences over F folds. Model
//! b is chosen over the linear model only if both of the following conditions are satisfied:
//!
//! ```text
//! mean(d) > sd(d) / √F   and   mean(d) > 0.01 · mean(ℓ_linear)
//! ```
//!
//! If the linear model is excluded because it contradicts a known effect, no comparison with the linear model is made,
//! and the model with the lowest mean loss (b) is chosen.

use super::judge::{Candidate, EQUATIONS};
use crate::learn::model::MEAN;
use crate::stats::mean_or_zero;

/// Minimum relative reduction of the linear model's loss for which a more complex model is chosen (not tuned).
const MIN_GAIN: f64 = 0.01;

/// The chosen model.
pub(super) struct Choice {
    /// Index of the chosen candidate.
    pub index: usize,
    /// Reason for the choice, phrased to follow the model's name in a sentence.
    pub reason: String,
}

/// Chooses one of the `eligible` candidates. `horizon`: the control horizon as text.
pub(super) fn choose(candidates: &[Candidate], eligible: &[usize], horizon: &str) -> Choice {
    let best = eligible.iter().copied().min_by(|&a, &b| candidates[a].loss().total_cmp(&candidates[b].loss()));
    let best = best.unwrap_or(0);
    if candidates[best].name == EQUATIONS {
        return Choice { index: best, reason: "every state has a known equation, so there is nothing to learn".into() };
    }
    if candidates[best].name == MEAN {
        return Choice { index: best, reason: "no model predicts any output better than its mean".into() };
    }
    let losses: Vec<String> =
        eligible.iter().map(|&i| format!("{} {:.3}", candidates[i].name, candidates[i].loss())).collect();
    let measure = format!("CRPS up to {horizon} ahead relative to persistence ({})", losses.join(", "));
    let lowest = format!("lowest out-of-fold {measure}");
    if best == 0 || !eligible.contains(&0) {
        return Choice { index: best, reason: lowest };
    }
    let (linear, other) = (&candidates[0], &candidates[best]);
    if is_better(&other.losses, &linear.losses) {
        Choice { index: best, reason: lowest }
    } else {
        let reason =
            format!("the simplest model, and {} is not significantly better in out-of-fold {measure}", other.name);
        Choice { index: 0, reason }
    }
}

/// Returns true if the losses `other` are significantly lower than the losses `simple` on the same
/// folds.
pub(super) fn is_better(other: &[f64], simple: &[f64]) -> bool {
    let gains: Vec<f64> = simple.iter().zip(other).map(|(s, o)| s - o).collect();
    let n = gains.len() as f64;
    let gain = mean_or_zero(&gains);
    let variance = gains.iter().map(|g| (g - gain).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    gain > (variance / n).sqrt() && gain > MIN_GAIN * mean_or_zero(simple)
}
