//! Joins several sources, and reduces tables to means over steps.

use std::collections::BTreeSet;

use polars::prelude::*;

use crate::error::{Error, Result, list};
use crate::merge::{Duplicates, Keep};
use crate::report::shown_span;
use crate::series::{self, Series, TIME};

/// The columns of one source.
pub struct Part {
    /// The file pattern, which is used in messages.
    pub from: String,
    /// Most frequent step, µs.
    pub step: i64,
    pub columns: Vec<Series>,
}

fn bad(e: PolarsError) -> Error {
    Error::Data(format!("the sources cannot be joined: {e}"))
}

/// Appends each source to an earlier source that has the same columns.
///
/// # Errors
/// [`Error::Usage`] if two sources have some columns with the same name, and [`Error::Data`] if two sources have
/// different values at the same time.
fn appended(parts: Vec<Part>, keep: Option<Keep>, notes: &mut Vec<String>) -> Result<Vec<Part>> {
    let mut out: Vec<Part> = Vec::new();
    for part in parts {
        let names = |part: &Part| part.columns.iter().map(|c| c.name.clone()).collect::<BTreeSet<String>>();
        let Some(earlier) = out.iter_mut().find(|p| names(p) == names(&part)) else {
            out.push(part);
            continue;
        };
        let mut found = Duplicates::default();
        for column in part.columns {
            let Some(first) = earlier.columns.iter_mut().find(|c| c.name == column.name) else { continue };
            *first = first.appended(&column, keep, &mut found).ok_or_else(|| {
                Error::Data(format!(
                    "{}: the column `{}` must contain numbers in both this source and {}, or text in both",
                    part.from, column.name, earlier.from
                ))
            })?;
        }
        notes.push(format!("{}: appended to {}, which has the same columns", part.from, earlier.from));
        notes.extend(found.require(&part.from, keep, "")?);
    }
    require_distinct(&out)?;
    Ok(out)
}

/// # Errors
/// [`Error::Usage`] if two sources have a column with the same name.
fn require_distinct(parts: &[Part]) -> Result<()> {
    for (i, part) in parts.iter().enumerate() {
        let earlier = || parts[..i].iter().flat_map(|p| &p.columns);
        if let Some(column) = part.columns.iter().find(|c| earlier().any(|e| e.name == c.name)) {
            return Err(Error::Usage(format!(
                "two sources have a column `{}`; distinguish them with `--as NAME` after a `--from`",
                column.name
            )));
        }
    }
    Ok(())
}

/// A table in which every sample keeps its time. Only the period of the first source is kept. If the columns have
/// different times, the table has one row per sample.
///
/// # Errors
/// [`Error::Usage`] if there is no source or if two sources have a column with the same name, and [`Error::Data`].
pub fn by_own_times(parts: Vec<Part>, keep: Option<Keep>, notes: &mut Vec<String>) -> Result<DataFrame> {
    let mut parts = appended(parts, keep, notes)?;
    let Some((first, others)) = parts.split_first_mut() else {
        return Err(Error::Usage("name a source with `--from`".into()));
    };
    if let Some((start, last)) = series::span(&first.columns) {
        for other in others {
            let before: usize = other.columns.iter().map(|c| c.time.len()).sum();
            other.columns.iter_mut().for_each(|c| c.keep(start, last + first.step.max(1)));
            let after: usize = other.columns.iter().map(|c| c.time.len()).sum();
            if after == 0 {
                return Err(Error::Data(format!(
                    "{}: no sample is in the period of {}, which begins at {} and ends at {}; import the same period from both \
                     sources, and check the origin in `--time-unit` if one was given",
                    other.from,
                    first.from,
                    crate::zone::instant(start),
                    crate::zone::instant(last)
                )));
            }
            let outside =
                if after < before { "; samples outside the period of the first source are left out" } else { "" };
            notes.push(format!("{}: every value keeps its own time{outside}", other.from));
        }
    }
    let columns: Vec<Series> = parts.into_iter().flat_map(|p| p.columns).collect();
    if !series::have_own_clocks(&columns) {
        return series::table(columns).map_err(bad);
    }
    let mut left_out = Vec::new();
    let frame = series::samples(&columns, &mut left_out).map_err(bad)?;
    notes.push("the tags are logged at different times, so the log has one row per sample".into());
    if !left_out.is_empty() {
        notes.push(format!("left out, because they are text: {}", list(&left_out, 10)));
    }
    Ok(frame)
}

