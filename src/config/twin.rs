//! `twin.toml`.

use indexmap::IndexMap;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, ForecastSpec, ModelSpec, MpcSpec, TimeSpan};
use crate::error::{Error, Result};
use crate::schema::Role;

/// A plant: its log, its tag list, its KPIs and prices, and how its model is learned.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TwinSpec {
    /// Name of the plant: letters, digits, `_` and `-`; also the name of its folders under `models` and `reports`.
    pub name: At<String>,
    /// Sample time of the twin, e.g. `10min`.
    pub step: At<TimeSpan>,
    /// IANA time zone of schedules and of the report, e.g. `Europe/Berlin` (default `UTC`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<At<String>>,
    pub log: LogSpec,
    /// The tag list; its order is the column order everywhere.
    pub signals: Vec<At<SignalSpec>>,
    /// Named constants for expressions; scenarios may change them.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub parameters: IndexMap<String, At<ParameterSpec>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub economics: Option<At<EconomicsSpec>>,
    #[serde(default)]
    pub model: ModelSpec,
    #[serde(default)]
    pub kpi: IndexMap<String, At<KpiSpec>>,
    /// KPI = price per unit, in money or in any common unit of cost. MPC minimises the sum; the report shows it.
    #[serde(default)]
    pub objective: IndexMap<String, At<f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrain: Option<At<RetrainSpec>>,
    /// How `control` and `advise` plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mpc: Option<At<MpcSpec>>,
}

impl TwinSpec {
    /// Whether `fit` tunes MPC on the log.
    pub fn tunes(&self) -> bool {
        self.mpc.as_ref().is_some_and(|m| m.value.tunes())
    }

    /// Time zone of schedules, daily windows and the report.
    ///
    /// # Errors
    /// [`Error::Usage`] for a time zone that is not known.
    pub fn zone(&self) -> Result<TimeZone> {
        let name = self.timezone.as_ref().map_or("UTC", |z| z.value.as_str());
        TimeZone::get(name).map_err(|_| Error::Usage(format!("`{name}` is not a time zone; see `twinopt check`")))
    }
}

/// Where the log is and how it is laid out.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogSpec {
    /// Parquet files, relative to the twin's folder; `*` matches within a folder.
    pub files: At<Files>,
    /// The time column.
    pub time: At<String>,
    /// A column whose changes split the log into episodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episode: Option<At<String>>,
    /// IANA time zone of time stamps that carry none (default `UTC`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<At<String>>,
    /// A longer gap splits the log (default three sample times).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_gap: Option<At<TimeSpan>>,
    /// Layout of a long log: one row per sample. Absent for a wide log: one column per signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long: Option<At<LongSpec>>,
    /// Smallest share of usable rows of each learned signal and control; nothing is fitted below it (default 0.8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completeness: Option<At<f64>>,
}

/// One pattern or several.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Files {
    One(String),
    Many(Vec<String>),
}

impl Files {
    pub fn patterns(&self) -> &[String] {
        match self {
            Self::One(p) => std::slice::from_ref(p),
            Self::Many(p) => p,
        }
    }
}

/// Column names of a long log.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LongSpec {
    pub tag: At<String>,
    pub value: At<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<At<String>>,
    /// Values of the quality column that mark good samples (default `["good", "192"]`). Numbers are compared as text.
    #[serde(default = "good_flags")]
    pub good: Vec<String>,
}

fn good_flags() -> Vec<String> {
    vec!["good".into(), "192".into()]
}

/// How the samples of one step become one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resample {
    /// Mean of the samples in the step (default of states, outputs and disturbances).
    Mean,
    /// Last value, held over empty steps up to `max_gap` (default of controls and set-points).
    Hold,
    /// Sum of the samples in the step (counts, energies per sample).
    Sum,
    /// Linear interpolation between samples up to `max_gap` apart.
    Linear,
}

/// The known direction in which a control moves a state or output in steady state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Effect {
    #[serde(rename = "+")]
    Up,
    #[serde(rename = "-")]
    Down,
    #[serde(rename = "0")]
    None,
}

/// Largest change of a control per step: one number for both directions, or one for each; an absent direction has no limit.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum MaxMove {
    Both(f64),
    Apart(UpDown),
}

/// Largest change upwards and downwards.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpDown {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<f64>,
}

impl MaxMove {
    /// (down, up); infinite if there is no limit.
    pub fn limits(&self) -> (f64, f64) {
        match *self {
            Self::Both(size) => (size, size),
            Self::Apart(UpDown { up, down }) => (down.unwrap_or(f64::INFINITY), up.unwrap_or(f64::INFINITY)),
        }
    }
}

