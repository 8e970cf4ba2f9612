//! Runs the scenarios of one plant in three steps: check the files, open the plant (fitting a model if there is none),
//! and simulate and report. The caller starts each step, and decides how to show progress and how to handle interrupts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::project::Project;
use super::stored::StoredResults;
use super::{Lock, Registry, plant, promise, publish};
use crate::check;
use crate::compute::Compute;
use crate::config::{self, Loaded, ScenarioSpec, TwinSpec};
use crate::control::Clock;
use crate::disk::{remove_temporary, write_file};
use crate::error::{Error, Fault, Result};
use crate::report;
use crate::scenario::results::{self, ModelCard, Provenance, Results, ScenarioResult};
use crate::scenario::{self, Batch, Plant, Progress, ScenarioOutcome, annual, join};
use crate::verify::Entry;

/// Maximum length in bytes of a report folder's name, if the report covers only some scenarios of a plant.
const LONGEST_NAME: usize = 120;

/// Folder of a project that contains the folders of scenarios.
const SCENARIOS: &str = "scenarios";

/// The requested scenarios of one plant.
#[derive(Default)]
pub struct PlantScenarios {
    runnable: Vec<Loaded<ScenarioSpec>>,
    failed: Vec<ScenarioOutcome>,
    /// Whether the folder of a requested scenario also contains scenarios that were not requested.
    partial: bool,
    /// The names of the folders in `scenarios` that contain the requested scenarios.
    folders: BTreeSet<String>,
}

impl PlantScenarios {
    fn add(&mut self, scenario: Loaded<ScenarioSpec>, seed: Option<u64>) {
        match check::same_name(&scenario, &self.runnable) {
            None => self.runnable.push(scenario),
            Some(fault) => self.reject(&scenario, vec![fault], seed),
        }
    }

    fn reject(&mut self, scenario: &Loaded<ScenarioSpec>, faults: Vec<Fault>, seed: Option<u64>) {
        let error = Error::Config(faults);
        self.failed.push((scenario::failed(scenario, seed, &error), Some(error)));
    }

    fn reject_file(&mut self, file: &Path, error: Error) {
        self.failed.push((scenario::unreadable(file, &error), Some(error)));
    }

    /// Folder of the report on these scenarios of plant `name`: the report folder of the plant, or a separate folder if
    /// the folder of the scenarios is not named after the plant. If only some scenarios of a folder were requested, the
    /// report is written to a subfolder.
    fn report_dir(&self, project: &Project, name: &str) -> PathBuf {
        let folders: Vec<&str> = self.folders.iter().map(String::as_str).collect();
        let own = folders == [name] || (folders == [SCENARIOS] && !project.scenario_dir(name).is_dir());
        let plant_reports = match own {
            true => project.report_dir(name),
            false => project.report_dir(&format!("{name}-{}", folder_name(&folders))),
        };
        if !self.partial {
            return plant_reports;
        }
        let mut names: Vec<&str> = self.runnable.iter().map(Loaded::stem).collect();
        names.extend(self.failed.iter().map(|(result, _)| result.name.as_str()));
        names.sort_unstable();
        plant_reports.join(folder_name(&names))
    }

    /// Rejects the scenarios that fail the check. A start or end outside the log is accepted here, because the
    /// simulation reports it as bad data.
    fn check(&mut self, plant: &check::Plant<'_>, seed: Option<u64>) {
        for scenario in std::mem::take(&mut self.runnable) {
            let mut faults = check::scenario(&scenario, plant);
            faults.retain(|f| !f.warning && !f.about_log);
            if faults.is_empty() { self.runnable.push(scenario) } else { self.reject(&scenario, faults, seed) }
        }
    }
}

/// Scenarios, grouped by project root and plant name.
pub type ScenariosByPlant = IndexMap<(PathBuf, String), PlantScenarios>;

