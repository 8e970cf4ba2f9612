//! Reads Parquet files into one clean, regular [`Trajectory`](crate::trajectory::Trajectory), and reports on the
//! quality of the log.
//!
//! `read` runs these stages in order:
//!
//! 1. `files` finds the files and `footer` reads their footers.
//! 2. `batches` decodes the required columns, `cast` and `numerals` convert them to plain numbers and strings, and
//!    `time` converts time stamps to UTC (`date`, `time_unit`, `time_span`, `unreadable`). `wide` and `long` read the
//!    two log layouts, `row_filter` and `flags` select rows and samples, and `scan` contains code that both layouts
//!    use. `selection` reads the columns once for each selection of rows, and `entities`, `interleaved` and `phases`
//!    refuse a log that contains the rows of several entities. `store` holds the samples between the stages, and
//!    `packed` compresses those of long logs.
//! 3. `stamps` moves time stamps to the start of their intervals, and `excluded` leaves out the periods that
//!    `twin.toml` excludes. `column` maps the values of a column to its signal,
//!    and `clean` drops unusable samples (`duplicates`), converts counters (`counter`, `counter_range`,
//!    `counter_restarts`), finds the
//!    intervals of amounts (`intervals`) and looks for faults (`clock`, `detect`, `dropout`, `unit_jumps`,
//!    `unit_part`). `kind` refuses samples that
//!    would be combined in a way that contradicts their meaning. `window` limits the timeline, and `episodes` divides
//!    it into episodes.
//! 4. `grid` and `calendar` determine the time steps, `segments` splits them at gaps and changes of episode,
//!    `long_gaps` reports the long gaps, and `resample` and `spread` compute the value of each step. `weekdays` finds
//!    weekdays without rows, and `censored` drops values that are only lower bounds.
//! 5. `summary` collects the results of all stages in a [`Quality`], which `render` formats as text.
//!
//! `quality_columns` finds columns of a wide log that contain the quality of the samples.
//!
//! `limits` and `pages` detect hostile or damaged files that could otherwise make the Parquet reader run out of memory.
//! `thrift` reads the footers and page headers for the checks in `limits` and `pages`.

mod activity;
mod batches;
mod calendar;
mod cast;
mod censored;
mod clean;
mod clock;
mod column;
mod counter;
mod counter_range;
mod counter_restarts;
mod date;
mod describe;
mod detect;
mod dropout;
mod duplicates;
mod entities;
mod episodes;
mod excluded;
mod files;
mod flags;
mod footer;
mod grid;
mod input;
mod interleaved;
mod intervals;
mod kind;
mod limits;
mod long;
mod long_gaps;
mod missing;
mod numerals;
mod occurrences;
mod operating_hours;
mod packed;
mod pages;
mod phases;
pub mod quality;
mod quality_columns;
mod read;
mod render;
mod resample;
mod row_filter;
mod samples;
mod scan;
mod segments;
mod selection;
mod sign_flips;
mod spread;
mod stamps;
mod store;
mod summary;
mod text;
mod thrift;
mod time;
mod time_span;
mod time_unit;
mod unit_jumps;
mod unit_part;
mod unreadable;
mod weekdays;
mod wide;
mod window;

pub use activity::{Entities, Entity, entities};
pub use column::ColumnMapping;
pub use describe::{ColumnSummary, MAX_DISTINCT, describe, time_span, used_time_span};
pub use files::{OUTSIDE, files};
pub use footer::{Column, ColumnKind, columns};
pub use kind::{is_amount, is_counted};
pub use operating_hours::{Measured, OperatingHours, is_relative, operating_hours};
#[cfg(test)]
pub use quality::{Excitation, Finding, SignalQuality};
pub use quality::{FindingClass, Quality, SourceFile};
pub use quality_columns::{QualityColumn, quality_columns, quality_columns_of};
pub use read::{alternating, read};
pub use render::render;
pub use weekdays::free_days;
