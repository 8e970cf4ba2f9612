//! Retraining: fit a challenger, compare it with the champion in the gate, and promote or refuse it. Every night is
//! recorded in the history.

use std::ops::Range;
use std::time::Instant;

use jiff::Timestamp;

use super::drift::examine;
use super::night::{Cause, Night, Outcome, history};
use super::nightly::Place;
use super::plant::{self, Champion, Source, StoredModel};
use super::project::Project;
use super::status::readable;
use super::{EventKind, Registry, gc, now, publish};
use crate::compute::Compute;
use crate::config::{Loaded, MIN_BLOCKS, ModelSpec, RetrainSpec, TimeSpan, TwinSpec, least_blocks, suggested_blocks};
use crate::error::{Error, Result};
use crate::learn::drift::Drift;
use crate::learn::gate::{Comparison, TooFewBlocks, compare, decide, has_drifted};
use crate::log::{FindingClass, Quality};
use crate::scenario::results::ModelCard;
use crate::trajectory::Trajectory;

/// Facts about the log that are known when the retraining ends.
#[derive(Default)]
struct LogFacts {
    quality: Option<Quality>,
    inputs: String,
}

/// The result of a night that ended without an error.
struct Verdict {
    outcome: Outcome,
    reason: String,
    comparison: Option<Comparison>,
    cause: Option<Cause>,
    drift: Option<Drift>,
}

impl Verdict {
    fn new(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self { outcome, reason: reason.into(), comparison: None, cause: None, drift: None }
    }

    fn attention(cause: Cause, reason: impl Into<String>) -> Self {
        Self { cause: Some(cause), ..Self::new(Outcome::NeedsAttention, reason) }
    }
}

/// Fits a challenger on the newest window of the log, promotes it if it beats the champion on blocks that were not used
/// to fit either of them, and records the night. `seed` overrides the seed in the twin. `update` is called first, and
/// adds new rows to the log. `progress` is called with the name of each stage. Finally, the page of the night is
/// written to the report folder of the plant, and model versions that are no longer needed are removed.
///
/// # Errors
/// Returns [`Error::Busy`] at once if another process holds the lock of the registry, and the errors that
/// occur when the log is updated and read, and when the challenger is fitted. If an error occurs, the champion stays
/// unchanged.
pub fn retrain(
    spec: Loaded<TwinSpec>,
    compute: Compute,
    project: &Project,
    seed: Option<u64>,
    update: &dyn Fn() -> Result<Vec<String>>,
    progress: &dyn Fn(&str),
) -> Result<Night> {
    let clock = Instant::now();
    // take the lock before the work starts, so that a second process fails at once
    let plant = spec.value.name.value.clone();
    let registry = &Registry::open(project.model_dir(&plant));
    let _lock = registry.lock("retrain")?;
    let place = Place::new(project, &spec);
    let mut log = LogFacts::default();
    let (import, result) = match update() {
        Ok(notes) => (notes, attempt(spec, compute, registry, seed, progress, &mut log)),
        Err(error) => (Vec::new(), Err(error)),
    };
    let (verdict, exit_code) = match &result {
        Ok(verdict) => {
            (verdict, if verdict.outcome.is_good() { 0 } else { Error::Attention(String::new()).exit_code() })
        }
        Err(error) => {
            let (outcome, cause) = Outcome::of(error);
            (&Verdict { cause: Some(cause), ..Verdict::new(outcome, error.to_string()) }, error.exit_code())
        }
    };
    let LogFacts { quality, inputs } = log;
    let night = Night {
        plant,
        at: now(),
        outcome: verdict.outcome,
        exit_code,
        reason: verdict.reason.clone(),
        champion: registry.champion().ok().flatten().map(|v| v.name),
        seconds: clock.elapsed().as_secs_f64(),
        rows: quality.as_ref().map_or(0, |q| q.grid_steps),
        data_end: quality.as_ref().map_or_else(String::new, |q| q.end.clone()),
        inputs,
        seed,
        import,
        comparison: verdict.comparison.clone(),
        cause: verdict.cause,
        drift: verdict.drift.clone(),
    };
    let recorded = night.append(registry.dir()).and_then(|()| place.write(registry, &night, quality.as_ref()));
    // versions that cannot be removed tonight are removed by a later retraining
    let _ = gc::collect(project, registry, &night.plant, gc::KEPT, false);
    match result {
        Ok(_) => recorded.map(|()| night),
        Err(Error::Data(why)) if !why.contains("champion unchanged") => {
            Err(Error::Data(format!("{why}\nchampion unchanged")))
        }
        Err(error) => Err(error),
    }
}

