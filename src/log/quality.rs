//! What was found in a log and what was done about it: plain data for `inspect`, the report and the registry.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, plural};

/// One input file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub file: String,
    pub rows: usize,
    /// BLAKE3 of the file's bytes, hex.
    pub hash: String,
}

/// One class of fault found in one signal (or in the time line, when `signal` is empty).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub signal: String,
    /// Of the time line: `bad-time`, `stray-time`, `out-of-order`, `clock-step`, `dst-fold`, `dst-gap`, `jitter`,
    /// `gap`, `episode`, `episode-overlap`, `schema-change`. Of a signal: `missing`, `not-finite`, `bad-flag`,
    /// `out-of-range`, `duplicate`, `duplicate-conflict`, `flat-line`, `constant`, `unit-jump`, `rate-of-change`,
    /// `rollover`, `gap`, `stale`, `slow-samples`, `report-on-change`.
    pub class: String,
    pub count: usize,
    /// UTC, RFC 3339; empty where a class has no time.
    pub first: String,
    pub last: String,
    /// What was done: `dropped`, `held`, `interpolated`, `kept`, `sorted`, `split`.
    pub action: String,
    /// One sentence for a person.
    pub note: String,
}

/// How much a control was moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Excitation {
    pub moves: usize,
    /// Standard deviation over its hard range (or over its own range where it has none).
    #[serde(with = "or_null")]
    pub spread: f64,
    /// 1st and 99th percentile.
    #[serde(with = "or_null")]
    pub low: f64,
    #[serde(with = "or_null")]
    pub high: f64,
    /// False: it never moved, nothing can be learned about it.
    pub learnable: bool,
}

/// One signal's row of the quality table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalQuality {
    pub signal: String,
    pub unit: String,
    /// Samples read from the files, and how many of them were dropped.
    pub samples: usize,
    pub dropped: usize,
    /// Grid steps inside the segments.
    pub held: usize,
    pub interpolated: usize,
    pub missing: usize,
    /// Usable share of the grid inside the segments.
    pub coverage: f64,
    /// NaN when there is no value at all (null in JSON).
    #[serde(with = "or_null")]
    pub min: f64,
    #[serde(with = "or_null")]
    pub mean: f64,
    #[serde(with = "or_null")]
    pub max: f64,
    pub excitation: Option<Excitation>,
}

/// The log's quality.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    pub sources: Vec<Source>,
    /// UTC, RFC 3339: start of the first step, end of the last.
    pub start: String,
    pub end: String,
    pub step: String,
    pub grid_steps: usize,
    pub segments: usize,
    pub signals: Vec<SignalQuality>,
    pub findings: Vec<Finding>,
    /// Signals below the configured completeness: nothing may be fitted.
    pub incomplete: Vec<String>,
    /// The configured completeness.
    #[serde(default)]
    pub completeness: f64,
}

impl Quality {
    /// Refuses a log in which a learned signal or a control is missing too often.
    ///
    /// # Errors
    /// [`Error::Data`] with a sentence and a help per signal.
    pub fn require_complete(&self) -> Result<()> {
        if self.incomplete.is_empty() {
            return Ok(());
        }
        let mut text =
            format!("the log is too incomplete to learn from ({}):", plural(self.incomplete.len(), "signal"));
        for name in &self.incomplete {
            let coverage = self.signals.iter().find(|s| &s.signal == name).map_or(0.0, |s| s.coverage);
            text.push_str(&format!(
                "\n  `{name}` is usable in {} of the steps, {} are needed",
                percent(coverage),
                percent(self.completeness)
            ));
            let why =
                self.findings.iter().filter(|f| &f.signal == name).max_by_key(|f| (f.class == "slow-samples", f.count));
            if let Some(f) = why {
                text.push_str(&format!("; {}: {}", f.class, f.note));
            }
        }
        text.push_str("\n  mend or exclude that part of the log, choose another signal, or lower `log.completeness`");
        Err(Error::Data(text))
    }
}

/// NaN is null in text formats, which have no word for it, and itself in binary ones.
mod or_null {
    use serde::{Deserialize, Deserializer, Serializer};

    // The signature is serde's.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub fn serialize<S: Serializer>(v: &f64, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() && !v.is_finite() { s.serialize_none() } else { s.serialize_f64(*v) }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
        if d.is_human_readable() { Ok(Option::deserialize(d)?.unwrap_or(f64::NAN)) } else { f64::deserialize(d) }
    }
}

/// `99.9 %`; never rounded up to 100 or down to 0.
fn percent(share: f64) -> String {
    let p = (share * 1e3).round() / 10.0;
    let p = if share < 1.0 { p.min(99.9) } else { p };
    let p = if share > 0.0 { p.max(0.1) } else { p };
    format!("{p} %")
}

