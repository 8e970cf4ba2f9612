//! Collects the faults of one file.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

use crate::config::{At, Damage, Loaded};
use crate::error::{Error, Fault, Result, line_column, nearest};

/// Collects the faults of one file. Faults that only result from parts of the file that the
/// structural check omitted are not reported.
pub struct Faults<'a> {
    path: &'a Path,
    text: &'a str,
    damage: &'a Damage,
    list: Vec<Fault>,
}

impl<'a> Faults<'a> {
    pub fn new<T>(file: &'a Loaded<T>) -> Self {
        Self { path: &file.path, text: &file.text, damage: &file.damage, list: Vec::new() }
    }

    /// Returns the faults, sorted by their location in the file.
    pub fn into_list(mut self) -> Vec<Fault> {
        self.list.sort_by_key(|f| (f.line, f.column));
        self.list.dedup();
        self.list
    }

    /// # Errors
    /// Returns [`Error::Config`] with all faults and warnings if there is any fault that is not a warning.
    pub fn into_result(self) -> Result<()> {
        let list = self.into_list();
        if list.iter().all(|f| f.warning) { Ok(()) } else { Err(Error::Config(list)) }
    }

    /// Returns the text of the file.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Whether `name` may be defined in an omitted part of the file.
    pub fn is_lost(&self, name: &str) -> bool {
        self.damage.names.contains(name)
    }

    /// Whether an entry was omitted from the table at `span`.
    pub fn is_damaged(&self, span: &Range<usize>) -> bool {
        self.damage.tables.contains(span)
    }

    /// Whether any part of the file was omitted.
    pub fn any_damage(&self) -> bool {
        self.damage.any
    }

    pub fn add(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let has_no_place = span.is_empty() && span.start == 0;
        if has_no_place && self.damage.any || self.damage.lines.contains(&line_column(self.text, span.start).0) {
            return;
        }
        let span = (!has_no_place).then(|| span.clone());
        self.list.push(Fault::new(code, self.path, self.text, span, message, help));
    }

    pub fn warn(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let before = self.list.len();
        self.add(code, span, message, help);
        for fault in &mut self.list[before..] {
            fault.warning = true;
        }
    }

    /// Adds a fault that concerns the log rather than the file ([`Fault::about_log`]).
    pub fn add_about_log(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let before = self.list.len();
        self.add(code, span, message, help);
        for fault in &mut self.list[before..] {
            fault.about_log = true;
        }
    }

    /// Reports every control that occurs in two entries of a list. `entries` is the plural noun for
    /// these entries in the message, such as “loops”.
    pub fn require_distinct<'n>(&mut self, names: impl Iterator<Item = &'n At<String>>, entries: &str) {
        let mut known = HashSet::new();
        for name in names {
            if !known.insert(name.as_str()) {
                let message = format!("two {entries} move `{}`", name.value);
                self.add("duplicate-name", &name.span, message, "remove one of the two entries");
            }
        }
    }
}

/// Returns all items, or `None` if one of them is `None`. All items are evaluated, even after a `None`, so that every
/// fault is reported.
pub fn all<T>(items: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let items: Vec<Option<T>> = items.collect();
    items.into_iter().collect()
}

/// Returns `did you mean …?` if a known name is similar to `name`, or else the list of known names.
pub fn suggest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(name, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if known.is_empty() => "no name is available".to_owned(),
        None => format!("use one of {}", listed(&known)),
    }
}

/// Formats names as `` `a`, `b`, `c` ``. The list is truncated after 12 names.
pub fn listed(names: &[&str]) -> String {
    let shown = names.iter().take(12).map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
    if names.len() > 12 { format!("{shown} … ({} in all)", names.len()) } else { shown }
}

/// Formats a number with up to four significant digits.
pub fn short(v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return v.to_string();
    }
    let digits = (3 - v.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{v:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
