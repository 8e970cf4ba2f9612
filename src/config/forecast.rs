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
    /// The value one season earlier plus a correction. The correction is initially the current value minus the value
    /// one season ago, and fades to zero over one season. The correction is reduced or omitted if differences between
    /// seasons do not persist, as for random demand.
    Seasonal(TimeSpan),
    /// The true future values. The report points out that a controller used the true future values.
    Perfect,
}
