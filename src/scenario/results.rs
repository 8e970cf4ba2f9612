//! The contents of `results.json`, which include all data shown in the report.
//!
//! JSON has no NaN, so a missing number is written as `null` and read as NaN. All times are in UTC and follow RFC 3339.

use serde::{Deserialize, Serialize};

pub use super::card::{ModelCard, ReplayCheck, Score, StepResponse};
pub use super::effect::{ControlEffect, EffectContrast};
pub use super::identification::{ControlIdentification, DaySchedule};
pub use crate::control::ImitationUse;
pub use crate::learn::{IdentificationLevel, Note, NoteKind};
use crate::log::Quality;
use crate::schema::Role;
use crate::value::json::number_or_nan;
pub use crate::value::{Difference, Economics, Estimate, KpiKind};
use crate::verify::Entry;

/// Version of the `results.json` format.
pub const SCHEMA_VERSION: u32 = 4;

/// The results of all scenarios of a plant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    pub schema_version: u32,
    pub plant: String,
    pub timezone: String,
    /// Currency of the objective and of the economics; `None` if the twin has no `[economics]`.
    #[serde(default)]
    pub currency: Option<String>,
    /// The definition of a saving, which applies throughout the report; `None` if no KPI is a cost, in which case the
    /// objective is reported instead.
    #[serde(default)]
    pub cash: Option<CashDefinition>,
    pub scenarios: Vec<ScenarioResult>,
    /// Annual KPIs, weighted by `days_per_year`. There is one entry for each case, except the baseline, that occurs in
    /// all scenarios with `days_per_year`.
    pub annual: Vec<AnnualResult>,
    /// Annual results of the baseline; `None` if there are no annual results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annual_baseline: Option<AnnualBaseline>,
    pub model: ModelCard,
    pub quality: Quality,
    /// The promises of earlier reports that were verified, with their newest verifications.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub promises: Vec<Entry>,
    pub provenance: Provenance,
}

/// The KPIs whose sum is the cost. A saving is a decrease in the cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CashDefinition {
    /// A currency, or the unit of a KPI if no KPI is expressed in a currency.
    pub unit: String,
    pub kpis: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScenarioResult {
    /// File stem.
    pub name: String,
    pub file: String,
    pub question: String,
    pub start: String,
    /// Length of the simulated part, in hours.
    pub hours: f64,
    /// The parts of the scenario's period that were not simulated: gaps of the log, and hours in which the plant never
    /// runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<SkippedPeriod>,
    pub days_per_year: Option<f64>,
    pub particles: usize,
    pub seed: u64,
    /// Hash of all inputs of the result, which `--resume` compares with the hash of the current inputs.
    pub inputs: String,
    /// Changes that the scenario makes to the log, one line each.
    pub changes: Vec<String>,
    /// The source of the noise, which is the same in all cases.
    #[serde(default)]
    pub noise: NoiseSource,
    /// Explanation of why the noise is recorded or drawn, and of what this means for the intervals; empty in older
    /// results.
    #[serde(default)]
    pub noise_note: String,
    /// The reason why the baseline may differ from the actual operation of the plant. Savings may
    /// then be too high or too low.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_caveat: Option<String>,
    /// What the plant did in the same period according to the log, without the changes of the scenario.
    #[serde(default)]
    pub measured: Measured,
    /// Exit code of the error if the scenario failed; otherwise 0.
    pub exit_code: u8,
    pub error: Option<String>,
    /// All cases, starting with the baseline.
    pub cases: Vec<CaseResult>,
}

impl ScenarioResult {
    /// Length of the period from the start to the end of the scenario, in hours.
    pub fn span_hours(&self) -> f64 {
        self.hours + self.skipped.iter().map(|s| s.hours).sum::<f64>()
    }
}

/// A period without data in the log, which is not simulated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SkippedPeriod {
    pub from: String,
    pub to: String,
    pub hours: f64,
}

/// KPIs and limit violations in the log over the period of a scenario.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// KPIs that have a value, in the order in which the twin defines them.
    pub kpis: Vec<MeasuredKpi>,
    /// Limits on signals that were logged.
    pub limits: Vec<LimitUse>,
    /// The cost, or the objective if the results define no cost. Missing values are replaced by the mean of the others.
    /// `None` if the scenario changes the logged conditions, or if more than 5 % of the values of one of the KPIs are
    /// missing from the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// Whether the scenario changes the logged conditions.
    #[serde(default)]
    pub is_changed: bool,
    /// Largest fraction of values that are missing in a KPI of the cost.
    #[serde(default)]
    pub cost_missing: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredKpi {
    pub name: String,
    pub value: f64,
    /// Fraction of the values that are missing from the log and therefore left out.
    pub missing: f64,
}

