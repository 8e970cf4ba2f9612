//! Settings of learning.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, TimeSpan};

/// Settings for learning the model of the plant.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelSpec {
    /// Models to fit (default `["linear", "forest"]`). The model with the best multi-step score on out-of-fold blocks
    /// is used. `linear` is always fitted, and `persistence` is fitted if there is nothing to learn.
    pub choose: Vec<At<String>>,
    /// Number of values of each input that a model reads: the current value and past values (default 3).
    pub lags: At<usize>,
    /// Length of the newest part of the log, which is held out for validation and never used in the fit (default
    /// `14d`).
    pub holdout: At<TimeSpan>,
    /// Control horizon (default `4h`). Models are scored on predictions up to this horizon, and must be more accurate
    /// than `persistence`.
    pub horizon: At<TimeSpan>,
    /// Signals that are not used as model inputs.
    pub ignore: Vec<At<String>>,
    /// Derived signals that models read in addition to states, controls and disturbances. A feature may depend only on
    /// states, disturbances, set-points, past values and the clock. `sin(6.2832 * time / 7[d])` encodes the time of
    /// the week.
    pub features: Vec<At<String>>,
    /// Longest time for which predictions of the model may replace missing measurements of a state (default `horizon`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carry: Option<At<TimeSpan>>,
    /// Number of steps over which `linear` and `ensemble` are fitted in open loop, so that each step starts from the
    /// model's own predictions of the states. If the number is 1, the models are fitted to one-step predictions from
    /// measured values. A model that is fitted to one-step predictions can drift in open loop if states are slow, noisy
    /// or unmeasured. By default, `linear` is fitted both over 1 step and over the horizon, and the fit with the lower
    /// out-of-fold error is used, unless MPC is tuned. The default number of steps for `ensemble` is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout_loss: Option<At<usize>>,
    /// Seed of all random numbers in the fit (default 1).
    pub seed: At<u64>,
    /// Settings of the model `gp`.
    #[serde(skip_serializing_if = "GpSpec::is_default")]
    pub gp: GpSpec,
    /// Settings of the model `ensemble`.
    #[serde(skip_serializing_if = "EnsembleSpec::is_default")]
    pub ensemble: EnsembleSpec,
}

/// Settings of the model `ensemble`: several neural networks, each of which predicts a mean and a variance.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EnsembleSpec {
    /// Number of networks, each fitted to its own bootstrap sample (default 5).
    pub members: At<usize>,
    /// Width of each hidden layer (default `[64, 64]`).
    pub layers: Vec<At<usize>>,
    /// Maximum number of passes over the training rows, during which the learning rate decays to zero (default 40).
    pub epochs: At<usize>,
    /// Early stopping: training ends after this number of passes without improvement on held-out blocks, and the best
    /// networks are used (default 10). If `patience` is 0, which is suitable for short logs, no blocks are held out,
    /// and the networks of the last pass are used.
    pub patience: At<usize>,
    /// Number of training rows per optimiser step (default 256).
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
    /// The model `linear`. Far from the training data, predictions return to the linear model.
    Linear,
    /// For each target, a constant equal to the mean of the target.
    Constant,
}

impl ModelSpec {
    /// Number of steps over which models are fitted in open loop.
    pub fn rollout_steps(&self) -> usize {
        self.rollout_loss.as_ref().map_or(1, |r| r.value)
    }

    /// Number of steps for which predictions of the model may replace missing measurements of a state.
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
            rollout_loss: None,
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
    /// Mean function of the Gaussian process (default `linear`).
    pub mean: MeanSpec,
    /// Largest number of training rows for which the Gaussian process is exact; with more rows, inducing points are
    /// used (default 1000).
    pub max_points: At<usize>,
    /// Number of inducing points (default 256).
    pub inducing: At<usize>,
    /// Number of functions drawn from the posterior; each particle uses one of these functions (default 16).
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

/// Covariance function of the model `gp`, with one length scale per input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GpKernel {
    /// Matérn 5/2, whose sample functions are twice differentiable.
    Matern52,
    /// Squared exponential, whose sample functions are infinitely differentiable.
    SquaredExponential,
}