/// Parses the scenario `files` and groups them by plant. Also returns the errors of files that belong to no plant.
pub fn group_by_plant(files: &[PathBuf], seed: Option<u64>) -> Result<(ScenariosByPlant, Vec<Error>)> {
    if files.is_empty() {
        return Err(Error::Usage("give a scenario file or folder".into()));
    }
    let (mut plants, mut errors) = (ScenariosByPlant::new(), Vec::new());
    let requested: BTreeSet<PathBuf> = files.iter().filter_map(|f| f.canonicalize().ok()).collect();
    for file in files {
        let project = match Project::find(file) {
            Ok(project) => project,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        let known = project.twins();
        // if `twin` does not name a known plant, the folder of the file determines the plant
        let folder = file.parent().and_then(Path::file_name).and_then(|n| n.to_str()).unwrap_or("").to_owned();
        let by_folder = known.contains(&folder).then(|| (project.root.clone(), folder));
        let place = match Place::of(file, &project, &requested) {
            Ok(place) => place,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        let (loaded, faults) = match config::parse_scenario(file) {
            Ok(parsed) => (parsed.loaded, parsed.faults),
            Err(error) => {
                match by_folder {
                    Some(key) => of_plant(&mut plants, key, place).reject_file(file, error),
                    None => errors.push(error),
                }
                continue;
            }
        };
        let Some(loaded) = loaded else {
            match by_folder {
                Some(key) => of_plant(&mut plants, key, place).reject_file(file, Error::Config(faults)),
                None => errors.push(Error::Config(faults)),
            }
            continue;
        };
        let named = known.contains(&loaded.value.twin.value);
        let key = named.then(|| (project.root, loaded.value.twin.value.clone())).or(by_folder);
        let faults = if named || !faults.is_empty() { faults } else { check::scenario_without_twin(&loaded, &known) };
        match key {
            Some(key) if faults.is_empty() => of_plant(&mut plants, key, place).add(loaded, seed),
            Some(key) => of_plant(&mut plants, key, place).reject(&loaded, faults, seed),
            None => errors.push(Error::Config(faults)),
        }
    }
    Ok((plants, errors))
}

/// Adds `place` to the folders of a plant, and returns the requested scenarios of this plant.
fn of_plant(plants: &mut ScenariosByPlant, key: (PathBuf, String), place: Place) -> &mut PlantScenarios {
    let plant = plants.entry(key).or_default();
    plant.partial |= place.partial;
    plant.folders.insert(place.folder);
    plant
}

/// The folder of a scenario.
struct Place {
    /// Its name in `scenarios`.
    folder: String,
    /// Whether the folder contains scenarios that were not requested.
    partial: bool,
}

impl Place {
    fn of(file: &Path, project: &Project, requested: &BTreeSet<PathBuf>) -> Result<Self> {
        let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf());
        let all = project.root.join(SCENARIOS).canonicalize().ok();
        let inside = all.as_ref().and_then(|all| dir.strip_prefix(all).ok()?.components().next());
        let top = match (&all, inside) {
            (Some(all), Some(first)) => all.join(first),
            _ => dir.clone(),
        };
        // the folder `scenarios` itself also contains the folders of other plants
        let others = Project::scenarios_in(&top, inside.is_some())?;
        let partial = others.iter().any(|f| f.canonicalize().is_ok_and(|f| !requested.contains(&f)));
        let folder = top.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { folder, partial })
    }
}

/// Returns the folder name for a report on the scenarios `names`. A long name is shortened, and a hash of all names is
/// appended, because file systems limit the length of a name to 255 bytes.
fn folder_name(names: &[&str]) -> String {
    let joined = names.join("+");
    if joined.len() <= LONGEST_NAME {
        return joined;
    }
    let kept: String = joined.chars().take(LONGEST_NAME / 4).collect();
    format!("{kept}-{}", &blake3::hash(joined.as_bytes()).to_hex()[..16])
}

