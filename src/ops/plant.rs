//! Turns the files of a plant into its twin: reads the log, fits models, and loads the champion.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;
use jiff::tz::TimeZone;

use super::Registry;
use crate::compute::Compute;
use crate::config::{self, ForecastSpec, Loaded, ModelSpec, TimeSpan, TwinSpec};
use crate::control::mpc::TunedMpc;
use crate::control::{Forecast, LiveSettings, worse_forecasts};
use crate::error::{Error, Fault, Result};
use crate::expr;
use crate::learn::score::ScoreRow;
use crate::learn::{
    KnownEffect, Layout, Learned, Movements, NoiseModel, Note, NoteKind, Preselected, Selection, Split, TrainingData,
    effect_errors, identify, learn, rollouts, score_with_forecasts, starts,
};
use crate::log::{self, Quality};
use crate::scenario::results::{ControlEffect, ControlIdentification, ModelCard};
use crate::scenario::{Compiled, Plant, Sight, model_card, replay_checks};
use crate::schema::{Role, Schema};
use crate::trajectory::Trajectory;
use crate::tune::{TuningInputs, tune};
use crate::twin::{MODEL_FILE, Provenance, Twin, config_hash};

/// File name of the model card in the folder of a version.
pub const CARD_FILE: &str = "card.json";

/// The files of a plant, before a model is fitted or loaded.
pub struct Source {
    pub spec: Loaded<TwinSpec>,
    pub schema: Arc<Schema>,
    /// The log, including the computed derived signals.
    pub log: Trajectory,
    pub quality: Quality,
    pub compiled: Compiled,
    /// The device on which the models are computed.
    pub compute: Compute,
}

/// A fitted twin that is not published yet.
pub struct FittedTwin {
    pub twin: Twin,
    pub card: ModelCard,
    pub holdout: Vec<Range<usize>>,
    /// The noise model for the replay of the hold-out, with interval widths that are not adapted to the hold-out.
    pub noise_before_holdout: NoiseModel,
    /// The reason to refuse the model, if there is one.
    pub refusal: Option<String>,
}

/// A model version from the registry. The model card contains the name of the version.
pub struct StoredModel {
    pub twin: Twin,
    pub card: ModelCard,
}

/// The champion of a plant in its registry.
pub enum Champion {
    /// No version has been promoted yet.
    Absent,
    /// The champion is undamaged and matches the present `twin.toml`.
    Intact(Box<StoredModel>),
    /// The champion is damaged, as `why` explains. `stored` is the newest undamaged model among the earlier champions.
    Replacement { stored: Box<StoredModel>, why: String },
    /// The signals, the sample time or the `[model]` settings of the champion differ from those in the present
    /// `twin.toml`.
    Outdated(String),
}

/// Reads the log of a twin. `progress` is called with the name of each stage.
pub fn read(spec: Loaded<TwinSpec>, compute: Compute, progress: &dyn Fn(&str)) -> Result<Source> {
    let dir = spec.path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let schema = expr::schema(&spec.value).map_err(|faults| faults_of(&spec, faults))?;
    let compiled = Compiled::new(&spec, &schema, &IndexMap::new())?;
    progress(&format!("reading the log of {}", spec.value.name.value));
    let (mut log, quality) = log::read(&dir, &spec.value, &schema)?;
    compiled.equations.fill(&mut log);
    Ok(Source { spec, schema, log, quality, compiled, compute })
}

fn faults_of(spec: &Loaded<TwinSpec>, complaints: Vec<config::Complaint>) -> Error {
    let fault = |(message, span): config::Complaint| {
        let help = "see `twinopt check`";
        Fault::new("signal", &spec.path, &spec.text, Some(span), message, help)
    };
    Error::Config(complaints.into_iter().map(fault).collect())
}

impl Source {
    pub fn name(&self) -> &str {
        &self.spec.value.name.value
    }

