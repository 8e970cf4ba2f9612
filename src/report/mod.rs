//! Writes the report, the page of a verification and the page of a retraining, each as one offline
//! HTML file. Also writes the KPIs as CSV and compares two reports.
//!
//! The module `page` and one module per section convert the [`Results`](crate::scenario::results::Results) to the data
//! of the askama templates in `templates/`. Reports are created without access to files, the clock or the twin, because
//! the results contain everything that a report shows.

mod alarms;
mod breach;
mod cases;
mod caveats;
mod chart;
mod clock;
mod colours;
mod csv;
mod data;
mod diff;
mod display;
mod duration;
mod evidence;
mod experience;
mod front;
mod headline;
mod identification;
mod losing;
mod measured;
mod model;
mod night;
mod number;
mod outlook;
mod page;
mod promises;
mod rejected;
mod risk;
mod runs;
mod saving;
mod scenario;
mod selection;
mod setpoints;
mod skipped;
mod stop;
mod stores;
mod table;
mod text;
mod trends;
mod verdict;
mod verification;
mod violations;
mod year;

pub use csv::kpi_csv;
pub use diff::diff;
pub use experience::warning as outside_warning;
pub use night::{GateFigures, NightKind, NightRow, Nightly, nightly};
pub use page::render;
pub use skipped::skipped;
pub use stores::end_contents;
pub use verdict::unknown_cases;
pub use verification::verification;
