//! A plant from its files to its twin: read, learn, publish, and open its champion.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;

use super::{Event, Registry, Verdict, Version, now};
use crate::compute::Compute;
use crate::config::{self, Loaded, ModelSpec, TwinSpec};
use crate::control::mpc::{ResolvedMpc, TunedMpc};
use crate::error::{Error, Fault, Result};
use crate::expr;
use crate::learn::{
    KnownEffect, Layout, NoiseModel, Note, NoteKind, Preselected, Selection, Split, TrainingData, learn,
};
use crate::log::{self, Quality};
use crate::scenario::results::ModelCard;
use crate::scenario::{Compiled, Plant, model_card, replay_checks};
use crate::schema::{Role, Schema};
use crate::trajectory::Trajectory;
use crate::tune::{TuningInputs, tune};
use crate::twin::{MODEL_FILE, Provenance, Twin, config_hash};

/// Name of the model card in a version.
pub const CARD_FILE: &str = "card.json";

/// A plant's files, read; nothing learned yet.
pub struct Source {
    pub spec: Loaded<TwinSpec>,
    pub schema: Arc<Schema>,
    /// Derived signals filled.
    pub log: Trajectory,
    pub quality: Quality,
    pub compiled: Compiled,
    /// Where its models are computed.
    pub compute: Compute,
}

/// What `fit` makes of a source.
pub struct Fitted {
    pub twin: Twin,
    pub card: ModelCard,
    pub holdout: Vec<Range<usize>>,
    /// The twin's spread, inflated by widths that have not seen the hold-out.
    pub untracked: NoiseModel,
    /// Why the model should not be used.
    pub refused: Option<String>,
}

/// A version as it was stored; the card names it.
pub struct Stored {
    pub twin: Twin,
    pub card: ModelCard,
}

/// What a registry holds for a plant.
pub enum Champion {
    /// No version was ever promoted.
    Never,
    /// The champion, whole and of the present `twin.toml`.
    Whole(Box<Stored>),
    /// The champion's bytes are damaged, as `why` says; the newest whole one before it stands in.
    StandIn { stored: Box<Stored>, why: String },
    /// The version was fitted with other signals, sample time or `[model]` settings than `twin.toml` has now.
    Outdated(String),
}

