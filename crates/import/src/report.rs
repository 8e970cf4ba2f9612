//! The report on an import, as text or as JSON.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::error::plural;
use crate::source::Summary;
use crate::zone::instant;

/// Version of the JSON format, the same as that of `twinopt`.
const SCHEMA_VERSION: u32 = 2;

/// The result of an import.
#[derive(Debug)]
pub struct Report {
    dir: PathBuf,
    dry_run: bool,
    pub sources: Vec<Summary>,
    pub notes: Vec<String>,
    pub rows: usize,
    pub columns: usize,
    /// Number of files that were written, and number of files that were already up to date.
    pub written: usize,
    pub unchanged: usize,
    pub months: Vec<String>,
}

impl Report {
    pub fn new(dir: &Path, dry_run: bool) -> Self {
        Self {
            dir: dir.to_path_buf(),
            dry_run,
            sources: Vec::new(),
            notes: Vec::new(),
            rows: 0,
            columns: 0,
            written: 0,
            unchanged: 0,
            months: Vec::new(),
        }
    }

    /// The report as text, including the next command to run.
    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        for s in &self.sources {
            lines.push(format!(
                "{}: {}, {}, {}",
                s.from,
                plural(s.files, "file", "files"),
                plural(s.rows, "row", "rows"),
                s.format
            ));
            lines.push(format!("  {}", s.layout));
            let span = s.span.map_or_else(String::new, |(a, b)| format!("; {} to {}", instant(a), instant(b)));
            let step = s.step.map_or_else(String::new, |step| format!(", every {}", shown_span(step)));
            lines.push(format!("  times: {}{span}{step}", s.times));
            lines.extend(s.notes.iter().map(|note| format!("  {note}")));
        }
        lines.extend(self.notes.iter().cloned());
        let size = format!("{}, {}", plural(self.rows, "row", "rows"), plural(self.columns, "column", "columns"));
        let dir = self.dir.display();
        if self.dry_run {
            lines.push(format!("{size}; nothing was written (--dry-run)"));
            return lines.join("\n");
        }
        let unchanged = if self.unchanged > 0 { format!(", {} unchanged", self.unchanged) } else { String::new() };
        lines.push(format!("{dir}/log: {size}; {} written{unchanged}", plural(self.written, "file", "files")));
        lines.push(String::new());
        if self.dir.join("twin.toml").exists() {
            lines.push(format!("Next:\n  twinopt check {dir}"));
        } else {
            lines.push(format!("Next:\n  twinopt init {dir}"));
        }
        lines.join("\n")
    }

    pub fn json(&self) -> serde_json::Value {
        let sources: Vec<serde_json::Value> = self
            .sources
            .iter()
            .map(|s| {
                json!({
                    "from": s.from,
                    "files": s.files,
                    "rows": s.rows,
                    "format": s.format,
                    "layout": s.layout,
                    "times": s.times,
                    "first": s.span.map(|(first, _)| instant(first)),
                    "last": s.span.map(|(_, last)| instant(last)),
                    "step_seconds": s.step.map(|us| us as f64 / 1e6),
                    "notes": s.notes,
                })
            })
            .collect();
        json!({
            "schema_version": SCHEMA_VERSION,
            "sources": sources,
            "notes": self.notes,
            "rows": self.rows,
            "columns": self.columns,
            "files": self.months,
            "written": self.written,
            "unchanged": self.unchanged,
        })
    }
}

/// A length of time (µs) as shown to the user, e.g. `10min`.
pub fn shown_span(us: i64) -> String {
    const UNITS: [(i64, &str); 5] =
        [(86_400_000_000, "d"), (3_600_000_000, "h"), (60_000_000, "min"), (1_000_000, "s"), (1_000, "ms")];
    let unit = UNITS.into_iter().find(|(length, _)| us > 0 && us % length == 0);
    unit.map_or_else(|| format!("{us}µs"), |(length, name)| format!("{}{name}", us / length))
}
