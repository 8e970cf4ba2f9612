//! Parquet files → one clean, regular [`Trajectory`](crate::trajectory::Trajectory), and a report on its quality.
//!
//! `read` runs all stages:
//!
//! 1. `files` finds the files and `footer` reads their footers.
//! 2. `batches` decodes the columns that are needed, `cast` turns them into plain numbers and texts, and `time` turns time
//!    stamps into UTC. `wide` and `long` read the two layouts; `scan` contains the code that they share.
//! 3. `column` decides what a column means, `clean` drops unusable samples and looks for faults (`clock`, `detect`), and
//!    `window` and `episodes` bound the time line.
//! 4. `grid` places the steps, `segments` splits them at gaps and episodes, and `resample` gives each step its value.
//! 5. `summary` writes the results of all stages into a `quality`, which `render` prints.
//!
//! `thrift` and `pages` protect against damaged files, which could otherwise make the Parquet reader run out of memory.

mod batches;
mod cast;
mod clean;
mod clock;
mod column;
mod describe;
mod detect;
mod episodes;
mod files;
mod footer;
mod grid;
mod input;
mod long;
mod missing;
mod occurrences;
mod pages;
pub mod quality;
mod read;
mod render;
mod resample;
mod samples;
mod scan;
mod segments;
mod summary;
mod text;
mod thrift;
mod time;
mod wide;
mod window;

pub use column::ColumnMapping;
pub use describe::{ColumnSummary, describe, time_span};
pub use files::files;
pub use footer::{Column, ColumnKind, columns};
#[cfg(test)]
pub use quality::{Excitation, Finding, SignalQuality};
pub use quality::{FindingClass, Quality, SourceFile};
pub use read::read;
pub use render::render;
