//! `twinopt retrain`.

use std::path::PathBuf;

use serde_json::json;

use super::output::{self, SCHEMA_VERSION};
use super::project::Project;
use super::{Globals, progress};
use crate::check;
use crate::error::{Error, Result};
use crate::ops::status::Gate;
use crate::ops::{Registry, night};

/// Fit a challenger and promote it if it beats the champion.
///
/// Both are scored on the same newest blocks of the log, which neither was fitted on. The champion stays unless the
/// challenger is better by more than its own noise and covers as it should (exit 3 says why not).
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  twinopt retrain data/datacenter")]
pub struct Args {
    /// Folder of the twin, e.g. data/datacenter
    pub dir: PathBuf,
}

pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let (spec, _) = check::load_twin(&args.dir)?;
    let name = spec.value.name.value.clone();
    let registry = Registry::open(Project::find(&args.dir)?.model_dir(&name));
    let compute = globals.device.compute()?;
    let night = progress::told(globals, &name, |tell, _| night::retrain(spec, compute, &registry, globals.seed, tell))?;
    let status = &night.status;
    if globals.json {
        output::json(&json!({ "schema_version": SCHEMA_VERSION, "status": status, "comparison": night.comparison }))?;
    } else if !globals.quiet {
        // why a champion was kept is told once, as what needs attention
        let reason = if status.gate == Gate::Kept {
            String::new()
        } else {
            format!(
                "{name}: {}
",
                status.reason
            )
        };
        output::print(&format!("{reason}champion: {}", status.champion))?;
    }
    match status.gate {
        Gate::Kept => Err(Error::Attention(format!("{name}: {}", status.reason))),
        Gate::Promoted | Gate::First | Gate::Replaced => Ok(()),
    }
}
