//! The log's files: patterns to paths, and what the Parquet footers say, without reading any data.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow_schema::{DataType, TimeUnit};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;

use super::batches::retyped;
use super::{Column, Source, pages, thrift};
use crate::config::LogSpec;
use crate::error::{Error, Result, nearest};

/// One Parquet file and its columns.
#[derive(Debug, Clone)]
pub(super) struct LogFile {
    pub path: PathBuf,
    /// As the user knows it: relative to the twin's folder.
    pub name: String,
    pub rows: usize,
    pub columns: Vec<FileColumn>,
    /// The footer. Dictionaries are how a writer stored a column, not what it holds: they are read as their values.
    pub meta: ArrowReaderMetadata,
}

#[derive(Debug, Clone)]
pub(super) struct FileColumn {
    pub name: String,
    pub kind: &'static str,
    /// Its Arrow type.
    pub data_type: DataType,
}

impl LogFile {
    pub fn find(&self, name: &str) -> Option<&FileColumn> {
        self.columns.iter().find(|c| c.name == name)
    }
}

/// The files that the patterns of `spec` match, sorted by name.
///
/// # Errors
/// [`Error::NoInput`] when there are none, with what the folder holds instead.
pub fn files(dir: &Path, spec: &LogSpec) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for pattern in spec.files.patterns() {
        let mut matched = Vec::new();
        expand(dir.to_path_buf(), &pattern.split('/').collect::<Vec<_>>(), &mut matched);
        if matched.is_empty() {
            return Err(Error::no_input(dir.join(pattern), no_match(dir, pattern)));
        }
        found.extend(matched);
    }
    found.sort();
    found.dedup();
    if found.is_empty() {
        return Err(Error::no_input(dir, "`log.files` is empty; write a pattern such as \"log/*.parquet\""));
    }
    Ok(found)
}