fn attempt(
    spec: Loaded<TwinSpec>,
    compute: Compute,
    registry: &Registry,
    seed: Option<u64>,
    progress: &dyn Fn(&str),
    log: &mut LogFacts,
) -> Result<Verdict> {
    let source = plant::read(spec, compute, progress)?;
    *log = LogFacts { quality: Some(source.quality.clone()), inputs: source.inputs()? };
    let champion = source.champion(registry)?;
    let age = champion_age(registry)?;
    let max_age = source.spec.value.max_champion_age();
    let aged = age > max_age;
    let mut verdict = match nothing_new(&champion, registry, &log.inputs, seed) {
        Some(verdict) => verdict,
        None => challenge(source, champion, registry, seed, aged, progress)?,
    };
    if aged && matches!(verdict.outcome, Outcome::Kept | Outcome::Waiting | Outcome::NothingNew) {
        (verdict.outcome, verdict.cause) = (Outcome::NeedsAttention, Some(Cause::OldChampion));
        let age = readable(age);
        verdict.reason += &format!("; the champion is {age} old, but `retrain.max_age` is {max_age}");
    }
    Ok(verdict)
}

/// Time since the champion was first promoted. A later rollback to the same champion does not reset this time.
fn champion_age(registry: &Registry) -> Result<TimeSpan> {
    let since = registry.champion_since()?.unwrap_or(Timestamp::MAX);
    Ok(TimeSpan::from_ms((Timestamp::now().as_millisecond() - since.as_millisecond()).max(0)))
}

/// The nights that did not fail and whose log was not refused, oldest first.
fn judged(registry: &Registry) -> Vec<Night> {
    // a damaged history is reported by `status`
    let mut nights = history(registry.dir()).unwrap_or_default();
    nights.retain(|n| n.outcome.is_good() || n.outcome == Outcome::NeedsAttention);
    nights
}

/// Returns a verdict if the log and the settings are the same as on the last night whose log was accepted.
fn nothing_new(champion: &Champion, registry: &Registry, inputs: &str, seed: Option<u64>) -> Option<Verdict> {
    let Champion::Intact(stored) = champion else { return None };
    let nights = judged(registry);
    let last = nights.last()?;
    if last.inputs != inputs || !(seed.is_none() || seed == last.seed) {
        return None;
    }
    // all nights since `first` had the same inputs
    let first = nights.iter().rev().take_while(|n| n.inputs == inputs).last()?;
    let text = format!(
        "nothing new since {}: the log (newest row {}) and the settings are the same, so nothing was fitted; champion \
         unchanged",
        first.at, first.data_end
    );
    if first.outcome.is_good() {
        return Some(Verdict::new(Outcome::NothingNew, text));
    }
    // the cause of the alarm still exists, unless the champion has been changed manually
    let unchanged = first.champion.as_ref() == Some(&stored.card.version);
    unchanged.then(|| Verdict {
        cause: first.cause,
        ..Verdict::new(Outcome::NeedsAttention, format!("{}; {text}", first.reason))
    })
}

