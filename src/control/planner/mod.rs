//! Planners: the optimisers inside MPC.
//!
//! A planner minimises a [`CostFunction`] over sequences of moves. The samplers (random shooting, CEM, iCEM, MPPI,
//! MCTS) use costs only. Gauss-Newton, QP and gradient descent also use derivatives ([`CostFunction::linearise`]).
//!
//! Every sequence is made feasible by [`project()`] before its cost is computed. Costs are computed only for sequences
//! that the plant can follow, and every plan satisfies the limits of its controls.

mod candidates;
mod cem;
mod constraints;
mod dynamic_programming;
mod forbidden;
mod form;
mod gauss_newton;
mod gradient;
mod icem;
mod linearisation;
mod mcts;
mod milp;
mod mixed_integer;
mod mppi;
mod problem;
mod project;
mod qp;
mod quadratic;
mod sampler;
mod settings;
mod shooting;
mod step;

pub use cem::Cem;
pub use constraints::ControlConstraints;
pub use dynamic_programming::DynamicProgramming;
pub use form::Form;
pub use gauss_newton::GaussNewton;
pub use gradient::{Gradient, PolishedPlanner};
pub use icem::Icem;
pub use linearisation::{Linearisation, LinearisedLimit};
pub use mcts::Mcts;
pub use milp::Milp;
pub use mixed_integer::Model;
pub use mppi::Mppi;
pub use problem::{Branches, CostFunction, Plan, Planner, Problem, TotalLimit};
pub use project::project;
pub use qp::Qp;
pub use settings::check_planner;
pub use shooting::RandomShooting;

use crate::config::PlannerSpec;

/// Builds the planner with the settings in `spec`.
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
        PlannerSpec::Dp { cells } => Box::new(DynamicProgramming { cells: cells.value }),
        PlannerSpec::Milp { nodes, gap } => Box::new(Milp { nodes: nodes.value, gap: gap.value }),
        PlannerSpec::Qp { iterations } => Box::new(Qp { iterations: iterations.value }),
        PlannerSpec::Mcts { population, levels, polish } => {
            polished(polish.value, Mcts { population: population.value, levels: levels.value })
        }
    }
}

/// Settings of the final gradient descent with `polish = true` (not tuned).
const POLISH: Gradient = Gradient { iterations: 4, memory: 4 };

/// Adds a final gradient descent to `planner` if `polish` is true.
fn polished(polish: bool, planner: impl Planner + 'static) -> Box<dyn Planner> {
    if polish { Box::new(PolishedPlanner { planner: Box::new(planner), gradient: POLISH }) } else { Box::new(planner) }
}
