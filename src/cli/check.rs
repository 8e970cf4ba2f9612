//! `twinopt check`: reports all faults in twins and scenarios.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::globals::Globals;
use super::imported::Imported;
use super::progress::Stages;
use super::{output, render};
use crate::check::{self, Plant};
use crate::config::{self, Loaded, Parsed, ScenarioSpec, TwinSpec};
use crate::error::{Error, Fault, Result, plural};
use crate::ops::project::{self, Project, distinct};

/// Report all faults in twins and scenarios, with a hint for each.
///
/// Checks keys, types, names, units, limits and times. Also checks that the files are consistent with each other, and
/// reads the whole log to find everything that prevents a fit. The exit code is 78 if there are faults, and 0
/// otherwise, even if there are warnings.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  twinopt check\n  twinopt check data/datacenter\n  twinopt check scenarios/datacenter/heatwave.toml --json"
)]
pub struct Args {
    /// Twin folders, scenario files or folders, or a project (default: the current folder)
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let here = [PathBuf::from(".")];
    let paths = if args.paths.is_empty() { &here[..] } else { &args.paths };
    let mut files = Files::default();
    for path in paths {
        files.add(path)?;
    }
    let faults = {
        let _stages = Stages::of_quick_command(globals, "checking files and logs");
        files.check()?
    };
    if faults.iter().any(|f| !f.warning) {
        return Err(Error::Config(faults));
    }
    if globals.json {
        return output::json(&render::document(&faults));
    }
    if !faults.is_empty() {
        output::note(globals, &render::text(&faults, false));
    }
    let checked = format!(
        "{} and {} checked, no faults",
        plural(distinct(files.twins.into_iter().collect()).len(), "twin", "twins"),
        plural(distinct(files.scenarios.into_iter().collect()).len(), "scenario", "scenarios")
    );
    if globals.quiet { Ok(()) } else { output::print(&checked) }
}

/// The files to check, sorted and without duplicates.
#[derive(Debug, Default)]
struct Files {
    twins: BTreeSet<PathBuf>,
    scenarios: BTreeSet<PathBuf>,
    /// True if whole folders of scenarios are checked, so that their weights have to add up to one year.
    complete: bool,
}

impl Files {
    fn add(&mut self, path: &Path) -> Result<()> {
        let is_twin_file = path.file_name().is_some_and(|n| n == "twin.toml");
        if is_twin_file || path.join("twin.toml").is_file() {
            let dir = if is_twin_file { path.parent().unwrap_or(Path::new(".")) } else { path };
            return self.add_twin(dir);
        }
        if path.join("data").is_dir() {
            let project = Project { root: path.to_path_buf() };
            for name in project.twins() {
                self.add_twin(&project.twin_dir(&name))?;
            }
            if path.join("scenarios").is_dir() {
                self.scenarios.extend(Project::scenario_files(&path.join("scenarios")).unwrap_or_default());
            }
            self.complete = true;
            if self.twins.is_empty() && self.scenarios.is_empty() {
                let help = "the project is empty; add a plant with `twinopt init data/<plant> --log <file>`";
                return Err(Error::no_input(path, help));
            }
            return Ok(());
        }
        if path.is_file() && path.extension().is_none_or(|e| e != "toml") {
            let help = "the file is not a twin or scenario file, because its name does not end with `.toml`";
            return Err(Error::no_input(path, help));
        }
        let entries = crate::disk::entries(path).unwrap_or_default().into_iter().map(|name| path.join(name));
        let twins: Vec<PathBuf> = entries.filter(|p| p.join("twin.toml").is_file()).collect();
        if !twins.is_empty() {
            return twins.iter().try_for_each(|dir| self.add_twin(dir));
        }
        if in_data(path) && !path.is_file() {
            return Err(Error::no_input(path, project::no_twin(path)));
        }
        self.complete |= path.is_dir();
        self.scenarios.extend(Project::scenario_files(path)?);
        Ok(())
    }