    /// Tunes the settings that `[mpc]` leaves open, then fits, scores and calibrates a model on `log`, which is the
    /// whole log or its newest part. For a challenger, the hold-out in `model` may differ from that in `twin.toml`.
    /// `seed` replaces the seed of `model`. Tuning is skipped if `tuned` is given.
    pub fn fit(
        &self,
        log: &Trajectory,
        model: &ModelSpec,
        tuned: Option<&TunedMpc>,
        seed: Option<u64>,
        progress: &dyn Fn(&str),
    ) -> Result<FittedTwin> {
        self.quality.require_complete()?;
        progress(&format!("fitting {}", self.name()));
        let progress = |stage: &str| progress(&format!("{}: {stage}", self.name()));
        let spec = &self.spec.value;
        let mut model = model.clone();
        if let Some(seed) = seed {
            model.seed = seed.into();
        }
        let tuned = match tuned {
            Some(tuned) => Some(tuned.clone()),
            None => self.tune(log, &model, &progress)?,
        };
        if let Some(TunedMpc { setting, .. }) = &tuned {
            model.choose = vec![setting.model.clone().into()];
            model.lags = setting.lags.into();
            // The settings were tuned with models that use this value of `rollout_loss`.
            model.rollout_loss = Some(model.rollout_steps().into());
        }
        let preselected = tuned.as_ref().map(|t| Preselected { model: &t.setting.model, reason: &t.reason });
        let selection = Selection { effects: &effects(&self.schema, spec), preselected };
        let data = TrainingData::new(log, &self.compiled.equations, &model, &self.compute)?;
        let mut learned = learn(&data, &selection, &progress)?;
        let with_forecasts = self.score_with_forecasts(&data, &learned);
        learned.scores.extend(with_forecasts);
        let split = Split::new(log, &model, spec.step.value)?;
        let mut card = model_card(&learned, model.lags.value, spec, &self.schema);
        let movements = self.identify(&data, &mut card)?;
        let errors = effect_errors(&data, &learned.map, &learned.refits, &learned.noise_model.process, &movements);
        let zone = spec.zone()?;
        let date = |row| local_date(log, &zone, row);
        let effects = errors.iter().map(|e| ControlEffect::new(e, &learned, &self.schema, spec.step.value, &date));
        card.effects = effects.flatten().collect();
        card.notes.extend(card.effects.iter().filter_map(ControlEffect::note));
        let forecasts = worse_forecasts(spec, log, &split.holdout, data.horizon);
        card.notes.extend(forecasts.into_iter().map(|text| Note::new(NoteKind::Forecast, text)));
        let warning = tuned.as_ref().and_then(TunedMpc::warning);
        card.notes.extend(warning.map(|text| Note::new(NoteKind::Tuning, text)));
        card.tuned = tuned;
        let unseen = self.unseen(&card);
        card.notes.extend(unseen.map(|text| Note::new(NoteKind::Horizon, text)));
        // row numbers refer to the whole log, even if only part of the log was used
        let first = self.log.step_at(log.start).unwrap_or(0);
        let rows = |list: &[Range<usize>]| list.iter().map(|r| r.start + first..r.end + first).collect();
        let (training, holdout) = (rows(&split.train), rows(&split.holdout));
        // the provenance contains the hash of `spec`, not of the modified `model`, because a version must match
        // `twin.toml` when it is loaded
        let sources = self.quality.sources.clone();
        let mut provenance = Provenance::new(spec, sources, training, holdout, card.trained_until.clone())?;
        provenance.seed = model.seed.value;
        let twin = Twin {
            epistemic: learned.epistemic,
            carry: spec.model.carry_steps(spec.step.value),
            ..Twin::new(learned.map, learned.noise_model, log, &split.train, provenance)
                .with_envelope(log, &split.train)
        };
        Ok(FittedTwin {
            twin,
            card,
            holdout: split.holdout,
            noise_before_holdout: learned.noise_before_holdout,
            refusal: learned.refusal,
        })
    }

    /// Assesses how well the log identifies the effect of each control for a model with the settings of the twin.
    ///
    /// # Errors
    /// [`Error::Data`] if the log is too short.
    pub fn identification(&self) -> Result<Vec<ControlIdentification>> {
        let spec = &self.spec.value;
        if self.schema.with_role(Role::Control).is_empty() {
            return Ok(Vec::new());
        }
        let data = TrainingData::new(&self.log, &self.compiled.equations, &spec.model, &self.compute)?;
        Ok(self.assess(&data)?.0)
    }

