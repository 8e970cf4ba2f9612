//! Finds columns of a wide log that contain the quality of the samples.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::batches::{Decoding, each_batch};
use super::cast;
use super::footer::{self, LogFile};
use crate::config::LogSpec;
use crate::error::Result;

/// Words that indicate a column with the quality of samples, and words that also occur in the names of other columns.
const NAMES: [&str; 18] = [
    "quality",
    "qual",
    "q",
    "validity",
    "valid",
    "qc",
    "ok",
    "qf",
    "dq",
    "dataquality",
    "qualitaet",
    "qualität",
    "qualite",
    "qualité",
    "calidad",
    "qualita",
    "qualità",
    "kwaliteit",
];
const COMMON_NAMES: [&str; 4] = ["status", "state", "flag", "good"];
/// Texts that mark a good sample.
const GOOD: [&str; 9] = ["good", "ok", "valid", "gut", "g", "bon", "true", "yes", "normal"];
/// First words of texts that mark a sample as bad.
const BAD: [&str; 24] = [
    "bad",
    "uncertain",
    "invalid",
    "questionable",
    "suspect",
    "error",
    "err",
    "fail",
    "failed",
    "failure",
    "stale",
    "missing",
    "nodata",
    "no",
    "not",
    "comm",
    "timeout",
    "schlecht",
    "ungueltig",
    "ungültig",
    "gestoert",
    "gestört",
    "mauvais",
    "malo",
];
/// Maximum number of distinct flags (not tuned).
const MAX_FLAGS: usize = 20;

/// A column that contains the quality of the samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QualityColumn {
    pub name: String,
    /// The flags of good samples; the most frequent one comes first.
    pub good: Vec<String>,
    /// The other flags.
    pub bad: Vec<String>,
    /// Number of rows whose flag is in `bad`.
    pub rows: usize,
    /// Whether nearly all rows have a flag.
    pub is_complete: bool,
}

impl QualityColumn {
    /// Describes the bad rows.
    pub fn text(&self) -> String {
        let bad: Vec<String> = self.bad.iter().take(4).map(|b| format!("`{b}`")).collect();
        let more = if self.bad.len() > 4 { ", …" } else { "" };
        let good: Vec<String> = self.good.iter().map(|g| format!("`{g}`")).collect();
        format!("{} rows have the flag {}{more} instead of {}", self.rows, bad.join(", "), good.join(" or "))
    }

    /// The setting that selects the good rows.
    pub fn setting(&self) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let bare = self.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        let key = if bare { self.name.clone() } else { quoted(&self.name) };
        let good = match &self.good[..] {
            [one] => quoted(one),
            several => format!("[{}]", several.iter().map(|g| quoted(g)).collect::<Vec<_>>().join(", ")),
        };
        format!("where = {{ {key} = {good} }}")
    }

    /// The column in `names` to whose values the flags apply; `None` if they apply to the whole row or to no column in
    /// particular.
    pub fn value_column<'a>(&self, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
        let stem = stem(&self.name);
        let with_unit = |name: &str| {
            let plain = plain(name.split(['[', '(']).next().unwrap_or(name));
            plain == stem || crate::units::ending::guess(&plain).stem == stem
        };
        names.filter(|n| *n != self.name).find(|n| !stem.is_empty() && with_unit(n))
    }

    /// Whether the flags certainly mark the quality of samples: they belong to one of the columns `names`, or their
    /// texts or codes are those of a historian. A column such as `product_quality` or `filter_ok` can also describe the
    /// plant.
    pub fn is_certain<'a>(&self, names: impl Iterator<Item = &'a str>) -> bool {
        let is_number = self.good.iter().chain(&self.bad).all(|flag| flag.trim().parse::<f64>().is_ok());
        let is_code = |flag: &String| flag.trim().parse::<f64>().is_ok_and(|code| (192.0..=255.0).contains(&code));
        let is_bad = |flag: &String| BAD.contains(&first_word(flag).as_str()) || BAD.contains(&plain(flag).as_str());
        let is_historian = if is_number { self.good.iter().all(is_code) } else { self.bad.iter().all(is_bad) };
        let words = plain(&self.name);
        let is_quality = words.split('_').any(|w| NAMES.contains(&w)) && !(is_number && words == "q");
        is_historian || self.value_column(names).is_some() || self.is_of_rows() && is_quality
    }

    /// Whether the name consists only of words for quality, so that the flags apply to whole rows.
    pub fn is_of_rows(&self) -> bool {
        stem(&self.name).is_empty()
    }
}

/// The first word of a text, in lower case.
fn first_word(text: &str) -> String {
    let lower = text.trim().to_lowercase();
    lower.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("").to_owned()
}

