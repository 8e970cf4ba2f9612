//! Many scenarios at once: parallel, resumable, and none can stop the others.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::case::run_scenario;
use super::parts;
use super::plant::Plant;
use super::results::ScenarioResult;
use crate::error::{Error, Result};
use crate::spec::{Loaded, ScenarioSpec};

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
        self.scenarios.iter().map(|s| (self.plant.steps(s.value.length.value) * s.value.case.len()) as u64).sum()
    }
}

/// Runs every scenario; one result each, in order. Only an interrupt or a full disk ends the batch early, and then
/// what had finished can be resumed.
pub fn run(batch: &Batch, ticker: &Ticker, stop: &(dyn Fn() -> bool + Sync)) -> Result<Vec<ScenarioResult>> {
    batch
        .scenarios
        .par_iter()
        .map(|scenario| {
            let inputs = parts::fingerprint(batch.plant, scenario, batch.seed);
            if batch.resume
                && let Some(done) = parts::load(batch.dir, scenario.stem(), &inputs)
            {
                return Ok(done);
            }
            let outcome =
                catch_unwind(AssertUnwindSafe(|| run_scenario(batch.plant, scenario, batch.seed, ticker, stop)))
                    .unwrap_or_else(|_| Err(Error::Internal("the scenario ended in a defect of the program".into())));
            match outcome {
                Ok((mut result, trajectories)) => {
                    result.inputs = inputs;
                    parts::save(batch.dir, &result, &trajectories)?;
                    Ok(result)
                }
                Err(Error::Interrupted) => Err(Error::Interrupted),
                Err(error) => Ok(failed(scenario, inputs, batch.seed, &error)),
            }
        })
        .collect()
}

fn failed(scenario: &Loaded<ScenarioSpec>, inputs: String, seed: Option<u64>, error: &Error) -> ScenarioResult {
    let s = &scenario.value;
    ScenarioResult {
        name: scenario.stem().to_owned(),
        file: scenario.stem().to_owned() + ".toml",
        question: s.question.value.clone(),
        start: s.start.value.to_string(),
        hours: s.length.value.seconds() / 3600.0,
        days_per_year: s.days_per_year.as_ref().map(|d| d.value),
        particles: s.particles.value,
        seed: seed.unwrap_or(s.seed.value),
        inputs,
        changes: Vec::new(),
        exit_code: error.exit_code(),
        error: Some(error.to_string()),
        cases: Vec::new(),
    }
}
