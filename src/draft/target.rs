//! Ensures that a draft has a signal to predict.

use super::file::Draft;
use super::roles::Guess;
use crate::schema::Role;

impl Draft {
    /// Whether a signal is a control.
    pub(super) fn has_control(&self) -> bool {
        self.signals.iter().any(|s| s.role == Role::Control)
    }

    /// A twin needs a signal to predict. If no signal is a state or an output, the twin predicts the demand or, if no
    /// column looks like a demand, the last signal.
    pub(super) fn require_target(&mut self) {
        let demand = |s: &Guess| ["demand", "load", "sold", "order", "carbon"].iter().any(|w| s.name.contains(w));
        let targets = || self.signals.iter().filter(|s| matches!(s.role, Role::State | Role::Output));
        let (found, why) = if targets().next().is_none() {
            let found = self.signals.iter().rposition(demand).unwrap_or(self.signals.len() - 1);
            (found, "because a twin predicts at least one signal")
        } else if targets().all(|s| s.by_default && s.unit == "1") && !self.has_control() {
            // in a log without a control, a quantity whose meaning is known is worth predicting
            let is_known = |s: &Guess| s.role == Role::Disturbance && s.unit != "1" && demand(s);
            let Some(found) = self.signals.iter().rposition(is_known) else { return };
            (found, "because no other predicted signal has a known unit")
        } else {
            return;
        };
        let signal = &mut self.signals[found];
        signal.role = Role::State;
        signal.by_default = true;
        signal.kind = signal.kind.filter(|k| *k != "amount");
        signal.reason = format!("role by default, {why}, {}", signal.reason);
    }
}
