//! `twinopt report`.

use std::path::PathBuf;

use super::Globals;
use crate::error::{Error, Result};

/// Write the report again from stored results, or compare two.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "Examples:\n  twinopt report reports/datacenter\n  twinopt report diff reports/old reports/new")]
pub struct Args {
    /// Folder with results.json, e.g. reports/datacenter
    #[arg(required = true)]
    pub dir: Option<PathBuf>,
    #[command(subcommand)]
    pub action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// List the KPIs that differ between two reports
    Diff {
        /// Folder with the results to compare with
        before: PathBuf,
        /// Folder with the results to compare
        after: PathBuf,
    },
}

pub fn run(_args: &Args, _globals: &Globals) -> Result<()> {
    Err(Error::Usage("`report` is being built".into()))
}
