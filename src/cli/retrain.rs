//! `twinopt retrain`: fit a challenger and compare it with the champion.

use std::io::Write as _;
use std::path::PathBuf;

use serde_json::json;

use super::globals::Globals;
use super::import;
use super::output::{self, SCHEMA_VERSION};
use super::plant::PlantFolder;
use super::progress::Stages;
use crate::error::{Error, Result};
use crate::ops::night::last_duration;
use crate::ops::retrain::retrain;
use crate::terminal::printable;

/// Fit a challenger and promote it if it beats the champion.
///
/// If the folder contains import.toml, the sources in it are imported first (`twinopt import`). If this fails, the
/// champion is unchanged, and the exit code is 65 if a source has bad data, 73 or 74 if the log cannot be written, and
/// otherwise 66.
/// Both models forecast the newest blocks of the log, which were not used to fit either of them. The champion is
/// replaced only if the loss of the challenger is significantly lower and its intervals have the right coverage.
/// The exit code is 0 if the challenger was promoted, if it is not better than the champion, or if nothing was fitted
/// because the log and the settings are unchanged. The exit code is 65 if the log is unsuitable, and 3 if a person must
/// act: the champion has drifted or is older than `retrain.max_age`, the gate can never open, or the challenger has no
/// skill. Every outcome is appended to `models/<plant>/history.jsonl`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  twinopt retrain data/datacenter")]
pub struct Args {
    /// Folder of the twin, e.g. data/datacenter
    pub dir: PathBuf,
    /// Use the log as it is, even if the plant has an import.toml
    #[arg(long)]
    pub no_import: bool,
}

pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let PlantFolder { name, spec, registry, compute } = PlantFolder::open(&args.dir, globals)?;
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
        retrain(spec, compute, &registry, globals.seed, &update, &|stage| stages.show(stage, 0, 0))?
    };
    let good = night.outcome.is_good();
    if globals.json {
        output::json(&json!({ "schema_version": SCHEMA_VERSION, "status": night, "comparison": night.comparison }))?;
    } else if !globals.quiet {
        // if a person must act, the error below contains the reason
        let reason = if good { format!("{name}: {}: {}\n", night.outcome, night.reason) } else { String::new() };
        output::print(&format!("{reason}champion: {}", night.champion.as_deref().unwrap_or("none")))?;
    }
    if good { Ok(()) } else { Err(Error::Attention(format!("{name}: {}: {}", night.outcome, night.reason))) }
}
