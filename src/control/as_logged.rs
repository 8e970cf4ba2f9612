//! Imitation of the plant's own controller.

use std::fmt::Debug;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Control, Controller, Observation};
use crate::config::AsLoggedSpec;
use crate::error::{Error, Result};
use crate::resolve::{Faults, Names, all};
use crate::schema::Role;
use crate::trajectory::Window;

/// The accuracy with which the imitation of a control reproduces held-out blocks of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImitationUse {
    pub control: String,
    pub unit: String,
    /// Explained fraction of the variance (R²).
    pub explained: f64,
    /// Root mean square error.
    pub rmse: f64,
    /// Signals that the imitation reads.
    pub inputs: Vec<String>,
    /// Whether the imitation is too inaccurate to represent the plant's own controller.
    pub poor: bool,
}

/// A regression of a control on the signals that operators can see. The regressions are fitted in
/// another module, because controllers must not depend on models.
pub trait Imitate: Send + Sync + Debug {
    /// Index of the control among the columns of the schema.
    fn signal(&self) -> usize;
    fn report(&self) -> &ImitationUse;
    /// Writes the control of the current step for every row of `window`.
    fn act(&self, window: &Window, out: &mut [f64]);
}

/// The controls to imitate, and their imitations. `imitations` is empty until the imitations are
/// fitted.
#[derive(Debug, Clone)]
pub struct AsLoggedSettings {
    pub signals: Vec<usize>,
    pub imitations: Vec<Arc<dyn Imitate>>,
}

impl AsLoggedSettings {
    /// The accuracy of every imitation.
    pub fn reports(&self) -> impl Iterator<Item = &ImitationUse> {
        self.imitations.iter().map(|i| i.report())
    }

    /// If `spec` does not list the controls, all controls are imitated.
    pub(super) fn resolve(faults: &mut Faults<'_>, names: &Names<'_>, spec: &AsLoggedSpec) -> Option<Self> {
        let signals = match &spec.controls {
            Some(list) => {
                faults.require_distinct(list.iter(), "controls");
                all(list.iter().map(|name| names.control(faults, name, &name.span)))?
            }
            None => names.with_role(&[Role::Control]).into_iter().filter_map(|name| names.column(name)).collect(),
        };
        Some(Self { signals, imitations: Vec::new() })
    }
}

/// Sets each control to the value that its imitation predicts for the plant's own controller.
#[derive(Debug)]
pub struct AsLogged(AsLoggedSettings);

impl AsLogged {
    /// # Errors
    /// Returns [`Error::Internal`] if the imitations have not been fitted.
    pub(super) fn new(settings: &AsLoggedSettings) -> Result<Self> {
        let learned = settings.signals.iter().zip(&settings.imitations).all(|(s, i)| *s == i.signal());
        match learned && settings.imitations.len() == settings.signals.len() {
            true => Ok(Self(settings.clone())),
            false => Err(Error::Internal("the imitations were not fitted before the controller was built".into())),
        }
    }
}

impl Controller for AsLogged {
    fn signals(&self) -> &[usize] {
        &self.0.signals
    }

    fn depth(&self) -> usize {
        2
    }

    fn act(&mut self, observation: &Observation, control: &mut Control) -> Result<()> {
        for (imitation, values) in self.0.imitations.iter().zip(&mut control.values) {
            imitation.act(observation.window, values);
        }
        Ok(())
    }
}
