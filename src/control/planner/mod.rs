//! Planners: how MPC finds a plan.

use crate::rng::Key;
use crate::schema::Range;

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
    /// Typical size of a control's variation in the log; the first spread of the samplers.
    pub scale: Vec<f64>,
    /// Cost of candidates: `[candidates][moves * controls]` → `[candidates]`; lower is better; NaN ranks last.
    pub cost: &'a mut dyn FnMut(&[Vec<f64>], &mut Vec<f64>),
    pub key: Key,
}

/// The best sequence found.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// `[moves * controls]`, feasible: bounds, moves and multiples hold.
    pub controls: Vec<f64>,
    pub cost: f64,
    /// Spread and elites that the next plan may start from; meaning private to the planner.
    pub memory: Vec<Vec<f64>>,
}

pub trait Planner: Send + Sync {
    fn name(&self) -> &'static str;
    /// `warm`: the last plan, already shifted to now.
    fn plan(&self, problem: &mut Problem, warm: Option<&Plan>) -> Plan;
}
