//! Prints to standard output and standard error.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use super::globals::Globals;
use crate::error::{Error, Result};
use crate::log::Quality;
use crate::terminal::printable;

/// Version of the JSON format that commands print.
pub const SCHEMA_VERSION: u32 = 2;

/// Writes `text` and a newline to standard output. A closed pipe is not an error, because the reader has chosen to stop
/// reading. Even after the pipe is closed, the exit code reports whether the command succeeded.
///
/// # Errors
/// [`Error::Write`]
pub fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let end: &[u8] = if text.ends_with('\n') { b"" } else { b"\n" };
    match out.write_all(text.as_bytes()).and_then(|()| out.write_all(end)).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(Error::write(Path::new("standard output"), e)),
        _ => Ok(()),
    }
}

static JSON_PRINTED: AtomicBool = AtomicBool::new(false);

/// Writes `value` as JSON to standard output. A process prints at most one JSON document.
pub fn json<T: Serialize>(value: &T) -> Result<()> {
    JSON_PRINTED.store(true, Ordering::SeqCst);
    print(&serde_json::to_string_pretty(value).map_err(|e| Error::Internal(format!("JSON: {e}")))?)
}

/// Writes `value` like [`json`], and adds `schema_version` to an object that has none.
pub fn versioned<T: Serialize>(value: &T) -> Result<()> {
    let mut value = serde_json::to_value(value).map_err(|e| Error::Internal(format!("JSON: {e}")))?;
    if let Some(object) = value.as_object_mut() {
        object.entry("schema_version").or_insert_with(|| SCHEMA_VERSION.into());
    }
    json(&value)
}

/// Whether [`json`] has printed its document. Later errors go to standard error, because two documents would not be
/// valid JSON.
pub(super) fn json_was_printed() -> bool {
    JSON_PRINTED.load(Ordering::SeqCst)
}

/// Prints a note to the user on standard error, unless `--quiet` is set.
pub fn note(globals: &Globals, text: &str) {
    if !globals.quiet {
        line(text);
    }
}

/// Writes a line to standard error.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", printable(text));
}

/// Prints a note on each finding about data that are probably wrong, because the results depend on these data.
pub fn suspicions(globals: &Globals, quality: &Quality) {
    for finding in quality.suspicions() {
        note(globals, &format!("the log: {}", finding.sentence()));
    }
}
