//! `twinopt inspect`: shows the quality of a log.

use std::path::PathBuf;

use serde::Serialize;

use super::globals::Globals;
use super::{output, progress, render};
use crate::check;
use crate::error::Result;
use crate::log::{self, Quality};
use crate::ops::plant;
use crate::scenario::results::{ControlIdentification, IdentificationLevel};
use crate::terminal::printable;

/// Show the quality of a log: coverage, gaps, bad samples, movement of controls.
///
/// Reads the log in the same way as `fit`, and reports which samples were dropped, held or interpolated, and when. Also
/// reports whether the log identifies the effect of each control. The effect of a control that never moves, or that
/// always moves together with other signals, cannot be learned.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  twinopt inspect data/datacenter\n  twinopt inspect data/datacenter --json")]
pub struct Args {
    /// Folder of the twin, e.g. data/datacenter
    pub dir: PathBuf,
}

/// The output of `--json`.
#[derive(Serialize)]
struct Inspection<'a> {
    #[serde(flatten)]
    quality: &'a Quality,
    identification: &'a [ControlIdentification],
    /// Why the controls were not assessed.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_assessed: Option<String>,
}

pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let (twin, warnings) = check::load_twin(&args.dir)?;
    if !warnings.is_empty() {
        output::note(globals, &render::text(&warnings, false));
    }
    let (name, compute) = (twin.value.name.value.clone(), globals.device.compute()?);
    let (source, controls) = progress::with_spinner(globals, &name, |progress, _| -> Result<_> {
        let source = plant::read(twin, compute, progress)?;
        progress("assessing the controls");
        let controls = source.identification();
        Ok((source, controls))
    })?;
    let (identification, not_assessed) = match controls {
        Ok(list) => (list, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    if globals.json {
        output::versioned(&Inspection { quality: &source.quality, identification: &identification, not_assessed })
    } else {
        let text = log::render(&source.quality) + &table(&identification, not_assessed.as_deref());
        output::print(&printable(&text))
    }
}

/// One line per control.
fn table(controls: &[ControlIdentification], not_assessed: Option<&str>) -> String {
    let line = |c: &ControlIdentification| {
        let (level, why) = match c.level {
            IdentificationLevel::Identified => ("identified", None),
            IdentificationLevel::Weak => ("weak", Some(c.reason())),
            IdentificationLevel::NotIdentified => ("not identified", Some(c.reason())),
        };
        let why = why.unwrap_or_else(|| {
            let explained = c.explained_text();
            format!("{:.0} independent moves; other signals and the clock explain {explained} of all moves", c.moves)
        });
        format!("  {:<20} {level:<15} {why}\n", c.control)
    };
    let lines: String = match not_assessed {
        Some(why) => format!("  not assessed: {why}\n"),
        None => controls.iter().map(line).collect(),
    };
    if lines.is_empty() { lines } else { format!("\nidentification of the effects of controls\n{lines}") }
}