    /// How well the log identifies each control, and the movements of the controls.
    fn assess(&self, data: &TrainingData) -> Result<(Vec<ControlIdentification>, Vec<Movements>)> {
        let spec = &self.spec.value;
        let zone = spec.zone()?;
        let (found, movements) = identify(data, &zone)?;
        let date = |row| local_date(data.log, &zone, row);
        let controls = found.iter().map(|i| ControlIdentification::new(i, &self.schema, spec.step.value, &date));
        Ok((controls.collect(), movements))
    }

    /// Adds to the card how well each control is identified, and notes on weakly identified or unidentified controls.
    fn identify(&self, data: &TrainingData, card: &mut ModelCard) -> Result<Vec<Movements>> {
        let (controls, movements) = self.assess(data)?;
        card.identification = controls;
        card.notes.extend(card.identification.iter().filter_map(ControlIdentification::note));
        Ok(movements)
    }

    /// The scores of the model if disturbances are forecast in the same way as for the controllers.
    fn score_with_forecasts(&self, data: &TrainingData, learned: &Learned) -> Vec<ScoreRow> {
        let forecast = Forecast::new(&self.spec.value, Arc::new(data.log.clone()), 0, None);
        score_with_forecasts(data, learned, &|signal, row, out| {
            let found = forecast.signals.iter().position(|(s, how)| *s == signal && *how != ForecastSpec::Perfect);
            found.map(|i| forecast.fill(i, row, out)).is_some()
        })
    }

    /// If a plan of `advise` or `control` ends before an effect of a move occurs, a sentence that names this effect and
    /// suggests a correction; `None` if there is no such effect.
    fn unseen(&self, card: &ModelCard) -> Option<String> {
        let plans = !self.compiled.objective.terms.is_empty() && !self.schema.with_role(Role::Control).is_empty();
        let mpc = LiveSettings::from_twin(&self.spec).ok().filter(|_| plans)?.mpc;
        let (model, step) = (&self.spec.value.model, self.spec.value.step.value);
        let delay = self.compiled.delays(&self.schema, model, &card.responses, &mpc).first().copied()?;
        let horizon = match (&mpc.horizon, &card.tuned) {
            (Some(horizon), _) => horizon.steps(step, 1),
            (None, Some(tuned)) => tuned.setting.horizon,
            (None, None) => card.horizon,
        };
        let text = delay.text(horizon, &self.schema, step).filter(|_| delay.sight(horizon) == Sight::None)?;
        let longer = match mpc.horizon {
            Some(_) => delay.help(step),
            None => {
                let used = TimeSpan::from_steps(delay.horizon(), step.ms());
                format!(
                    "plans without a horizon of their own therefore look {used} ahead; write `horizon = \"{used}\"` under `[model]`"
                )
            }
        };
        Some(format!("{text}; {longer}"))
    }

    /// Tunes the MPC settings. Returns `None` if `twin.toml` does not request tuning or the log is too short.
    fn tune(&self, log: &Trajectory, model: &ModelSpec, progress: &dyn Fn(&str)) -> Result<Option<TunedMpc>> {
        let plans = !self.compiled.objective.terms.is_empty() && !self.schema.with_role(Role::Control).is_empty();
        let learns = !Layout::new(&self.schema, model, &self.compiled.equations).targets.is_empty();
        if !self.spec.value.tunes() || !plans || !learns {
            return Ok(None);
        }
        let (timezone, mpc) = (self.spec.value.zone()?, LiveSettings::from_twin(&self.spec)?.mpc);
        let inputs = TuningInputs {
            schema: &self.schema,
            spec: &self.spec.value,
            model,
            mpc: &mpc,
            log,
            compiled: &self.compiled,
            compute: &self.compute,
            timezone: &timezone,
        };
        tune(&inputs, progress)
    }

    /// Hash of everything that determines a challenger, except the seed: the clean log, the settings and the version of
    /// the program. The hash does not depend on how the rows of the log are distributed over files.
    pub fn inputs(&self) -> Result<String> {
        let settings = (&self.spec.value, env!("CARGO_PKG_VERSION"));
        let settings = serde_json::to_vec(&settings).map_err(|e| Error::Internal(e.to_string()))?;
        let mut hash = blake3::Hasher::new();
        hash.update(&settings);
        hash.update(format!("{} {} {:?}", self.log.start, self.log.step_ms, self.log.segments).as_bytes());
        for value in self.log.columns.iter().flatten() {
            hash.update(&value.to_le_bytes());
        }
        Ok(hash.finalize().to_hex()[..32].to_owned())
    }

