//! The log of a live loop: what was seen, planned and predicted, as a log file that the next fit can read.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::disk::{try_new, write_file};
use crate::error::{Error, Result};

/// Fewest new rows after which the file is written again; of a long file, a tenth.
const INTERVAL: usize = 200;

/// Rows in memory, written whole to one file.
pub struct Record {
    file: PathBuf,
    /// Names of the time and episode columns.
    time: String,
    episode: Option<String>,
    times: Vec<i64>,
    episodes: Vec<i64>,
    /// Number of each row's line in its run.
    lines: Vec<i64>,
    names: Vec<String>,
    /// `[names][rows]`, NaN where nothing is known.
    columns: Vec<Vec<f64>>,
    rungs: Vec<&'static str>,
    support: Vec<&'static str>,
    /// Rows of the file as it is on disk.
    written: usize,
}

/// Of one row what is no number.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// Milliseconds since 1970, UTC.
    pub time: i64,
    /// Number of the line in its run.
    pub line: i64,
    pub episode: i64,
    pub rung: &'static str,
    pub support: &'static str,
}

/// Refuses a file that is there already, for an earlier loop's rows, or the plant's own log, would be lost; and one that
/// cannot be made, before the loop has anything to write.
///
/// # Errors
/// [`Error::Write`]
pub fn require_new(file: &Path) -> Result<()> {
    let cause = |kind| match kind {
        // also a link to nowhere: it would be replaced, too
        ErrorKind::AlreadyExists => "it is there already, and the log of a loop replaces nothing; name another file",
        ErrorKind::NotFound => "its folder is not there; make it, or name another file",
        _ => "no file can be made there; name another one",
    };
    try_new(file).map_err(|e| Error::write(file, std::io::Error::new(e.kind(), cause(e.kind()))))
}

impl Record {
    /// `time`, `episode`: names of these columns in the twin's log; `names`: all others, each once.
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
            rungs: Vec::new(),
            support: Vec::new(),
            written: 0,
        }
    }

    fn rows(&self) -> usize {
        self.times.len()
    }

    /// A new row without numbers.
    pub fn push(&mut self, stamp: Stamp) {
        self.times.push(stamp.time);
        self.episodes.push(stamp.episode);
        self.lines.push(stamp.line);
        self.rungs.push(stamp.rung);
        self.support.push(stamp.support);
        self.columns.iter_mut().for_each(|c| c.push(f64::NAN));
    }

    /// A number of the newest row.
    pub fn set(&mut self, column: usize, value: f64) {
        if let Some(v) = self.columns[column].last_mut() {
            *v = value;
        }
    }

    /// The newest row's line and episode.
    pub fn newest(&self) -> Option<(i64, i64)> {
        Some((*self.lines.last()?, *self.episodes.last()?))
    }

    /// Forgets the rows of `episode` from `line` on.
    pub fn rewind(&mut self, episode: i64, line: i64) {
        while self.newest().is_some_and(|(l, e)| e == episode && l >= line) {
            self.times.pop();
            self.episodes.pop();
            self.lines.pop();
            self.rungs.pop();
            self.support.pop();
            self.columns.iter_mut().for_each(|c| c.truncate(self.times.len()));
        }
    }

    /// Writes the file when enough is new.
    ///
    /// # Errors
    /// As [`Record::write`].
    pub fn write_now_and_then(&mut self) -> Result<()> {
        if self.rows() >= self.written + INTERVAL.max(self.written / 10) { self.write() } else { Ok(()) }
    }

    /// Writes the file whole.
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
        columns.push(("rung", Arc::new(StringArray::from_iter_values(&self.rungs))));
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
