//! `twinopt import`: runs the program `twinopt-import`, which reads exports with polars.
//!
//! Exports are read in a separate process, because the reader can abort on a damaged file and because the address space
//! of that process is limited.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, ErrorKind, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use serde::Deserialize;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::globals::Globals;
pub use super::import_options::Options as Args;
use super::output;
use super::progress::Stages;
use crate::error::{Error, Result};

/// Name of the program.
const PROGRAM: &str = "twinopt-import";
/// Name of the recipe of an import in the folder of a plant.
pub const RECIPE: &str = "import.toml";
/// Control character that precedes the name of the file that `twinopt-import` is about to read.
const READING: u8 = 0x1f;
/// Control character that precedes the progress of a stage: the work done, the total work and the name of the stage,
/// separated by tabs.
const STAGE: u8 = 0x1e;
/// Control character that precedes the name of the temporary folder of `twinopt-import`.
const SCRATCH: u8 = 0x1d;
/// Start of the name of that folder.
const SCRATCH_NAME: &str = "twinopt-import-";
/// Advice if an import before a retraining fails.
const NO_IMPORT: &str = "`twinopt retrain --no-import` uses the log as it is";
/// Maximum number of threads (not tuned). Each thread needs address space, which is limited.
const MAX_THREADS: usize = 8;

/// Runs the program with the arguments of this process, and returns its exit code.
///
/// # Errors
/// [`Error::NoInput`] if the program is missing, [`Error::Interrupted`] if a signal asked it to end, and
/// [`Error::Data`] if it was killed by another signal.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode> {
    let stages = Stages::of_quick_command(globals, "import");
    let arguments = std::env::args_os().skip(1).collect();
    let print = |line: &[u8]| {
        stages.suspend(|| {
            let _ = std::io::stderr().lock().write_all(line);
        });
    };
    let (code, report) = start(arguments, &args.dir, globals, &stages, print)?;
    drop(stages);
    if !report.is_empty() {
        output::print(&report)?;
    }
    Ok(ExitCode::from(code))
}

/// The parts of the JSON document of `twinopt-import` that a retraining shows.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Report {
    error: Option<String>,
    sources: Vec<Source>,
    notes: Vec<String>,
}

#[derive(Deserialize)]
struct Source {
    from: String,
    notes: Vec<String>,
}

impl Report {
    /// Parses the standard output of the program. Other text than a document becomes a note.
    fn parse(text: &str) -> Self {
        let other = |_| Self { notes: text.lines().map(str::to_owned).collect(), ..Self::default() };
        serde_json::from_str(text).unwrap_or_else(other)
    }

    /// All notes. Those on a source start with its address.
    fn into_notes(self) -> Vec<String> {
        let of_source = |s: Source| s.notes.into_iter().map(move |note| format!("{}: {note}", s.from));
        self.sources.into_iter().flat_map(of_source).chain(self.notes).collect()
    }
}

/// Repeats the import whose recipe is in the folder `dir` of a plant, and returns the notes of its report.
///
/// # Errors
/// The errors of [`run`]. If the program fails, [`Error::Data`] for bad data, [`Error::Write`] if the log cannot be
/// written, and otherwise [`Error::NoInput`].
pub fn repeat(dir: &Path, globals: &Globals, stages: &Stages<'_>) -> Result<Vec<String>> {
    let arguments = vec!["import".into(), dir.into(), "--json".into()];
    let mut errors = String::new();
    let keep = |line: &[u8]| errors += &String::from_utf8_lossy(line);
    let recipe = dir.join(RECIPE);
    let failed = |text: &str| format!("the import of {} failed: {text}", recipe.display());
    let ended = start(arguments, dir, globals, stages, keep).map_err(|error| match error {
        Error::Data(text) => Error::Data(failed(&text)),
        Error::NoInput { path, reason } => Error::NoInput { path, reason: format!("{reason}; {NO_IMPORT}") },
        other => other,
    });
    let (code, report) = ended?;
    let report = Report::parse(&report);
    let text = report.error.as_deref().unwrap_or_else(|| errors.trim().trim_start_matches("error: "));
    let text = format!("{text}\nchampion unchanged; {NO_IMPORT}");
    match code {
        0 => Ok(report.into_notes()),
        65 => Err(Error::Data(failed(&text))),
        73 | 74 => Err(Error::write(dir.join("log"), std::io::Error::other(text))),
        130 | 143 => Err(Error::Interrupted),
        _ => Err(Error::no_input(format!("the sources in {}", recipe.display()), text)),
    }
}

