//! `twin.toml`.

use indexmap::IndexMap;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, ForecastSpec, Labels, LogSpec, ModelSpec, MpcSpec, RetrainSpec, TimeSpan};
use crate::error::{Error, Result};
use crate::schema::Role;
use crate::zone::{ZoneFault, zone};

/// Description of a plant: its log, tag list, KPIs and prices, and the settings for learning its model.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TwinSpec {
    /// Name of the plant, which may contain letters, digits, `_` and `-`. The folders of the plant under `models` and
    /// `reports` are named after the plant.
    pub name: At<String>,
    /// Sample time of the twin, such as `10min`.
    pub step: At<TimeSpan>,
    /// Time zone of schedules and of the report: an IANA name, such as `Europe/Berlin`, or an offset, such as `+01:00`
    /// (default `UTC`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<At<String>>,
    pub log: LogSpec,
    /// The tag list, which also defines the order of the columns.
    pub signals: Vec<At<SignalSpec>>,
    /// Named constants for expressions; scenarios may change these constants.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub parameters: IndexMap<String, At<ParameterSpec>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub economics: Option<At<EconomicsSpec>>,
    #[serde(default)]
    pub model: ModelSpec,
    #[serde(default)]
    pub kpi: IndexMap<String, At<KpiSpec>>,
    /// Maps the name of each KPI to its price per unit, in money or in any other common unit of cost. MPC minimises the
    /// sum of the priced KPIs, and the report shows that sum.
    #[serde(default)]
    pub objective: IndexMap<String, At<f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrain: Option<At<RetrainSpec>>,
    /// MPC settings for the commands `control` and `advise`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mpc: Option<At<MpcSpec>>,
}

impl TwinSpec {
    /// Whether `fit` tunes MPC on the log.
    pub fn tunes(&self) -> bool {
        self.mpc.as_ref().is_some_and(|m| m.value.tunes())
    }

    /// Maximum age of the champion.
    pub fn max_champion_age(&self) -> TimeSpan {
        let given = self.retrain.as_ref().and_then(|r| r.max_age.as_ref());
        given.map_or(RetrainSpec::MAX_AGE, |age| age.value)
    }

    /// Returns the time zone of schedules, daily windows and the report.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] if the time zone is unknown, and [`Error::NoInput`] if its data cannot be read.
    pub fn zone(&self) -> Result<TimeZone> {
        let name = self.timezone.as_ref().map_or("UTC", |z| z.value.as_str());
        zone(name).map_err(|fault| {
            let (what, help) = fault.explain(name);
            let text = format!("{what}; {help}");
            if fault == ZoneFault::Unknown { Error::Usage(text) } else { Error::no_input("the time-zone data", text) }
        })
    }
}

/// The meaning of the values of a signal, which determines how samples are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A quantity that exists at every moment, such as a temperature or a power. The value of a step is the mean over
    /// time.
    Level,
    /// An amount per sample, such as the energy of an interval or the items of a sale. The value of a step is the sum
    /// of its samples.
    Amount,
    /// A reading that never falls unless it is reset, such as that of an energy meter. The value of a step is the
    /// increase of the reading.
    Counter,
    /// A mode or an on/off state. The value of a step is the last value in the step.
    State,
}

/// How a step is treated if the samples of an `amount` or a `counter` cover only a part of the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Partial {
    /// A step that is only partly covered has no value.
    Missing,
    /// The sum of the samples is divided by the fraction of the step that the samples cover. If readings of a counter
    /// are missing, the increase is spread evenly over the time between the known readings.
    Scale,
}

/// How the samples within one step are combined into one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resample {
    /// Mean of the samples in the step (default for levels). If the samples are irregular, the weight of each sample in
    /// the mean is the time for which it is the latest sample.
    Mean,
    /// The last value, which is held over empty steps for at most `max_gap` (default for signals of kind `state`).
    Hold,
    /// Sum of the samples in the step (default for amounts and counters).
    Sum,
    /// Linear interpolation between samples that are at most `max_gap` apart.
    Linear,
}

/// The known sign of a control's steady-state effect on a state or output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Effect {
    #[serde(rename = "+")]
    Up,
    #[serde(rename = "-")]
    Down,
    #[serde(rename = "0")]
    None,
}

/// Largest change of a control per step, given as one number for both directions or as a separate number for each
/// direction. If only one direction is given, changes in the other direction are not limited.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum MaxMove {
    Both(f64),
    Apart(UpDown),
}

/// Largest upward and downward changes of a control per step.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpDown {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<f64>,
}

impl MaxMove {
    /// Returns the limits as (down, up), which are infinite if absent.
    pub fn limits(&self) -> (f64, f64) {
        match *self {
            Self::Both(size) => (size, size),
            Self::Apart(UpDown { up, down }) => (down.unwrap_or(f64::INFINITY), up.unwrap_or(f64::INFINITY)),
        }
    }
}

