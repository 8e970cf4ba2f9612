//! Reads the columns of one file batch by batch. Only the selected columns are read, and at most two batches are held
//! in memory.

use std::fs::File;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReader};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use rayon::prelude::*;

use super::footer::{ColumnKind, LogFile, retyped};
use super::pages::{Chunks, rows};
use crate::caught::catch;
use crate::error::{Error, Result};

/// Rows per batch, chosen so that one column of a batch fits into the L2 cache (not tuned).
const BATCH_ROWS: usize = 65_536;

/// How a column is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decoding {
    /// According to its type.
    Plain,
    /// Text is decoded as a dictionary, so that [`codes`](super::cast::codes) processes each dictionary value only
    /// once.
    Codes,
}

/// Reads the selected columns of one file in parallel.
pub(super) struct Batches<'a> {
    file: &'a LogFile,
    meta: ArrowReaderMetadata,
    /// Indices of the selected columns in the file.
    columns: Vec<usize>,
    /// Sets of row groups that have not been read yet, in reverse order: the set at the end of the list is read next.
    pending: Vec<Vec<usize>>,
    readers: Vec<ParquetRecordBatchReader>,
    /// Number of unread rows in the current row groups.
    rows_left: usize,
}

impl<'a> Batches<'a> {
    /// Creates a reader for some columns of `file`. `select` contains the name and the decoding of each column to read.
    pub fn new(file: &'a LogFile, select: &[(&str, Decoding)]) -> Result<Self> {
        let index = |name: &str| {
            let at = file.columns.iter().position(|c| c.name == name);
            at.ok_or_else(|| {
                let cause = format!("{} has no column `{name}`, which another file of the log has", file.name);
                Error::Data(format!("{cause}; use a folder for each plant, or combine the files with `twinopt import`"))
            })
        };
        let columns = select.iter().map(|(name, _)| index(name)).collect::<Result<Vec<_>>>()?;
        let coded = columns
            .iter()
            .zip(select)
            .filter(|(c, s)| s.1 == Decoding::Codes && file.columns[**c].kind == ColumnKind::Text);
        let coded: Vec<usize> = coded.map(|(c, _)| *c).collect();
        let groups = 0..file.meta.metadata().num_row_groups();
        // Each row group has its own dictionary, so row groups are read one at a time if a column is decoded as a
        // dictionary.
        let pending = if coded.is_empty() { vec![groups.collect()] } else { groups.rev().map(|g| vec![g]).collect() };
        let meta = with_dictionaries(&file.meta, &coded);
        Ok(Self { file, meta, columns, pending, readers: Vec::new(), rows_left: 0 })
    }

    /// Returns the next rows as one array per column, or `None` at the end of the file.
    ///
    /// # Errors
    /// [`Error::Data`] if the file is damaged.
    pub fn next(&mut self) -> Result<Option<Vec<ArrayRef>>> {
        loop {
            if self.readers.is_empty() {
                let Some(groups) = self.pending.pop() else { return Ok(None) };
                self.rows_left = rows(self.meta.metadata(), &groups);
                self.readers = self.columns.iter().map(|c| self.open(*c, &groups)).collect::<Result<_>>()?;
            }
            let file = self.file;
            let read: Vec<Result<Option<ArrayRef>>> = self.readers.par_iter_mut().map(|r| decode(file, r)).collect();
            let read: Vec<Option<ArrayRef>> = read.into_iter().collect::<Result<_>>()?;
            let height = read.first().and_then(|a| a.as_ref()).map_or(0, |a| a.len());
            if height > self.rows_left || read.iter().any(|a| a.as_ref().map_or(0, |a| a.len()) != height) {
                return Err(damaged(file, "the columns of the file do not have the same number of rows"));
            }
            self.rows_left -= height;
            if height > 0 {
                return Ok(Some(read.into_iter().flatten().collect()));
            }
            if self.rows_left > 0 {
                return Err(damaged(file, "the file contains fewer rows than its footer states"));
            }
            self.readers.clear();
        }
    }

    /// Opens a reader for one column.
    fn open(&self, column: usize, groups: &[usize]) -> Result<ParquetRecordBatchReader> {
        let path = &self.file.path;
        let file = Arc::new(File::open(path).map_err(|e| Error::no_input(path, e))?);
        let chunks = Chunks { file, meta: Arc::clone(self.meta.metadata()), groups: groups.to_vec() };
        catch_panics(self.file, || {
            let mask = ProjectionMask::roots(self.meta.parquet_schema(), [column]);
            let levels =
                parquet_to_arrow_field_levels(self.meta.parquet_schema(), mask, Some(self.meta.schema().fields()))?;
            ParquetRecordBatchReader::try_new_with_row_groups(&levels, &chunks, BATCH_ROWS, None)
        })
    }
}

/// Passes the batches of a file to `take` in order, and decodes the next batch while `take` runs.
pub(super) fn each_batch(
    file: &LogFile,
    select: &[(&str, Decoding)],
    mut take: impl FnMut(&[ArrayRef]) -> Result<()> + Send,
) -> Result<()> {
    let mut batches = Batches::new(file, select)?;
    let mut now = batches.next()?;
    while let Some(columns) = now {
        let (taken, next) = rayon::join(|| take(&columns), || batches.next());
        taken?;
        now = next?;
    }
    Ok(())
}

/// Returns the footer with dictionary types for the text columns in `coded`, or an unchanged copy if the reader does
/// not support dictionaries for those columns.
fn with_dictionaries(meta: &ArrowReaderMetadata, coded: &[usize]) -> ArrowReaderMetadata {
    if coded.is_empty() {
        return meta.clone();
    }
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    retyped(meta, |at, own| if coded.contains(&at) { dictionary.clone() } else { own.clone() })
}

fn decode(file: &LogFile, reader: &mut ParquetRecordBatchReader) -> Result<Option<ArrayRef>> {
    let batch = catch_panics(file, || reader.next().transpose())?;
    Ok(batch.and_then(|b| b.columns().first().map(Arc::clone)))
}

/// Converts a panic in the decoder, which a damaged page can cause, into an error.
fn catch_panics<T, E: std::fmt::Display>(
    file: &LogFile,
    decode: impl FnOnce() -> std::result::Result<T, E>,
) -> Result<T> {
    match catch(decode) {
        Some(Ok(v)) => Ok(v),
        Some(Err(e)) => Err(damaged(file, &e.to_string())),
        None => Err(damaged(file, "the Parquet reader panicked")),
    }
}

fn damaged(file: &LogFile, reason: &str) -> Error {
    let reason = reason.lines().next().unwrap_or(reason);
    // a system error, such as a disk error, does not mean that the content of the file is damaged
    if reason.contains("(os error ") {
        return Error::no_input(&file.path, reason);
    }
    Error::Data(format!("{}: {reason}; the file seems to be damaged; export it again", file.path.display()))
}
