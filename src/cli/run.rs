//! `twinopt run`: simulate every case of every scenario, and write the report.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::json;

use super::output::{self, SCHEMA_VERSION, note};
use super::project::{Project, distinct};
use super::{Globals, clock, failure, interrupt, progress};
use crate::check;
use crate::config::{self, Loaded, ScenarioSpec};
use crate::disk::write_file;
use crate::error::{Error, Fault, Result};
use crate::ops::{self, Lock, Registry};
use crate::scenario;
use crate::scenario::results::{self, Provenance, Results, ScenarioResult};
use crate::scenario::{Batch, Plant, Progress, ScenarioOutcome, annual, join};

/// Simulate every case of scenarios and write the report.
///
/// Fits first when the plant has no model. One bad scenario does not stop the others; the exit code is the worst of
/// them. Results go to `reports/<plant>`: index.html, kpi.csv, results.json, runs.parquet, provenance.json. They replace
/// what was there. Where only some files of a folder are run, theirs go to `reports/<plant>/<scenario>` (several: joined by
/// `+`), and the folder's own report stays.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  twinopt run scenarios/datacenter\n  twinopt run scenarios/datacenter/heatwave.toml --seed 7\n  twinopt run scenarios/datacenter --resume"
)]
pub struct Args {
    /// Scenario files, or folders of them
    #[arg(required = true)]
    pub scenarios: Vec<PathBuf>,
    /// Redo only what is missing or out of date
    #[arg(long)]
    pub resume: bool,
    /// Check the scenarios and say what would run; write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// How long a scenario may take to end when an end is wanted.
const PATIENCE: Duration = Duration::from_millis(600);
/// What an interrupted batch leaves.
const KEPT: &str = "; what had finished is kept, the same command with `--resume` goes on from there";

/// The scenarios of one plant: those that can run, and those that cannot.
#[derive(Default)]
struct Folder {
    scenarios: Vec<Loaded<ScenarioSpec>>,
    broken: Vec<ScenarioOutcome>,
    /// There are more scenarios beside these.
    part: bool,
}

impl Folder {
    fn add(&mut self, scenario: Loaded<ScenarioSpec>, seed: Option<u64>) {
        match check::same_name(&scenario, &self.scenarios) {
            None => self.scenarios.push(scenario),
            Some(fault) => self.refuse(&scenario, vec![fault], seed),
        }
    }

    fn refuse(&mut self, scenario: &Loaded<ScenarioSpec>, faults: Vec<Fault>, seed: Option<u64>) {
        let error = Error::Config(faults);
        self.broken.push((scenario::failed(scenario, seed, &error), Some(error)));
    }

    fn refuse_file(&mut self, file: &Path, error: Error) {
        self.broken.push((scenario::unread(file, &error), Some(error)));
    }

    /// Where the report of these scenarios lies; `all`: where that of all of the plant does.
    fn report_dir(&self, all: PathBuf) -> PathBuf {
        if !self.part {
            return all;
        }
        let mut names: Vec<&str> = self.scenarios.iter().map(Loaded::stem).collect();
        names.extend(self.broken.iter().map(|(result, _)| result.name.as_str()));
        names.sort_unstable();
        all.join(names.join("+"))
    }

