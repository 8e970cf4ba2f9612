//! Reads the footers of the log files, which describe the rows and columns of each file. No data are read.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::{DataType, Schema};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;

use super::files::{files, not_a_file};
use super::limits::check_footer;
use super::pages;
use super::quality::SourceFile;
use crate::caught::catch;
use crate::config::LogSpec;
use crate::error::{Error, Result};

/// The kind of a column, as shown to the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    Float,
    Integer,
    Text,
    Time,
    Boolean,
    Other,
}

impl ColumnKind {
    fn new(t: &DataType) -> Self {
        use DataType as D;
        match t {
            D::Float16 | D::Float32 | D::Float64 | D::Decimal32(..) | D::Decimal64(..) => Self::Float,
            D::Decimal128(..) | D::Decimal256(..) => Self::Float,
            D::Int8 | D::Int16 | D::Int32 | D::Int64 | D::UInt8 | D::UInt16 | D::UInt32 | D::UInt64 => Self::Integer,
            D::Utf8 | D::LargeUtf8 | D::Utf8View => Self::Text,
            D::Timestamp(..) | D::Date32 | D::Date64 => Self::Time,
            D::Boolean => Self::Boolean,
            _ => Self::Other,
        }
    }
}

/// A column of a log, as used by `check` and `init`.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub name: String,
    pub kind: ColumnKind,
}

/// One Parquet file and its columns.
#[derive(Debug, Clone)]
pub(super) struct LogFile {
    pub path: PathBuf,
    /// Path relative to the folder of the twin.
    pub name: String,
    pub rows: usize,
    pub columns: Vec<FileColumn>,
    /// The footer, in which dictionary-encoded columns have the type of their values.
    pub meta: ArrowReaderMetadata,
}

/// A column of one file.
#[derive(Debug, Clone)]
pub(super) struct FileColumn {
    pub name: String,
    pub kind: ColumnKind,
    /// Arrow type.
    pub data_type: DataType,
}

impl LogFile {
    /// Reads the footer of the file at `path`.
    ///
    /// # Errors
    /// [`Error::NoInput`] if the file cannot be opened, and [`Error::Data`] if it is not a readable Parquet file.
    pub fn open(dir: &Path, path: &Path) -> Result<Self> {
        let name = path.strip_prefix(dir).unwrap_or(path).to_string_lossy().into_owned();
        // opening a pipe would wait until another process writes to it
        if !path.metadata().map_err(|e| Error::no_input(path, e))?.is_file() {
            return Err(not_a_file(path));
        }
        let file = File::open(path).map_err(|e| Error::no_input(path, e))?;
        let bad = |reason: String| {
            // a system error, such as a disk error, does not mean that the content of the file is damaged
            if reason.contains("(os error ") {
                return Error::no_input(path, reason);
            }
            let place = path.display();
            Error::Data(format!(
                "{place}: this is not a readable Parquet file ({reason}); export it again, or remove it"
            ))
        };
        let length = file.metadata().map_err(|e| Error::no_input(path, e))?.len();
        if length == 0 {
            return Err(bad("it is empty".into()));
        }
        if let Some(bytes) = footer_bytes(&file) {
            check_footer(&bytes, length).map_err(bad)?;
        }
        let load = |skip| ArrowReaderMetadata::load(&file, ArrowReaderOptions::new().with_skip_arrow_metadata(skip));
        // Some writers embed an Arrow schema that the Arrow library does not support. A file with an unsupported Arrow
        // schema is read using only its Parquet schema.
        let meta = catch(|| load(false).or_else(|_| load(true)))
            .unwrap_or_else(|| Err(ParquetError::General("the Parquet reader panicked".into())))
            .map_err(|e| bad(e.to_string()))?;
        let groups: Vec<usize> = (0..meta.metadata().num_row_groups()).collect();
        let rows = pages::rows(meta.metadata(), &groups);
        let value_type = |t: &DataType| match t {
            DataType::Dictionary(_, value) => value.as_ref().clone(),
            other => other.clone(),
        };
        let dictionaries = meta.schema().fields().iter().any(|f| matches!(f.data_type(), DataType::Dictionary(..)));
        let meta = if dictionaries { retyped(&meta, |_, t| value_type(t)) } else { meta };
        let fields = meta.schema().fields().iter();
        let columns = fields.map(|f| {
            let data_type = value_type(f.data_type());
            FileColumn { name: f.name().clone(), kind: ColumnKind::new(&data_type), data_type }
        });
        Ok(Self { path: path.to_path_buf(), name, rows, columns: columns.collect(), meta })
    }

