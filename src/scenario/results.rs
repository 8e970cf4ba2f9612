//! `results.json` as a type: everything that a report says about a plant's scenarios, and nothing else.
//!
//! Numbers are finite or absent: JSON writes a number that is not there as `null`, and it is read back as NaN. All times
//! are UTC, RFC 3339.

use serde::{Deserialize, Deserializer, Serialize};

pub use crate::control::OptimismCheck;
use crate::control::mpc::TunedMpc;
pub use crate::learn::{Note, NoteKind};
use crate::log::Quality;
use crate::value::compare::number_or_null;
pub use crate::value::{Difference, Economics, Estimate};

/// Version of the `results.json` layout.
pub const SCHEMA_VERSION: u32 = 1;

/// The results of one plant's folder of scenarios.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    pub schema_version: u32,
    pub plant: String,
    pub timezone: String,
    /// Of the objective and of all money; `None` where the twin has no `[economics]`.
    #[serde(default)]
    pub currency: Option<String>,
    /// KPIs whose fall is the benefit of `[economics]`.
    #[serde(default)]
    pub benefit: Vec<String>,
    pub scenarios: Vec<ScenarioResult>,
    /// Sums over the year, weighted by `days_per_year`; one entry per case other than the baseline that appears in
    /// every weighted scenario.
    pub annual: Vec<AnnualResult>,
    pub model: ModelCard,
    pub quality: Quality,
    pub provenance: Provenance,
}

fn numbers_or_null<'de, D: Deserializer<'de>>(d: D) -> Result<[f64; 4], D::Error> {
    Ok(<[Option<f64>; 4]>::deserialize(d)?.map(|v| v.unwrap_or(f64::NAN)))
}

/// What ran and how it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScenarioResult {
    /// File stem.
    pub name: String,
    pub file: String,
    pub question: String,
    pub start: String,
    pub hours: f64,
    pub days_per_year: Option<f64>,
    pub particles: usize,
    pub seed: u64,
    /// Hash of everything that the result depends on; `--resume` compares it.
    pub inputs: String,
    /// Changes against the log, one readable line each.
    pub changes: Vec<String>,
    /// 0 when it ran; else the exit code its failure has on its own.
    pub exit_code: u8,
    pub error: Option<String>,
    /// The baseline first.
    pub cases: Vec<CaseResult>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    pub name: String,
    /// Readable summary of the controller, e.g. `MPC (icem), horizon 4h, replan 30min`.
    pub controller: String,
    /// Signals of which a controller was told the true future.
    pub perfect_forecast: Vec<String>,
    pub kpis: Vec<KpiResult>,
    /// Σ price × KPI; the last entry of the objective table.
    pub objective: Estimate,
    /// Paired difference of the objective to the baseline (case − baseline).
    pub objective_change: Option<Difference>,
    pub controls: Vec<ControlUse>,
    pub limits: Vec<LimitUse>,
    pub support: SupportShare,
    /// Reduced trajectories for the charts: one per signal.
    pub trends: Vec<Trend>,
    /// What a reader must know of its controller, e.g. that plans look less far than they were to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What its plans promised, and what of it is left on members of the model that they were not made for; absent where
    /// nothing was planned, or the model has one member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimism_check: Option<OptimismCheck>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KpiResult {
    pub name: String,
    pub unit: String,
    pub formula: String,
    /// Price in the objective, when it has one.
    pub price: Option<f64>,
    pub value: Estimate,
    /// Against the baseline; `None` for the baseline itself.
    pub change: Option<Difference>,
    /// Value of every particle; absent where it has none.
    #[serde(default)]
    pub samples: Vec<Option<f64>>,
    /// Numerator and denominator of a ratio, per particle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<[Vec<Option<f64>>; 2]>,
}

/// What a case did with a control, against what the baseline did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ControlUse {
    pub signal: String,
    pub unit: String,
    /// Time-mean of the median particle.
    #[serde(deserialize_with = "number_or_null")]
    pub mean: f64,
    #[serde(deserialize_with = "number_or_null")]
    pub min: f64,
    #[serde(deserialize_with = "number_or_null")]
    pub max: f64,
    #[serde(deserialize_with = "number_or_null")]
    pub baseline_mean: f64,
    /// Allowed range: hard limits; `None` where open.
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// Per step; the smaller one where up and down differ.
    pub max_move: Option<f64>,
    /// Moves and mean |move| over the run, median particle.
    pub moves: usize,
}

/// How a case stands against the limits of a signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LimitUse {
    pub signal: String,
    pub unit: String,
    /// `hard` or `soft`.
    pub kind: String,
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// Share of particle-steps beyond the limit.
    pub share_beyond: f64,
    /// Share of particles that are ever beyond it.
    pub chance: f64,
    /// Largest excess, in the signal's unit (a difference).
    #[serde(deserialize_with = "number_or_null")]
    pub worst: f64,
    /// When the worst happened.
    pub worst_time: Option<String>,
}

