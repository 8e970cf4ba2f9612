//! The model families from which the model of a plant is chosen.
//!
//! | model | prediction of a target | fit |
//! |---|---|---|
//! | `persistence` | the last value | none |
//! | `linear` | a + w · x | ridge regression, O(n p²) |
//! | `forest` | linear + mean of regression trees | random forest on the residual, O(trees · p n log n) |
//! | `gp` | mean function + Gaussian process | marginal likelihood, O(n³), or O(n m²) with m inducing points |
//! | `ensemble` | linear + mean of neural networks | stochastic gradient descent, O(epochs · n · weights) |
//! | `stack` | weighted mean of the others | weights that minimise the out-of-fold multi-step CRPS |
//! | `mean` | a constant for each output that no input explains, and another model for all other targets | mean |
//!
//! In the table, n is the number of rows and p the number of inputs. The learned models also have ensemble members,
//! whose spread measures the epistemic uncertainty.

mod artefact;
mod blocks;
mod ensemble;
mod feedback;
mod forest;
pub mod gp;
mod horizon;
mod lbfgs;
mod linear;
mod mean;
pub mod outliers;
mod persistence;
mod ridge;
mod stack;

use std::sync::Arc;

use outliers::inliers;

use super::regressor::{Fit, Regressor};
use crate::compute::Compute;
use crate::error::{Error, Result, nearest, plural};

pub use ensemble::Ensemble;
pub use forest::Forest;
pub use gp::Gp;
pub use linear::Linear;
pub use mean::{MEAN, Mean};
pub use persistence::Persistence;
pub use stack::{STACK, Stack};

/// A family of models. To add a family, add a file to this folder, a variant with a name, and a match arm in [`fit`]
/// and in [`decode`]. [`Stack`] and [`Mean`] are not model families, because they are built from fitted models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Persistence,
    Linear,
    Forest,
    Gp,
    Ensemble,
}

impl Family {
    const ALL: [Self; 5] = [Self::Persistence, Self::Linear, Self::Forest, Self::Gp, Self::Ensemble];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Persistence => "persistence",
            Self::Linear => "linear",
            Self::Forest => "forest",
            Self::Gp => "gp",
            Self::Ensemble => "ensemble",
        }
    }

    /// # Errors
    /// Returns [`Error::Usage`] if no family has this name.
    pub fn from_name(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|f| f.name() == name).ok_or_else(|| {
            let hint =
                nearest(name, NAMES.iter().copied()).map_or_else(String::new, |n| format!("; did you mean `{n}`?"));
            Error::Usage(format!("there is no model `{name}`; the models are {}{hint}", NAMES.join(", ")))
        })
    }
}

/// Names of the model families.
pub const NAMES: &[&str] = &{
    let mut names = [""; Family::ALL.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = Family::ALL[i].name();
        i += 1;
    }
    names
};

/// Fits the model `name`. Outliers are excluded from the fit ([`outliers`]).
///
/// # Errors
/// Returns [`Error::Usage`] if the name is unknown, or [`Error::Data`] if there are too few
/// transitions.
pub fn fit(name: &str, fit: &Fit) -> Result<Arc<dyn Regressor>> {
    let Fit { data, rows, options, .. } = *fit;
    let family = Family::from_name(name)?;
    if family == Family::Persistence {
        return Ok(Arc::new(Persistence::new(&data.layout)?));
    }
    let inliers = inliers(data, rows)?;
    let needed = (2 * (data.x.len() + 1)).max(30);
    if inliers.rows.len() < needed && !data.y.is_empty() {
        return Err(Error::Data(format!(
            "the log is too short to fit `{name}`: it contains {} with gap-free measurements of all signals over {}, \
             but at least {needed} are needed for {}. Run `inspect` to find missing values, use a longer log, reduce \
             `model.lags`, or list unimportant signals in `model.ignore`",
            plural(inliers.rows.len(), "training row", "training rows"),
            plural(options.lags.value + 1, "step", "steps"),
            plural(data.x.len(), "input", "inputs"),
        )));
    }
    fit_rows(family, &Fit { rows: &inliers.rows, ..*fit })
}

/// Fits a model to all rows of `fit`, outliers included.
///
/// # Errors
/// Returns [`Error::Data`] if the model cannot be fitted to these rows.
pub fn fit_rows(family: Family, fit: &Fit) -> Result<Arc<dyn Regressor>> {
    Ok(match family {
        Family::Persistence => Arc::new(Persistence::new(&fit.data.layout)?),
        Family::Linear => Arc::new(Linear::fit(fit)?),
        Family::Forest => Arc::new(Forest::fit(fit)?),
        Family::Gp => Arc::new(Gp::fit(fit)?),
        Family::Ensemble => Arc::new(Ensemble::fit(fit)?),
    })
}

/// Restores the model `name` from the bytes that [`Regressor::encode`] returned. `compute` is the backend for the
/// predictions of the model.
///
/// # Errors
/// Returns [`Error::Usage`] if the name is unknown, or [`Error::Data`] if the bytes do not contain
/// a valid model of that name.
pub fn decode(name: &str, bytes: &[u8], compute: &Compute) -> Result<Arc<dyn Regressor>> {
    if name == STACK {
        return Ok(Arc::new(Stack::decode(bytes, compute)?));
    }
    if name == MEAN {
        return Ok(Arc::new(Mean::decode(bytes, compute)?));
    }
    Ok(match Family::from_name(name)? {
        Family::Persistence => Arc::new(Persistence::decode(bytes)?),
        Family::Linear => Arc::new(Linear::decode(bytes)?),
        Family::Forest => Arc::new(Forest::decode(bytes)?),
        Family::Gp => Arc::new(Gp::decode(bytes, compute)?),
        Family::Ensemble => Arc::new(Ensemble::decode(bytes, compute)?),
    })
}