/// Up to four digits that matter.
fn short(v: f64) -> String {
    if !v.is_finite() {
        return "–".into();
    }
    let size = v.abs();
    if size != 0.0 && !(1e-3..1e7).contains(&size) {
        return format!("{v:.2e}");
    }
    let digits = if size < 1.0 { 4 } else { 3_usize.saturating_sub(size.log10().floor() as usize) };
    let text = format!("{v:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

fn moved(e: &Excitation) -> String {
    match e.moves {
        _ if !e.learnable => "never moves: cannot be learned".into(),
        n if n < 10 => format!("hardly moves ({n} times)"),
        n => format!("{n} moves, {} … {}", short(e.low), short(e.high)),
    }
}

/// The quality of a log as text for a terminal: a line of facts, one row per signal, the findings, the verdict.
pub fn render(q: &Quality) -> String {
    let rows: usize = q.sources.iter().map(|s| s.rows).sum();
    let mut out = format!(
        "{} with {} rows, {} to {}\n{} of {} in {}\n\n",
        plural(q.sources.len(), "file"),
        rows,
        q.start,
        q.end,
        plural(q.grid_steps, "step"),
        q.step,
        plural(q.segments, "segment"),
    );
    let head = [
        "signal",
        "unit",
        "samples",
        "dropped",
        "held",
        "interpolated",
        "missing",
        "coverage",
        "min",
        "mean",
        "max",
        "control",
    ];
    let mut table: Vec<Vec<String>> = vec![head.iter().map(|h| (*h).to_owned()).collect()];
    for s in &q.signals {
        table.push(vec![
            plain(&s.signal),
            plain(&s.unit),
            s.samples.to_string(),
            s.dropped.to_string(),
            s.held.to_string(),
            s.interpolated.to_string(),
            s.missing.to_string(),
            percent(s.coverage),
            short(s.min),
            short(s.mean),
            short(s.max),
            s.excitation.as_ref().map_or(String::new(), moved),
        ]);
    }
    align(&table, &[0, 1, 11], &mut out);
    out.push('\n');
    if q.findings.is_empty() {
        out.push_str("Nothing was found wrong.\n");
    } else {
        let mut table = Vec::new();
        for f in &q.findings {
            let when = match (f.first.as_str(), f.last.as_str()) {
                ("", _) => String::new(),
                (a, b) if a == b => a.to_owned(),
                (a, b) => format!("{a} … {b}"),
            };
            let whose = if f.signal.is_empty() { "(time line)".into() } else { plain(&f.signal) };
            table.push(vec![whose, f.class.clone(), f.count.to_string(), f.action.clone(), when, plain(&f.note)]);
        }
        table.insert(0, ["signal", "found", "count", "action", "when", "what"].map(str::to_owned).to_vec());
        align(&table, &[0, 1, 3, 4, 5], &mut out);
    }
    for s in &q.signals {
        if s.excitation.as_ref().is_some_and(|e| !e.learnable) {
            out.push_str(&format!(
                "\nThe control `{}` never moves in this log: what it does cannot be learned. Move it in a test, or make it a parameter.\n",
                plain(&s.signal)
            ));
        }
    }
    if !q.incomplete.is_empty() {
        out.push_str(&format!(
            "\nToo incomplete to learn from (less than {}): {}\n",
            percent(q.completeness),
            q.incomplete.iter().map(|s| plain(s)).collect::<Vec<_>>().join(", ")
        ));
    }
    out
}

/// Names come from files: nothing in them may steer a terminal.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') { '?' } else { c })
        .collect()
}

/// Columns two spaces apart: `left` ones flush left, the others (numbers) flush right.
fn align(table: &[Vec<String>], left: &[usize], out: &mut String) {
    let columns = table.first().map_or(0, Vec::len);
    let width = |c: usize| table.iter().map(|r| r[c].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in table {
        let mut line = String::new();
        for (c, (cell, w)) in row.iter().zip(&widths).enumerate() {
            let pad = " ".repeat(w - cell.chars().count());
            line.push_str(&if left.contains(&c) { format!("{cell}{pad}  ") } else { format!("{pad}{cell}  ") });
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quality() -> Quality {
        let signal = |name: &str, coverage, excitation| SignalQuality {
            signal: name.into(),
            unit: "degC".into(),
            samples: 100,
            dropped: 1,
            held: 0,
            interpolated: 0,
            missing: 3,
            coverage,
            min: f64::NAN,
            mean: 21.25,
            max: 1234.5678,
            excitation,
        };
        let still = Excitation { moves: 0, spread: 0.0, low: 20.0, high: 20.0, learnable: false };
        Quality {
            signals: vec![signal("inlet", 0.5, None), signal("setpoint", 1.0, Some(still))],
            incomplete: vec!["inlet".into()],
            completeness: 0.8,
            ..Quality::default()
        }
    }

    #[test]
    fn the_table_says_what_cannot_be_learned() {
        let text = render(&quality());
        assert!(text.contains("`setpoint` never moves") && text.contains("50 %") && text.contains("1235"), "{text}");
    }

    #[test]
    fn incomplete_logs_are_refused_in_words() {
        let e = quality().require_complete().unwrap_err();
        assert_eq!(e.exit_code(), 65);
        assert!(e.to_string().contains("`inlet` is usable in 50 % of the steps, 80 % are needed"), "{e}");
        assert!(Quality::default().require_complete().is_ok());
    }

    #[test]
    fn no_value_is_null_in_json() {
        let q = quality();
        let json = serde_json::to_string(&q).unwrap();
        assert!(json.contains("\"min\":null"));
        let back: Quality = serde_json::from_str(&json).unwrap();
        assert!(back.signals[0].min.is_nan() && back.signals[0].mean == 21.25);
        let bytes = postcard::to_allocvec(&q).unwrap();
        assert!(postcard::from_bytes::<Quality>(&bytes).unwrap().signals[0].min.is_nan());
    }
}
