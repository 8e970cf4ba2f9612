//! Decides whether a plan is worth following.

use super::change::objectives;
use super::{Ahead, Compiled, Plant};
use crate::control::mpc::ResolvedMpc;
use crate::learn::IdentificationLevel;
use crate::scenario::results::{ControlEffect, ControlIdentification};
use crate::schema::{Bounds, Role, Signal};
use crate::simulate::Simulated;
use crate::twin::Dynamics;
use crate::value::Difference;

/// Tolerated additional fraction of the simulated steps in which a soft limit is violated, as in the report (not
/// tuned).
const SLACK_SOFT: f64 = 0.01;

/// Returns the objective of the plan minus the objective of the simulation `kept`, which has no
/// plan.
pub fn objective_change(compiled: &Compiled, ahead: &Ahead, planned: &Simulated, kept: &Simulated) -> Difference {
    let [planned, kept] = [planned, kept].map(|run| objectives(compiled, ahead, run));
    Difference::paired_among(&planned, &kept, ahead.plant.twin.members())
}

/// Returns the effects of the moved controls on signals that priced KPIs depend on.
pub fn moved_effects<'a>(
    plant: &'a Plant,
    compiled: &Compiled,
    controls: &[usize],
    planned: &Simulated,
    kept: &Simulated,
) -> Vec<&'a ControlEffect> {
    let moved = |name: &str| {
        let found = controls.iter().find(|&&c| plant.schema.signals[c].name == name);
        found.is_some_and(|&c| planned.trajectory.differs(&kept.trajectory, c))
    };
    let priced = compiled.objective.terms.iter().filter(|(_, price)| *price != 0.0);
    let read: Vec<usize> = priced.flat_map(|(kpi, _)| kpi.reads()).collect();
    let sources = plant.twin.sources(&read);
    let priced = |name: &str| plant.schema.find(name).is_some_and(|s| sources.contains(&s));
    plant.card.effects.iter().filter(|e| moved(&e.control) && priced(&e.signal)).collect()
}

/// Returns a reason to leave the controls as they are if the log contradicts the modelled effect of
/// a planned move and simulations are not corrected for the difference, if the effect differs
/// between parts of the log, or if too little of the effect remains long after a move.
pub fn contradicted_effect(effects: &[&ControlEffect]) -> Option<String> {
    if let Some(e) = effects.iter().find(|e| e.is_contradicted()) {
        return Some(format!(
            "the plan depends on the effect of {} on {} in the model ({:.3} {}), but the log shows {:.3} ± {:.3}",
            e.control,
            e.signal,
            e.model,
            e.unit,
            e.model + e.error,
            e.half_width()
        ));
    }
    let decisive = |e: &&ControlEffect| e.contrast.as_ref().filter(|c| c.is_decisive()).map(|c| c.clause(e));
    effects.iter().find_map(decisive)
}

/// Returns remarks on moved controls that have not moved in the log for a long time, and on effects that grow or shrink
/// long after a move.
pub fn remarks(plant: &Plant, effects: &[&ControlEffect]) -> Vec<String> {
    let is_moved = |i: &&ControlIdentification| effects.iter().any(|e| e.control == i.control);
    let idle = plant.card.identification.iter().filter(is_moved).filter_map(|i| {
        let since = i.idle_since.as_ref()?;
        Some(format!(
            "`{}` has not moved since {since}, so the log does not show whether its effect is still the same",
            i.control
        ))
    });
    let late = |e: &&ControlEffect| e.contrast.as_ref().filter(|c| !c.is_decisive()).map(|c| c.clause(e));
    idle.chain(effects.iter().filter_map(late)).collect()
}

/// Returns a reason to leave the controls as they are if the log does not identify the effect of a control, and the
/// plan moves this control by more than it moved independently in the log.
pub fn unidentified_move(plant: &Plant, controls: &[usize], planned: &Simulated, kept: &Simulated) -> Option<String> {
    let not_identified = |i: &&ControlIdentification| i.level == IdentificationLevel::NotIdentified;
    let further = |i: &&ControlIdentification| {
        let found = controls.iter().find(|&&c| plant.schema.signals[c].name == i.control);
        found.is_some_and(|&c| {
            let columns = planned.trajectory.columns[c].iter().zip(&kept.trajectory.columns[c]);
            let squares: f64 = columns.clone().map(|(a, b)| (a - b) * (a - b)).sum();
            (squares / columns.len().max(1) as f64).sqrt() > i.own_movement
        })
    };
    let found = plant.card.identification.iter().filter(not_identified).find(further)?;
    Some(format!("{}. {}", found.reason(), found.advice()))
}

/// Returns a reason to leave the controls as they are if the plan violates a limit more often than the controls of
/// `kept`, which messages name `reference`.
pub fn more_violations(signals: &[Signal], planned: &Simulated, kept: &Simulated, reference: &str) -> Option<String> {
    let limited = signals.iter().enumerate().filter(|(_, s)| is_limited(s));
    for (index, signal) in limited {
        for (range, slack) in [(signal.hard, 0.0), (signal.soft, SLACK_SOFT)] {
            let share = |run: &Simulated| {
                let values = &run.trajectory.columns[index];
                values.iter().filter(|v| range.excess(**v) > 0.0).count() as f64 / values.len().max(1) as f64
            };
            let (then, now) = (share(planned), share(kept));
            if then > now + slack {
                return Some(format!(
                    "{} violates its limit in {:.1} % of the simulated steps with the plan, but in only {:.1} % with \
                     {reference}",
                    signal.name,
                    100.0 * then,
                    100.0 * now
                ));
            }
        }
    }
    None
}

