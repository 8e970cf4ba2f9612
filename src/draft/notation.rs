//! The lines of `[log]` in a drafted `twin.toml` that describe how times and numbers are written.

use crate::config::{Decimal, TimeUnit};
use crate::error::plural;
use crate::log::{ColumnSummary, Entities, Entity};
use crate::terminal::one_line;

/// Part of the comment on a setting that selects one of several entities.
pub(super) const ENTITY: &str = "# guess: the most active of";
/// Maximum number of items that are listed in a comment (not tuned).
const MAX_OTHERS: usize = 30;

/// The lines of `[log]`.
pub(super) struct Settings {
    pub lines: Vec<String>,
}

impl Settings {
    /// Describes the time column `time` and all other columns of a log. `zone` is the time zone of the plant, if it is
    /// known.
    pub fn new(columns: &[ColumnSummary], time: &ColumnSummary, zone: Option<&str>) -> Self {
        let mut lines = Vec::new();
        let mut add =
            |key: &str, value: String, comment: &str| lines.push(format!("{key} = {value}    # guess: {comment}"));
        match &time.notation.time_formats[..] {
            [] => {}
            [one] => add("time_format", quoted(one), "the only common format that fits all times"),
            [one, other, ..] => add(
                "time_format",
                quoted(one),
                &format!("{other} also fits all times, but the log would then cover a longer period"),
            ),
        }
        if let Some(zone) = zone.filter(|_| time.notation.without_zone) {
            add("timezone", quoted(zone), "the given time zone, because the times have none");
        }
        match columns.iter().find_map(|c| c.notation.decimal) {
            Some(Decimal::Comma) => add("decimal", quoted(","), "numbers have a decimal comma"),
            Some(Decimal::Point) => add("decimal", quoted("."), "groups of three digits are separated"),
            None => {}
        }
        let mut missing: Vec<&str> =
            columns.iter().flat_map(|c| &c.notation.missing).map(String::as_str).filter(|t| !t.is_empty()).collect();
        missing.sort_unstable();
        missing.dedup();
        if !missing.is_empty() {
            let texts: Vec<String> = missing.into_iter().map(quoted).collect();
            add("missing", format!("[{}]", texts.join(", ")), "texts among the numbers");
        }
        Self { lines }
    }

    /// Adds a line that specifies the unit of the numbers in the time column. The numbers are relative if they are
    /// counted from an unknown start.
    pub fn time_unit(&mut self, unit: Option<TimeUnit>, relative: bool) {
        if let Some((name, meaning)) = unit.map(TimeUnit::names) {
            let start =
                if relative { ", but the numbers are too small for dates; write the unit that they count" } else { "" };
            self.lines.push(format!("time_unit = {}    # guess: {meaning}{start}", quoted(name)));
        }
    }

    /// Adds a `where` setting that selects the most active of the `entities`, and comments that list the others.
    pub fn only(&mut self, entities: &Entities) {
        let keys: Vec<String> = entities.columns.iter().map(|c| key(c)).collect();
        let table = |e: &Entity| {
            let pairs: Vec<String> =
                keys.iter().zip(&e.labels).map(|(key, label)| format!("{key} = {}", quoted(label))).collect();
            pairs.join(", ")
        };
        let Some((first, others)) = entities.list.split_first() else { return };
        let names: Vec<String> = others.iter().take(MAX_OTHERS).map(|e| one_line(&table(e))).collect();
        let more = others.len().saturating_sub(MAX_OTHERS);
        let mut line = format!(
            "where = {{ {} }}    {ENTITY} {}",
            table(first),
            match &entities.columns[..] {
                [column] => format!("{} values of `{}`", entities.list.len(), one_line(column)),
                _ => plural(entities.list.len(), "combination", "combinations"),
            }
        );
        if !names.is_empty() {
            let more = if more > 0 { format!(" … and {more} more") } else { String::new() };
            line.push_str(&format!("\n# others: {}{more}", names.join(" | ")));
        }
        self.lines.push(line);
    }
}

/// `text` as a TOML key.
fn key(text: &str) -> String {
    let bare = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { text.to_owned() } else { quoted(text) }
}

/// `text` as a TOML string.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
