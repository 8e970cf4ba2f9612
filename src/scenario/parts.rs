//! Stores finished scenarios on disk, so that an interrupted batch can be resumed.

use std::fs;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::{Deserialize, Serialize};

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

/// A finished scenario as it is stored in a JSON file. The first line of the file is the hash of the rest.
#[derive(Serialize, Deserialize)]
struct StoredPart {
    /// Hash of the file with the trajectories.
    trajectories: String,
    result: ScenarioResult,
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// Reads a stored scenario and the bytes of its trajectories. Returns `None` if a file is missing or damaged.
fn read(dir: &Path, name: &str) -> Option<(ScenarioResult, Vec<u8>)> {
    let text = fs::read(part(dir, name, "json")).ok()?;
    let (head, json) = text.split_at_checked(text.iter().position(|b| *b == b'\n')? + 1)?;
    if head.trim_ascii_end() != hash(json).as_bytes() {
        return None;
    }
    let stored: StoredPart = serde_json::from_slice(json).ok()?;
    let bytes = fs::read(part(dir, name, "parquet")).ok()?;
    (hash(&bytes) == stored.trajectories).then_some((stored.result, bytes))
}

/// Loads the stored result of scenario `name`. Returns `None` if no undamaged result is stored, or if the stored result
/// was computed from inputs whose hash differs from `inputs`.
pub fn load(dir: &Path, name: &str, inputs: &str) -> Option<ScenarioResult> {
    read(dir, name).map(|(result, _)| result).filter(|result| result.inputs == inputs)
}

/// Stores a finished scenario. The trajectories are written first, so that a stored result always has its trajectories.
pub fn save(dir: &Path, result: &ScenarioResult, cases: &[(String, Trajectory)]) -> Result<()> {
    let folder = folder(dir);
    fs::create_dir_all(&folder).map_err(|e| Error::write(&folder, e))?;
    // Remove any older result first, so that it is never combined with the new trajectories.
    let _ = fs::remove_file(part(dir, &result.name, "json"));
    let path = part(dir, &result.name, "parquet");
    let batches = cases.iter().map(|(case, t)| rows(&result.name, case, t)).collect::<Result<Vec<_>>>()?;
    let bytes = parquet_bytes(&path, batches.into_iter().map(Ok))?;
    write_file(&path, &bytes)?;
    let stored = StoredPart { trajectories: hash(&bytes), result: result.clone() };
    let json = serde_json::to_vec(&stored).map_err(|e| Error::Internal(e.to_string()))?;
    write_file(&part(dir, &result.name, "json"), &[hash(&json).as_bytes(), b"\n", &json].concat())
}

/// Joins the stored trajectories of the scenarios `names` into the single file `path`. Only one scenario is read into
/// memory at a time.
///
/// # Errors
/// Returns [`Error::Data`] if a stored scenario was damaged after it was saved.
pub fn join(dir: &Path, names: &[&str], path: &Path) -> Result<()> {
    let batches = names.iter().flat_map(|name| match batches_of(dir, name) {
        Ok(batches) => batches.into_iter().map(Ok).collect(),
        Err(e) => vec![Err(e)],
    });
    write_file(path, &parquet_bytes(path, batches)?)
}

fn batches_of(dir: &Path, name: &str) -> Result<Vec<RecordBatch>> {
    let damaged = || {
        let place = part(dir, name, "parquet");
        Error::Data(format!("{} was damaged during the run; run the same command again", place.display()))
    };
    let (_, bytes) = read(dir, name).ok_or_else(damaged)?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).map_err(|_| damaged())?;
    let reader = builder.with_batch_size(65_536).build().map_err(|_| damaged())?;
    // the collection ends at the first error, because a reader can return errors forever
    reader.collect::<std::result::Result<_, _>>().map_err(|_| damaged())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_damaged_byte_of_a_stored_scenario_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let error = Error::Data("x".into());
        let result =
            ScenarioResult { inputs: "i".into(), ..super::super::batch::unreadable(Path::new("a.toml"), &error) };
        save(dir.path(), &result, &[]).unwrap();
        assert_eq!(load(dir.path(), "a", "i"), Some(result));
        assert_eq!(load(dir.path(), "a", "other"), None);
        join(dir.path(), &["a"], &dir.path().join("runs.parquet")).unwrap();
        for extension in ["json", "parquet"] {
            let path = part(dir.path(), "a", extension);
            let whole = fs::read(&path).unwrap();
            for at in 0..whole.len() {
                let mut bytes = whole.clone();
                bytes[at] ^= 4;
                fs::write(&path, &bytes).unwrap();
                assert_eq!(load(dir.path(), "a", "i"), None, "{extension}, byte {at}");
            }
            fs::write(&path, &whole[..whole.len() - 1]).unwrap();
            assert!(join(dir.path(), &["a"], &dir.path().join("runs.parquet")).unwrap_err().exit_code() == 65);
            fs::write(&path, whole).unwrap();
        }
    }
}
