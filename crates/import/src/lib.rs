//! Converts exports of plant historians, loggers and spreadsheets into the Parquet log that twinopt reads.
//!
//! Columns of text files are read as text first, because one line does not show whether `1.234` is 1234 or whether
//! `03/04` is in April. All rows together determine how a file is read. If this is ambiguous, the import stops and
//! names the option that resolves the ambiguity.

mod address;
mod choices;
mod clock;
mod column_units;
mod date_order;
mod dialect;
mod elapsed;
mod encoding;
pub mod error;
mod filter;
mod frame;
mod import;
mod interval_end;
mod join;
mod layout;
pub mod limits;
mod long;
mod merge;
mod month;
mod number;
#[path = "../../../src/cli/import_options.rs"]
pub mod options;
mod output;
pub mod progress;
mod quality;
pub mod recipe;
mod remote;
mod remote_error;
pub mod report;
mod request;
pub mod scratch;
mod series;
mod source;
mod sources;
mod stamp;
mod text;
mod time_column;
mod tokens;
mod values;
mod wide;
mod workbook;
mod zone;

pub use import::run;
pub use request::Request;
