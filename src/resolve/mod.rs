//! Resolves the two files to plain settings: names become columns, and expressions become programs.
//!
//! Each controller, KPI and planner resolves its own part of a file (`PidSettings::resolve`, `Kpi::resolve`, …) with
//! [`Names`], the names of a twin, and adds every fault that it finds to [`Faults`]. Resolved settings have no faults:
//! building a controller from them cannot fail because of the configuration. `check` and all other commands use the
//! same functions, so that they report the same faults.

mod faults;
mod names;

pub use faults::{Faults, all, listed, short, suggest};
pub use names::{Names, Wanted, role_name};
