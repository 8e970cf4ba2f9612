//! Faults as text with the line and a caret, and the same as JSON.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::output::{SCHEMA_VERSION, plain};
use crate::error::{Fault, plural};

/// Longest part of a line that is shown.
const WIDTH: usize = 110;

/// All faults, each as `file:line:column`, what is wrong, the line with a caret, and the help; then their number.
pub(super) fn text(faults: &[Fault], colour: bool) -> String {
    let colour = colour && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let paint = |code: &str, text: &str| if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
    let mut sources: HashMap<PathBuf, Option<String>> = HashMap::new();
    let mut out = String::new();
    for fault in faults {
        let source = sources.entry(fault.file.clone()).or_insert_with(|| std::fs::read_to_string(&fault.file).ok());
        let (word, tint) = if fault.warning { ("warning", "33") } else { ("error", "31") };
        let _ = writeln!(
            out,
            "{}:{}:{}: {}: {} [{}]",
            plain(&shown(&fault.file)),
            fault.line,
            fault.column,
            paint(&format!("1;{tint}"), word),
            paint("1", &one_line(&fault.message)),
            fault.code
        );
        if let (Some(source), Some(span)) = (source, &fault.span) {
            snippet(&mut out, source, span, fault.line, &|caret| paint(tint, caret));
        }
        let _ = writeln!(out, "      {} {}\n", paint("36", "help:"), one_line(&fault.help));
    }
    let warnings = faults.iter().filter(|f| f.warning).count();
    let errors = faults.len() - warnings;
    let counts = match (errors, warnings) {
        (0, w) => plural(w, "warning"),
        (e, 0) => plural(e, "fault"),
        (e, w) => format!("{}, {}", plural(e, "fault"), plural(w, "warning")),
    };
    let _ = writeln!(out, "{counts}");
    out
}

/// The line of `span` with carets below it; of a long line the part around them.
fn snippet(out: &mut String, source: &str, span: &Range<usize>, line: usize, paint: &dyn Fn(&str) -> String) {
    let floor = |mut at: usize| {
        at = at.min(source.len());
        while !source.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (start, end) = (floor(span.start), floor(span.end));
    let line_start = source[..start].rfind('\n').map_or(0, |i| i + 1);
    let whole = source[line_start..].lines().next().unwrap_or("");
    let before = source[line_start..start].chars().count();
    let marked = source[start..end.max(start)].lines().next().unwrap_or("").trim_end().chars().count().max(1);
    // The window begins early enough to show what leads to the caret.
    let first = if before + marked.min(40) <= WIDTH { 0 } else { before.saturating_sub(WIDTH / 2) };
    let shown: String = whole.chars().skip(first).take(WIDTH).map(|c| if c == '\t' { ' ' } else { c }).collect();
    let (lead, lead_width) = if first > 0 { ("…", 1) } else { ("", 0) };
    let tail = if whole.chars().count() > first + WIDTH { "…" } else { "" };
    let carets = marked.min(WIDTH.saturating_sub(before - first)).max(1);
    let _ = writeln!(out, "{line:>4} | {lead}{}{tail}", plain(&shown));
    let _ = writeln!(out, "     | {}{}", " ".repeat(before - first + lead_width), paint(&"^".repeat(carets)));
}

/// A file's path without a leading `./`.
fn shown(file: &Path) -> String {
    file.strip_prefix(".").unwrap_or(file).display().to_string()
}

fn one_line(text: &str) -> String {
    plain(&text.replace('\n', " "))
}

/// The same content as JSON.
pub(super) fn document(faults: &[Fault]) -> Value {
    let mut sources: HashMap<PathBuf, Option<String>> = HashMap::new();
    let list: Vec<Value> = faults
        .iter()
        .map(|fault| {
            let source = sources.entry(fault.file.clone()).or_insert_with(|| std::fs::read_to_string(&fault.file).ok());
            let line = fault.span.as_ref().and(source.as_ref()).and_then(|s| s.lines().nth(fault.line - 1));
            json!({
                "file": shown(&fault.file),
                "line": fault.line,
                "column": fault.column,
                "span": fault.span.as_ref().map(|s| [s.start, s.end]),
                "source": line,
                "code": fault.code,
                "warning": fault.warning,
                "message": fault.message,
                "help": fault.help,
            })
        })
        .collect();
    let errors = faults.iter().filter(|f| !f.warning).count();
    json!({
        "schema_version": SCHEMA_VERSION,
        "ok": errors == 0,
        "exit_code": if errors == 0 { 0 } else { 78 },
        "errors": errors,
        "warnings": faults.len() - errors,
        "faults": list,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carets_stand_below_what_is_meant() {
        let mut out = String::new();
        snippet(&mut out, "a = 1\nbé = \"x\"\n", &(12..15), 2, &|c| c.to_owned());
        assert_eq!(out, "   2 | bé = \"x\"\n     |      ^^^\n");
    }

    #[test]
    fn long_lines_are_cut_around_the_caret() {
        let source = format!("{} oops {}", "x".repeat(300), "y".repeat(300));
        let mut out = String::new();
        snippet(&mut out, &source, &(301..305), 1, &|c| c.to_owned());
        let (line, carets) = out.split_once('\n').unwrap();
        let at = carets.find('^').unwrap();
        assert!(line.chars().count() < 130 && carets.contains("^^^^"));
        assert_eq!(line.chars().skip(at).take(4).collect::<String>(), "oops");
    }
}
