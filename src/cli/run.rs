//! `twinopt run`.

use std::path::PathBuf;

use super::Globals;
use crate::error::{Error, Result};

/// Simulate every case of scenarios and write the report.
///
/// Fits first when the plant has no model. One bad scenario does not stop the others; the exit code is the worst of
/// them. Results go to `reports/<plant>`: index.html, kpi.csv, results.json, runs.parquet, provenance.json.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  twinopt run scenarios/datacenter\n  twinopt run scenarios/datacenter/heatwave.toml --seed 7\n  twinopt run scenarios/datacenter --resume"
)]
pub struct Args {
    /// Scenario files or folders
    #[arg(required = true, value_name = "SCENARIO")]
    pub scenarios: Vec<PathBuf>,
    /// Redo only what is missing or whose inputs have changed
    #[arg(long)]
    pub resume: bool,
}

pub fn run(_args: &Args, _globals: &Globals) -> Result<()> {
    Err(Error::Usage("`run` is being built".into()))
}
