//! The semantic check: what the two files mean, against each other and against the log's columns and time span.
//!
//! Every fault has its place, its cause and its cure. Structure (keys and types) is checked by [`crate::spec`].

mod controller;
mod faults;
mod kpi;
mod log;
mod model;
mod plant;
mod scenario;
mod signals;

pub use model::MODELS;
pub use plant::Plant;
pub use scenario::{folder, scenario, scenario_without_twin};

use std::path::Path;

use crate::error::{Error, Fault, Result};
use crate::spec::{self, Loaded, ScenarioSpec, TwinSpec};

/// Faults of a twin file.
pub fn twin(plant: &Plant<'_>) -> Vec<Fault> {
    let mut faults = faults::Faults::new(plant.file);
    model::file(&mut faults, plant);
    log::log(&mut faults, plant);
    signals::signals(&mut faults, plant);
    signals::parameters(&mut faults, plant);
    kpi::kpis(&mut faults, plant);
    model::model(&mut faults, plant);
    faults.into_list()
}

/// The twin in folder `dir`, checked; with its warnings. Fails with all faults at once.
pub fn load_twin(dir: &Path) -> Result<(Loaded<TwinSpec>, Vec<Fault>)> {
    let mut parsed = spec::parse_twin(&spec::twin_file(dir))?;
    if let Some(loaded) = &parsed.loaded {
        parsed.faults.extend(twin(&Plant::new(loaded)));
    }
    settle(parsed.loaded, parsed.faults)
}

/// A scenario of `plant`, checked; with its warnings. Fails with all faults at once.
pub fn load_scenario(file: &Path, plant: &Plant<'_>) -> Result<(Loaded<ScenarioSpec>, Vec<Fault>)> {
    let mut parsed = spec::parse_scenario(file)?;
    if let Some(loaded) = &parsed.loaded {
        parsed.faults.extend(scenario(loaded, plant));
    }
    settle(parsed.loaded, parsed.faults)
}

fn settle<T>(loaded: Option<Loaded<T>>, mut faults: Vec<Fault>) -> Result<(Loaded<T>, Vec<Fault>)> {
    faults.sort_by_key(|f| (f.line, f.column));
    match loaded {
        Some(loaded) if faults.iter().all(|f| f.warning) => Ok((loaded, faults)),
        _ => Err(Error::Config(faults)),
    }
}