/// Shares of particle-steps, and of the objective's money, by support.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SupportShare {
    pub inside: f64,
    pub edge: f64,
    pub outside: f64,
}

/// One signal over the run, thinned to at most ~600 points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    pub signal: String,
    pub unit: String,
    pub role: String,
    /// Hours since the scenario's start.
    pub hours: Vec<f64>,
    pub p10: Vec<f64>,
    pub p50: Vec<f64>,
    pub p90: Vec<f64>,
}

/// A case over the year.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnnualResult {
    pub case: String,
    /// Days of the year that the scenarios stand for.
    pub days: f64,
    pub kpis: Vec<KpiResult>,
    pub objective_change: Difference,
    pub economics: Option<Economics>,
}

/// What the twin is made of and how good it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// Content hash of the model version.
    pub version: String,
    /// Chosen model.
    pub model: String,
    /// Why it was chosen; goes on from the model's name and does not repeat it.
    pub reason: String,
    /// UTC; end of the data that it was fitted on.
    pub trained_until: String,
    pub train_rows: usize,
    pub holdout_rows: usize,
    pub holdout_start: String,
    pub holdout_end: String,
    pub lags: usize,
    pub step: String,
    /// Control horizon in steps.
    pub horizon: usize,
    /// One row per model, signal and horizon.
    pub scores: Vec<Score>,
    pub responses: Vec<StepResponse>,
    /// Identity replay over the hold-out: one row per KPI.
    pub replay: Vec<ReplayCheck>,
    /// Things that a reader must know, e.g. a control that never moved.
    pub notes: Vec<Note>,
    /// How plans on it are made best; `None`: not tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuned: Option<TunedMpc>,
}

/// Open-loop error at one horizon on hold-out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    pub model: String,
    pub signal: String,
    pub unit: String,
    /// Steps ahead.
    pub horizon: usize,
    pub n: usize,
    #[serde(deserialize_with = "number_or_null")]
    pub rmse: f64,
    #[serde(deserialize_with = "number_or_null")]
    pub bias: f64,
    /// 1 − MSE / MSE of persistence; NaN, and `null` in JSON, where persistence makes no error.
    #[serde(deserialize_with = "number_or_null")]
    pub skill: f64,
    /// 1 − MSE / MSE of linear; NaN where linear makes no error.
    #[serde(deserialize_with = "number_or_null")]
    pub skill_linear: f64,
    #[serde(deserialize_with = "number_or_null")]
    pub crps: f64,
    /// Coverage of the 50, 80, 90 and 95 % intervals, whose widths follow how earlier forecasts came out.
    #[serde(deserialize_with = "numbers_or_null")]
    pub coverage: [f64; 4],
    /// The same had the widths stayed as they were calibrated on the training blocks.
    #[serde(default, deserialize_with = "numbers_or_null")]
    pub coverage_fixed: [f64; 4],
    /// Lowest and highest coverage that would be right for each, given how few forecasts are independent and how often
    /// there is no error at all.
    pub right: [(f64, f64); 4],
    /// Independent forecasts that the coverage of the 90 % interval rests on.
    #[serde(deserialize_with = "number_or_null")]
    pub independent: f64,
    /// Share of the measured values in each tenth of the forecast distribution; even when the forecast is calibrated.
    pub pit: [f64; 10],
}

/// Learned answer of a signal to a unit step of a control, from the training mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepResponse {
    pub control: String,
    pub signal: String,
    /// Unit of the gain, e.g. `degC/degC`.
    pub unit: String,
    /// Size of the control's step.
    #[serde(deserialize_with = "number_or_null")]
    pub step: f64,
    /// Hours after the step.
    pub hours: Vec<f64>,
    /// Change of the signal per unit of control: mean and range over members.
    pub mean: Vec<f64>,
    pub low: Vec<f64>,
    pub high: Vec<f64>,
    /// Steady-state gain (last value).
    #[serde(deserialize_with = "number_or_null")]
    pub gain: f64,
    /// Known sign from `effects`, when given, and whether the model agrees.
    pub expected: Option<String>,
    pub agrees: bool,
}

/// The log's own controls fed to the twin over stretches of the hold-out (SUP-4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplayCheck {
    pub kpi: String,
    pub unit: String,
    /// Of the newest stretch.
    #[serde(deserialize_with = "number_or_null")]
    pub measured: f64,
    pub simulated: Estimate,
    /// Length of a stretch.
    pub hours: f64,
    /// Stretches, and in how many of them the measured value lies in the 90 % interval of the simulated ones.
    pub stretches: usize,
    pub within: usize,
    /// At least three quarters of the stretches are within.
    pub inside: bool,
}

/// From what, with what, when.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    pub crate_version: String,
    pub config_hash: String,
    pub model_version: String,
    pub data_start: String,
    pub data_end: String,
    pub seed: u64,
    /// The data cut-off: the report's time stamp.
    pub as_of: String,
    pub run_id: String,
}
