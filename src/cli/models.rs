//! `twinopt models`.

use std::path::PathBuf;

use super::Globals;
use crate::error::{Error, Result};

/// List, show, roll back or verify the models of a plant.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  twinopt models data/datacenter list\n  twinopt models data/datacenter rollback")]
pub struct Args {
    /// Folder of the twin, e.g. data/datacenter
    pub dir: PathBuf,
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// All versions, newest first; the champion is marked
    List,
    /// Skill, provenance and gains of a version
    Show {
        /// First characters of a version (default: the champion)
        version: Option<String>,
    },
    /// Make an earlier version champion
    Rollback {
        /// First characters of a version (default: the champion before this one)
        version: Option<String>,
    },
    /// Check every version against its hash
    Verify,
}

pub fn run(_args: &Args, _globals: &Globals) -> Result<()> {
    Err(Error::Usage("`models` is being built".into()))
}
