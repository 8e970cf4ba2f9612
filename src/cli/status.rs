//! `twinopt status`: shows the age and state of each plant's model.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::json;

use super::globals::Globals;
use super::output::{self, SCHEMA_VERSION};
use crate::config::{self, TimeSpan};
use crate::error::{Error, Result};
use crate::ops::Registry;
use crate::ops::project::Project;
use crate::ops::status::{NO_CHAMPION, Status};

/// Show the age and state of each plant's model.
///
/// The exit code is 3 if the last successful retraining of a plant is older than its limit.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  twinopt status\n  twinopt status data/datacenter --max-age 26h")]
pub struct Args {
    /// Folder of a project, or of one twin
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Maximum age of the last retraining, e.g. 26h (default: `max_age` of the twin, or 26h)
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    pub max_age: Option<TimeSpan>,
}

fn parse_span(text: &str) -> std::result::Result<TimeSpan, String> {
    text.parse()
}

pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    if !args.dir.exists() {
        return Err(Error::no_input(&args.dir, "it does not exist; give the folder of a project or of a twin"));
    }
    let project = Project::find(&args.dir)?;
    let names = if args.dir.join("twin.toml").is_file() {
        vec![config::load_twin(&args.dir)?.value.name.value]
    } else {
        project.twins()
    };
    let now = Timestamp::now();
    let (mut rows, mut text, mut stale, mut never) = (Vec::new(), String::new(), Vec::new(), Vec::new());
    for name in names {
        let registry = Registry::open(project.model_dir(&name));
        let Some(mut status) = Status::read(registry.dir())? else {
            text += &format!("{name:<20} never retrained\n");
            rows.push(json!({ "plant": name, "stale": true, "status": null }));
            never.push(name);
            continue;
        };
        let (age, old) = status.age(now, args.max_age);
        // if there is no champion, even a recent retraining was not successful
        let missing = status.champion == NO_CHAMPION;
        // the champion may have been rolled back or damaged since the last retraining
        let mut damaged = false;
        if let Some(champion) = registry.champion().ok().flatten() {
            damaged = registry.check(&champion.name).is_err();
            status.champion = champion.name;
        }
        let state = if missing {
            "no model"
        } else if damaged {
            "damaged"
        } else if old {
            "stale"
        } else {
            "good"
        };
        let old = old || missing || damaged;
        let hours = age.seconds() / 3600.0;
        text += &format!(
            "{name:<20} {state:<8} retrained {hours:.1} h ago in {:.0} s, gate: {}, champion {}\n{:<20} {}\n",
            status.seconds, status.gate, status.champion, "", status.reason
        );
        rows.push(json!({ "plant": name, "stale": old, "age_hours": hours, "status": status }));
        if old {
            stale.push(name);
        }
    }
    if globals.json {
        output::json(&json!({ "schema_version": SCHEMA_VERSION, "plants": rows }))?;
    } else if !text.is_empty() {
        output::print(&text)?;
    }
    let problems = [("stale, damaged or without a model", stale), ("never retrained", never)];
    let problems: Vec<String> =
        problems.iter().filter(|(_, n)| !n.is_empty()).map(|(what, n)| format!("{what}: {}", n.join(", "))).collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::Attention(format!(
        "{}; run `twinopt retrain` for these plants, or schedule it with `twinopt schedule`",
        problems.join("; ")
    )))
}
