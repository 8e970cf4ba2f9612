//! Columns that each have their own times, and their arrangement in the rows of a log.

use std::sync::Arc;

use polars::prelude::*;

use crate::merge::{Duplicates, Keep, Runs, Values};

/// Name of the time column in the log.
pub const TIME: &str = "timestamp";
/// Ending of the names of columns with quality flags.
pub const QUALITY: &str = ".quality";
/// Minimum fraction of non-empty cells in a wide table (not tuned). If fewer cells contain a value, the log has one row
/// per sample.
const FILLED: f64 = 0.7;

/// A column with strictly ascending times (µs since 1970).
#[derive(Debug, Clone)]
pub struct Series {
    pub name: String,
    pub time: Arc<Vec<i64>>,
    pub values: Values,
}

impl Series {
    /// The median step between samples (µs), or `None` if there are fewer than two samples.
    pub fn step(&self) -> Option<i64> {
        let mut steps: Vec<i64> = self.time.windows(2).map(|w| w[1] - w[0]).collect();
        let middle = steps.len() / 2;
        (!steps.is_empty()).then(|| *steps.select_nth_unstable(middle).1)
    }

    /// The samples of this column and of `other`, or `None` if only one of them contains numbers.
    pub fn appended(&self, other: &Self, keep: Option<Keep>, found: &mut Duplicates) -> Option<Self> {
        let time = [self.time.as_slice(), other.time.as_slice()].concat();
        let values = match (&self.values, &other.values) {
            (Values::Numbers(a), Values::Numbers(b)) => Values::Numbers([a.as_slice(), b.as_slice()].concat()),
            (Values::Texts { codes: a, texts }, Values::Texts { codes: b, texts: added }) => {
                let mut texts = texts.clone();
                let mut code_of = |text: &String| match texts.iter().position(|known| known == text) {
                    Some(code) => code as u32,
                    None => {
                        texts.push(text.clone());
                        texts.len() as u32 - 1
                    }
                };
                let new: Vec<u32> = added.iter().map(&mut code_of).collect();
                Values::Texts { codes: a.iter().copied().chain(b.iter().map(|c| new[*c as usize])).collect(), texts }
            }
            _ => return None,
        };
        let runs = Runs::new((0..time.len() as u32).collect(), &time);
        let values = runs.merge(&self.name, &values, &time, keep, found);
        Some(Self { name: self.name.clone(), time: Arc::new(runs.times(&time)), values })
    }

    /// Leaves out the samples before `start` and those at or after `end`.
    pub fn keep(&mut self, start: i64, end: i64) {
        let kept = self.time.partition_point(|t| *t < start)..self.time.partition_point(|t| *t < end);
        if kept.len() == self.time.len() {
            return;
        }
        match &mut self.values {
            Values::Numbers(values) => *values = values[kept.clone()].to_vec(),
            Values::Texts { codes, .. } => *codes = codes[kept.clone()].to_vec(),
        }
        self.time = Arc::new(self.time[kept].to_vec());
    }

    /// The values of the column at the times `all`, which include every time of the column.
    fn spread(self, all: &[i64]) -> Values {
        if self.time.len() == all.len() {
            return self.values;
        }
        let mut rows = Vec::with_capacity(self.time.len());
        let mut row = 0;
        for time in self.time.iter() {
            while all[row] < *time {
                row += 1;
            }
            rows.push(row);
        }
        match self.values {
            Values::Numbers(values) => {
                let mut out = vec![f64::NAN; all.len()];
                rows.iter().zip(values).for_each(|(row, v)| out[*row] = v);
                Values::Numbers(out)
            }
            Values::Texts { codes, texts } => {
                let mut out = vec![0; all.len()];
                rows.iter().zip(codes).for_each(|(row, code)| out[*row] = code);
                Values::Texts { codes: out, texts }
            }
        }
    }
}

