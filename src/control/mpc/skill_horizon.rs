//! How far plans look: no further than the model has skill (SUP-3).

use std::collections::BTreeSet;

use crate::config::TimeSpan;
use crate::schema::{Role, Schema};
use crate::twin::Dynamics;
use crate::value::Objective;

/// A horizon that was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkillHorizon {
    /// The signal that the model forecasts no better than if it stayed as it is, from there on.
    pub signal: usize,
    /// Steps that plans look ahead, and were to look.
    pub reach: usize,
    pub horizon: usize,
}

impl SkillHorizon {
    /// Why plans over `horizon` steps look less far, if they must: the signals that count are those that the objective reads,
    /// seen through derived signals, and those with a hard limit of their own.
    pub fn of(horizon: usize, dynamics: &dyn Dynamics, objective: &Objective) -> Option<Self> {
        let schema = dynamics.schema();
        let limited = schema.signals.iter().enumerate().filter(|(_, s)| {
            let plant = matches!(s.role, Role::State | Role::Output | Role::Derived);
            plant && (s.hard.low.is_finite() || s.hard.high.is_finite())
        });
        let mut open: Vec<usize> =
            objective.terms.iter().filter(|(_, price)| *price != 0.0).flat_map(|(kpi, _)| kpi.reads()).collect();
        open.extend(limited.map(|(signal, _)| signal));
        let mut counts = BTreeSet::new();
        while let Some(signal) = open.pop() {
            if counts.insert(signal) {
                let read = dynamics.derived(signal).map_or(&[][..], |program| &program.reads);
                open.extend(read.iter().map(|(s, _)| *s));
            }
        }
        let known = counts.into_iter().filter_map(|signal| Some((dynamics.skill_horizon(signal)?.max(1), signal)));
        let (reach, signal) = known.min()?;
        (reach < horizon).then_some(Self { signal, reach, horizon })
    }

    /// In one sentence, with the help.
    pub fn text(&self, schema: &Schema, step: TimeSpan) -> String {
        let of = |steps: usize| TimeSpan::of_steps(steps, step.ms());
        let (reach, name) = (of(self.reach), &schema.signals[self.signal].name);
        format!(
            "plans look {reach} ahead, not {}: further on the model forecasts `{name}` no better than if it stayed as it is; \
             give the twin what drives `{name}` (a disturbance, `model.lags`, a longer log), or write `horizon = \"{reach}\"`",
            of(self.horizon)
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::oven::{Oven, POWER, TEMP};
    use super::*;
    use crate::config::KpiSpec;
    use crate::schema::Bounds;

    fn skill_horizon(oven: &Oven, of: &str) -> Option<(usize, usize)> {
        let objective = oven.objective(&KpiSpec::Mean(of.to_owned().into()));
        SkillHorizon::of(8, oven, &objective).map(|skill_horizon| (skill_horizon.signal, skill_horizon.reach))
    }

    #[test]
    fn only_what_the_objective_and_limits_read_cuts_a_plan() {
        let mut oven = Oven::new();
        oven.reach[POWER] = Some(0);
        assert_eq!((skill_horizon(&oven, "temp"), skill_horizon(&oven, "power + temp")), (None, Some((POWER, 1))));
        oven.reach[TEMP] = Some(5);
        assert_eq!(skill_horizon(&oven, "temp"), Some((TEMP, 5)));
        oven.reach[TEMP] = Some(8);
        assert_eq!(skill_horizon(&oven, "temp"), None, "as far as the plan looks");
        Arc::get_mut(&mut oven.schema).unwrap().signals[POWER].hard = Bounds { low: 0.0, high: 9.0 };
        assert_eq!(skill_horizon(&oven, "temp"), Some((POWER, 1)), "a limit must be seen coming");
    }
}
