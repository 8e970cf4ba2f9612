//! `twinopt retrain`: a challenger, the gate, and the champion that stays or goes.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;

use super::Globals;
use super::output::{self, SCHEMA_VERSION};
use super::plant::{self, Source};
use super::project::Project;
use crate::error::{Error, Result};
use crate::ops::retrain::{compare, decide};
use crate::ops::status::{NONE, Status};
use crate::ops::{Lock, Registry, Verdict};
use crate::scenario::results::ModelCard;
use crate::spec::{ModelSpec, RetrainSpec};
use crate::trajectory::Trajectory;

/// Fit a challenger and promote it if it beats the champion.
///
/// Both are scored on the same newest blocks of the log, which neither was fitted on. The champion stays unless the
/// challenger is better by more than its own noise and covers as it should (exit 3 says why not).
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  twinopt retrain data/datacenter")]
pub struct Args {
    /// Folder of the twin, e.g. data/datacenter
    pub dir: PathBuf,
}

/// How a night ended.
struct Night {
    gate: &'static str,
    reason: String,
    champion: String,
    comparison: Option<crate::ops::retrain::Comparison>,
}

pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let clock = Instant::now();
    let (spec, _) = plant::load(&args.dir)?;
    let registry = Registry::open(Project::find(&args.dir)?.model_dir(&spec.value.name.value));
    // before the work: who comes second hears it at once
    let lock = Lock::take(registry.dir(), "retrain")?;
    let source = plant::read(spec, globals)?;
    let name = source.name().to_owned();
    let (rows, data_end) = (source.quality.grid_steps, source.quality.end.clone());
    let max_age =
        source.spec.value.retrain.as_ref().and_then(|r| r.value.max_age.as_ref().map(|a| a.value.to_string()));
    let night = night(source, &registry, globals).map_err(|e| match e {
        Error::Data(why) => Error::Data(format!("{why}\nchampion unchanged")),
        other => other,
    })?;
    let status = Status {
        plant: name.clone(),
        last_success: plant::now(),
        seconds: clock.elapsed().as_secs_f64(),
        rows,
        data_end,
        champion: night.champion.clone(),
        gate: night.gate.into(),
        reason: night.reason.clone(),
        max_age,
    };
    status.write(registry.dir())?;
    drop(lock);
    if globals.json {
        output::json(&json!({ "schema_version": SCHEMA_VERSION, "status": status, "comparison": night.comparison }))?;
    } else if !globals.quiet {
        // why a champion was kept is told once, as what needs attention
        let reason = if night.gate == "kept" { String::new() } else { format!("{name}: {}\n", night.reason) };
        output::print(&format!("{reason}champion: {}", night.champion))?;
    }
    match night.gate {
        "kept" => Err(Error::Attention(format!("{name}: {}", night.reason))),
        _ => Ok(()),
    }
}

fn night(source: Source, registry: &Registry, globals: &Globals) -> Result<Night> {
    let (champion, unread) = match source.champion(registry) {
        Ok(champion) => (champion, None),
        // a champion that cannot be read, or that speaks of other signals, is replaced and not compared
        Err(why @ (Error::Data(_) | Error::NoInput { .. })) => (None, Some(why)),
        Err(other) => return Err(other),
    };
    let (log, model) = newest(&source);
    let challenger = source.fit(&log, &model, globals)?;
    let refused = challenger.refused.clone();
    // the challenger's hold-out is the blocks: rows of the cut log, which starts later than the whole one
    let offset = source.log.steps - log.steps;
    let both = champion.as_ref().map(|(twin, card)| {
        let fresh = unseen(&source.log, &challenger.holdout, offset, card);
        let (a, b) = ((&twin.map, &twin.spread), (&challenger.twin.map, &challenger.twin.spread));
        compare(a, b, &source.log, &fresh, card.horizon.min(challenger.card.horizon), challenger.twin.provenance.seed)
    });
    let name = champion.map(|(_, card)| card.version);
    let keep = |reason: String, comparison| Night {
        gate: "kept",
        reason,
        champion: name.clone().unwrap_or_else(|| NONE.into()),
        comparison,
    };
    if let Some(why) = refused {
        return Ok(keep(format!("champion unchanged: {why}"), None));
    }
    let comparison = match both {
        Some(Ok(comparison)) => Some(comparison),
        Some(Err(Error::Attention(why))) => return Ok(keep(why, None)),
        Some(Err(other)) => return Err(other),
        None => None,
    };
    let decision = comparison.as_ref().map(decide);
    let mut cut = source;
    cut.log = log;
    let plant = cut.with(challenger)?;
    let version = plant::publish(registry, &plant)?;
    Ok(match decision {
        Some(d) if !d.promote => {
            plant::record(registry, &plant, &version, Verdict::Refused, &d.reason)?;
            keep(d.reason, comparison)
        }
        decision => {
            let reason = match (decision, unread) {
                (Some(d), _) => d.reason,
                (None, Some(why)) => {
                    format!("in place of a champion that cannot be used ({why}): {}", plant.card.reason)
                }
                (None, None) => format!("first model: {}", plant.card.reason),
            };
            plant::record(registry, &plant, &version, Verdict::Promoted, &reason)?;
            let gate = if comparison.is_some() { "promoted" } else { "first" };
            Night { gate, reason, champion: version.name, comparison }
        }
    })
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
    (tail(log, log.steps - keep), model)
}

/// The log from row `first` on.
fn tail(log: &Trajectory, first: usize) -> Trajectory {
    let mut cut = Trajectory::empty(log.schema.clone(), log.time(first), log.step_ms, log.steps - first, 1);
    for (to, from) in cut.columns.iter_mut().zip(&log.columns) {
        to.copy_from_slice(&from[first..]);
    }
    let inside = log.segments.iter().filter(|s| s.end > first);
    cut.segments = inside.map(|s| s.start.max(first) - first..s.end - first).collect();
    cut
}

/// The challenger's hold-out in rows of the whole log, as far as it is later than all that the champion was fitted on.
fn unseen(log: &Trajectory, holdout: &[Range<usize>], offset: usize, champion: &ModelCard) -> Vec<Range<usize>> {
    let until = champion.trained_until.parse::<jiff::Timestamp>().ok();
    let gap = champion.lags + champion.horizon;
    let ms = until.map_or(0, |t| (t.as_millisecond() - log.start.as_millisecond()).max(0));
    let first = usize::try_from(ms / log.step_ms).unwrap_or(0) + gap;
    holdout.iter().map(|r| (r.start + offset).max(first)..r.end + offset).filter(|r| r.start < r.end).collect()
}
