//! Parquet files → one clean, regular [`Trajectory`](crate::trajectory::Trajectory), and an account of what was done.
//!
//! `files` finds the files and reads their footers (`thrift` looks at them first), `batches` decodes the columns that are
//! needed, page by page (`pages` looks at each first), and `cast` makes plain numbers and texts of them, `wide` and `long` gather samples (`scan` is what they share), `time` turns time stamps into UTC, `clean` drops what cannot be used and looks for faults (`clock`, `detect`), `segments` splits
//! at gaps and episodes, `resample` puts the rest on the grid, `account` sums up, and `read` is the line through all of
//! them.

mod account;
mod batches;
mod cast;
mod clean;
mod clock;
mod describe;
mod detect;
mod files;
mod finding;
mod long;
mod pages;
pub mod quality;
mod read;
mod resample;
mod scan;
mod segments;
mod thrift;
mod time;
mod wide;

pub use describe::{ColumnSummary, LogSpan, describe, time_span};
pub use files::{columns, files};
pub use quality::{Excitation, Finding, Quality, SignalQuality, Source, render};
pub use read::read;

/// A column of a Parquet file, as `check` and `init` need it.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub name: String,
    /// `float`, `integer`, `text`, `time`, `boolean`, `other`.
    pub kind: &'static str,
}
