//! Reads the sheets of a spreadsheet workbook as CSV text.

use std::fmt::Write as _;
use std::io::Cursor;

use calamine::{Data, ExcelDateTime, Range, Reader, SheetType, SheetVisible, Sheets, open_workbook_auto_from_rs};
use glob::Pattern;
use jiff::civil::{Date, DateTime};
use jiff::{SpanRelativeTo, Unit};

use crate::error::{Error, Result, list, plural};

/// Extensions of workbooks.
pub const ENDINGS: [&str; 5] = ["xlsx", "xlsm", "xlsb", "xls", "ods"];
/// The delimiter of the text that is made from a sheet.
pub const DELIMITER: u8 = b'\t';
/// Sheets with fewer rows than this fraction of the longest sheet are not read by default (not tuned).
const MIN_SHARE: f64 = 0.1;
/// Maximum distance of a time from a full second that is corrected, in ms. Spreadsheets store times as binary
/// fractions of a day, so that sums of steps differ slightly from full seconds.
const ROUNDING_MS: i64 = 20;

/// Whether the content is that of a workbook: a ZIP archive or an OLE file.
pub fn is_workbook(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(&[0xd0, 0xcf, 0x11, 0xe0])
}

/// The text of a workbook, with the delimiter [`DELIMITER`].
pub struct Text {
    pub text: String,
    /// Names of the sheets that were read.
    pub sheets: Vec<String>,
    /// Names of the other sheets that contain values.
    pub others: Vec<String>,
}

/// Reads the sheets of a workbook. Without the pattern `wanted`, these are the longest sheet and all sheets with the
/// same header. Several sheets are appended to each other.
///
/// # Errors
/// [`Error::Data`] if the file is damaged; [`Error::Usage`] if it is not clear which sheet is to be read.
pub fn read(name: &str, bytes: Vec<u8>, wanted: Option<&str>) -> Result<Text> {
    let damaged = |e: calamine::Error| {
        Error::Data(format!("{name}: this is not a readable workbook ({e}); save the sheet again, or save it as CSV"))
    };
    let mut book = open_workbook_auto_from_rs(Cursor::new(bytes)).map_err(damaged)?;
    let sheets = with_values(&mut book).map_err(damaged)?;
    if sheets.is_empty() {
        return Err(Error::Data(format!("{name}: no visible sheet of the workbook contains values")));
    }
    let names = || list(&sheets.iter().map(|s| format!("`{}`", s.name)).collect::<Vec<_>>(), 8);
    let pattern = wanted.map(Pattern::new).transpose();
    let pattern = pattern.map_err(|e| Error::Usage(format!("--sheet is not a valid pattern: {e}")))?;
    let chosen: Vec<&Sheet> = match &pattern {
        Some(pattern) => sheets.iter().filter(|s| wanted == Some(&s.name) || pattern.matches(&s.name)).collect(),
        None => {
            let longest = sheets.iter().map(|s| s.range.height()).max().unwrap_or(0);
            sheets.iter().filter(|s| s.range.height() as f64 >= MIN_SHARE * longest as f64).collect()
        }
    };
    let Some(first) = chosen.first() else {
        return Err(Error::Usage(format!(
            "{name}: --sheet: no sheet is named `{}`; the sheets with values are {}",
            wanted.unwrap_or_default(),
            names()
        )));
    };
    if let Some(other) = chosen.iter().find(|s| s.header() != first.header()) {
        let rows = |s: &Sheet| format!("`{}` with {}", s.name, plural(s.range.height(), "row", "rows"));
        return Err(Error::Usage(format!(
            "{name}: the first rows of the sheets differ, for example of {} and {}; choose one with `--sheet '{}'` (the \
             sheets with values are {})",
            rows(first),
            rows(other),
            first.name,
            names()
        )));
    }
    let mut text = String::new();
    for (i, sheet) in chosen.iter().enumerate() {
        sheet.write(&mut text, i > 0);
    }
    let read: Vec<String> = chosen.iter().map(|s| s.name.clone()).collect();
    let others = sheets.iter().map(|s| s.name.clone()).filter(|name| !read.contains(name)).collect();
    Ok(Text { text, sheets: read, others })
}

/// A sheet that contains values.
struct Sheet {
    name: String,
    range: Range<Data>,
}

/// The visible sheets that contain at least two rows.
fn with_values(book: &mut Sheets<Cursor<Vec<u8>>>) -> std::result::Result<Vec<Sheet>, calamine::Error> {
    let visible = |s: &&calamine::Sheet| s.typ == SheetType::WorkSheet && s.visible == SheetVisible::Visible;
    let names: Vec<String> = book.sheets_metadata().iter().filter(visible).map(|s| s.name.clone()).collect();
    let mut out = Vec::new();
    for name in names {
        let range = book.worksheet_range(&name)?;
        if range.height() > 1 {
            out.push(Sheet { name, range });
        }
    }
    Ok(out)
}

