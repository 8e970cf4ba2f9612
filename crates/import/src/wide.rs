//! Reads an export with one column per signal.

use std::collections::HashMap;
use std::sync::Arc;

use polars::prelude::*;

use crate::choices::Choices;
use crate::error::{Error, Result, list, plural};
use crate::frame::{FILE, FileFrame};
use crate::layout;
use crate::merge::{Duplicates, Keep, Runs, Values};
use crate::number::{self, Decimal, Signs};
use crate::recipe::Source;
use crate::series::Series;
use crate::values::{self, Conversion, Texts};
use crate::zone::NO_TIME;

fn bad(frame: &FileFrame, e: &PolarsError) -> Error {
    Error::Data(format!("{}: {e}", frame.name))
}

/// A column to be read, with the counts of its text values.
pub struct Wanted {
    pub name: String,
    texts: Texts,
    pub signs: Signs,
    /// The unit that follows the numbers.
    pub unit: Option<String>,
    /// Number of values that are NaN or infinite.
    not_finite: usize,
    /// Whether the column contains text in some file.
    is_text: bool,
}

/// Lists the columns other than the time columns.
///
/// # Errors
/// [`Error::Usage`] if a selected column does not exist.
pub fn columns(frames: &[FileFrame], source: &Source, time: &[String], notes: &mut Vec<String>) -> Result<Vec<Wanted>> {
    let mut names: Vec<String> = Vec::new();
    for frame in frames {
        for name in frame.frame.get_column_names() {
            if !names.iter().any(|n| n == name.as_str()) && !time.iter().any(|t| t == name.as_str()) {
                names.push(name.to_string());
            }
        }
    }
    for name in &source.select {
        layout::require(name, &names, "--select")?;
    }
    if !source.select.is_empty() {
        names.retain(|n| source.select.contains(n));
    }
    notes.extend(
        missing(frames, &names)
            .iter()
            .map(|(name, files)| format!("`{name}` is missing from {files}, so it has no values there")),
    );
    let mut out = Vec::new();
    for name in names {
        let mut wanted = Wanted {
            name,
            texts: Texts::default(),
            signs: Signs::default(),
            unit: None,
            not_finite: 0,
            is_text: false,
        };
        let mut times = false;
        for frame in frames {
            let Ok(column) = frame.frame.column(&wanted.name) else { continue };
            match column.dtype() {
                DataType::Datetime(..) | DataType::Date => times = true,
                DataType::String => {
                    wanted.is_text = true;
                    let texts = column.as_materialized_series().str().map_err(|e| bad(frame, &e))?;
                    texts.iter().flatten().for_each(|t| wanted.texts.add(t, &mut wanted.signs));
                }
                _ => {
                    let numbers = column.cast(&DataType::Float64).map_err(|e| bad(frame, &e))?;
                    for value in numbers.f64().map_err(|e| bad(frame, &e))?.iter().flatten() {
                        if value.is_finite() {
                            wanted.texts.numbers += 1;
                        } else {
                            wanted.not_finite += 1;
                        }
                    }
                }
            }
        }
        wanted.unit = wanted.texts.unit(&wanted.name, &mut wanted.signs)?;
        if numbers_rows(frames, &wanted.name) {
            notes.push(format!("`{}` left out, because it numbers the rows", wanted.name));
        } else if times {
            notes.push(format!("`{}` left out, because it contains times", wanted.name));
        } else if wanted.texts.numbers == 0 && wanted.texts.others.is_empty() && wanted.not_finite == 0 {
            notes.push(format!("`{}` left out, because it is empty", wanted.name));
        } else {
            if wanted.not_finite > 0 {
                let n = plural(wanted.not_finite, "value is", "values are");
                notes.push(format!("`{}`: {n} NaN or infinite and read as missing", wanted.name));
            }
            out.push(wanted);
        }
    }
    Ok(out)
}

/// The columns that some files lack, each with these files.
pub fn missing(frames: &[FileFrame], names: &[String]) -> Vec<(String, String)> {
    let without = |name: &String| -> Vec<&str> {
        frames.iter().filter(|f| f.frame.column(name).is_err()).map(|f| f.name.as_str()).collect()
    };
    // If no column is in all files, each file probably contains the columns of other tags.
    if !names.iter().any(|name| without(name).is_empty()) {
        return Vec::new();
    }
    let files = names.iter().map(|name| (name.clone(), without(name)));
    files.filter(|(_, files)| !files.is_empty()).map(|(name, files)| (name, list(&files, 3))).collect()
}

/// Whether an unnamed column contains row numbers.
fn numbers_rows(frames: &[FileFrame], name: &str) -> bool {
    let unnamed = name.starts_with("column_") || name.starts_with("Unnamed: ") || name == "__index_level_0__";
    let counts = |frame: &FileFrame| {
        let column = frame.frame.column(name).and_then(|c| c.cast(&DataType::Float64)).ok()?;
        let values = column.f64().ok()?;
        let first = values.get(0)?;
        Some(values.iter().enumerate().all(|(row, v)| v == Some(first + row as f64)))
    };
    unnamed && frames.iter().all(|frame| counts(frame) == Some(true))
}

