//! Evaluates fitted models by their open-loop forecasts of rows on which they were not fitted.
//!
//! Each leave-one-fold-out refit forecasts the fold that it left out. The out-of-fold forecast errors determine the
//! noise model, the calibration, and the loss of model m on fold f:
//!
//! ```text
//! ℓ_mf = mean over targets k of min(5, Σ_h Σ_s CRPS(m, k, h, s) / Σ_h Σ_s CRPS(persistence, k, h, s))
//! ```
//!
//! The sums are over the horizons h = 1 … H and the starts s in the fold. The forecasts of the model and of persistence
//! are both calibrated. The hold-out is used only to score the models that were fitted on all training rows.

use rayon::prelude::*;

use super::data::TrainingData;
use super::fit::FittedModel;
use crate::error::{Error, Result};
use crate::learn::calibration::Calibration;
use crate::learn::map::StepMap;
use crate::learn::noise_model::NoiseModel;
use crate::learn::residuals::Residuals;
use crate::learn::rollouts::{Rollouts, rollouts};
use crate::learn::score::{Baselines, ScoreRow, score};
use crate::learn::starts::{Start, scored_signals, starts};
use crate::learn::tracking::Tracking;
use crate::stats::mean_or_zero;

/// Maximum number of starts on the hold-out (not tuned).
const HOLDOUT_STARTS: usize = 600;
/// Maximum number of starts over all folds (not tuned).
const FOLD_STARTS: usize = 750;
/// Maximum number of forecast steps per model, applied separately to the hold-out and to all folds together (not
/// tuned). If the horizon is long, fewer starts are used, which is acceptable because the forecasts
/// of neighbouring starts then overlap more.
const FORECAST_STEPS: usize = 100_000;
/// Minimum number of starts, even if [`FORECAST_STEPS`] is exceeded (not tuned).
const MIN_STARTS: usize = 100;
/// Maximum loss of one target (not tuned). Without a limit, a signal that persistence predicts almost exactly would
/// dominate the mean loss.
const MAX_LOSS: f64 = 5.0;

/// Name of the model that is used if all states of a plant have known equations. The model
/// `persistence` predicts an error of zero for every equation.
pub(super) const EQUATIONS: &str = "persistence";

/// A fitted model with its noise model and its out-of-fold losses.
pub(super) struct Candidate {
    pub name: &'static str,
    pub map: StepMap,
    /// Leave-one-fold-out refits, ordered from the oldest to the newest fold.
    pub refits: Vec<StepMap>,
    /// Open-loop forecasts of each fold, made by the refit that left out this fold.
    pub runs: Vec<Rollouts>,
    pub noise_model: NoiseModel,
    /// Loss ℓ on each fold.
    pub losses: Vec<f64>,
}

impl Candidate {
    /// Name of the model in reports; `equations` if every state has a known equation, so that no model is needed.
    pub fn label(&self) -> &'static str {
        if self.name == EQUATIONS { "equations" } else { self.name }
    }

    /// Mean loss over the folds.
    pub fn loss(&self) -> f64 {
        mean_or_zero(&self.losses)
    }
}

/// Evaluates all models from the same start rows and against the same persistence forecast.
pub(super) struct Judge<'a> {
    data: &'a TrainingData<'a>,
    /// Starts of each fold.
    pub fold_starts: Vec<Vec<Start>>,
    holdout_starts: Vec<Start>,
    /// Persistence forecast, computed when the first model is judged.
    persistence: Option<PersistenceForecast>,
}

/// The calibrated persistence forecast.
struct PersistenceForecast {
    calibration: Calibration,
    tracking: Tracking,
}

/// Forecasts of the hold-out, and their scores.
pub(super) struct Holdout {
    /// Forecasts of each candidate.
    pub runs: Vec<Rollouts>,
    pub baselines: Baselines,
    /// Scores of persistence and of each candidate.
    pub scores: Vec<ScoreRow>,
}

impl<'a> Judge<'a> {
    /// Chooses the start rows. The start rows depend on the signals that `map` reads, which are the same for every
    /// model.
    ///
    /// # Errors
    /// Returns [`Error::Data`] if no forecast can start in the hold-out.
    pub fn new(data: &'a TrainingData<'a>, map: &StepMap) -> Result<Self> {
        let limit = |starts: usize| starts.min((FORECAST_STEPS / data.horizon).max(MIN_STARTS));
        let per_fold = limit(FOLD_STARTS) / data.split.folds.len().max(1);
        let holdout_starts = starts(map, data.log, &data.split.holdout, data.horizon, limit(HOLDOUT_STARTS));
        if holdout_starts.is_empty() {
            return Err(Error::Data(format!(
                "the models cannot be scored: no row in the hold-out ({}) is preceded by {} complete rows and followed \
                 by known inputs{}. Run `inspect` to find missing values, or increase `model.holdout` in twin.toml",
                data.spec.holdout.value,
                map.depth(),
                data.sparsest(&data.split.holdout, map.layout.inputs.iter().map(|i| i.0)),
            )));
        }
        let folds = data.split.folds.iter();
        let fold_starts = folds.map(|f| starts(map, data.log, f, data.horizon, per_fold)).collect();
        Ok(Self { data, fold_starts, holdout_starts, persistence: None })
    }

