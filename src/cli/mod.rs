//! The command line, with one file per command. No other module prints errors or ends the process.

mod advise;
mod check;
mod clock;
mod completions;
mod control;
mod failure;
mod fit;
mod globals;
mod import;
mod import_options;
mod imported;
mod init;
mod inspect;
pub mod interrupt;
mod man;
mod models;
pub mod output;
mod pace;
mod plant;
pub mod progress;
mod reference;
mod render;
mod report;
mod retrain;
mod run;
mod schedule;
mod status;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::error::{Error, Result};
use globals::Globals;
pub use reference::reference;

/// Turn the logs of a plant into a digital twin, what-if scenarios, model-predictive control and a report.
#[derive(Debug, Parser)]
#[command(name = "twinopt", version, propagate_version = true, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  twinopt import data/plant1 --from 'export/*.csv' convert exports into the log of a plant
  twinopt init data/plant1                         start a project from this log
  twinopt check                                    list all faults of all files
  twinopt run scenarios/datacenter                 fit if needed, simulate, write the report
  twinopt report diff reports/a reports/b          compare two runs

Exit codes: 0 success, 1 bug in twinopt, 2 wrong usage, 3 finished but needs attention, 65 bad data,
66 missing input, 73/74 cannot write, 75 in use by another process, 78 faults in the configuration,
130 interrupted (143 by SIGTERM).";

// The help text of each command is the doc comment on its argument struct.
#[derive(Debug, Subcommand)]
enum Verb {
    Import(Box<import::Args>),
    Init(init::Args),
    Check(check::Args),
    Inspect(inspect::Args),
    Fit(fit::Args),
    Run(run::Args),
    Report(report::Args),
    Retrain(retrain::Args),
    Schedule(schedule::Args),
    Models(models::Args),
    Status(status::Args),
    Verify(verify::Args),
    Advise(advise::Args),
    Control(control::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Parses the command line, runs the command and returns the exit code.
pub fn main() -> ExitCode {
    failure::install_panic_hook();
    interrupt::listen();
    match std::panic::catch_unwind(|| {
        let cli = match Cli::try_parse() {
            Ok(cli) => cli,
            Err(error) => {
                // clap also returns the help and version output as errors; a failure to print them is ignored
                let _ = error.print();
                return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
            }
        };
        match run(&cli) {
            Ok(code) => code,
            Err(error) => failure::report(&error, &cli.globals),
        }
    }) {
        Ok(code) => code,
        Err(_) => {
            failure::print_panic();
            ExitCode::from(1)
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode> {
    let globals = &cli.globals;
    // every command fails at once if the requested device does not exist
    globals.device.compute()?;
    if let Some(jobs) = globals.jobs {
        rayon::ThreadPoolBuilder::new()
            .num_threads(usize::from(jobs))
            .build_global()
            .map_err(|e| Error::Internal(format!("cannot start the threads: {e}")))?;
    }
    let done = match &cli.verb {
        Verb::Import(args) => return import::run(args, globals),
        Verb::Init(args) => init::run(args, globals),
        Verb::Check(args) => check::run(args, globals),
        Verb::Inspect(args) => inspect::run(args, globals),
        Verb::Fit(args) => fit::run(args, globals),
        Verb::Run(args) => run::run(args, globals),
        Verb::Report(args) => report::run(args, globals),
        Verb::Retrain(args) => retrain::run(args, globals),
        Verb::Schedule(args) => schedule::run(args, globals),
        Verb::Models(args) => models::run(args, globals),
        Verb::Status(args) => status::run(args, globals),
        Verb::Verify(args) => verify::run(args, globals),
        Verb::Advise(args) => advise::run(args, globals),
        Verb::Control(args) => control::run(args, globals),
        Verb::Completions(args) => completions::run(args, globals, Cli::command()),
        Verb::Man(args) => man::run(args, globals, Cli::command()),
    };
    done.map(|()| ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_has_a_one_line_description() {
        for verb in Cli::command().get_subcommands() {
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!about.is_empty() && about.len() < 90, "{}: {about}", verb.get_name());
        }
    }

    #[test]
    fn the_commands_in_the_readme_are_valid() {
        let readme = include_str!("../../README.md");
        let inline = readme.split('`').skip(1).step_by(2).filter_map(|code| code.strip_prefix("twinopt "));
        let main = readme.lines().filter_map(|line| line.trim().strip_prefix("cargo run --release -- "));
        let commands: Vec<&str> = inline.chain(main).filter(|c| !c.starts_with('-')).collect();
        assert!(commands.len() > 12, "{commands:?}");
        for command in commands {
            let words = ["twinopt"].into_iter().chain(command.split_whitespace());
            let fault = Cli::command().try_get_matches_from(words).err().map(|e| e.to_string());
            // the text may mention a command without its arguments
            assert!(fault.is_none() || !command.contains(' '), "`twinopt {command}`: {}", fault.unwrap_or_default());
        }
    }
}
