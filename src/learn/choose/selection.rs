//! Restrictions on the choice of the model.

use crate::config::Effect;

/// Restrictions on the choice of the model.
#[derive(Debug, Clone, Copy, Default)]
pub struct Selection<'a> {
    /// Known effects. A model that contradicts a known effect is not chosen.
    pub effects: &'a [KnownEffect],
    /// Model to choose without comparing it with the other candidates.
    pub preselected: Option<Preselected<'a>>,
}

/// The known sign of a steady-state gain.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KnownEffect {
    /// Column of the control.
    pub control: usize,
    /// Column of the signal.
    pub signal: usize,
    pub effect: Effect,
}

/// A model that was chosen earlier, for example by closed-loop tuning. A preselected model that
/// contradicts a known effect is ignored, and the models are compared as usual.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preselected<'a> {
    /// Name of the model, as used in `model.choose`.
    pub model: &'a str,
    /// Reason for the choice, phrased to follow the model's name in a sentence.
    pub reason: &'a str,
}
