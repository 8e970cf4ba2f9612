//! The contents of `runs.parquet`: quantiles over particles of every signal in every case.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow_schema::{DataType, Field, Schema as ArrowSchema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::error::{Error, Result};
use crate::schema::Signal;
use crate::trajectory::Trajectory;
use crate::value::Estimate;

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

/// Quantiles over particles, one row per step and signal.
pub fn rows(scenario: &str, case: &str, t: &Trajectory) -> Result<RecordBatch> {
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

/// Returns the bytes of a Parquet file with all `batches`. Errors mention `path`.
pub fn parquet_bytes(path: &Path, batches: impl Iterator<Item = Result<RecordBatch>>) -> Result<Vec<u8>> {
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
