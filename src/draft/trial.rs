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
    let (mut failed, mut predicted) = (Vec::new(), Vec::new());
    let (mut over_persistence, mut over_mean) = (Vec::new(), Vec::new());
    for (k, target) in learned.map.layout.targets.iter().enumerate() {
        let signal = target.signal();
        let rows = || learned.scores.iter().filter(|r| r.model == learned.chosen && r.signal == signal);
        let last = rows().max_by_key(|r| r.horizon);
        let ratio = |skill: f64| (1.0 - skill).max(0.0).sqrt();
        let independent = learned.noise_model.process.is_independent(k);
        let ok = last.is_some_and(|r| {
            ratio(r.skill) < SKILL_RATIO && (independent || ratio(r.skill_mean) < SKILL_RATIO) && r.rmse > 0.0
        });
        over_persistence.extend(last.map(|r| ratio(r.skill)));
        over_mean.extend(last.filter(|_| !independent).map(|r| ratio(r.skill_mean)));
        let name = schema.signals[signal].name.clone();
        if ok { predicted.push(name) } else { failed.push(name) }
    }
    let weak = |ratios: &[f64]| !ratios.is_empty() && mean(ratios) >= SKILL_RATIO;
    let refused = learned.refusal.is_some() || weak(&over_persistence) || weak(&over_mean);
    Ok(Trial { refused, failed, predicted })
}
