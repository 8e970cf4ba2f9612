//! Tests of reading logs, from Parquet files to the trajectory and the data quality report.

mod cleaning;
mod columns;
mod errors;
mod excluded;
mod fixture;
mod long_logs;
mod meaning;
mod mixtures;
mod notation;
mod real_logs;
mod several;
mod weeks;
use super::table;