/// The words of a name, in lower case and separated by `_`.
fn plain(name: &str) -> String {
    let lower = name.to_lowercase();
    lower.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect::<Vec<_>>().join("_")
}

/// The words of a name without those for quality.
fn stem(name: &str) -> String {
    let words = plain(name);
    let is_quality = |w: &&str| !NAMES.contains(w) && !COMMON_NAMES.contains(w);
    words.split('_').filter(is_quality).collect::<Vec<_>>().join("_")
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
    let empty = counts.remove("").unwrap_or(0);
    let total: usize = counts.values().sum();
    let (good, n) = counts.iter().max_by_key(|c| c.1).map(|(flag, n)| (flag.clone(), *n))?;
    if !(2..=MAX_FLAGS).contains(&counts.len()) || 2 * n <= total {
        return None;
    }
    let lower = name.to_lowercase();
    let is_quality = lower.split(|c: char| !c.is_alphanumeric()).any(|w| NAMES.contains(&w));
    // codes of OPC and texts that begin with a word for good mark good samples even if they are less frequent
    let certain = |flag: &str| match flag.trim().parse::<f64>() {
        Ok(code) => (192.0..=255.0).contains(&code),
        Err(_) => ["good", "ok", "valid", "gut"].contains(&first_word(flag).as_str()),
    };
    let is_good = certain(&good)
        || is_quality
            && match good.trim().parse::<f64>() {
                Ok(code) => code == 0.0 || code == 1.0,
                Err(_) => GOOD.contains(&good.trim().to_lowercase().as_str()),
            };
    let (mut other, bad): (Vec<String>, Vec<String>) =
        counts.keys().filter(|flag| **flag != good).cloned().partition(|flag| certain(&good) && certain(flag));
    let rows = bad.iter().map(|flag| counts[flag]).sum();
    other.insert(0, good);
    (is_good && !bad.is_empty()).then(|| QualityColumn {
        name: name.to_owned(),
        good: other,
        bad,
        rows,
        is_complete: 20 * empty <= total,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_flags_are_distinguished_from_states_of_the_plant() {
        let judged = |name: &str, flags: &[(&str, usize)]| {
            let counts = flags.iter().map(|(flag, n)| ((*flag).to_owned(), *n)).collect();
            judge(name, counts).map(|c| (c.good.join("+"), c.rows))
        };
        assert_eq!(judged("power status", &[("Good", 90), ("Bad", 8), ("", 5)]), Some(("Good".into(), 8)));
        assert_eq!(judged("power_quality", &[("192", 90), ("0", 7), ("24", 2)]), Some(("192".into(), 9)));
        assert_eq!(judged("ok", &[("1", 90), ("0", 7)]), Some(("1".into(), 7)));
        assert_eq!(judged("pump_status", &[("1", 90), ("0", 70)]), None);
        assert_eq!(judged("pump state", &[("running", 90), ("off", 70)]), None);
        assert_eq!(judged("quality", &[("Good", 90)]), None);
        assert_eq!(judged("product_quality", &[("87.5", 9), ("88", 8), ("91", 3)]), None);
        let opc = [("192", 90), ("216", 3), ("Good, local override", 2), ("64", 4)];
        assert_eq!(judged("T_Q", &opc), Some(("192+216+Good, local override".into(), 4)));
        assert_eq!(judged("lg_q_true", &[("true", 90), ("false", 4)]), Some(("true".into(), 4)));
        let column = judge("power status", [("Good".to_owned(), 9), ("Bad".to_owned(), 1)].into()).unwrap();
        let certain = |name: &str, good: &str, bad: &str| {
            let column = judge(name, [(good.to_owned(), 9), (bad.to_owned(), 1)].into()).unwrap();
            column.is_certain(["power_kw", "filter_dp_mbar", name].into_iter())
        };
        assert!(certain("power_ok", "1", "0") && certain("quality", "1", "0") && certain("status", "Good", "Bad"));
        assert!(certain("plc_quality", "192", "0") && certain("plc_quality", "Good", "Bad: no connection"));
        assert!(!certain("product_quality", "1", "0") && !certain("filter_ok", "1", "0"));
        assert!(!certain("product_quality", "good", "rework") && !certain("status", "ok", "standby"));
        assert!(!certain("q", "0", "5"));
        let names = ["temp", "power [kW]", "power status"];
        assert_eq!(column.value_column(names.into_iter()), Some("power [kW]"));
        assert_eq!(column.value_column(["temp", "power_kw"].into_iter()), Some("power_kw"));
        assert_eq!(column.value_column(["temp", "powder"].into_iter()), None);
        assert_eq!(column.setting(), "where = { \"power status\" = \"Good\" }");
    }
}