    /// Keeps what passes the check; when a run starts or ends beyond the log is told by the run itself, as bad data.
    fn check(&mut self, plant: &check::Plant<'_>, seed: Option<u64>) {
        for scenario in std::mem::take(&mut self.scenarios) {
            let mut faults = check::scenario(&scenario, plant);
            faults.retain(|f| !f.warning && !f.about_log);
            if faults.is_empty() { self.scenarios.push(scenario) } else { self.refuse(&scenario, faults, seed) }
        }
    }
}

/// What a plant's run leaves to tell.
struct VerbOutput {
    summary: serde_json::Value,
    errors: Vec<Error>,
}

pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let mut files = Vec::new();
    for path in &args.scenarios {
        files.extend(Project::scenario_files(path)?);
    }
    let files = distinct(files);
    let (mut summaries, mut errors) = (Vec::new(), Vec::new());
    let (plants, orphans) = sort_by_plant(&files, globals.seed)?;
    errors.extend(orphans);
    for ((root, name), folder) in plants {
        match run_plant(&Project { root }, &name, folder, args, globals) {
            Ok(told) => {
                summaries.push(told.summary);
                errors.extend(told.errors);
            }
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => {
                summaries.push(json!({ "plant": name, "exit_code": error.exit_code(), "error": error.to_string() }));
                errors.push(error);
            }
        }
    }
    let worst = worst(errors);
    if globals.json {
        let code = worst.as_ref().map_or(0, Error::exit_code);
        output::json(&json!({
            "schema_version": SCHEMA_VERSION,
            "ok": code == 0,
            "exit_code": code,
            "plants": summaries,
        }))?;
    }
    worst.map_or(Ok(()), Err)
}

/// Tells all errors but the worst, by 1 > 74 > 73 > 78 > 65 > 66 > 75 > 2 > 3; faults of several files are told together.
fn worst(errors: Vec<Error>) -> Option<Error> {
    const RISING: [u8; 9] = [3, 2, 75, 66, 65, 78, 73, 74, 1];
    let rank = |e: &Error| RISING.iter().position(|c| *c == e.exit_code());
    let (mut faults, mut rest) = (Vec::new(), Vec::new());
    for error in errors {
        match error {
            Error::Config(more) => faults.extend(more),
            other => rest.push(other),
        }
    }
    rest.extend((!faults.is_empty()).then_some(Error::Config(faults)));
    // of equals the first
    let at = (0..rest.len()).rev().max_by_key(|&i| rank(&rest[i]))?;
    let worst = rest.remove(at);
    rest.iter().for_each(failure::tell);
    Some(worst)
}

type Plants = IndexMap<(PathBuf, String), Folder>;

/// Parses the files and sorts them by the twin that they name; the errors of those that belong to no twin.
fn sort_by_plant(files: &[PathBuf], seed: Option<u64>) -> Result<(Plants, Vec<Error>)> {
    if files.is_empty() {
        return Err(Error::Usage("name a scenario file or folder".into()));
    }
    let (mut plants, mut orphans) = (Plants::new(), Vec::new());
    let given: BTreeSet<PathBuf> = files.iter().filter_map(|f| f.canonicalize().ok()).collect();
    for file in files {
        let project = match Project::find(file) {
            Ok(project) => project,
            Err(error) => {
                orphans.push(error);
                continue;
            }
        };
        let known = project.twins();
        // of a file that names no twin its folder tells the plant
        let beside = file.parent().and_then(Path::file_name).and_then(|n| n.to_str()).unwrap_or("").to_owned();
        let beside = known.contains(&beside).then(|| (project.root.clone(), beside));
        let (loaded, faults) = match config::parse_scenario(file) {
            Ok(parsed) => (parsed.loaded, parsed.faults),
            Err(error) => {
                match beside {
                    Some(key) => plants.entry(key).or_default().refuse_file(file, error),
                    None => orphans.push(error),
                }
                continue;
            }
        };
        let Some(loaded) = loaded else {
            match beside {
                Some(key) => plants.entry(key).or_default().refuse_file(file, Error::Config(faults)),
                None => orphans.push(Error::Config(faults)),
            }
            continue;
        };
        let named = known.contains(&loaded.value.twin.value);
        let key = named.then(|| (project.root, loaded.value.twin.value.clone())).or(beside);
        let faults = if named || !faults.is_empty() { faults } else { check::scenario_without_twin(&loaded, &known) };
        if let Some(key) = &key {
            plants.entry(key.clone()).or_default().part |= has_more(file, &given);
        }
        match key {
            Some(key) if faults.is_empty() => plants.entry(key).or_default().add(loaded, seed),
            Some(key) => plants.entry(key).or_default().refuse(&loaded, faults, seed),
            None => orphans.push(Error::Config(faults)),
        }
    }
    Ok((plants, orphans))
}

