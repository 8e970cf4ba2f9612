//! The history of a plant: one record for each retraining, whatever its outcome, and one for each fit that published a
//! model. Records are only ever appended.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::disk::append_line;
use crate::error::{Error, Result};
use crate::learn::drift::Drift;
use crate::learn::gate::Comparison;

/// The record of one fit or retraining.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Night {
    pub plant: String,
    /// Time at which the work ended (UTC).
    pub at: String,
    pub outcome: Outcome,
    /// Exit code of the command.
    pub exit_code: u8,
    pub reason: String,
    /// The champion after this night, if there is one.
    pub champion: Option<String>,
    pub seconds: f64,
    /// Number of grid steps of the log, or 0 if the log could not be read.
    pub rows: usize,
    /// Time of the newest row of the log (UTC), or empty if the log could not be read.
    pub data_end: String,
    /// Hash of the clean log and of the settings, or empty if the log could not be read.
    pub inputs: String,
    /// The value of `--seed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// What the import before the retraining reported about the sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub import: Vec<String>,
    /// Scores of champion and challenger, if the gate compared them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// The reason why a person must act; `None` if the outcome is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// What changed since the champion was fitted, if the champion was examined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
}

/// The reason why a person must act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The forecasts of the champion have become worse, and the challenger is not better.
    Drift,
    /// The champion is older than `retrain.max_age`.
    OldChampion,
    /// The settings do not allow any challenger to pass the gate.
    ClosedGate,
    /// The challenger has no skill.
    NoSkill,
    /// The log is unsuitable for learning.
    Data,
    /// Any other error.
    Error,
}

impl Cause {
    /// Instructions for the operator of the plant in the folder `dir`.
    pub fn action(self, dir: &str) -> String {
        match self {
            Self::Drift => format!(
                "Find out with `twinopt inspect {dir}` whether a sensor, the equipment or its operation has changed. \
                 If the change is permanent, nightly retraining replaces the champion \
                 when the log contains enough new data."
            ),
            Self::OldChampion => format!(
                "No challenger has been better for a long time. Check the scores with `twinopt fit {dir} --dry-run`. If \
                 the champion is still good enough, increase `retrain.max_age`."
            ),
            Self::ClosedGate => "Change `retrain.blocks` in twin.toml as stated above.".to_owned(),
            Self::NoSkill => {
                format!("Check the log with `twinopt inspect {dir}` and the scores with `twinopt fit {dir} --dry-run`.")
            }
            Self::Data => "Repair the log or its export. The next retraining uses the repaired log.".to_owned(),
            Self::Error => format!("Remove the cause stated above. Then run `twinopt retrain {dir}`."),
        }
    }
}

/// How a fit or a retraining ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// `fit` or `run` fitted the champion, without a comparison.
    Fitted,
    /// The challenger won the comparison.
    Promoted,
    /// There was no champion before.
    First,
    /// The champion was fitted for another `twin.toml`, so no comparison was possible.
    Replaced,
    /// The challenger is not better than the champion.
    Kept,
    /// The gate does not have enough new blocks yet, so the champion is kept.
    Waiting,
    /// The log and the settings are the same as on the previous night, so nothing was fitted.
    NothingNew,
    /// The champion is unchanged, and a person must intervene.
    NeedsAttention,
    /// The log is unsuitable for learning. The champion is unchanged.
    RefusedData,
    /// The night ended with an error of any other kind. The champion is unchanged.
    Failed,
}

impl Outcome {
    /// True if no action is needed.
    pub fn is_good(self) -> bool {
        !matches!(self, Self::NeedsAttention | Self::RefusedData | Self::Failed)
    }

    /// The outcome of a night that ended with `error`, and its cause.
    pub fn of(error: &Error) -> (Self, Cause) {
        match error {
            Error::Data(_) | Error::Log(_) => (Self::RefusedData, Cause::Data),
            Error::Attention(_) => (Self::NeedsAttention, Cause::NoSkill),
            _ => (Self::Failed, Cause::Error),
        }
    }

    /// The outcome in one or two words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fitted => "Fitted",
            Self::Promoted => "Promoted",
            Self::First => "First model",
            Self::Replaced => "Replaced",
            Self::Kept => "Kept",
            Self::Waiting => "Waiting",
            Self::NothingNew => "Nothing new",
            Self::NeedsAttention => "Needs attention",
            Self::RefusedData => "Refused: data",
            Self::Failed => "Failed",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fitted => "fitted",
            Self::Promoted => "promoted",
            Self::First => "first model",
            Self::Replaced => "replaced",
            Self::Kept => "kept, the new one is not better",
            Self::Waiting => "kept, waiting for more data",
            Self::NothingNew => "nothing new",
            Self::NeedsAttention => "needs attention",
            Self::RefusedData => "refused: data",
            Self::Failed => "failed",
        })
    }
}

/// File with one JSON document per line, oldest first.
fn file(dir: &Path) -> PathBuf {
    dir.join("history.jsonl")
}

