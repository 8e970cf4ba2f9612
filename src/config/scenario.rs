//! Scenario files.

use indexmap::IndexMap;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, ControllerSpec, TimeOfDay, TimeSpan};

/// Name of the case with which all other cases are compared.
pub const BASELINE: &str = "baseline";

/// A what-if question: changes to the inputs of a twin, and the cases to compare.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioSpec {
    /// The question that the scenario answers.
    pub question: At<String>,
    /// Name of the twin's folder under `data`.
    pub twin: At<String>,
    /// Start of the run within the log, such as `2024-07-15T00:00:00Z`.
    #[serde(with = "toml_time")]
    #[schemars(schema_with = "toml_time::schema")]
    pub start: At<Timestamp>,
    /// Length of the run.
    pub length: At<TimeSpan>,
    /// Number of days per year that the scenario represents. The numbers of days of all scenarios in a folder should
    /// add up to 365.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days_per_year: Option<At<f64>>,
    /// Number of simulations per case (default 20). All cases have the same noise. If the scenario does not change any
    /// input on which the plant depends, the noise is taken from the log, and there is at most one simulation per
    /// ensemble member.
    #[serde(default = "particles")]
    pub particles: At<usize>,
    /// Seed of all random numbers (default 1).
    #[serde(default = "one")]
    pub seed: At<u64>,
    /// Changes to disturbances. Disturbances without a change are replayed from the log.
    #[serde(default)]
    pub disturbance: IndexMap<String, At<Change>>,
    /// Changes to the twin's parameters.
    #[serde(default)]
    pub parameter: IndexMap<String, At<Change>>,
    /// The cases to compare. The case `baseline` is required, because all other cases are compared with it.
    pub case: IndexMap<String, At<CaseSpec>>,
}

fn particles() -> At<usize> {
    20.into()
}

fn one() -> At<u64> {
    1.into()
}

/// A change to a signal or parameter, which replaces each value v by v · `scale` + `add` or by the constant `set`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add: Option<At<f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<At<f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<At<f64>>,
    /// Only for disturbances: times of day between which the change applies, in the twin's time zone, such as
    /// `["17:00", "21:00"]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between: Option<At<[TimeOfDay; 2]>>,
}

impl Change {
    pub fn apply(&self, v: f64) -> f64 {
        match &self.set {
            Some(set) => set.value,
            None => v * self.scale.as_ref().map_or(1.0, |s| s.value) + self.add.as_ref().map_or(0.0, |a| a.value),
        }
    }
}

/// Limits on the mean of a KPI over all simulated futures, in the unit of the KPI.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<At<f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<At<f64>>,
}

/// One way to operate the plant, with its investment and running costs.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseSpec {
    pub controller: At<ControllerSpec>,
    /// Parameters of the twin whose values are chosen for the controller of this case: name → [lowest, highest] value.
    /// The values minimise the objective in the part of the log before the scenario, subject to `require`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub search: IndexMap<String, At<[f64; 2]>>,
    /// Values that the mean of a KPI must reach: name of the KPI → `at_least` or `at_most`. A case that does not reach
    /// them is not recommended.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub require: IndexMap<String, At<Requirement>>,
    /// Investment, spent once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capex: Option<At<f64>>,
    /// Running cost per year.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opex_per_year: Option<At<f64>>,
}

/// Converts TOML date-times (`2024-07-15T00:00:00Z`) to and from UTC time stamps.
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
                "`{}` is not a full time stamp; write date, time and time zone, like 2024-07-15T00:00:00Z",
                at.value
            ))
        })?;
        Ok(At { value, span: at.span })
    }

    pub fn serialize<S: Serializer>(at: &At<Timestamp>, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&at.value)
    }
}