/// Runs the program, and returns its exit code and its standard output. Shows the progress of the program in `stages`,
/// and passes all other lines from its standard error to `other`.
fn start(
    arguments: Vec<OsString>,
    dir: &Path,
    globals: &Globals,
    stages: &Stages<'_>,
    mut other: impl FnMut(&[u8]),
) -> Result<(u8, String)> {
    let beside = std::env::current_exe().ok().and_then(|p| p.parent().map(|dir| dir.join(PROGRAM)));
    let program = beside.filter(|p| p.is_file()).unwrap_or_else(|| PathBuf::from(PROGRAM));
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    let threads = globals.jobs.map_or(threads, usize::from);
    let child = Command::new(&program)
        .args(arguments)
        .env("POLARS_MAX_THREADS", threads.to_string())
        .env("MALLOC_ARENA_MAX", "2")
        // when this process ends, the standard input of the import program is closed, so that the import program also
        // ends
        .env("TWINOPT_IMPORT_PARENT", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
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
    // both pipes are read at the same time, because the program waits if one of them is full
    let report = child.stdout.take().map(|mut out| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = out.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        })
    });
    let (mut file, mut scratch) = (None, None);
    if let Some(errors) = child.stderr.take() {
        let mut errors = BufReader::new(errors);
        let mut line = Vec::new();
        while errors.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            match line.split_first() {
                Some((&READING, name)) => file = Some(String::from_utf8_lossy(name).trim_end().to_owned()),
                Some((&SCRATCH, name)) => scratch = Some(PathBuf::from(String::from_utf8_lossy(name).trim_end())),
                Some((&STAGE, stage)) => show(&String::from_utf8_lossy(stage), stages),
                _ => other(&line),
            }
            line.clear();
        }
    }
    let status = child.wait().map_err(|e| Error::no_input(&program, e))?;
    drop(input);
    // a program that was killed leaves its temporary folder behind
    let is_temporary = |folder: &PathBuf| {
        folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(SCRATCH_NAME)) && folder.is_dir()
    };
    if let Some(folder) = scratch.filter(is_temporary) {
        let _ = std::fs::remove_dir_all(folder);
    }
    match status.code() {
        Some(code) => {
            let report = report.and_then(|thread| thread.join().ok()).unwrap_or_default();
            Ok((u8::try_from(code).unwrap_or(1), report))
        }
        None if matches!(status.signal(), Some(SIGHUP | SIGINT | SIGTERM)) => Err(Error::Interrupted),
        None => {
            let file = file.unwrap_or_else(|| dir.display().to_string());
            Err(Error::Data(format!(
                "{file}: the program that reads the file was stopped ({status}); the file is damaged, or it needs more memory than \
                 `--memory` allows"
            )))
        }
    }
}

/// Shows a stage of `twinopt-import`, which is written as work done, total work and name, separated by tabs.
fn show(stage: &str, stages: &Stages<'_>) {
    let mut parts = stage.trim_end().splitn(3, '\t');
    let mut next = || parts.next().unwrap_or_default();
    let (done, total, name) = (next(), next(), next());
    if let (Ok(done), Ok(total)) = (done.parse(), total.parse()) {
        stages.show(name, done, total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_name_their_source_and_errors_are_no_notes() {
        let text = r#"{"schema_version": 2, "rows": 3, "notes": ["not read: a.md"],
            "sources": [{"from": "s3://b/x", "rows": 3, "notes": ["2 rows left out"]}]}"#;
        assert_eq!(Report::parse(text).into_notes(), ["s3://b/x: 2 rows left out", "not read: a.md"]);
        let failed = Report::parse(r#"{"schema_version": 2, "ok": false, "exit_code": 66, "error": "no access"}"#);
        assert_eq!(failed.error.as_deref(), Some("no access"));
        assert!(failed.into_notes().is_empty());
        assert_eq!(Report::parse("one\ntwo\n").into_notes(), ["one", "two"]);
        assert!(Report::parse("").into_notes().is_empty());
    }
}
