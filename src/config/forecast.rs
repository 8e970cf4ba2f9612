//! Forecast methods for disturbances.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TimeSpan;

/// The method by which controllers forecast a disturbance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForecastSpec {
    /// The current value persists.
    Persistence,
    /// The mean season, plus the deviations of the last season and of the present. The mean season, the last season and
    /// the present are weighted by how much of each persisted in the past, so the forecast of random demand is its
    /// mean.
    Seasonal(TimeSpan),
    /// Same as `seasonal`, with the season that gave the best forecasts of the past: a day, a week or none.
    Learned,
    /// The true future values. The report points out that a controller used the true future values.
    Perfect,
}
