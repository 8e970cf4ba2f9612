//! The recipe of an import, which is stored in `import.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Name of the recipe in the folder of the plant.
pub const FILE: &str = "import.toml";

/// Everything that determines the log, apart from the content of the sources.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Start of the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Length of the steps over which means are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
    /// Maximum age of a joined value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<String>,
    pub source: Vec<Source>,
    /// Units of the columns of the log, as written in the exports. The units are used by `twinopt init`, and do not
    /// affect the log.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unit: BTreeMap<String, String>,
    /// Columns of the log that some files lack, and the names of these files. `twinopt check` reports them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub missing: BTreeMap<String, String>,
}

/// One source. The fields are named after the command-line options.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// File, folder or pattern, relative to the folder of the recipe.
    pub from: String,
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Unit and origin of times that are numbers, such as `hours since 2024-01-01T00:00Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_unit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_order: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimal: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Name or pattern of the sheets of a workbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub long: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wide: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub good: Vec<String>,
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub select: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rename: Vec<String>,
}

impl Recipe {
    /// Reads the recipe in the folder of a plant, or returns `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Recipe`] if it cannot be parsed.
    pub fn load(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::no_input(&path, e)),
        };
        toml::from_str(&text).map(Some).map_err(|e| Error::Recipe(format!("{}: {e}", path.display())))
    }

    /// The text of `import.toml`.
    ///
    /// # Errors
    /// [`Error::Data`] if a value cannot be written as TOML.
    pub fn text(&self) -> Result<String> {
        let body = toml::to_string(self).map_err(|e| Error::Data(format!("the recipe cannot be written: {e}")))?;
        Ok(format!(
            "# Written by `twinopt import`, which reads these sources again if it is run without `--from`.\n{body}"
        ))
    }

    /// Adds the settings of `other` that this recipe lacks, such as a decimal separator that an earlier import
    /// detected. Returns the name of the first setting in which the two recipes differ.
    pub fn complete(&mut self, other: &Self) -> Option<&'static str> {
        if self.source.len() != other.source.len() {
            return Some("from");
        }
        for (own, other) in self.source.iter_mut().zip(&other.source) {
            let lists = [
                ("long", &mut own.long, &other.long),
                ("good", &mut own.good, &other.good),
                ("select", &mut own.select, &other.select),
                ("rename", &mut own.rename, &other.rename),
            ];
            for (name, own, other) in lists {
                if own.is_empty() && name == "long" {
                    own.clone_from(other);
                } else if own != other {
                    return Some(name);
                }
            }
            let texts = [
                ("time", &mut own.time, &other.time),
                ("time-unit", &mut own.time_unit, &other.time_unit),
                ("timezone", &mut own.timezone, &other.timezone),
                ("date-order", &mut own.date_order, &other.date_order),
                ("decimal", &mut own.decimal, &other.decimal),
                ("delimiter", &mut own.delimiter, &other.delimiter),
                ("encoding", &mut own.encoding, &other.encoding),
                ("sheet", &mut own.sheet, &other.sheet),
            ];
            for (name, own, other) in texts {
                if own.is_none() {
                    own.clone_from(other);
                } else if own != other {
                    return Some(name);
                }
            }
            if own.from != other.from || own.prefix != other.prefix {
                return Some("from");
            }
            if own.condition != other.condition || own.wide != other.wide {
                return Some(if own.wide == other.wide { "where" } else { "wide" });
            }
        }
        let same = [
            ("since", self.since == other.since),
            ("every", self.every == other.every),
            ("tolerance", self.tolerance == other.tolerance),
            ("keep", self.keep == other.keep),
        ];
        same.into_iter().find(|(_, same)| !same).map(|(name, _)| name)
    }
}
