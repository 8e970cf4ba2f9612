//! Reads a file into a data frame. Columns of text files are not converted yet.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use polars::io::HiveOptions;
use polars::prelude::*;

use crate::dialect::{self, Dialect};
use crate::encoding::{self, Decoded, Encoding};
use crate::error::{Error, Result, list};
use crate::filter::Condition;
use crate::layout;
use crate::recipe::Source;
use crate::sources::SourceFile;
use crate::{limits, text, tokens, workbook};

/// Name of the column that contains the file name without its extension.
pub const FILE: &str = "file";
const MORE_FIELDS: &str = "has more fields than the header; correct the line, or name the delimiter with `--delimiter`";

/// The rows of one file.
pub struct FileFrame {
    pub name: String,
    pub frame: DataFrame,
    /// Format as shown to the user, e.g. ``CSV `;`, UTF-16 LE``.
    pub format: String,
    /// Remarks about the file, such as skipped lines.
    pub notes: Vec<String>,
    /// Delimiter of a CSV file.
    pub delimiter: Option<u8>,
    /// Columns whose values come from folder names.
    pub folders: Vec<String>,
    /// Units from a row below the header: pairs of a column and its unit.
    pub units: Vec<(String, String)>,
}

/// Whether the file can contain rows that satisfy `conditions`. Returns false if the folder or the name of the file
/// rules out all rows.
pub fn is_needed(file: &SourceFile, source: &Source, conditions: &[Condition]) -> bool {
    let keys = keys(file, source);
    conditions.iter().all(|c| keys.iter().find(|(key, _)| *key == c.column).is_none_or(|(_, value)| c.text(value)))
}

/// Reads a file of a source. Rows that do not satisfy `conditions` and columns that are not needed are left out.
///
/// # Errors
/// [`Error::NoInput`] or [`Error::Data`] with the name of the file.
pub fn read(file: &SourceFile, source: &Source, conditions: &[Condition], limit: u64) -> Result<FileFrame> {
    let keys = keys(file, source);
    // `is_needed` has already checked the conditions on folder names
    let conditions: Vec<&Condition> =
        conditions.iter().filter(|c| !keys.iter().any(|(key, _)| *key == c.column)).collect();
    let name = file.name.clone();
    limits::reading(Path::new(&name), file.length);
    let content = text::read(&file.path, &name, limit)?;
    let bad = |e: PolarsError| Error::Data(format!("{name}: {}", reason(&e)));
    let mut out = match () {
        () if content.bytes.starts_with(b"PAR1") => parquet(&name, content.bytes)?,
        () if content.bytes.starts_with(b"ARROW1") => ipc(content.bytes).map_err(bad)?,
        () => {
            let needs = (source, &keys[..], &conditions[..]);
            if workbook::is_workbook(&content.bytes) {
                sheets(&name, content.bytes, needs)?
            } else {
                text(&name, content.bytes, needs)?
            }
        }
    };
    let schema = out.lazy.collect_schema().map_err(bad)?;
    let names: Vec<String> = schema.iter_names().map(ToString::to_string).collect();
    let all: Vec<String> = names.iter().cloned().chain(keys.iter().map(|(key, _)| key.clone())).collect();
    for condition in &conditions {
        layout::require(&condition.column, &all, &format!("{name}: --where"))?;
    }
    let wanted = needed(&names, &all, source, &conditions)?;
    out.notes.extend(unused(&names, &wanted, &all, source)?);
    let mut lazy = out.lazy.select(wanted.iter().map(|n| col(n.as_str())).collect::<Vec<_>>());
    let mut later = Vec::new();
    for condition in conditions {
        match schema.get(&condition.column).and_then(|t| condition.pushed_down(t)) {
            Some(expression) => lazy = lazy.filter(expression),
            None => later.push(condition),
        }
    }
    let mut frame = lazy.collect().map_err(bad)?;
    for condition in later {
        let rows: BooleanChunked = condition.rows(&frame).map_err(bad)?.into_iter().collect();
        frame = frame.filter(&rows).map_err(bad)?;
    }
    let mut frame = simple(frame, &mut out.notes).map_err(bad)?;
    for (key, value) in &keys {
        if frame.column(key).is_err() {
            let column = StringChunked::full(key.as_str().into(), value, frame.height());
            frame.with_column(column.into_series().into()).map_err(bad)?;
        }
    }
    let format = match content.compression {
        Some(compression) => format!("{}, {compression}", out.format),
        None => out.format,
    };
    limits::done();
    let folders = keys.iter().map(|(key, _)| key.clone()).collect();
    Ok(FileFrame { folders, name, frame, format, notes: out.notes, delimiter: out.delimiter, units: out.units })
}