/// The source of the noise in the simulations of a scenario.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoiseSource {
    /// The errors of each ensemble member in predicting the next step of the log.
    Recorded,
    /// Random draws from the distribution of the model errors.
    #[default]
    Drawn,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    pub name: String,
    /// Description, e.g. `MPC (iCEM), horizon 4h, replanning every 30min, minimising the mean of the cost`.
    pub controller: String,
    /// Signals whose true future values the controller receives as its forecast.
    pub perfect_forecast: Vec<String>,
    pub kpis: Vec<KpiResult>,
    /// Σ price × KPI.
    pub objective: Estimate,
    /// Paired difference of the objective, case minus baseline.
    pub objective_change: Option<Difference>,
    /// The cost; `None` if the results define no cost.
    #[serde(default)]
    pub cash: Option<Estimate>,
    /// Paired difference of the cost, case minus baseline.
    #[serde(default)]
    pub cash_change: Option<Difference>,
    pub controls: Vec<ControlUse>,
    pub limits: Vec<LimitUse>,
    pub support: SupportShare,
    /// The saving inside, at the edge of, and outside the support, in the unit of the cost. The three parts add up to
    /// the mean of `cash_change` with the opposite sign. `None` for the baseline, or if the cost is not a sum over
    /// steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saving_support: Option<SupportShare>,
    /// Ranges of the model inputs in the log and in the case.
    #[serde(default)]
    pub inputs: Vec<InputRange>,
    /// Accuracy of the imitations if the controller imitates the plant's own controller.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub imitations: Vec<ImitationUse>,
    /// Thinned trajectories for the charts, one per signal.
    pub trends: Vec<Trend>,
    /// Remarks on the controller, such as the remark that its horizon was shortened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Stores whose content at the end of the scenario differs from the baseline. The saving does
    /// not include the value of this difference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub end_contents: Vec<EndContent>,
    /// The limits on totals over a period, and the requirements on KPIs, that the case does not satisfy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missed_totals: Vec<MissedTotal>,
    /// The requirements on KPIs that the case satisfies, as clauses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reached: Vec<String>,
    /// A clause that names a changed control, if the scenario ends before the change takes effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen_effect: Option<String>,
    /// A clause about effects that occur only after a plan has ended; `None` if the first move of a
    /// plan takes effect before the plan ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen: Option<String>,
}

/// A violated limit on the total of a control, or a requirement on a KPI that is not satisfied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MissedTotal {
    /// Identifies the limit in different cases.
    pub limit: String,
    /// Fraction of violated periods over all simulated futures; 1 for a requirement on a KPI.
    pub share: f64,
    /// A clause that describes the violation.
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KpiResult {
    pub name: String,
    pub kind: KpiKind,
    /// Signals that the KPI reads.
    pub signals: Vec<String>,
    /// Other signals that affect the KPI through the equations of derived signals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    pub unit: String,
    /// The formula of the KPI in words.
    pub formula: String,
    /// Price of the KPI in the objective; `None` if the KPI is not priced.
    pub price: Option<f64>,
    pub value: Estimate,
    /// Difference from the baseline; `None` for the baseline itself.
    pub change: Option<Difference>,
    /// Value of the KPI for every particle; `None` if the value is undefined.
    #[serde(default)]
    pub samples: Vec<Option<f64>>,
    /// Numerator and denominator per particle, if the KPI is a ratio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<[Vec<Option<f64>>; 2]>,
}

/// Statistics of a control in a case, with comparison to the baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ControlUse {
    pub signal: String,
    pub unit: String,
    /// Mean, minimum and maximum over time of the median over particles.
    #[serde(deserialize_with = "number_or_nan")]
    pub mean: f64,
    #[serde(deserialize_with = "number_or_nan")]
    pub min: f64,
    #[serde(deserialize_with = "number_or_nan")]
    pub max: f64,
    #[serde(deserialize_with = "number_or_nan")]
    pub baseline_mean: f64,
    /// Root mean square of the difference from the baseline; absent in results of older versions.
    #[serde(default)]
    pub rms_difference: Option<f64>,
    /// Range allowed by the hard limits; `None` if there is no limit.
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// Largest allowed move per step; the smaller value if the limits for increase and decrease differ.
    pub max_move: Option<f64>,
    /// Number of moves during the run, counted in the median of the control over the particles.
    pub moves: usize,
    /// The source of the control's values.
    pub setting: Setting,
    /// 10th and 90th percentile over all steps and particles.
    pub typical: ValueRange,
    /// The typical range in each quarter of the local day; empty if the control is held constant,
    /// if the time of day is unknown, or if a step is longer than a quarter of a day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_hour: Vec<HourRange>,
    /// Typical ranges of the values in the first steps, for a control that is an order quantity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first_orders: Vec<(String, ValueRange)>,
}

/// The source of a control's values in a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Setting {
    /// Values replayed from the log.
    Logged,
    /// An imitation of the plant's own controller.
    AsLogged,
    Held {
        value: f64,
    },
    Timetable {
        entries: Vec<TimetableEntry>,
    },
    Rule {
        expression: String,
    },
    Pid {
        measurement: String,
        setpoint: String,
    },
    /// Order-up-to level S and, for an (s, S) policy, reorder point s.
    Stock {
        level: ValueRange,
        reorder: Option<ValueRange>,
    },
    /// Values planned by MPC.
    Plan,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimetableEntry {
    /// Days of the week, such as `mon-fri`; empty for every day.
    pub days: String,
    /// Local time, such as `06:00`.
    pub at: String,
    pub value: f64,
}

