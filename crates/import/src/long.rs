//! Converts an export with one sample per row into a table with one column per tag.

use std::collections::HashMap;
use std::sync::Arc;

use polars::prelude::*;

use crate::error::{Error, Result, plural};
use crate::frame::FileFrame;
use crate::layout::Long;
use crate::merge::{Duplicates, Keep, Runs, Values};
use crate::number::{Decimal, Signs};
use crate::quality::{Flags, Good};
use crate::series::{QUALITY, Series};
use crate::values::{Conversion, Texts};
use crate::zone::NO_TIME;

/// Tag index of rows whose tag is not read.
pub const NO_TAG: u32 = u32::MAX;

/// The tags of all rows.
pub struct Tags {
    pub names: Vec<String>,
    /// For each file, the tag index of every row.
    pub codes: Vec<Vec<u32>>,
    /// Rows without a tag.
    pub missing: usize,
}

fn bad(frame: &FileFrame, e: &PolarsError) -> Error {
    Error::Data(format!("{}: {e}", frame.name))
}

/// Reads the tags of all rows. If `select` is not empty, other tags are not read.
///
/// # Errors
/// [`Error::Data`] if a file has no such column, and [`Error::Usage`] if a selected tag does not exist.
pub fn tags(frames: &[FileFrame], long: &Long, select: &[String]) -> Result<Tags> {
    let mut known: HashMap<String, u32> = HashMap::new();
    let mut out = Tags { names: Vec::new(), codes: Vec::new(), missing: 0 };
    for frame in frames {
        let column =
            frame.frame.column(&long.tag).and_then(|c| c.cast(&DataType::String)).map_err(|e| bad(frame, &e))?;
        let texts = column.str().map_err(|e| bad(frame, &e))?;
        let mut codes = Vec::with_capacity(texts.len());
        let (mut last, mut last_code) = ("", NO_TAG);
        for text in texts.iter() {
            let Some(text) = text.map(str::trim).filter(|t| !t.is_empty()) else {
                out.missing += 1;
                codes.push(NO_TAG);
                continue;
            };
            if text != last || codes.is_empty() {
                last_code = match known.get(text) {
                    Some(code) => *code,
                    None => {
                        let code = if select.is_empty() || select.iter().any(|s| s == text) {
                            out.names.push(text.to_owned());
                            out.names.len() as u32 - 1
                        } else {
                            NO_TAG
                        };
                        known.insert(text.to_owned(), code);
                        code
                    }
                };
                last = text;
            }
            codes.push(last_code);
        }
        out.codes.push(codes);
    }
    for name in select {
        if !known.contains_key(name) {
            let mut names: Vec<&String> = known.keys().collect();
            names.sort();
            let text = format!("--select: there is no tag `{name}`; the tags are {}", crate::error::list(&names, 20));
            return Err(Error::Usage(text));
        }
    }
    Ok(out)
}

/// Counts the text values of each tag, and collects evidence about the decimal separator. Returns `None` if no file
/// stores values as text.
///
/// # Errors
/// [`Error::Data`] if a file has no such column.
pub fn count(frames: &[FileFrame], tags: &Tags, long: &Long) -> Result<Option<(Vec<Texts>, Signs)>> {
    let mut counts: Vec<Texts> = tags.names.iter().map(|_| Texts::default()).collect();
    let mut signs = Signs::default();
    let mut is_text = false;
    for (frame, codes) in frames.iter().zip(&tags.codes) {
        let column = frame.frame.column(&long.value).map_err(|e| bad(frame, &e))?.as_materialized_series();
        if column.dtype() == &DataType::String {
            is_text = true;
            for (text, tag) in column.str().map_err(|e| bad(frame, &e))?.iter().zip(codes) {
                if let (Some(text), Some(count)) = (text, counts.get_mut(*tag as usize)) {
                    count.add(text, &mut signs);
                }
            }
        }
    }
    Ok(is_text.then_some((counts, signs)))
}

/// The units that follow the values of each tag.
///
/// # Errors
/// [`Error::Data`] if the values of a tag have different units.
pub fn units(tags: &Tags, counts: &[Texts], signs: &mut Signs) -> Result<Vec<(String, String)>> {
    let mut out = Vec::new();
    for (name, texts) in tags.names.iter().zip(counts) {
        out.extend(texts.unit(name, signs)?.map(|unit| (name.clone(), unit)));
    }
    Ok(out)
}

/// How the samples are read.
pub struct Reading<'a> {
    pub long: &'a Long,
    pub decimal: Decimal,
    /// Conversion of the text values of each tag.
    pub conversions: Vec<Conversion>,
    pub good: Good,
    pub keep: Option<Keep>,
}

/// The samples of all tags, in row order.
struct Samples {
    time: Vec<i64>,
    tag: Vec<u32>,
    value: Vec<f64>,
    /// Code of the text of each sample, if any tag has text values.
    text: Vec<u32>,
    /// Code of the quality flag, if there is a quality column.
    flag: Vec<u32>,
    flags: Flags,
    texts: Vec<String>,
    codes: HashMap<String, u32>,
}

impl Samples {
    fn text_code(&mut self, text: &str) -> u32 {
        let text = text.trim();
        if text.is_empty() {
            return 0;
        }
        if let Some(code) = self.codes.get(text) {
            return *code;
        }
        let code = self.texts.len() as u32;
        self.texts.push(text.to_owned());
        self.codes.insert(text.to_owned(), code);
        code
    }

