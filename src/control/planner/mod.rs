//! Planners: how MPC finds a plan.
//!
//! A planner draws sequences of moves, has them priced, and draws again nearer to the good ones. All are black-box: they
//! see costs only. Every sequence goes through [`project`] before it is priced, so that the price is that of what would
//! be done, and the plan that comes out always holds its limits.

mod cem;
mod icem;
mod project;
mod search;

pub use cem::Cem;
pub use icem::Icem;
pub use project::{project, reach};

use crate::rng::Key;
use crate::schema::Range;
use crate::spec::PlannerSpec;

/// What the candidates of a plan cost. A closure over candidates and costs is one that has no slopes.
pub trait Price {
    /// `[candidates][moves * controls]` → `[candidates]`; lower is better; NaN ranks last.
    fn cost(&mut self, candidates: &[Vec<f64>], costs: &mut Vec<f64>);
    /// The cost around the feasible sequence `at`; `None` where it has no slopes, or is not finite.
    fn near(&mut self, _at: &[f64]) -> Option<Local> {
        None
    }
}

impl<F: FnMut(&[Vec<f64>], &mut Vec<f64>)> Price for F {
    fn cost(&mut self, candidates: &[Vec<f64>], costs: &mut Vec<f64>) {
        self(candidates, costs);
    }
}

/// The cost around a sequence, as a function of the change δ of its values, `[moves * controls]`:
/// cost + gradient · δ + ½ |residuals + jacobian δ|² − ½ |residuals|².
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Local {
    pub cost: f64,
    /// Slopes of what is no sum of squares.
    pub gradient: Vec<f64>,
    /// Whose squares are to be least; weights are in them.
    pub residuals: Vec<f64>,
    /// `[moves * controls][residuals]`.
    pub jacobian: Vec<Vec<f64>>,
    /// Hard limits of what the plant does: slopes · δ ≤ room.
    pub limits: Vec<LocalLimit>,
}

/// slopes · δ ≤ room; a negative room is a limit that the sequence breaks.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalLimit {
    /// `[moves * controls]`.
    pub slopes: Vec<f64>,
    pub room: f64,
}

/// One optimisation: the candidates are sequences of `moves` × `controls` values, flattened move-major.
pub struct Problem<'a> {
    pub moves: usize,
    /// Bounds of each control: hard limits, and what the log has seen.
    pub bounds: Vec<Range>,
    /// Largest change per move of each control (infinite: none), first move relative to `previous`.
    pub max_move: Vec<f64>,
    /// Whole multiples (0: any value).
    pub multiple: Vec<f64>,
    /// Controls in force now.
    pub previous: Vec<f64>,
    /// Typical size of a control's variation in the log; the first spread of the samplers (0 or infinite: a quarter of
    /// the bounds' width).
    pub scale: Vec<f64>,
    pub price: &'a mut dyn Price,
    pub key: Key,
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
}

/// The best sequence found.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// `[moves * controls]`, feasible: bounds, moves and multiples hold.
    pub controls: Vec<f64>,
    /// Infinite when no candidate had a finite cost; the controls are then the ones in force, held.
    pub cost: f64,
    /// Sequences that the next plan may start from, `[n][moves * controls]` in the layout of `controls` and shifted in
    /// time together with them; otherwise private to the planner.
    pub memory: Vec<Vec<f64>>,
}

pub trait Planner: Send + Sync {
    fn name(&self) -> &'static str;
    /// `warm`: the last plan, already shifted to now. The plan found is never worse than it, nor than holding.
    fn plan(&self, problem: &mut Problem, warm: Option<&Plan>) -> Plan;
}

/// The planner that a scenario names.
pub fn build(spec: &PlannerSpec) -> Box<dyn Planner> {
    match spec {
        PlannerSpec::Cem { population, elites, iterations, smoothing } => Box::new(Cem {
            population: population.value,
            elites: elites.value,
            iterations: iterations.value,
            smoothing: smoothing.value,
        }),
        PlannerSpec::Icem { population, elites, iterations, smoothing, beta, decay, keep } => Box::new(Icem {
            population: population.value,
            elites: elites.value,
            iterations: iterations.value,
            smoothing: smoothing.value,
            beta: beta.value,
            decay: decay.value,
            keep: keep.value,
        }),
    }
}
