//! Functions that write and read Parquet files, for tests of logs.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType,
};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};

/// A named column of a table.
pub type Column = (String, ArrayRef);

pub fn column(name: &str, array: impl Array + 'static) -> Column {
    (name.into(), Arc::new(array))
}

pub fn floats(name: &str, v: &[f64]) -> Column {
    column(name, Float64Array::from(v.to_vec()))
}

pub fn integers(name: &str, v: Vec<i64>) -> Column {
    column(name, Int64Array::from(v))
}

pub fn texts<S: AsRef<str>>(name: &str, v: &[S]) -> Column {
    column(name, StringArray::from_iter_values(v))
}

/// A time column in UTC. `us` are microseconds since 1970.
pub fn times(name: &str, us: &[i64]) -> Column {
    column(name, TimestampMicrosecondArray::from(us.to_vec()).with_timezone("UTC"))
}

pub fn write(path: &Path, columns: Vec<Column>) {
    write_as(path, columns, |p| p);
}

/// Writes a file. `how` changes the Parquet properties of the file; the default is zstd compression and one row group.
pub fn write_as(path: &Path, columns: Vec<Column>, how: impl Fn(WriterPropertiesBuilder) -> WriterPropertiesBuilder) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let zstd = Compression::ZSTD(ZstdLevel::default());
    let properties = how(WriterProperties::builder().set_compression(zstd)).build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Reads the whole file into one batch.
pub fn read(path: &Path) -> RecordBatch {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let rows = builder.metadata().file_metadata().num_rows() as usize;
    builder.with_batch_size(rows).build().unwrap().next().unwrap().unwrap()
}

/// The values of a column as numbers. Missing values are NaN.
pub fn numbers(table: &RecordBatch, name: &str) -> Vec<f64> {
    let array = table.column_by_name(name).unwrap();
    let known = |v: Option<f64>| v.unwrap_or(f64::NAN);
    match array.data_type() {
        DataType::Float64 => array.as_primitive::<Float64Type>().iter().map(known).collect(),
        DataType::Float32 => array.as_primitive::<Float32Type>().iter().map(|v| known(v.map(f64::from))).collect(),
        DataType::Int32 => array.as_primitive::<Int32Type>().iter().map(|v| known(v.map(f64::from))).collect(),
        DataType::Int64 => array.as_primitive::<Int64Type>().iter().map(|v| known(v.map(|v| v as f64))).collect(),
        other => panic!("column `{name}` has the type {other}"),
    }
}

/// The values of a time column in milliseconds since 1970.
pub fn millis(table: &RecordBatch, name: &str) -> Vec<i64> {
    let array = table.column_by_name(name).unwrap();
    let (values, per_ms) = match array.data_type() {
        DataType::Timestamp(TimeUnit::Millisecond, _) => (array.as_primitive::<TimestampMillisecondType>().values(), 1),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            (array.as_primitive::<TimestampMicrosecondType>().values(), 1_000)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            (array.as_primitive::<TimestampNanosecondType>().values(), 1_000_000)
        }
        other => panic!("column `{name}` has the type {other}"),
    };
    values.iter().map(|v| v.div_euclid(per_ms)).collect()
}
