//! `twinopt report`: write the report again from stored results, or compare two reports.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::globals::Globals;
use super::output::{self, note};
use crate::error::{Error, Result};
use crate::ops::project::Project;
use crate::ops::run::write_pages;
use crate::report;
use crate::scenario::results::{Results, SCHEMA_VERSION};

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
            let diff = report::diff(&read(a)?.1, &read(b)?.1);
            if globals.json { output::versioned(&diff) } else { output::print(&diff.to_string()) }
        }
        (None, Some(dir)) => {
            let (folder, results) = read(dir)?;
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

/// The field that is present in results files of every version.
#[derive(serde::Deserialize)]
struct Layout {
    schema_version: u32,
}

/// Reads stored results. Also returns their folder.
fn read(path: &Path) -> Result<(PathBuf, Results)> {
    let file = if path.is_file() {
        path.to_path_buf()
    } else if path.join("results.json").is_file() {
        path.join("results.json")
    } else if path.join("twin.toml").is_file() {
        let name = crate::config::load_twin(path)?.value.name.value;
        Project::find(path)?.report_dir(&name).join("results.json")
    } else {
        path.join("results.json")
    };
    let bytes = std::fs::read(&file)
        .map_err(|e| Error::no_input(&file, format!("{e}; create this file with `twinopt run`")))?;
    let parse_error = |e| Error::Data(format!("{}: not a results file ({e}); run the scenarios again", file.display()));
    let Layout { schema_version } = serde_json::from_slice(&bytes).map_err(parse_error)?;
    if schema_version != SCHEMA_VERSION {
        return Err(Error::Data(format!(
            "{}: the results have schema version {schema_version}, not {SCHEMA_VERSION}; run the scenarios again",
            file.display()
        )));
    }
    let results: Results = serde_json::from_slice(&bytes).map_err(parse_error)?;
    let folder = file.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    Ok((folder, results))
}