impl Sheet {
    /// The texts of the first row.
    fn header(&self) -> Vec<String> {
        self.range.rows().next().map_or_else(Vec::new, |row| row.iter().map(ToString::to_string).collect())
    }

    /// Appends the rows to `out`.
    fn write(&self, out: &mut String, without_header: bool) {
        let width = self.range.width();
        let formats: Vec<TimeFormat> =
            (0..width).map(|c| TimeFormat::of(self.range.rows().map(|row| &row[c]))).collect();
        for row in self.range.rows().skip(usize::from(without_header)) {
            for (c, (cell, format)) in row.iter().zip(&formats).enumerate() {
                if c > 0 {
                    out.push(char::from(DELIMITER));
                }
                write_cell(cell, *format, out);
            }
            out.push('\n');
        }
    }
}

fn write_cell(cell: &Data, format: TimeFormat, out: &mut String) {
    match cell {
        Data::Empty => {}
        Data::Int(value) => drop(write!(out, "{value}")),
        Data::Float(value) => drop(write!(out, "{value}")),
        Data::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Data::DateTime(time) => match format.text(time) {
            Some(text) => out.push_str(&text),
            None => drop(write!(out, "{}", time.as_f64())),
        },
        Data::DateTimeIso(text) => out.push_str(text),
        Data::DurationIso(text) => match clock_of_duration(text) {
            Some(clock) => out.push_str(&clock),
            None => out.push_str(text),
        },
        Data::Error(error) => drop(write!(out, "{error}")),
        Data::String(text) => {
            // a line break inside a name, such as in `Temp` above `[°C]`, is a space
            let text = text.split(['\t', '\n', '\r']).map(str::trim).filter(|t| !t.is_empty());
            let text = text.collect::<Vec<_>>().join(" ");
            if text.contains('"') {
                let _ = write!(out, "\"{}\"", text.replace('"', "\"\""));
            } else {
                out.push_str(&text);
            }
        }
    }
}

/// How the times in a column are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TimeFormat {
    Date,
    DateTime,
    /// Times of day and durations, as fractions of a day.
    Clock,
}

impl TimeFormat {
    fn of<'a>(cells: impl Iterator<Item = &'a Data>) -> Self {
        let (mut days, mut clocks) = (true, true);
        for cell in cells {
            if let Data::DateTime(time) = cell {
                let value = time.as_f64();
                days &= value.fract() == 0.0 && !time.is_duration();
                clocks &= (0.0..=1.0).contains(&value) || time.is_duration();
            }
        }
        match (clocks, days) {
            (true, _) => Self::Clock,
            (false, true) => Self::Date,
            (false, false) => Self::DateTime,
        }
    }

    fn text(self, time: &ExcelDateTime) -> Option<String> {
        if self == Self::Clock {
            let seconds = (time.as_f64() * 86_400.0).round();
            return (0.0..=1e9).contains(&seconds).then(|| clock(seconds as u64));
        }
        let (year, month, day, hour, minute, second, ms) = time.to_ymd_hms_milli();
        let part = |v: u8| i8::try_from(v).ok();
        let date = Date::new(i16::try_from(year).ok()?, part(month)?, part(day)?).ok()?;
        let exact = date.to_datetime(
            jiff::civil::Time::new(part(hour)?, part(minute)?, part(second)?, i32::from(ms) * 1_000_000).ok()?,
        );
        let time = full_second(exact)?;
        Some(if self == Self::Date { time.date().to_string() } else { time.to_string().replace('T', " ") })
    }
}

/// The nearest full second, if it is close.
fn full_second(exact: DateTime) -> Option<DateTime> {
    let near = exact.round(Unit::Second).ok()?;
    let distance = (near - exact).total((Unit::Millisecond, SpanRelativeTo::days_are_24_hours())).ok()?;
    Some(if distance.abs() <= ROUNDING_MS as f64 { near } else { exact })
}

fn clock(seconds: u64) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// The time of day of a duration such as `PT14H30M00S`.
fn clock_of_duration(text: &str) -> Option<String> {
    let span: jiff::Span = text.parse().ok()?;
    let seconds = span.total((Unit::Second, SpanRelativeTo::days_are_24_hours())).ok()?;
    (0.0..=1e9).contains(&seconds).then(|| clock(seconds.round() as u64))
}
