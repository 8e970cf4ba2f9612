//! The units and the time zone that `twinopt import` recorded in `import.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::config::{Loaded, TwinSpec};
use crate::disk::read_if_present;
use crate::error::Fault;
use crate::resolve::Faults;
use crate::units::ending;

/// The part of `import.toml` that helps to draft a twin.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Imported {
    #[serde(default)]
    source: Vec<Source>,
    /// Unit of each column as written in the export.
    #[serde(default)]
    unit: BTreeMap<String, String>,
    /// Columns of the log that some files lack, and the names of these files.
    #[serde(default)]
    missing: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Source {
    timezone: Option<String>,
}

impl Imported {
    /// Reads `import.toml` in the folder of a plant. A missing or unreadable file is treated as
    /// empty.
    pub fn load(dir: &Path) -> Self {
        let bytes = read_if_present(&dir.join("import.toml")).ok().flatten();
        let text = bytes.and_then(|b| String::from_utf8(b).ok());
        text.and_then(|t| toml::from_str(&t).ok()).unwrap_or_default()
    }

    /// The time zone that was used to import the first source with local times.
    pub fn timezone(&self) -> Option<&str> {
        self.source.iter().find_map(|s| s.timezone.as_deref())
    }

    /// Warnings about columns that some of the imported files lack, for each signal of `twin` that reads such a column.
    pub fn missing(&self, twin: &Loaded<TwinSpec>) -> Vec<Fault> {
        let mut faults = Faults::new(twin);
        for signal in twin.value.signals.iter().map(|s| &s.value) {
            let column = signal.column.as_ref().unwrap_or(&signal.name);
            if let Some(files) = self.missing.get(&column.value) {
                let what = format!("the column `{}` is missing from {files}, so it has no values there", column.value);
                let help = "if the column has another name in these files, import them again with `--rename OLD=NEW`";
                faults.warn("missing-column", &signal.name.span, what, help);
            }
        }
        faults.into_list()
    }

    /// The unit of a column in the notation of `twin.toml`, if twinopt knows the unit.
    pub fn unit(&self, column: &str) -> Option<String> {
        ending::exported(self.unit.get(column)?).map(|unit| unit.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_exports_are_translated() {
        let units = ["°C", "m³/h", "kWh", "Nonsense", "m2", "%", "€", "Stk"];
        let unit = units.iter().map(|u| ((*u).to_owned(), (*u).to_owned())).collect();
        let imported = Imported { unit, ..Imported::default() };
        let read = units.map(|u| imported.unit(u).unwrap_or_default());
        assert_eq!(read, ["degC", "m^3/h", "kWh", "", "m^2", "%", "EUR", "item"]);
    }
}
