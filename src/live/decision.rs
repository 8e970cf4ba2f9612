//! The decision at one step of the twin, and the level of the fallback that made it.

use serde::Serialize;

use crate::twin::Support;

/// Who decided the controls. From `Plan` to `Hold` each level is the fallback of the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FallbackLevel {
    /// The plant's own controller; the plan was only computed.
    Shadow,
    /// Like `Safe` or `Hold`, because too few steps have been measured for a plan.
    Settle,
    /// The plan made at this step.
    Plan,
    /// A later move of the last successful plan.
    LastPlan,
    /// The safe policy of the twin, or the plant's own controller.
    Safe,
    /// The present controls are kept.
    Hold,
}

impl FallbackLevel {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Settle => "settle",
            Self::Plan => "plan",
            Self::LastPlan => "last_plan",
            Self::Safe => "safe",
            Self::Hold => "hold",
        }
    }
}

/// The decision at one step of the twin. Values are in the twin's units, `[controls]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub decided_by: FallbackLevel,
    pub controls: Vec<f64>,
    pub support: Support,
    /// The first move of the plan, even if another level decided.
    pub planned: Option<Vec<f64>>,
    /// The decision follows the plant's own controller, which may change the controls between two steps of the twin.
    pub follows_baseline: bool,
}
