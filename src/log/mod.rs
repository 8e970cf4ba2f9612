//! Parquet files → one clean, regular [`Trajectory`](crate::trajectory::Trajectory), and an account of what was done.

mod quality;

pub use quality::{Excitation, Finding, Quality, SignalQuality, Source};

use std::path::Path;
use std::sync::Arc;

use crate::error::Result;
use crate::schema::Schema;
use crate::spec::TwinSpec;
use crate::trajectory::Trajectory;

/// A column of a Parquet file, as `check` and `init` need it.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub name: String,
    /// `float`, `integer`, `text`, `time`, `boolean`, `other`.
    pub kind: &'static str,
}

/// Reads the log of the twin in folder `dir`: scan, clean, resample, split.
pub fn read(_dir: &Path, _spec: &TwinSpec, _schema: &Arc<Schema>) -> Result<(Trajectory, Quality)> {
    Err(crate::error::Error::Internal("not built".into()))
}
pub fn columns(_dir: &Path, _spec: &crate::spec::LogSpec) -> Result<Vec<Column>> { Ok(vec![]) }
