//! From the text of the two files to plain settings: names become columns, texts become programs and numbers.
//!
//! Each controller, KPI and planner resolves its own part of a file (`PidSettings::resolve`, `Kpi::resolve`, …) with
//! [`Names`], the names of a twin, and adds every fault that it finds to [`Faults`]. What is resolved has no fault left:
//! building a controller from it cannot fail because of the configuration. `check` and all other commands use the same
//! functions, so that they report the same faults.

mod faults;
mod names;

pub use faults::{Faults, all, listed, short, suggest};
pub use names::{Names, Wanted, role_name};
