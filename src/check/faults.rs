//! The collector of faults of one file.

use std::ops::Range;

use crate::config::Loaded;
use crate::error::{Fault, line_column, nearest};

/// Faults of one file; what follows only from parts that the structural check left out is not reported again.
pub(super) struct Faults<'a, T> {
    file: &'a Loaded<T>,
    list: Vec<Fault>,
}

impl<'a, T> Faults<'a, T> {
    pub(super) fn new(file: &'a Loaded<T>) -> Self {
        Self { file, list: Vec::new() }
    }

    pub(super) fn into_list(mut self) -> Vec<Fault> {
        self.list.sort_by_key(|f| (f.line, f.column));
        self.list.dedup();
        self.list
    }

    pub(super) fn text(&self) -> &'a str {
        &self.file.text
    }

    /// Whether the file defines `name` in a part that was left out.
    pub(super) fn is_lost(&self, name: &str) -> bool {
        self.file.damage.names.contains(name)
    }

    /// Whether something was left out of the table at `span`.
    pub(super) fn is_damaged(&self, span: &Range<usize>) -> bool {
        self.file.damage.tables.contains(span)
    }

    pub(super) fn add(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let damage = &self.file.damage;
        let made_in_code = span.is_empty() && span.start == 0;
        if made_in_code && damage.any || damage.lines.contains(&line_column(&self.file.text, span.start).0) {
            return;
        }
        let span = (!made_in_code).then(|| span.clone());
        self.list.push(Fault::new(code, &self.file.path, &self.file.text, span, message, help));
    }

    pub(super) fn warn(
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
}

/// `did you mean …?`, or the list of what there is.
pub(super) fn suggest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(name, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if known.is_empty() => "there is none to choose from".to_owned(),
        None => format!("use one of {}", listed(&known)),
    }
}

/// `` `a`, `b`, `c` ``, cut short when long.
pub(super) fn listed(names: &[&str]) -> String {
    let shown = names.iter().take(12).map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
    if names.len() > 12 { format!("{shown} … ({} in all)", names.len()) } else { shown }
}

/// Up to four significant digits, as a person would write the number.
pub(super) fn short(v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return v.to_string();
    }
    let digits = (3 - v.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{v:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
