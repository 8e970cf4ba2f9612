//! The optimisation problem of a planner, its cost function and its result.

use super::constraints::ControlConstraints;
use super::form::Form;
use super::linearisation::Linearisation;
use super::mixed_integer::Model;
use crate::rng::Key;
use crate::schema::Bounds;

/// The cost that a planner minimises. Closures with the arguments of `evaluate` implement this trait, but provide no
/// derivatives.
pub trait CostFunction {
    /// Writes the cost of each candidate, `[moves * controls]`, to `costs`, which is empty before the call. A cost that
    /// cannot be computed is NaN and ranks last.
    fn evaluate(&mut self, candidates: &[Vec<f64>], costs: &mut Vec<f64>);
    /// Local model of the cost around the feasible sequence `at`; `None` if derivatives are not
    /// available or not finite.
    fn linearise(&mut self, _at: &[f64]) -> Option<Linearisation> {
        None
    }
    /// Adds the cost of the moves `targets` to `model`, relative to the feasible sequence `at`, both
    /// `[moves * controls]`. Returns false if the cost is not piecewise linear.
    fn formulate(&mut self, _model: &mut Model, _targets: &[Form], _at: &[f64]) -> bool {
        false
    }
    /// Starts a simulation of partial sequences; `None` if only complete sequences can be simulated.
    fn branches(&mut self) -> Option<Box<dyn Branches + '_>> {
        None
    }
}

/// A simulation of many partial sequences, which begins with one empty sequence and continues move by move.
pub trait Branches {
    /// Replaces the sequences: the new sequence `r` is the current sequence `parents[r]`, followed
    /// by row `r` of `moves`, `[sequences][controls]`.
    fn extend(&mut self, parents: &[usize], moves: &[f64]);
    /// Cost of each sequence up to its last move: `[sequences]`. A cost that cannot be computed is NaN.
    fn costs(&self) -> &[f64];
    /// Writes to `out` a hash of the grid cell that contains the state after each sequence: `[sequences]`. The grid
    /// divides the range of each signal into `cells` cells.
    fn cells(&self, cells: f64, out: &mut Vec<u64>);
}

impl<F: FnMut(&[Vec<f64>], &mut Vec<f64>)> CostFunction for F {
    fn evaluate(&mut self, candidates: &[Vec<f64>], costs: &mut Vec<f64>) {
        self(candidates, costs);
    }
}

/// An optimisation problem. A candidate has `moves` × `controls` values, which are stored move by move.
pub struct Problem<'a> {
    pub moves: usize,
    /// Length of each move in steps.
    pub steps: Vec<usize>,
    /// `[controls]`.
    pub constraints: Vec<ControlConstraints>,
    pub totals: Vec<TotalLimit>,
    /// Current value of each control.
    pub previous: Vec<f64>,
    /// Number of steps since each control was last switched on or off.
    pub since: Vec<usize>,
    /// Typical variation of each control in the log, from which the initial standard deviation of
    /// the samplers is derived. If the variation is zero or infinite, a quarter of the width of the
    /// bounds is used instead.
    pub scale: Vec<f64>,
    pub cost_function: &'a mut dyn CostFunction,
    pub key: Key,
    /// Returns whether the time budget is used up. Planners call this function between batches.
    /// When the function returns true, they return the best plan found so far.
    pub out_of_time: &'a dyn Fn() -> bool,
}

/// Limits on the total of a control: the sum of value × number of contributing steps over all moves
/// of the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct TotalLimit {
    pub control: usize,
    pub bounds: Bounds,
    /// Number of steps in each move that contribute to the total: `[moves]`.
    pub steps: Vec<usize>,
}

impl TotalLimit {
    pub(super) fn sum(&self, problem: &Problem, sequence: &[f64]) -> f64 {
        let values = sequence.iter().skip(self.control).step_by(problem.controls());
        values.zip(&self.steps).map(|(v, steps)| v * *steps as f64).sum()
    }
}

impl Problem<'_> {
    pub fn controls(&self) -> usize {
        self.previous.len()
    }

    /// Length of a candidate.
    pub fn len(&self) -> usize {
        self.moves * self.controls()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Finite bounds of a control. An infinite bound is replaced by a value at a distance of four times `scale` from
    /// the current value (not tuned).
    pub(super) fn finite_bounds(&self, control: usize) -> Bounds {
        let Bounds { low, high } = self.constraints[control].bounds;
        let now = if self.previous[control].is_finite() { self.previous[control] } else { 0.0 };
        let far = 4.0 * self.scale(control, 1.0);
        let low = if low.is_finite() { low } else { now.min(high) - far };
        let high = if high.is_finite() { high } else { now.max(low) + far };
        Bounds { low, high }
    }

    /// Initial standard deviation of the samplers; zero if the control cannot move.
    pub(super) fn initial_deviation(&self, control: usize) -> f64 {
        let ControlConstraints { bounds, multiple, switching, .. } = self.constraints[control];
        let width = bounds.high - bounds.low;
        let scale = self.scale(control, if width.is_finite() { 0.25 * width } else { 1.0 });
        // With a larger standard deviation, most draws would be clamped to the bounds.
        scale.max(0.5 * multiple).max(switching.least).min(0.5 * width)
    }

    fn scale(&self, control: usize, otherwise: f64) -> f64 {
        let scale = self.scale[control];
        if scale.is_finite() && scale > 0.0 { scale } else { otherwise }
    }
}

/// The result of a planner.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Feasible sequence, `[moves * controls]` (see [`super::project()`]).
    pub controls: Vec<f64>,
    /// Cost of the sequence. If no candidate had a finite cost, the cost of the plan is infinite, and the sequence
    /// holds the controls at their current values.
    pub cost: f64,
    /// Sequences from which the next plan may start, `[n][moves * controls]`. Each sequence has the layout of
    /// `controls` and is shifted in time together with `controls`. A planner uses only sequences
    /// that were stored by the same planner.
    pub memory: Vec<Vec<f64>>,
    /// Lower bound on the cost of all plans, if the planner computes one.
    pub bound: Option<f64>,
}

/// An optimiser of move sequences.
pub trait Planner: Send + Sync {
    fn name(&self) -> &'static str;
    /// Computes a plan. `warm` is the last plan, already shifted to the current step. The cost of
    /// the new plan never exceeds the cost of `warm` or the cost of holding the controls.
    fn plan(&self, problem: &mut Problem, warm: Option<&Plan>) -> Plan;
}
