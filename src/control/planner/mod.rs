//! Planners: how MPC finds a plan.
//!
//! A planner has sequences of moves priced, and tries again nearer to the good ones. The samplers see costs only; others
//! ask for slopes ([`Price::near`]). Every sequence goes through [`project`] before it is priced, so that the price is that of what would
//! be done, and the plan that comes out always holds its limits.

mod allowed;
mod cem;
mod gauss_newton;
mod gradient;
mod icem;
mod local;
mod mcts;
mod mppi;
mod project;
mod qp;
mod quadratic;
mod search;
mod settings;
mod shooting;
mod trial;

pub use allowed::Allowed;
pub use cem::Cem;
pub use gauss_newton::GaussNewton;
pub use gradient::{Gradient, Polished};
pub use icem::Icem;
pub use local::{Local, LocalLimit};
pub use mcts::Mcts;
pub use mppi::Mppi;
pub use project::project;
pub use qp::Qp;
pub use settings::check_planner;
pub use shooting::RandomShooting;

use crate::config::PlannerSpec;
use crate::rng::Key;
use crate::schema::Bounds;

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

/// One optimisation: the candidates are sequences of `moves` × `controls` values, flattened move-major.
pub struct Problem<'a> {
    pub moves: usize,
    /// Steps of each move.
    pub steps: Vec<usize>,
    /// Of each control.
    pub allowed: Vec<Allowed>,
    pub totals: Vec<Total>,
    /// Controls in force now.
    pub previous: Vec<f64>,
    /// Steps for which they have been on, or off.
    pub since: Vec<usize>,
    /// Typical size of a control's variation in the log; the first spread of the samplers (0 or infinite: a quarter of
    /// the bounds' width).
    pub scale: Vec<f64>,
    pub price: &'a mut dyn Price,
    pub key: Key,
    /// Whether the time is up: asked between batches; the best plan so far is then the plan.
    pub late: &'a dyn Fn() -> bool,
}

/// Limits of what a control takes in total: Σ value × steps of the move.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Total {
    pub control: usize,
    pub range: Bounds,
}

impl Total {
    fn taken(&self, problem: &Problem, sequence: &[f64]) -> f64 {
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

    /// Bounds of a control, finite: where one is open, four scales from the value in force.
    fn reach(&self, control: usize) -> Bounds {
        let Bounds { low, high } = self.allowed[control].bounds;
        let now = if self.previous[control].is_finite() { self.previous[control] } else { 0.0 };
        let far = 4.0 * self.scale(control, 1.0);
        let low = if low.is_finite() { low } else { now.min(high) - far };
        let high = if high.is_finite() { high } else { now.max(low) + far };
        Bounds { low, high }
    }

    /// Typical deviation of a control; zero where it cannot move.
    fn spread(&self, control: usize) -> f64 {
        let Allowed { bounds, multiple, switching, .. } = self.allowed[control];
        let width = bounds.high - bounds.low;
        let wanted = self.scale(control, if width.is_finite() { 0.25 * width } else { 1.0 });
        // Half the width already throws most draws onto the bounds.
        wanted.max(0.5 * multiple).max(switching.least).min(0.5 * width)
    }

    fn scale(&self, control: usize, otherwise: f64) -> f64 {
        let scale = self.scale[control];
        if scale.is_finite() && scale > 0.0 { scale } else { otherwise }
    }
}

/// The best sequence found.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// `[moves * controls]`, feasible ([`project`]).
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
        PlannerSpec::RandomShooting { population, polish } => {
            polished(polish.value, RandomShooting { population: population.value })
        }
        PlannerSpec::Cem { population, elites, iterations, smoothing, polish } => {
            let (population, elites) = (population.value, elites.value);
            let cem = Cem { population, elites, iterations: iterations.value, smoothing: smoothing.value };
            polished(polish.value, cem)
        }
        PlannerSpec::Icem { population, elites, iterations, smoothing, beta, decay, keep, polish } => {
            let icem = Icem {
                population: population.value,
                elites: elites.value,
                iterations: iterations.value,
                smoothing: smoothing.value,
                beta: beta.value,
                decay: decay.value,
                keep: keep.value,
            };
            polished(polish.value, icem)
        }
        PlannerSpec::Mppi { population, iterations, temperature, smoothing, decay, polish } => {
            let mppi = Mppi {
                population: population.value,
                iterations: iterations.value,
                temperature: temperature.value,
                smoothing: smoothing.value,
                decay: decay.value,
            };
            polished(polish.value, mppi)
        }
        PlannerSpec::GaussNewton { iterations, starts } => {
            Box::new(GaussNewton { iterations: iterations.value, starts: starts.value })
        }
        PlannerSpec::Gradient { iterations, memory } => {
            Box::new(Gradient { iterations: iterations.value, memory: memory.value })
        }
        PlannerSpec::Qp { iterations } => Box::new(Qp { iterations: iterations.value }),
        PlannerSpec::Mcts { population, levels, polish } => {
            polished(polish.value, Mcts { population: population.value, levels: levels.value })
        }
    }
}

/// Steps of a polish.
const POLISH: Gradient = Gradient { iterations: 4, memory: 4 };

fn polished(polish: bool, planner: impl Planner + 'static) -> Box<dyn Planner> {
    if polish { Box::new(Polished { planner: Box::new(planner), gradient: POLISH }) } else { Box::new(planner) }
}
