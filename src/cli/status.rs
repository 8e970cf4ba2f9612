//! `twinopt status`.

use std::path::PathBuf;

use super::Globals;
use crate::error::{Error, Result};
use crate::spec::TimeSpan;

/// Say how old and healthy the model of each plant is.
///
/// Exits 3 when a plant's last good retrain is older than its limit.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  twinopt status\n  twinopt status data/datacenter --max-age 26h")]
pub struct Args {
    /// Folders of twins (default: every plant of the project here)
    pub dirs: Vec<PathBuf>,
    /// Oldest age that is in order, in place of `retrain.max_age`
    #[arg(long, value_name = "SPAN", value_parser = |s: &str| s.parse::<TimeSpan>())]
    pub max_age: Option<TimeSpan>,
}

pub fn run(_args: &Args, _globals: &Globals) -> Result<()> {
    Err(Error::Usage("`status` is being built".into()))
}
