//! Finished scenarios on disk, so that an interrupted batch can be resumed; and their union, `runs.parquet`.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow_schema::{DataType, Field, Schema as ArrowSchema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::plant::Plant;
use super::results::{SCHEMA_VERSION, ScenarioResult};
use crate::error::{Error, Result};
use crate::schema::Signal;
use crate::spec::{Loaded, ScenarioSpec};
use crate::trajectory::Trajectory;
use crate::value::Estimate;

/// Hash of all that a scenario's result depends on.
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

/// Where finished scenarios of the report folder `dir` wait.
pub fn folder(dir: &Path) -> PathBuf {
    dir.join(".parts")
}

fn part(dir: &Path, name: &str, extension: &str) -> PathBuf {
    folder(dir).join(format!("{name}.{extension}"))
}

/// The finished result of scenario `name`, if it was made from `inputs`.
pub fn load(dir: &Path, name: &str, inputs: &str) -> Option<ScenarioResult> {
    let text = fs::read(part(dir, name, "json")).ok()?;
    let result: ScenarioResult = serde_json::from_slice(&text).ok()?;
    (result.inputs == inputs && part(dir, name, "parquet").exists()).then_some(result)
}

/// Stores a finished scenario: the trajectories first, so that a result on disk is always whole.
pub fn save(dir: &Path, result: &ScenarioResult, cases: &[(String, Trajectory)]) -> Result<()> {
    let folder = folder(dir);
    fs::create_dir_all(&folder).map_err(|e| Error::write(&folder, e))?;
    // an older result must not speak for these trajectories
    let _ = fs::remove_file(part(dir, &result.name, "json"));
    let path = part(dir, &result.name, "parquet");
    let batches = cases.iter().map(|(case, t)| rows(&result.name, case, t)).collect::<Result<Vec<_>>>()?;
    write_file(&path, &parquet_bytes(&path, batches.into_iter().map(Ok))?)?;
    let path = part(dir, &result.name, "json");
    let text = serde_json::to_vec(result).map_err(|e| Error::Internal(e.to_string()))?;
    write_file(&path, &text)
}

/// Joins the parts of `names` into `runs.parquet`.
pub fn join(dir: &Path, names: &[&str]) -> Result<()> {
    let path = dir.join("runs.parquet");
    let mut batches = Vec::new();
    for name in names {
        let from = part(dir, name, "parquet");
        let file = File::open(&from).map_err(|e| Error::no_input(&from, e))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|b| b.with_batch_size(65_536).build());
        batches.extend(reader.map_err(|e| Error::no_input(&from, e))?);
    }
    let bytes = parquet_bytes(&path, batches.into_iter().map(|b| b.map_err(|e| Error::Internal(e.to_string()))))?;
    write_file(&path, &bytes)
}

fn arrow_schema() -> Arc<ArrowSchema> {
    let text = |name| Field::new(name, DataType::Utf8, false);
    let number = |name| Field::new(name, DataType::Float64, true);
    Arc::new(ArrowSchema::new(vec![
        text("scenario"),
        text("case"),
        Field::new("time", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), false),
        text("signal"),
        text("unit"),
        number("p10"),
        number("p50"),
        number("p90"),
        number("mean"),
    ]))
}

/// One row per step and signal: quantiles over particles.
fn rows(scenario: &str, case: &str, t: &Trajectory) -> Result<RecordBatch> {
    let n = t.steps * t.schema.len();
    let mut quantiles: [Vec<f64>; 4] = std::array::from_fn(|_| Vec::with_capacity(n));
    let mut times = Vec::with_capacity(n);
    for signal in 0..t.schema.len() {
        for step in 0..t.steps {
            let e = Estimate::over(t.at(signal, step));
            for (column, v) in quantiles.iter_mut().zip([e.p10, e.p50, e.p90, e.mean]) {
                column.push(v);
            }
            times.push(t.time(step).as_millisecond());
        }
    }
    let text = |pick: fn(&Signal) -> &str| {
        let all: Vec<&str> = t.schema.signals.iter().flat_map(|s| std::iter::repeat_n(pick(s), t.steps)).collect();
        Arc::new(StringArray::from_iter_values(all)) as ArrayRef
    };
    let [p10, p50, p90, mean] = quantiles
        .map(|c| Arc::new(Float64Array::from_iter(c.into_iter().map(|v| v.is_finite().then_some(v)))) as ArrayRef);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(scenario, n))),
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(case, n))),
        Arc::new(TimestampMillisecondArray::from(times).with_timezone("UTC")),
        text(|s| &s.name),
        text(|s| &s.unit.text),
        p10,
        p50,
        p90,
        mean,
    ];
    RecordBatch::try_new(arrow_schema(), columns).map_err(|e| Error::Internal(e.to_string()))
}

fn parquet_bytes(path: &Path, batches: impl Iterator<Item = Result<RecordBatch>>) -> Result<Vec<u8>> {
    let fail = |e: parquet::errors::ParquetError| Error::write(path, std::io::Error::other(e));
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).map_err(fail)?))
        .set_created_by(format!("twinopt {}", env!("CARGO_PKG_VERSION")))
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, arrow_schema(), Some(properties)).map_err(fail)?;
    for batch in batches {
        writer.write(&batch?).map_err(fail)?;
    }
    writer.close().map_err(fail)?;
    Ok(bytes)
}

/// Writes through a temporary name, so that a reader never sees half a file.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let staged = path.with_extension(format!("{}.tmp", path.extension().and_then(|e| e.to_str()).unwrap_or("")));
    let write = || {
        let mut file = File::create(&staged)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&staged, path)
    };
    write().map_err(|e| Error::write(path, e))
}
