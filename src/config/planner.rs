//! Settings of planners.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::At;

/// The optimiser inside MPC.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PlannerSpec {
    /// Cross-entropy method with truncated normals (Chua et al. 2018).
    #[serde(rename_all = "snake_case")]
    Cem {
        /// Candidates per iteration.
        #[serde(default = "d_population")]
        population: At<usize>,
        /// Share of candidates that shape the next iteration.
        #[serde(default = "d_elites")]
        elites: At<f64>,
        #[serde(default = "d_iterations")]
        iterations: At<usize>,
        /// Weight of the last mean and variance.
        #[serde(default = "d_smoothing")]
        smoothing: At<f64>,
        /// A few steps of `gradient` from the best sequence.
        #[serde(default = "d_polish")]
        polish: At<bool>,
    },
    /// Bounded Gauss-Newton on the slopes of the whole rollout, with several dampings tried at once.
    #[serde(rename_all = "snake_case")]
    GaussNewton {
        /// Steps of the best start.
        #[serde(default = "d_steps")]
        iterations: At<usize>,
        /// Starts that take a first step; the best of them goes on.
        #[serde(default = "d_starts")]
        starts: At<usize>,
    },
    /// CEM with coloured noise, kept elites and a shrinking population (Pinneri et al. 2020).
    #[serde(rename_all = "snake_case")]
    Icem {
        #[serde(default = "d_population")]
        population: At<usize>,
        #[serde(default = "d_elites")]
        elites: At<f64>,
        #[serde(default = "d_iterations")]
        iterations: At<usize>,
        #[serde(default = "d_smoothing")]
        smoothing: At<f64>,
        /// Power spectral density of the noise ∝ 1/f^β; 0 white, 2–4 for slow plants.
        #[serde(default = "d_beta")]
        beta: At<f64>,
        /// The population shrinks by this factor each iteration.
        #[serde(default = "d_decay")]
        decay: At<f64>,
        /// Share of elites kept between iterations and between plans.
        #[serde(default = "d_keep")]
        keep: At<f64>,
        /// A few steps of `gradient` from the best sequence.
        #[serde(default = "d_polish")]
        polish: At<bool>,
    },
    /// Averages weighted by exp(−cost/λ), with smoothed noise (Williams et al. 2017).
    #[serde(rename_all = "snake_case")]
    Mppi {
        /// Candidates per iteration.
        #[serde(default = "d_population")]
        population: At<usize>,
        #[serde(default = "d_iterations")]
        iterations: At<usize>,
        /// λ, in spreads of the costs (median − least).
        #[serde(default = "d_temperature")]
        temperature: At<f64>,
        /// Share of new noise in each move; 1 is white.
        #[serde(default = "d_new_noise")]
        smoothing: At<f64>,
        /// The noise shrinks by this factor each iteration.
        #[serde(default = "d_shrink")]
        decay: At<f64>,
        /// A few steps of `gradient` from the best sequence.
        #[serde(default = "d_polish")]
        polish: At<bool>,
    },
    /// Sequences drawn evenly between the bounds; the cheapest one wins.
    #[serde(rename_all = "snake_case")]
    RandomShooting {
        /// Sequences priced.
        #[serde(default = "d_sequences")]
        population: At<usize>,
        /// A few steps of `gradient` from the best sequence.
        #[serde(default = "d_polish")]
        polish: At<bool>,
    },
    /// Projected L-BFGS on the slopes of the cost, for objectives that are no sum of squares.
    #[serde(rename_all = "snake_case")]
    Gradient {
        #[serde(default = "d_descents")]
        iterations: At<usize>,
        /// Past steps that shape the next one.
        #[serde(default = "d_memory")]
        memory: At<usize>,
    },
    /// Linearises, solves the constrained quadratic program, repeats; exact for linear twins with quadratic costs.
    #[serde(rename_all = "snake_case")]
    Qp {
        #[serde(default = "d_steps")]
        iterations: At<usize>,
    },
    /// Tree search over moves on a grid, for discrete or staged equipment.
    #[serde(rename_all = "snake_case")]
    Mcts {
        /// Sequences priced.
        #[serde(default = "d_sequences")]
        population: At<usize>,
        /// Values of a control without multiples, from bound to bound.
        #[serde(default = "d_levels")]
        levels: At<usize>,
        /// A few steps of `gradient` from the best sequence.
        #[serde(default = "d_polish")]
        polish: At<bool>,
    },
}

impl PlannerSpec {
    pub fn gauss_newton() -> Self {
        Self::GaussNewton { iterations: d_steps(), starts: d_starts() }
    }

    pub fn qp() -> Self {
        Self::Qp { iterations: d_steps() }
    }

    pub fn mcts() -> Self {
        Self::Mcts { population: d_sequences(), levels: d_levels(), polish: d_polish() }
    }

    /// Whether it goes down the slopes of one cost, which several futures make no better known.
    pub fn follows_slopes(&self) -> bool {
        matches!(self, Self::GaussNewton { .. } | Self::Gradient { .. } | Self::Qp { .. })
    }
}

impl Default for PlannerSpec {
    fn default() -> Self {
        Self::Icem {
            population: d_population(),
            elites: d_elites(),
            iterations: d_iterations(),
            smoothing: d_smoothing(),
            beta: d_beta(),
            decay: d_decay(),
            keep: d_keep(),
            polish: d_polish(),
        }
    }
}

fn d_population() -> At<usize> {
    64.into()
}
fn d_sequences() -> At<usize> {
    256.into()
}
fn d_descents() -> At<usize> {
    8.into()
}
fn d_memory() -> At<usize> {
    6.into()
}
fn d_levels() -> At<usize> {
    5.into()
}
fn d_temperature() -> At<f64> {
    0.1.into()
}
fn d_new_noise() -> At<f64> {
    0.6.into()
}
fn d_shrink() -> At<f64> {
    0.8.into()
}
fn d_polish() -> At<bool> {
    false.into()
}
fn d_steps() -> At<usize> {
    5.into()
}
fn d_starts() -> At<usize> {
    2.into()
}
fn d_elites() -> At<f64> {
    0.1.into()
}
fn d_iterations() -> At<usize> {
    4.into()
}
fn d_smoothing() -> At<f64> {
    0.1.into()
}
fn d_beta() -> At<f64> {
    2.5.into()
}
fn d_decay() -> At<f64> {
    1.25.into()
}
fn d_keep() -> At<f64> {
    0.3.into()
}
