//! Settings of planners.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::At;

/// The optimiser inside MPC.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PlannerSpec {
    /// Cross-entropy method with truncated normal distributions (Chua et al. 2018).
    #[serde(rename_all = "snake_case")]
    Cem {
        /// Number of candidates per iteration.
        #[serde(default = "default_population")]
        population: At<usize>,
        /// Fraction of the candidates that become elites. The next distribution is fitted to the elites.
        #[serde(default = "default_elites")]
        elites: At<f64>,
        #[serde(default = "default_iterations")]
        iterations: At<usize>,
        /// Weight of the previous mean and variance in the next distribution.
        #[serde(default = "default_smoothing")]
        smoothing: At<f64>,
        /// Whether the best sequence found is refined by a few steps of the `gradient` planner.
        #[serde(default = "default_polish")]
        polish: At<bool>,
    },
    /// Bounded Gauss-Newton method, which differentiates the simulated plan and tries several damping factors at once.
    #[serde(rename_all = "snake_case")]
    GaussNewton {
        /// Number of iterations. The first iteration is run from each starting point, and later iterations only from
        /// the best result so far.
        #[serde(default = "default_steps")]
        iterations: At<usize>,
        /// Number of starting points in the first iteration.
        #[serde(default = "default_starts")]
        starts: At<usize>,
    },
    /// CEM with coloured noise, reused elites and a shrinking population (Pinneri et al. 2020).
    #[serde(rename_all = "snake_case")]
    Icem {
        #[serde(default = "default_population")]
        population: At<usize>,
        #[serde(default = "default_elites")]
        elites: At<f64>,
        #[serde(default = "default_iterations")]
        iterations: At<usize>,
        #[serde(default = "default_smoothing")]
        smoothing: At<f64>,
        /// Exponent β of the noise, whose power spectral density is proportional to 1/f^β. A β of 0 means white noise,
        /// and values from 2 to 4 suit slow plants.
        #[serde(default = "default_beta")]
        beta: At<f64>,
        /// Factor by which the population is divided after each iteration.
        #[serde(default = "default_decay")]
        decay: At<f64>,
        /// Fraction of the elites reused in the next iteration and in the next plan.
        #[serde(default = "default_keep")]
        keep: At<f64>,
        /// Whether the best sequence found is refined by a few steps of the `gradient` planner.
        #[serde(default = "default_polish")]
        polish: At<bool>,
    },
    /// Model-predictive path integral control with smoothed noise (Williams et al. 2017). The plan is the average of
    /// the candidates, weighted by exp(−cost/λ).
    #[serde(rename_all = "snake_case")]
    Mppi {
        /// Number of candidates per iteration.
        #[serde(default = "default_population")]
        population: At<usize>,
        #[serde(default = "default_iterations")]
        iterations: At<usize>,
        /// The parameter λ, as a multiple of the difference between the median cost and the lowest cost.
        #[serde(default = "default_temperature")]
        temperature: At<f64>,
        /// Fraction of new noise in each move; 1 means white noise.
        #[serde(default = "default_new_noise")]
        smoothing: At<f64>,
        /// Factor by which the noise is multiplied after each iteration.
        #[serde(default = "default_shrink")]
        decay: At<f64>,
        /// Whether the best sequence found is refined by a few steps of the `gradient` planner.
        #[serde(default = "default_polish")]
        polish: At<bool>,
    },
    /// Random shooting: control sequences are drawn uniformly between the bounds, and the cheapest sequence is used.
    #[serde(rename_all = "snake_case")]
    RandomShooting {
        /// Number of control sequences that are evaluated.
        #[serde(default = "default_sequences")]
        population: At<usize>,
        /// Whether the best sequence found is refined by a few steps of the `gradient` planner.
        #[serde(default = "default_polish")]
        polish: At<bool>,
    },
    /// Projected L-BFGS on the gradient of the cost, for objectives that are not sums of squares.
    #[serde(rename_all = "snake_case")]
    Gradient {
        #[serde(default = "default_descents")]
        iterations: At<usize>,
        /// Number of previous optimiser steps used to approximate the Hessian.
        #[serde(default = "default_memory")]
        memory: At<usize>,
    },
    /// Sequential quadratic programming: linearises the twin and solves the constrained QP. The solution is exact for
    /// linear twins with quadratic costs.
    #[serde(rename_all = "snake_case")]
    Qp {
        /// Largest number of iterations. The planner stops earlier when the cost stops falling.
        #[serde(default = "default_programs")]
        iterations: At<usize>,
    },
    /// Mixed-integer linear programming, for piecewise linear twins with switched or continuous controls. The plan is
    /// optimal within `gap`. If the twin or the objective is not piecewise linear, the default planner is used.
    #[serde(rename_all = "snake_case")]
    Milp {
        /// Largest number of nodes of the branch-and-bound search.
        #[serde(default = "default_nodes")]
        nodes: At<usize>,
        /// The search ends at this relative difference between the cost of the plan and its lower bound.
        #[serde(default = "default_gap")]
        gap: At<f64>,
    },
    /// Dynamic programming, for few switched controls and plants with one or two states. Partial sequences whose states
    /// are in the same cell of a grid are merged, and the cheapest of them is continued.
    #[serde(rename_all = "snake_case")]
    Dp {
        /// Number of grid cells over the range of each state.
        #[serde(default = "default_cells")]
        cells: At<usize>,
    },
    /// Monte Carlo tree search over moves on a grid, for discrete or staged equipment.
    #[serde(rename_all = "snake_case")]
    Mcts {
        /// Number of control sequences that are evaluated.
        #[serde(default = "default_sequences")]
        population: At<usize>,
        /// Number of grid values between the bounds of a control that has no `multiple`.
        #[serde(default = "default_levels")]
        levels: At<usize>,
        /// Whether the best sequence found is refined by a few steps of the `gradient` planner.
        #[serde(default = "default_polish")]
        polish: At<bool>,
    },
}

