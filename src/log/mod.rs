//! Reads Parquet files into one clean, regular [`Trajectory`](crate::trajectory::Trajectory), and reports on the
//! quality of the log.
//!
//! `read` runs these stages in order:
//!
//! 1. `files` finds the files and `footer` reads their footers.
//! 2. `batches` decodes the required columns, `cast` converts them to plain numbers and strings, and `time` converts
//!    time stamps to UTC. `wide` and `long` read the two log layouts, and `scan` contains their shared code.
//! 3. `column` maps the values of a column to its signal, and `clean` drops unusable samples and looks for faults
//!    (`clock`, `detect`). `window` limits the timeline, and `episodes` divides it into episodes.
//! 4. `grid` determines the time steps, `segments` splits them at gaps and changes of episode, and `resample` computes
//!    the value of each step.
//! 5. `summary` collects the results of all stages in a [`Quality`], which `render` formats as text.
//!
//! `thrift` and `pages` detect damaged files that could otherwise make the Parquet reader run out of memory.

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