/// The scenarios of a plant whose twin has no fault.
pub struct CheckedRun {
    registry: Registry,
    twin: Loaded<TwinSpec>,
    scenarios: Vec<Loaded<ScenarioSpec>>,
    failed: Vec<ScenarioOutcome>,
    /// Report folder of the plant. The folder also contains the results of all finished scenarios.
    plant_reports: PathBuf,
    /// Report folder of this run.
    report_dir: PathBuf,
    seed: Option<u64>,
}

impl CheckedRun {
    /// Checks the twin of plant `name` and its scenarios before any expensive work. `out` is the folder of the report;
    /// by default, it is in the folder `reports` of the project.
    ///
    /// # Errors
    /// Returns [`Error::Config`] if the twin has faults. A scenario with faults does not stop the others.
    pub fn new(
        project: &Project,
        name: &str,
        mut scenarios: PlantScenarios,
        out: Option<PathBuf>,
        seed: Option<u64>,
    ) -> Result<Self> {
        let parsed = config::parse_twin(&config::twin_file(&project.twin_dir(name)))?;
        let faults = match &parsed.loaded {
            None => Vec::new(),
            Some(loaded) => {
                let checked = check::Plant::new(loaded);
                scenarios.check(&checked, seed);
                check::twin(&checked)
            }
        };
        let (twin, _) = check::without_faults(parsed, faults)?;
        let plant_reports = project.report_dir(name);
        let report_dir = out.unwrap_or_else(|| scenarios.report_dir(project, name));
        let PlantScenarios { runnable, failed, .. } = scenarios;
        let registry = Registry::open(project.model_dir(name));
        Ok(Self { registry, twin, scenarios: runnable, failed, plant_reports, report_dir, seed })
    }

    /// Names of the scenarios that can run.
    pub fn names(&self) -> Vec<&str> {
        self.scenarios.iter().map(Loaded::stem).collect()
    }

    /// Names of the scenarios whose stored results can be reused, because their inputs have not changed.
    ///
    /// # Errors
    /// Returns the errors of reading the log. If there is no usable model, no result can be reused.
    pub fn finished(&self, compute: Compute, report_progress: &dyn Fn(&str)) -> Result<Vec<String>> {
        let source = plant::read(self.twin.clone(), compute, report_progress)?;
        let Ok(plant) = publish::open_published(source, &self.registry, &|_| {}) else { return Ok(Vec::new()) };
        let batch = Batch {
            plant: &plant,
            scenarios: &self.scenarios,
            dir: &self.plant_reports,
            resume: true,
            seed: self.seed,
            clock: None,
        };
        let finished = self.scenarios.iter().filter(|s| batch.is_finished(s));
        Ok(finished.map(|s| s.stem().to_owned()).collect())
    }

    /// For each scenario that cannot run, a result that contains the error message.
    pub fn failed(&self) -> impl Iterator<Item = &ScenarioResult> {
        self.failed.iter().map(|(result, _)| result)
    }

    /// Errors of the scenarios that cannot run.
    pub fn into_errors(self) -> Vec<Error> {
        self.failed.into_iter().filter_map(|(_, error)| error).collect()
    }

    /// Opens the champion of the plant, or fits a model if there is none, and locks the report folder.
    ///
    /// # Errors
    /// Returns the errors of [`publish::open`], and [`Error::Busy`] if another run of this plant is in progress.
    pub fn open(self, compute: Compute, report_progress: &dyn Fn(&str), note: &dyn Fn(&str)) -> Result<OpenRun> {
        let Self { registry, twin, scenarios, failed, plant_reports, report_dir, seed } = self;
        let ledger = promise::ledger(twin.path.parent().unwrap_or(Path::new("")));
        let promises = ledger.map(|ledger| ledger.promises()).unwrap_or_else(|error| {
            note(&format!("the report does not list the promises of earlier reports: {error}"));
            Vec::new()
        });
        let source = plant::read(twin, compute, report_progress)?;
        let plant = publish::open(source, &registry, seed, report_progress, note)?;
        std::fs::create_dir_all(&report_dir).map_err(|e| Error::write(&report_dir, e))?;
        // two runs must not write the same files
        let parts = scenario::parts_folder(&plant_reports);
        let lock = Lock::take(&parts, "run")?;
        [&parts, &plant_reports, &report_dir].into_iter().for_each(|dir| remove_temporary(dir));
        Ok(OpenRun { plant, scenarios, failed, plant_reports, report_dir, seed, promises, _lock: lock })
    }
}

