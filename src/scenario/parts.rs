//! Stores finished scenarios on disk, so that an interrupted batch can be resumed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::plant::Plant;
use super::results::{SCHEMA_VERSION, ScenarioResult};
use super::runs::{parquet_bytes, rows};
use crate::config::{Loaded, ScenarioSpec};
use crate::disk::write_file;
use crate::error::{Error, Result};
use crate::trajectory::Trajectory;

/// Hash of all inputs on which the result of a scenario depends.
pub fn fingerprint(plant: &Plant, scenario: &Loaded<ScenarioSpec>, seed: Option<u64>) -> String {
    let mut hash = blake3::Hasher::new();
    let text = scenario.text.as_bytes();
    let seed = seed.map_or(String::from("own"), |s| s.to_string());
    for part in [
        env!("CARGO_PKG_VERSION").as_bytes(),
        &SCHEMA_VERSION.to_le_bytes(),
        plant.card.version.as_bytes(),
        plant.config_hash.as_bytes(),
        seed.as_bytes(),
        text,
    ] {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    for source in &plant.quality.sources {
        hash.update(source.hash.as_bytes());
    }
    hash.finalize().to_hex()[..32].to_owned()
}

/// Subfolder of the report folder `dir` in which finished scenarios are stored.
pub fn folder(dir: &Path) -> PathBuf {
    dir.join(".parts")
}

fn part(dir: &Path, name: &str, extension: &str) -> PathBuf {
    folder(dir).join(format!("{name}.{extension}"))
}

/// Loads the stored result of scenario `name`. Returns `None` if no result is stored, or if it was computed from inputs
/// with a different hash than `inputs`.
pub fn load(dir: &Path, name: &str, inputs: &str) -> Option<ScenarioResult> {
    let text = fs::read(part(dir, name, "json")).ok()?;
    let result: ScenarioResult = serde_json::from_slice(&text).ok()?;
    (result.inputs == inputs && part(dir, name, "parquet").exists()).then_some(result)
}

/// Stores a finished scenario. The trajectories are written first, so that a stored result always has its trajectories.
pub fn save(dir: &Path, result: &ScenarioResult, cases: &[(String, Trajectory)]) -> Result<()> {
    let folder = folder(dir);
    fs::create_dir_all(&folder).map_err(|e| Error::write(&folder, e))?;
    // Remove any older result first, so that it is never combined with the new trajectories.
    let _ = fs::remove_file(part(dir, &result.name, "json"));
    let path = part(dir, &result.name, "parquet");
    let batches = cases.iter().map(|(case, t)| rows(&result.name, case, t)).collect::<Result<Vec<_>>>()?;
    write_file(&path, &parquet_bytes(&path, batches.into_iter().map(Ok))?)?;
    let path = part(dir, &result.name, "json");
    let text = serde_json::to_vec(result).map_err(|e| Error::Internal(e.to_string()))?;
    write_file(&path, &text)
}

/// Joins the stored trajectories of the scenarios `names` into the single file `path`.
pub fn join(dir: &Path, names: &[&str], path: &Path) -> Result<()> {
    let mut batches = Vec::new();
    for name in names {
        let from = part(dir, name, "parquet");
        let file = File::open(&from).map_err(|e| Error::no_input(&from, e))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|b| b.with_batch_size(65_536).build());
        batches.extend(reader.map_err(|e| Error::no_input(&from, e))?);
    }
    let bytes = parquet_bytes(path, batches.into_iter().map(|b| b.map_err(|e| Error::Internal(e.to_string()))))?;
    write_file(path, &bytes)
}