    /// Combines the plant with a fitted twin, and adds the replay of the hold-out to the model card.
    pub fn with_fitted(self, fitted: FittedTwin) -> Result<Plant> {
        let seed = fitted.twin.provenance.seed;
        let config_hash = blake3::hash(self.spec.text.as_bytes()).to_hex().to_string();
        let Self { spec, schema, log, quality, compiled, .. } = self;
        let FittedTwin { mut twin, card, holdout, noise_before_holdout, .. } = fitted;
        twin.skill_horizons = card.reach(&schema);
        let mut plant = Plant { spec, schema, log, quality, compiled, twin, card, config_hash };
        let twin = Twin { noise_model: noise_before_holdout, ..plant.twin.clone() };
        plant.card.replay = replay_checks(&plant, &twin, &holdout, seed)?;
        Ok(plant)
    }

    /// Combines the plant with a stored twin.
    pub fn with_stored(self, stored: StoredModel) -> Plant {
        let config_hash = blake3::hash(self.spec.text.as_bytes()).to_hex().to_string();
        let Self { spec, schema, log, quality, compiled, .. } = self;
        let StoredModel { mut twin, card } = stored;
        twin.skill_horizons = card.reach(&schema);
        Plant { spec, schema, log, quality, compiled, twin, card, config_hash }
    }

    /// Loads `version`. Returns `None` if `version` was fitted for another `twin.toml`.
    ///
    /// # Errors
    /// Returns [`Error::Data`] if files of the version are damaged, and [`Error::NoInput`] if they cannot be read.
    pub fn load(&self, registry: &Registry, version: &str) -> Result<Option<StoredModel>> {
        let stored = load(registry, version, &self.spec.value, &self.schema, &self.compiled, &self.compute)?;
        let Some(StoredModel { twin, mut card }) = stored else { return Ok(None) };
        if card.identification.is_empty() {
            // The model was stored by an older version of twinopt, which did not assess the controls.
            let model = ModelSpec { lags: card.lags.into(), ..self.spec.value.model.clone() };
            if let Ok(data) = TrainingData::new(&self.log, &self.compiled.equations, &model, &self.compute) {
                self.identify(&data, &mut card)?;
            }
        }
        Ok(Some(StoredModel { twin, card }))
    }

    /// Returns the champion or, if it is damaged, the newest undamaged earlier champion.
    ///
    /// # Errors
    /// Returns [`Error::NoInput`] if the files of the champion cannot be read. An unreadable champion is not replaced
    /// by an earlier one, because its files may become readable again. Returns [`Error::Data`] if the files are damaged
    /// and there is no undamaged earlier champion.
    pub fn champion(&self, registry: &Registry) -> Result<Champion> {
        let mut champions = registry.champions()?;
        let Some(newest) = champions.pop() else { return Ok(Champion::Absent) };
        let dir = self.dir();
        let why = match self.load(registry, &newest.name) {
            Ok(Some(stored)) => return Ok(Champion::Intact(Box::new(stored))),
            Ok(None) => return Ok(Champion::Outdated(newest.name)),
            Err(Error::Data(why)) => why,
            Err(Error::NoInput { path, reason }) => {
                return Err(Error::NoInput {
                    path,
                    reason: format!(
                        "{reason}; champion unchanged; restore the file, return to an earlier champion with `twinopt models \
                         {dir} rollback`, or fit a new one with `twinopt fit {dir}`"
                    ),
                });
            }
            Err(other) => return Err(other),
        };
        let earlier = champions.iter().rev().find_map(|v| self.load(registry, &v.name).ok().flatten());
        match earlier {
            Some(stored) => Ok(Champion::Replacement { stored: Box::new(stored), why }),
            None => Err(Error::Data(format!(
                "{why}\nno undamaged earlier champion matches twin.toml; champion unchanged; fit a new one with \
                 `twinopt fit {dir}`"
            ))),
        }
    }

    /// Folder of the twin, as given by the user.
    pub fn dir(&self) -> String {
        self.spec.path.parent().unwrap_or(Path::new("")).display().to_string()
    }
}

