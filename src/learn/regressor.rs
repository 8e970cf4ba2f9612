//! The interface of the learned models, which map input columns to target columns.

use std::fmt::Debug;
use std::ops::Range;

use super::dataset::Dataset;
use crate::compute::Compute;
use crate::config::ModelSpec;

/// The rows of a batch that belong to one particle and therefore share one ensemble member and one noise sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Particle {
    /// Ensemble member; `None` for the mean model.
    pub member: Option<usize>,
    pub rows: Range<usize>,
}

/// A function that maps p input columns to q output columns, in the physical units of the signals.
pub trait Regressor: Send + Sync + Debug {
    /// Name of the model, as used in `model.choose`.
    fn name(&self) -> &'static str;
    /// Numbers of input and output columns as a pair (p, q).
    fn shape(&self) -> (usize, usize);
    /// Number of ensemble members, such as bootstrap models, groups of trees or posterior draws; 1 if there is only the
    /// mean model.
    fn members(&self) -> usize;
    /// Predicts the targets. `x`: p input columns of length `rows`. `out`: q output columns, overwritten at the rows of
    /// the particles. Member numbers are taken modulo the number of members. The prediction for a row does not depend
    /// on other rows.
    fn predict(&self, x: &[&[f64]], particles: &[Particle], out: &mut [Vec<f64>]);
    /// Serialises the model. [`super::model::decode`] restores an identical model from these bytes.
    fn encode(&self) -> Vec<u8>;
    /// Returns the coefficients of the model if the model is linear.
    fn coefficients(&self) -> Option<Coefficients> {
        None
    }
    /// Returns true if predictions are differentiable with respect to the inputs. Gradient-based
    /// planners, which use finite differences, require a differentiable model.
    fn is_differentiable(&self) -> bool {
        false
    }
    /// Computes the aleatoric standard deviation of the targets at the rows of the particles, as predicted by each
    /// particle's ensemble member. `out` has the same layout as in [`Regressor::predict`]. Returns `false` and writes
    /// nothing if the model is homoscedastic.
    fn aleatoric(&self, _x: &[&[f64]], _particles: &[Particle], _out: &mut [Vec<f64>]) -> bool {
        false
    }
    /// Computes the epistemic standard deviation of each target at each of the first `rows` rows. The default
    /// implementation returns the standard deviation of the predictions over the ensemble members.
    fn epistemic(&self, x: &[&[f64]], rows: usize, out: &mut [Vec<f64>]) {
        let members = self.members().max(1);
        let q = self.shape().1;
        let (mut sum, mut squares) = (vec![vec![0.0; rows]; q], vec![vec![0.0; rows]; q]);
        let mut predicted = vec![vec![0.0; rows]; q];
        self.predict(x, &[Particle { member: None, rows: 0..rows }], out);
        for m in 0..members {
            self.predict(x, &[Particle { member: Some(m), rows: 0..rows }], &mut predicted);
            for j in 0..q {
                for r in 0..rows {
                    // The variance is computed from deviations from the mean model to avoid numerical cancellation.
                    let d = predicted[j][r] - out[j][r];
                    sum[j][r] += d;
                    squares[j][r] += d * d;
                }
            }
        }
        let n = members as f64;
        for j in 0..q {
            for r in 0..rows {
                let variance = (squares[j][r] - sum[j][r].powi(2) / n) / (n - 1.0).max(1.0);
                out[j][r] = variance.max(0.0).sqrt();
            }
        }
    }
    /// An optional remark for users on how the model was fitted.
    fn note(&self) -> Option<String> {
        None
    }
    /// Hyper-parameters that a refit on other rows can reuse ([`Fit::hyper`]); empty if the model has no
    /// hyper-parameters.
    fn hyper(&self) -> Vec<f64> {
        Vec::new()
    }
}

/// A linear model y = intercept + weights · x, in physical units.
#[derive(Debug, Clone, PartialEq)]
pub struct Coefficients {
    /// `[targets]`.
    pub intercept: Vec<f64>,
    /// `[targets][inputs]`.
    pub weights: Vec<Vec<f64>>,
}

/// The data and the settings for fitting a model.
#[derive(Debug, Clone, Copy)]
pub struct Fit<'a> {
    /// All transitions, in the layout of the model ([`super::layout::Layout::for_model`]).
    pub data: &'a Dataset,
    /// Indices of the transitions in `data` to which the model is fitted.
    pub rows: &'a [usize],
    /// Chronological blocks of transitions for tuning hyper-parameters. Transitions outside `rows` are ignored.
    pub folds: &'a [Vec<usize>],
    pub options: &'a ModelSpec,
    pub seed: u64,
    pub compute: &'a Compute,
    /// Whether a cheaper, less exact fit is sufficient, as it is for leave-one-fold-out refits, from which only the
    /// errors are used.
    pub draft: bool,
    /// Hyper-parameters of the model fitted on all training rows ([`Regressor::hyper`]), for use in a
    /// leave-one-fold-out refit; empty for other fits.
    pub hyper: &'a [f64],
}
