//! `twinopt run`: simulate every case of every scenario, and write the report.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use indexmap::IndexMap;
use serde_json::json;

use super::output::{self, SCHEMA_VERSION, note};
use super::project::Project;
use super::{Globals, interrupt, plant, progress};
use crate::check;
use crate::error::{Error, Fault, Result, plural};
use crate::scenario;
use crate::scenario::results::{self, Provenance, Results, ScenarioResult};
use crate::scenario::{Batch, Compiled, Plant, Ticker, annual, join, write_file};
use crate::spec::{self, Loaded, ScenarioSpec};

/// Simulate every case of scenarios and write the report.
///
/// Fits first when the plant has no model. One bad scenario does not stop the others; the exit code is the worst of
/// them. Results go to `reports/<plant>`: index.html, kpi.csv, results.json, runs.parquet, provenance.json.
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

/// The scenarios of one plant: those that can run, and those whose files are at fault.
#[derive(Default)]
struct Folder {
    scenarios: Vec<Loaded<ScenarioSpec>>,
    broken: Vec<(PathBuf, Vec<Fault>)>,
}

pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    // who starts a batch can stop it: from here on Ctrl-C ends between two steps
    let stop = interrupt::flag();
    let mut files = Vec::new();
    for path in &args.scenarios {
        files.extend(Project::scenario_files(path)?);
    }
    files.sort();
    files.dedup();
    let (project, plants, orphans) = sort_by_plant(&files)?;
    let mut worst = Worst::default();
    orphans.into_iter().for_each(|faults| worst.see(Error::Config(faults)));
    let mut summaries = Vec::new();
    for (name, folder) in plants {
        if args.dry_run {
            let names: Vec<&str> = folder.scenarios.iter().map(Loaded::stem).collect();
            output::print(&format!("{name}: {}", names.join(", ")))?;
            folder.broken.into_iter().for_each(|(_, faults)| worst.see(Error::Config(faults)));
            continue;
        }
        let halt = || stop.load(Ordering::Relaxed);
        match run_plant(&project, &name, folder, args, globals, &halt) {
            Ok((summary, errors)) => {
                summaries.push(summary);
                errors.into_iter().for_each(|e| worst.see(e));
            }
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => worst.see(error),
        }
    }
    if globals.json && !args.dry_run {
        output::json(&json!({ "schema_version": SCHEMA_VERSION, "plants": summaries }))?;
    }
    worst.error.map_or(Ok(()), Err)
}

/// The worst of what went wrong, by 1 > 74 > 73 > 78 > 65 > 66 > 75 > 3.
#[derive(Default)]
struct Worst {
    error: Option<Error>,
}

impl Worst {
    fn see(&mut self, error: Error) {
        let rank = |e: &Error| [3, 75, 66, 65, 78, 73, 74, 1].iter().position(|c| *c == e.exit_code());
        match (&mut self.error, error) {
            // faults of several files are told together
            (Some(Error::Config(faults)), Error::Config(more)) => faults.extend(more),
            (Some(old), new) if rank(old) >= rank(&new) => {}
            (slot, new) => *slot = Some(new),
        }
    }
}

type Sorted = (Project, IndexMap<String, Folder>, Vec<Vec<Fault>>);

/// Parses the files and sorts them by the twin that they name.
fn sort_by_plant(files: &[PathBuf]) -> Result<Sorted> {
    let first = files.first().ok_or_else(|| Error::Usage("name a scenario file or folder".into()))?;
    let project = Project::find(first)?;
    let mut plants: IndexMap<String, Folder> = IndexMap::new();
    let mut orphans = Vec::new();
    for file in files {
        let parsed = spec::parse_scenario(file)?;
        match parsed.loaded {
            Some(loaded) => {
                let folder = plants.entry(loaded.value.twin.value.clone()).or_default();
                if parsed.faults.is_empty() {
                    folder.scenarios.push(loaded);
                } else {
                    folder.broken.push((file.clone(), parsed.faults));
                }
            }
            None => orphans.push(parsed.faults),
        }
    }
    Ok((project, plants, orphans))
}