impl PlannerSpec {
    pub fn gauss_newton() -> Self {
        Self::GaussNewton { iterations: default_steps(), starts: default_starts() }
    }

    pub fn qp() -> Self {
        Self::Qp { iterations: default_programs() }
    }

    pub fn milp() -> Self {
        Self::Milp { nodes: default_nodes(), gap: default_gap() }
    }

    pub fn dp() -> Self {
        Self::Dp { cells: default_cells() }
    }

    pub fn mcts() -> Self {
        Self::Mcts { population: default_sequences(), levels: default_levels(), polish: default_polish() }
    }

    /// Whether the planner uses derivatives of the cost.
    pub fn uses_derivatives(&self) -> bool {
        matches!(self, Self::GaussNewton { .. } | Self::Gradient { .. } | Self::Qp { .. })
    }

    /// Whether plans are made for a single simulated future by default.
    pub fn uses_one_future(&self) -> bool {
        self.uses_derivatives() || matches!(self, Self::Milp { .. } | Self::Dp { .. })
    }
}

impl Default for PlannerSpec {
    fn default() -> Self {
        Self::Icem {
            population: default_population(),
            elites: default_elites(),
            iterations: default_iterations(),
            smoothing: default_smoothing(),
            beta: default_beta(),
            decay: default_decay(),
            keep: default_keep(),
            polish: default_polish(),
        }
    }
}

fn default_population() -> At<usize> {
    64.into()
}
fn default_sequences() -> At<usize> {
    256.into()
}
fn default_descents() -> At<usize> {
    8.into()
}
fn default_memory() -> At<usize> {
    6.into()
}
fn default_levels() -> At<usize> {
    5.into()
}
fn default_nodes() -> At<usize> {
    100.into()
}
fn default_cells() -> At<usize> {
    200.into()
}
fn default_gap() -> At<f64> {
    0.001.into()
}
fn default_temperature() -> At<f64> {
    0.1.into()
}
fn default_new_noise() -> At<f64> {
    0.6.into()
}
fn default_shrink() -> At<f64> {
    0.8.into()
}
fn default_polish() -> At<bool> {
    false.into()
}
fn default_steps() -> At<usize> {
    5.into()
}
fn default_programs() -> At<usize> {
    50.into()
}
fn default_starts() -> At<usize> {
    2.into()
}
fn default_elites() -> At<f64> {
    0.1.into()
}
fn default_iterations() -> At<usize> {
    4.into()
}
fn default_smoothing() -> At<f64> {
    0.1.into()
}
fn default_beta() -> At<f64> {
    2.5.into()
}
fn default_decay() -> At<f64> {
    1.25.into()
}
fn default_keep() -> At<f64> {
    0.3.into()
}
