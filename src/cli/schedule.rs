//! `twinopt schedule`.

use std::path::PathBuf;

use super::Globals;
use crate::error::{Error, Result};

/// Print the units that retrain every night: systemd, cron or Kubernetes.
///
/// Nothing is installed; read what is printed, then put it in place.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("target").required(true))]
#[command(
    after_help = "Examples:\n  twinopt schedule data/datacenter --at 02:30 --systemd\n  twinopt schedule data/datacenter --at 02:30 --cron | crontab -"
)]
pub struct Args {
    /// Folder of the twin, e.g. data/datacenter
    pub dir: PathBuf,
    /// Local time of day
    #[arg(long, value_name = "HH:MM", default_value = "02:30")]
    pub at: String,
    /// A service and a timer
    #[arg(long, group = "target")]
    pub systemd: bool,
    /// A line for crontab
    #[arg(long, group = "target")]
    pub cron: bool,
    /// A CronJob
    #[arg(long, group = "target")]
    pub kubernetes: bool,
    /// Run the plant's scenarios after retraining
    #[arg(long)]
    pub run: bool,
}

pub fn run(_args: &Args, _globals: &Globals) -> Result<()> {
    Err(Error::Usage("`schedule` is being built".into()))
}
