//! Publishes models, and opens a plant with its champion.

use std::time::Instant;

use super::night::{Cause, Night, Outcome};
use super::plant::{CARD_FILE, Champion, Source, StoredModel, outdated};
use super::{Event, EventKind, Registry, Version, drift, now};
use crate::error::{Error, Result};
use crate::scenario::Plant;
use crate::twin::MODEL_FILE;

/// Stores the twin of the plant as a version.
pub fn publish(registry: &Registry, plant: &Plant) -> Result<Version> {
    let card = serde_json::to_vec_pretty(&plant.card).map_err(|e| Error::Internal(e.to_string()))?;
    registry.publish(&[(MODEL_FILE, &plant.twin.save()?), (CARD_FILE, &card)])
}

/// Appends an event that concerns `version`.
pub fn record(registry: &Registry, plant: &Plant, version: &Version, kind: EventKind, reason: &str) -> Result<()> {
    registry.record(&Event {
        kind,
        version: version.name.clone(),
        at: now(),
        reason: reason.to_owned(),
        data_end: plant.quality.end.clone(),
    })
}

/// Loads a plant and its champion. Fits a model first if there is none for the present `twin.toml`. `note` is called
/// with messages to the user.
///
/// # Errors
/// Returns the errors of [`Source::champion`], and [`Error::Attention`] if the new model is refused.
pub fn open(
    source: Source,
    registry: &Registry,
    seed: Option<u64>,
    progress: &dyn Fn(&str),
    note: &dyn Fn(&str),
) -> Result<Plant> {
    let name = source.name().to_owned();
    match source.champion(registry)? {
        // the champion is used even if it was fitted with another seed, because only the gate may replace it
        Champion::Intact(stored) => return Ok(opened(source, *stored)),
        Champion::Replacement { stored, why } => {
            let (version, dir) = (&stored.card.version, source.dir());
            note(&format!(
                "{why}\nthe earlier champion {version} is used instead; to make it the champion, run `twinopt models {dir} rollback`"
            ));
            return Ok(opened(source, *stored));
        }
        Champion::Absent => note(&format!("{name} has no model yet; fitting one now")),
        Champion::Outdated(version) => note(&format!("{}; fitting {name} again", outdated(&version))),
    }
    let _lock = registry.lock("run")?;
    let (plant, refused) = fit_and_publish(source, registry, seed, progress)?;
    match refused {
        Some(why) => Err(Error::Attention(why)),
        None => Ok(plant),
    }
}

/// Loads a plant and its champion. Never fits a model.
///
/// # Errors
/// Returns the errors of [`Source::champion`], [`Error::NoInput`] if there is no model, and [`Error::Data`] if the
/// champion was fitted for another `twin.toml`.
pub fn open_published(source: Source, registry: &Registry, note: &dyn Fn(&str)) -> Result<Plant> {
    let (name, dir) = (source.name().to_owned(), source.dir());
    match source.champion(registry)? {
        Champion::Intact(stored) => Ok(opened(source, *stored)),
        Champion::Replacement { stored, why } => {
            note(&format!("{why}\nthe earlier champion {} is used instead", stored.card.version));
            Ok(opened(source, *stored))
        }
        Champion::Absent => {
            Err(Error::no_input(registry.dir(), format!("{name} has no model yet; run `twinopt fit {dir}` first")))
        }
        Champion::Outdated(version) => {
            Err(Error::Data(format!("{}; run `twinopt fit {dir}` first", outdated(&version))))
        }
    }
}

/// The plant with a stored model, and a note if the plant has changed since the model was fitted.
fn opened(source: Source, mut stored: StoredModel) -> Plant {
    stored.card.notes.extend(drift::since_fit(&source, &stored));
    source.with_stored(stored)
}

/// Fits and publishes a model, and makes it champion unless it is refused. Returns the plant and, if the model is
/// refused, the reason for the refusal. The result is recorded in the history. The caller must hold the lock of the
/// registry.
pub fn fit_and_publish(
    source: Source,
    registry: &Registry,
    seed: Option<u64>,
    progress: &dyn Fn(&str),
) -> Result<(Plant, Option<String>)> {
    let clock = Instant::now();
    let inputs = source.inputs()?;
    let mut fitted = source.fit(&source.log, &source.spec.value.model, None, seed, progress)?;
    let refused = fitted.refusal.take();
    let mut plant = source.with_fitted(fitted)?;
    let version = publish(registry, &plant)?;
    let (kind, outcome, reason) = match &refused {
        None => (EventKind::Promoted, Outcome::Fitted, &plant.card.reason),
        Some(why) => (EventKind::Refused, Outcome::NeedsAttention, why),
    };
    record(registry, &plant, &version, kind, reason)?;
    let night = Night {
        plant: plant.spec.value.name.value.clone(),
        at: now(),
        outcome,
        exit_code: if refused.is_some() { Error::Attention(String::new()).exit_code() } else { 0 },
        reason: reason.clone(),
        champion: registry.champion()?.map(|v| v.name),
        seconds: clock.elapsed().as_secs_f64(),
        rows: plant.quality.grid_steps,
        data_end: plant.quality.end.clone(),
        inputs,
        seed,
        import: Vec::new(),
        comparison: None,
        cause: refused.is_some().then_some(Cause::NoSkill),
        drift: None,
    };
    night.append(registry.dir())?;
    plant.card.version = version.name;
    Ok((plant, refused))
}
