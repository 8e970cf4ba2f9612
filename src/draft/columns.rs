//! Columns that describe the rows of a log: the time, episodes, entities, and the columns of a log in long format.

use crate::log::{self, ColumnKind, ColumnSummary};

/// The column with the time stamps, if there is one.
pub(super) fn time(columns: &[ColumnSummary]) -> Option<&ColumnSummary> {
    let named = |c: &&ColumnSummary| {
        let lower = c.name.to_lowercase();
        ["time", "date", "stamp"].iter().any(|w| lower.contains(w))
            || ["ts", "t", "hour", "epoch"].contains(&lower.as_str())
    };
    let has_times = |c: &&ColumnSummary| c.kind == ColumnKind::Time;
    columns
        .iter()
        .find(|c| has_times(c) && named(c))
        .or_else(|| columns.iter().find(has_times))
        .or_else(|| columns.iter().filter(|c| matches!(c.kind, ColumnKind::Float | ColumnKind::Integer)).find(named))
}

/// A column whose value changes at the start of an episode.
pub(super) fn episode(columns: &[ColumnSummary]) -> Option<&ColumnSummary> {
    let mostly_constant = |c: &&ColumnSummary| c.distinct >= 1 && c.zero_moves > 0.9 && c.distinct < 1_000;
    let named = |c: &&ColumnSummary| {
        let lower = c.name.to_lowercase();
        ["episode", "experiment", "batch", "run", "run_id", "split", "trace", "campaign", "sku", "zone"]
            .contains(&lower.as_str())
    };
    let is_quality = |name: &str| name.to_lowercase().split(|c: char| !c.is_alphanumeric()).any(|w| w == "quality");
    columns
        .iter()
        .filter(|c| (c.is_text || c.kind == ColumnKind::Integer) && !is_quality(&c.name))
        .find(|c| named(c) && mostly_constant(c))
        .or_else(|| {
            let texts = columns.iter().filter(|c| c.is_text && !is_status(c) && !is_quality(&c.name));
            texts.filter(|c| mostly_constant(c)).find(|c| occurs_once(c))
        })
}

/// Whether nearly every value of a column occurs in a single block of rows, as the number of an episode does. The states
/// of a machine recur, but are few. Distinct values are counted only up to a maximum.
fn occurs_once(column: &ColumnSummary) -> bool {
    let changes = (1.0 - column.zero_moves) * column.rows as f64;
    column.distinct >= log::MAX_DISTINCT || changes <= 1.5 * column.distinct as f64
}

/// Whether a text column contains the mode or the quality of samples, whose changes do not start an episode.
fn is_status(column: &ColumnSummary) -> bool {
    const WORDS: [&str; 14] =
        ["good", "bad", "ok", "valid", "invalid", "auto", "man", "manual", "on", "off", "true", "false", "yes", "no"];
    column.examples.iter().any(|e| WORDS.contains(&e.trim().to_lowercase().as_str()))
}

/// Flags of the quality column that mark good samples, if these differ from the default flags.
pub(super) fn good(quality: &ColumnSummary) -> Option<&'static str> {
    let has = |flag: &str| quality.examples.iter().any(|e| e.trim().eq_ignore_ascii_case(flag));
    match quality.kind {
        ColumnKind::Text if has("good") || has("192") => None,
        ColumnKind::Text => ["ok", "valid", "0", "true"].into_iter().find(|flag| has(flag)),
        ColumnKind::Integer | ColumnKind::Float if quality.max >= 192.0 && quality.max <= 255.0 => None,
        ColumnKind::Integer | ColumnKind::Float if quality.min == 0.0 => Some("0"),
        _ => None,
    }
}

/// The tag, value and quality columns of a log in long format, which has one row per sample.
pub(super) fn long(columns: &[ColumnSummary]) -> Option<(&ColumnSummary, &ColumnSummary, Option<&ColumnSummary>)> {
    let named = |words: &[&str]| columns.iter().find(|c| words.contains(&c.name.to_lowercase().as_str()));
    let tag = named(&["tag", "tagname", "tag_name", "point", "sensor", "variable", "signal"])?;
    let value = named(&["value", "val"])?;
    (tag.is_text && matches!(value.kind, ColumnKind::Float | ColumnKind::Integer))
        .then(|| (tag, value, named(&["quality", "status", "flag", "valid", "validity", "qc", "ok"])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(rows: usize, distinct: usize, changes: usize) -> ColumnSummary {
        ColumnSummary {
            name: "x".into(),
            kind: ColumnKind::Text,
            is_text: true,
            rows,
            min: f64::NAN,
            mean: f64::NAN,
            max: f64::NAN,
            distinct,
            null_share: 0.0,
            zero_moves: 1.0 - changes as f64 / rows as f64,
            step: None,
            span: None,
            stretch: None,
            examples: Vec::new(),
            commonest: None,
            counts: false,
            accumulates: false,
            restarts: false,
            is_integral: false,
            notation: Default::default(),
        }
    }

    #[test]
    fn episodes_occur_once_and_states_recur() {
        assert!(occurs_once(&texts(10_000, 50, 49)) && !occurs_once(&texts(10_000, 3, 400)));
        // 4,000 batches, of which only the first 1,000 are counted
        assert!(occurs_once(&texts(100_000, log::MAX_DISTINCT, 3_999)));
    }
}
