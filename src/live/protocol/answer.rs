//! The answer to a line from the plant.

use serde_json::{Map, Value, json};

use super::super::decision::FallbackLevel;
use super::flag::Flag;
use crate::twin::Support;

/// One answer. Values are listed by column name, in the unit of the column.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub controls: Vec<(String, f64)>,
    pub decided_by: FallbackLevel,
    pub support: Support,
    /// States predicted for the next step of the twin.
    pub predicted: Vec<(String, f64)>,
    pub flags: Vec<Flag>,
}

/// Maximum number of flags in one answer, so that a hostile line cannot cause a long answer (not tuned).
const MAX_FLAGS: usize = 16;

impl Answer {
    /// Returns the answer as a JSON line, without a line ending. `ms` is the computing time in milliseconds.
    pub fn line(&self, ms: f64) -> String {
        let table = |list: &[(String, f64)]| -> Map<String, Value> {
            list.iter().map(|(name, v)| (name.clone(), json!(v))).collect()
        };
        let mut line = json!({
            "u": table(&self.controls),
            "decided_by": self.decided_by.as_str(),
            "support": self.support,
            "predicted": table(&self.predicted),
            "ms": (ms * 1e3).round() / 1e3,
        });
        if !self.flags.is_empty() {
            line["flags"] = self.flags.iter().take(MAX_FLAGS).map(Flag::text).collect();
        }
        line.to_string()
    }
}
