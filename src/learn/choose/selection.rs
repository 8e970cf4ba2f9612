//! Restrictions on the choice of the model.

use crate::config::Effect;

/// Restrictions on the choice of the model.
#[derive(Debug, Clone, Copy, Default)]
pub struct Selection<'a> {
    /// Models that contradict one of these effects are not chosen.
    pub effects: &'a [KnownEffect],
    /// A model that is chosen without comparison.
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

/// A model that was chosen before, e.g. in closed loop. If it contradicts a known effect, the models are compared
/// instead.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preselected<'a> {
    /// Name in the list of models.
    pub model: &'a str,
    /// Reason for the choice, worded so that it can follow the model's name.
    pub reason: &'a str,
}
