//! Chooses the model of a plant.
//!
//! The model is chosen in the following steps:
//!
//! - `fit`: each model in the list is fitted on all training rows, and then refitted once per fold with that fold left
//!   out. If the file does not set `rollout_loss`, `linear` is fitted to one-step predictions and to simulations over
//!   the horizon, and the fit with the lower loss is used. If the measurements of a state are noisy, a fit to one-step
//!   predictions gives biased gains and time constants.
//! - `judge`: each refit forecasts the fold that it left out. The forecast errors of the refits determine the noise
//!   model and the loss of the model.
//! - `stacking`: if the list contains `stack`, a weighted mean of the models is added as a candidate.
//! - `independent`: outputs that no model predicts better than their mean are described by their mean and distribution.
//! - `compare`: the model with the lowest loss is chosen, or the linear model if the difference may be due to chance.
//! - `explain`: the chosen model is rejected if it has no skill on the hold-out or contradicts known effects.
//!
//! The choice uses out-of-fold forecasts only. The hold-out is used only to report scores and to reject models without
//! skill.

mod compare;
mod data;
mod explain;
mod fit;
mod independent;
mod judge;
mod selection;
mod stacking;

pub use data::{SplitSummary, TrainingData};
pub use selection::{KnownEffect, Preselected, Selection};

use compare::Choice;
use explain::{EffectCheck, HoldoutSkill, constant_control_notes, coverage_notes, outlier_note};
use fit::FittedModel;
use judge::{Candidate, EQUATIONS, Judge};

use super::epistemic::EpistemicThresholds;
use super::layout::Layout;
use super::map::StepMap;
use super::model;
use super::noise_model::NoiseModel;
use super::note::{Note, NoteKind};
use super::response::{Response, responses};
use super::score::ScoreRow;
use super::starts::{Start, thin};
use crate::error::{Error, Result};
use crate::rng::Key;

/// Number of particles simulated from each start to estimate the spread of simulations (not tuned).
const PARTICLES: usize = 32;
/// Number of start rows used to estimate the spread of simulations (not tuned).
const INFLATION_STARTS: usize = 24;
/// Maximum number of steps over which `linear` is fitted by default (not tuned; long simulations take longer to fit).
const MAX_ROLLOUT: usize = 48;
/// Identifier of the random stream for the simulations that estimate the spread.
const INFLATION_STREAM: u64 = 0x7370_7265_6164;

/// A fitted, scored and calibrated model.
#[derive(Debug, Clone)]
pub struct Learned {
    pub map: StepMap,
    /// Leave-one-fold-out refits, ordered from the oldest to the newest fold.
    pub refits: Vec<StepMap>,
    pub noise_model: NoiseModel,
    /// Noise model with the interval widths tracked up to the start of the hold-out. A replay of the hold-out must use
    /// this noise model, because the widths in the final noise model are already adapted to the hold-out.
    pub noise_before_holdout: NoiseModel,
    /// Thresholds above which the epistemic uncertainty is high or extreme.
    pub epistemic: EpistemicThresholds,
    /// Hold-out scores of every fitted model and of persistence.
    pub scores: Vec<ScoreRow>,
    /// Step responses of the chosen model.
    pub responses: Vec<Response>,
    /// Name of the chosen model; `equations` if there was nothing to learn.
    pub chosen: String,
    /// Reason for the choice, phrased to follow the model's name in a sentence.
    pub reason: String,
    /// Remarks that users of the model should read.
    pub notes: Vec<Note>,
    pub split: SplitSummary,
    /// Explanation of why the model must not be used, with advice; `None` if the model may be used.
    pub refusal: Option<String>,
}

