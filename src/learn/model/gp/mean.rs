//! The mean function of the Gaussian processes.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::config::MeanSpec;
use crate::error::Result;
use crate::learn::model::artefact;
use crate::learn::model::linear::Linear;
use crate::learn::regressor::{Fit, Regressor};

/// The mean function of all targets, in physical units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Mean {
    Linear(Linear),
    Constant {
        inputs: usize,
        /// `[targets]`.
        values: Vec<f64>,
    },
}

impl Mean {
    pub fn fit(fit: &Fit) -> Result<Self> {
        Ok(match fit.options.gp.mean {
            MeanSpec::Linear => Self::Linear(Linear::fit(fit)?),
            MeanSpec::Constant => {
                Self::Constant { inputs: fit.data.x.len(), values: fit.data.target_scaling(fit.rows).mean }
            }
        })
    }

    /// Returns the numbers of inputs and outputs (p, q).
    pub fn shape(&self) -> (usize, usize) {
        match self {
            Self::Linear(linear) => linear.shape(),
            Self::Constant { inputs, values } => (*inputs, values.len()),
        }
    }

    /// Checks the sizes and values of a mean function restored from bytes.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Linear(linear) => linear.check(),
            Self::Constant { values, .. } if values.iter().all(|v| v.is_finite()) => Ok(()),
            Self::Constant { .. } => Err(artefact::corrupt("gp", "a mean is NaN")),
        }
    }

    /// Writes the values of the mean function at `rows` to `out`.
    pub fn predict_rows(&self, x: &[&[f64]], rows: Range<usize>, out: &mut [Vec<f64>]) {
        match self {
            Self::Linear(linear) => linear.predict_rows(x, rows, None, out),
            Self::Constant { values, .. } => {
                for (value, out) in values.iter().zip(out) {
                    out[rows.clone()].fill(*value);
                }
            }
        }
    }
}