fn model_file(registry: &Registry, version: &str) -> PathBuf {
    registry.dir().join("versions").join(version).join(MODEL_FILE)
}

/// Whether the model in `bytes` (the content of `file`) was fitted for `spec`, the present `twin.toml`.
fn fits(bytes: &[u8], file: &Path, spec: &TwinSpec) -> Result<bool> {
    Ok(Twin::provenance(bytes, file)?.config_hash == config_hash(spec)?)
}

/// Loads `version` without the log ([`Source::load`]).
fn load(
    registry: &Registry,
    version: &str,
    spec: &TwinSpec,
    schema: &Arc<Schema>,
    compiled: &Compiled,
    compute: &Compute,
) -> Result<Option<StoredModel>> {
    let bytes = registry.read(version, MODEL_FILE)?;
    let file = model_file(registry, version);
    if !fits(&bytes, &file, spec)? {
        return Ok(None);
    }
    let twin = Twin::load(&bytes, &file, spec, schema, compiled.equations.clone(), compute)?;
    Ok(Some(StoredModel { twin, card: card(registry, version)? }))
}

/// The reason why `version` cannot be used with the present `twin.toml`; `None` if it can be used.
pub fn unusable(registry: &Registry, version: &str, spec: &Loaded<TwinSpec>, compute: &Compute) -> Option<String> {
    let load = || -> Result<bool> {
        let schema = expr::schema(&spec.value).map_err(|faults| faults_of(spec, faults))?;
        let compiled = Compiled::new(spec, &schema, &IndexMap::new())?;
        Ok(load(registry, version, &spec.value, &schema, &compiled, compute)?.is_some())
    };
    match load() {
        Ok(true) => None,
        Ok(false) => Some(outdated(version)),
        Err(e) => Some(e.to_string()),
    }
}

/// Whether the twin that is stored as `version` and the twin of `plant` make the same predictions from 100 rows of the
/// log, within a relative tolerance of 1e-9.
///
/// # Errors
/// Returns the errors of [`Source::load`].
pub fn predicts_the_same(registry: &Registry, version: &str, plant: &Plant, compute: &Compute) -> Result<bool> {
    let (spec, log, twin) = (&plant.spec.value, &plant.log, &plant.twin);
    let Some(stored) = load(registry, version, spec, &plant.schema, &plant.compiled, compute)? else {
        return Ok(false);
    };
    let starts = starts(&twin.map, log, &log.segments, plant.card.horizon, 100);
    let run = |twin: &Twin| {
        let noise = Some(&twin.noise_model.process);
        rollouts(&twin.map, log, starts.clone(), plant.card.horizon, noise).predicted.concat()
    };
    let same = |(a, b): (&f64, &f64)| a.to_bits() == b.to_bits() || (a - b).abs() <= 1e-9 * a.abs().max(b.abs());
    Ok(run(twin).iter().zip(&run(&stored.twin)).all(same))
}

/// The local date of a row of the log, such as `2024-07-15`.
fn local_date(log: &Trajectory, zone: &TimeZone, row: usize) -> String {
    log.time(row).to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d").to_string()
}

/// The model card of `version`.
///
/// # Errors
/// Returns the errors of [`Source::load`].
pub fn card(registry: &Registry, version: &str) -> Result<ModelCard> {
    let text = registry.read(version, CARD_FILE)?;
    let mut card: ModelCard = serde_json::from_slice(&text)
        .map_err(|e| Error::Data(format!("the model card of version {version}: {e}; run `twinopt fit` again")))?;
    version.clone_into(&mut card.version);
    Ok(card)
}

/// The reason why `version` cannot be used.
pub(super) fn outdated(version: &str) -> String {
    format!(
        "model {version} was fitted with signals, a sample time or [model] settings that differ from those in twin.toml"
    )
}

/// The known effects of all controls.
fn effects(schema: &Schema, spec: &TwinSpec) -> Vec<KnownEffect> {
    let effects_of = |(i, s): (usize, &crate::config::At<crate::config::SignalSpec>)| {
        let pairs = s.value.effects.iter().filter_map(move |(control, e)| {
            Some(KnownEffect { control: schema.find(control)?, signal: i, effect: e.value })
        });
        pairs.collect::<Vec<_>>()
    };
    spec.signals.iter().enumerate().flat_map(effects_of).collect()
}
