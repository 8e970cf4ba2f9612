//! What learns the plant, and how.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, TimeSpan};

/// How the twin is learned.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelSpec {
    /// Models fitted side by side; the best multi-step hold-out score wins. `persistence` and `linear` are always fitted.
    pub choose: Vec<At<String>>,
    /// Past values of every input that a model sees, the present one included.
    pub lags: At<usize>,
    /// The newest stretch of the log, which no step of fitting sees.
    pub holdout: At<TimeSpan>,
    /// Control horizon: models are scored, and must beat persistence, up to here.
    pub horizon: At<TimeSpan>,
    /// Signals that no model reads.
    pub ignore: Vec<At<String>>,
    /// Derived signals that models read besides states, controls and disturbances; they must follow from states,
    /// disturbances, set-points, the past and the clock alone. `sin(6.2832 * time / 7[d])` tells the time of the week.
    pub features: Vec<At<String>>,
    /// How long a state without a good measurement may be carried by the model's own prediction (default `horizon`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carry: Option<At<TimeSpan>>,
    /// Steps over which `linear` and `ensemble` are fitted to simulate open loop, fed with their own predictions of the
    /// states (default 1: to predict the next step from measured values). A model that is good one step ahead can still
    /// drift when it runs alone, where states are slow, noisy or not all measured.
    pub rollout_loss: At<usize>,
    pub seed: At<u64>,
    /// Settings of the model `gp`.
    #[serde(skip_serializing_if = "GpSpec::is_default")]
    pub gp: GpSpec,
    /// Settings of the model `ensemble`.
    #[serde(skip_serializing_if = "EnsembleSpec::is_default")]
    pub ensemble: EnsembleSpec,
}

/// Settings of the model `ensemble`: several neural networks, each of which also tells how sure it is.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EnsembleSpec {
    /// Networks, each fitted to a bootstrap sample of its own (default 5).
    pub members: At<usize>,
    /// Width of each hidden layer (default `[64, 64]`).
    pub layers: Vec<At<usize>>,
    /// Passes over the training rows, at most; the step size falls to nothing over them (default 40).
    pub epochs: At<usize>,
    /// Passes without progress on blocks held out, after which training ends and the best networks are taken (default 10);
    /// 0: all passes are made and the last networks are taken, for short logs, of which no part can be spared.
    pub patience: At<usize>,
    /// Rows of one step of the optimiser (default 256).
    pub batch: At<usize>,
    /// Step size of Adam at the start (default 0.005).
    pub learning_rate: At<f64>,
    /// Share of every weight that is taken away per step and unit of step size (default 0.01).
    pub weight_decay: At<f64>,
    /// What the networks correct (default `linear`).
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

/// What a model corrects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MeanSpec {
    /// The model `linear`, to which predictions return away from the data.
    Linear,
    /// The mean of each target.
    Constant,
}

impl ModelSpec {
    /// Steps of `step` for which a state may be carried.
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

/// Settings of the model `gp`: a Gaussian process for every target.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GpSpec {
    /// How covariance falls with distance (default `matern52`).
    pub kernel: GpKernel,
    /// What the process corrects (default `linear`).
    pub mean: MeanSpec,
    /// Training rows up to which the process is exact; beyond them it goes through inducing points (default 1000).
    pub max_points: At<usize>,
    /// Inducing points (default 256).
    pub inducing: At<usize>,
    /// Functions drawn from the posterior, which particles follow (default 16).
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

/// Covariance of the model `gp`, with a length-scale for every input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GpKernel {
    /// Matérn 5/2: twice differentiable functions.
    Matern52,
    /// Squared exponential: very smooth functions.
    SquaredExponential,
}