fn run_plant(
    project: &Project,
    name: &str,
    mut folder: Folder,
    args: &Args,
    globals: &Globals,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<(serde_json::Value, Vec<Error>)> {
    // what `check` knows now saves a run that would fail later
    let dir = project.twin_dir(name);
    let (twin, _) = check::load_twin(&dir)?;
    let checked = check::Plant::new(&twin);
    for s in std::mem::take(&mut folder.scenarios) {
        let faults: Vec<Fault> = check::scenario(&s, &checked).into_iter().filter(|f| !f.warning).collect();
        if faults.is_empty() { folder.scenarios.push(s) } else { folder.broken.push((s.path, faults)) }
    }
    drop(checked);

    let plant = plant::open(project, &dir, globals)?;
    let reports = project.report_dir(name);
    std::fs::create_dir_all(&reports).map_err(|e| Error::write(&reports, e))?;
    let batch =
        Batch { plant: &plant, scenarios: &folder.scenarios, dir: &reports, resume: args.resume, seed: globals.seed };
    let ticker = Ticker::default();
    let bar = progress::bar(globals, batch.steps(), name);
    let results = progress::watched(&bar, &ticker.done, || scenario::run(&batch, &ticker, stop));
    bar.finish_and_clear();
    let mut results = results?;
    let mut errors: Vec<Error> = results.iter().filter_map(failure).collect();
    for (path, faults) in folder.broken {
        results.push(broken(&path, &faults));
        errors.push(Error::Config(faults));
    }
    results.sort_by(|a, b| a.name.cmp(&b.name));

    let results = assemble(&plant, &folder.scenarios, results, globals)?;
    write_all(&reports, &results)?;
    let index = reports.join("index.html");
    if globals.json {
        let scenarios: Vec<_> = results.scenarios.iter().map(brief).collect();
        return Ok((json!({ "plant": name, "report": index, "scenarios": scenarios }), errors));
    }
    if !globals.quiet {
        output::print(&table(&results))?;
    }
    note(globals, &format!("report: {}", index.display()));
    Ok((serde_json::Value::Null, errors))
}

/// The error of a scenario that failed while it ran, told again for the exit code.
fn failure(r: &ScenarioResult) -> Option<Error> {
    let text = r.error.as_ref().map(|e| format!("{}: {e}", r.name))?;
    Some(match r.exit_code {
        65 => Error::Data(text),
        78 => Error::Data(text),
        2 => Error::Usage(text),
        3 => Error::Attention(text),
        _ => Error::Internal(text),
    })
}

fn broken(path: &Path, faults: &[Fault]) -> ScenarioResult {
    let first = faults.first();
    let text = first.map_or_else(String::new, |f| format!("line {}: {}; {}", f.line, f.message, f.cure));
    ScenarioResult {
        name: path.file_stem().and_then(|s| s.to_str()).unwrap_or("scenario").to_owned(),
        file: path.file_name().and_then(|s| s.to_str()).unwrap_or("").to_owned(),
        question: String::new(),
        start: String::new(),
        hours: 0.0,
        days_per_year: None,
        particles: 0,
        seed: 0,
        inputs: String::new(),
        changes: Vec::new(),
        exit_code: 78,
        error: Some(format!("{} in the file: {text}", plural(faults.len(), "fault"))),
        cases: Vec::new(),
    }
}

fn assemble(
    plant: &Plant,
    specs: &[Loaded<ScenarioSpec>],
    scenarios: Vec<ScenarioResult>,
    globals: &Globals,
) -> Result<Results> {
    let compiled = Compiled::new(&plant.spec, &plant.schema, &IndexMap::new())?;
    let annual = annual(plant, &compiled.kpis, &compiled.objective, specs, &scenarios);
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

/// Writes the report folder: machine-readable files first, so that the page never speaks of what is not there.
fn write_all(dir: &Path, results: &Results) -> Result<()> {
    let internal = |e: serde_json::Error| Error::Internal(e.to_string());
    let finished: Vec<&str> = results.scenarios.iter().filter(|s| s.exit_code == 0).map(|s| s.name.as_str()).collect();
    join(dir, &finished)?;
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

/// Objective by scenario and case.
fn table(results: &Results) -> String {
    let mut text =
        format!("{:<18} {:<16} {:>14}  change against the baseline (90 % interval)\n", "scenario", "case", "objective");
    for s in &results.scenarios {
        if let Some(error) = &s.error {
            text += &format!("{:<18} failed ({}): {error}\n", s.name, s.exit_code);
        }
        for c in &s.cases {
            let change = c.objective_change.map_or(String::new(), |d| {
                let measurable = if d.measurable { "" } else { "  no measurable change" };
                format!("{:+.4} ({:+.4} to {:+.4}){measurable}", d.mean, d.low, d.high)
            });
            text += &format!("{:<18} {:<16} {:>14.4}  {change}\n", s.name, c.name, c.objective.p50);
        }
    }
    text
}
