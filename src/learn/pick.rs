//! Which model wins, and why.

use super::calibrate::Calibration;
use super::map::StepMap;
use super::noise_model::NoiseModel;
use super::rollouts::Rollouts;

/// A fitted model with its calibrated spread and its out-of-fold score.
pub(super) struct Candidate {
    pub name: &'static str,
    pub map: StepMap,
    /// Fitted without each fold, oldest first.
    pub without: Vec<StepMap>,
    /// Open-loop runs of those over their folds.
    pub runs: Vec<Rollouts>,
    pub spread: NoiseModel,
    /// CRPS over that of persistence, mean over targets and horizons: one per fold.
    pub losses: Vec<f64>,
}

impl Candidate {
    /// Its name; a plant whose states are all known equations has nothing that a model of the list could be named for.
    pub fn label(&self) -> &'static str {
        if self.map.layout.targets.is_empty() { "equations" } else { self.name }
    }

    pub fn loss(&self) -> f64 {
        mean(&self.losses)
    }
}

/// Mean over targets of CRPS over that of persistence, each summed over horizons; `None` when nothing was measured.
pub(super) fn relative_crps(
    run: &Rollouts,
    own: &Calibration,
    still: &Rollouts,
    yardstick: &Calibration,
    targets: usize,
) -> Option<f64> {
    let total = |run: &Rollouts, calibration: &Calibration, k: usize| -> f64 {
        (1..=run.horizon)
            .flat_map(|h| {
                run.pairs(k, h).map(move |p| calibration.crps(k, h, calibration.local(k, h, p.doubt), p.error()))
            })
            .sum()
    };
    let ratios: Vec<f64> = (0..targets)
        .map(|k| (total(run, own, k), total(still, yardstick, k)))
        .filter(|(_, reference)| *reference > 0.0)
        // One signal that persistence predicts all but exactly must not decide alone.
        .map(|(own, reference)| (own / reference).min(5.0))
        .collect();
    (!ratios.is_empty()).then(|| mean(&ratios))
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The winner among `field` and why. The first candidate, linear, is the simplest: another must be better by more than
/// one percent, and than one standard error of the paired difference over the folds.
pub(super) fn pick(candidates: &[Candidate], field: &[usize], ahead: &str) -> (usize, String) {
    let best = field.iter().copied().min_by(|&a, &b| candidates[a].loss().total_cmp(&candidates[b].loss()));
    let best = best.unwrap_or(0);
    let describe = |c: &Candidate| format!("{} {:.3}", c.name, c.loss());
    let list: Vec<String> = field.iter().map(|&i| describe(&candidates[i])).collect();
    let measure = format!("out-of-fold CRPS up to {ahead} relative to persistence: {}", list.join(", "));
    if candidates[best].map.layout.targets.is_empty() {
        return (best, "every state is a known equation; nothing is learned".into());
    }
    if best == 0 || !field.contains(&0) {
        return (best, format!("{} has the best {measure}", candidates[best].name));
    }
    let (linear, other) = (&candidates[0], &candidates[best]);
    let gains: Vec<f64> = linear.losses.iter().zip(&other.losses).map(|(l, o)| l - o).collect();
    let n = gains.len() as f64;
    let gain = mean(&gains);
    let variance = gains.iter().map(|g| (g - gain).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    if gain > (variance / n).sqrt() && gain > 0.01 * linear.loss() {
        (best, format!("{} has the best {measure}", other.name))
    } else {
        (0, format!("{} is not measurably better than linear, which is simpler; {measure}", other.name))
    }
}
