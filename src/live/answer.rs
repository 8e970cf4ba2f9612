//! What a line is answered with.

use serde_json::{Map, Value, json};

use super::fallback::FallbackLevel;
use super::line::Flag;
use crate::twin::Support;

/// One answer; values by column, in its unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub controls: Vec<(String, f64)>,
    pub rung: FallbackLevel,
    pub support: Support,
    /// States at the next step of the twin.
    pub predicted: Vec<(String, f64)>,
    pub flags: Vec<Flag>,
}

/// Flags of one answer; a hostile line must not make a long one.
const MOST_FLAGS: usize = 16;

impl Answer {
    /// The line, without its end; `ms`: how long it took.
    pub fn line(&self, ms: f64) -> String {
        let table = |list: &[(String, f64)]| -> Map<String, Value> {
            list.iter().map(|(name, v)| (name.clone(), json!(v))).collect()
        };
        let mut line = json!({
            "u": table(&self.controls),
            "rung": self.rung.as_str(),
            "support": self.support,
            "predicted": table(&self.predicted),
            "ms": (ms * 1e3).round() / 1e3,
        });
        if !self.flags.is_empty() {
            line["flags"] = self.flags.iter().take(MOST_FLAGS).map(Flag::text).collect();
        }
        line.to_string()
    }
}
