//! The persistence model, a baseline in which every signal keeps its last value.

use serde::{Deserialize, Serialize};

use super::artefact;
use crate::error::{Error, Result};
use crate::learn::layout::{Layout, Target};
use crate::learn::regressor::{Coefficients, Particle, Regressor};

/// Predicts zero increments, zero residuals and the last value of each output. The layout of the
/// model is [`Layout::persistence`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Persistence {
    inputs: usize,
    /// For each target, the input column whose value is the prediction; `None` if the prediction is zero.
    repeats: Vec<Option<usize>>,
}

impl Persistence {
    pub(super) fn new(layout: &Layout) -> Result<Self> {
        let repeats = |target: &Target| match *target {
            Target::Delta(_) | Target::Residual(_) => Ok(None),
            Target::Level(s) => match layout.inputs.iter().position(|&i| i == (s, 1)) {
                Some(k) => Ok(Some(k)),
                None => Err(Error::Internal("the layout is not that of the persistence model".into())),
            },
        };
        Ok(Self { inputs: layout.inputs.len(), repeats: layout.targets.iter().map(repeats).collect::<Result<_>>()? })
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let model: Self = artefact::decode("persistence", bytes)?;
        if model.repeats.iter().flatten().any(|&k| k >= model.inputs) {
            return Err(artefact::corrupt("persistence", "a target refers to an input that does not exist"));
        }
        Ok(model)
    }
}

impl Regressor for Persistence {
    fn name(&self) -> &'static str {
        "persistence"
    }

    fn shape(&self) -> (usize, usize) {
        (self.inputs, self.repeats.len())
    }

    fn members(&self) -> usize {
        1
    }

    fn predict(&self, x: &[&[f64]], particles: &[Particle], out: &mut [Vec<f64>]) {
        for (repeat, out) in self.repeats.iter().zip(out) {
            for p in particles {
                match *repeat {
                    Some(k) => out[p.rows.clone()].copy_from_slice(&x[k][p.rows.clone()]),
                    None => out[p.rows.clone()].fill(0.0),
                }
            }
        }
    }

    fn encode(&self) -> Vec<u8> {
        artefact::encode(self)
    }

    fn coefficients(&self) -> Option<Coefficients> {
        let weights =
            |repeat: &Option<usize>| (0..self.inputs).map(|i| f64::from(u8::from(*repeat == Some(i)))).collect();
        let weights = self.repeats.iter().map(weights).collect();
        Some(Coefficients { intercept: vec![0.0; self.repeats.len()], weights })
    }

    fn is_differentiable(&self) -> bool {
        true
    }
}