/// A table with the rows of the first source, each with the last values of the other sources. With `every`, all sources
/// are reduced to means over steps of this length first.
///
/// # Errors
/// [`Error::Usage`] if there is no source or if two sources have a column with the same name, and [`Error::Data`].
pub fn as_of(
    parts: Vec<Part>,
    keep: Option<Keep>,
    (every, tolerance): (Option<i64>, Option<i64>),
    notes: &mut Vec<String>,
) -> Result<DataFrame> {
    let parts = appended(parts, keep, notes)?;
    let mut joined: Option<DataFrame> = None;
    for part in parts {
        let mut frame = series::table(part.columns).map_err(bad)?;
        if let Some(every) = every {
            frame = means(frame, every)?;
        }
        joined = Some(match joined {
            None => frame,
            Some(left) => {
                let tolerance = tolerance.unwrap_or_else(|| 2 * part.step.max(every.unwrap_or(0)));
                notes.push(format!(
                    "{}: the last value at each time of the first source, at most {} old; values in between are not \
                     used, so amounts and counters would be wrong",
                    part.from,
                    shown_span(tolerance)
                ));
                with_last(left, &frame, tolerance)?
            }
        });
    }
    joined.ok_or_else(|| Error::Usage("name a source with `--from`".into()))
}

/// Reduces a table to one row per step of `every` µs, with the mean of each number and the last value of each text.
/// Steps begin at multiples of their length since 1970 in UTC.
///
/// # Errors
/// [`Error::Data`]
fn means(frame: DataFrame, every: i64) -> Result<DataFrame> {
    let step = Duration::parse(&format!("{every}us"));
    let options = DynamicGroupOptions {
        index_column: TIME.into(),
        every: step,
        period: step,
        offset: Duration::parse("0us"),
        label: Label::Left,
        include_boundaries: false,
        closed_window: ClosedWindow::Left,
        start_by: StartBy::WindowBound,
    };
    let columns: Vec<Expr> = frame
        .columns()
        .iter()
        .filter(|c| c.name() != TIME)
        .map(|c| {
            let column = col(c.name().clone());
            if c.dtype() == &DataType::String { column.drop_nulls().last() } else { column.mean() }
        })
        .collect();
    frame.lazy().group_by_dynamic(col(TIME), [], options).agg(columns).collect().map_err(bad)
}

/// Adds the columns of `right` to `left`: for each time of `left`, the last value that is at most `tolerance` µs old.
///
/// # Errors
/// [`Error::Data`]
fn with_last(left: DataFrame, right: &DataFrame, tolerance: i64) -> Result<DataFrame> {
    let mut out = left;
    let times = |frame: &DataFrame| -> PolarsResult<Vec<i64>> {
        let time = frame.column(TIME)?.cast(&DataType::Int64)?;
        Ok(time.i64()?.iter().flatten().collect())
    };
    let (rows, samples) = (times(&out).map_err(bad)?, times(right).map_err(bad)?);
    for column in right.columns().iter().filter(|c| c.name() != TIME) {
        // every column has its own missing values
        let present = column.is_not_null();
        let mut chosen: Vec<Option<IdxSize>> = Vec::with_capacity(rows.len());
        let (mut next, mut last) = (0, None);
        for time in &rows {
            while next < samples.len() && samples[next] <= *time {
                if present.get(next) == Some(true) {
                    last = Some(next);
                }
                next += 1;
            }
            let recent = last.filter(|i| time - samples[*i] <= tolerance);
            chosen.push(recent.map(|i| i as IdxSize));
        }
        let chosen: IdxCa = chosen.into_iter().collect();
        out.with_column(column.take(&chosen).map_err(bad)?).map_err(bad)?;
    }
    Ok(out)
}