    /// Adds the samples of a file.
    fn add(&mut self, frame: &FileFrame, codes: &[u32], times: &[i64], reading: &Reading) -> Result<()> {
        let any_text = reading.conversions.contains(&Conversion::Texts);
        let used = |row: usize| codes[row] != NO_TAG && times[row] != NO_TIME;
        let column = frame.frame.column(&reading.long.value).map_err(|e| bad(frame, &e))?.as_materialized_series();
        if let Some(name) = &reading.long.quality {
            let column =
                frame.frame.column(name).and_then(|c| c.cast(&DataType::String)).map_err(|e| bad(frame, &e))?;
            let (mut last, mut code) = (None, 0);
            for (row, flag) in column.str().map_err(|e| bad(frame, &e))?.iter().enumerate() {
                if row == 0 || flag != last {
                    (last, code) = (flag, self.flags.code(flag, &reading.good));
                }
                if used(row) {
                    self.flag.push(code);
                }
            }
        }
        if let Ok(strings) = column.str() {
            for (row, text) in strings.iter().enumerate().filter(|(row, _)| used(*row)) {
                let conversion = reading.conversions[codes[row] as usize];
                let text = text.unwrap_or("");
                let code = if conversion == Conversion::Texts { self.text_code(text) } else { 0 };
                self.value.push(conversion.number(text, reading.decimal));
                if any_text {
                    self.text.push(code);
                }
            }
        } else {
            let numbers = column.cast(&DataType::Float64).map_err(|e| bad(frame, &e))?;
            let numbers = numbers.f64().map_err(|e| bad(frame, &e))?;
            let numbers = numbers.iter().enumerate().filter(|(row, _)| used(*row));
            self.value.extend(numbers.map(|(_, v)| v.filter(|v| v.is_finite()).unwrap_or(f64::NAN)));
            if any_text {
                self.text.resize(self.value.len(), 0);
            }
        }
        self.time.extend(times.iter().enumerate().filter(|(row, _)| used(*row)).map(|(_, t)| *t));
        self.tag.extend(codes.iter().enumerate().filter(|(row, _)| used(*row)).map(|(_, t)| *t));
        Ok(())
    }
}

/// Reads the samples, and arranges them in one column per tag, sorted by name.
///
/// # Errors
/// [`Error::Data`] if values cannot be read or differ at the same time, or if no sample of a tag is good.
pub fn pivot(
    frames: &[FileFrame],
    tags: &Tags,
    times: &[Vec<i64>],
    reading: &Reading,
    notes: &mut Vec<String>,
) -> Result<Vec<Series>> {
    let source = frames.first().map_or("", |f| f.name.as_str());
    let mut samples = Samples {
        time: Vec::new(),
        tag: Vec::new(),
        value: Vec::new(),
        text: Vec::new(),
        flag: Vec::new(),
        flags: Flags::new(),
        texts: vec![String::new()],
        codes: HashMap::new(),
    };
    for ((frame, codes), times) in frames.iter().zip(&tags.codes).zip(times) {
        samples.add(frame, codes, times, reading)?;
    }
    if tags.missing > 0 {
        notes.push(format!("left out: {} without a tag", plural(tags.missing, "row", "rows")));
    }
    let mut rows: Vec<Vec<u32>> = vec![Vec::new(); tags.names.len()];
    for (row, tag) in samples.tag.iter().enumerate() {
        rows[*tag as usize].push(row as u32);
    }
    let Samples { time, mut value, mut text, flag, flags, texts, .. } = samples;
    for row in (0..flag.len()).filter(|row| !flags.is_good(flag[*row])) {
        value[row] = f64::NAN;
        if let Some(code) = text.get_mut(row) {
            *code = 0;
        }
    }
    let numbers = Values::Numbers(value);
    let texts = Values::Texts { codes: text, texts };
    let qualities = Values::Texts { codes: flag, texts: flags.known.iter().map(|(flag, _)| flag.clone()).collect() };
    let mut found = Duplicates::default();
    let mut columns: Vec<Series> = Vec::new();
    let mut order: Vec<usize> = (0..tags.names.len()).filter(|t| !rows[*t].is_empty()).collect();
    order.sort_by_key(|t| &tags.names[*t]);
    for tag in order {
        let name = &tags.names[tag];
        let runs = Runs::new(std::mem::take(&mut rows[tag]), &time);
        let own = runs.times(&time);
        // tags that are always logged together share their times
        let own = columns.last().filter(|c| *c.time == own).map_or_else(|| Arc::new(own), |c| Arc::clone(&c.time));
        let values = if reading.conversions[tag] == Conversion::Texts { &texts } else { &numbers };
        let values = runs.merge(name, values, &time, reading.keep, &mut found);
        columns.push(Series { name: name.clone(), time: Arc::clone(&own), values });
        if let (Some(column), Values::Texts { codes, .. }) = (&reading.long.quality, &qualities) {
            let of_tag = runs.rows().iter().map(|row| codes[*row as usize]);
            if let Some(note) = flags.describe(source, name, column, of_tag)? {
                notes.push(note);
                let name = format!("{name}{QUALITY}");
                let values = runs.merge(&name, &qualities, &time, Some(Keep::Last), &mut Duplicates::default());
                columns.push(Series { name, time: own, values });
            }
        }
    }
    notes.extend(found.require(source, reading.keep, "")?);
    Ok(columns)
}