/// A typical range, from the 10th to the 90th percentile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ValueRange {
    #[serde(deserialize_with = "number_or_nan")]
    pub low: f64,
    #[serde(deserialize_with = "number_or_nan")]
    pub high: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HourRange {
    /// Start and end of this part of the day, in hours since midnight.
    pub from: usize,
    pub to: usize,
    pub range: ValueRange,
}

/// The content of a store at the end of a scenario, for a case and for the baseline, if they differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndContent {
    pub signal: String,
    pub unit: String,
    /// Mean over the simulated futures.
    pub case: f64,
    pub baseline: f64,
    /// The value of the difference in the unit of the objective, at the mean value that the plans of the scenario assign
    /// to the content; `None` if no plan assigns a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worth: Option<f64>,
}

/// The range of an input of the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputRange {
    pub signal: String,
    pub unit: String,
    pub role: Role,
    /// Lowest and highest value in the training rows of the log.
    pub logged: [f64; 2],
    /// Lowest and highest value in the run.
    pub run: [f64; 2],
    /// Fraction of the values of the run that are outside the logged range.
    pub outside: f64,
}

/// Whether a limit is hard or soft.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    Hard,
    Soft,
}

impl LimitKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
        }
    }
}

/// How often and how far a case violates a limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LimitUse {
    pub signal: String,
    pub unit: String,
    pub kind: LimitKind,
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// Fraction of all (particle, step) pairs at which the limit is violated.
    pub share_beyond: f64,
    /// Fraction of particles that violate the limit at least once.
    pub chance: f64,
    /// The part of `share_beyond` that was added to the simulated fraction, because in the log the
    /// signal varies more, or the model is less accurate, near the settings of the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near_setting: Option<f64>,
    /// Size of the largest violation, in the unit of a change in the signal (kelvins for a temperature in degrees
    /// Celsius).
    #[serde(deserialize_with = "number_or_nan")]
    pub worst: f64,
    /// Time of the largest violation.
    pub worst_time: Option<String>,
    /// Stop rules for this limit, one for each finite end; empty for measured values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<StopRule>,
}

/// A stop condition, which is met if the signal stays beyond `value` for `hours`. The run itself does not meet the
/// condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StopRule {
    /// True if the condition is met by values above `value`, and false if it is met by values below `value`.
    pub above: bool,
    #[serde(deserialize_with = "number_or_nan")]
    pub value: f64,
    pub hours: f64,
    /// The most extreme value that the run sustains; `None` if `value` equals the limit. If
    /// the run stays beyond the limit for a long time, `value` is slightly beyond `reached`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<f64>,
}

/// Fractions of all (particle, step) pairs, or of a total, inside, at the edge of, and outside the support.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct SupportShare {
    pub inside: f64,
    pub edge: f64,
    pub outside: f64,
}

impl SupportShare {
    /// Returns all three values multiplied by `factor`.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self { inside: factor * self.inside, edge: factor * self.edge, outside: factor * self.outside }
    }

    /// Adds the values of `other`, for example from another scenario.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let Self { inside, edge, outside } = self;
        Self { inside: inside + other.inside, edge: edge + other.edge, outside: outside + other.outside }
    }

    pub fn total(&self) -> f64 {
        self.inside + self.edge + self.outside
    }
}

/// One signal over the run, thinned to at most about 600 points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    pub signal: String,
    pub unit: String,
    pub role: Role,
    /// Time since the start of the scenario, in hours.
    pub hours: Vec<f64>,
    pub p10: Vec<f64>,
    pub p50: Vec<f64>,
    pub p90: Vec<f64>,
}

/// The annual result of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnnualResult {
    pub case: String,
    /// Total number of days per year that the scenarios represent.
    pub days: f64,
    pub kpis: Vec<KpiResult>,
    pub objective: Estimate,
    pub objective_change: Difference,
    /// The cost and its paired difference, as in [`CaseResult`].
    pub cash: Option<Estimate>,
    pub cash_change: Option<Difference>,
    /// The economics of the case, computed from the decrease in cost in `cash_change`.
    pub economics: Option<Economics>,
}

/// The annual result of the baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnnualBaseline {
    pub kpis: Vec<KpiResult>,
    pub objective: Estimate,
    pub cash: Option<Estimate>,
}

/// The origin of the results: the inputs and their versions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    pub crate_version: String,
    pub config_hash: String,
    pub model_version: String,
    pub data_start: String,
    pub data_end: String,
    pub seed: u64,
    /// End of the data in the log, which is the time stamp of the report.
    pub as_of: String,
    pub run_id: String,
}
