//! `twinopt run`: simulate every case of every scenario, and write the report.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::globals::Globals;
use super::output::{self, SCHEMA_VERSION, note};
use super::progress::Stages;
use super::{clock, failure, interrupt, progress};
use crate::error::{Error, Result};
use crate::ops::project::{Project, distinct};
use crate::ops::run::{CheckedRun, OpenRun, PlantScenarios, group_by_plant};
use crate::report;
use crate::scenario::Progress;
use crate::scenario::results::{NoteKind, Results, ScenarioResult};

/// Simulate all cases of the given scenarios and write the report.
///
/// Fits a model first if the plant has none. If a scenario fails, the other scenarios still run, and the exit code is
/// that of the worst failure.
/// The new index.html, kpi.csv, results.json, runs.parquet and provenance.json replace the old
/// files in `reports/<plant>`. If only some of the scenario files in a folder are given, their results go to
/// `reports/<plant>/<scenario>` (several names are joined by `+`), and the report on the whole folder does not change.
/// The report on a folder that is not named after the plant goes to `reports/<plant>-<folder>`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  twinopt run scenarios/datacenter\n  twinopt run scenarios/datacenter/heatwave.toml --seed 7\n  twinopt run scenarios/datacenter --resume"
)]
pub struct Args {
    /// Scenario files, or folders of scenario files
    #[arg(required = true)]
    pub scenarios: Vec<PathBuf>,
    /// Folder for the report (default: a folder in `reports`); with several plants, each report is in a subfolder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Only simulate scenarios whose results are missing or out of date
    #[arg(long)]
    pub resume: bool,
    /// Check the scenarios and list those that would run, without writing anything
    #[arg(long)]
    pub dry_run: bool,
}

/// Time after an interrupt at which the process is forced to end if the simulation is still running (not tuned).
const GRACE_PERIOD: Duration = Duration::from_millis(600);
/// Message about the saved files, printed after an interrupted run.
const RESUMABLE: &str = "; finished scenarios are saved; continue with the same command and `--resume`";

/// Output and errors from running the scenarios of one plant.
struct VerbOutput {
    summary: serde_json::Value,
    errors: Vec<Error>,
}

pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let mut files = Vec::new();
    for path in &args.scenarios {
        files.extend(Project::scenario_files(path)?);
    }
    let mut summaries = Vec::new();
    let (plants, mut errors) = group_by_plant(&distinct(files), globals.seed)?;
    let several = plants.len() > 1;
    for ((root, name), scenarios) in plants {
        let out = args.out.as_ref().map(|out| if several { out.join(&name) } else { out.clone() });
        match run_plant(&Project { root }, &name, scenarios, out, args, globals) {
            Ok(output) => {
                summaries.push(output.summary);
                errors.extend(output.errors);
            }
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => {
                summaries.push(json!({ "plant": name, "exit_code": error.exit_code(), "error": error.to_string() }));
                errors.push(error);
            }
        }
    }
    let worst = print_all_but_worst(errors);
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

/// Prints all errors except the worst one, and returns the worst one. Faults of several files are merged into one
/// error.
fn print_all_but_worst(errors: Vec<Error>) -> Option<Error> {
    /// Exit codes in order of increasing severity.
    const BY_SEVERITY: [u8; 9] = [3, 2, 75, 66, 65, 78, 73, 74, 1];
    let severity = |e: &Error| BY_SEVERITY.iter().position(|c| *c == e.exit_code());
    let (mut faults, mut rest) = (Vec::new(), Vec::new());
    for error in errors {
        match error {
            Error::Config(more) => faults.extend(more),
            other => rest.push(other),
        }
    }
    rest.extend((!faults.is_empty()).then_some(Error::Config(faults)));
    // the order is reversed, because `max_by_key` returns the last of several equal elements, but the first one is
    // needed
    let at = (0..rest.len()).rev().max_by_key(|&i| severity(&rest[i]))?;
    let worst = rest.remove(at);
    rest.iter().for_each(failure::print);
    Some(worst)
}

