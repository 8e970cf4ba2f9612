//! Formats faults as text with an excerpt of the file, or as JSON.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};

use super::output::SCHEMA_VERSION;
use crate::error::{Fault, plural};
use crate::terminal::{one_line, printable};

/// The content of the files with faults. Each file is read only once.
#[derive(Default)]
struct Sources(HashMap<PathBuf, Option<String>>);

impl Sources {
    fn get(&mut self, file: &Path) -> Option<&str> {
        let read = || std::fs::read_to_string(file).ok();
        self.0.entry(file.to_path_buf()).or_insert_with(read).as_deref()
    }
}

/// Formats all faults, each with its position, the line in the file and a hint, followed by the number of faults.
pub(super) fn text(faults: &[Fault], colour: bool) -> String {
    let colour = colour && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut sources = Sources::default();
    let mut text = String::new();
    for fault in faults {
        text += &excerpt(fault, sources.get(&fault.file), &renderer);
        text += "\n\n";
    }
    let warnings = faults.iter().filter(|f| f.warning).count();
    let errors = faults.len() - warnings;
    text + &match (errors, warnings) {
        (0, w) => plural(w, "warning", "warnings"),
        (e, 0) => plural(e, "fault", "faults"),
        (e, w) => format!("{}, {}", plural(e, "fault", "faults"), plural(w, "warning", "warnings")),
    } + "\n"
}

/// Formats one fault in the style of a rustc error.
fn excerpt(fault: &Fault, source: Option<&str>, renderer: &Renderer) -> String {
    let level = if fault.warning { Level::WARNING } else { Level::ERROR };
    let title = level.primary_title(one_line(&fault.message)).id(fault.code);
    let path = printable(&display_path(&fault.file));
    let group = match (source, &fault.span) {
        (Some(source), Some(span)) => {
            let place = AnnotationKind::Primary.span(first_line_of(span, source));
            title.element(Snippet::source(source).path(path).annotation(place))
        }
        _ => title.element(Origin::path(path).line(fault.line).char_column(fault.column)),
    };
    renderer.render(&[group.element(Level::HELP.message(one_line(&fault.help)))])
}

/// The part of `span` that is on its first line, without trailing white space.
fn first_line_of(span: &Range<usize>, source: &str) -> Range<usize> {
    let floor = |mut at: usize| {
        at = at.min(source.len());
        while !source.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (start, end) = (floor(span.start), floor(span.end));
    let line = source[start..end.max(start)].lines().next().unwrap_or("").trim_end();
    start..start + line.len()
}

/// The path of a file without a leading `./`.
fn display_path(file: &Path) -> String {
    file.strip_prefix(".").unwrap_or(file).display().to_string()
}

/// All faults as JSON.
pub(super) fn document(faults: &[Fault]) -> Value {
    let mut sources = Sources::default();
    let list: Vec<Value> = faults
        .iter()
        .map(|fault| {
            let source = sources.get(&fault.file);
            let line = fault.span.as_ref().and(source).and_then(|s| s.lines().nth(fault.line - 1));
            json!({
                "file": display_path(&fault.file),
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

    fn rendered(source: &str, span: Range<usize>) -> String {
        let fault = Fault::new("code", Path::new("./a.toml"), source, Some(span), "message", "do this");
        excerpt(&fault, Some(source), &Renderer::plain())
    }

    #[test]
    fn the_caret_is_below_the_marked_text() {
        let text = rendered("a = 1\nbé = \"x\"\n", 12..15);
        let expected =
            "error[code]: message\n --> a.toml:2:6\n  |\n2 | bé = \"x\"\n  |      ^^^\n  |\n  = help: do this";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_long_line_is_shortened_around_the_caret() {
        let source = format!("{} oops {}", "x".repeat(300), "y".repeat(300));
        let text = rendered(&source, 301..305);
        let lines: Vec<&str> = text.lines().collect();
        let at = lines[4].find('^').unwrap();
        assert!(lines[3].chars().count() <= 150 && lines[4].contains("^^^^"), "{text}");
        assert_eq!(lines[3].chars().skip(at).take(4).collect::<String>(), "oops", "{text}");
    }
}
