//! The program that `twinopt import` runs. It is a separate program, so that `twinopt` can be built without polars.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use twinopt_import::options::Options;
use twinopt_import::{Request, limits, progress, run, scratch};

/// Convert exports into the Parquet log of a plant. Run this program as `twinopt import`.
#[derive(Debug, Parser)]
#[command(name = "twinopt-import", version, arg_required_else_help = true)]
struct Cli {
    /// Print results as JSON on standard output
    #[arg(long, global = true)]
    json: bool,
    /// Print errors only
    #[arg(long, short, global = true)]
    quiet: bool,
    // the other flags of `twinopt` have no effect on an import
    #[arg(long, global = true, hide = true)]
    seed: Option<u64>,
    #[arg(long, short, global = true, hide = true)]
    jobs: Option<u16>,
    #[arg(long, global = true, hide = true)]
    device: Option<String>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Import(Box<Options>),
}

/// Exit code if `twinopt import` was interrupted.
const INTERRUPTED: i32 = 130;
/// Exit code for bad data.
const BAD_DATA: u8 = 65;

fn main() -> ExitCode {
    // the message of a panic is part of the error below
    std::panic::set_hook(Box::new(|_| {}));
    limits::watch(too_slow);
    limits::end_with_parent(INTERRUPTED);
    let matches = match Cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(2);
        }
    };
    if cli.quiet {
        progress::be_quiet();
    }
    let Verb::Import(options) = cli.verb;
    let request = match matches.subcommand().map(|(_, given)| Request::new(*options, given)) {
        Some(Ok(request)) => request,
        Some(Err(error)) => return failed(cli.json, error.exit_code(), &error.to_string()),
        None => return ExitCode::from(2),
    };
    match std::panic::catch_unwind(|| run(&request)) {
        Ok(Ok(report)) => {
            let mut out = std::io::stdout().lock();
            let text = if cli.json { format!("{:#}", report.json()) } else { report.text() };
            if !cli.quiet || cli.json {
                // it is not an error if the process that reads the output stops early
                let _ = writeln!(out, "{text}");
            }
            ExitCode::SUCCESS
        }
        Ok(Err(error)) => failed(cli.json, error.exit_code(), &error.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default();
            let first = text.lines().next().unwrap_or("");
            match limits::current() {
                Some(path) => failed(
                    cli.json,
                    BAD_DATA,
                    &format!("{}: the file is damaged, or of a kind that cannot be read ({first})", path.display()),
                ),
                None => failed(cli.json, 1, &format!("this is a bug in twinopt-import: {first}")),
            }
        }
    }
}

/// Prints an error, and returns the exit code.
fn failed(json: bool, code: u8, text: &str) -> ExitCode {
    let text: String = text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect();
    if json {
        let document = serde_json::json!({ "schema_version": 2, "ok": false, "exit_code": code, "error": text });
        let _ = writeln!(std::io::stdout().lock(), "{document:#}");
    } else {
        let _ = writeln!(std::io::stderr().lock(), "error: {text}");
    }
    ExitCode::from(code)
}

fn too_slow(path: &Path) {
    let _ = writeln!(
        std::io::stderr().lock(),
        "error: {}: reading takes too long for a file of this size; the file is probably damaged",
        path.display()
    );
    scratch::remove();
    std::process::exit(i32::from(BAD_DATA));
}
