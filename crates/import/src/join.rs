//! Joins the tables of several sources, and reduces tables to means over steps.

use polars::prelude::*;

use crate::error::{Error, Result};
use crate::series::TIME;

fn bad(e: PolarsError) -> Error {
    Error::Data(format!("the sources cannot be joined: {e}"))
}

/// Reduces a table to one row per step of `every` µs, with the mean of each number and the last value of each text.
/// Steps begin at
/// multiples of their length since 1970 in UTC.
///
/// # Errors
/// [`Error::Data`]
pub fn means(frame: DataFrame, every: i64) -> Result<DataFrame> {
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
/// [`Error::Usage`] if `left` and `right` have a column with the same name.
pub fn as_of(left: DataFrame, right: &DataFrame, tolerance: i64) -> Result<DataFrame> {
    let mut out = left;
    let times = |frame: &DataFrame| -> PolarsResult<Vec<i64>> {
        let time = frame.column(TIME)?.cast(&DataType::Int64)?;
        Ok(time.i64()?.iter().flatten().collect())
    };
    let (rows, samples) = (times(&out).map_err(bad)?, times(right).map_err(bad)?);
    for column in right.columns().iter().filter(|c| c.name() != TIME) {
        if out.column(column.name()).is_ok() {
            let text = format!(
                "two sources have a column `{}`; distinguish them with `--as NAME` after a `--from`",
                column.name()
            );
            return Err(Error::Usage(text));
        }
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
