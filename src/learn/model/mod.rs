//! The models that can learn a plant, behind one list.

mod artefact;
mod blocks;
mod ensemble;
mod feedback;
mod forest;
pub mod gp;
mod grow;
mod horizon;
mod linear;
mod persistence;
mod ridge;
mod stack;
mod tree;

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use super::dataset::Dataset;
use crate::compute::Compute;
use crate::config::ModelSpec;
use crate::error::{Error, Result, nearest, plural};

pub use ensemble::Ensemble;
pub use forest::Forest;
pub use gp::Gp;
pub use linear::Linear;
pub use persistence::Persistence;
pub use stack::{STACK, Stack};

/// The models that are fitted, by name. A new one is a file here, its name, and a line in [`fit`] and [`decode`]. Their
/// [`Stack`] is made of those that were.
pub const NAMES: &[&str] = &["persistence", "linear", "forest", "gp", "ensemble"];

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
    /// Its layout is [`super::Layout::of`] the model's name.
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

/// Fits the model called `name`. Outlying rows ([`Dataset::usual`]) are left out.
///
/// # Errors
/// [`Error::Usage`] for an unknown name, [`Error::Data`] when there are too few transitions.
pub fn fit(name: &str, fit: &Fit) -> Result<Arc<dyn Regressor>> {
    let Fit { data, rows, options, .. } = *fit;
    if !NAMES.contains(&name) {
        return Err(unknown(name));
    }
    if name == "persistence" {
        return Ok(Arc::new(Persistence::new(&data.layout)?));
    }
    let usual = data.usual(rows);
    let needed = (2 * (data.x.len() + 1)).max(30);
    if usual.rows.len() < needed && !data.y.is_empty() {
        return Err(Error::Data(format!(
            "too little to fit `{name}` on: {} where every signal is measured at {} in a row, and at least {needed} are \
             needed for {}; see `inspect` for what is missing, use a longer log, fewer `model.lags`, or name signals \
             that no model needs in `model.ignore`",
            plural(usual.rows.len(), "training row"),
            plural(options.lags.value + 1, "step"),
            plural(data.x.len(), "input"),
        )));
    }
    let fit = Fit { rows: &usual.rows, ..*fit };
    Ok(match name {
        "linear" => Arc::new(Linear::fit(&fit)?),
        "gp" => Arc::new(Gp::fit(&fit)?),
        "ensemble" => Arc::new(Ensemble::fit(&fit)?),
        _ => Arc::new(Forest::fit(&fit)?),
    })
}

/// The model called `name` from the bytes that its [`Regressor::encode`] gave; what it computes, `compute` does.
///
/// # Errors
/// [`Error::Usage`] for an unknown name, [`Error::Data`] when the bytes are not such a model.
pub fn decode(name: &str, bytes: &[u8], compute: &Compute) -> Result<Arc<dyn Regressor>> {
    Ok(match name {
        "persistence" => Arc::new(Persistence::decode(bytes)?),
        "linear" => Arc::new(Linear::decode(bytes)?),
        "forest" => Arc::new(Forest::decode(bytes)?),
        "gp" => Arc::new(Gp::decode(bytes, compute)?),
        "ensemble" => Arc::new(Ensemble::decode(bytes, compute)?),
        STACK => Arc::new(Stack::decode(bytes, compute)?),
        _ => return Err(unknown(name)),
    })
}

fn unknown(name: &str) -> Error {
    let hint = nearest(name, NAMES.iter().copied()).map_or_else(String::new, |n| format!("; did you mean `{n}`?"));
    Error::Usage(format!("there is no model `{name}`; the models are {}{hint}", NAMES.join(", ")))
}
