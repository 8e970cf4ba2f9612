//! The optimisation problem of a planner, its cost function and its result.

use super::constraints::ControlConstraints;
use super::linearisation::Linearisation;
use crate::rng::Key;
use crate::schema::Bounds;

/// The cost that a planner minimises. Closures over candidates and costs implement it, but have no derivatives.
pub trait CostFunction {
    /// Appends the cost of each candidate, `[moves * controls]` each. NaN marks a cost that cannot be computed; it ranks last.
    fn evaluate(&mut self, candidates: &[Vec<f64>], costs: &mut Vec<f64>);
    /// Local model of the cost at the feasible sequence `at`; `None` if there are no derivatives, or if they are not finite.
    fn linearise(&mut self, _at: &[f64]) -> Option<Linearisation> {
        None
    }
}

impl<F: FnMut(&[Vec<f64>], &mut Vec<f64>)> CostFunction for F {
    fn evaluate(&mut self, candidates: &[Vec<f64>], costs: &mut Vec<f64>) {
        self(candidates, costs);
    }
}

/// One optimisation. A candidate has `moves` × `controls` values, flattened move by move.
pub struct Problem<'a> {
    pub moves: usize,
    /// Length of each move in steps.
    pub steps: Vec<usize>,
    /// `[controls]`.
    pub constraints: Vec<ControlConstraints>,
    pub totals: Vec<TotalLimit>,
    /// Current value of each control.
    pub previous: Vec<f64>,
    /// Number of steps for which each control has been on, or off.
    pub since: Vec<usize>,
    /// Typical variation of each control in the log, from which the samplers take their first standard deviation. Zero or
    /// infinite: a quarter of the width of the bounds.
    pub scale: Vec<f64>,
    pub cost_function: &'a mut dyn CostFunction,
    pub key: Key,
    /// Whether the time budget is used up. Planners check it between batches, and then return the best plan found so
    /// far.
    pub out_of_time: &'a dyn Fn() -> bool,
}

/// Limits on the total of a control over the horizon: Σ value × steps of the move.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TotalLimit {
    pub control: usize,
    pub bounds: Bounds,
}

impl TotalLimit {
    pub(super) fn sum(&self, problem: &Problem, sequence: &[f64]) -> f64 {
        let values = sequence.iter().skip(self.control).step_by(problem.controls());
        values.zip(&problem.steps).map(|(v, steps)| v * *steps as f64).sum()
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

    /// Bounds of a control. An open bound is replaced by four scales from the current value (guess).
    pub(super) fn finite_bounds(&self, control: usize) -> Bounds {
        let Bounds { low, high } = self.constraints[control].bounds;
        let now = if self.previous[control].is_finite() { self.previous[control] } else { 0.0 };
        let far = 4.0 * self.scale(control, 1.0);
        let low = if low.is_finite() { low } else { now.min(high) - far };
        let high = if high.is_finite() { high } else { now.max(low) + far };
        Bounds { low, high }
    }

    /// Standard deviation from which the samplers start; zero if the control cannot move.
    pub(super) fn initial_deviation(&self, control: usize) -> f64 {
        let ControlConstraints { bounds, multiple, switching, .. } = self.constraints[control];
        let width = bounds.high - bounds.low;
        let scale = self.scale(control, if width.is_finite() { 0.25 * width } else { 1.0 });
        // With a larger deviation, most draws would be clamped to the bounds.
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
    /// `[moves * controls]`, feasible ([`super::project()`]).
    pub controls: Vec<f64>,
    /// Infinite if no candidate had a finite cost; the controls then stay at their current values.
    pub cost: f64,
    /// Sequences from which the next plan may start, `[n][moves * controls]`. They have the layout of `controls` and are
    /// shifted in time together with them. Only the planner that wrote them reads them.
    pub memory: Vec<Vec<f64>>,
}

/// An optimiser of move sequences.
pub trait Planner: Send + Sync {
    fn name(&self) -> &'static str;
    /// `warm`: the last plan, already shifted to the current step. The new plan is never worse than `warm`, and never worse
    /// than holding the controls.
    fn plan(&self, problem: &mut Problem, warm: Option<&Plan>) -> Plan;
}
