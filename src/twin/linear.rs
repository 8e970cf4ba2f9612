//! Whether a twin is linear, so that one quadratic program is the whole plan.

use super::Twin;
use crate::learn::{Derived, Equations};
use crate::schema::Role;

impl Twin {
    /// Whether its states, its outputs and the given signals are affine functions of past states and of controls, whatever
    /// the weather: the learned map has coefficients, and every equation on the way is a straight line.
    pub(super) fn is_linear(&self, signals: &[usize]) -> bool {
        let Equations { constants, early, late, next } = &self.map.equations;
        let roles = || self.map.schema.signals.iter().map(|s| s.role);
        let mut moves: Vec<bool> =
            roles().map(|r| matches!(r, Role::State | Role::Output | Role::Control | Role::Derived)).collect();
        constants.iter().for_each(|c| moves[c.signal] = false);
        // In order of need; what reads the past of a later one is not taken for straight.
        let mut straight: Vec<bool> = roles().map(|r| r != Role::Derived).collect();
        for Derived { signal, program } in early.iter().chain(late) {
            moves[*signal] = program.reads.iter().any(|r| moves[r.0]);
            straight[*signal] =
                program.is_affine(&|s| moves[s]) && program.reads.iter().all(|r| straight[r.0] || !moves[r.0]);
        }
        let layout = &self.map.layout;
        let learned = layout.targets.is_empty() || self.map.regressor.coefficients().is_some();
        let inputs = layout.inputs.iter().map(|i| i.0);
        let reads = next.iter().flat_map(|n| n.program.reads.iter().map(|r| r.0));
        learned
            && next.iter().all(|n| n.program.is_affine(&|s| moves[s]))
            && inputs.chain(reads).chain(signals.iter().copied()).all(|s| straight[s] || !moves[s])
    }
}