/// Columns whose values come from folder names or, with `--long file,…`, from the file name.
fn keys(file: &SourceFile, source: &Source) -> Vec<(String, String)> {
    let mut keys = file.folders.clone();
    if source.long.first().is_some_and(|tag| tag == FILE) {
        let name = file.name.rsplit('/').next().unwrap_or("");
        let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(name);
        keys.push((FILE.into(), name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned()));
    }
    keys
}

/// A file that has been opened but not read.
struct Opened {
    lazy: LazyFrame,
    format: String,
    notes: Vec<String>,
    delimiter: Option<u8>,
    units: Vec<(String, String)>,
}

impl Opened {
    fn new(lazy: LazyFrame, format: impl Into<String>) -> Self {
        Self { lazy, format: format.into(), notes: Vec::new(), delimiter: None, units: Vec::new() }
    }
}

fn buffer(bytes: Vec<u8>) -> ScanSources {
    ScanSources::Buffers(Arc::new([bytes.into()]))
}

fn parquet(name: &str, mut bytes: Vec<u8>) -> Result<Opened> {
    let bad =
        |what: &str| Error::Data(format!("{name}: this is not a readable Parquet file ({what}); export it again"));
    let end = bytes.len();
    if end < 12 || &bytes[end - 4..] != b"PAR1" {
        return Err(bad("it is incomplete"));
    }
    let length = [bytes[end - 8], bytes[end - 7], bytes[end - 6], bytes[end - 5]];
    let footer = u32::from_le_bytes(length) as usize;
    if footer == 0 || footer > end - 12 {
        return Err(bad("the length of the footer is wrong"));
    }
    // The footer may contain an Arrow schema, which polars cannot read if a time zone is an offset such as `+05:30`.
    // The Parquet types are sufficient, so the key of the Arrow schema is changed to make polars ignore the schema.
    const KEY: &[u8] = b"ARROW:schema";
    let start = end - 8 - footer;
    if let Some(at) = bytes[start..end].windows(KEY.len()).position(|w| w == KEY) {
        bytes[start + at] = b'-';
    }
    // the names of folders are read in `sources`
    let arguments = ScanArgsParquet { hive_options: HiveOptions::new_disabled(), ..ScanArgsParquet::default() };
    let lazy = LazyFrame::scan_parquet_sources(buffer(bytes), arguments);
    Ok(Opened::new(lazy.map_err(|e| bad(&reason(&e)))?, "Parquet"))
}

fn ipc(bytes: Vec<u8>) -> PolarsResult<Opened> {
    let arguments = UnifiedScanArgs { hive_options: HiveOptions::new_disabled(), ..UnifiedScanArgs::default() };
    let lazy = LazyFrame::scan_ipc_sources(buffer(bytes), IpcScanOptions::default(), arguments)?;
    Ok(Opened::new(lazy, "Arrow IPC"))
}

fn is_json(name: &str, text: &str) -> bool {
    let first = text.bytes().find(|b| !b.is_ascii_whitespace());
    let name = name.to_lowercase();
    first == Some(b'{') || ([".json", "jsonl"].iter().any(|e| name.contains(e)) && first == Some(b'['))
}

fn ndjson(text: String) -> PolarsResult<Opened> {
    polars_ensure!(
        !text.trim_start().starts_with('['),
        ComputeError: "the file is one JSON array; write one object per line (NDJSON)"
    );
    let lazy =
        LazyJsonLineReader::new_with_sources(buffer(text.into_bytes())).with_infer_schema_length(None).finish()?;
    Ok(Opened::new(lazy, "NDJSON"))
}

