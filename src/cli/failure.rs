//! Prints the error of a command and maps it to the exit code of the process.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::globals::Globals;
use super::output::SCHEMA_VERSION;
use super::{interrupt, render};
use crate::error::Error;
use crate::terminal::printable;

/// Prints `error`, as JSON with `--json`, and returns its exit code.
pub(super) fn report(error: &Error, globals: &Globals) -> ExitCode {
    let code = match error {
        Error::Interrupted => interrupt::exit_code(),
        other => other.exit_code(),
    };
    if globals.json && !super::output::json_was_printed() {
        let document = match error {
            Error::Config(faults) => render::document(faults),
            other => json!({
                "schema_version": SCHEMA_VERSION,
                "ok": false,
                "exit_code": code,
                "error": other.to_string(),
            }),
        };
        let _ = super::output::json(&document);
        return ExitCode::from(code);
    }
    print(error);
    ExitCode::from(code)
}

/// Prints `error` on standard error.
pub(super) fn print(error: &Error) {
    let text = match error {
        Error::Config(faults) => render::text(faults, std::io::stderr().is_terminal()),
        Error::Attention(text) => format!("attention: {}", printable(text)),
        Error::Interrupted => format!("interrupted{}", interrupt::message()),
        other => format!("error: {}", printable(&other.to_string())),
    };
    let _ = writeln!(std::io::stderr().lock(), "{}", text.trim_end());
}

/// Reports that a panic ended the process early. The panic hook has already printed the name of the file that contains
/// the details.
pub(super) fn print_panic() {
    let text = "the process ended early; all files written so far are complete";
    let _ = writeln!(std::io::stderr().lock(), "error: {text}");
}

/// Replaces the message of a panic with one line that names a file in the temporary folder. The details of the panic
/// are written to this file.
pub(super) fn install_panic_hook() {
    static PRINTED: AtomicBool = AtomicBool::new(false);
    std::panic::set_hook(Box::new(|panic| {
        if crate::caught::is_quiet() || PRINTED.swap(true, Ordering::SeqCst) {
            return;
        }
        let mut text = format!("twinopt {}\n", env!("CARGO_PKG_VERSION"));
        let _ = writeln!(text, "{} {}", std::env::consts::OS, std::env::consts::ARCH);
        if let Some(location) = panic.location() {
            let _ = writeln!(text, "at {location}");
        }
        let _ = writeln!(text, "{}", panic.payload_as_str().unwrap_or("no message"));
        let name = format!("twinopt-defect-{}.txt", std::process::id());
        let path = std::env::temp_dir().join(name);
        let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path);
        let written = file.and_then(|mut f| f.write_all(text.as_bytes())).is_ok();
        let request = if written { format!("; please report it with {}", path.display()) } else { String::new() };
        // the code that catches a panic reports whether the panic ended one scenario or the whole process
        let _ = writeln!(std::io::stderr().lock(), "error: this is a bug in twinopt{request}");
    }));
}