/// Whether the limits of the signal apply to the condition of the plant rather than to its inputs.
fn is_limited(signal: &Signal) -> bool {
    matches!(signal.role, Role::State | Role::Output | Role::Derived)
}

/// Returns the reason to leave the controls as they are: the `objection` if there is one, or else
/// the statement that the saving is smaller than its uncertainty or that no better controls were
/// found. `now` contains the current values of the planned controls. The plan is always followed if
/// it reduces violations of hard or ranked limits, or if a control is outside its hard limits.
pub fn reason_to_leave(
    settings: &ResolvedMpc,
    signals: &[Signal],
    change: &Difference,
    planned: &Simulated,
    kept: &Simulated,
    now: &[f64],
    objection: Option<String>,
) -> Option<String> {
    let outside = settings.controls.iter().zip(now).any(|(&c, v)| signals[c].hard.excess(*v) > 0.0);
    let violations = |run: &Simulated| -> f64 {
        let limits = signals.iter().enumerate().map(|(s, signal)| {
            let ranked = settings.ranks.iter().any(|(ranked, _)| *ranked == s);
            let Bounds { low, high } = if ranked { signal.soft } else { Bounds::OPEN };
            let hard = if is_limited(signal) { signal.hard } else { Bounds::OPEN };
            (s, Bounds { low: low.max(hard.low), high: high.min(hard.high) })
        });
        limits.map(|(s, range)| run.trajectory.columns[s].iter().map(|v| range.excess(*v)).sum::<f64>()).sum()
    };
    if outside || violations(planned) < violations(kept) {
        return None;
    }
    if objection.is_some() {
        return objection;
    }
    if change.measurable && change.mean < 0.0 {
        return None;
    }
    let Difference { mean, low, high, .. } = change;
    Some(if *mean >= 0.0 {
        "no better controls were found".to_owned()
    } else {
        format!(
            "the plan would change the objective by {mean:.4} on average, which is less than the uncertainty (90 % \
             interval: {low:.4} to {high:.4})"
        )
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::schema::Schema;
    use crate::trajectory::Trajectory;
    use crate::units::Unit;

    #[test]
    fn a_plan_is_followed_only_if_it_is_better_than_chance_or_needed_for_a_limit() {
        let mut signals =
            vec![Signal::open("temp", Role::State, Unit::one()), Signal::open("heat", Role::Control, Unit::one())];
        signals[0].soft = Bounds { low: 0.0, high: 8.0 };
        signals[1].hard = Bounds { low: 0.0, high: 5.0 };
        let schema = Arc::new(Schema::new(signals));
        let run = |temp: f64| {
            let mut trajectory = Trajectory::empty(schema.clone(), Timestamp::UNIX_EPOCH, 1000, 2, 1);
            trajectory.columns[0].fill(temp);
            Simulated { trajectory, support: Vec::new(), held: Vec::new(), carried: Vec::new() }
        };
        let (cool, warm) = (run(7.0), run(9.0));
        let reason = |ranks: Vec<(usize, u32)>, differences: [f64; 3], planned: &Simulated, now: f64| {
            let settings = ResolvedMpc { controls: vec![1], ranks, ..ResolvedMpc::default() };
            let change = Difference::over(&differences, 1.0);
            reason_to_leave(&settings, &schema.signals, &change, planned, &warm, &[now], None)
        };
        let (sure, unsure, worse) = ([-1.0, -1.1, -0.9], [-1.0, 1.0, -0.3], [0.5, 0.6, 0.4]);
        assert_eq!(reason(Vec::new(), sure, &warm, 3.0), None);
        let text = reason(Vec::new(), unsure, &warm, 3.0).unwrap();
        assert!(text.contains("by -0.1000 on average, which is less than the uncertainty"), "{text}");
        assert_eq!(reason(Vec::new(), worse, &warm, 3.0).unwrap(), "no better controls were found");
        // The plan satisfies a ranked limit that unchanged controls violate. A limit without a rank does not affect the
        // decision.
        assert_eq!(reason(vec![(0, 1)], unsure, &cool, 3.0), None);
        assert!(reason(Vec::new(), unsure, &cool, 3.0).is_some() && reason(vec![(0, 1)], unsure, &warm, 3.0).is_some());
        assert_eq!(
            more_violations(&schema.signals, &warm, &cool, "constant controls").unwrap(),
            "temp violates its limit in 100.0 % of the \
            simulated steps with the plan, but in only 0.0 % with constant controls"
        );
        assert_eq!(more_violations(&schema.signals, &cool, &warm, ""), None);
        // A control outside its hard limits must move.
        assert_eq!(reason(Vec::new(), unsure, &warm, 6.0), None);
    }
}
