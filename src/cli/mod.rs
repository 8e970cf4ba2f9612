//! The command line: one file per verb, and the only place that prints errors and ends the process.

mod advise;
mod check;
mod clock;
mod control;
mod failure;
mod fit;
mod guess;
mod init;
mod inspect;
pub mod interrupt;
mod models;
pub mod output;
pub mod progress;
pub mod project;
mod render;
mod report;
mod retrain;
mod run;
mod schedule;
mod status;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::compute::{self, Compute};
use crate::error::{Error, Result};

/// From the logs of a running plant to decisions that its staff act on: a learned digital twin, what-if scenarios,
/// model-predictive control and a report.
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
  twinopt init data/plant1 --log export.parquet   start from a historian export
  twinopt check                                   every fault of every file, with its help
  twinopt run scenarios/datacenter                fit if needed, simulate every case, write the report
  twinopt report diff reports/a reports/b         what changed between two runs

Exit codes: 0 done, 2 usage, 3 done but needs attention, 65 bad data, 66 no input, 73/74 cannot write,
75 busy, 78 faults in the configuration, 130 interrupted (143 by SIGTERM), 1 a defect of the program.";

/// Flags of every verb.
#[derive(Debug, Clone, clap::Args)]
pub struct Globals {
    /// Print results as JSON on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// No progress, no notes; errors only
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Seed of all randomness, in place of the one in the files
    #[arg(long, global = true, value_name = "N")]
    pub seed: Option<u64>,
    /// Threads (default: all cores); results do not depend on it
    #[arg(long, short, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Where models are computed
    #[arg(long, global = true, value_enum, default_value_t = Device::Auto)]
    pub device: Device,
}

/// Where models are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Device {
    /// The best that there is
    Auto,
    /// The processor
    Cpu,
    /// An NVIDIA GPU
    Cuda,
}

impl Device {
    /// Opens it; a GPU takes about a second, so only verbs that compute do.
    ///
    /// # Errors
    /// As [`compute::open`].
    pub fn compute(self) -> Result<Compute> {
        Ok(compute::open(match self {
            Self::Auto => compute::Device::Auto,
            Self::Cpu => compute::Device::Cpu,
            Self::Cuda => compute::Device::Cuda,
        })?)
    }
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write a commented twin.toml and a first scenario from a Parquet log
    Init(init::Args),
    /// Report every fault in twins and scenarios, each with its help
    Check(check::Args),
    /// Show the quality of a log: coverage, gaps, bad samples, how much controls moved
    Inspect(inspect::Args),
    /// Learn, validate, calibrate and publish a model of a plant
    Fit(fit::Args),
    /// Simulate every case of scenarios and write the report
    Run(run::Args),
    /// Write the report again from stored results, or compare two
    Report(report::Args),
    /// Fit a challenger and promote it if it beats the champion
    Retrain(retrain::Args),
    /// Print the units that retrain every night: systemd, cron or Kubernetes
    Schedule(schedule::Args),
    /// List, show, roll back or verify the models of a plant
    Models(models::Args),
    /// Say how old and healthy the model of each plant is
    Status(status::Args),
    /// Say which set-points come next, from the newest rows of the log
    Advise(advise::Args),
    /// Drive a plant in closed loop: JSON lines on standard input and output
    Control(control::Args),
}

/// Runs the process's command line.
pub fn main() -> ExitCode {
    failure::hook_panics();
    interrupt::listen();
    match std::panic::catch_unwind(|| {
        let cli = match Cli::try_parse() {
            Ok(cli) => cli,
            Err(stop) => {
                // Help and version are no errors; a closed pipe is none either.
                let _ = stop.print();
                return ExitCode::from(u8::try_from(stop.exit_code()).unwrap_or(2));
            }
        };
        match run(&cli) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failure::report(&error, &cli.globals),
        }
    }) {
        Ok(code) => code,
        Err(_) => {
            failure::tell_defect();
            ExitCode::from(1)
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let globals = &cli.globals;
    // who asks for a device that is not there hears it of every verb, before any work
    globals.device.compute()?;
    if let Some(jobs) = globals.jobs {
        rayon::ThreadPoolBuilder::new()
            .num_threads(usize::from(jobs))
            .build_global()
            .map_err(|e| Error::Internal(format!("the threads cannot be started: {e}")))?;
    }
    match &cli.verb {
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
        Verb::Advise(args) => advise::run(args, globals),
        Verb::Control(args) => control::run(args, globals),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_says_in_one_line_what_it_does() {
        for verb in Cli::command().get_subcommands() {
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!about.is_empty() && about.len() < 90, "{}: {about}", verb.get_name());
        }
    }
}
