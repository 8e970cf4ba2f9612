//! `twinopt status`: shows whether each plant has a good model and recent data.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::json;

use super::globals::Globals;
use super::output::{self, SCHEMA_VERSION};
use crate::config::{self, TimeSpan};
use crate::disk::write_file;
use crate::error::{Error, Result};
use crate::ops::project::Project;
use crate::ops::status::{self, Status, examine, metrics};

/// Show whether each plant has a good model and recent data.
///
/// The status of a plant is good if its champion is usable and younger than `retrain.max_age` (default 90d), the last
/// fit or retraining had a good outcome, and both the last good outcome and the newest row of the log are younger than
/// `--max-age`. If any plant is not good, the exit code is 3.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  twinopt status\n  twinopt status data/datacenter --max-age 8d")]
pub struct Args {
    /// Folder of a project, or of one twin
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Maximum age of the last good outcome and of the newest row of the log, e.g. 8d for weekly exports (default: 26h)
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    pub max_age: Option<TimeSpan>,
    /// Also write the status as metrics for Prometheus to this file, which is replaced atomically
    #[arg(long, value_name = "FILE")]
    pub prometheus: Option<PathBuf>,
}

fn parse_span(text: &str) -> std::result::Result<TimeSpan, String> {
    text.parse()
}

pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    if !args.dir.exists() {
        return Err(Error::no_input(&args.dir, "it does not exist; give the folder of a project or of a twin"));
    }
    let project = Project::find(&args.dir)?;
    let dirs: Vec<PathBuf> = if args.dir.join("twin.toml").is_file() {
        // if the user named one twin, all faults in that twin are reported
        config::load_twin(&args.dir)?;
        vec![args.dir.clone()]
    } else {
        project.twins().iter().map(|name| project.twin_dir(name)).collect()
    };
    if dirs.is_empty() {
        return Err(Error::no_input(project.root.join("data"), "it contains no readable `<plant>/twin.toml`"));
    }
    let (now, compute) = (Timestamp::now(), globals.device.compute()?);
    let max_age = args.max_age.unwrap_or(status::MAX_AGE);
    let all: Vec<Status> = dirs.iter().map(|dir| examine(&project, dir, now, max_age, &compute)).collect();
    if let Some(file) = &args.prometheus {
        write_file(file, metrics(&all).as_bytes())?;
    }
    if globals.json {
        output::json(&json!({ "schema_version": SCHEMA_VERSION, "plants": all }))?;
    } else if !globals.quiet {
        output::print(&all.iter().map(line).collect::<String>())?;
    }
    let bad: Vec<String> = all.iter().filter(|s| !s.good).map(|s| format!("{} ({})", s.plant, s.state())).collect();
    if bad.is_empty() {
        return Ok(());
    }
    let reason = if globals.quiet || globals.json { "; see `twinopt status`" } else { "" };
    Err(Error::Attention(format!("not good: {}{reason}", bad.join(", "))))
}

/// The lines to print for one plant.
fn line(s: &Status) -> String {
    let champion = s.champion.as_deref().unwrap_or("none");
    let last = s.last.as_ref().map_or_else(String::new, |n| format!(", last night: {} at {}", n.outcome, n.at));
    let newest = s.newest_row.as_ref().map_or_else(String::new, |t| format!(", log until {t}"));
    let mut text = format!("{:<20} {:<13} champion {champion}{last}{newest}\n", s.plant, s.state());
    for problem in &s.problems {
        text += &format!("{:<20} - {}\n", "", problem.text.replace('\n', "\n                       "));
    }
    text
}
