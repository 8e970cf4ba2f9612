//! Counts the entries of a time column that cannot be read as times, and proposes settings that help.

use std::collections::BTreeMap;

use super::date;
use super::files::MAX_NAMES;
use super::footer::LogFile;
use crate::error::{LogFault, LogKey, plural};

/// Largest fraction of rows without a readable time at which a log is still read (not tuned).
const MAX_UNREADABLE: f64 = 0.2;
/// Maximum number of notations that are distinguished (not tuned).
const MAX_NOTATIONS: usize = 4;

/// Unreadable entries that are written in the same way.
#[derive(Debug)]
struct Notation {
    /// Formats in which all of these entries can be read. The list is empty if the entries are not dates.
    formats: Vec<String>,
    example: String,
    /// Number of these entries in each file, by the index of the file.
    counts: BTreeMap<usize, usize>,
}

/// The unreadable entries of a time column.
#[derive(Debug, Default)]
pub(super) struct UnreadableTimes {
    notations: Vec<Notation>,
    /// Number of rows of each file.
    rows: Vec<usize>,
    /// Number of unreadable entries of each file.
    bad: Vec<usize>,
}

impl UnreadableTimes {
    /// Begins the next file.
    pub fn start(&mut self) {
        self.rows.push(0);
        self.bad.push(0);
    }

    pub fn count_rows(&mut self, rows: usize) {
        self.rows.last_mut().into_iter().for_each(|n| *n += rows);
    }

    /// Adds an entry that cannot be read.
    pub fn add(&mut self, entry: String) {
        let file = self.rows.len().saturating_sub(1);
        self.bad.last_mut().into_iter().for_each(|n| *n += 1);
        let fitting =
            |n: &Notation| -> Vec<String> { n.formats.iter().filter(|f| date::fits(&entry, f)).cloned().collect() };
        let known = self.notations.iter().map(fitting).enumerate().find(|(_, formats)| !formats.is_empty());
        let at = if let Some((at, formats)) = known {
            self.notations[at].formats = formats;
            at
        } else {
            let is_full = self.notations.len() >= MAX_NOTATIONS && self.notations.iter().any(|n| n.formats.is_empty());
            let formats = if is_full { Vec::new() } else { date::formats(&entry) };
            let other = self.notations.iter().position(|n| n.formats.is_empty());
            match other.filter(|_| formats.is_empty() || self.notations.len() >= MAX_NOTATIONS) {
                Some(at) => at,
                None => {
                    self.notations.push(Notation { formats, example: entry, counts: BTreeMap::new() });
                    self.notations.len() - 1
                }
            }
        };
        *self.notations[at].counts.entry(file).or_default() += 1;
    }

    pub fn count(&self) -> usize {
        self.bad.iter().sum()
    }

    /// Returns formats in which all entries can be read, one for each order of day, month and year.
    pub fn common_formats(&self) -> Vec<&str> {
        match &self.notations[..] {
            [one] => date::distinct(&one.formats),
            _ => Vec::new(),
        }
    }

