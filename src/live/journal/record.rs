//! The log of a live loop as a Parquet file that the next fit can read.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::super::decision::FallbackLevel;
use crate::disk::{try_new, write_file};
use crate::error::{Error, Result};
use crate::twin::Support;

/// The file is rewritten when the number of new rows reaches this value or a tenth of the rows in the file, whichever
/// is larger (not tuned).
const WRITE_INTERVAL: usize = 200;

/// The rows of the log, all of which are kept in memory. Each write replaces the whole file.
pub struct Record {
    file: PathBuf,
    /// Names of the time and episode columns.
    time: String,
    episode: Option<String>,
    times: Vec<i64>,
    episodes: Vec<i64>,
    /// Line number of each row within its run.
    lines: Vec<i64>,
    names: Vec<String>,
    /// Values as `[names][rows]`, with NaN for missing values.
    columns: Vec<Vec<f64>>,
    decided_by: Vec<&'static str>,
    support: Vec<&'static str>,
    /// Number of rows in the file on disk.
    written: usize,
}

/// The values of a row that are not stored in numeric columns.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// Time of the line in milliseconds since 1970 (UTC).
    pub time_ms: i64,
    /// Line number within the run.
    pub line: i64,
    pub episode: i64,
    pub decided_by: FallbackLevel,
    pub support: Support,
}

/// Checks that `file` does not exist, so that no earlier log is overwritten, and that `file` can be created. This
/// function is called before the loop begins.
///
/// # Errors
/// [`Error::Write`]
pub fn require_new(file: &Path) -> Result<()> {
    let cause = |kind| match kind {
        // A dangling symbolic link also gives `AlreadyExists`, because the new file would replace the link.
        ErrorKind::AlreadyExists => "the file exists, and `control` never overwrites a log; choose another file name",
        ErrorKind::NotFound => "its folder does not exist; create the folder, or choose another file name",
        _ => "the file cannot be created; choose another file name",
    };
    try_new(file).map_err(|e| Error::write(file, std::io::Error::new(e.kind(), cause(e.kind()))))
}

impl Record {
    /// Creates a record without rows. `time` and `episode` are the names of the time column and the episode column in
    /// the twin's log. `names` are the names of the numeric columns, without duplicates.
    pub fn new(file: &Path, time: &str, episode: Option<&str>, names: Vec<String>) -> Self {
        Self {
            file: file.to_path_buf(),
            time: time.to_owned(),
            episode: episode.map(str::to_owned),
            times: Vec::new(),
            episodes: Vec::new(),
            lines: Vec::new(),
            columns: vec![Vec::new(); names.len()],
            names,
            decided_by: Vec::new(),
            support: Vec::new(),
            written: 0,
        }
    }

    fn rows(&self) -> usize {
        self.times.len()
    }

    /// Adds a row whose numeric values are all missing.
    pub fn push(&mut self, stamp: Stamp) {
        self.times.push(stamp.time_ms);
        self.episodes.push(stamp.episode);
        self.lines.push(stamp.line);
        self.decided_by.push(stamp.decided_by.as_str());
        self.support.push(Support::as_str(stamp.support));
        self.columns.iter_mut().for_each(|c| c.push(f64::NAN));
    }

    /// Sets one numeric field of the newest row.
    pub fn set(&mut self, column: usize, value: f64) {
        if let Some(v) = self.columns[column].last_mut() {
            *v = value;
        }
    }

    /// Returns the line number and the episode of the newest row.
    pub fn newest(&self) -> Option<(i64, i64)> {
        Some((*self.lines.last()?, *self.episodes.last()?))
    }

    /// Drops the rows of `episode` from line `line` onwards.
    pub fn rewind(&mut self, episode: i64, line: i64) {
        while self.newest().is_some_and(|(l, e)| e == episode && l >= line) {
            self.times.pop();
            self.episodes.pop();
            self.lines.pop();
            self.decided_by.pop();
            self.support.pop();
            self.columns.iter_mut().for_each(|c| c.truncate(self.times.len()));
        }
    }

    /// Writes the file if enough rows have been added since the last write.
    ///
    /// # Errors
    /// Returns the errors of [`Record::write`].
    pub fn write_if_due(&mut self) -> Result<()> {
        if self.rows() >= self.written + WRITE_INTERVAL.max(self.written / 10) { self.write() } else { Ok(()) }
    }

    /// Writes the whole file.
    ///
    /// # Errors
    /// [`Error::Write`]
    pub fn write(&mut self) -> Result<()> {
        let fail = |e: String| Error::write(&self.file, std::io::Error::other(e));
        let times = TimestampMillisecondArray::from(self.times.clone()).with_timezone("UTC");
        let mut columns: Vec<(&str, ArrayRef)> = vec![(&self.time, Arc::new(times))];
        if let Some(episode) = &self.episode {
            columns.push((episode, Arc::new(Int64Array::from(self.episodes.clone()))));
        }
        for (name, values) in self.names.iter().zip(&self.columns) {
            let known = values.iter().map(|v| v.is_finite().then_some(*v));
            columns.push((name, Arc::new(Float64Array::from_iter(known))));
        }
        columns.push(("decided_by", Arc::new(StringArray::from_iter_values(&self.decided_by))));
        columns.push(("support", Arc::new(StringArray::from_iter_values(&self.support))));
        let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
            .map_err(|e| fail(e.to_string()))?;
        let level = ZstdLevel::try_new(3).map_err(|e| fail(e.to_string()))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_created_by(format!("twinopt {}", env!("CARGO_PKG_VERSION")))
            .build();
        let mut bytes = Vec::new();
        let mut writer =
            ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).map_err(|e| fail(e.to_string()))?;
        writer.write(&batch).map_err(|e| fail(e.to_string()))?;
        writer.close().map_err(|e| fail(e.to_string()))?;
        write_file(&self.file, &bytes)?;
        self.written = self.rows();
        Ok(())
    }
}
