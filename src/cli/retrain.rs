//! `twinopt retrain`: fit a challenger and compare it with the champion.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::globals::Globals;
use super::import;
use super::output::{self, SCHEMA_VERSION};
use super::plant::PlantFolder;
use super::progress::Stages;
use crate::error::{Error, Result};
use crate::learn::drift::Drift;
use crate::ops::Registry;
use crate::ops::night::{Alert, history, last_duration};
use crate::ops::nightly::PAGE;
use crate::ops::project::Project;
use crate::ops::retrain::retrain;
use crate::terminal::printable;

/// Time limit for the program that sends an alert.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Fit a challenger and promote it if it beats the champion.
///
/// If the folder contains import.toml, the sources in it are imported first (`twinopt import`). If this fails, the
/// champion is unchanged, and the exit code is 65 if a source has bad data, 73 or 74 if the log cannot be written, and
/// otherwise 66.
/// Both models forecast the newest blocks of the log, which were not used to fit either of them. The champion is
/// replaced only if the loss of the challenger is significantly lower, its intervals have the right coverage, and the
/// loss is nowhere more than 5 % higher, e.g. at night. A champion older than `retrain.max_age` is also replaced by a
/// challenger that is not significantly worse.
/// The exit code is 0 if the challenger was promoted, if it is not better than the champion, or if nothing was fitted
/// because the log and the settings are unchanged. The exit code is 65 if the log is unsuitable, and 3 if a person must
/// act: the champion has drifted or is older than `retrain.max_age`, the gate can never open, or the challenger has no
/// skill. Every outcome is appended to `models/<plant>/history.jsonl` and described in `reports/<plant>/nightly.html`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  twinopt retrain data/datacenter")]
pub struct Args {
    /// Folder of the twin, e.g. data/datacenter
    pub dir: PathBuf,
    /// Use the log as it is, even if the plant has an import.toml
    #[arg(long)]
    pub no_import: bool,
    /// Program to run when an alert opens or clears, e.g. a script that sends an email; its argument is the page
    ///
    /// The program runs once when a person must act for a new reason, and once when there is no reason any more. The
    /// environment variables TWINOPT_PLANT, TWINOPT_ALERT (`opened` or `cleared`), TWINOPT_OUTCOME and
    /// TWINOPT_EXIT_CODE describe the alert. The program is terminated after 10 seconds. It never changes the exit code
    /// of the retraining.
    #[arg(long, value_name = "PROGRAM")]
    pub notify: Option<PathBuf>,
}

pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let PlantFolder { name, spec, registry, compute } = PlantFolder::open(&args.dir, globals)?;
    let project = Project::find(&args.dir)?;
    let night = {
        let stages = Stages::of_repeated_command(globals, &name, last_duration(registry.dir()));
        let is_imported = !args.no_import && args.dir.join(import::RECIPE).exists();
        let update = || {
            if !is_imported {
                return Ok(Vec::new());
            }
            let notes = import::repeat(&args.dir, globals, &stages)?;
            if !globals.quiet && !globals.json {
                stages.suspend(|| {
                    for note in &notes {
                        let _ = writeln!(std::io::stderr().lock(), "import: {}", printable(note));
                    }
                });
            }
            Ok(notes)
        };
        retrain(spec, compute, &project, globals.seed, &update, &|stage| stages.show(stage, 0, 0))
    };
    // an alert never changes the exit code
    if let Some(command) = &args.notify {
        notify(command, &project, &registry, &name, globals);
    }
    let night = night?;
    let good = night.outcome.is_good();
    if globals.json {
        output::json(&json!({ "schema_version": SCHEMA_VERSION, "status": night, "comparison": night.comparison }))?;
    } else if !globals.quiet {
        // if a person must act, the error below contains the reason
        let reason = if good { format!("{name}: {}: {}\n", night.outcome, night.reason) } else { String::new() };
        output::print(&format!("{reason}champion: {}", night.champion.as_deref().unwrap_or("none")))?;
        for text in night.drift.iter().flat_map(Drift::notes) {
            output::note(globals, &format!("drift: {text}"));
        }
    }
    if good { Ok(()) } else { Err(Error::Attention(format!("{name}: {}: {}", night.outcome, night.reason))) }
}

/// Runs the program `command` if the latest retraining opens or clears an alert.
fn notify(command: &Path, project: &Project, registry: &Registry, plant: &str, globals: &Globals) {
    let nights = history(registry.dir()).unwrap_or_default();
    let (Some(alert), Some(night)) = (Alert::of(&nights), nights.last()) else { return };
    let page = project.report_dir(plant).join(PAGE);
    let failed = |why: String| output::note(globals, &format!("cannot send alert with {}: {why}", command.display()));
    let mut program = Command::new(command);
    program.arg(page.canonicalize().unwrap_or(page)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    program.env("TWINOPT_PLANT", plant).env("TWINOPT_ALERT", alert.as_str());
    program.env("TWINOPT_OUTCOME", night.outcome.word()).env("TWINOPT_EXIT_CODE", night.exit_code.to_string());
    let mut child = match program.spawn() {
        Ok(child) => child,
        Err(e) => return failed(e.to_string()),
    };
    let clock = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return,
            Ok(Some(status)) => return failed(status.to_string()),
            Ok(None) if clock.elapsed() < TIMEOUT => std::thread::sleep(Duration::from_millis(20)),
            Ok(None) => {
                let _ = child.kill().and_then(|()| child.wait());
                return failed(format!("it did not end within {} s", TIMEOUT.as_secs()));
            }
            Err(e) => return failed(e.to_string()),
        }
    }
}
