//! `twinopt completions`: prints the completions for a shell.

use clap::Command;
use clap_complete::Shell;
use serde_json::json;

use super::globals::Globals;
use super::output::{self, SCHEMA_VERSION};
use crate::error::Result;

/// Print shell completions for commands and options.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  twinopt completions bash > ~/.local/share/bash-completion/completions/twinopt\n  twinopt completions zsh > \"${fpath[1]}/_twinopt\"\n  twinopt completions fish > ~/.config/fish/completions/twinopt.fish"
)]
pub struct Args {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Prints the completions of `command`.
pub fn run(args: &Args, globals: &Globals, mut command: Command) -> Result<()> {
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    let script = String::from_utf8_lossy(&script);
    if globals.json {
        let shell = args.shell.to_string();
        return output::json(&json!({ "schema_version": SCHEMA_VERSION, "shell": shell, "script": script }));
    }
    output::print(&script)
}
