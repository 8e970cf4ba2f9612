//! Remarks on a learned model.

use serde::{Deserialize, Serialize};

/// A remark on a model that its users should read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub kind: NoteKind,
    /// One sentence, with signal names in backticks.
    pub text: String,
}

/// The subject of a remark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// A control that never moved in the training rows.
    ConstantControl,
    /// The chosen model contradicts a known effect.
    Contradiction,
    /// Another candidate contradicts a known effect.
    OtherContradiction,
    /// A signal whose forecasts could not be scored.
    Unscored,
    /// A signal that the model predicts no better than persistence.
    NoSkill,
    /// A forecast interval that covers too much or too little of the hold-out.
    Coverage,
    /// How the chosen model was fitted.
    Fit,
    /// In closed-loop tuning, plans performed worse than the logged operation.
    Tuning,
}

impl Note {
    pub fn new(kind: NoteKind, text: String) -> Self {
        Self { kind, text }
    }
}
