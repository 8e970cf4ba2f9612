//! A model that predicts some targets as constants: the means of the outputs that no input explains.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{artefact, decode};
use crate::compute::Compute;
use crate::error::{Error, Result};
use crate::learn::regressor::{Coefficients, Particle, Regressor};

/// Name of the model in which some targets are constants.
pub const MEAN: &str = "mean";

/// Predicts some targets as constants, and the others with another model.
#[derive(Debug)]
pub struct Mean {
    /// Number of input columns.
    inputs: usize,
    /// The model of the other targets; `None` if all targets are constants.
    other: Option<Arc<dyn Regressor>>,
    /// The constant of each target; `None` if `other` predicts the target.
    means: Vec<Option<f64>>,
}

/// The serialised form of a [`Mean`].
#[derive(Serialize, Deserialize)]
struct StoredMean {
    inputs: usize,
    /// Name and bytes of the model for the targets that are not constant.
    other: Option<(String, Vec<u8>)>,
    means: Vec<Option<f64>>,
}

impl Mean {
    /// Replaces the predictions of `model` for the targets that have a constant in `means`.
    ///
    /// # Errors
    /// Returns [`Error::Internal`] if the number of constants differs from the number of targets.
    pub fn new(model: Arc<dyn Regressor>, means: Vec<Option<f64>>) -> Result<Self> {
        let (inputs, targets) = model.shape();
        if means.len() != targets {
            return Err(Error::Internal("the number of constants differs from the number of targets".into()));
        }
        let other = means.iter().any(Option::is_none).then_some(model);
        Ok(Self { inputs, other, means })
    }

    pub(super) fn decode(bytes: &[u8], compute: &Compute) -> Result<Self> {
        let StoredMean { inputs, other, means } = artefact::decode(MEAN, bytes)?;
        let nested = other.as_ref().is_some_and(|(name, _)| name == MEAN);
        let other = match &other {
            Some((name, bytes)) if !nested => Some(decode(name, bytes, compute)?),
            _ => None,
        };
        let fits = other.as_ref().is_none_or(|o| o.shape() == (inputs, means.len()));
        let complete = other.is_some() || means.iter().all(Option::is_some);
        if nested || !fits || !complete || means.iter().flatten().any(|m| !m.is_finite()) {
            return Err(artefact::corrupt(MEAN, "its parts are inconsistent"));
        }
        Ok(Self { inputs, other, means })
    }

    /// Writes the constants, or zeros if `value` is false, to the columns of their targets.
    fn fill(&self, particles: &[Particle], out: &mut [Vec<f64>], value: bool) {
        for (mean, out) in self.means.iter().zip(out) {
            let Some(mean) = mean else { continue };
            let fill = if value { *mean } else { 0.0 };
            particles.iter().for_each(|p| out[p.rows.clone()].fill(fill));
        }
    }
}

impl Regressor for Mean {
    fn name(&self) -> &'static str {
        MEAN
    }

    fn shape(&self) -> (usize, usize) {
        (self.inputs, self.means.len())
    }

    fn members(&self) -> usize {
        self.other.as_ref().map_or(1, |o| o.members())
    }

    fn predict(&self, x: &[&[f64]], particles: &[Particle], out: &mut [Vec<f64>]) {
        if let Some(other) = &self.other {
            other.predict(x, particles, out);
        }
        self.fill(particles, out, true);
    }

    fn encode(&self) -> Vec<u8> {
        let other = self.other.as_ref().map(|o| (o.name().to_owned(), o.encode()));
        artefact::encode(&StoredMean { inputs: self.inputs, other, means: self.means.clone() })
    }

    fn coefficients(&self) -> Option<Coefficients> {
        let zero = || Coefficients {
            intercept: vec![0.0; self.means.len()],
            weights: vec![vec![0.0; self.inputs]; self.means.len()],
        };
        let mut found = self.other.as_ref().map_or_else(|| Some(zero()), |o| o.coefficients())?;
        for (k, mean) in self.means.iter().enumerate() {
            if let Some(mean) = mean {
                found.intercept[k] = *mean;
                found.weights[k].fill(0.0);
            }
        }
        Some(found)
    }

    fn is_differentiable(&self) -> bool {
        self.other.as_ref().is_none_or(|o| o.is_differentiable())
    }

    fn aleatoric(&self, x: &[&[f64]], particles: &[Particle], out: &mut [Vec<f64>]) -> bool {
        let known = self.other.as_ref().is_some_and(|o| o.aleatoric(x, particles, out));
        if known {
            self.fill(particles, out, false);
        }
        known
    }

    fn epistemic(&self, x: &[&[f64]], rows: usize, out: &mut [Vec<f64>]) {
        let all = [Particle { member: None, rows: 0..rows }];
        if let Some(other) = &self.other {
            other.epistemic(x, rows, out);
        }
        self.fill(&all, out, false);
    }

    fn note(&self) -> Option<String> {
        self.other.as_ref().and_then(|o| o.note())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::cpu;
    use crate::learn::layout::{Layout, Target};
    use crate::learn::model::Persistence;

    #[test]
    fn constants_replace_some_predictions_and_survive_a_file() {
        let layout = Layout { inputs: vec![(0, 1), (1, 1)], targets: vec![Target::Level(0), Target::Level(1)] };
        let other: Arc<dyn Regressor> = Arc::new(Persistence::new(&layout).unwrap());
        let mean = Mean::new(other.clone(), vec![None, Some(4.5)]).unwrap();
        let read = decode(MEAN, &mean.encode(), &cpu()).unwrap();
        let (a, b) = ([1.0, 2.0], [3.0, 4.0]);
        for model in [&mean as &dyn Regressor, &*read] {
            let mut out = vec![vec![0.0; 2]; 2];
            model.predict(&[&a, &b], &[Particle { member: None, rows: 0..2 }], &mut out);
            assert_eq!(out, [[1.0, 2.0], [4.5, 4.5]]);
        }
        let constant = Mean::new(other.clone(), vec![Some(1.0), Some(2.0)]).unwrap();
        assert_eq!(constant.coefficients().unwrap().intercept, [1.0, 2.0]);
        assert_eq!(decode(MEAN, &constant.encode(), &cpu()).unwrap().members(), 1);
        assert!(Mean::new(other, vec![Some(1.0)]).is_err());
    }
}
