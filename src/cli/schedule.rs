//! `twinopt schedule`: prints the configuration of a scheduler that runs `retrain` every night.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::globals::{Device, Globals};
use super::output;
use crate::config::{self, TimeOfDay};
use crate::error::{Error, Result};
use crate::log::OUTSIDE;
use crate::ops::project::Project;
use crate::ops::schedule::Job;

/// Print the configuration of a nightly retraining job for systemd, cron or Kubernetes.
///
/// Nothing is installed. Review the output, then install it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  twinopt schedule data/datacenter --at 02:30 --systemd\n  twinopt schedule data/datacenter --at 02:30 --cron --run scenarios/datacenter"
)]
#[command(group = clap::ArgGroup::new("kind").required(true))]
pub struct Args {
    /// Folder of the twin, e.g. data/datacenter
    pub dir: PathBuf,
    /// Start time HH:MM, in UTC for systemd and Kubernetes and in local time for cron
    #[arg(long, value_name = "HH:MM", default_value = "02:30")]
    pub at: String,
    /// Folder of scenarios to run after the retraining
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
    /// Program that the retraining runs when an alert opens or clears (`retrain --notify`)
    #[arg(long, value_name = "PROGRAM")]
    pub notify: Option<PathBuf>,
    /// Print a systemd service and timer
    #[arg(long, group = "kind")]
    pub systemd: bool,
    /// Print a crontab line
    #[arg(long, group = "kind")]
    pub cron: bool,
    /// Print a Kubernetes CronJob
    #[arg(long, group = "kind")]
    pub kubernetes: bool,
}

pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let at: TimeOfDay = args.at.parse().map_err(|why| Error::Usage(format!("--at: {why}")))?;
    let twin = config::load_twin(&args.dir)?;
    let project = Project::find(&args.dir)?;
    let binary =
        std::env::current_exe().map_err(|e| Error::Internal(format!("the path of the executable is unknown: {e}")))?;
    let job = Job {
        twin: absolute(&args.dir)?,
        root: absolute(&project.root)?,
        plant: twin.value.name.value,
        binary: absolute(&binary)?,
        hour: at.hour() as u8,
        minute: at.minute() as u8,
        run: args.run.as_deref().map(absolute).transpose()?,
        notify: args.notify.as_deref().map(absolute).transpose()?,
        flags: flags(globals),
        outside: std::env::var(OUTSIDE).unwrap_or_default(),
    };
    let text = if args.systemd {
        job.systemd()
    } else if args.cron {
        job.cron()
    } else {
        job.kubernetes()
    };
    if globals.json {
        return output::json(&serde_json::json!({ "schema_version": output::SCHEMA_VERSION, "text": text }));
    }
    output::print(&text)
}

/// The global flags to repeat in the scheduled commands: device, seed and number of threads.
fn flags(globals: &Globals) -> Vec<String> {
    let device = globals.device.to_possible_value().filter(|_| globals.device != Device::Auto);
    let device = device.map(|d| format!("--device {}", d.get_name()));
    let seed = globals.seed.map(|seed| format!("--seed {seed}"));
    let jobs = globals.jobs.map(|jobs| format!("--jobs {jobs}"));
    [device, seed, jobs].into_iter().flatten().collect()
}

fn absolute(path: &Path) -> Result<String> {
    let full = path.canonicalize().map_err(|e| Error::no_input(path, e))?;
    full.to_str().map(str::to_owned).ok_or_else(|| Error::Usage(format!("{} is not UTF-8", full.display())))
}
