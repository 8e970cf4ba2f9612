//! Tests whether a plant is linear. For a linear plant, a single quadratic program gives the optimal plan.

use crate::learn::{Derived, Equations, StepMap};
use crate::schema::Role;

/// Returns true if the states, the outputs and the given signals are affine functions of past states and controls,
/// regardless of the values of the disturbances. A plant has this property only if its learned model is linear and its
/// equations are affine.
pub(super) fn is_linear(map: &StepMap, signals: &[usize]) -> bool {
    let Equations { constants, next, .. } = &map.equations;
    let roles = || map.schema.signals.iter().map(|s| s.role);
    let mut varies: Vec<bool> =
        roles().map(|r| matches!(r, Role::State | Role::Output | Role::Control | Role::Derived)).collect();
    constants.iter().for_each(|c| varies[c.signal] = false);
    // The equations are listed in the order of evaluation. An equation that reads past values of a signal that is
    // evaluated later is treated as not affine.
    let mut affine: Vec<bool> = roles().map(|r| r != Role::Derived).collect();
    for Derived { signal, program } in map.equations.derived() {
        varies[*signal] = program.reads.iter().any(|r| varies[r.0]);
        affine[*signal] =
            program.is_affine(&|s| varies[s]) && program.reads.iter().all(|r| affine[r.0] || !varies[r.0]);
    }
    let layout = &map.layout;
    let learned = layout.targets.is_empty() || map.regressor.coefficients().is_some();
    let inputs = layout.inputs.iter().map(|i| i.0);
    let reads = next.iter().flat_map(|n| n.program.reads.iter().map(|r| r.0));
    learned
        && next.iter().all(|n| n.program.is_affine(&|s| varies[s]))
        && inputs.chain(reads).chain(signals.iter().copied()).all(|s| affine[s] || !varies[s])
}
