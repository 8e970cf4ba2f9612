//! Opens the folder of a plant for the commands that fit or use a model.

use std::path::Path;

use super::globals::Globals;
use crate::check;
use crate::compute::Compute;
use crate::config::{Loaded, TwinSpec};
use crate::error::Result;
use crate::ops::Registry;
use crate::ops::project::Project;

/// A twin without faults, its model registry, and the device on which its models run.
pub(super) struct PlantFolder {
    pub name: String,
    pub spec: Loaded<TwinSpec>,
    pub registry: Registry,
    pub compute: Compute,
}

impl PlantFolder {
    /// Loads and checks the twin in `dir`, and opens the model registry of its project and the device.
    pub fn open(dir: &Path, globals: &Globals) -> Result<Self> {
        let (spec, _) = check::load_twin(dir)?;
        let name = spec.value.name.value.clone();
        let registry = Registry::open(Project::find(dir)?.model_dir(&name));
        let compute = globals.device.compute()?;
        Ok(Self { name, spec, registry, compute })
    }
}
