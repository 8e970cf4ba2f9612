//! Standard output and standard error.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use super::Globals;
use crate::error::{Error, Result};

/// Version of the JSON that verbs print.
pub const SCHEMA_VERSION: u32 = 1;

/// Writes `text` to standard output, whole and with a line end. To a closed pipe nothing is written: who read there has
/// read enough, and the exit code still tells how the work ended.
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

static DOCUMENT: AtomicBool = AtomicBool::new(false);

/// Writes `value` as JSON to standard output: the one document of the process.
pub fn json<T: Serialize>(value: &T) -> Result<()> {
    DOCUMENT.store(true, Ordering::SeqCst);
    print(&serde_json::to_string_pretty(value).map_err(|e| Error::Internal(format!("JSON: {e}")))?)
}

/// The same, of an object that carries no version itself.
pub fn versioned<T: Serialize>(value: &T) -> Result<()> {
    let mut value = serde_json::to_value(value).map_err(|e| Error::Internal(format!("JSON: {e}")))?;
    if let Some(object) = value.as_object_mut() {
        object.entry("schema_version").or_insert_with(|| SCHEMA_VERSION.into());
    }
    json(&value)
}

/// Whether [`json`] has written its document: an error after it goes to standard error, or the output would not parse.
pub(super) fn has_document() -> bool {
    DOCUMENT.load(Ordering::SeqCst)
}

/// A note for the person at the terminal, on standard error; nothing when quiet.
pub fn note(globals: &Globals, text: &str) {
    if !globals.quiet {
        let _ = writeln!(std::io::stderr().lock(), "{}", plain(text));
    }
}

/// `text` without control characters other than line ends and tabs: names from files must not drive a terminal.
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            // Directional overrides make text read differently from what it is.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}