fn run_plant(
    project: &Project,
    name: &str,
    scenarios: PlantScenarios,
    out: Option<PathBuf>,
    args: &Args,
    globals: &Globals,
) -> Result<VerbOutput> {
    let checked = {
        let _stages = Stages::of_quick_command(globals, &format!("checking {name}"));
        CheckedRun::new(project, name, scenarios, out, globals.seed)?
    };
    let compute = globals.device.compute()?;
    if args.dry_run {
        let finished = match args.resume {
            true => progress::with_spinner(globals, name, |progress, _| checked.finished(compute, progress))?,
            false => Vec::new(),
        };
        return list(name, checked, &finished, globals);
    }
    let open = progress::with_spinner(globals, name, |progress, note| checked.open(compute, progress, note))?;

    // from here until the report is written, Ctrl-C stops the run between two simulation steps
    let guard = interrupt::guard(GRACE_PERIOD);
    guard.set_message(RESUMABLE);
    let clock = clock::start();
    let batch = open.batch(args.resume, Some(&clock));
    let stages = Stages::new(globals, name);
    let simulations = stages.simulations(&format!("simulating {name}"), batch.steps());
    let outcomes = OpenRun::simulate(&batch, &Progress::new(&|work| simulations.add(work)), &|| guard.is_interrupted());
    stages.show(&format!("writing the report on {name}"), 0, 0);
    let finished = open.report(outcomes?)?;
    drop(stages);
    drop(guard);

    let results = &finished.results;
    if !globals.json && !globals.quiet {
        output::print(&table(results))?;
    }
    if is_unpriced(results) {
        note(globals, &no_price(results));
    }
    output::suspicions(globals, &results.quality);
    for s in &results.scenarios {
        if s.baseline_caveat.is_some() {
            note(globals, &format!("{}: {}", s.name, s.noise_note));
        }
        if let Some(text) = report::skipped(&results.quality, s) {
            note(globals, &format!("{}: {text}", s.name));
        }
        for (case, text) in s.cases.iter().filter_map(|c| Some((&c.name, report::outside_warning(c)?))) {
            note(globals, &format!("{}, {case}: {text}", s.name));
        }
        for (case, text) in s.cases.iter().filter_map(|c| Some((&c.name, report::end_contents(c)?))) {
            note(globals, &format!("{}, {case}: {text}", s.name));
        }
        for (case, text) in s.cases.iter().flat_map(|c| c.notes.iter().map(|text| (&c.name, text))) {
            note(globals, &format!("{}, {case}: {text}", s.name));
        }
    }
    for remark in results.model.notes.iter().filter(|n| n.kind == NoteKind::Identification) {
        note(globals, &remark.text);
    }
    let index = finished.index.display();
    if finished.kept {
        note(globals, &format!("every scenario failed, so the report of an earlier run is kept: {index}"));
    } else if !globals.json {
        note(globals, &format!("report: {index}"));
    }
    let scenarios: Vec<_> = results.scenarios.iter().map(summary).collect();
    let summary = json!({
        "plant": name,
        "report": finished.index,
        "kept": finished.kept,
        "scenarios": scenarios,
        "unknown_cases": report::unknown_cases(results),
    });
    Ok(VerbOutput { summary, errors: finished.errors })
}

/// Prints the names of the scenarios that would be run. Scenarios in `finished` would not be run again.
fn list(name: &str, checked: CheckedRun, finished: &[String], globals: &Globals) -> Result<VerbOutput> {
    let mut names = checked.names();
    names.retain(|n| !finished.iter().any(|f| f == n));
    if !globals.json && !globals.quiet {
        output::print(&format!("{name}: {}", if names.is_empty() { "nothing".into() } else { names.join(", ") }))?;
        if !finished.is_empty() {
            output::print(&format!("{name}: already finished: {}", finished.join(", ")))?;
        }
    }
    let failed: Vec<_> = checked.failed().map(summary).collect();
    let summary = json!({ "plant": name, "would_run": names, "finished": finished, "scenarios": failed });
    Ok(VerbOutput { summary, errors: checked.into_errors() })
}

