//! Quality flags of the samples of a historian.

use std::collections::BTreeMap;

use arrow_array::Array;

use super::cast;
use super::footer::{ColumnKind, LogFile};
use super::scan::require;
use crate::config::LongSpec;
use crate::error::{Error, LogFault, LogKey, Result};

/// Maximum number of flags that a message lists (not tuned).
const MAX_FLAGS: usize = 6;

/// The flags that mark a sample as good.
#[derive(Debug, Clone)]
pub(super) struct GoodFlags {
    /// Flags, which are compared without regard to case.
    texts: Vec<String>,
    /// Ranges of numeric flags. A single number is stored as a range with equal ends.
    ranges: Vec<(f64, f64)>,
}

/// The index of each row's flag, and the list of flags, each with `true` if it is good.
type BatchFlags = (Vec<u32>, Vec<(String, bool)>);

/// The number of samples with each flag that marks a sample as bad.
#[derive(Debug, Clone, Default)]
pub(super) struct BadFlags(BTreeMap<String, usize>);

impl GoodFlags {
    pub fn new(file: &LogFile, long: &LongSpec, name: &str) -> Result<Self> {
        let column = require(file, name, "quality")?;
        if matches!(column.kind, ColumnKind::Other | ColumnKind::Time) {
            let what = format!("{}: the quality column `{name}` has the type {}", file.name, column.data_type);
            return Err(Error::log(LogKey::Quality, what, "export it as text or int32"));
        }
        let mut texts: Vec<String> = long.good.iter().map(|g| g.trim().to_owned()).collect();
        // If the list of good flags contains no boolean (the default), `true` counts as good.
        let boolean = |t: &String| t.eq_ignore_ascii_case("true") || t.eq_ignore_ascii_case("false");
        if column.kind == ColumnKind::Boolean && !texts.iter().any(boolean) {
            texts.push("true".into());
        }
        let range = |text: &String| {
            let (from, to) = text.split_once("..").unwrap_or((text, text));
            from.trim().parse().ok().zip(to.trim().parse().ok())
        };
        Ok(Self { ranges: texts.iter().filter_map(range).collect(), texts })
    }

    fn is_good(&self, flag: &str) -> bool {
        let flag = flag.trim();
        let in_range = |v: f64| self.ranges.iter().any(|(from, to)| (*from..=*to).contains(&v));
        self.texts.iter().any(|g| g.eq_ignore_ascii_case(flag)) || flag.parse().is_ok_and(in_range)
    }

    /// Reads the flags of a batch. A null flag counts as bad. Returns `None` if the column contains no flags.
    pub fn read(&self, array: &dyn Array) -> Option<BatchFlags> {
        let mut flags: Vec<(String, bool)> = Vec::new();
        let codes = cast::codes(array, |flag| {
            flags.push((flag.unwrap_or("null").to_owned(), flag.is_some_and(|f| self.is_good(f))));
            flags.len() as u32 - 1
        })?;
        Some((codes, flags))
    }
}

impl BadFlags {
    pub fn add(&mut self, flag: &str) {
        match self.0.get_mut(flag) {
            Some(n) => *n += 1,
            None => {
                self.0.insert(flag.to_owned(), 1);
            }
        }
    }

    /// Formats the flags with the number of samples of each, for example `` `0` (11) ``.
    pub fn list(&self) -> String {
        let mut flags: Vec<_> = self.0.iter().collect();
        flags.sort_by_key(|f| std::cmp::Reverse(f.1));
        flags.iter().take(MAX_FLAGS).map(|(flag, n)| format!("`{flag}` ({n})")).collect::<Vec<_>>().join(", ")
    }

    /// Returns the fault to report for a tag that has no good sample. `column` is the quality column.
    pub fn fault(&self, names: &str, tag: &str, column: &str) -> LogFault {
        let what = format!(
            "{names}: no sample of the tag `{tag}` is good: the quality column `{column}` contains {}",
            self.list()
        );
        let commonest = self.0.iter().max_by_key(|f| f.1).map_or("", |f| f.0);
        let help = format!(
            "if one of these flags marks good samples, name it in `long`, like `good = [\"{commonest}\"]`; otherwise, remove the signal"
        );
        LogFault::new(LogKey::Quality, what, help)
    }
}
