//! Decides the order of day, month and year in the dates of a source.

use std::collections::BTreeSet;

use polars::prelude::*;

use crate::error::{Error, Result};
use crate::frame::FileFrame;
use crate::stamp::{self, DAY_US, Order, Orders};
use crate::zone::shown;

/// An order is implausible if the dates of a file span this many times as many days as in another order (not tuned).
const IMPLAUSIBLE: i64 = 3;
/// Minimum number of different days in a file for this test (not tuned).
const DAYS: usize = 3;

/// The order of the dates in a column. `columns` contains the entries of each file.
///
/// # Errors
/// [`Error::Data`] or [`Error::Usage`] if the order is ambiguous, or if another order is much more plausible for a
/// file.
pub fn decide(frames: &[FileFrame], name: &str, columns: &[&StringChunked]) -> Result<Order> {
    let order = common(frames, name, columns)?;
    for (frame, column) in frames.iter().zip(columns) {
        let texts: BTreeSet<&str> =
            column.iter().flatten().filter(|t| stamp::parse(t, Some(order)).is_some()).collect();
        let Some(chosen) = Span::of(&texts, order) else { continue };
        for other in [Order::Dmy, Order::Mdy, Order::Ymd].into_iter().filter(|o| *o != order) {
            let Some(span) = Span::of(&texts, other) else { continue };
            if chosen.days >= DAYS && chosen.length() > IMPLAUSIBLE * span.length() {
                return Err(Error::Usage(format!(
                    "{}: in the order {}, the dates in `{name}` are from {} to {}; in the order {}, they are from {} to {}, which \
                     fits the number of days better; specify the correct order with `--date-order`; if other files \
                     have a different order, give them a separate `--from`",
                    frame.name,
                    order.name(),
                    chosen.first(),
                    chosen.last(),
                    other.name(),
                    span.first(),
                    span.last()
                )));
            }
        }
    }
    Ok(order)
}

/// The days of a file.
struct Span {
    min: i64,
    max: i64,
    days: usize,
}

impl Span {
    /// `None` if a date does not exist in this order.
    fn of(texts: &BTreeSet<&str>, order: Order) -> Option<Self> {
        let days: Option<BTreeSet<i64>> = texts.iter().map(|t| stamp::day(t, order)).collect();
        let days = days?;
        Some(Self { min: *days.first()?, max: *days.last()?, days: days.len() })
    }

    fn length(&self) -> i64 {
        self.max - self.min + 1
    }

    fn first(&self) -> String {
        shown(self.min * DAY_US)[..10].to_owned()
    }

    fn last(&self) -> String {
        shown(self.max * DAY_US)[..10].to_owned()
    }
}

/// The order of day and month that all entries of a column share.
fn common(frames: &[FileFrame], name: &str, columns: &[&StringChunked]) -> Result<Order> {
    let mut orders = Orders::default();
    columns.iter().flat_map(|c| c.iter().flatten()).for_each(|t| orders.add(t));
    let place = &frames[0].name;
    match (&orders.only, &orders.unclear) {
        ([_, Some(a), Some(b)], _) => Err(Error::Data(format!(
            "{place}: in the time column `{name}`, `{a}` begins with the day, and `{b}` begins with the month; export the two kinds \
             of files separately, and give each kind in a separate `--from`"
        ))),
        ([_, Some(_), None], _) => Ok(Order::Dmy),
        ([_, None, Some(_)], _) => Ok(Order::Mdy),
        ([Some(_), None, None], None) => Ok(Order::Ymd),
        (_, text) => Err(Error::Usage(format!(
            "{place}: `{}` in the time column `{name}` can begin with the day or with the month, and so can all other times; add \
             `--date-order dmy` or `--date-order mdy`",
            text.as_deref().unwrap_or("")
        ))),
    }
}
