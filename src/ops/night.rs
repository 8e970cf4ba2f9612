//! A night: a challenger, the gate, and the champion that stays or goes.

use std::ops::Range;
use std::time::Instant;

use super::gate::{Comparison, compare, decide};
use super::plant::{self, Champion, Source, Stored};
use super::status::{Gate, NONE, Status};
use super::{Registry, Verdict, now};
use crate::compute::Compute;
use crate::config::{Loaded, ModelSpec, RetrainSpec, TwinSpec};
use crate::error::{Error, Result};
use crate::scenario::results::ModelCard;
use crate::trajectory::Trajectory;

/// How a night ended.
pub struct Night {
    pub status: Status,
    /// Champion against challenger, where the gate compared them.
    pub comparison: Option<Comparison>,
}

/// What the gate did.
struct Outcome {
    gate: Gate,
    reason: String,
    champion: String,
    comparison: Option<Comparison>,
}

/// Fits a challenger on the newest window of the log, promotes it if it beats the champion on blocks that neither was
/// fitted on, and writes the plant's status. `compute` computes the models, `seed` stands in place of the twin's own, `tell`
/// hears what is being done.
///
/// # Errors
/// [`Error::Busy`] at once when another process holds the registry; all of the pipeline's. The champion is unchanged then.
pub fn retrain(
    spec: Loaded<TwinSpec>,
    compute: Compute,
    registry: &Registry,
    seed: Option<u64>,
    tell: &dyn Fn(&str),
) -> Result<Night> {
    let clock = Instant::now();
    // before the work: who comes second hears it at once
    let _lock = registry.lock("retrain")?;
    let unchanged = |e| match e {
        Error::Data(why) if !why.contains("champion unchanged") => Error::Data(format!("{why}\nchampion unchanged")),
        other => other,
    };
    let source = plant::read(spec, compute, tell).map_err(unchanged)?;
    let name = source.name().to_owned();
    let (rows, data_end) = (source.quality.grid_steps, source.quality.end.clone());
    let retrain = source.spec.value.retrain.as_ref();
    let max_age = retrain.and_then(|r| r.value.max_age.as_ref().map(|a| a.value.to_string()));
    let Outcome { gate, reason, champion, comparison } = night(source, registry, seed, tell).map_err(unchanged)?;
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
    Ok(Night { status, comparison })
}

fn night(source: Source, registry: &Registry, seed: Option<u64>, tell: &dyn Fn(&str)) -> Result<Outcome> {
    let held = source.champion(registry)?;
    let named = registry.champion()?.map(|v| v.name);
    let (log, model) = newest(&source);
    // nights keep to the way of planning that the champion was tuned to
    let before = match &held {
        Champion::Whole(stored) | Champion::StandIn { stored, .. } => {
            stored.card.tuned.as_ref().filter(|_| source.spec.value.tunes())
        }
        Champion::Never | Champion::Outdated(_) => None,
    };
    let mut challenger = source.fit(&log, &model, before, seed, tell)?;
    let keep = |reason: String, comparison| Outcome {
        gate: Gate::Kept,
        reason,
        champion: named.clone().unwrap_or_else(|| NONE.into()),
        comparison,
    };
    if let Some(why) = challenger.refused.take() {
        return Ok(keep(format!("champion unchanged: {why}"), None));
    }
    let (plant_model, caveat) = match &held {
        Champion::Whole(stored) => (Some(stored), String::new()),
        Champion::StandIn { stored, why } => {
            (Some(stored), format!("; compared with the earlier champion {}: {why}", stored.card.version))
        }
        Champion::Never | Champion::Outdated(_) => (None, String::new()),
    };
    let comparison = match plant_model {
        Some(stored) => {
            let Stored { twin, card } = stored.as_ref();
            // the challenger's hold-out is the blocks: rows of the cut log, which starts later than the whole one
            let offset = source.log.steps - log.steps;
            let fresh = unseen(&source.log, &challenger.holdout, offset, card)?;
            let (old, new) = ((&twin.map, &twin.noise_model), (&challenger.twin.map, &challenger.twin.noise_model));
            let horizon = card.horizon.min(challenger.card.horizon);
            match compare(old, new, &source.log, &fresh, horizon, challenger.twin.provenance.seed) {
                Ok(comparison) => Some(comparison),
                Err(Error::Attention(why)) => return Ok(keep(why + &caveat, None)),
                Err(other) => return Err(other),
            }
        }
        None => None,
    };
    let decision = comparison.as_ref().map(decide);
    let mut cut = source;
    cut.log = log;
    let plant = cut.with(challenger)?;
    let version = plant::publish(registry, &plant)?;
    let (gate, reason) = match (decision, &held) {
        (Some(d), _) if !d.promote => (Gate::Kept, d.reason + &caveat),
        (Some(d), _) => (Gate::Promoted, d.reason + &caveat),
        (None, Champion::Outdated(old)) => {
            (Gate::Replaced, format!("{}, and is replaced: {}", plant::outdated(old), plant.card.reason))
        }
        (None, _) => (Gate::First, format!("first model: {}", plant.card.reason)),
    };
    if gate == Gate::Kept {
        plant::record(registry, &plant, &version, Verdict::Refused, &reason)?;
        return Ok(keep(reason, comparison));
    }
    plant::record(registry, &plant, &version, Verdict::Promoted, &reason)?;
    Ok(Outcome { gate, reason, champion: version.name, comparison })
}

/// The newest window of the log with the newest blocks behind it, and how to learn from it: the blocks are the hold-out.
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

/// The challenger's hold-out in rows of the whole log, as far as it is later than all that the champion was fitted on.
fn unseen(
    log: &Trajectory,
    holdout: &[Range<usize>],
    offset: usize,
    champion: &ModelCard,
) -> Result<Vec<Range<usize>>> {
    let until: jiff::Timestamp = champion.trained_until.parse().map_err(|e| {
        let (version, until) = (&champion.version, &champion.trained_until);
        Error::Data(format!(
            "the card of version {version}: `{until}`, until when it was trained, is no time ({e}); run `twinopt fit` again"
        ))
    })?;
    let ms = (until.as_millisecond() - log.start.as_millisecond()).max(0);
    let first = usize::try_from(ms / log.step_ms).unwrap_or(0) + champion.lags + champion.horizon;
    let rows = holdout.iter().map(|r| (r.start + offset).max(first)..r.end + offset);
    Ok(rows.filter(|r| r.start < r.end).collect())
}
