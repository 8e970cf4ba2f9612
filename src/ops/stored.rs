//! Results of an earlier run, read from the folder of a report.

use std::path::{Path, PathBuf};

use super::project::Project;
use crate::error::{Error, Result};
use crate::scenario::results::{Results, SCHEMA_VERSION};
use crate::verify::hash;

/// The field that is present in results files of every version.
#[derive(serde::Deserialize)]
struct Layout {
    schema_version: u32,
}

/// Results that an earlier run stored.
#[derive(Debug)]
pub struct StoredResults {
    pub folder: PathBuf,
    pub results: Results,
    /// Hash of the file.
    pub hash: String,
}

impl StoredResults {
    /// Reads the file `path`, or the file `results.json` of the report or of the twin in the folder `path`.
    ///
    /// # Errors
    /// [`Error::NoInput`] if there is no such file, and [`Error::Data`] if it was written by another version.
    pub fn read(path: &Path) -> Result<Self> {
        let file = if path.is_file() {
            path.to_path_buf()
        } else if path.join("results.json").is_file() {
            path.join("results.json")
        } else if path.join("twin.toml").is_file() {
            let name = crate::config::load_twin(path)?.value.name.value;
            Project::find(path)?.report_dir(&name).join("results.json")
        } else {
            path.join("results.json")
        };
        let bytes = std::fs::read(&file)
            .map_err(|e| Error::no_input(&file, format!("{e}; create this file with `twinopt run`")))?;
        let parse_error =
            |e| Error::Data(format!("{}: not a results file ({e}); run the scenarios again", file.display()));
        let Layout { schema_version } = serde_json::from_slice(&bytes).map_err(parse_error)?;
        if schema_version != SCHEMA_VERSION {
            return Err(Error::Data(format!(
                "{}: the results have schema version {schema_version}, not {SCHEMA_VERSION}; run the scenarios again",
                file.display()
            )));
        }
        let results: Results = serde_json::from_slice(&bytes).map_err(parse_error)?;
        let folder = file.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        Ok(Self { folder, results, hash: hash(&bytes) })
    }
}