/// Fits a challenger and lets the gate decide.
fn challenge(
    source: Source,
    champion: Champion,
    registry: &Registry,
    seed: Option<u64>,
    aged: bool,
    progress: &dyn Fn(&str),
) -> Result<Verdict> {
    let (log, model) = newest(&source);
    let (reference, caveat) = match &champion {
        Champion::Intact(stored) => (Some(stored), String::new()),
        Champion::Replacement { stored, why } => {
            (Some(stored), format!("; compared with the earlier champion {}: {why}", stored.card.version))
        }
        Champion::Absent | Champion::Outdated(_) => (None, String::new()),
    };
    if let Some(stored) = reference {
        refuse_new_units(&source, registry, &stored.card)?;
        if let Some(why) = closed_for_good(&source.spec.value, &model) {
            return Ok(Verdict::attention(Cause::ClosedGate, why));
        }
    }
    // the challenger keeps the MPC settings of the champion
    let tuned = reference.and_then(|s| s.card.tuned.as_ref()).filter(|_| source.spec.value.tunes());
    let mut challenger = source.fit(&log, &model, tuned, seed, progress)?;
    if let Some(why) = challenger.refusal.take() {
        return Ok(Verdict::attention(Cause::NoSkill, format!("champion unchanged: {why}")));
    }
    let mut drift = None;
    let comparison = match reference {
        Some(stored) => {
            let StoredModel { twin, card } = stored.as_ref();
            // the hold-out of the challenger is given as rows of the shortened log; `offset` converts them to rows of
            // the full log
            let offset = source.log.steps - log.steps;
            let blocks = held_out(&source.log, &challenger.holdout, offset, card)?;
            let (old, new) = ((&twin.map, &twin.noise_model), (&challenger.twin.map, &challenger.twin.noise_model));
            let horizon = card.horizon.min(challenger.card.horizon);
            let (zone, seed) = (source.spec.value.zone()?, challenger.twin.provenance.seed);
            match compare(old, new, &source.log, &blocks, horizon, &zone, seed) {
                Ok(comparison) => {
                    progress("examining the log for drift");
                    drift = Some(examine(&source, stored, &challenger.card, &blocks));
                    Some((comparison, promised_coverage(card)))
                }
                Err(few) => return Ok(Verdict::new(Outcome::Waiting, too_few(&few, &source.log) + &caveat)),
            }
        }
        None => None,
    };
    let decision = comparison.as_ref().map(|(c, _)| decide(c, aged));
    let mut shortened = source;
    shortened.log = log;
    let compute = shortened.compute.clone();
    let plant = shortened.with_fitted(challenger)?;
    let version = publish::publish(registry, &plant)?;
    if !plant::predicts_the_same(registry, &version.name, &plant, &compute)? {
        return Err(Error::Internal(format!(
            "the predictions of the stored model {} differ from those of the fitted model; champion unchanged",
            version.name
        )));
    }
    let (outcome, reason) = match (decision, &champion) {
        (Some(d), _) if !d.promote => (Outcome::Kept, d.reason + &caveat),
        (Some(d), _) => (Outcome::Promoted, d.reason + &caveat),
        (None, Champion::Outdated(old)) => {
            (Outcome::Replaced, format!("{}, so it is replaced: {}", plant::outdated(old), plant.card.reason))
        }
        (None, _) => (Outcome::First, format!("first model: {}", plant.card.reason)),
    };
    let kind = if outcome == Outcome::Kept { EventKind::Refused } else { EventKind::Promoted };
    publish::record(registry, &plant, &version, kind, &reason)?;
    let mut verdict = Verdict { drift, ..Verdict::new(outcome, reason) };
    if let Some((c, promised)) = comparison.as_ref().filter(|_| outcome == Outcome::Kept) {
        let worse = verdict.drift.as_ref().filter(|d| d.is_costly()).map(Drift::notes);
        let found = if has_drifted(c, *promised) {
            Some(format!(
                "the champion's 90 % intervals cover only {:.0} % of the newest values ({:.0} % when it was fitted)",
                100.0 * c.champion_coverage,
                100.0 * promised
            ))
        } else {
            // the first notes describe the shifts of the errors and the increase in loss
            worse.map(|notes| notes.join("; "))
        };
        if let Some(found) = found {
            (verdict.outcome, verdict.cause) = (Outcome::NeedsAttention, Some(Cause::Drift));
            verdict.reason += &format!(
                "; drift: {found}, so the plant or its sensors have changed; look for the cause with `twinopt inspect`"
            );
        }
    }
    verdict.comparison = comparison.map(|(c, _)| c);
    Ok(verdict)
}

