//! Limits on the sum of a control's values over a plan or over a period.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, TimeOfDay, TimeSpan, Weekdays};

/// A limit on the total of a control: the sum of its values over the steps of a plan or of a period. For a control that
/// is 0 or 1, the total is a number of steps.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TotalSpec {
    pub control: At<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<At<f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<At<f64>>,
    /// Length of the consecutive periods to which the limits apply, such as `1d` (default: the horizon of each plan).
    /// Days start at midnight in local time, and weeks start on Monday. The total since the start of a period counts
    /// towards the limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<At<TimeSpan>>,
    /// Start of a daily period in local time, to which the limits apply instead of the horizon. The total since the
    /// start of the period counts towards the limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<At<TimeOfDay>>,
    /// End of the daily period, which is on the next day if it is not later than `from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<At<TimeOfDay>>,
    /// Days of the week on which the daily period begins, such as `"sat,sun"` (default: every day).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<At<Weekdays>>,
}
