//! Runs a batch of scenarios in parallel. An interrupted batch can be resumed. A failed scenario
//! does not stop the other scenarios.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rayon::prelude::*;

use super::case::run_scenario;
use super::conditions::simulated;
use super::parts;
use super::plant::Plant;
use super::progress::{Progress, Steps, Work};
use super::results::{Measured, NoiseSource, ScenarioResult};
use crate::config::{ControllerSpec, Loaded, ScenarioSpec};
use crate::control::Clock;
use crate::error::{Error, Fault, Result};

/// The scenarios to run and the options of the run.
pub struct Batch<'a> {
    pub plant: &'a Plant,
    pub scenarios: &'a [Loaded<ScenarioSpec>],
    /// Report folder of the plant, whose subfolder `.parts` stores finished scenarios.
    pub dir: &'a Path,
    /// Whether finished scenarios in `.parts` are reused if their inputs have not changed.
    pub resume: bool,
    /// Optional seed that overrides the seeds in the scenario files.
    pub seed: Option<u64>,
    /// Clock for enforcing the time budget of plans. Without a clock, plans have no time limit.
    pub clock: Option<&'a Clock>,
}

impl Batch<'_> {
    /// Number of simulation steps in the whole batch.
    pub fn steps(&self) -> Steps {
        let mut all = Steps::default();
        self.scenarios.iter().for_each(|s| all += self.steps_of(s));
        all
    }

    fn steps_of(&self, scenario: &Loaded<ScenarioSpec>) -> Steps {
        let (log, length) = (&self.plant.log, self.plant.steps(scenario.value.length.value));
        let period = log.step_at(scenario.value.start.value).map(|start| start..(start + length).min(log.steps));
        let steps = period.and_then(|p| simulated(self.plant, p).ok()).map_or(length, |rows| rows.len()) as u64;
        let mut all = Steps::default();
        for case in scenario.value.case.values() {
            all += Steps::new(steps, matches!(case.controller.value, ControllerSpec::Mpc(_)));
        }
        all
    }

    /// Returns the stored result of a scenario if its inputs, whose hash is `inputs`, have not changed.
    fn stored(&self, scenario: &Loaded<ScenarioSpec>, inputs: &str) -> Option<ScenarioResult> {
        self.resume.then(|| parts::load(self.dir, scenario.stem(), inputs)).flatten()
    }

    /// Whether the stored result of a scenario can be reused.
    pub fn is_finished(&self, scenario: &Loaded<ScenarioSpec>) -> bool {
        self.stored(scenario, &parts::fingerprint(self.plant, scenario, self.seed)).is_some()
    }
}

/// The result of a scenario, with the error if the scenario failed.
pub type ScenarioOutcome = (ScenarioResult, Option<Error>);

/// Runs every scenario and returns the outcomes in the same order. Only an interrupt or a write error ends the batch
/// early. After an interrupt, a later call can reuse the finished scenarios.
pub fn run(batch: &Batch, progress: &Progress, stop: &(dyn Fn() -> bool + Sync)) -> Result<Vec<ScenarioOutcome>> {
    batch
        .scenarios
        .par_iter()
        .map(|scenario| {
            if stop() {
                return Err(Error::Interrupted);
            }
            let inputs = parts::fingerprint(batch.plant, scenario, batch.seed);
            if let Some(result) = batch.stored(scenario, &inputs) {
                progress.add(Work::Reused(batch.steps_of(scenario)));
                return Ok((result, None));
            }
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                run_scenario(batch.plant, scenario, batch.seed, batch.clock, progress, stop)
            }))
            .unwrap_or_else(|_| Err(Error::Internal("the scenario stopped because of a bug in the program".into())));
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

/// The result of a scenario that failed.
pub fn failed(scenario: &Loaded<ScenarioSpec>, seed: Option<u64>, error: &Error) -> ScenarioResult {
    let s = &scenario.value;
    ScenarioResult {
        question: s.question.value.clone(),
        start: s.start.value.to_string(),
        hours: s.length.value.seconds() / 3600.0,
        days_per_year: s.days_per_year.as_ref().map(|d| d.value),
        particles: s.particles.value,
        seed: seed.unwrap_or(s.seed.value),
        ..unreadable(&scenario.path, error)
    }
}

/// The result for a scenario file that cannot be read. The result contains only the name of the scenario and the error.
pub fn unreadable(file: &Path, error: &Error) -> ScenarioResult {
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
        skipped: Vec::new(),
        days_per_year: None,
        particles: 0,
        seed: 0,
        inputs: String::new(),
        changes: Vec::new(),
        noise: NoiseSource::default(),
        noise_note: String::new(),
        baseline_caveat: None,
        measured: Measured::default(),
        exit_code: error.exit_code(),
        error: Some(text),
        cases: Vec::new(),
    }
}
