//! A message about the columns that a draft does not use.

use super::Draft;
use crate::error::plural;
use crate::terminal::one_line;

/// Maximum numbers of reasons, and of columns per reason, in a message about unused columns.
const MAX_REASONS: usize = 8;
const MAX_COLUMNS: usize = 6;

impl Draft {
    /// The columns that the draft does not use, each with the reason.
    pub fn left_out(&self) -> &[(String, String)] {
        &self.left_out
    }

    /// Names the columns that the draft does not use, grouped by reason.
    pub(super) fn unused(&self) -> String {
        let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
        for (column, reason) in &self.left_out {
            let column = format!("`{}`", one_line(column));
            match groups.iter_mut().find(|(known, _)| known == reason) {
                Some((_, columns)) => columns.push(column),
                None => groups.push((reason, vec![column])),
            }
        }
        if groups.is_empty() {
            return String::new();
        }
        let mut text = format!("{} not used:\n", plural(self.left_out.len(), "column is", "columns are"));
        for (reason, columns) in groups.iter().take(MAX_REASONS) {
            let more = columns.len().saturating_sub(MAX_COLUMNS);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let shown: Vec<&str> = columns.iter().take(MAX_COLUMNS).map(String::as_str).collect();
            text += &format!("  {reason}: {}{more}\n", shown.join(", "));
        }
        match groups.len().saturating_sub(MAX_REASONS) {
            0 => text,
            more => text + &format!("  {more} more reasons are in twin.toml\n"),
        }
    }
}