/// Whether the folder of `file` holds scenarios that are not `given`.
fn has_more(file: &Path, given: &BTreeSet<PathBuf>) -> bool {
    let Some(dir) = file.canonicalize().ok().and_then(|f| f.parent().map(Path::to_path_buf)) else { return false };
    Project::scenario_files(&dir).is_ok_and(|all| all.iter().any(|f| f.parent() == Some(&dir) && !given.contains(f)))
}

fn run_plant(project: &Project, name: &str, mut folder: Folder, args: &Args, globals: &Globals) -> Result<VerbOutput> {
    // what `check` knows now saves a run that would fail later
    let parsed = config::parse_twin(&config::twin_file(&project.twin_dir(name)))?;
    let faults = match &parsed.loaded {
        None => Vec::new(),
        Some(loaded) => {
            let checked = check::Plant::new(loaded);
            folder.check(&checked, globals.seed);
            check::twin(&checked)
        }
    };
    let (twin, _) = check::sound(parsed, faults)?;
    let (all, reports) = (project.report_dir(name), folder.report_dir(project.report_dir(name)));
    let Folder { scenarios, broken, .. } = folder;
    if args.dry_run {
        let names: Vec<&str> = scenarios.iter().map(Loaded::stem).collect();
        if !globals.json && !globals.quiet {
            output::print(&format!("{name}: {}", if names.is_empty() { "nothing".into() } else { names.join(", ") }))?;
        }
        let failed: Vec<_> = broken.iter().map(|(result, _)| brief(result)).collect();
        let summary = json!({ "plant": name, "would_run": names, "scenarios": failed });
        return Ok(VerbOutput { summary, errors: broken.into_iter().filter_map(|(_, e)| e).collect() });
    }

    let registry = Registry::open(project.model_dir(name));
    let compute = globals.device.compute()?;
    let plant = progress::told(globals, name, |tell, note| {
        ops::plant::open(ops::plant::read(twin, compute, tell)?, &registry, globals.seed, tell, note)
    })?;
    std::fs::create_dir_all(&reports).map_err(|e| Error::write(&reports, e))?;
    // two runs must not write the same files
    let _lock = Lock::take(&scenario::parts_folder(&all), "run")?;
    // from here to the report Ctrl-C ends between two steps
    let watch = interrupt::watch(PATIENCE);
    watch.leaves(KEPT);
    let clock = clock::start();
    let batch = Batch {
        plant: &plant,
        scenarios: &scenarios,
        dir: &all,
        resume: args.resume,
        seed: globals.seed,
        clock: Some(&clock),
    };
    let finished = Progress::default();
    let bar = progress::bar(globals, batch.steps(), name);
    let outcomes = progress::watched(&bar, &finished.steps, || scenario::run(&batch, &finished, &|| watch.asked()));
    bar.finish_and_clear();
    let mut outcomes = outcomes?;
    outcomes.extend(broken);
    outcomes.sort_by(|(a, _), (b, _)| (&a.name, &a.file).cmp(&(&b.name, &b.file)));
    let (results, errors): (Vec<ScenarioResult>, Vec<Option<Error>>) = outcomes.into_iter().unzip();
    let errors: Vec<Error> =
        results.iter().zip(errors).filter_map(|(r, e)| e.map(|e| within(&r.name, results.len() > 1, e))).collect();

    let results = assemble(&plant, &scenarios, results, globals)?;
    write_all(&all, &reports, &results)?;
    drop(watch);
    let index = reports.join("index.html");
    if !globals.json && !globals.quiet {
        output::print(&table(&results))?;
    }
    for s in &results.scenarios {
        for (case, text) in s.cases.iter().flat_map(|c| c.notes.iter().map(|text| (&c.name, text))) {
            note(globals, &format!("{}, {case}: {text}", s.name));
        }
    }
    if !globals.json {
        note(globals, &format!("report: {}", index.display()));
    }
    let scenarios: Vec<_> = results.scenarios.iter().map(brief).collect();
    Ok(VerbOutput { summary: json!({ "plant": name, "report": index, "scenarios": scenarios }), errors })
}

