//! Writes the log: one Parquet file per month. Every file is complete or absent.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use polars::prelude::*;

use crate::error::{Error, Result};
use crate::series::TIME;
use crate::zone;

/// Rows per row group.
const ROW_GROUP: usize = 1 << 17;

/// Part of the name of every temporary file.
const MARK: &str = ".twinopt-import-";

/// Removes the temporary files that a killed process left in `folder`.
pub fn remove_temporary(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') && name.contains(MARK) && name.ends_with(".tmp") {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A file that has been written under a temporary name. Unless it has been renamed, the temporary file is removed when
/// this value is dropped.
pub struct Staged {
    temporary: PathBuf,
    path: PathBuf,
    renamed: bool,
}

impl Staged {
    /// Writes `bytes` to a temporary file that is later renamed to `path`, and syncs it.
    ///
    /// # Errors
    /// [`Error::Write`]
    pub fn new(path: &Path, bytes: &[u8]) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = path.with_file_name(format!(".{name}{MARK}{}.tmp", std::process::id()));
        let staged = Self { temporary, path: path.to_path_buf(), renamed: false };
        let write = || -> io::Result<()> {
            let mut file = File::create(&staged.temporary)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(|e| Error::write(path, e))?;
        Ok(staged)
    }

    /// # Errors
    /// [`Error::Write`]
    pub fn publish(mut self) -> Result<()> {
        fs::rename(&self.temporary, &self.path).map_err(|e| Error::write(&self.path, e))?;
        self.renamed = true;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        // some systems cannot open a folder
        if let Ok(folder) = File::open(folder) {
            folder.sync_all().map_err(|e| Error::write(&self.path, e))?;
        }
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.renamed {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// The content of the file of each month, and its number of rows.
///
/// # Errors
/// [`Error::Data`] if the table cannot be encoded.
pub fn months(frame: &DataFrame) -> Result<Vec<(String, Vec<u8>, usize)>> {
    let bad = |e: PolarsError| Error::Data(format!("the log cannot be written as Parquet: {e}"));
    let time = frame.column(TIME).and_then(|c| c.cast(&DataType::Int64)).map_err(bad)?;
    let time: Vec<i64> = time.i64().map_err(bad)?.iter().flatten().collect();
    let mut out = Vec::new();
    let mut start = 0;
    for rows in time.chunk_by(|a, b| month(*a) == month(*b)) {
        let mut part = frame.slice(start as i64, rows.len());
        part.rechunk_mut();
        start += rows.len();
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes)
            .with_compression(ParquetCompression::Zstd(None))
            .with_row_group_size(Some(ROW_GROUP))
            .finish(&mut part)
            .map_err(bad)?;
        out.push((month(rows[0]), bytes, rows.len()));
    }
    Ok(out)
}

/// The month of a time, such as `2024-01`.
fn month(us: i64) -> String {
    zone::instant(us).chars().take(7).collect()
}

/// Whether `name` is the name of a file that an import writes.
pub fn is_month(name: &str) -> bool {
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    name.strip_suffix(".parquet")
        .is_some_and(|n| n.len() == 7 && n.as_bytes()[4] == b'-' && digits(&n[..4]) && digits(&n[5..]))
}

/// The number of rows of a file that an earlier import wrote.
///
/// # Errors
/// [`Error::Data`] if the file cannot be read.
pub fn rows(path: &Path) -> Result<usize> {
    let file = File::open(path).map_err(|e| Error::no_input(path, e))?;
    ParquetReader::new(file)
        .num_rows()
        .map_err(|e| Error::Data(format!("{}: {e}; remove it or use `--replace`", path.display())))
}