    /// The calibration of the persistence forecast; `None` before the first model is judged.
    pub fn persistence_calibration(&self) -> Option<&Calibration> {
        self.persistence.as_ref().map(|p| &p.calibration)
    }

    /// Estimates the noise model and the losses of a fitted model.
    pub fn judge(&mut self, fitted: FittedModel) -> Candidate {
        let FittedModel { name, map, refits, distributions } = fitted;
        let (log, horizon) = (self.data.log, self.data.horizon);
        let is_output: Vec<bool> = map.layout.targets.iter().map(|t| !t.is_next()).collect();
        let residuals: Vec<Residuals> = refits
            .par_iter()
            .zip(&self.data.split.folds)
            .map(|(map, fold)| Residuals::measure(map, log, &starts(map, log, fold, 1, usize::MAX)))
            .collect();
        let mut noise_model = NoiseModel::from_residuals(&residuals, &is_output, horizon, distributions);
        let runs: Vec<Rollouts> = refits
            .par_iter()
            .zip(&self.fold_starts)
            .map(|(map, starts)| rollouts(map, log, starts.clone(), horizon, Some(&noise_model.process)))
            .collect();
        let persistence_runs: Vec<Rollouts> = runs.iter().map(Rollouts::persistence).collect();
        let signals = scored_signals(&map, log);
        let typical: Vec<f64> = signals.iter().map(|&s| self.data.moments[s].sd).collect();
        noise_model.calibration = Calibration::fit(&runs, &typical);
        noise_model.tracking = Tracking::fit(&runs, &noise_model.calibration);
        let reference = self.persistence.get_or_insert_with(|| {
            let calibration = Calibration::fit(&persistence_runs, &typical);
            let tracking = Tracking::fit(&persistence_runs, &calibration);
            PersistenceForecast { calibration, tracking }
        });
        let targets = map.layout.targets.len();
        let reference = &reference.calibration;
        let losses = runs
            .par_iter()
            .zip(&persistence_runs)
            .filter_map(|(run, persistence)| {
                relative_crps((run, &noise_model.calibration), (persistence, reference), targets)
            })
            .collect();
        Candidate { name, map, refits, runs, noise_model, losses }
    }

    /// Scores the candidates on the hold-out. Within the hold-out, the interval widths continue to
    /// adapt to the errors.
    ///
    /// # Errors
    /// Returns [`Error::Internal`] if no model has been judged yet.
    pub fn score_holdout(&self, candidates: &mut [Candidate]) -> Result<Holdout> {
        let Self { data, holdout_starts, persistence: Some(persistence), .. } = self else {
            return Err(Error::Internal("no model was judged".into()));
        };
        let runs: Vec<Rollouts> = candidates
            .par_iter()
            .map(|c| rollouts(&c.map, data.log, holdout_starts.clone(), data.horizon, Some(&c.noise_model.process)))
            .collect();
        let means: Vec<f64> = runs[0].signals.iter().map(|&s| data.moments[s].mean).collect();
        let baselines =
            Baselines { persistence: runs[0].persistence(), linear: runs[0].clone(), mean: runs[0].constant(&means) };
        let PersistenceForecast { calibration, tracking } = persistence;
        let widths = tracking.replay(calibration, &baselines.persistence);
        let mut scores = score("persistence", &baselines.persistence, calibration, &widths, &baselines);
        for (c, run) in candidates.iter_mut().zip(&runs) {
            let NoiseModel { calibration, tracking, .. } = &mut c.noise_model;
            // Each forecast is scored with the interval widths tracked up to its start. Simulations use the interval
            // widths tracked up to the end of the hold-out.
            let widths = tracking.update(calibration, run);
            scores.extend(score(c.label(), run, &c.noise_model.calibration, &widths, &baselines));
        }
        Ok(Holdout { runs, baselines, scores })
    }
}

/// Loss ℓ on one fold; `None` if there are no measurements. For each target, the CRPS of `model` and that of
/// `reference` are summed over horizons and starts. The loss is the ratio of the two CRPS sums, averaged over targets.
fn relative_crps(
    model: (&Rollouts, &Calibration),
    reference: (&Rollouts, &Calibration),
    targets: usize,
) -> Option<f64> {
    let ratios: Vec<f64> = (0..targets).filter_map(|k| target_loss(model, reference, k)).collect();
    (!ratios.is_empty()).then(|| mean_or_zero(&ratios))
}

/// Loss of target `k` on one fold, at most [`MAX_LOSS`]; `None` if there are no measurements.
pub(super) fn target_loss(
    model: (&Rollouts, &Calibration),
    reference: (&Rollouts, &Calibration),
    k: usize,
) -> Option<f64> {
    let total = |(run, calibration): (&Rollouts, &Calibration)| -> f64 {
        (1..=run.horizon)
            .flat_map(|h| {
                run.pairs(k, h)
                    .map(move |p| calibration.crps(k, h, calibration.local_width(k, h, p.model_sd), p.error()))
            })
            .sum()
    };
    let reference = total(reference);
    (reference > 0.0).then(|| (total(model) / reference).min(MAX_LOSS))
}
