//! `twinopt inspect`: shows the quality of a log.

use std::path::PathBuf;

use super::globals::Globals;
use super::{output, progress, render};
use crate::check;
use crate::error::{Error, Result};
use crate::{expr, log};

/// Show the quality of a log: coverage, gaps, bad samples, movement of controls.
///
/// Reads the log in the same way as `fit`, and reports which samples were dropped, held or interpolated, and when. The
/// effect of a control that never moves cannot be learned.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  twinopt inspect data/datacenter\n  twinopt inspect data/datacenter --json")]
pub struct Args {
    /// Folder of the twin, e.g. data/datacenter
    pub dir: PathBuf,
}

pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let (twin, warnings) = check::load_twin(&args.dir)?;
    if !warnings.is_empty() {
        output::note(globals, &render::text(&warnings, false));
    }
    let schema = expr::schema(&twin.value).map_err(|complaints| {
        let text = complaints.into_iter().map(|(what, _)| what).collect::<Vec<_>>().join("; ");
        Error::Internal(format!("the checked twin has no tag list: {text}"))
    })?;
    let dir = twin.path.parent().map_or_else(PathBuf::new, PathBuf::from);
    let spinner = progress::spinner(globals, "reading the log");
    let read = log::read(&dir, &twin.value, &schema);
    spinner.finish_and_clear();
    let (_, quality) = read?;
    if globals.json {
        output::versioned(&quality)
    } else {
        output::print(&crate::terminal::printable(&log::render(&quality)))
    }
}
