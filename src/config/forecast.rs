//! How the future of a disturbance is forecast.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TimeSpan;

/// How controllers forecast a disturbance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForecastSpec {
    /// The current value persists.
    Persistence,
    /// The value one season earlier, plus the difference between the current value and that of one season ago, which
    /// fades to zero over one season.
    Seasonal(TimeSpan),
    /// The true future; reports state that it was used.
    Perfect,
}
