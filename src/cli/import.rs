//! `twinopt import`: runs the program `twinopt-import`, which reads exports with polars.
//!
//! Exports are read in a separate process, because the reader can abort on a damaged file and because the address space
//! of that process is limited.

use std::io::{BufRead, BufReader, ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use super::globals::Globals;
pub use super::import_options::Options as Args;
use crate::error::{Error, Result};

/// Name of the program.
const PROGRAM: &str = "twinopt-import";
/// Control character that precedes the name of the file that `twinopt-import` is about to read.
const MARK: u8 = 0x1f;
/// Maximum number of threads (not tuned). Each thread needs address space, which is limited.
const MAX_THREADS: usize = 8;

/// Runs the program with the arguments of this process, and returns its exit code.
///
/// # Errors
/// [`Error::NoInput`] if the program is missing, and [`Error::Data`] if it was killed by a signal.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode> {
    let beside = std::env::current_exe().ok().and_then(|p| p.parent().map(|dir| dir.join(PROGRAM)));
    let program = beside.filter(|p| p.is_file()).unwrap_or_else(|| PathBuf::from(PROGRAM));
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    let threads = globals.jobs.map_or(threads, usize::from);
    let child = Command::new(&program)
        .args(std::env::args_os().skip(1))
        .env("POLARS_MAX_THREADS", threads.to_string())
        .env("MALLOC_ARENA_MAX", "2")
        // the end of this process closes the standard input of the program, which then also ends
        .env("TWINOPT_IMPORT_PARENT", "1")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|e| match e.kind() {
        ErrorKind::NotFound => Error::no_input(
            PROGRAM,
            "it is neither next to `twinopt` nor in PATH; build it with `cargo build --release -p twinopt-import`",
        ),
        _ => Error::no_input(&program, e),
    })?;
    // the pipe stays open until the program has ended
    let input = child.stdin.take();
    let mut file = None;
    if let Some(errors) = child.stderr.take() {
        let mut errors = BufReader::new(errors);
        let mut line = Vec::new();
        while errors.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            match line.strip_prefix(&[MARK]) {
                Some(name) => file = Some(String::from_utf8_lossy(name).trim_end().to_owned()),
                None => {
                    let _ = std::io::stderr().lock().write_all(&line);
                }
            }
            line.clear();
        }
    }
    let status = child.wait().map_err(|e| Error::no_input(&program, e))?;
    drop(input);
    match status.code() {
        Some(code) => Ok(ExitCode::from(u8::try_from(code).unwrap_or(1))),
        None => {
            let file = file.unwrap_or_else(|| args.dir.display().to_string());
            Err(Error::Data(format!(
                "{file}: the program that reads the file was stopped ({status}); the file is damaged, or it needs more memory than \
                 `--memory` allows"
            )))
        }
    }
}