/// One scenario in the JSON output.
fn summary(s: &ScenarioResult) -> serde_json::Value {
    let cases: Vec<_> = s
        .cases
        .iter()
        .map(|c| {
            json!({
                "name": c.name,
                "support": c.support,
                "objective": c.objective,
                "objective_change": c.objective_change,
                "cash": c.cash,
                "cash_change": c.cash_change,
                "imitations": c.imitations,
                "kpis": c.kpis,
            })
        })
        .collect();
    json!({
        "name": s.name,
        "exit_code": s.exit_code,
        "error": s.error,
        "noise": s.noise,
        "noise_note": s.noise_note,
        "cases": cases,
    })
}

/// Whether no KPI has a price, so that the objective is always 0.
fn is_unpriced(results: &Results) -> bool {
    let mut kpis = results.scenarios.iter().flat_map(|s| &s.cases).flat_map(|c| &c.kpis).peekable();
    kpis.peek().is_some() && kpis.all(|k| k.price.is_none_or(|p| p == 0.0))
}

/// Table of the first KPI by scenario and case, for results in which no KPI has a price.
fn unpriced_table(results: &Results) -> String {
    let mut text =
        format!("{:<18} {:<16} {:>14}  change against the baseline (90 % interval)\n", "scenario", "case", "median");
    for s in &results.scenarios {
        if let Some(error) = &s.error {
            text += &format!("{:<18} failed ({}): {error}\n", s.name, s.exit_code);
        }
        for c in &s.cases {
            let Some(k) = c.kpis.first() else { continue };
            let change = k.change.map_or(String::new(), |d| match d.low.is_finite() {
                true => format!("{:+.4} ({:+.4} to {:+.4})", d.mean, d.low, d.high),
                false => format!("{:+.4} (no interval)", d.mean),
            });
            text +=
                &format!("{:<18} {:<16} {:>14.4}  {change}  `{}`, {}\n", s.name, c.name, k.value.p50, k.name, k.unit);
        }
    }
    text
}

/// What to do if no KPI has a price.
fn no_price(results: &Results) -> String {
    let plant = &results.plant;
    let kpi = results.scenarios.iter().flat_map(|s| &s.cases).flat_map(|c| &c.kpis).next();
    let kpi = kpi.map_or("KPI", |k| k.name.as_str());
    format!(
        "no KPI has a price, so the report cannot say which case is better; write a price under `[objective]` in \
         data/{plant}/twin.toml, such as `{kpi} = 1.0` if less is better or `{kpi} = -1.0` if more is better, and run again"
    )
}

/// Table of the objective by scenario and case, averaged over the simulated futures.
fn table(results: &Results) -> String {
    if is_unpriced(results) {
        return unpriced_table(results);
    }
    let mut text = format!(
        "{:<18} {:<16} {:>14}  mean change against the baseline (90 % interval)\n",
        "scenario", "case", "mean objective"
    );
    let unknown = report::unknown_cases(results);
    for s in &results.scenarios {
        if let Some(error) = &s.error {
            text += &format!("{:<18} failed ({}): {error}\n", s.name, s.exit_code);
        }
        for c in &s.cases {
            let change = c.objective_change.map_or(String::new(), |d| {
                if !d.low.is_finite() {
                    let cause = if s.particles == 1 { "; there is only one simulation" } else { "" };
                    return format!("{:+.4} (no interval{cause})", d.mean);
                }
                let remark = match d.measurable {
                    _ if unknown.contains(&c.name.as_str()) => "  unknown, for the reason that the report states",
                    true => "",
                    false => "  no measurable change",
                };
                format!("{:+.4} ({:+.4} to {:+.4}){remark}", d.mean, d.low, d.high)
            });
            text += &format!("{:<18} {:<16} {:>14.4}  {change}\n", s.name, c.name, c.objective.mean);
        }
    }
    text
}
