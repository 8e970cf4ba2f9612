//! `twinopt retrain`: fit a challenger and compare it with the champion.

use std::path::PathBuf;

use serde_json::json;

use super::globals::Globals;
use super::output::{self, SCHEMA_VERSION};
use super::plant::PlantFolder;
use super::progress;
use crate::error::{Error, Result};
use crate::ops::retrain::retrain;
use crate::ops::status::GateResult;

/// Fit a challenger and promote it if it beats the champion.
///
/// Both models forecast the newest blocks of the log, which were not used to fit either of them. The champion is
/// replaced only if the loss of the challenger is significantly lower and its intervals have the right coverage. If the
/// champion is kept, the exit code is 3 and the message gives the reason.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  twinopt retrain data/datacenter")]
pub struct Args {
    /// Folder of the twin, e.g. data/datacenter
    pub dir: PathBuf,
}

pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let PlantFolder { name, spec, registry, compute } = PlantFolder::open(&args.dir, globals)?;
    let retrained = progress::with_spinner(globals, &name, |progress, _| {
        retrain(spec, compute, &registry, globals.seed, progress)
    })?;
    let status = &retrained.status;
    if globals.json {
        let comparison = &retrained.comparison;
        output::json(&json!({ "schema_version": SCHEMA_VERSION, "status": status, "comparison": comparison }))?;
    } else if !globals.quiet {
        // if the champion is kept, the error returned by this function states the reason
        let reason =
            if status.gate == GateResult::Kept { String::new() } else { format!("{name}: {}\n", status.reason) };
        output::print(&format!("{reason}champion: {}", status.champion))?;
    }
    match status.gate {
        GateResult::Kept => Err(Error::Attention(format!("{name}: {}", status.reason))),
        GateResult::Promoted | GateResult::First | GateResult::Replaced => Ok(()),
    }
}
