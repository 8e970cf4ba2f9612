//! Finds columns of a wide log that contain the quality of the samples.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::batches::{Decoding, each_batch};
use super::cast;
use super::footer::{self, LogFile};
use crate::config::LogSpec;
use crate::error::Result;

/// Words that indicate a column with the quality of samples, and words that also occur in the names of other columns.
const NAMES: [&str; 8] = ["quality", "qual", "validity", "valid", "qc", "ok", "qualitaet", "qualität"];
const COMMON_NAMES: [&str; 4] = ["status", "state", "flag", "good"];
/// Texts that mark a good sample.
const GOOD: [&str; 9] = ["good", "ok", "valid", "gut", "g", "bon", "true", "yes", "normal"];
/// Maximum number of distinct flags (not tuned).
const MAX_FLAGS: usize = 20;

/// A column that contains the quality of the samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QualityColumn {
    pub name: String,
    /// The flag that marks good samples.
    pub good: String,
    /// The other flags.
    pub bad: Vec<String>,
    /// Number of rows with another flag than `good`.
    pub rows: usize,
}

impl QualityColumn {
    /// Describes the bad rows.
    pub fn text(&self) -> String {
        let bad: Vec<String> = self.bad.iter().take(4).map(|b| format!("`{b}`")).collect();
        let more = if self.bad.len() > 4 { ", …" } else { "" };
        format!("{} rows have the flag {}{more} instead of `{}`", self.rows, bad.join(", "), self.good)
    }

    /// The setting that selects the good rows.
    pub fn setting(&self) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let bare = self.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        let key = if bare { self.name.clone() } else { quoted(&self.name) };
        format!("where = {{ {key} = {} }}", quoted(&self.good))
    }
}

/// Returns the columns of a wide log that contain the quality of the samples, unless `where` selects rows by them.
///
/// # Errors
/// [`crate::error::Error::NoInput`] or [`crate::error::Error::Data`] if a file cannot be read.
pub fn quality_columns(dir: &Path, spec: &LogSpec) -> Result<Vec<QualityColumn>> {
    found(&footer::open(dir, spec)?)
}

/// Returns the columns of the given files that contain the quality of the samples.
///
/// # Errors
/// See [`quality_columns`].
pub fn quality_columns_of(files: &[PathBuf]) -> Result<Vec<QualityColumn>> {
    let folder = |file: &Path| file.parent().unwrap_or_else(|| Path::new("")).to_path_buf();
    found(&files.iter().map(|f| LogFile::open(&folder(f), f)).collect::<Result<Vec<LogFile>>>()?)
}

fn found(files: &[LogFile]) -> Result<Vec<QualityColumn>> {
    let Some(last) = files.last() else { return Ok(Vec::new()) };
    let named = |name: &str| {
        name.to_lowercase()
            .split(|c: char| !c.is_alphanumeric())
            .any(|w| NAMES.contains(&w) || COMMON_NAMES.contains(&w))
    };
    let mut out = Vec::new();
    for column in last.columns.iter().filter(|c| named(&c.name)) {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for file in files.iter().filter(|f| f.find(&column.name).is_some()) {
            let mut rest = false;
            each_batch(file, &[(column.name.as_str(), Decoding::Codes)], |columns| {
                for c in columns {
                    if counts.len() > MAX_FLAGS {
                        break;
                    }
                    let mut known: Vec<String> = Vec::new();
                    let codes = cast::codes(c, |text| {
                        known.push(text.unwrap_or("").to_owned());
                        known.len() as u32 - 1
                    });
                    rest |= codes.is_none();
                    for code in codes.unwrap_or_default() {
                        *counts.entry(known[code as usize].clone()).or_default() += 1;
                    }
                }
                Ok(())
            })?;
            if rest {
                counts.clear();
                break;
            }
        }
        out.extend(judge(&column.name, counts));
    }
    Ok(out)
}

/// Returns the quality column with this name if most rows have a flag that marks good samples. `counts` contains the
/// number of rows with each flag; rows without a flag do not count.
fn judge(name: &str, mut counts: BTreeMap<String, usize>) -> Option<QualityColumn> {
    counts.remove("");
    let total: usize = counts.values().sum();
    let (good, n) = counts.iter().max_by_key(|c| c.1).map(|(flag, n)| (flag.clone(), *n))?;
    if !(2..=MAX_FLAGS).contains(&counts.len()) || 2 * n <= total {
        return None;
    }
    let lower = name.to_lowercase();
    let is_quality = lower.split(|c: char| !c.is_alphanumeric()).any(|w| NAMES.contains(&w));
    let number = good.trim().parse::<f64>().ok();
    let is_good = match number {
        Some(code) => (192.0..=255.0).contains(&code) || is_quality && (code == 0.0 || code == 1.0),
        None => {
            let text = good.trim().to_lowercase();
            let certain = ["good", "ok", "valid", "gut"].contains(&text.as_str());
            certain || is_quality && GOOD.contains(&text.as_str())
        }
    };
    let bad: Vec<String> = counts.into_keys().filter(|flag| *flag != good).collect();
    is_good.then(|| QualityColumn { name: name.to_owned(), good, bad, rows: total - n })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_flags_are_distinguished_from_states_of_the_plant() {
        let judged = |name: &str, flags: &[(&str, usize)]| {
            let counts = flags.iter().map(|(flag, n)| ((*flag).to_owned(), *n)).collect();
            judge(name, counts).map(|c| (c.good, c.rows))
        };
        assert_eq!(judged("power status", &[("Good", 90), ("Bad", 8), ("", 5)]), Some(("Good".into(), 8)));
        assert_eq!(judged("power_quality", &[("192", 90), ("0", 7), ("24", 2)]), Some(("192".into(), 9)));
        assert_eq!(judged("ok", &[("1", 90), ("0", 7)]), Some(("1".into(), 7)));
        assert_eq!(judged("pump_status", &[("1", 90), ("0", 70)]), None);
        assert_eq!(judged("pump state", &[("running", 90), ("off", 70)]), None);
        assert_eq!(judged("quality", &[("Good", 90)]), None);
        assert_eq!(judged("product_quality", &[("87.5", 9), ("88", 8), ("91", 3)]), None);
        let column = judge("power status", [("Good".to_owned(), 9), ("Bad".to_owned(), 1)].into()).unwrap();
        assert_eq!(column.setting(), "where = { \"power status\" = \"Good\" }");
    }
}
