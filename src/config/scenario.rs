//! Scenario files.

use indexmap::IndexMap;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, MpcSpec, TimeSpan};

/// One what-if: a small named difference on a twin, and the cases to compare.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioSpec {
    /// The question that the scenario answers, in the words of the person who asks it.
    pub question: At<String>,
    /// Folder name of the twin under `data`.
    pub twin: At<String>,
    /// UTC start, on the log's time line.
    #[serde(with = "toml_time")]
    #[schemars(schema_with = "toml_time::schema")]
    pub start: At<Timestamp>,
    pub length: At<TimeSpan>,
    /// How many days of the year look like this; the scenarios of a folder sum to 365.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days_per_year: Option<At<f64>>,
    /// Futures per case, the same ones for every case (default 20).
    #[serde(default = "particles")]
    pub particles: At<usize>,
    #[serde(default = "one")]
    pub seed: At<u64>,
    /// Changes of disturbances; what is not named is replayed from the log.
    #[serde(default)]
    pub disturbance: IndexMap<String, At<Change>>,
    /// Changes of the twin's parameters.
    #[serde(default)]
    pub parameter: IndexMap<String, At<Change>>,
    /// The cases; `baseline` is required and everything is compared with it.
    pub case: IndexMap<String, At<CaseSpec>>,
}

fn particles() -> At<usize> {
    20.into()
}

fn one() -> At<u64> {
    1.into()
}

/// A change of a signal or parameter: `scale` first, then `add`; or `set` to a constant.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add: Option<At<f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<At<f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<At<f64>>,
    /// Of a disturbance: only between these times of the day, `["17:00", "21:00"]`, in the twin's time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between: Option<At<[String; 2]>>,
}

impl Change {
    pub fn apply(&self, v: f64) -> f64 {
        match &self.set {
            Some(set) => set.value,
            None => v * self.scale.as_ref().map_or(1.0, |s| s.value) + self.add.as_ref().map_or(0.0, |a| a.value),
        }
    }
}

/// One way to run the plant, and what it costs to have it.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseSpec {
    pub controller: At<ControllerSpec>,
    /// Money to spend once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capex: Option<At<f64>>,
    /// Money to spend every year.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opex_per_year: Option<At<f64>>,
}

/// Who moves the controls. Controls that a controller does not name are replayed from the log.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[allow(clippy::large_enum_variant, reason = "a scenario has a handful")]
pub enum ControllerSpec {
    /// The log's own controls.
    Replay {},
    /// Constant values: control name → value.
    Hold(IndexMap<String, At<f64>>),
    /// Values by time of day and week: control name → entries.
    Schedule(IndexMap<String, Vec<At<ScheduleEntry>>>),
    /// Expressions over signals: control name → expression.
    Rule(IndexMap<String, At<String>>),
    Pid(Vec<At<PidLoop>>),
    BaseStock(Vec<At<BaseStockLoop>>),
    Mpc(MpcSpec),
}

/// From `at` (local time) on the given days, the control has `value`, until the next entry.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleEntry {
    /// `HH:MM`.
    pub at: At<String>,
    /// `mon` … `sun`, or ranges like `mon-fri`; default every day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<At<String>>,
    pub value: At<f64>,
}

/// A number or the name of a signal.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Reference {
    Value(f64),
    Signal(String),
}

/// One PID loop in the ideal form u = bias + kp·(e + ∫e/ti + td·de/dt), e = set-point − measurement,
/// with clamping anti-windup.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PidLoop {
    pub control: At<String>,
    pub measurement: At<String>,
    pub setpoint: At<Reference>,
    /// Control units per measurement unit; negative for reverse action.
    pub kp: At<f64>,
    /// Integral time; absent: no integral action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ti: Option<At<TimeSpan>>,
    /// Derivative time; absent: no derivative action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub td: Option<At<TimeSpan>>,
    /// Control value at zero error (default: the control's value when the run starts).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias: Option<At<f64>>,
}

/// Order-up-to policy on an inventory position; with `reorder` the (s, S) policy.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BaseStockLoop {
    /// The control that orders.
    pub order: At<String>,
    /// Inventory position: on hand + on order − backlog, as an expression.
    pub position: At<String>,
    /// Order-up-to level S, as an expression (a number is one).
    pub level: At<String>,
    /// Order only when the position is at or below this, as an expression (s).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reorder: Option<At<String>>,
}

/// TOML's own date-time (`2024-07-15T00:00:00Z`) to and from a UTC time stamp.
mod toml_time {
    use jiff::Timestamp;
    use schemars::{Schema, SchemaGenerator, json_schema};
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::config::At;

    pub fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<At<Timestamp>, D::Error> {
        let at = At::<toml::value::Datetime>::deserialize(d)?;
        let value = at.value.to_string().parse().map_err(|_| {
            serde::de::Error::custom(format!(
                "`{}` is no UTC time; write date, time and zone, like 2024-07-15T00:00:00Z",
                at.value
            ))
        })?;
        Ok(At { value, span: at.span })
    }

    pub fn serialize<S: Serializer>(at: &At<Timestamp>, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&at.value)
    }
}
