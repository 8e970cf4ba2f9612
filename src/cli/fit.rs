//! `twinopt fit`.

use std::path::PathBuf;

use super::Globals;
use crate::error::{Error, Result};

/// Learn, validate, calibrate and publish a model of a plant.
///
/// Fits every model of `choose`, scores them on the hold-out at every horizon against persistence and linear, and
/// publishes the winner in `models/<plant>`. A winner without skill is refused (exit 3).
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  twinopt fit data/datacenter")]
pub struct Args {
    /// Folder of the twin, e.g. data/datacenter
    pub dir: PathBuf,
}

pub fn run(_args: &Args, _globals: &Globals) -> Result<()> {
    Err(Error::Usage("`fit` is being built".into()))
}