fn no_match(dir: &Path, pattern: &str) -> String {
    let fixed: PathBuf = pattern.split('/').take_while(|p| !p.contains(['*', '?'])).collect();
    let mut folder = dir.join(fixed);
    if !pattern.contains(['*', '?']) {
        folder.pop();
    }
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .map(|d| d.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    names.sort();
    if !folder.is_dir() {
        format!("no file matches `{pattern}`: there is no folder {}; correct `log.files`", folder.display())
    } else if names.is_empty() {
        format!("no file matches `{pattern}`: the folder is empty; put the Parquet files there or correct `log.files`")
    } else {
        let more = names.len().saturating_sub(5);
        names.truncate(5);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("no file matches `{pattern}`; the folder holds {}{more}; correct `log.files`", names.join(", "))
    }
}

/// Walks one pattern component down; `*` and `?` match within a folder's name list, hidden files only when named.
fn expand(base: PathBuf, parts: &[&str], out: &mut Vec<PathBuf>) {
    let Some((part, rest)) = parts.split_first() else {
        if base.is_file() {
            out.push(base);
        }
        return;
    };
    if !part.contains(['*', '?']) {
        // An empty first component is the root of an absolute pattern.
        expand(if part.is_empty() { PathBuf::from("/") } else { base.join(part) }, rest, out);
        return;
    }
    let Ok(entries) = std::fs::read_dir(&base) else { return };
    let pattern: Vec<char> = part.chars().collect();
    let mut names: Vec<_> = entries.flatten().map(|e| e.file_name()).collect();
    names.sort();
    for name in names {
        let text: Vec<char> = name.to_string_lossy().chars().collect();
        if matches(&pattern, &text) && (text.first() != Some(&'.') || pattern.first() == Some(&'.')) {
            expand(base.join(&name), rest, out);
        }
    }
}

/// Whether `text` matches `pattern` with `*` (any run) and `?` (any one); linear in both but for the last star.
fn matches(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((sp, st)) = star {
            p = sp + 1;
            t = st + 1;
            star = Some((sp, st + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Opens every file's footer.
pub(super) fn open(dir: &Path, spec: &LogSpec) -> Result<Vec<LogFile>> {
    files(dir, spec)?.iter().map(|path| footer(dir, path)).collect()
}

pub(super) fn footer(dir: &Path, path: &Path) -> Result<LogFile> {
    let name = path.strip_prefix(dir).unwrap_or(path).to_string_lossy().into_owned();
    let file = File::open(path).map_err(|e| Error::no_input(path, e))?;
    let bad = |reason: String| {
        let place = path.display();
        Error::Data(format!("{place}: it is not a readable Parquet file ({reason}); export it again, or remove it"))
    };
    if file.metadata().is_ok_and(|m| m.len() == 0) {
        return Err(bad("it is empty".into()));
    }
    if !footer_bytes(&file).is_none_or(|bytes| thrift::holds_what_it_claims(&bytes)) {
        return Err(bad("its footer is damaged".into()));
    }
    let load = |skip| ArrowReaderMetadata::load(&file, ArrowReaderOptions::new().with_skip_arrow_metadata(skip));
    // Some writers leave an Arrow schema that Arrow itself does not know; the Parquet schema is enough then.
    let meta = catch_unwind(AssertUnwindSafe(|| load(false).or_else(|_| load(true))))
        .unwrap_or_else(|_| Err(ParquetError::General("the Parquet reader gave up".into())))
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
        FileColumn { name: f.name().clone(), kind: kind(&data_type), data_type }
    });
    Ok(LogFile { path: path.to_path_buf(), name, rows, columns: columns.collect(), meta })
}

/// The footer's bytes; `None` where the file does not end in one that can be read, which the reader then tells.
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

/// What a column is to a user.
fn kind(t: &DataType) -> &'static str {
    use DataType as D;
    match t {
        D::Float16 | D::Float32 | D::Float64 | D::Decimal32(..) | D::Decimal64(..) => "float",
        D::Decimal128(..) | D::Decimal256(..) => "float",
        D::Int8 | D::Int16 | D::Int32 | D::Int64 | D::UInt8 | D::UInt16 | D::UInt32 | D::UInt64 => "integer",
        D::Utf8 | D::LargeUtf8 | D::Utf8View => "text",
        D::Timestamp(..) | D::Date32 | D::Date64 => "time",
        D::Boolean => "boolean",
        _ => "other",
    }
}

/// Whether a column can be read as numbers, and if not, why.
pub(super) fn numeric(column: &FileColumn) -> std::result::Result<(), &'static str> {
    match (column.kind, &column.data_type) {
        ("float" | "integer" | "boolean", _) | (_, DataType::Null) => Ok(()),
        ("text", _) => Err("it holds text; convert it to numbers in the export"),
        ("time", _) => Err("it holds times, not numbers; name another column"),
        _ => Err("it does not hold numbers; name another column"),
    }
}

/// `Timestamp` units to the second.
pub(super) fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// `; did you mean `x`?` or the list of what there is.
pub(super) fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(near) = nearest(name, known.clone()) {
        return format!("did you mean `{near}`?");
    }
    let mut names: Vec<&str> = known.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    let more = names.len().saturating_sub(12);
    names.truncate(12);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("there is {}{more}", names.join(", "))
}

/// Columns of all files of the log: the union, in the order of their first appearance. Reads footers only.
///
/// # Errors
/// [`Error::NoInput`] when no file matches; [`Error::Data`] when one is not Parquet.
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

/// Name, rows and hash of a file.
pub(super) fn source(file: &LogFile) -> Result<Source> {
    let mut reader = File::open(&file.path).map_err(|e| Error::no_input(&file.path, e))?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let n = reader.read(&mut buffer).map_err(|e| Error::no_input(&file.path, e))?;
        if n == 0 {
            break;
        }
        hasher.update(&buffer[..n]);
    }
    Ok(Source { file: file.name.clone(), rows: file.rows, hash: hasher.finalize().to_hex().to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_within_a_name() {
        let m = |p: &str, t: &str| matches(&p.chars().collect::<Vec<_>>(), &t.chars().collect::<Vec<_>>());
        assert!(m("*.parquet", "a.parquet") && m("log_*_?.parquet", "log_2024_1.parquet") && m("*", ""));
        assert!(!m("*.parquet", "a.csv") && !m("a?", "a") && m("a*b*c", "a__b__bc"));
    }

    #[test]
    fn suggestions_name_the_nearest_or_all() {
        assert_eq!(suggestion("outdor_temp", ["outdoor_temp", "x"]), "did you mean `outdoor_temp`?");
        assert_eq!(suggestion("pressure", ["b", "a"]), "there is a, b");
    }
}