/// Learns a model of the plant from `data`. `progress` is called with a short description of each step.
///
/// # Errors
/// Returns [`Error::Data`] if the log is too short or too incomplete to fit or score a model, and
/// any other error that occurs while fitting a model. A model without skill is not an error; see
/// [`Learned::refusal`].
pub fn learn(data: &TrainingData, selection: &Selection, progress: &dyn Fn(&str)) -> Result<Learned> {
    let (candidates, mut judge) = candidates(data, progress)?;
    let (mut candidates, independent) = independent::with_means(data, &mut judge, candidates)?;
    progress("scoring on the hold-out");
    let holdout = judge.score_holdout(&mut candidates)?;

    progress("step responses");
    let mut effects = EffectCheck::new(data, &candidates, selection.effects);
    let consistent = effects.consistent();
    let eligible = if consistent.is_empty() { (0..candidates.len()).collect() } else { consistent.clone() };
    let Choice { index: chosen, reason } = choose(&candidates, &eligible, selection, &data.spec.horizon.to_string());

    let candidate = &candidates[chosen];
    let (name, label) = (candidate.name, candidate.label());
    let run = &holdout.runs[chosen];
    let skill = match name {
        // Known equations are scored on the states that they predict.
        EQUATIONS => HoldoutSkill::new(run, &holdout.baselines, &vec![true; run.signals.len()]),
        _ => HoldoutSkill::new(run, &holdout.baselines, &independent),
    };
    let mut notes = constant_control_notes(data);
    notes.extend(effects.notes(&candidates, chosen));
    notes.extend(skill.notes(data, &holdout.runs[chosen].signals));
    notes.extend(coverage_notes(data, &holdout.scores, label));
    notes.extend(independent::notes(data, candidate));
    let refusal = if consistent.is_empty() {
        Some(effects.refusal(chosen, name))
    } else {
        skill.refusal(data, label, &run.signals)
    };

    let Candidate { map, refits, mut noise_model, .. } = candidates.swap_remove(chosen);
    progress("calibrating the spread of simulations");
    let starts: Vec<Start> = thin(&judge.fold_starts.concat(), INFLATION_STARTS);
    let mut noise_before_holdout =
        NoiseModel { tracking: noise_model.tracking.before_holdout(), ..noise_model.clone() };
    for noise_model in [&mut noise_model, &mut noise_before_holdout] {
        let key = Key::new(data.spec.seed.value).fold(INFLATION_STREAM);
        noise_model.inflate(&map, data.log, &starts, PARTICLES, key);
    }
    let targets = 0..map.layout.targets.len();
    let one_step_errors: Vec<f64> = targets.map(|k| noise_model.calibration.sd_at(k, 1)).collect();
    let epistemic = EpistemicThresholds::fit(&refits, data.log, &data.split.folds, &one_step_errors);
    notes.extend(map.regressor.note().map(|n| Note::new(NoteKind::Fit, format!("{label}: {n}"))));
    notes.extend(outlier_note(data, &map.layout)?);
    let responses =
        effects.responses[chosen].take().unwrap_or_else(|| responses(&map, data.log, &data.moments, data.horizon));
    Ok(Learned {
        map,
        refits,
        noise_model,
        noise_before_holdout,
        epistemic,
        scores: holdout.scores,
        responses,
        chosen: label.to_owned(),
        reason,
        notes,
        split: data.summary(),
        refusal,
    })
}

/// Fits and judges every model in the list. The first candidate is always `linear`, or `persistence` if there is
/// nothing to learn.
fn candidates<'a>(data: &'a TrainingData<'a>, progress: &dyn Fn(&str)) -> Result<(Vec<Candidate>, Judge<'a>)> {
    let targets = Layout::new(&data.log.schema, data.spec, data.equations).targets.len();
    let mut names = vec![if targets > 0 { "linear" } else { EQUATIONS }];
    let mut stacked = false;
    for name in &data.spec.choose {
        match model::NAMES.iter().find(|n| **n == name.value) {
            Some(known) if targets > 0 && *known != "persistence" && !names.contains(known) => names.push(known),
            Some(_) => {}
            None if name.value == model::STACK => stacked = targets > 0,
            // For an unknown model name, `decode` returns an error that suggests the nearest known name.
            None => {
                return Err(model::decode(&name.value, &[], data.compute)
                    .err()
                    .unwrap_or(Error::Usage(name.value.clone())));
            }
        }
    }
    let mut judge = None;
    let mut candidates = Vec::with_capacity(names.len());
    for name in names {
        progress(&format!("fitting {name}"));
        let fitted = FittedModel::fit(data, name, data.spec.rollout_steps())?;
        let judge = match &mut judge {
            Some(judge) => judge,
            None => judge.insert(Judge::new(data, &fitted.map)?),
        };
        progress(&format!("scoring {name}"));
        let mut candidate = judge.judge(fitted);
        if name == "linear" && data.spec.rollout_loss.is_none() && data.horizon > 1 {
            progress("fitting linear to simulations");
            let simulated = judge.judge(FittedModel::fit(data, name, data.horizon.min(MAX_ROLLOUT))?);
            if simulated.loss() < candidate.loss() {
                candidate = simulated;
            }
        }
        candidates.push(candidate);
    }
    let Some(mut judge) = judge else { return Err(Error::Internal("no model was fitted".into())) };
    if stacked && candidates.len() > 1 {
        progress("stacking");
        candidates.push(judge.judge(stacking::stack(data, &candidates)?));
    }
    Ok((candidates, judge))
}

/// Chooses the preselected model if it is `eligible`, and otherwise compares the candidates.
fn choose(candidates: &[Candidate], eligible: &[usize], selection: &Selection, horizon: &str) -> Choice {
    let preselected = selection.preselected.and_then(|p| {
        let index = eligible.iter().copied().find(|&i| candidates[i].name == p.model)?;
        Some(Choice { index, reason: p.reason.to_owned() })
    });
    preselected.unwrap_or_else(|| compare::choose(candidates, eligible, horizon))
}
