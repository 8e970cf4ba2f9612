//! Writes the report as one offline HTML file and the KPIs as CSV, and compares two reports.
//!
//! `page` and one file per section turn the [`Results`](crate::scenario::results::Results) into the data of the askama
//! templates in `templates/`. This module reads no files, no clock and no twin, because the results contain everything
//! that the report shows.

mod alarms;
mod chart;
mod clock;
mod colours;
mod csv;
mod data;
mod diff;
mod duration;
mod evidence;
mod front;
mod model;
mod number;
mod page;
mod scenario;
mod table;
mod text;
mod trends;
mod verdict;
mod year;

pub use csv::kpi_csv;
pub use diff::diff;
pub use page::render;