/// One signal in the tag list.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignalSpec {
    pub name: At<String>,
    pub role: At<Role>,
    /// Unit of the signal in the twin (default `1`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<At<String>>,
    /// Column name in a wide log or tag in a long log (default: the name of the signal).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<At<String>>,
    /// Selects the rows that are read for this signal, in addition to `log.where`: column → value or list of values,
    /// such as `{ zone = "north" }`.
    #[serde(default, rename = "where", skip_serializing_if = "IndexMap::is_empty")]
    pub only: IndexMap<String, At<Labels>>,
    /// Unit of the column, if it differs from `unit`. Values are converted when the log is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column_unit: Option<At<String>>,
    /// Limits `[low, high]` that should be satisfied. Use `-inf` or `inf` for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft: Option<At<[f64; 2]>>,
    /// Limits `[low, high]` that must be satisfied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hard: Option<At<[f64; 2]>>,
    /// Valid range `[low, high]` of measured values. Values outside this range are treated as sensor faults: they are
    /// dropped and counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<At<[f64; 2]>>,
    /// Longest time for which a working sensor can show the same value. If a sensor stays constant for longer than this
    /// time, its values are dropped and counted. If `flat` is absent, constant values are reported but not dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flat: Option<At<TimeSpan>>,
    /// Largest change of a control from one step to the next: a number, or `{ up = 1.0, down = 0.5 }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_move: Option<At<MaxMove>>,
    /// The control must be a whole multiple of this value, e.g. of a lot size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiple: Option<At<f64>>,
    /// The control is either off (0) or at least this value, e.g. a minimum load or a minimum order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_on: Option<At<f64>>,
    /// Shortest time for which a control with `min_on` stays on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_run: Option<At<TimeSpan>>,
    /// Shortest time for which a control with `min_on` stays off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_stop: Option<At<TimeSpan>>,
    /// The meaning of the values (default: `state` for controls and set-points, `amount` with `resample = "sum"`, and
    /// `level` otherwise).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<At<Kind>>,
    /// How the samples within one step are combined into one value (default: according to `kind`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resample: Option<At<Resample>>,
    /// Value of a step without a sample, such as 0 for sales that are logged only when something is sold. If
    /// `empty` is given, samples with equal time stamps are treated as separate events, and their values are added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty: Option<At<f64>>,
    /// How a step is treated if the samples of an amount or counter cover only a part of it (default `missing`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<At<Partial>>,
    /// Condition under which a logged value is only a lower bound, such as the sales during a stock-out. The value
    /// counts as missing in steps in which the condition is true. The condition may use logged signals, constants and
    /// parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub censored: Option<At<String>>,
    /// How controllers forecast a disturbance (default `learned`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<At<ForecastSpec>>,
    /// Constant value of a signal that has no column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<At<f64>>,
    /// Expression of a derived signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expr: Option<At<String>>,
    /// Expression for the value of a state at the next step, if the equation of the state is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<At<String>>,
    /// Value at the first row of the log, for a state without a column, such as a stock that is not logged. The values
    /// in the rows after the first are computed with `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<At<f64>>,
    /// Whether a model is learned for the error of the equation in `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residual: Option<At<bool>>,
    /// Known signs of steady-state effects: control name → `"+"`, `"-"` or `"0"`. A model that contradicts a known sign
    /// is rejected.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub effects: IndexMap<String, At<Effect>>,
}

/// A named constant for expressions.
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
    /// KPIs in this currency whose decrease counts as a benefit.
    pub benefit: Vec<At<String>>,
    /// Discount rate per year, e.g. 0.08.
    pub discount_rate: At<f64>,
    pub lifetime: At<TimeSpan>,
    /// Year to which the prices refer, e.g. 2024.
    pub price_base: At<i32>,
    /// Whether the discount rate and the escalation are real or nominal.
    pub basis: At<PriceBasis>,
    /// Annual rate at which the value of the benefit rises, e.g. 0.02.
    pub escalation: At<f64>,
    /// Fraction of the saving that is retained from one year to the next, e.g. 0.97 for a loss of 3 % per year.
    pub persistence: At<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PriceBasis {
    Real,
    Nominal,
}

/// A key performance indicator. The unit of a KPI follows from the units of its signals. Arguments of KPIs are
/// expressions unless stated otherwise.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum KpiSpec {
    /// Integral over time.
    Integral(At<String>),
    /// Sum over all steps, e.g. of counts per step, goods per step or money per step.
    Sum(At<String>),
    /// Mean over time.
    Mean(At<String>),
    /// Largest mean of an expression over any window of the given length.
    Peak { of: At<String>, window: At<TimeSpan> },
    /// Integral of the amount by which a signal, given by its name, violates its soft limits, e.g. in K·h.
    Exceedance(At<String>),
    /// Fraction of time during which a signal, given by its name, is outside its soft limits.
    ExceedanceShare(At<String>),
    /// Ratio of the integrals of two expressions.
    Ratio([At<String>; 2]),
    /// Number of times that a control, given by its name, changes.
    Moves(At<String>),
    /// Sum of the absolute changes of a control, given by its name.
    Travel(At<String>),
    /// Value of an expression at the end of the run.
    Final(At<String>),
    /// Fraction of the demand that is served. The two arguments, `[served, demanded]`, are amounts per step.
    FillRate([At<String>; 2]),
    /// Fraction of steps in which the shortage, given as an expression, is zero.
    ServiceLevel(At<String>),
    /// Integral of max(0, `of` − `above`), e.g. in K·d.
    DegreeHours { of: At<String>, above: At<f64> },
}
