//! The command `check`, which compares the twin and its scenarios with each other, and with the columns and the time
//! span of the log.
//!
//! The structure of the files (keys and types) is checked by [`crate::config`]. Controllers are checked when they are
//! resolved ([`crate::resolve`]).

mod column_unit;
mod contents;
mod controller;
mod exploit;
mod foresight;
mod kpi;
mod log;
mod log_facts;
mod model;
mod plant;
mod repeats;
mod samples;
mod scenario;
mod signals;
mod start;

pub use contents::contents;
pub use plant::Plant;
pub use scenario::{folder, same_name, scenario, scenario_without_twin};

use std::path::Path;

use crate::config::{self, Loaded, Parsed, TwinSpec};
use crate::error::{Error, Fault, Result};
use crate::resolve::Faults;

pub fn twin(plant: &Plant<'_>) -> Vec<Fault> {
    let mut faults = Faults::new(plant.file);
    model::file(&mut faults, plant);
    log::log(&mut faults, plant);
    signals::signals(&mut faults, plant);
    signals::parameters(&mut faults, plant);
    kpi::kpis(&mut faults, plant);
    model::model(&mut faults, plant);
    controller::live(&mut faults, plant);
    exploit::balances(&mut faults, plant);
    faults.into_list()
}

/// Reads and checks `twin.toml` in the folder `dir`. Returns the twin with its warnings.
///
/// # Errors
/// Returns [`Error::Config`] with all faults and warnings if there is any fault. An unreadable log is not reported
/// here, because reading the log later gives a more specific error.
pub fn load_twin(dir: &Path) -> Result<(Loaded<TwinSpec>, Vec<Fault>)> {
    let parsed = config::parse_twin(&config::twin_file(dir))?;
    let faults = match &parsed.loaded {
        Some(loaded) => twin(&Plant::new(loaded)),
        None => Vec::new(),
    };
    without_faults(parsed, faults)
}

/// Returns the parsed twin and all warnings if every fault in `parsed` and `more` is a warning.
///
/// # Errors
/// Returns the errors of [`load_twin`].
pub fn without_faults(parsed: Parsed<TwinSpec>, more: Vec<Fault>) -> Result<(Loaded<TwinSpec>, Vec<Fault>)> {
    let mut faults = parsed.faults;
    faults.extend(more);
    faults.retain(|f| !f.about_log);
    faults.sort_by_key(|f| (f.line, f.column));
    match parsed.loaded {
        Some(loaded) if faults.iter().all(|f| f.warning) => Ok((loaded, faults)),
        _ => Err(Error::Config(faults)),
    }
}
