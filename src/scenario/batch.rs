//! Many scenarios at once: parallel, resumable, and none can stop the others.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::case::run_scenario;
use super::parts;
use super::plant::Plant;
use super::results::ScenarioResult;
use crate::config::{Loaded, ScenarioSpec};
use crate::control::Clock;
use crate::error::{Error, Fault, Result};

/// What to run and how.
pub struct Batch<'a> {
    pub plant: &'a Plant,
    pub scenarios: &'a [Loaded<ScenarioSpec>],
    /// Report folder of the plant; finished scenarios wait in its `.parts`.
    pub dir: &'a Path,
    /// Take finished scenarios from `.parts` when nothing that they depend on has changed.
    pub resume: bool,
    /// In place of the scenarios' own seeds.
    pub seed: Option<u64>,
    /// By which plans keep their budget; `None`: they take the time that they need.
    pub clock: Option<&'a Clock>,
}

/// Counts finished simulation steps, for a progress bar.
#[derive(Debug, Default)]
pub struct Ticker {
    pub done: AtomicU64,
}

impl Ticker {
    pub fn tick(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }
}

impl Batch<'_> {
    /// Simulation steps of the whole batch.
    pub fn steps(&self) -> u64 {
        self.scenarios.iter().map(|s| self.steps_of(s)).sum()
    }

    fn steps_of(&self, scenario: &Loaded<ScenarioSpec>) -> u64 {
        (self.plant.steps(scenario.value.length.value) * scenario.value.case.len()) as u64
    }
}

/// A scenario's result, and why it failed if it did.
pub type Outcome = (ScenarioResult, Option<Error>);

/// Runs every scenario; one outcome each, in order. Only an interrupt or a full disk ends the batch early, and then
/// what had finished can be resumed.
pub fn run(batch: &Batch, ticker: &Ticker, stop: &(dyn Fn() -> bool + Sync)) -> Result<Vec<Outcome>> {
    batch
        .scenarios
        .par_iter()
        .map(|scenario| {
            if stop() {
                return Err(Error::Interrupted);
            }
            let inputs = parts::fingerprint(batch.plant, scenario, batch.seed);
            if batch.resume
                && let Some(done) = parts::load(batch.dir, scenario.stem(), &inputs)
            {
                ticker.done.fetch_add(batch.steps_of(scenario), Ordering::Relaxed);
                return Ok((done, None));
            }
            let outcome = catch_unwind(AssertUnwindSafe(|| run_scenario(batch, scenario, ticker, stop)))
                .unwrap_or_else(|_| Err(Error::Internal("the scenario ended in a defect of the program".into())));
            match outcome {
                Ok((mut result, trajectories)) => {
                    result.inputs = inputs;
                    parts::save(batch.dir, &result, &trajectories)?;
                    Ok((result, None))
                }
                Err(Error::Interrupted) => Err(Error::Interrupted),
                Err(error) => Ok((failed(scenario, batch.seed, &error), Some(error))),
            }
        })
        .collect()
}

/// What the results say of a scenario that failed.
pub fn failed(scenario: &Loaded<ScenarioSpec>, seed: Option<u64>, error: &Error) -> ScenarioResult {
    let s = &scenario.value;
    ScenarioResult {
        question: s.question.value.clone(),
        start: s.start.value.to_string(),
        hours: s.length.value.seconds() / 3600.0,
        days_per_year: s.days_per_year.as_ref().map(|d| d.value),
        particles: s.particles.value,
        seed: seed.unwrap_or(s.seed.value),
        ..unread(&scenario.path, error)
    }
}

/// The same of a file of which nothing can be said but its name.
pub fn unread(file: &Path, error: &Error) -> ScenarioResult {
    let text = match error {
        Error::Config(faults) => {
            let line = |f: &Fault| format!("line {}: {}; {}", f.line, f.message, f.help);
            faults.iter().map(line).collect::<Vec<_>>().join("\n")
        }
        other => other.to_string(),
    };
    let name = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    ScenarioResult {
        name: name(file.file_stem()),
        file: name(file.file_name()),
        question: String::new(),
        start: String::new(),
        hours: 0.0,
        days_per_year: None,
        particles: 0,
        seed: 0,
        inputs: String::new(),
        changes: Vec::new(),
        exit_code: error.exit_code(),
        error: Some(text),
        cases: Vec::new(),
    }
}
