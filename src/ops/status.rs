//! How the plants' models are: one small file per plant, renamed into place, and the verdict over all of them.

use std::fmt;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::TimeSpan;
use crate::error::{Error, Result};

/// What the last retrain left behind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub plant: String,
    /// UTC; last time that a retrain ran to its end, whatever the gate said.
    pub last_success: String,
    pub seconds: f64,
    pub rows: usize,
    /// Newest row of the log, UTC.
    pub data_end: String,
    pub champion: String,
    pub gate: Gate,
    /// One sentence.
    pub reason: String,
    /// Older than this is stale, as the twin says.
    pub max_age: Option<String>,
}

/// What the gate did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// The challenger won the comparison.
    Promoted,
    /// The champion stays, or there is still none.
    Kept,
    /// There was no champion before.
    First,
    /// The champion was of another `twin.toml`, and nothing could be compared.
    Replaced,
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Promoted => "promoted",
            Self::Kept => "kept",
            Self::First => "first",
            Self::Replaced => "replaced",
        })
    }
}

/// In place of a champion's name.
pub const NONE: &str = "none";

const FILE: &str = "status.json";

impl Status {
    pub fn write(&self, dir: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(|e| Error::Internal(e.to_string()))?;
        crate::disk::write_file(&dir.join(FILE), &text)
    }

    /// The status in a model folder, if a retrain has ever run there.
    pub fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(FILE);
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(|e| Error::Data(format!("{}: {e}; the next retrain writes it anew", path.display()))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::no_input(path, e)),
        }
    }

    /// Age at `now`, and whether that is more than `max_age` (else the twin's own, else 26 hours).
    pub fn age(&self, now: Timestamp, max_age: Option<TimeSpan>) -> (TimeSpan, bool) {
        let then = self.last_success.parse::<Timestamp>().unwrap_or(Timestamp::UNIX_EPOCH);
        let age = TimeSpan::from_ms((now.as_millisecond() - then.as_millisecond()).max(0));
        let own = self.max_age.as_ref().and_then(|a| a.parse().ok());
        let limit = max_age.or(own).unwrap_or(TimeSpan::from_ms(26 * 3_600_000));
        (age, age > limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_goes_stale() {
        let dir = tempfile::tempdir().unwrap();
        let status = Status {
            plant: "p".into(),
            last_success: "2024-07-01T00:00:00Z".into(),
            seconds: 1.0,
            rows: 10,
            data_end: "2024-07-01T00:00:00Z".into(),
            champion: "abc".into(),
            gate: Gate::Kept,
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
