//! Formats the quality of a log as text for a terminal.

use super::quality::{Excitation, Quality};
use super::text::percent;
use crate::error::plural;
use crate::terminal::one_line;

/// A control with fewer moves than this is reported as rarely moving (not tuned).
const FEW_MOVES: usize = 10;

/// Formats a number with up to four significant digits.
pub(super) fn short(v: f64) -> String {
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
        _ if !e.learnable => "never moves; its effect cannot be learned".into(),
        n if n < FEW_MOVES => format!("rarely moves ({n} times)"),
        n => format!("{n} moves, {} … {}", short(e.low), short(e.high)),
    }
}

/// Renders the time span of the log, a table with one row per signal, the findings, and the signals that cannot be
/// learned.
pub fn render(q: &Quality) -> String {
    let rows: usize = q.sources.iter().map(|s| s.rows).sum();
    let mut out = format!(
        "{} with {} rows from {} to {}\n{} of {} in {}\n\n",
        plural(q.sources.len(), "file", "files"),
        rows,
        q.start,
        q.end,
        plural(q.grid_steps, "step", "steps"),
        q.step,
        plural(q.segments, "segment", "segments"),
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
            one_line(&s.signal),
            one_line(&s.unit),
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
        out.push_str("No faults were found.\n");
    } else {
        let mut table = Vec::new();
        for f in &q.findings {
            let when = match (f.first.as_str(), f.last.as_str()) {
                ("", _) => String::new(),
                (a, b) if a == b => a.to_owned(),
                (a, b) => format!("{a} … {b}"),
            };
            let signal = if f.signal.is_empty() { "(timeline)".into() } else { one_line(&f.signal) };
            table.push(vec![
                signal,
                f.class.as_str().to_owned(),
                f.count.to_string(),
                f.action.as_str().to_owned(),
                when,
                one_line(&f.note),
            ]);
        }
        table.insert(0, ["signal", "finding", "count", "action", "when", "note"].map(str::to_owned).to_vec());
        align(&table, &[0, 1, 3, 4, 5], &mut out);
    }
    for s in &q.signals {
        if s.excitation.as_ref().is_some_and(|e| !e.learnable) {
            out.push_str(&format!(
                "\nThe control `{}` never moves in this log, so its effect cannot be learned. Vary the control in a plant test, or make it a parameter.\n",
                one_line(&s.signal)
            ));
        }
    }
    if !q.incomplete.is_empty() {
        out.push_str(&format!(
            "\nSignals that are too incomplete to learn from (values in less than {} of the steps): {}\n",
            percent(q.completeness),
            q.incomplete.iter().map(|s| one_line(s)).collect::<Vec<_>>().join(", ")
        ));
    }
    out
}

/// Writes `table` with two spaces between columns. The columns in `left` are left-aligned, and all others are
/// right-aligned.
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
    use super::super::quality::tests::quality;
    use super::*;

    #[test]
    fn the_text_names_controls_that_cannot_be_learned() {
        let text = render(&quality());
        assert!(text.contains("`setpoint` never moves") && text.contains("50 %") && text.contains("1235"), "{text}");
    }
}