/// `error`, which befell scenario `name`, with that name; of a defect also that it did not stop others.
fn within(name: &str, others: bool, error: Error) -> Error {
    let text = |text: String| if text.contains(name) { text } else { format!("scenario {name}: {text}") };
    match error {
        Error::Data(t) => Error::Data(text(t)),
        Error::Usage(t) => Error::Usage(text(t)),
        Error::Attention(t) => Error::Attention(text(t)),
        Error::Internal(t) => Error::Internal(text(t) + if others { "; the other scenarios ran" } else { "" }),
        other => other,
    }
}

fn assemble(
    plant: &Plant,
    specs: &[Loaded<ScenarioSpec>],
    scenarios: Vec<ScenarioResult>,
    globals: &Globals,
) -> Result<Results> {
    let compiled = &plant.compiled;
    // the weight of a file that could not be read is not known, nor is then any sum over the year
    let whole = scenarios.iter().all(|s| s.exit_code == 0 || !s.start.is_empty());
    let annual = if whole { annual(plant, &compiled.kpis, &compiled.objective, specs, &scenarios) } else { Vec::new() };
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
        benefit: economics.map_or_else(Vec::new, |e| e.benefit.iter().map(|b| b.value.clone()).collect()),
        scenarios,
        annual,
        model: plant.card.clone(),
        quality: plant.quality.clone(),
        provenance: Provenance {
            crate_version: env!("CARGO_PKG_VERSION").into(),
            config_hash: plant.config_hash.clone(),
            model_version: plant.card.version.clone(),
            data_start: plant.quality.start.clone(),
            data_end: plant.quality.end.clone(),
            seed: globals.seed.unwrap_or(plant.spec.value.model.seed.value),
            as_of: plant.quality.end.clone(),
            run_id: id.finalize().to_hex()[..12].to_owned(),
        },
    })
}

/// Writes the report folder `dir` from the parts in `all`: machine-readable files first, so that the page never speaks of
/// what is not there.
fn write_all(all: &Path, dir: &Path, results: &Results) -> Result<()> {
    let internal = |e: serde_json::Error| Error::Internal(e.to_string());
    let finished: Vec<&str> = results.scenarios.iter().filter(|s| s.exit_code == 0).map(|s| s.name.as_str()).collect();
    join(all, &finished, &dir.join("runs.parquet"))?;
    write_file(&dir.join("results.json"), &serde_json::to_vec(results).map_err(internal)?)?;
    write_file(&dir.join("provenance.json"), &serde_json::to_vec_pretty(&results.provenance).map_err(internal)?)?;
    super::report::render(dir, results)
}

/// One scenario in the summary.
fn brief(s: &ScenarioResult) -> serde_json::Value {
    let cases: Vec<_> = s
        .cases
        .iter()
        .map(|c| json!({ "name": c.name, "objective": c.objective, "objective_change": c.objective_change, "kpis": c.kpis }))
        .collect();
    json!({ "name": s.name, "exit_code": s.exit_code, "error": s.error, "cases": cases })
}

/// Objective by scenario and case: means over futures, as in the report's verdict.
fn table(results: &Results) -> String {
    let mut text = format!(
        "{:<18} {:<16} {:>14}  mean change against the baseline (90 % interval)\n",
        "scenario", "case", "mean objective"
    );
    for s in &results.scenarios {
        if let Some(error) = &s.error {
            text += &format!("{:<18} failed ({}): {error}\n", s.name, s.exit_code);
        }
        for c in &s.cases {
            let change = c.objective_change.map_or(String::new(), |d| {
                let one = c.kpis.iter().all(|k| k.samples.len() == 1);
                let measurable = match (d.measurable, one) {
                    (true, _) => "",
                    (_, true) => "  one future tells no interval: raise `particles`",
                    (_, false) => "  no measurable change",
                };
                format!("{:+.4} ({:+.4} to {:+.4}){measurable}", d.mean, d.low, d.high)
            });
            text += &format!("{:<18} {:<16} {:>14.4}  {change}\n", s.name, c.name, c.objective.mean);
        }
    }
    text
}