/// The times of all columns.
fn times(series: &[Series]) -> Vec<i64> {
    let Some(first) = series.first() else { return Vec::new() };
    if series.iter().all(|s| Arc::ptr_eq(&s.time, &first.time) || s.time == first.time) {
        return first.time.to_vec();
    }
    let mut all: Vec<i64> = series.iter().flat_map(|s| s.time.iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Whether the times of the columns differ so much that a wide table would be mostly empty.
pub fn have_own_clocks(series: &[Series]) -> bool {
    let cells = times(series).len() * series.len();
    let samples: usize = series.iter().map(|s| s.time.len()).sum();
    (samples as f64) < FILLED * cells as f64
}

/// The earliest and the latest time in any of the columns.
pub fn span(series: &[Series]) -> Option<(i64, i64)> {
    let first = series.iter().filter_map(|s| s.time.first()).min();
    first.copied().zip(series.iter().filter_map(|s| s.time.last()).max().copied())
}

/// The step of the column with the most samples.
pub fn step(series: &[Series]) -> Option<i64> {
    series.iter().max_by_key(|s| s.time.len()).and_then(Series::step)
}

fn time_column(time: Vec<i64>) -> PolarsResult<Column> {
    let utc = DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
    Ok(Int64Chunked::from_vec(TIME.into(), time).into_series().cast(&utc)?.into())
}

fn value_column(name: &str, values: Values) -> Column {
    let name: PlSmallStr = name.into();
    match values {
        Values::Numbers(values) => {
            let values: Float64Chunked = values.into_iter().map(|v| (!v.is_nan()).then_some(v)).collect();
            values.with_name(name).into_series().into()
        }
        Values::Texts { codes, texts } => {
            let text = |code: u32| (code > 0).then(|| texts.get(code as usize).map_or("", String::as_str));
            let values: StringChunked = codes.iter().map(|c| text(*c)).collect();
            values.with_name(name).into_series().into()
        }
    }
}

/// A data frame with one row per time and one column per series.
///
/// # Errors
/// [`PolarsError`] if two columns have the same name.
pub fn table(series: Vec<Series>) -> PolarsResult<DataFrame> {
    let time = times(&series);
    let mut columns = vec![time_column(time.clone())?];
    for s in series {
        let name = s.name.clone();
        columns.push(value_column(&name, s.spread(&time)));
    }
    DataFrame::new(time.len(), columns)
}

/// A data frame with one row per sample, sorted by time: the columns `tag` and `value`, and `quality` if any column has
/// quality flags. Columns with text are left out and added to `left_out`.
///
/// # Errors
/// [`PolarsError`]
pub fn samples(series: &[Series], left_out: &mut Vec<String>) -> PolarsResult<DataFrame> {
    let flags = |name: &str| {
        let wanted = format!("{name}{QUALITY}");
        series.iter().find(|s| s.name == wanted).map(|s| &s.values)
    };
    let any_flags = series.iter().any(|s| s.name.ends_with(QUALITY));
    let mut rows: Vec<(i64, u32, u32)> = Vec::new();
    for (column, s) in series.iter().enumerate() {
        if matches!(s.values, Values::Numbers(_)) {
            rows.extend(s.time.iter().enumerate().map(|(row, time)| (*time, column as u32, row as u32)));
        } else if !s.name.ends_with(QUALITY) {
            left_out.push(s.name.clone());
        }
    }
    rows.sort_unstable();
    let (mut tag, mut value, mut quality) = (Vec::new(), Vec::new(), Vec::new());
    for (_, column, row) in &rows {
        let s = &series[*column as usize];
        tag.push(s.name.as_str());
        if let Values::Numbers(values) = &s.values {
            value.push(values[*row as usize]);
        }
        if any_flags {
            quality.push(match flags(&s.name) {
                Some(Values::Texts { codes, texts }) => {
                    texts.get(codes[*row as usize] as usize).map_or("", String::as_str)
                }
                _ => "Good",
            });
        }
    }
    let mut columns = vec![time_column(rows.iter().map(|r| r.0).collect())?];
    columns.push(StringChunked::from_slice("tag".into(), &tag).into_series().into());
    columns.push(value_column("value", Values::Numbers(value)));
    if any_flags {
        columns.push(StringChunked::from_slice("quality".into(), &quality).into_series().into());
    }
    DataFrame::new(rows.len(), columns)
}
