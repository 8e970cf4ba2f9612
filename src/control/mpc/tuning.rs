//! Result of tuning MPC in closed loop, as stored with the model.

use serde::{Deserialize, Serialize};

use crate::value::TerminalCost;
use crate::value::json::number_or_nan;

/// MPC settings chosen in closed-loop simulations, from the log alone. The controller's twin and the simulated plant
/// are models of two different families, fitted to different halves of the training rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TunedMpc {
    pub setting: MpcSettings,
    /// Why these settings were chosen, in one sentence.
    pub reason: String,
    /// Number of runs of a complete trial.
    pub runs: usize,
    /// Steps of each run.
    pub steps: usize,
    /// In the order in which they were tried.
    pub trials: Vec<TuningTrial>,
    /// Mean objective of the chosen settings in test runs that were not used to choose them.
    #[serde(deserialize_with = "number_or_nan")]
    pub planned: f64,
    /// Mean objective of the log over the same test runs.
    #[serde(deserialize_with = "number_or_nan")]
    pub logged: f64,
    /// The same comparison for each KPI.
    pub expected: Vec<ExpectedKpi>,
    /// `None` if no terminal cost can be learned from the log.
    #[serde(default, alias = "to_go", skip_serializing_if = "Option::is_none")]
    pub terminal_cost: Option<TerminalCost>,
}

impl TunedMpc {
    /// A warning if MPC did worse than the logged controller.
    pub fn warning(&self) -> Option<String> {
        let worse = self.planned > self.logged && self.logged.is_finite() || !self.planned.is_finite();
        worse.then(|| {
            format!(
                "in closed-loop tests MPC does worse than the logged controller (objective per run: MPC {:.4}, log {:.4}); \
                 check `[model]`, the objective and the horizon before you let MPC drive the plant, \
                 and compare with `control --shadow`",
                self.planned, self.logged
            )
        })
    }
}

/// The settings that tuning chooses: the model and how MPC plans on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MpcSettings {
    /// Model family.
    pub model: String,
    pub lags: usize,
    /// Steps.
    pub horizon: usize,
    /// Free moves over the horizon.
    pub moves: usize,
    /// Gain of the disturbance observer.
    pub correction: f64,
    /// Steps between plans.
    #[serde(default = "each_step")]
    pub replan: usize,
    /// Whether plans have a terminal cost learned from the log.
    #[serde(default)]
    pub cost_to_go: bool,
}

fn each_step() -> usize {
    1
}

/// Closed-loop result of one candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TuningTrial {
    pub setting: MpcSettings,
    /// Number of runs; candidates that were dropped early have fewer.
    pub runs: usize,
    /// Mean objective per run, adjusted for the difficulty of the family's plant models; infinite (`null` in JSON) if a
    /// run failed.
    #[serde(deserialize_with = "number_or_nan")]
    pub objective: f64,
    /// Standard error of the paired difference to the chosen candidate.
    #[serde(deserialize_with = "number_or_nan")]
    pub error: f64,
}

/// Mean of a KPI over the test runs: as logged, and as simulated under MPC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpectedKpi {
    pub kpi: String,
    #[serde(deserialize_with = "number_or_nan")]
    pub logged: f64,
    #[serde(deserialize_with = "number_or_nan")]
    pub planned: f64,
}
