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
        /// Share of candidates to which the next distribution is fitted.
        #[serde(default = "default_elites")]
        elites: At<f64>,
        #[serde(default = "default_iterations")]
        iterations: At<usize>,
        /// Weight of the previous mean and variance.
        #[serde(default = "default_smoothing")]
        smoothing: At<f64>,
        /// Improve the best sequence by a few steps of `gradient`.
        #[serde(default = "default_polish")]
        polish: At<bool>,
    },
    /// Bounded Gauss-Newton method with derivatives of the whole rollout; several damping factors are tried at once.
    #[serde(rename_all = "snake_case")]
    GaussNewton {
        /// Number of iterations from the best starting point.
        #[serde(default = "default_steps")]
        iterations: At<usize>,
        /// Number of starting points for which one iteration is made; the search continues from the best one.
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
        /// The power spectral density of the noise is ∝ 1/f^β: 0 is white, 2 to 4 suits slow plants.
        #[serde(default = "default_beta")]
        beta: At<f64>,
        /// The population is divided by this factor after each iteration.
        #[serde(default = "default_decay")]
        decay: At<f64>,
        /// Share of elites that is reused in the next iteration and in the next plan.
        #[serde(default = "default_keep")]
        keep: At<f64>,
        /// Improve the best sequence by a few steps of `gradient`.
        #[serde(default = "default_polish")]
        polish: At<bool>,
    },
    /// Model-predictive path integral control: averages weighted by exp(−cost/λ), with smoothed noise (Williams et al.
    /// 2017).
    #[serde(rename_all = "snake_case")]
    Mppi {
        /// Number of candidates per iteration.
        #[serde(default = "default_population")]
        population: At<usize>,
        #[serde(default = "default_iterations")]
        iterations: At<usize>,
        /// λ, as a multiple of the difference between the median and the lowest cost.
        #[serde(default = "default_temperature")]
        temperature: At<f64>,
        /// Share of new noise in each move; with 1 the noise is white.
        #[serde(default = "default_new_noise")]
        smoothing: At<f64>,
        /// The noise is multiplied by this factor after each iteration.
        #[serde(default = "default_shrink")]
        decay: At<f64>,
        /// Improve the best sequence by a few steps of `gradient`.
        #[serde(default = "default_polish")]
        polish: At<bool>,
    },
    /// Sequences drawn uniformly between the bounds; the cheapest one is used.
    #[serde(rename_all = "snake_case")]
    RandomShooting {
        /// Number of sequences that are evaluated.
        #[serde(default = "default_sequences")]
        population: At<usize>,
        /// Improve the best sequence by a few steps of `gradient`.
        #[serde(default = "default_polish")]
        polish: At<bool>,
    },
    /// Projected L-BFGS on the gradient of the cost, for objectives that are not sums of squares.
    #[serde(rename_all = "snake_case")]
    Gradient {
        #[serde(default = "default_descents")]
        iterations: At<usize>,
        /// Number of past steps from which the Hessian is approximated.
        #[serde(default = "default_memory")]
        memory: At<usize>,
    },
    /// Sequential quadratic programming: linearises the twin and solves the constrained QP. Exact for linear twins with
    /// quadratic costs.
    #[serde(rename_all = "snake_case")]
    Qp {
        #[serde(default = "default_steps")]
        iterations: At<usize>,
    },
    /// Monte Carlo tree search over moves on a grid, for discrete or staged equipment.
    #[serde(rename_all = "snake_case")]
    Mcts {
        /// Number of sequences that are evaluated.
        #[serde(default = "default_sequences")]
        population: At<usize>,
        /// Number of grid values, from bound to bound, of a control without `multiple`.
        #[serde(default = "default_levels")]
        levels: At<usize>,
        /// Improve the best sequence by a few steps of `gradient`.
        #[serde(default = "default_polish")]
        polish: At<bool>,
    },
}

impl PlannerSpec {
    pub fn gauss_newton() -> Self {
        Self::GaussNewton { iterations: default_steps(), starts: default_starts() }
    }

    pub fn qp() -> Self {
        Self::Qp { iterations: default_steps() }
    }

    pub fn mcts() -> Self {
        Self::Mcts { population: default_sequences(), levels: default_levels(), polish: default_polish() }
    }

    /// Whether the planner uses derivatives of the cost in a single future.
    pub fn uses_derivatives(&self) -> bool {
        matches!(self, Self::GaussNewton { .. } | Self::Gradient { .. } | Self::Qp { .. })
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