    /// Lists the unreadable entries and their number in each file. `name` returns the name of a file.
    pub fn list(&self, name: impl Fn(usize) -> String) -> String {
        let of_file = |(file, n): (&usize, &usize)| format!("{} of {}", plural(*n, "row", "rows"), name(*file));
        let one = |n: &Notation| {
            let files: Vec<String> = n.counts.iter().take(MAX_NAMES).map(of_file).collect();
            format!("`{}` ({})", n.example, files.join(", "))
        };
        self.notations.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// Returns advice for the entries that cannot be read. `given` contains the formats that are given in `twin.toml`.
    pub fn advice(&self, given: &[String]) -> String {
        let orders: Vec<Vec<&str>> =
            self.notations.iter().map(|n| date::distinct(&n.formats)).filter(|f| !f.is_empty()).collect();
        let sorted = |f: &str| {
            let mut parts: Vec<char> = f.chars().collect();
            parts.sort_unstable();
            parts
        };
        let setting = |choice: usize| {
            let new: Vec<&str> = orders.iter().map(|o| o[choice.min(o.len() - 1)]).collect();
            // A given format that differs only in the order of day and month is wrong for all entries.
            let given = given.iter().map(String::as_str).filter(|g| new.iter().all(|n| sorted(n) != sorted(g)));
            let all: Vec<String> = given.chain(new.iter().copied()).map(|f| format!("{f:?}")).collect();
            match &all[..] {
                [one] => format!("`time_format = {one}`"),
                several => format!("`time_format = [{}]`", several.join(", ")),
            }
        };
        if orders.is_empty() {
            return "export time stamps, ISO 8601 text such as 2024-06-01T12:00:00Z or seconds since 1970, or describe the text with `time_format` in `log`".into();
        }
        let only: Vec<&str> = orders.iter().filter(|o| o.len() == 1).map(|o| o[0]).collect();
        let contradicts = |f: &&str| only.iter().any(|g| g != f && sorted(g) == sorted(f));
        if only.iter().any(contradicts) {
            return "the order of day and month differs between these entries; export all times in one order, such as \
                    2024-06-01 12:00"
                .into();
        }
        if orders.iter().all(|o| o.len() == 1) {
            return format!("set {} in `log`", setting(0));
        }
        format!("the order of day and month is unclear, so set either {} or {} in `log`", setting(0), setting(1))
    }

    /// Returns the fault if no row of the log or of one of its files has a readable time, or if too few rows have one.
    /// `readable` is the number of rows with a readable time.
    pub fn fault(&self, files: &[LogFile], column: &str, given: &[String], readable: usize) -> Option<LogFault> {
        let rows: usize = files.iter().map(|f| f.rows).sum();
        let name = |file: usize| files.get(file).map_or_else(String::new, |f| f.name.clone());
        let names = files.iter().map(|f| f.name.as_str()).take(3).collect::<Vec<_>>().join(", ");
        let fault = |what: &str, help: &str| Some(LogFault::new(LogKey::Files, format!("{names}: {what}"), help));
        if rows == 0 {
            return fault("the log has no rows", "export it again with data");
        }
        let bad = self.count();
        let whole_file = self.rows.iter().zip(&self.bad).any(|(rows, bad)| *rows > 0 && rows == bad);
        if readable > 0 && !whole_file && bad as f64 <= MAX_UNREADABLE * rows as f64 {
            return None;
        }
        if bad == 0 {
            return fault("the log has no rows for any signal", "correct the columns or tags of the signals");
        }
        let none = if bad == rows { "no row".to_owned() } else { format!("only {} of {rows} rows", rows - bad) };
        let what = match &self.notations[..] {
            [one] if bad == rows => format!("for example `{}`", one.example),
            _ if bad == rows => format!("for example {}", self.list(name)),
            _ => format!("but not {}", self.list(name)),
        };
        let what = format!("{names}: {none} of the time column `{column}` can be read as a time, {what}");
        Some(LogFault::new(LogKey::Time, what, self.advice(given)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(entries: &[&str], given: &[String]) -> String {
        let mut u = UnreadableTimes::default();
        u.start();
        entries.iter().for_each(|e| u.add((*e).to_owned()));
        u.advice(given)
    }

    #[test]
    fn one_format_is_proposed_for_each_notation() {
        assert_eq!(advice(&["24.12.2011 00:00"], &[]), "set `time_format = \"%d.%m.%Y %H:%M\"` in `log`");
        let two = ["24.12.2011 00:00", "12/31/2011", "n/a", "25.12.2011 00:00"];
        let expected = "set `time_format = [\"%d.%m.%Y %H:%M\", \"%m/%d/%Y\"]` in `log`";
        assert_eq!(advice(&two, &[]), expected);
        assert_eq!(advice(&two[1..3], &["%d.%m.%Y %H:%M".into()]), expected);
        // the given order of day and month is wrong
        assert_eq!(advice(&["12/31/2011"], &["%d/%m/%Y".into()]), "set `time_format = \"%m/%d/%Y\"` in `log`");
        let unclear = advice(&["01/03/23 00:00", "02/03/23 00:15"], &[]);
        assert!(unclear.contains("either `time_format = \"%d/%m/%y %H:%M\"` or `time_format = \"%m/%d/%y %H:%M\"`"));
        assert!(advice(&["yesterday", "x1"], &[]).contains("export time stamps"));
    }

    #[test]
    fn unreadable_entries_are_listed_with_their_files() {
        let mut u = UnreadableTimes::default();
        for (file, entries) in [("a", &["31/12/2011", "30/12/2011"][..]), ("b", &["29/12/2011", "-"])] {
            u.start();
            entries.iter().for_each(|e| u.add((*e).to_owned()));
            assert!(u.rows.len() <= 2, "{file}");
        }
        let list = u.list(|file| ["a.parquet", "b.parquet"][file].to_owned());
        assert_eq!(list, "`31/12/2011` (2 rows of a.parquet, 1 row of b.parquet), `-` (1 row of b.parquet)");
    }
}
