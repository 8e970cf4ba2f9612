//! Remarks on a learned model.

use serde::{Deserialize, Serialize};

/// A remark on a model, addressed to its users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredNote")]
pub struct Note {
    pub kind: NoteKind,
    /// Text of the remark, with signal names in backticks.
    pub text: String,
}

/// The stored form of a note. Model cards written by older versions of twinopt contain only the text of each note,
/// which is interpreted as a remark on the fit.
#[derive(Deserialize)]
#[serde(untagged)]
enum StoredNote {
    Note { kind: NoteKind, text: String },
    Text(String),
}

impl From<StoredNote> for Note {
    fn from(stored: StoredNote) -> Self {
        match stored {
            StoredNote::Note { kind, text } => Self { kind, text },
            StoredNote::Text(text) => Self { kind: NoteKind::Fit, text },
        }
    }
}

/// The subject of a remark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// A control never moved in the training rows.
    ConstantControl,
    /// The log identifies the effect of a control only weakly or not at all.
    Identification,
    /// The effect of a control in the model differs from that in the log.
    Effect,
    /// The chosen model contradicts a known effect.
    Contradiction,
    /// A candidate other than the chosen model contradicts a known effect.
    OtherContradiction,
    /// The forecasts of a signal could not be scored.
    Unscored,
    /// The model predicts a signal no better than persistence does.
    NoSkill,
    /// States that an output is described by its mean and its distribution.
    Independent,
    /// The coverage of a forecast interval on the hold-out is too high or too low.
    Coverage,
    /// Training rows were left out as outliers.
    Outliers,
    /// Describes how the chosen model was fitted.
    Fit,
    /// The declared forecast of a disturbance is worse than one learned from the past.
    Forecast,
    /// Plans end before their own moves take effect.
    Horizon,
    /// The plant has probably changed since the model was fitted.
    Outdated,
    /// In closed-loop tuning, plans performed worse than the logged operation.
    Tuning,
}

impl Note {
    pub fn new(kind: NoteKind, text: String) -> Self {
        Self { kind, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_of_an_older_card_is_read() {
        let read = |text| serde_json::from_str::<Note>(text).unwrap();
        assert_eq!(read(r#""a remark""#), Note::new(NoteKind::Fit, "a remark".into()));
        let note = Note::new(NoteKind::Coverage, "another".into());
        assert_eq!(read(&serde_json::to_string(&note).unwrap()), note);
    }
}
