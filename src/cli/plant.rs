//! What several verbs do first: read a plant, learn it, open its champion.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;

use super::output::note;
use super::project::Project;
use super::{Globals, progress};
use crate::check;
use crate::error::{Error, Fault, Result};
use crate::expr;
use crate::learn::{Split, learn};
use crate::log::{self, Quality};
use crate::ops::{Event, Lock, Registry, Verdict, Version};
use crate::scenario::results::ModelCard;
use crate::scenario::{Compiled, Plant, model_card, replay_checks};
use crate::schema::Schema;
use crate::spec::{self, Effect, Loaded, ModelSpec, Parsed, TwinSpec};
use crate::trajectory::Trajectory;
use crate::twin::{Provenance, Twin};

const MODEL: &str = "model.bin";
pub const CARD: &str = "card.json";

/// A plant's files, read; nothing learned yet.
pub struct Source {
    pub spec: Loaded<TwinSpec>,
    pub schema: Arc<Schema>,
    /// Derived signals filled.
    pub log: Trajectory,
    pub quality: Quality,
    pub compiled: Compiled,
}

/// What `fit` makes of a source.
pub struct Fitted {
    pub twin: Twin,
    pub card: ModelCard,
    pub holdout: Vec<Range<usize>>,
    /// Why the model should not be used.
    pub refused: Option<String>,
}

/// Reads and checks `twin.toml` in `dir`; with its warnings.
///
/// # Errors
/// [`Error::Config`] with all faults. A log that cannot be read is none here: reading it tells more.
pub fn load(dir: &Path) -> Result<(Loaded<TwinSpec>, Vec<Fault>)> {
    let parsed = spec::parse_twin(&spec::twin_file(dir))?;
    let faults = match &parsed.loaded {
        Some(loaded) => check::twin(&check::Plant::new(loaded)),
        None => Vec::new(),
    };
    sound(parsed, faults)
}

/// The twin of `parsed`, unless a fault of it or of `more` stands against that.
pub fn sound(parsed: Parsed<TwinSpec>, more: Vec<Fault>) -> Result<(Loaded<TwinSpec>, Vec<Fault>)> {
    let mut faults = parsed.faults;
    faults.extend(more);
    faults.retain(|f| f.code != "no-log");
    faults.sort_by_key(|f| (f.line, f.column));
    match parsed.loaded {
        Some(loaded) if faults.iter().all(|f| f.warning) => Ok((loaded, faults)),
        _ => Err(Error::Config(faults)),
    }
}

/// Reads the log of a twin.
pub fn read(spec: Loaded<TwinSpec>, globals: &Globals) -> Result<Source> {
    let dir = spec.path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let schema = expr::schema(&spec.value).map_err(|faults| faults_of(&spec, faults))?;
    let compiled = Compiled::new(&spec, &schema, &IndexMap::new())?;
    let spinner = progress::spinner(globals, &format!("reading the log of {}", spec.value.name.value));
    let (mut log, quality) = log::read(&dir, &spec.value, &schema)?;
    compiled.equations.fill(&mut log);
    spinner.finish_and_clear();
    Ok(Source { spec, schema, log, quality, compiled })
}

fn faults_of(spec: &Loaded<TwinSpec>, complaints: Vec<spec::Complaint>) -> Error {
    let fault = |(message, span): spec::Complaint| {
        let cure = "see `twinopt check`";
        crate::error::Fault::new("signal", &spec.path, &spec.text, Some(span), message, cure)
    };
    Error::Config(complaints.into_iter().map(fault).collect())
}

impl Source {
    pub fn name(&self) -> &str {
        &self.spec.value.name.value
    }

    /// Learns, scores and calibrates on `log`: the whole log or its newest part. `model` may differ from the file's in
    /// its hold-out (a challenger's).
    pub fn fit(&self, log: &Trajectory, model: &ModelSpec, globals: &Globals) -> Result<Fitted> {
        self.quality.require_complete()?;
        let spinner = progress::spinner(globals, &format!("learning {}", self.name()));
        let tell = |what: &str| spinner.set_message(format!("{}: {what}", self.name()));
        let spec = &self.spec.value;
        let mut model = model.clone();
        if let Some(seed) = globals.seed {
            model.seed = seed.into();
        }
        let learned = learn(log, &self.compiled.equations, &model, &effects(&self.schema, spec), &tell)?;
        let split = Split::new(log, &model, spec.step.value)?;
        let card = model_card(&learned, spec, &self.schema);
        // rows of the whole log, whatever part of it was learned from
        let first = self.log.step_at(log.start).unwrap_or(0);
        let rows = |list: &[Range<usize>]| list.iter().map(|r| r.start + first..r.end + first).collect();
        let (training, holdout) = (rows(&split.train), rows(&split.holdout));
        // the hash is that of the file as it is: a version must fit the file that it will be loaded with
        let sources = self.quality.sources.clone();
        let mut provenance = Provenance::new(spec, sources, training, holdout, card.trained_until.clone())?;
        provenance.seed = model.seed.value;
        let twin = Twin::new(learned.map, learned.spread, log, &split.train, provenance);
        spinner.finish_and_clear();
        Ok(Fitted { twin, card, holdout: split.holdout, refused: learned.refused })
    }