    /// Adds a twin and the scenarios of its plant.
    fn add_twin(&mut self, dir: &Path) -> Result<()> {
        self.twins.insert(dir.to_path_buf());
        let name = dir.canonicalize().ok().and_then(|d| Some(d.file_name()?.to_str()?.to_owned()));
        if let (Ok(project), Some(name)) = (Project::find(dir), name)
            && project.scenario_dir(&name).is_dir()
        {
            self.scenarios.extend(Project::scenario_files(&project.scenario_dir(&name)).unwrap_or_default());
            self.complete = true;
        }
        Ok(())
    }

    /// Checks all files and returns their faults, sorted by file and position.
    fn check(&mut self) -> Result<Vec<Fault>> {
        let files = distinct(self.scenarios.iter().cloned().collect());
        let scenarios: Vec<(PathBuf, Parsed<ScenarioSpec>)> =
            files.into_iter().map(|f| config::parse_scenario(&f).map(|parsed| (f, parsed))).collect::<Result<_>>()?;
        let twin_of = |file: &Path, scenario: &Loaded<ScenarioSpec>| -> Option<(Project, PathBuf)> {
            let project = Project::find(file).ok()?;
            let dir = project.twin_dir(&scenario.value.twin);
            let inside = !scenario.value.twin.is_empty() && !scenario.value.twin.contains(['/', '\\']);
            (inside && dir.join("twin.toml").is_file()).then_some((project, dir))
        };
        for (file, parsed) in &scenarios {
            if let Some((_, dir)) = parsed.loaded.as_ref().and_then(|l| twin_of(file, l)) {
                self.twins.insert(dir);
            }
        }
        let mut faults = Vec::new();
        let mut twins: BTreeMap<PathBuf, Parsed<TwinSpec>> = BTreeMap::new();
        for dir in &self.twins {
            let key = dir.canonicalize().unwrap_or_else(|_| dir.clone());
            if let Entry::Vacant(place) = twins.entry(key) {
                place.insert(config::parse_twin(&config::twin_file(dir))?);
            }
        }
        let mut plants: BTreeMap<&Path, Plant<'_>> = BTreeMap::new();
        for (dir, parsed) in &mut twins {
            let intact = parsed.faults.is_empty();
            faults.append(&mut parsed.faults);
            if let Some(loaded) = &parsed.loaded {
                let plant = Plant::new(loaded);
                let own = check::twin(&plant);
                if intact && own.iter().all(|f| f.warning) {
                    faults.extend(check::contents(&plant));
                    faults.extend(Imported::load(dir).missing(loaded));
                }
                faults.extend(own);
                plants.insert(dir, plant);
            }
        }
        let mut loaded = Vec::new();
        // the scenarios of a project must have different names, because one run may contain all of them
        let mut by_project: BTreeMap<PathBuf, Vec<&Loaded<ScenarioSpec>>> = BTreeMap::new();
        for (file, parsed) in &scenarios {
            faults.extend(parsed.faults.iter().cloned());
            let Some(scenario) = &parsed.loaded else { continue };
            loaded.push(scenario);
            if let Ok(project) = Project::find(file) {
                let others = by_project.entry(project.root.canonicalize().unwrap_or(project.root)).or_default();
                faults.extend(check::same_name(scenario, others.iter().copied()));
                others.push(scenario);
            }
            match twin_of(file, scenario) {
                Some((_, dir)) => {
                    let key = dir.canonicalize().unwrap_or(dir);
                    if let Some(plant) = plants.get(key.as_path()) {
                        faults.extend(check::scenario(scenario, plant));
                    }
                }
                None => {
                    let known = Project::find(file).map(|p| p.twins()).unwrap_or_default();
                    faults.extend(check::scenario_without_twin(scenario, &known));
                }
            }
        }
        if self.complete {
            let operating_days = |scenario: &Loaded<ScenarioSpec>| {
                let (_, dir) = twin_of(&scenario.path, scenario)?;
                plants.get(dir.canonicalize().unwrap_or(dir).as_path())?.operating_days()
            };
            faults.extend(check::folder(&loaded, &operating_days));
        }
        faults.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        Ok(faults)
    }
}

/// Whether `path` is a folder directly under `data`.
fn in_data(path: &Path) -> bool {
    let full = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    full.parent().and_then(Path::file_name).is_some_and(|n| n == "data")
}
