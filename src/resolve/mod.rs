//! Resolves `twin.toml` and scenario files to plain settings: names become columns, and expressions become programs.
//!
//! Each controller, KPI and planner resolves its own part of a file (`PidSettings::resolve`, `Kpi::resolve`, …). Names
//! are looked up in [`Names`], and every fault is added to [`Faults`]. Resolved settings have no faults, so a
//! controller can always be built from them without configuration errors. `check` and all other commands use the same
//! functions, so they report the same faults.

mod faults;
mod names;

pub use faults::{Faults, all, listed, short, suggest};
pub use names::{Names, Wanted, role_name};