    /// The plant with `fitted` as its twin, and the card's replay of the hold-out made.
    pub fn with(self, fitted: Fitted) -> Result<Plant> {
        let seed = fitted.twin.provenance.seed;
        let config_hash = blake3::hash(self.spec.text.as_bytes()).to_hex().to_string();
        let Self { spec, schema, log, quality, compiled, .. } = self;
        let Fitted { twin, card, holdout, .. } = fitted;
        let mut plant = Plant { spec, schema, log, quality, twin, card, config_hash };
        plant.card.replay = replay_checks(&plant, &compiled, &holdout, seed)?;
        Ok(plant)
    }

    /// The stored twin of `version`.
    pub fn load(&self, registry: &Registry, version: &str) -> Result<(Twin, ModelCard)> {
        let bytes = registry.read(version, MODEL)?;
        let file = registry.dir().join("versions").join(version).join(MODEL);
        let twin = Twin::load(&bytes, &file, &self.spec.value, &self.schema, self.compiled.equations.clone())?;
        let card = registry.read(version, CARD)?;
        let mut card: ModelCard = serde_json::from_slice(&card)
            .map_err(|e| Error::Data(format!("the card of version {version}: {e}; run `twinopt fit` again")))?;
        version.clone_into(&mut card.version);
        Ok((twin, card))
    }

    /// The champion, when there is one that fits the present `twin.toml`.
    pub fn champion(&self, registry: &Registry) -> Result<Option<(Twin, ModelCard)>> {
        registry.champion()?.map(|v| self.load(registry, &v.name)).transpose()
    }
}

/// Stores the plant's twin as a version.
pub fn publish(registry: &Registry, plant: &Plant) -> Result<Version> {
    let card = serde_json::to_vec_pretty(&plant.card).map_err(|e| Error::Internal(e.to_string()))?;
    registry.publish(&[(MODEL, &plant.twin.save()?), (CARD, &card)])
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

/// The present, UTC, to the second.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The plant of a twin with its champion; fits first when there is none that fits `twin.toml`.
///
/// # Errors
/// [`Error::Attention`] when the model is refused.
pub fn open(project: &Project, spec: Loaded<TwinSpec>, globals: &Globals) -> Result<Plant> {
    let source = read(spec, globals)?;
    let registry = Registry::open(project.model_dir(source.name()));
    let name = source.name().to_owned();
    match source.champion(&registry) {
        // whatever seed it was fitted with: what passed the gate is not deposed by a run
        Ok(Some((twin, card))) => {
            let config_hash = blake3::hash(source.spec.text.as_bytes()).to_hex().to_string();
            let Source { spec, schema, log, quality, .. } = source;
            return Ok(Plant { spec, schema, log, quality, twin, card, config_hash });
        }
        Ok(None) => note(globals, &format!("{name} has no model yet: fitting it first")),
        Err(Error::Data(why)) => note(globals, &format!("{why}\nfitting {name} anew")),
        Err(other @ Error::NoInput { .. }) => note(globals, &format!("{other}\nfitting {name} anew")),
        Err(other) => return Err(other),
    }
    let _lock = Lock::take(registry.dir(), "run")?;
    let (plant, refused) = fit_and_publish(source, &registry, globals)?;
    match refused {
        Some(why) => Err(Error::Attention(why)),
        None => Ok(plant),
    }
}

/// Fits, publishes, and makes the model champion unless it is refused; the plant, and why it was refused. The caller
/// holds the registry's lock.
pub fn fit_and_publish(source: Source, registry: &Registry, globals: &Globals) -> Result<(Plant, Option<String>)> {
    let mut fitted = source.fit(&source.log, &source.spec.value.model, globals)?;
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

/// Known signs as columns: (control, signal, sign).
fn effects(schema: &Schema, spec: &TwinSpec) -> Vec<(usize, usize, Effect)> {
    let of = |(i, s): (usize, &crate::spec::At<crate::spec::SignalSpec>)| {
        let pairs = s.value.effects.iter().filter_map(move |(control, e)| Some((schema.find(control)?, i, e.value)));
        pairs.collect::<Vec<_>>()
    };
    spec.signals.iter().enumerate().flat_map(of).collect()
}
