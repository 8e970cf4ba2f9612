//! The models that can learn a plant, behind one list.

mod artefact;
mod blocks;
mod forest;
mod grow;
mod linear;
mod persistence;
mod ridge;
mod tree;

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use super::dataset::Dataset;
use crate::error::{Error, Result, nearest, plural};
use crate::spec::ModelSpec;

pub use forest::Forest;
pub use linear::Linear;
pub use persistence::Persistence;

/// The models, by name. A new one is a file here, its name, and a line in [`fit`] and [`decode`].
pub const NAMES: &[&str] = &["persistence", "linear", "forest"];

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
}

/// A linear model, y = intercept + weights · x, in physical units.
#[derive(Debug, Clone, PartialEq)]
pub struct Coefficients {
    /// `[targets]`.
    pub intercept: Vec<f64>,
    /// `[targets][inputs]`.
    pub weights: Vec<Vec<f64>>,
}

/// Fits the model called `name` to the transitions `rows` of `data`, whose layout is [`Layout::of`] that name.
/// `folds`: time-ordered blocks of transitions, on which the model tunes itself; rows of folds that are not in `rows`
/// are not seen. Outlying rows ([`Dataset::usual`]) are left out.
///
/// # Errors
/// [`Error::Usage`] for an unknown name, [`Error::Data`] when there are too few transitions.
///
/// [`Layout::of`]: super::Layout::of
pub fn fit(
    name: &str,
    data: &Dataset,
    rows: &[usize],
    folds: &[Vec<usize>],
    options: &ModelSpec,
    seed: u64,
) -> Result<Arc<dyn Regressor>> {
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
    Ok(match name {
        "linear" => Arc::new(Linear::fit(data, &usual.rows, folds, seed)?),
        _ => Arc::new(Forest::fit(data, &usual.rows, folds, seed)?),
    })
}

/// The model called `name` from the bytes that its [`Regressor::encode`] gave.
///
/// # Errors
/// [`Error::Usage`] for an unknown name, [`Error::Data`] when the bytes are not such a model.
pub fn decode(name: &str, bytes: &[u8]) -> Result<Arc<dyn Regressor>> {
    Ok(match name {
        "persistence" => Arc::new(Persistence::decode(bytes)?),
        "linear" => Arc::new(Linear::decode(bytes)?),
        "forest" => Arc::new(Forest::decode(bytes)?),
        _ => return Err(unknown(name)),
    })
}

fn unknown(name: &str) -> Error {
    let hint = nearest(name, NAMES.iter().copied()).map_or_else(String::new, |n| format!("; did you mean `{n}`?"));
    Error::Usage(format!("there is no model `{name}`; the models are {}{hint}", NAMES.join(", ")))
}
