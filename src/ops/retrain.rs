//! Retraining: fit a challenger, compare it with the champion in the gate, and promote or refuse it.

use std::ops::Range;
use std::time::Instant;

use super::gate::{Comparison, compare, decide};
use super::plant::{self, Champion, Source, StoredModel};
use super::status::{GateResult, NO_CHAMPION, Status};
use super::{EventKind, Registry, now};
use crate::compute::Compute;
use crate::config::{Loaded, ModelSpec, RetrainSpec, TwinSpec};
use crate::error::{Error, Result};
use crate::scenario::results::ModelCard;
use crate::trajectory::Trajectory;

/// The result of a retraining run.
pub struct Retrained {
    pub status: Status,
    /// Comparison of champion and challenger. `None` if there was no champion, or too little data for a comparison.
    pub comparison: Option<Comparison>,
}

/// The result of a retraining run before it is written as a [`Status`].
struct Promotion {
    gate: GateResult,
    reason: String,
    champion: String,
    comparison: Option<Comparison>,
}

/// Fits a challenger on the newest window of the log, promotes it if it beats the champion on blocks that were not used
/// to fit either of them, and writes the status of the plant. `seed` overrides the seed in the twin. `progress` is
/// called with the name of each stage.
///
/// # Errors
/// Returns [`Error::Busy`] at once if another process holds the lock of the registry, and the errors that
/// occur when the log is read and the challenger is fitted. If an error occurs, the champion stays unchanged.
pub fn retrain(
    spec: Loaded<TwinSpec>,
    compute: Compute,
    registry: &Registry,
    seed: Option<u64>,
    progress: &dyn Fn(&str),
) -> Result<Retrained> {
    let clock = Instant::now();
    // take the lock before the work starts, so that a second process fails at once
    let _lock = registry.lock("retrain")?;
    let unchanged = |e| match e {
        Error::Data(why) if !why.contains("champion unchanged") => Error::Data(format!("{why}\nchampion unchanged")),
        other => other,
    };
    let source = plant::read(spec, compute, progress).map_err(unchanged)?;
    let name = source.name().to_owned();
    let (rows, data_end) = (source.quality.grid_steps, source.quality.end.clone());
    let retrain = source.spec.value.retrain.as_ref();
    let max_age = retrain.and_then(|r| r.value.max_age.as_ref().map(|a| a.value.to_string()));
    let Promotion { gate, reason, champion, comparison } =
        challenge(source, registry, seed, progress).map_err(unchanged)?;
    let status = Status {
        plant: name,
        last_success: now(),
        seconds: clock.elapsed().as_secs_f64(),
        rows,
        data_end,
        champion,
        gate,
        reason,
        max_age,
    };
    status.write(registry.dir())?;
    Ok(Retrained { status, comparison })
}

