//! The units and the time zone that `twinopt import` recorded in `import.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::disk::read_if_present;
use crate::units::ending;

/// The part of `import.toml` that helps to draft a twin.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Imported {
    #[serde(default)]
    source: Vec<Source>,
    /// Unit of each column as written in the export.
    #[serde(default)]
    unit: BTreeMap<String, String>,
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
        let imported = Imported { source: Vec::new(), unit };
        let read = units.map(|u| imported.unit(u).unwrap_or_default());
        assert_eq!(read, ["degC", "m^3/h", "kWh", "", "m^2", "%", "EUR", "item"]);
    }
}