/// Reads the log of a twin, whose models `compute` computes; `tell` hears what is being done.
pub fn read(spec: Loaded<TwinSpec>, compute: Compute, tell: &dyn Fn(&str)) -> Result<Source> {
    let dir = spec.path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let schema = expr::schema(&spec.value).map_err(|faults| faults_of(&spec, faults))?;
    let compiled = Compiled::new(&spec, &schema, &IndexMap::new())?;
    tell(&format!("reading the log of {}", spec.value.name.value));
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

    /// Chooses what `[mpc]` leaves open, then learns, scores and calibrates on `log`: the whole log or its newest part. `model`
    /// may differ from the file's in its hold-out (a challenger's); `seed` stands in place of its own, and `before` in place
    /// of a choice.
    pub fn fit(
        &self,
        log: &Trajectory,
        model: &ModelSpec,
        before: Option<&TunedMpc>,
        seed: Option<u64>,
        tell: &dyn Fn(&str),
    ) -> Result<Fitted> {
        self.quality.require_complete()?;
        tell(&format!("learning {}", self.name()));
        let tell = |what: &str| tell(&format!("{}: {what}", self.name()));
        let spec = &self.spec.value;
        let mut model = model.clone();
        if let Some(seed) = seed {
            model.seed = seed.into();
        }
        let tuned = match before {
            Some(before) => Some(before.clone()),
            None => self.tune(log, &model, &tell)?,
        };
        if let Some(TunedMpc { setting, .. }) = &tuned {
            model.choose = vec![setting.model.clone().into()];
            model.lags = setting.lags.into();
        }
        let preselected = tuned.as_ref().map(|t| Preselected { model: &t.setting.model, reason: &t.reason });
        let selection = Selection { effects: &effects(&self.schema, spec), preselected };
        let data = TrainingData::new(log, &self.compiled.equations, &model, &self.compute)?;
        let learned = learn(&data, &selection, &tell)?;
        let split = Split::new(log, &model, spec.step.value)?;
        let mut card = model_card(&learned, model.lags.value, spec, &self.schema);
        let warning = tuned.as_ref().and_then(TunedMpc::warning);
        card.notes.extend(warning.map(|text| Note::new(NoteKind::Tuning, text)));
        card.tuned = tuned;
        // rows of the whole log, whatever part of it was learned from
        let first = self.log.step_at(log.start).unwrap_or(0);
        let rows = |list: &[Range<usize>]| list.iter().map(|r| r.start + first..r.end + first).collect();
        let (training, holdout) = (rows(&split.train), rows(&split.holdout));
        // the hash is that of the file as it is: a version must fit the file that it will be loaded with
        let sources = self.quality.sources.clone();
        let mut provenance = Provenance::new(spec, sources, training, holdout, card.trained_until.clone())?;
        provenance.seed = model.seed.value;
        let twin = Twin {
            epistemic: learned.epistemic,
            carry: spec.model.carry_steps(spec.step.value),
            ..Twin::new(learned.map, learned.noise_model, log, &split.train, provenance)
                .with_envelope(log, &split.train)
        };
        Ok(Fitted {
            twin,
            card,
            holdout: split.holdout,
            untracked: learned.noise_before_holdout,
            refused: learned.refusal,
        })
    }

    /// How plans on this plant are made best; `None` where the file does not ask for it or the log is too short.
    fn tune(&self, log: &Trajectory, model: &ModelSpec, tell: &dyn Fn(&str)) -> Result<Option<TunedMpc>> {
        let plans = !self.compiled.objective.terms.is_empty() && !self.schema.with_role(Role::Control).is_empty();
        let learns = !Layout::new(&self.schema, model, &self.compiled.equations).targets.is_empty();
        if !self.spec.value.tunes() || !plans || !learns {
            return Ok(None);
        }
        let (timezone, mpc) = (self.spec.value.zone()?, ResolvedMpc::of_twin(&self.spec)?);
        let ground = TuningInputs {
            schema: &self.schema,
            spec: &self.spec.value,
            model,
            mpc: &mpc,
            log,
            compiled: &self.compiled,
            compute: &self.compute,
            timezone: &timezone,
        };
        tune(&ground, tell)
    }

    /// The plant with `fitted` as its twin, and the card's replay of the hold-out made.
    pub fn with(self, fitted: Fitted) -> Result<Plant> {
        let seed = fitted.twin.provenance.seed;
        let config_hash = blake3::hash(self.spec.text.as_bytes()).to_hex().to_string();
        let Self { spec, schema, log, quality, compiled, .. } = self;
        let Fitted { mut twin, card, holdout, untracked, .. } = fitted;
        twin.skill_horizons = card.reach(&schema);
        let mut plant = Plant { spec, schema, log, quality, compiled, twin, card, config_hash };
        let twin = Twin { noise_model: untracked, ..plant.twin.clone() };
        plant.card.replay = replay_checks(&plant, &twin, &holdout, seed)?;
        Ok(plant)
    }

    /// The plant with the stored twin.
    fn opened(self, stored: Stored) -> Plant {
        let config_hash = blake3::hash(self.spec.text.as_bytes()).to_hex().to_string();
        let Self { spec, schema, log, quality, compiled, .. } = self;
        let Stored { mut twin, card } = stored;
        twin.skill_horizons = card.reach(&schema);
        Plant { spec, schema, log, quality, compiled, twin, card, config_hash }
    }

    /// What is stored as `version`; nothing when that was fitted for another `twin.toml`.
    ///
    /// # Errors
    /// [`Error::Data`] when its bytes are damaged, [`Error::NoInput`] when they cannot be read.
    pub fn load(&self, registry: &Registry, version: &str) -> Result<Option<Stored>> {
        let bytes = registry.read(version, MODEL_FILE)?;
        let file = model_file(registry, version);
        if !fits(&bytes, &file, &self.spec.value)? {
            return Ok(None);
        }
        let twin =
            Twin::load(&bytes, &file, &self.spec.value, &self.schema, self.compiled.equations.clone(), &self.compute)?;
        Ok(Some(Stored { twin, card: card(registry, version)? }))
    }

    /// The champion, or what stands in for it.
    ///
    /// # Errors
    /// [`Error::NoInput`] when the champion's files cannot be read: they may be there again later. [`Error::Data`] when
    /// they are damaged and no earlier champion is whole.
    pub fn champion(&self, registry: &Registry) -> Result<Champion> {
        let mut line = registry.line()?;
        let Some(newest) = line.pop() else { return Ok(Champion::Never) };
        let dir = self.dir();
        let why = match self.load(registry, &newest.name) {
            Ok(Some(stored)) => return Ok(Champion::Whole(Box::new(stored))),
            Ok(None) => return Ok(Champion::Outdated(newest.name)),
            Err(Error::Data(why)) => why,
            Err(Error::NoInput { path, reason }) => {
                return Err(Error::NoInput {
                    path,
                    reason: format!(
                        "{reason}; champion unchanged; bring the file back, or let `twinopt models {dir} rollback` \
                         return to an earlier champion, or `twinopt fit {dir}` make a new one"
                    ),
                });
            }
            Err(other) => return Err(other),
        };
        let earlier = line.iter().rev().find_map(|v| self.load(registry, &v.name).ok().flatten());
        match earlier {
            Some(stored) => Ok(Champion::StandIn { stored: Box::new(stored), why }),
            None => Err(Error::Data(format!(
                "{why}\nno earlier champion is whole and fits twin.toml; champion unchanged; `twinopt fit {dir}` makes a \
                 new one"
            ))),
        }
    }

    /// Folder of the twin, as the user named it.
    pub fn dir(&self) -> String {
        self.spec.path.parent().unwrap_or(Path::new("")).display().to_string()
    }
}

