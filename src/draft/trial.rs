//! Fits a linear model to the newest part of the log, to find signals that cannot be predicted.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::compute::cpu;
use crate::config::{Loaded, TimeSpan, TwinSpec};
use crate::error::Result;
use crate::learn::{Selection, TrainingData, learn};
use crate::scenario::Compiled;
use crate::schema::Schema;
use crate::stats::mean;
use crate::trajectory::Trajectory;

/// Maximum total number of input values in a trial (not tuned). If possible, a trial uses the whole log, so that it has
/// the same hold-out as the fit.
const MAX_VALUES: usize = 1_000_000;
/// Largest error, relative to that of persistence or of the mean, at which a signal is regarded as predictable. This
/// limit is stricter than the limit of `fit`, because `fit` uses other rows and may find a larger error.
const SKILL_RATIO: f64 = 0.96;

/// The result of a trial.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Trial {
    /// Whether `fit` is likely to refuse the model.
    pub refused: bool,
    /// Names of the unpredictable targets (`failed`) and of the predictable targets (`predicted`).
    pub failed: Vec<String>,
    pub predicted: Vec<String>,
    /// The least predictable targets, without which `fit` is likely to accept the model.
    pub worst: Vec<String>,
}

/// The error of a target at the horizon, relative to that of persistence and, unless the target is independent noise,
/// to that of the mean.
struct Ratios {
    name: String,
    persistence: f64,
    mean: Option<f64>,
    failed: bool,
}

impl Ratios {
    fn larger(&self) -> f64 {
        self.mean.unwrap_or(0.0).max(self.persistence)
    }
}

/// Whether the errors of the targets are, on average, too large.
fn is_weak(targets: &[&Ratios]) -> bool {
    let weak = |ratios: Vec<f64>| !ratios.is_empty() && mean(&ratios) >= SKILL_RATIO;
    weak(targets.iter().map(|r| r.persistence).collect()) || weak(targets.iter().filter_map(|r| r.mean).collect())
}

/// The failed targets with the largest errors, as many as must be left out so that the rest is not weak.
fn worst(targets: &[Ratios]) -> Vec<String> {
    let mut kept: Vec<&Ratios> = targets.iter().collect();
    kept.sort_by(|a, b| {
        (b.failed, b.larger()).partial_cmp(&(a.failed, a.larger())).unwrap_or(std::cmp::Ordering::Equal)
    });
    let mut out = Vec::new();
    while kept.first().is_some_and(|r| r.failed) && (out.is_empty() || is_weak(&kept)) {
        out.push(kept.remove(0).name.clone());
    }
    out
}

/// Fits a linear model with the settings in `twin`. `log` contains the signals of `twin` in the same order; derived
/// signals are computed.
///
/// # Errors
/// The errors of a fit.
pub(super) fn run(twin: &Loaded<TwinSpec>, schema: &Arc<Schema>, log: &Trajectory) -> Result<Trial> {
    let spec = &twin.value;
    let compiled = Compiled::new(twin, schema, &IndexMap::new())?;
    let rows = MAX_VALUES / (schema.len() * spec.model.lags.value).max(1);
    // The newest rows; gaps are not counted as rows.
    let mut first = 0;
    let mut newer = 0;
    for segment in log.segments.iter().rev() {
        first = segment.start.max(segment.end.saturating_sub(rows - newer));
        newer += segment.end - first;
        if newer >= rows {
            break;
        }
    }
    let mut part = log.part(first..log.steps);
    compiled.equations.fill(&mut part);
    let step = spec.step.value;
    let mut model = spec.model.clone();
    let rows: usize = part.segments.iter().map(ExactSizeIterator::len).sum();
    let holdout = model.holdout.steps(step, 1).min(rows / 4);
    model.holdout = TimeSpan::from_steps(holdout, step.ms()).into();
    model.choose = vec!["linear".to_owned().into()];
    model.rollout_loss = Some(1.into());
    let compute = cpu();
    let data = TrainingData::new(&part, &compiled.equations, &model, &compute)?;
    let learned = learn(&data, &Selection::default(), &|_| {})?;
    let mut targets = Vec::new();
    for (k, target) in learned.map.layout.targets.iter().enumerate() {
        let signal = target.signal();
        let rows = learned.scores.iter().filter(|r| r.model == learned.chosen && r.signal == signal);
        let last = rows.max_by_key(|r| r.horizon);
        let ratio = |skill: f64| (1.0 - skill).max(0.0).sqrt();
        let independent = learned.noise_model.process.is_independent(k);
        let over_mean = last.filter(|_| !independent).map(|r| ratio(r.skill_mean));
        let over_persistence = last.map_or(f64::INFINITY, |r| ratio(r.skill));
        let failed = !(over_persistence < SKILL_RATIO
            && over_mean.is_none_or(|r| r < SKILL_RATIO)
            && last.is_some_and(|r| r.rmse > 0.0));
        let name = schema.signals[signal].name.clone();
        targets.push(Ratios { name, persistence: over_persistence, mean: over_mean, failed });
    }
    let known: Vec<&Ratios> = targets.iter().filter(|r| r.persistence.is_finite()).collect();
    let refused = learned.refusal.is_some() || is_weak(&known);
    let names = |failed: bool| targets.iter().filter(|r| r.failed == failed).map(|r| r.name.clone()).collect();
    Ok(Trial { refused, failed: names(true), predicted: names(false), worst: worst(&targets) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_as_many_signals_are_left_out_as_necessary() {
        let ratios = |name: &str, persistence: f64, mean: f64| Ratios {
            name: name.into(),
            persistence,
            mean: Some(mean),
            failed: persistence >= SKILL_RATIO || mean >= SKILL_RATIO,
        };
        let all = [ratios("a", 0.5, 0.5), ratios("b", 1.5, 0.9), ratios("c", 0.98, 0.7), ratios("d", 0.9, 2.5)];
        // the means of a and c are 0.74 and 0.6, so c is kept, although it is predicted badly
        assert_eq!(worst(&all), ["d", "b"].map(str::to_owned).to_vec());
        assert_eq!(worst(&[ratios("x", 1.2, 1.1), ratios("y", 1.3, 0.2)]), ["y", "x"].map(str::to_owned).to_vec());
    }
}