/// One line of the tag list.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignalSpec {
    pub name: At<String>,
    pub role: At<Role>,
    /// Unit of the signal in the twin (default `1`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<At<String>>,
    /// Column of a wide log, or tag of a long one (default: the name).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<At<String>>,
    /// Unit of the column, if it differs; values are converted when they are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column_unit: Option<At<String>>,
    /// Limits `[low, high]` that should be kept; `-inf` and `inf` leave an end open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft: Option<At<[f64; 2]>>,
    /// Limits `[low, high]` that must be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hard: Option<At<[f64; 2]>>,
    /// Measured values outside `[low, high]` are sensor faults: they are dropped and counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<At<[f64; 2]>>,
    /// A sensor that shows the same value for longer than this is stuck: its values are dropped and counted. If absent, flat
    /// lines are only reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flat: Option<At<TimeSpan>>,
    /// Largest change of a control from one step to the next: a number, or `{ up = 1.0, down = 0.5 }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_move: Option<At<MaxMove>>,
    /// The control takes only whole multiples of this value, e.g. a lot size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiple: Option<At<f64>>,
    /// The control is either off (0) or at least this value, e.g. a minimum load or a minimum order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_on: Option<At<f64>>,
    /// With `min_on`: minimum time on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_run: Option<At<TimeSpan>>,
    /// With `min_on`: minimum time off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_stop: Option<At<TimeSpan>>,
    /// How the samples of one step become one value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resample: Option<At<Resample>>,
    /// How controllers forecast a disturbance (default `persistence`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<At<ForecastSpec>>,
    /// A constant instead of a column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<At<f64>>,
    /// Expression of a derived signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expr: Option<At<String>>,
    /// Known equation of a state: its value at the next step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<At<String>>,
    /// With `next`: learn the error of the equation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residual: Option<At<bool>>,
    /// Known signs of effects: control name → `"+"`, `"-"` or `"0"`. A model that contradicts one is rejected.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub effects: IndexMap<String, At<Effect>>,
}

/// A named constant.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParameterSpec {
    pub value: At<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<At<String>>,
}

/// Currency and assumptions of the economic evaluation.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EconomicsSpec {
    /// ISO 4217 code, e.g. `EUR`.
    pub currency: At<String>,
    /// KPIs in that currency; a decrease is the benefit.
    pub benefit: Vec<At<String>>,
    /// Discount rate per year, e.g. 0.08.
    pub discount_rate: At<f64>,
    pub lifetime: At<TimeSpan>,
    /// Year of the prices, e.g. 2024.
    pub price_base: At<i32>,
    /// Whether the discount rate and the escalation are real or nominal.
    pub basis: At<PriceBasis>,
    /// Price increase of the benefit per year, e.g. 0.02.
    pub escalation: At<f64>,
    /// Share of the saving that remains after each year; 0.97 loses 3 % a year.
    pub persistence: At<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PriceBasis {
    Real,
    Nominal,
}

/// A key performance indicator. Its unit follows from the units of the signals. Arguments are expressions unless stated
/// otherwise.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum KpiSpec {
    /// Integral over time.
    Integral(At<String>),
    /// Sum over steps (goods per step, counts, money per step).
    Sum(At<String>),
    /// Mean over time.
    Mean(At<String>),
    /// Largest mean over any window of the given length.
    Peak { of: At<String>, window: At<TimeSpan> },
    /// Integral of the amount by which a signal (a name) exceeds its soft limits, e.g. in K·h.
    Exceedance(At<String>),
    /// Share of time during which a signal (a name) is outside its soft limits.
    ExceedanceShare(At<String>),
    /// Ratio of the integrals of two expressions.
    Ratio([At<String>; 2]),
    /// Number of moves of a control (a name).
    Moves(At<String>),
    /// Sum of |move| of a control (a name).
    Travel(At<String>),
    /// Last value.
    Final(At<String>),
    /// Share of the demand that is served: [served, demanded], both per step.
    FillRate([At<String>; 2]),
    /// Share of steps in which the expression (shortage) is zero.
    ServiceLevel(At<String>),
    /// Integral of max(0, of − above), e.g. in K·d.
    DegreeHours { of: At<String>, above: At<f64> },
}

/// Nightly retraining.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrainSpec {
    /// The newest part of the log, from which the challenger learns.
    pub window: At<TimeSpan>,
    /// The newest part of the window, on which champion and challenger are compared.
    pub blocks: At<TimeSpan>,
    /// `status` reports a champion that is older than this as stale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<At<TimeSpan>>,
}
