//! `twinopt man`: prints or writes the manual pages.

use std::path::{Path, PathBuf};

use clap::Command;
use clap_mangen::Man;
use serde_json::json;

use super::globals::Globals;
use super::output::{self, SCHEMA_VERSION};
use crate::disk::{make_dir, write_file};
use crate::error::{Error, Result};

/// Print the manual page, or write the pages of all commands.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  twinopt man | man -l -\n  twinopt man ~/.local/share/man/man1")]
pub struct Args {
    /// Folder for the pages of all commands (default: print the page of `twinopt`)
    pub dir: Option<PathBuf>,
}

/// Prints or writes the pages of `command`.
pub fn run(args: &Args, globals: &Globals, mut command: Command) -> Result<()> {
    command.build();
    let Some(dir) = &args.dir else {
        let page = page(&command)?;
        return if globals.json {
            output::json(&json!({ "schema_version": SCHEMA_VERSION, "page": page }))
        } else {
            output::print(&page)
        };
    };
    make_dir(dir).map_err(|e| Error::write(dir, e))?;
    let mut files = Vec::new();
    write_pages(&command, dir, &mut files)?;
    if globals.json {
        return output::json(&json!({ "schema_version": SCHEMA_VERSION, "files": files }));
    }
    output::note(globals, &format!("{} pages in {}", files.len(), dir.display()));
    Ok(())
}

/// Writes the pages of `command` and its subcommands. The name of a page contains the names of all parent commands, as
/// in `twinopt-report-diff`.
fn write_pages(command: &Command, dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let file = dir.join(format!("{name}.1"));
    write_file(&file, page(command)?.as_bytes())?;
    files.push(file);
    command.get_subcommands().filter(|c| c.get_name() != "help").try_for_each(|c| write_pages(c, dir, files))
}

fn page(command: &Command) -> Result<String> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page).map_err(|e| Error::Internal(format!("the manual page: {e}")))?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
