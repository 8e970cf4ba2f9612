//! Constant controls.

use indexmap::IndexMap;

use super::{Control, Controller, Observation};
use crate::config::At;
use crate::error::Result;
use crate::resolve::{Faults, Names, all};

/// Columns and values of the controls that are held constant.
#[derive(Debug, Clone)]
pub struct HoldSettings {
    pub signals: Vec<usize>,
    pub values: Vec<f64>,
}

impl HoldSettings {
    pub(super) fn resolve(
        faults: &mut Faults<'_>,
        names: &Names<'_>,
        owner: &str,
        values: &IndexMap<String, At<f64>>,
    ) -> Option<Self> {
        let signals = all(values.iter().map(|(name, value)| {
            let signal = names.control_key(faults, name, &value.span)?;
            names.within_limits(faults, name, value, owner);
            Some(signal)
        }));
        Some(Self { signals: signals?, values: values.values().map(|v| v.value).collect() })
    }
}

/// Holds each named control at a constant value c: u(t) = c. `max_move` limits how fast a control reaches its value.
#[derive(Debug, Clone)]
pub struct Hold(HoldSettings);

impl Hold {
    pub(super) fn new(settings: &HoldSettings) -> Self {
        Self(settings.clone())
    }
}

impl Controller for Hold {
    fn signals(&self) -> &[usize] {
        &self.0.signals
    }

    fn act(&mut self, _: &Observation, control: &mut Control) -> Result<()> {
        for (column, value) in control.values.iter_mut().zip(&self.0.values) {
            column.fill(*value);
        }
        Ok(())
    }
}