    pub fn find(&self, name: &str) -> Option<&FileColumn> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// Returns the name, the number of rows and the hash of the file.
    ///
    /// # Errors
    /// [`Error::NoInput`] if the file cannot be read.
    pub fn source(&self) -> Result<SourceFile> {
        let mut reader = File::open(&self.path).map_err(|e| Error::no_input(&self.path, e))?;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; 1 << 18];
        loop {
            let n = reader.read(&mut buffer).map_err(|e| Error::no_input(&self.path, e))?;
            if n == 0 {
                break;
            }
            hasher.update(&buffer[..n]);
        }
        Ok(SourceFile { file: self.name.clone(), rows: self.rows, hash: hasher.finalize().to_hex().to_string() })
    }
}

impl FileColumn {
    /// Checks that the column can be read as numbers, which may be written as text. The error contains advice for the
    /// user.
    pub fn require_numeric(&self) -> std::result::Result<(), &'static str> {
        match (self.kind, &self.data_type) {
            (ColumnKind::Float | ColumnKind::Integer | ColumnKind::Boolean | ColumnKind::Text, _)
            | (_, DataType::Null) => Ok(()),
            (ColumnKind::Time, _) => Err("it contains times, not numbers; choose another column"),
            _ => Err("it does not contain numbers; choose another column"),
        }
    }
}

/// Reads the footers of all log files.
pub(super) fn open(dir: &Path, spec: &LogSpec) -> Result<Vec<LogFile>> {
    files(dir, spec)?.iter().map(|path| LogFile::open(dir, path)).collect()
}

/// Returns the columns of all log files, in order of first appearance. Only the footers of the files are read.
///
/// # Errors
/// [`Error::NoInput`] if no file matches, and [`Error::Data`] if a matching file is not a Parquet file.
pub fn columns(dir: &Path, spec: &LogSpec) -> Result<Vec<Column>> {
    let mut out: Vec<Column> = Vec::new();
    for file in open(dir, spec)? {
        for c in file.columns {
            if !out.iter().any(|o| o.name == c.name) {
                out.push(Column { name: c.name, kind: c.kind });
            }
        }
    }
    Ok(out)
}

/// Returns the bytes of the footer, or `None` if the file has no readable trailer, in which case the Parquet reader
/// reports the fault.
fn footer_bytes(mut file: &File) -> Option<Vec<u8>> {
    let end = file.seek(SeekFrom::End(-8)).ok()?;
    let mut tail = [0; 8];
    file.read_exact(&mut tail).ok()?;
    let length = u64::from(u32::from_le_bytes(*tail.first_chunk()?));
    if !tail.ends_with(b"PAR1") || length > end {
        return None;
    }
    file.seek(SeekFrom::Start(end - length)).ok()?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Returns the footer with the column types given by `hint`, or an unchanged copy if the reader cannot convert to these
/// types.
pub(super) fn retyped(meta: &ArrowReaderMetadata, hint: impl Fn(usize, &DataType) -> DataType) -> ArrowReaderMetadata {
    let schema = meta.schema();
    let fields = schema.fields().iter().enumerate();
    let fields = fields.map(|(at, f)| f.as_ref().clone().with_data_type(hint(at, f.data_type())));
    let hinted = Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone());
    let options = ArrowReaderOptions::new().with_schema(Arc::new(hinted));
    ArrowReaderMetadata::try_new(Arc::clone(meta.metadata()), options).unwrap_or_else(|_| meta.clone())
}