/// Reads the columns, and sorts the rows by time. `decimals` contains the decimal separator of each column.
///
/// # Errors
/// [`Error::Data`] if a column has different values at the same time.
pub fn read(
    frames: &[FileFrame],
    wanted: &[Wanted],
    decimals: &[Decimal],
    times: &[Vec<i64>],
    keep: Option<Keep>,
    notes: &mut Vec<String>,
) -> Result<Vec<Series>> {
    let source = frames.first().map_or("", |f| f.name.as_str());
    let time: Vec<i64> = times.concat();
    let rows = (0..time.len()).filter(|row| time[*row] != NO_TIME).map(|row| row as u32);
    let runs = Runs::new(rows.collect(), &time);
    let own = Arc::new(runs.times(&time));
    let mut found = Duplicates::default();
    let mut columns = Vec::new();
    // columns that can distinguish rows with equal times
    let mut keys: Vec<String> = frames.iter().flat_map(|f| f.folders.clone()).collect();
    for (wanted, decimal) in wanted.iter().zip(decimals) {
        let conversion = if wanted.is_text { wanted.texts.conversion() } else { Conversion::Numbers };
        if wanted.is_text {
            notes.extend(values::describe(&wanted.name, &wanted.texts, conversion));
        }
        if conversion == Conversion::Texts {
            keys.push(wanted.name.clone());
        }
        let values = values(frames, &wanted.name, conversion, *decimal)?;
        let values = runs.merge(&wanted.name, &values, &time, keep, &mut found);
        columns.push(Series { name: wanted.name.clone(), time: Arc::clone(&own), values });
    }
    let values: Vec<&String> = wanted.iter().map(|w| &w.name).filter(|name| !keys.contains(name)).collect();
    let value = values.first().map_or("VALUE", |name| name.as_str());
    // if there are several columns of values, an example that names only one column would be wrong
    let own_columns = |tag: &str| match values.len() {
        0 | 1 => format!(", or give each a column of its own with `--long {tag},{value}`"),
        _ => String::new(),
    };
    let hint = match keys.iter().find(|name| found.example_of(name).is_some()) {
        Some(key) => {
            let choices = Choices::new(frames, key);
            let text = choices.most_active().or(found.example_of(key)).unwrap_or_default();
            format!(
                "if `{key}` distinguishes several entities, import one of them (1 of {}), such as the most active one, with \
                 `--where \"{key} == '{text}'\"` (others are {}){}; otherwise, ",
                choices.len(),
                choices.others(text),
                own_columns(key)
            )
        }
        None if frames.len() > 1 && values.len() <= 1 => format!(
            "if each file contains a different tag, use `--long {FILE},{value}`, which gives each file a column of its own; otherwise, "
        ),
        None => String::new(),
    };
    let events = found.equal_by_column.iter().find(|(name, _)| layout::counts_events(name));
    if let Some((name, equal)) = events.filter(|_| keep.is_none() && found.different == 0 && is_irregular(&own)) {
        return Err(Error::Data(format!(
            "{source}: {} of `{name}` with the same time and value as another sample; if these are separate events, \
             add their values with `--keep sum`; if rows are repeated, drop them with `--keep last`",
            plural(*equal, "sample", "samples")
        )));
    }
    notes.extend(found.require(source, keep, &hint)?);
    Ok(columns)
}

/// Whether fewer than half of the steps have the most frequent length.
fn is_irregular(time: &[i64]) -> bool {
    let mut steps: HashMap<i64, usize> = HashMap::new();
    time.windows(2).for_each(|w| *steps.entry(w[1] - w[0]).or_default() += 1);
    steps.values().max().is_some_and(|most| most * 2 < time.len() - 1)
}

/// The values of a column in all files.
fn values(frames: &[FileFrame], name: &str, conversion: Conversion, decimal: Decimal) -> Result<Values> {
    let mut numbers: Vec<f64> = Vec::new();
    let mut codes: Vec<u32> = Vec::new();
    let (mut known, mut texts): (HashMap<String, u32>, Vec<String>) = (HashMap::new(), vec![String::new()]);
    for frame in frames {
        let height = frame.frame.height();
        let Ok(column) = frame.frame.column(name) else {
            numbers.resize(numbers.len() + height, f64::NAN);
            codes.resize(codes.len() + height, 0);
            continue;
        };
        let column = column.as_materialized_series();
        if conversion == Conversion::Texts {
            let column = column.cast(&DataType::String).map_err(|e| bad(frame, &e))?;
            for text in column.str().map_err(|e| bad(frame, &e))?.iter() {
                let text = text.map(str::trim).filter(|t| !number::is_missing(t));
                codes.push(match text {
                    None => 0,
                    Some(text) => match known.get(text) {
                        Some(code) => *code,
                        None => {
                            texts.push(text.to_owned());
                            known.insert(text.to_owned(), texts.len() as u32 - 1);
                            texts.len() as u32 - 1
                        }
                    },
                });
            }
        } else if let Ok(strings) = column.str() {
            numbers.extend(strings.iter().map(|t| conversion.number(t.unwrap_or(""), decimal)));
        } else {
            let column = column.cast(&DataType::Float64).map_err(|e| bad(frame, &e))?;
            let column = column.f64().map_err(|e| bad(frame, &e))?;
            numbers.extend(column.iter().map(|v| v.filter(|v| v.is_finite()).unwrap_or(f64::NAN)));
        }
    }
    Ok(if conversion == Conversion::Texts { Values::Texts { codes, texts } } else { Values::Numbers(numbers) })
}
