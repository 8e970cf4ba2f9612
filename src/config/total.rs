//! Limits on the sum of a control's values over a plan.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, TimeSpan};

/// A limit on the total of a control: the sum of its values over the steps of a plan.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TotalSpec {
    pub control: At<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<At<f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<At<f64>>,
    /// Time span to which the limits apply (default: the horizon). The limits are scaled in proportion to the horizon
    /// of each plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<At<TimeSpan>>,
}
