//! The decision at one step of the twin, and the fallback level that made it.

use serde::Serialize;

use crate::twin::Support;

/// The level of the fallback sequence that determined the controls. From `Plan` to `Hold`, each level is the fallback
/// for the preceding level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FallbackLevel {
    /// The plant's own controller, because the loop runs in shadow mode, in which plans are computed but not used.
    Shadow,
    /// The start of a run, before enough steps have been measured to make a plan. The controls are
    /// chosen in the same way as at the level `Safe` or `Hold`.
    Settle,
    /// A plan made at this step.
    Plan,
    /// A later move of the last successful plan.
    LastPlan,
    /// The safe policy that the twin specifies, or the plant's own controller.
    Safe,
    /// The controls keep their current values.
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

/// The decision at one step of the twin, with one value per control, in the twin's units.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub decided_by: FallbackLevel,
    pub controls: Vec<f64>,
    pub support: Support,
    /// The first move of the plan, even if a different fallback level determined the controls.
    pub planned: Option<Vec<f64>>,
    /// Whether the decision follows the plant's own controller, which may change the controls between two steps of the
    /// twin.
    pub follows_baseline: bool,
}
