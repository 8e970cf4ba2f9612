//! The interface of the learned models: columns of inputs in, columns of targets out.

use std::fmt::Debug;
use std::ops::Range;

use super::dataset::Dataset;
use crate::compute::Compute;
use crate::config::ModelSpec;

/// The rows of a batch that belong to one particle: they share one function of the model and one noise sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Particle {
    /// Member of the model's ensemble; `None`: the mean model.
    pub member: Option<usize>,
    pub rows: Range<usize>,
}

/// Pure statistics: p input columns to q output columns, in the layout's physical units.
pub trait Regressor: Send + Sync + Debug {
    /// Name in the model list.
    fn name(&self) -> &'static str;
    /// (p, q): input and output columns.
    fn shape(&self) -> (usize, usize);
    /// Distinct functions that particles can follow (bootstrap members, groups of trees); 1 when there is only the mean.
    fn members(&self) -> usize;
    /// `x`: p columns `[rows]`; `out`: q columns `[rows]`, overwritten for the rows of the particles. A member beyond
    /// the last counts from the first again. A row's result does not depend on the other rows.
    fn predict(&self, x: &[&[f64]], particles: &[Particle], out: &mut [Vec<f64>]);
    /// The model as bytes; [`decode`] gives it back bit for bit.
    fn encode(&self) -> Vec<u8>;
    /// The coefficients of a linear model.
    fn coefficients(&self) -> Option<Coefficients> {
        None
    }
    /// Vector-Jacobian product: `out[k][r] = Σ_j cotangent[j][r] · ∂y_j/∂x_k` at row r of each particle, with the function
    /// that its member follows. `cotangent`: q columns, `out`: p columns, overwritten for the rows of the particles.
    /// `false`, and nothing written: the model has no derivatives.
    fn vjp(&self, _x: &[&[f64]], _particles: &[Particle], _cotangent: &[Vec<f64>], _out: &mut [Vec<f64>]) -> bool {
        false
    }
    /// Aleatoric standard deviation of each target at each row, as the function of each particle sees it: what would
    /// remain if the function were known. `out` as in [`Regressor::predict`]. `false`, and nothing written: the model
    /// takes it to be the same everywhere.
    fn aleatoric(&self, _x: &[&[f64]], _particles: &[Particle], _out: &mut [Vec<f64>]) -> bool {
        false
    }
    /// Epistemic standard deviation of each target at each of `rows` rows: how far the functions that the training data
    /// leave open differ. Unless a model knows it in closed form, the standard deviation over its members.
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
                    // About the mean model, so that the squares do not cancel.
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
    /// What was used, where a reader should know it.
    fn note(&self) -> Option<String> {
        None
    }
    /// Hyper-parameters from which a refit on other rows may start ([`Fit::hyper`]); empty when there are none.
    fn hyper(&self) -> Vec<f64> {
        Vec::new()
    }
}

/// A linear model, y = intercept + weights · x, in physical units.
#[derive(Debug, Clone, PartialEq)]
pub struct Coefficients {
    /// `[targets]`.
    pub intercept: Vec<f64>,
    /// `[targets][inputs]`.
    pub weights: Vec<Vec<f64>>,
}

/// What a model is fitted to, and how.
#[derive(Debug, Clone, Copy)]
pub struct Fit<'a> {
    /// Its layout is [`super::layout::Layout::of`] the model's name.
    pub data: &'a Dataset,
    /// Transitions of `data` to fit.
    pub rows: &'a [usize],
    /// Time-ordered blocks of transitions, on which the model tunes itself; rows of folds that are not in `rows` are
    /// not seen.
    pub folds: &'a [Vec<usize>],
    pub options: &'a ModelSpec,
    pub seed: u64,
    pub compute: &'a Compute,
    /// A refit without a fold, of which only the errors are measured: it may be cheaper.
    pub draft: bool,
    /// [`Regressor::hyper`] of the same model fitted to all training rows, for a refit without a fold; else empty.
    pub hyper: &'a [f64],
}
