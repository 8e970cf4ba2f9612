//! Settings of learning.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, TimeSpan};

/// How the model of the plant is learned.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelSpec {
    /// Models to fit; the one with the best multi-step score on out-of-fold blocks is used. `linear` is always fitted, and
    /// `persistence` if there is nothing to learn (default `["linear", "forest"]`).
    pub choose: Vec<At<String>>,
    /// Number of values of every input that a model reads, including the present one (default 3).
    pub lags: At<usize>,
    /// The newest part of the log, kept for validation: no part of the fit uses it (default `14d`).
    pub holdout: At<TimeSpan>,
    /// Control horizon: models are scored up to it, and must beat persistence (default `4h`).
    pub horizon: At<TimeSpan>,
    /// Signals that no model reads.
    pub ignore: Vec<At<String>>,
    /// Derived signals that models read besides states, controls and disturbances. They may depend only on states,
    /// disturbances, set-points, past values and the clock. `sin(6.2832 * time / 7[d])` encodes the time of the week.
    pub features: Vec<At<String>>,
    /// How long the model's own prediction may replace a missing measurement of a state (default `horizon`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carry: Option<At<TimeSpan>>,
    /// Number of steps over which `linear` and `ensemble` are fitted in open loop, on their own predictions of the states
    /// (default 1: one step ahead, from measured values). A model that predicts one step well can still drift in open loop
    /// if states are slow, noisy or not all measured.
    pub rollout_loss: At<usize>,
    /// Seed of all random numbers of the fit (default 1).
    pub seed: At<u64>,
    /// Settings of the model `gp`.
    #[serde(skip_serializing_if = "GpSpec::is_default")]
    pub gp: GpSpec,
    /// Settings of the model `ensemble`.
    #[serde(skip_serializing_if = "EnsembleSpec::is_default")]
    pub ensemble: EnsembleSpec,
}

/// Settings of the model `ensemble`: several neural networks, each of which predicts mean and variance.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EnsembleSpec {
    /// Number of networks, each fitted to its own bootstrap sample (default 5).
    pub members: At<usize>,
    /// Width of each hidden layer (default `[64, 64]`).
    pub layers: Vec<At<usize>>,
    /// Maximum number of passes over the training rows; the learning rate decays to zero over them (default 40).
    pub epochs: At<usize>,
    /// Early stopping: training ends after this number of passes without progress on held-out blocks, and the best
    /// networks are used (default 10). Use 0 for short logs: no blocks are held out, and the networks of the last pass
    /// are used.
    pub patience: At<usize>,
    /// Rows per step of the optimiser (default 256).
    pub batch: At<usize>,
    /// Initial learning rate of Adam (default 0.005).
    pub learning_rate: At<f64>,
    /// Decoupled weight decay, as in AdamW (default 0.01).
    pub weight_decay: At<f64>,
    /// Mean function to which the networks add a correction (default `linear`).
    pub mean: At<MeanSpec>,
}

impl Default for EnsembleSpec {
    fn default() -> Self {
        Self {
            members: 5.into(),
            layers: vec![64.into(), 64.into()],
            epochs: 40.into(),
            patience: 10.into(),
            batch: 256.into(),
            learning_rate: 5e-3.into(),
            weight_decay: 1e-2.into(),
            mean: MeanSpec::Linear.into(),
        }
    }
}

impl EnsembleSpec {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The mean function to which a model adds a correction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MeanSpec {
    /// The model `linear`. Predictions return to it away from the data.
    Linear,
    /// The mean of each target.
    Constant,
}

impl ModelSpec {
    /// Number of steps for which the model's prediction may replace a missing state.
    pub fn carry_steps(&self, step: TimeSpan) -> usize {
        self.carry.as_ref().unwrap_or(&self.horizon).steps(step, 0)
    }
}

impl Default for ModelSpec {
    fn default() -> Self {
        Self {
            choose: vec!["linear".to_owned().into(), "forest".to_owned().into()],
            lags: 3.into(),
            holdout: TimeSpan::from_ms(14 * 86_400_000).into(),
            horizon: TimeSpan::from_ms(4 * 3_600_000).into(),
            ignore: Vec::new(),
            features: Vec::new(),
            carry: None,
            rollout_loss: 1.into(),
            seed: 1.into(),
            gp: GpSpec::default(),
            ensemble: EnsembleSpec::default(),
        }
    }
}

/// Settings of the model `gp`: one Gaussian process per target.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GpSpec {
    /// Covariance function (default `matern52`).
    pub kernel: GpKernel,
    /// Mean function of the process (default `linear`).
    pub mean: MeanSpec,
    /// Largest number of training rows for an exact process; with more rows it uses inducing points (default 1000).
    pub max_points: At<usize>,
    /// Number of inducing points (default 256).
    pub inducing: At<usize>,
    /// Number of functions that are drawn from the posterior; each particle follows one (default 16).
    pub samples: At<usize>,
}

impl Default for GpSpec {
    fn default() -> Self {
        Self {
            kernel: GpKernel::Matern52,
            mean: MeanSpec::Linear,
            max_points: 1000.into(),
            inducing: 256.into(),
            samples: 16.into(),
        }
    }
}

impl GpSpec {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Covariance function of the model `gp`, with a length scale per input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GpKernel {
    /// Matérn 5/2: functions that are twice differentiable.
    Matern52,
    /// Squared exponential: functions that are infinitely differentiable.
    SquaredExponential,
}
