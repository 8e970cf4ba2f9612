//! Result of tuning MPC in closed loop, as stored with the model.

use serde::{Deserialize, Serialize};

use crate::value::TerminalCost;
use crate::value::json::number_or_nan;

/// MPC settings that were chosen in closed-loop simulations, which need only the log. The controller's twin and the
/// simulated plant are models of two different families, fitted to different halves of the training rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TunedMpc {
    pub setting: MpcSettings,
    /// One sentence that explains why these settings were chosen.
    pub reason: String,
    /// Number of runs in a complete trial.
    pub runs: usize,
    /// Number of steps in each run.
    pub steps: usize,
    /// All trials, in the order in which they were made.
    pub trials: Vec<TuningTrial>,
    /// Mean objective of the chosen settings over test runs that were not used to choose these
    /// settings.
    #[serde(deserialize_with = "number_or_nan")]
    pub planned: f64,
    /// Mean objective of the logged operation over the same test segments.
    #[serde(deserialize_with = "number_or_nan")]
    pub logged: f64,
    /// Mean of each KPI over the test runs, as logged and with MPC.
    pub expected: Vec<ExpectedKpi>,
    /// Terminal cost learned from the log; `None` if a terminal cost cannot be learned.
    #[serde(default, alias = "to_go", skip_serializing_if = "Option::is_none")]
    pub terminal_cost: Option<TerminalCost>,
}

impl TunedMpc {
    /// Returns a warning if MPC performed worse than the logged controller in the test runs.
    pub fn warning(&self) -> Option<String> {
        let worse = self.planned > self.logged && self.logged.is_finite() || !self.planned.is_finite();
        worse.then(|| {
            format!(
                "in closed-loop tests, MPC performed worse than the logged controller (mean objective per run: {:.4} \
                 with MPC, {:.4} in the log); check `[model]`, the objective and the horizon, and test MPC with \
                 `control --shadow` before it controls the plant",
                self.planned, self.logged
            )
        })
    }
}

/// Settings chosen by tuning: the model, and how MPC plans with this model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MpcSettings {
    /// Model family.
    pub model: String,
    pub lags: usize,
    /// Horizon in steps.
    pub horizon: usize,
    /// Number of free moves over the horizon.
    pub moves: usize,
    /// Gain of the disturbance observer.
    pub correction: f64,
    /// Number of steps between plans.
    #[serde(default = "each_step")]
    pub replan: usize,
    /// Whether plans have a terminal cost learned from the log.
    #[serde(default)]
    pub cost_to_go: bool,
}

fn each_step() -> usize {
    1
}

/// Closed-loop results of one candidate setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TuningTrial {
    pub setting: MpcSettings,
    /// Number of closed-loop runs of the candidate. Candidates that were dropped early have fewer runs than candidates
    /// that were fully tested.
    pub runs: usize,
    /// Mean objective per run, adjusted for the difficulty of the plant models on which the candidate is tested;
    /// infinite (`null` in JSON) if a run failed.
    #[serde(deserialize_with = "number_or_nan")]
    pub objective: f64,
    /// Standard error of the paired difference between the objectives of this candidate and of the chosen candidate.
    #[serde(deserialize_with = "number_or_nan")]
    pub error: f64,
}

/// Mean of a KPI over the test runs, as logged and as simulated with MPC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpectedKpi {
    pub kpi: String,
    #[serde(deserialize_with = "number_or_nan")]
    pub logged: f64,
    #[serde(deserialize_with = "number_or_nan")]
    pub planned: f64,
}