/// Fits a challenger and lets the gate decide.
fn challenge(source: Source, registry: &Registry, seed: Option<u64>, progress: &dyn Fn(&str)) -> Result<Promotion> {
    let champion = source.champion(registry)?;
    let champion_name = registry.champion()?.map(|v| v.name);
    let (log, model) = newest(&source);
    // the challenger keeps the MPC settings of the champion
    let tuned = match &champion {
        Champion::Intact(stored) | Champion::Replacement { stored, .. } => {
            stored.card.tuned.as_ref().filter(|_| source.spec.value.tunes())
        }
        Champion::Absent | Champion::Outdated(_) => None,
    };
    let mut challenger = source.fit(&log, &model, tuned, seed, progress)?;
    let keep = |reason: String, comparison| Promotion {
        gate: GateResult::Kept,
        reason,
        champion: champion_name.clone().unwrap_or_else(|| NO_CHAMPION.into()),
        comparison,
    };
    if let Some(why) = challenger.refusal.take() {
        return Ok(keep(format!("champion unchanged: {why}"), None));
    }
    let (reference, caveat) = match &champion {
        Champion::Intact(stored) => (Some(stored), String::new()),
        Champion::Replacement { stored, why } => {
            (Some(stored), format!("; compared with the earlier champion {}: {why}", stored.card.version))
        }
        Champion::Absent | Champion::Outdated(_) => (None, String::new()),
    };
    let comparison = match reference {
        Some(stored) => {
            let StoredModel { twin, card } = stored.as_ref();
            // the hold-out of the challenger is given as rows of the shortened log; `offset` converts them to rows of
            // the full log
            let offset = source.log.steps - log.steps;
            let blocks = held_out(&source.log, &challenger.holdout, offset, card)?;
            let (old, new) = ((&twin.map, &twin.noise_model), (&challenger.twin.map, &challenger.twin.noise_model));
            let horizon = card.horizon.min(challenger.card.horizon);
            match compare(old, new, &source.log, &blocks, horizon, challenger.twin.provenance.seed) {
                Ok(comparison) => Some(comparison),
                Err(Error::Attention(why)) => return Ok(keep(why + &caveat, None)),
                Err(other) => return Err(other),
            }
        }
        None => None,
    };
    let decision = comparison.as_ref().map(decide);
    let mut shortened = source;
    shortened.log = log;
    let plant = shortened.with_fitted(challenger)?;
    let version = plant::publish(registry, &plant)?;
    let (gate, reason) = match (decision, &champion) {
        (Some(d), _) if !d.promote => (GateResult::Kept, d.reason + &caveat),
        (Some(d), _) => (GateResult::Promoted, d.reason + &caveat),
        (None, Champion::Outdated(old)) => {
            (GateResult::Replaced, format!("{}, so it is replaced: {}", plant::outdated(old), plant.card.reason))
        }
        (None, _) => (GateResult::First, format!("first model: {}", plant.card.reason)),
    };
    if gate == GateResult::Kept {
        plant::record(registry, &plant, &version, EventKind::Refused, &reason)?;
        return Ok(keep(reason, comparison));
    }
    plant::record(registry, &plant, &version, EventKind::Promoted, &reason)?;
    Ok(Promotion { gate, reason, champion: version.name, comparison })
}

/// Returns the part of the log that contains the newest training window and the blocks after it, and model settings in
/// which these blocks are the hold-out.
fn newest(source: &Source) -> (Trajectory, ModelSpec) {
    let spec = &source.spec.value;
    let step = spec.step.value;
    let mut model = spec.model.clone();
    let (window, blocks) = match &spec.retrain {
        Some(r) => {
            let RetrainSpec { window, blocks, .. } = &r.value;
            (window.value.steps(step, 1), blocks.value)
        }
        None => (usize::MAX, spec.model.holdout.value),
    };
    model.holdout = blocks.into();
    let log = &source.log;
    let keep = window.saturating_add(blocks.steps(step, 1)).min(log.steps);
    (log.part(log.steps - keep..log.steps), model)
}

/// The rows of the challenger's hold-out that are later than the training data of the champion. Row numbers refer to
/// the whole log.
fn held_out(
    log: &Trajectory,
    holdout: &[Range<usize>],
    offset: usize,
    champion: &ModelCard,
) -> Result<Vec<Range<usize>>> {
    let until: jiff::Timestamp = champion.trained_until.parse().map_err(|e| {
        let (version, until) = (&champion.version, &champion.trained_until);
        Error::Data(format!(
            "the model card of version {version}: `trained_until` is `{until}`, which is not a time ({e}); run `twinopt fit` again"
        ))
    })?;
    let ms = (until.as_millisecond() - log.start.as_millisecond()).max(0);
    let first = usize::try_from(ms / log.step_ms).unwrap_or(0) + champion.lags + champion.horizon;
    let rows = holdout.iter().map(|r| (r.start + offset).max(first)..r.end + offset);
    Ok(rows.filter(|r| r.start < r.end).collect())
}
