//! The models that can learn a plant, behind one list.

use std::fmt::Debug;
use std::ops::Range;

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
    /// Distinct functions that particles can follow (bootstrap members, groups of trees); 1 when there is only the mean.
    fn members(&self) -> usize;
    /// `x`: p columns `[rows]`; `out`: q columns `[rows]`, overwritten.
    fn predict(&self, x: &[&[f64]], particles: &[Particle], out: &mut [Vec<f64>]);
}
