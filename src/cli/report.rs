//! `twinopt report`: write the report again from stored results, or compare two reports.

use std::path::PathBuf;

use serde_json::json;

use super::globals::Globals;
use super::output::{self, note};
use crate::error::{Error, Result};
use crate::ops::run::write_pages;
use crate::ops::stored::StoredResults;
use crate::report;

/// Write the report again from stored results, or compare two reports.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  twinopt report reports/datacenter\n  twinopt report diff reports/old reports/new")]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    /// Folder of a report, or of a twin
    #[arg(required = true)]
    pub dir: Option<PathBuf>,
    #[command(subcommand)]
    pub action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// List the KPIs that differ between two reports
    Diff {
        /// Folder or results.json file of the first report
        a: PathBuf,
        /// Folder or results.json file of the second report
        b: PathBuf,
    },
}

pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    match (&args.action, &args.dir) {
        (Some(Action::Diff { a, b }), _) => {
            let diff = report::diff(&StoredResults::read(a)?.results, &StoredResults::read(b)?.results);
            if globals.json { output::versioned(&diff) } else { output::print(&diff.to_string()) }
        }
        (None, Some(dir)) => {
            let StoredResults { folder, results, .. } = StoredResults::read(dir)?;
            write_pages(&folder, &results)?;
            let index = folder.join("index.html");
            if globals.json {
                return output::json(&json!({
                    "schema_version": output::SCHEMA_VERSION,
                    "plant": results.plant,
                    "report": index,
                }));
            }
            note(globals, &format!("report: {}", index.display()));
            Ok(())
        }
        (None, None) => Err(Error::Usage("give the folder of a report".into())),
    }
}
