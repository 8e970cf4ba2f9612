//! Reading logs, from Parquet files to trajectory and quality.

mod cleaning;
mod columns;
mod errors;
mod fixture;
mod long_logs;
mod real_logs;
use super::table;