fn model_file(registry: &Registry, version: &str) -> PathBuf {
    registry.dir().join("versions").join(version).join(MODEL_FILE)
}

/// Whether the model `bytes` of `file` were fitted for what `spec` has now.
fn fits(bytes: &[u8], file: &Path, spec: &TwinSpec) -> Result<bool> {
    Ok(Twin::provenance(bytes, file)?.config_hash == config_hash(spec)?)
}

/// What the user should know of `version` as champion: that it does not count with the present `twin.toml`.
///
/// # Errors
/// As [`Source::load`].
pub fn warning(registry: &Registry, version: &str, spec: &TwinSpec) -> Result<Option<String>> {
    let bytes = registry.read(version, MODEL_FILE)?;
    Ok((!fits(&bytes, &model_file(registry, version), spec)?).then(|| outdated(version)))
}

/// The card of `version`.
///
/// # Errors
/// As [`Source::load`].
pub fn card(registry: &Registry, version: &str) -> Result<ModelCard> {
    let text = registry.read(version, CARD_FILE)?;
    let mut card: ModelCard = serde_json::from_slice(&text)
        .map_err(|e| Error::Data(format!("the card of version {version}: {e}; run `twinopt fit` again")))?;
    version.clone_into(&mut card.version);
    Ok(card)
}

/// Stores the plant's twin as a version.
pub fn publish(registry: &Registry, plant: &Plant) -> Result<Version> {
    let card = serde_json::to_vec_pretty(&plant.card).map_err(|e| Error::Internal(e.to_string()))?;
    registry.publish(&[(MODEL_FILE, &plant.twin.save()?), (CARD_FILE, &card)])
}

/// Notes what became of a version.
pub fn record(registry: &Registry, plant: &Plant, version: &Version, verdict: Verdict, reason: &str) -> Result<()> {
    registry.record(&Event {
        verdict,
        version: version.name.clone(),
        at: now(),
        reason: reason.to_owned(),
        data_end: plant.quality.end.clone(),
    })
}

