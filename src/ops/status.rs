//! The status of a plant after its last retraining: one small file that is replaced atomically.

use std::fmt;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::TimeSpan;
use crate::error::{Error, Result};

/// The result of the last retraining.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub plant: String,
    /// Time at which the last retraining finished (UTC), regardless of the decision of the gate.
    pub last_success: String,
    pub seconds: f64,
    pub rows: usize,
    /// Time of the newest row of the log (UTC).
    pub data_end: String,
    pub champion: String,
    pub gate: GateResult,
    /// One sentence.
    pub reason: String,
    /// Maximum age of the last retraining, as set in the twin.
    pub max_age: Option<String>,
}

/// The result of the gate: whether the challenger became the champion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateResult {
    /// The challenger won the comparison.
    Promoted,
    /// The champion is unchanged, or there is still no champion.
    Kept,
    /// There was no previous champion.
    First,
    /// The champion was fitted for another `twin.toml`, so no comparison was possible.
    Replaced,
}

impl fmt::Display for GateResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Promoted => "promoted",
            Self::Kept => "kept",
            Self::First => "first",
            Self::Replaced => "replaced",
        })
    }
}

/// Value of `champion` if there is no champion.
pub const NO_CHAMPION: &str = "none";

const FILE: &str = "status.json";

impl Status {
    pub fn write(&self, dir: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(|e| Error::Internal(e.to_string()))?;
        crate::disk::write_file(&dir.join(FILE), &text)
    }

    /// Reads the status from a model folder. Returns `None` if no retraining has finished for this folder.
    pub fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(FILE);
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(|e| Error::Data(format!("{}: {e}; the next retraining replaces this file", path.display()))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::no_input(path, e)),
        }
    }

    /// Age of the last retraining at `now`, and whether it exceeds `max_age` (default: the `max_age` set in the twin,
    /// or else 26 hours, which is a day plus a margin).
    pub fn age(&self, now: Timestamp, max_age: Option<TimeSpan>) -> (TimeSpan, bool) {
        let then = self.last_success.parse::<Timestamp>().unwrap_or(Timestamp::UNIX_EPOCH);
        let age = TimeSpan::from_ms((now.as_millisecond() - then.as_millisecond()).max(0));
        let of_twin = self.max_age.as_ref().and_then(|a| a.parse().ok());
        let limit = max_age.or(of_twin).unwrap_or(TimeSpan::from_ms(26 * 3_600_000));
        (age, age > limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_becomes_stale() {
        let dir = tempfile::tempdir().unwrap();
        let status = Status {
            plant: "p".into(),
            last_success: "2024-07-01T00:00:00Z".into(),
            seconds: 1.0,
            rows: 10,
            data_end: "2024-07-01T00:00:00Z".into(),
            champion: "abc".into(),
            gate: GateResult::Kept,
            reason: "no better".into(),
            max_age: None,
        };
        status.write(dir.path()).unwrap();
        let read = Status::read(dir.path()).unwrap().unwrap();
        assert_eq!(read, status);
        let at = |t: &str| t.parse::<Timestamp>().unwrap();
        assert!(!read.age(at("2024-07-02T01:00:00Z"), None).1);
        assert!(read.age(at("2024-07-02T03:00:00Z"), None).1);
        assert!(!read.age(at("2024-07-02T03:00:00Z"), Some("2d".parse().unwrap())).1);
    }
}