/// The settings of the source, the folder names and the conditions determine which columns are read.
type Needs<'a> = (&'a Source, &'a [(String, String)], &'a [&'a Condition]);

/// Opens the sheets of a workbook.
fn sheets(name: &str, bytes: Vec<u8>, needs: Needs) -> Result<Opened> {
    let book = workbook::read(name, bytes, needs.0.sheet.as_deref())?;
    let quoted = |names: &[String]| list(&names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>(), 5);
    let word = if book.sheets.len() == 1 { "sheet" } else { "sheets" };
    let format = format!("workbook, {word} {}", quoted(&book.sheets));
    let mut out = csv(name, book.text, Some(workbook::DELIMITER), |_| format, needs)?;
    if !book.others.is_empty() {
        out.notes.push(format!("sheets that were not read (`--sheet`): {}", quoted(&book.others)));
    }
    Ok(out)
}

/// Opens a file with CSV or NDJSON text.
fn text(name: &str, bytes: Vec<u8>, needs: Needs) -> Result<Opened> {
    let source = needs.0;
    let given = source.encoding.as_deref().map(Encoding::parse).transpose()?;
    let Decoded { text, encoding, guessed } = encoding::decode(bytes, given);
    if is_json(name, &text) {
        return ndjson(text).map_err(|e| Error::Data(format!("{name}: {}", reason(&e))));
    }
    let delimiter = source.delimiter.as_deref().and_then(|d| if d == "tab" { Some(b'\t') } else { d.bytes().next() });
    let format = |dialect: &Dialect| format!("CSV {}, {encoding}", dialect.delimiter_name());
    let mut out = csv(name, text, delimiter, format, needs)?;
    if guessed {
        out.notes.push(format!(
            "the encoding {encoding} was guessed from the characters; if names are unreadable, add `--encoding`"
        ));
    }
    Ok(out)
}

/// Opens CSV text. `format` describes the format of the file.
fn csv(
    name: &str,
    text: String,
    delimiter: Option<u8>,
    format: impl FnOnce(&Dialect) -> String,
    (source, keys, conditions): Needs,
) -> Result<Opened> {
    let bad = |what: &str| Error::Data(format!("{name}: {what}"));
    if text.bytes().take(1 << 16).any(|b| b == 0) {
        return Err(bad("the file is not text"));
    }
    let start: String = text.trim_start().chars().take(64).collect::<String>().to_lowercase();
    if ["<table", "<html", "<!doctype html", "<?xml"].iter().any(|tag| start.starts_with(tag)) {
        return Err(bad(
            "this is a web page or an XML file, whatever its extension; open it in a spreadsheet, and save it as .xlsx",
        ));
    }
    let dialect = dialect::detect(&text, delimiter).map_err(|e| bad(&e))?;
    let mut format = format(&dialect);
    if !dialect.header {
        format += ", no header";
    }
    let mut notes = Vec::new();
    if dialect.skipped > 0 {
        notes.push(format!("skipped: {} before the data", crate::error::plural(dialect.skipped, "line", "lines")));
    }
    if !dialect.repeated.is_empty() {
        notes.push(format!("columns with duplicate names: {}", list(&dialect.repeated, 5)));
    }
    let units =
        dialect.names.iter().cloned().zip(dialect.units.iter().map(|u| trimmed(u))).filter(|(_, u)| !u.is_empty());
    let units: Vec<(String, String)> = units.collect();
    if !units.is_empty() {
        notes.push("a row with units below the header".into());
    }
    let lazy = if tokens::has_quotes(&text) {
        let mut bytes = text.into_bytes();
        bytes.drain(..dialect.start);
        scan_csv(bytes, &dialect).map_err(|e| bad(&reason(&e)))?
    } else {
        let all: Vec<String> = dialect.names.iter().chain(keys.iter().map(|(key, _)| key)).cloned().collect();
        let wanted = needed(&dialect.names, &all, source, conditions)?;
        notes.extend(unused(&dialect.names, &wanted, &all, source)?);
        let columns = tokens::columns(&text[dialect.start..], dialect.delimiter, &dialect.names, &wanted);
        let columns = columns.map_err(|line| {
            let line = line + text[..dialect.start].bytes().filter(|b| *b == b'\n').count();
            bad(&format!("line {line} {MORE_FIELDS}"))
        })?;
        let height = columns.first().map_or(0, Column::len);
        DataFrame::new(height, columns).map_err(|e| bad(&reason(&e)))?.lazy()
    };
    Ok(Opened { lazy, format, notes, delimiter: Some(dialect.delimiter), units })
}

/// Removes the brackets around a unit.
fn trimmed(unit: &str) -> String {
    unit.trim_matches(['[', ']', '(', ')', ' ']).to_owned()
}

fn scan_csv(bytes: Vec<u8>, dialect: &Dialect) -> PolarsResult<LazyFrame> {
    let schema: Schema = dialect.names.iter().map(|n| Field::new(n.as_str().into(), DataType::String)).collect();
    LazyCsvReader::new_with_sources(buffer(bytes))
        .with_has_header(false)
        .with_separator(dialect.delimiter)
        .with_schema(Some(Arc::new(schema)))
        .with_infer_schema_length(Some(0))
        .finish()
}

/// The columns in `names` that have to be read. `all` also contains the columns that come from folder names.
fn needed(names: &[String], all: &[String], source: &Source, conditions: &[&Condition]) -> Result<Vec<String>> {
    let mut wanted: BTreeSet<&str> = BTreeSet::new();
    let time = source.time.as_deref().unwrap_or("");
    if let Some(long) = layout::long(all, source)? {
        let is_time = |name: &str| match time {
            "" => layout::time_rank(name).is_some() || layout::is_hour(name),
            _ => true,
        };
        if !names.iter().any(|n| is_time(n)) {
            return Ok(names.to_vec());
        }
        wanted.extend(names.iter().map(String::as_str).filter(|n| is_time(n)));
        wanted.extend([long.tag.as_str(), long.value.as_str()]);
        wanted.extend(long.quality.as_deref());
        wanted.extend(long.unit.as_deref());
        wanted.extend(conditions.iter().map(|c| c.column.as_str()));
        return Ok(names.iter().filter(|n| wanted.contains(n.as_str())).cloned().collect());
    }
    if source.select.is_empty() || time.is_empty() {
        return Ok(names.to_vec());
    }
    let parts: Vec<&str> = time.split('+').collect();
    let used = |n: &&String| {
        time == **n
            || parts.contains(&n.as_str())
            || source.select.contains(n)
            || conditions.iter().any(|c| c.column == **n)
    };
    Ok(names.iter().filter(used).cloned().collect())
}

/// A note on the columns of a long export that are not read, one of which may contain the quality of the samples.
fn unused(names: &[String], wanted: &[String], all: &[String], source: &Source) -> Result<Option<String>> {
    let Some(long) = layout::long(all, source)? else { return Ok(None) };
    let unused: Vec<String> = names.iter().filter(|n| !wanted.contains(n)).map(|n| format!("`{n}`")).collect();
    let help = match long.quality {
        Some(_) => "",
        None => "; if one of them contains the quality of the samples, add `--long TAG,VALUE,QUALITY`",
    };
    let verb = if unused.len() == 1 { "column is" } else { "columns are" };
    Ok((!unused.is_empty()).then(|| format!("{} {verb} not used: {}{help}", unused.len(), list(&unused, 8))))
}

/// Converts categories to text and decimals to numbers, and leaves out columns that cannot be signals.
fn simple(frame: DataFrame, notes: &mut Vec<String>) -> PolarsResult<DataFrame> {
    let height = frame.height();
    let mut columns = Vec::new();
    for column in frame.into_columns() {
        let (name, data_type) = (column.name().clone(), column.dtype().clone());
        let kept = match column.dtype() {
            DataType::String | DataType::Boolean | DataType::Date | DataType::Datetime(..) => Some(column),
            DataType::Decimal(..) => Some(column.cast(&DataType::Float64)?),
            DataType::Null => Some(column.cast(&DataType::String)?),
            t if t.is_primitive_numeric() => Some(column),
            DataType::Categorical(..) | DataType::Enum(..) => Some(column.cast(&DataType::String)?),
            _ => None,
        };
        match kept {
            Some(column) => columns.push(column),
            None => notes.push(format!("column `{name}` left out, because it has the type {data_type}")),
        }
    }
    DataFrame::new(height, columns)
}

/// The reason for an error, on one line and without advice about polars functions.
fn reason(error: &PolarsError) -> String {
    let text = error.to_string();
    if text.contains("found more fields than defined in 'Schema'") {
        return format!("a line {MORE_FIELDS}");
    }
    let first = text.lines().find(|l| !l.trim().is_empty()).unwrap_or("unknown error");
    first.trim().to_owned()
}
