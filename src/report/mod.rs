//! One offline HTML file, the KPIs as CSV, and what changed between two runs.
//!
//! Results → typed contexts (`page` and one file per section) → template → text. Nothing here reads a file, a clock
//! or a twin: what [`Results`](crate::scenario::results::Results) does not say, a report cannot.

mod alarms;
mod chart;
mod clock;
mod csv;
mod data;
mod diff;
mod front;
mod model;
mod number;
mod page;
mod scenario;
mod table;
mod text;
mod verdict;
mod year;

pub use csv::kpi_csv;
pub use diff::{KpiChange, ReportDiff, Side, diff};
pub use page::render;