/// The plant of `source` with its champion; fits first when there is none, or none for the present `twin.toml`. `note`
/// hears what the user should know.
///
/// # Errors
/// Those of [`Source::champion`], and [`Error::Attention`] when the new model is refused.
pub fn open(
    source: Source,
    registry: &Registry,
    seed: Option<u64>,
    tell: &dyn Fn(&str),
    note: &dyn Fn(&str),
) -> Result<Plant> {
    let name = source.name().to_owned();
    match source.champion(registry)? {
        // whatever seed it was fitted with: what passed the gate is not deposed by a run
        Champion::Whole(stored) => return Ok(source.opened(*stored)),
        Champion::StandIn { stored, why } => {
            let (version, dir) = (&stored.card.version, source.dir());
            note(&format!(
                "{why}\nthe earlier champion {version} stands in for it; `twinopt models {dir} rollback` makes it champion"
            ));
            return Ok(source.opened(*stored));
        }
        Champion::Never => note(&format!("{name} has no model yet: fitting it first")),
        Champion::Outdated(version) => note(&format!("{}: fitting {name} anew", outdated(&version))),
    }
    let _lock = registry.lock("run")?;
    let (plant, refused) = fit_and_publish(source, registry, seed, tell)?;
    match refused {
        Some(why) => Err(Error::Attention(why)),
        None => Ok(plant),
    }
}

/// The plant of `source` with its champion, which must be there: who drives a plant does not fit first.
///
/// # Errors
/// Those of [`Source::champion`]; [`Error::NoInput`] when there is no model, [`Error::Data`] when it was made for another
/// `twin.toml`.
pub fn published(source: Source, registry: &Registry, note: &dyn Fn(&str)) -> Result<Plant> {
    let (name, dir) = (source.name().to_owned(), source.dir());
    match source.champion(registry)? {
        Champion::Whole(stored) => Ok(source.opened(*stored)),
        Champion::StandIn { stored, why } => {
            note(&format!("{why}\nthe earlier champion {} stands in for it", stored.card.version));
            Ok(source.opened(*stored))
        }
        Champion::Never => {
            Err(Error::no_input(registry.dir(), format!("{name} has no model yet; run `twinopt fit {dir}` first")))
        }
        Champion::Outdated(version) => {
            Err(Error::Data(format!("{}; run `twinopt fit {dir}` first", outdated(&version))))
        }
    }
}

/// Why `version` does not count.
pub(super) fn outdated(version: &str) -> String {
    format!("model {version} was fitted with other signals, sample time or [model] settings than twin.toml has now")
}

/// Fits, publishes, and makes the model champion unless it is refused; the plant, and why it was refused. The caller
/// holds the registry's lock.
pub fn fit_and_publish(
    source: Source,
    registry: &Registry,
    seed: Option<u64>,
    tell: &dyn Fn(&str),
) -> Result<(Plant, Option<String>)> {
    let mut fitted = source.fit(&source.log, &source.spec.value.model, None, seed, tell)?;
    let refused = fitted.refused.take();
    let mut plant = source.with(fitted)?;
    let version = publish(registry, &plant)?;
    match &refused {
        None => record(registry, &plant, &version, Verdict::Promoted, &plant.card.reason.clone())?,
        Some(why) => record(registry, &plant, &version, Verdict::Refused, why)?,
    }
    plant.card.version = version.name;
    Ok((plant, refused))
}

/// The known effects of all controls.
fn effects(schema: &Schema, spec: &TwinSpec) -> Vec<KnownEffect> {
    let of = |(i, s): (usize, &crate::config::At<crate::config::SignalSpec>)| {
        let pairs = s.value.effects.iter().filter_map(move |(control, e)| {
            Some(KnownEffect { control: schema.find(control)?, signal: i, effect: e.value })
        });
        pairs.collect::<Vec<_>>()
    };
    spec.signals.iter().enumerate().flat_map(of).collect()
}
