//! The values on which the future of a plant depends.

use std::collections::BTreeSet;

use crate::learn::StepMap;
use crate::schema::Role;
use crate::value::{Objective, StepCost};

/// The pairs (signal, lag) that depend on the planned controls and that later steps use, either in the equations of the
/// plant or in the objective. The lags are relative to a window that already contains the next states, so states have
/// lag 0, and the newest values of all other signals have lag 1.
pub(super) fn memory(map: &StepMap, controls: &[usize], objective: &Objective) -> Vec<(usize, usize)> {
    let equations = || map.equations.programs().map(|(signal, program)| (signal, program.reads.as_slice()));
    let targets = || map.layout.targets.iter().map(|target| (target.signal(), map.layout.inputs.as_slice()));
    let mut affected: BTreeSet<usize> = controls.iter().copied().collect();
    loop {
        let reached = equations().chain(targets()).filter(|(_, reads)| reads.iter().any(|r| affected.contains(&r.0)));
        let more: Vec<usize> = reached.map(|r| r.0).filter(|s| !affected.contains(s)).collect();
        if more.is_empty() {
            break;
        }
        affected.extend(more);
    }
    let mut reads: BTreeSet<(usize, usize)> = equations().chain(targets()).flat_map(|r| r.1).copied().collect();
    // A learned change is added to the present state.
    reads.extend(map.layout.targets.iter().filter(|t| t.is_next()).map(|t| (t.signal(), 0)));
    for (kpi, _) in objective.terms.iter().filter(|(_, price)| *price != 0.0) {
        reads.extend(kpi.lagged_reads());
        if let StepCost::Travel(signal) | StepCost::Moves(signal) = kpi.step_cost(1).0 {
            reads.insert((signal, 1));
        }
    }
    let mut memory = BTreeSet::new();
    for &(signal, lag) in reads.iter().filter(|r| affected.contains(&r.0)) {
        let newest = usize::from(map.schema.signals[signal].role != Role::State);
        memory.extend((newest..=lag).map(|lag| (signal, lag)));
    }
    memory.into_iter().collect()
}
