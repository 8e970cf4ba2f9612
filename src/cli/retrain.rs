//! `twinopt retrain`.

use std::path::PathBuf;

use super::Globals;
use crate::error::{Error, Result};

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

pub fn run(_args: &Args, _globals: &Globals) -> Result<()> {
    Err(Error::Usage("`retrain` is being built".into()))
}