impl Night {
    /// Appends this record to the history in the model folder `dir`. The caller must hold the lock of the registry.
    pub fn append(&self, dir: &Path) -> Result<()> {
        // JSON cannot represent the scores of a model that diverged
        let scores = |c: &Comparison| [c.change, c.bound, c.coverage, c.champion_coverage];
        let finite = |c: &Comparison| scores(c).iter().all(|v| v.is_finite());
        let night = Self { comparison: self.comparison.clone().filter(finite), ..self.clone() };
        let line = serde_json::to_string(&night).map_err(|e| Error::Internal(e.to_string()))?;
        append_line(&file(dir), &line)
    }
}

/// Reads the history in the model folder `dir`, oldest record first. If the last line has no line break, it is ignored,
/// because the process was killed while writing it.
///
/// # Errors
/// Returns [`Error::Data`] if a complete line is damaged, and [`Error::NoInput`] if the file cannot be read.
pub fn history(dir: &Path) -> Result<Vec<Night>> {
    let path = file(dir);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::no_input(path, e)),
    };
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = complete.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let parse = |(i, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|e| {
            let place = path.display();
            Error::Data(format!("{place}, line {}: {e}; move this file away to start a new history", i + 1))
        })
    };
    lines.map(parse).collect()
}

/// Whether the latest retraining opens or clears an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alert {
    /// A person must act for a reason that did not exist on the preceding night.
    Opened,
    /// The reason for the preceding alert no longer exists.
    Cleared,
}

impl Alert {
    /// The alert for the last of `nights`; `None` if neither this night nor the preceding one has a cause, or if both
    /// have the same cause.
    pub fn of(nights: &[Night]) -> Option<Self> {
        let (last, earlier) = nights.split_last()?;
        match (earlier.last().and_then(|n| n.cause), last.cause) {
            (before, now) if before == now => None,
            (_, Some(_)) => Some(Self::Opened),
            (_, None) => Some(Self::Cleared),
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Cleared => "cleared",
        }
    }
}

/// Duration of the last fit or retraining in which a model was fitted. `None` if no model was fitted yet, or if the
/// history is damaged.
pub fn last_duration(dir: &Path) -> Option<Duration> {
    let fitted = |n: &Night| {
        matches!(n.outcome, Outcome::Fitted | Outcome::Promoted | Outcome::First | Outcome::Replaced | Outcome::Kept)
    };
    let last = history(dir).ok()?.into_iter().rev().find(fitted)?;
    Duration::try_from_secs_f64(last.seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn night(outcome: Outcome) -> Night {
        Night {
            plant: "p".into(),
            at: "2024-07-01T00:00:00Z".into(),
            outcome,
            exit_code: 0,
            reason: "because".into(),
            champion: None,
            seconds: 1.0,
            rows: 10,
            data_end: "2024-07-01T00:00:00Z".into(),
            inputs: "abc".into(),
            seed: None,
            import: Vec::new(),
            comparison: None,
            cause: None,
            drift: None,
        }
    }

    #[test]
    fn an_alert_is_sent_once_per_cause_and_when_it_is_over() {
        let at =
            |cause| Night { cause, ..night(if cause.is_some() { Outcome::NeedsAttention } else { Outcome::Kept }) };
        let (good, drift, data) = (at(None), at(Some(Cause::Drift)), at(Some(Cause::Data)));
        let alert = |nights: &[&Night]| Alert::of(&nights.iter().copied().cloned().collect::<Vec<_>>());
        assert_eq!(alert(&[&good]), None);
        assert_eq!(alert(&[&drift]), Some(Alert::Opened));
        assert_eq!(alert(&[&good, &drift]), Some(Alert::Opened));
        assert_eq!(alert(&[&drift, &drift]), None);
        assert_eq!(alert(&[&drift, &data]), Some(Alert::Opened));
        assert_eq!(alert(&[&drift, &good]), Some(Alert::Cleared));
        assert_eq!(alert(&[&drift, &good, &good]), None);
    }

    #[test]
    fn records_are_appended_and_a_torn_last_line_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(history(dir.path()).unwrap(), []);
        assert_eq!(last_duration(dir.path()), None);
        night(Outcome::First).append(dir.path()).unwrap();
        let path = file(dir.path());
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], &whole[..20]].concat()).unwrap();
        assert_eq!(history(dir.path()).unwrap(), [night(Outcome::First)]);
        night(Outcome::NothingNew).append(dir.path()).unwrap();
        assert_eq!(last_duration(dir.path()), Some(Duration::from_secs(1)));
        std::fs::write(&path, [&whole[..], &whole[..20]].concat()).unwrap();
        // the next record replaces the torn line
        night(Outcome::Kept).append(dir.path()).unwrap();
        assert_eq!(history(dir.path()).unwrap(), [night(Outcome::First), night(Outcome::Kept)]);
        std::fs::write(&path, [b"{}\n", &whole[..]].concat()).unwrap();
        let damaged = history(dir.path()).unwrap_err();
        assert!(damaged.exit_code() == 65 && damaged.to_string().contains("line 1"), "{damaged}");
    }

    #[test]
    fn scores_that_are_not_finite_do_not_damage_the_history() {
        let dir = tempfile::tempdir().unwrap();
        let comparison = Comparison { blocks: 9, change: f64::NAN, ..Comparison::default() };
        Night { comparison: Some(comparison), ..night(Outcome::Kept) }.append(dir.path()).unwrap();
        assert_eq!(history(dir.path()).unwrap(), [night(Outcome::Kept)]);
    }
}
