//! Whether a model is fit for use: its hold-out error against persistence and the training mean.

use super::pick::mean;
use super::rollouts::Rollouts;
use super::score::Baselines;
use crate::error::plural;

/// A model that errs more than this share of what persistence or the training mean errs has learned nothing: less is
/// luck of the hold-out.
const NO_BETTER: f64 = 0.98;

/// How a model stands on hold-out, in RMSE relative to the baselines.
pub(super) struct Verdict {
    /// At the control horizon, per target; `None`: cannot be said.
    pub to_persistence: Vec<Option<f64>>,
    to_mean: Vec<Option<f64>>,
}

impl Verdict {
    pub fn of(run: &Rollouts, baselines: &Baselines, targets: usize, horizon: usize) -> Self {
        let ratios = |other: &Rollouts, h: usize| -> Vec<Option<f64>> {
            let ratio = |k| {
                let (own, reference) = run.paired_mse(other, k, h);
                (reference > 0.0).then(|| (own / reference).sqrt())
            };
            (0..targets).map(ratio).collect()
        };
        Self { to_persistence: ratios(&baselines.persistence, horizon), to_mean: ratios(&baselines.mean, horizon) }
    }

    /// Why the model must not be used, with advice.
    pub fn refusal(&self, name: &str, ahead: &str) -> Option<String> {
        if self.to_persistence.is_empty() {
            return None;
        }
        const ADVICE: &str = "See `inspect` for signals that were flat or missing and controls that were not moved; add the \
                              disturbance that drives the plant, give the model more or fewer `model.lags`, a longer log, or \
                              another `model.horizon`";
        let Some(ratio) = average(&self.to_persistence) else {
            return Some(format!("no learned signal moves on hold-out, so that {name} cannot be judged. {ADVICE}"));
        };
        if ratio >= NO_BETTER {
            return Some(format!(
                "{name} does not beat persistence {ahead} ahead on hold-out: its error is {ratio:.2} times as large (mean \
                 over {}). {ADVICE}",
                plural(self.to_persistence.len(), "signal"),
            ));
        }
        match average(&self.to_mean) {
            Some(ratio) if ratio >= NO_BETTER => Some(format!(
                "{name} predicts no better than the training mean {ahead} ahead on hold-out: its error is {ratio:.2} times \
                 as large (mean over {}). {ADVICE}",
                plural(self.to_persistence.len(), "signal"),
            )),
            _ => None,
        }
    }
}

fn average(ratios: &[Option<f64>]) -> Option<f64> {
    let known: Vec<f64> = ratios.iter().flatten().copied().collect();
    (!known.is_empty()).then(|| mean(&known))
}