/// A run that is ready to simulate.
pub struct OpenRun {
    plant: Plant,
    scenarios: Vec<Loaded<ScenarioSpec>>,
    failed: Vec<ScenarioOutcome>,
    plant_reports: PathBuf,
    report_dir: PathBuf,
    seed: Option<u64>,
    /// The promises of earlier reports that were verified.
    promises: Vec<Entry>,
    _lock: Lock,
}

/// The written report of a run.
pub struct RunReport {
    pub results: Results,
    /// Errors of the scenarios that failed.
    pub errors: Vec<Error>,
    /// The page.
    pub index: PathBuf,
    /// True if every scenario failed and the folder still contains the report of an earlier, successful run.
    pub kept: bool,
}

impl OpenRun {
    /// The simulations of this run. If `resume` is true, finished scenarios that are up to date are reused. `clock`
    /// is used to limit the computing time of each plan.
    pub fn batch<'a>(&'a self, resume: bool, clock: Option<&'a Clock>) -> Batch<'a> {
        Batch {
            plant: &self.plant,
            scenarios: &self.scenarios,
            dir: &self.plant_reports,
            resume,
            seed: self.seed,
            clock,
        }
    }

    /// Simulates every case of every scenario of `batch`.
    ///
    /// # Errors
    /// Returns [`Error::Interrupted`] if `stop` returned true, and an error if a file cannot be written. The
    /// error of a single scenario is part of its outcome.
    pub fn simulate(
        batch: &Batch,
        progress: &Progress,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<ScenarioOutcome>> {
        scenario::run(batch, progress, stop)
    }

    /// Assembles the results of all scenarios and writes the report folder. If every scenario failed, an earlier report
    /// with results is kept.
    pub fn report(self, mut outcomes: Vec<ScenarioOutcome>) -> Result<RunReport> {
        outcomes.extend(self.failed);
        outcomes.sort_by(|(a, _), (b, _)| (&a.name, &a.file).cmp(&(&b.name, &b.file)));
        let (scenarios, errors): (Vec<ScenarioResult>, Vec<Option<Error>>) = outcomes.into_iter().unzip();
        let several = scenarios.len() > 1;
        let named = |(s, e): (&ScenarioResult, Option<Error>)| e.map(|e| with_scenario(&s.name, several, e));
        let errors = scenarios.iter().zip(errors).filter_map(named).collect();
        let results =
            Results { promises: self.promises, ..assemble(&self.plant, &self.scenarios, scenarios, self.seed)? };
        let succeeded = |r: &Results| r.scenarios.iter().any(|s| s.exit_code == 0);
        let kept = !succeeded(&results)
            && StoredResults::read(&self.report_dir).is_ok_and(|earlier| succeeded(&earlier.results));
        if !kept {
            write_all(&self.plant_reports, &self.report_dir, &results)?;
        }
        Ok(RunReport { results, errors, index: self.report_dir.join("index.html"), kept })
    }
}

/// Adds the name of the scenario to its error message. `several` is true if the run has more than one scenario.
fn with_scenario(name: &str, several: bool, error: Error) -> Error {
    let prefixed = |text: String| if text.contains(name) { text } else { format!("scenario {name}: {text}") };
    match error {
        Error::Data(text) => Error::Data(prefixed(text)),
        Error::Usage(text) => Error::Usage(prefixed(text)),
        Error::Attention(text) => Error::Attention(prefixed(text)),
        Error::Internal(text) => {
            Error::Internal(prefixed(text) + if several { "; the other scenarios ran" } else { "" })
        }
        other => other,
    }
}

fn assemble(
    plant: &Plant,
    specs: &[Loaded<ScenarioSpec>],
    scenarios: Vec<ScenarioResult>,
    seed: Option<u64>,
) -> Result<Results> {
    let compiled = &plant.compiled;
    // if a scenario file is unreadable, the weight of the scenario is unknown, and so are the annual sums
    let all_readable = scenarios.iter().all(|s| s.exit_code == 0 || !s.start.is_empty());
    let annual = if all_readable { annual(plant, compiled, specs, &scenarios) } else { None };
    let (annual_baseline, annual) = annual.map_or((None, Vec::new()), |(baseline, cases)| (Some(baseline), cases));
    let mut id = blake3::Hasher::new();
    scenarios.iter().for_each(|s| {
        id.update(s.inputs.as_bytes());
    });
    let timezone = plant.spec.value.timezone.as_ref().map_or("UTC", |z| z.value.as_str());
    let economics = plant.spec.value.economics.as_ref().map(|e| &e.value);
    Ok(Results {
        schema_version: results::SCHEMA_VERSION,
        plant: plant.spec.value.name.value.clone(),
        timezone: timezone.to_owned(),
        currency: economics.map(|e| e.currency.value.clone()),
        cash: scenario::cash_definition(plant),
        scenarios,
        annual,
        annual_baseline,
        model: ModelCard { members: plant.twin.map.regressor.members(), ..plant.card.clone() },
        quality: plant.quality.clone(),
        promises: Vec::new(),
        provenance: Provenance {
            crate_version: env!("CARGO_PKG_VERSION").into(),
            config_hash: plant.config_hash.clone(),
            model_version: plant.card.version.clone(),
            data_start: plant.quality.start.clone(),
            data_end: plant.quality.end.clone(),
            seed: seed.unwrap_or(plant.spec.value.model.seed.value),
            as_of: plant.quality.end.clone(),
            run_id: id.finalize().to_hex()[..12].to_owned(),
        },
    })
}

/// Writes the report folder `dir`. The trajectories of the scenarios are read from `plant_reports`. The HTML page is
/// written last, so that all files to which it refers exist.
fn write_all(plant_reports: &Path, dir: &Path, results: &Results) -> Result<()> {
    let internal = |e: serde_json::Error| Error::Internal(e.to_string());
    let finished: Vec<&str> = results.scenarios.iter().filter(|s| s.exit_code == 0).map(|s| s.name.as_str()).collect();
    join(plant_reports, &finished, &dir.join("runs.parquet"))?;
    write_file(&dir.join("results.json"), &serde_json::to_vec(results).map_err(internal)?)?;
    write_file(&dir.join("provenance.json"), &serde_json::to_vec_pretty(&results.provenance).map_err(internal)?)?;
    write_pages(dir, results)
}

/// Writes the human-readable files: the table `kpi.csv` and the page `index.html`.
pub fn write_pages(dir: &Path, results: &Results) -> Result<()> {
    write_file(&dir.join("kpi.csv"), report::kpi_csv(results).as_bytes())?;
    write_file(&dir.join("index.html"), report::render(results)?.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_folder_names_are_shortened_and_stay_distinct() {
        assert_eq!(folder_name(&["cold", "warm"]), "cold+warm");
        let names: Vec<String> = (0..20).map(|i| format!("ä_scenario_{i:02}_of_many")).collect();
        let long = |from: usize| folder_name(&names[from..].iter().map(String::as_str).collect::<Vec<_>>());
        assert!(long(0).len() < 200 && long(0).starts_with("ä_scenario_00") && long(0) != long(1), "{}", long(0));
    }
}