/// The reason why no challenger can ever pass the gate, if there is one. `model.holdout` contains the gate blocks.
fn closed_for_good(spec: &TwinSpec, model: &ModelSpec) -> Option<String> {
    let (least, blocks) = (least_blocks(model, spec.step.value), model.holdout.value);
    let advice = match &spec.retrain {
        Some(_) => "increase `retrain.blocks`",
        None => "the gate uses `model.holdout`, because twin.toml has no table `[retrain]`; add one",
    };
    (blocks < least).then(|| {
        format!(
            "champion unchanged: the gate can never open, because it compares two models on a part of the log that is \
             {blocks} long, but {MIN_BLOCKS} blocks need {least}; {advice}, with `blocks = \"{}\"`",
            suggested_blocks(model, spec.step.value)
        )
    })
}

/// The reason to keep the champion if the log has too few blocks.
fn too_few(few: &TooFewBlocks, log: &Trajectory) -> String {
    let block = TimeSpan::from_steps(few.length, log.step_ms);
    let missing = TimeSpan::from_steps(few.length * (MIN_BLOCKS - few.found), log.step_ms);
    format!(
        "champion kept: the gate compares two models on {MIN_BLOCKS} blocks of {block} to which neither was fitted, but \
         there are only {}; the comparison is possible when the log is about {missing} longer",
        few.found
    )
}

/// Fraction of the hold-out that the champion's 90 % intervals covered when it was fitted, at the control horizon.
fn promised_coverage(card: &ModelCard) -> f64 {
    let at_horizon = card.scores.iter().filter(|s| s.model == card.model && s.horizon == card.horizon);
    let (sum, n) = at_horizon.fold((0.0, 0), |(sum, n), s| (sum + s.coverage_fixed[2], n + 1));
    if n == 0 { 0.9 } else { sum / f64::from(n) }
}

/// Refuses the log if its new values, which no earlier fit or retraining has accepted, seem to be in a different unit.
fn refuse_new_units(source: &Source, registry: &Registry, champion: &ModelCard) -> Result<()> {
    let accepted = judged(registry).iter().filter_map(|n| n.data_end.parse().ok()).max();
    let accepted = accepted.map_or_else(|| trained_until(champion), Ok)?;
    let is_new = |time: &str| time.parse::<Timestamp>().is_ok_and(|t| t > accepted);
    let jumps = source.quality.findings.iter().filter(|f| f.class == FindingClass::UnitJump && is_new(&f.last));
    let lines: Vec<String> = jumps
        .map(|f| format!("\n  `{}`, {} values from {} to {}: {}", f.signal, f.count, f.first, f.last, f.note))
        .collect();
    if lines.is_empty() {
        return Ok(());
    }
    let dir = source.dir();
    Err(Error::Data(format!(
        "the newest part of the log has values in another unit:{}\n  champion unchanged; if the values are right, run \
         `twinopt fit {dir}`",
        lines.concat()
    )))
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
    let ms = (trained_until(champion)?.as_millisecond() - log.start.as_millisecond()).max(0);
    let first = usize::try_from(ms / log.step_ms).unwrap_or(0) + champion.lags + champion.horizon;
    let rows = holdout.iter().map(|r| (r.start + offset).max(first)..r.end + offset);
    Ok(rows.filter(|r| r.start < r.end).collect())
}

fn trained_until(champion: &ModelCard) -> Result<Timestamp> {
    champion.trained_until.parse().map_err(|e| {
        let (version, until) = (&champion.version, &champion.trained_until);
        Error::Data(format!(
            "the model card of version {version}: `trained_until` is `{until}`, which is not a time ({e}); run `twinopt fit` again"
        ))
    })
}
