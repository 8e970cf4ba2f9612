//! Events that change the consumption but are unrelated to the saving.

use serde::{Deserialize, Serialize};

/// An event that changed the consumption but is unrelated to the saving, such as a new production line. The analysis
/// leaves out all intervals in the period of the event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NonRoutineEvent {
    /// The period, like `2024-05-01..2024-05-07`.
    pub period: String,
    pub reason: String,
}
