//! The one place that tells an error and gives the process its exit code.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::output::{SCHEMA_VERSION, plain};
use super::{Globals, interrupt, render};
use crate::error::Error;

/// Prints `error` and returns its exit code.
pub(super) fn report(error: &Error, globals: &Globals) -> ExitCode {
    let code = match error {
        Error::Interrupted => interrupt::exit_code(),
        other => other.exit_code(),
    };
    if globals.json && !super::output::has_document() {
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
    tell(error);
    ExitCode::from(code)
}

/// Prints `error` on standard error.
pub(super) fn tell(error: &Error) {
    let text = match error {
        Error::Config(faults) => render::text(faults, std::io::stderr().is_terminal()),
        Error::Attention(text) => format!("attention: {}", plain(text)),
        // only watched work ends this way: everything else is ended by the signal itself
        Error::Interrupted => format!("interrupted{}", interrupt::kept()),
        other => format!("error: {}", plain(&other.to_string())),
    };
    let _ = writeln!(std::io::stderr().lock(), "{}", text.trim_end());
}

/// Tells that a defect ended the process; the hook has told where to send it.
pub(super) fn tell_defect() {
    let text = "the run ended early; every file that it had written is whole";
    let _ = writeln!(std::io::stderr().lock(), "error: {text}");
}

/// Keeps panic texts from users: a report file in the temporary folder, and one line that names it.
pub(super) fn hook_panics() {
    static TOLD: AtomicBool = AtomicBool::new(false);
    std::panic::set_hook(Box::new(|panic| {
        if TOLD.swap(true, Ordering::SeqCst) {
            return;
        }
        let mut text = format!("twinopt {}\n", env!("CARGO_PKG_VERSION"));
        let _ = writeln!(text, "{} {}", std::env::consts::OS, std::env::consts::ARCH);
        if let Some(place) = panic.location() {
            let _ = writeln!(text, "at {place}");
        }
        let _ = writeln!(text, "{}", panic.payload_as_str().unwrap_or("no message"));
        let name = format!("twinopt-defect-{}.txt", std::process::id());
        let file = std::env::temp_dir().join(name);
        let kept = std::fs::OpenOptions::new().write(true).create_new(true).open(&file);
        let kept = kept.and_then(|mut f| f.write_all(text.as_bytes())).is_ok();
        let place = if kept { format!("; please send the file {}", file.display()) } else { String::new() };
        // what it ended, one scenario or the whole run, is told where that ends
        let _ = writeln!(std::io::stderr().lock(), "error: a defect of twinopt itself{place}");
    }));
}
