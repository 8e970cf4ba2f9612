//! The skill horizon: a plan ends before the first step at which the model does not beat persistence (requirement
//! SUP-3).

use crate::config::TimeSpan;
use crate::schema::{Role, Schema};
use crate::twin::Dynamics;
use crate::value::Objective;

/// A planning horizon that was shortened to the steps at which the model beats persistence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkillHorizon {
    /// Signal whose forecasts do not beat persistence beyond `reach` steps.
    pub signal: usize,
    /// Shortened horizon of the plans, in steps.
    pub reach: usize,
    /// Requested horizon, in steps.
    pub horizon: usize,
}

impl SkillHorizon {
    /// Returns `None` if the model beats persistence over all `horizon` steps for every relevant
    /// signal. A signal is relevant if the objective depends on this signal, directly or through
    /// derived signals, or if the signal has a hard limit and is not an input.
    pub fn new(horizon: usize, dynamics: &dyn Dynamics, objective: &Objective) -> Option<Self> {
        let schema = dynamics.schema();
        let limited = schema.signals.iter().enumerate().filter(|(_, s)| {
            let plant = matches!(s.role, Role::State | Role::Output | Role::Derived);
            plant && (s.hard.low.is_finite() || s.hard.high.is_finite())
        });
        let mut open: Vec<usize> =
            objective.terms.iter().filter(|(_, price)| *price != 0.0).flat_map(|(kpi, _)| kpi.reads()).collect();
        open.extend(limited.map(|(signal, _)| signal));
        let relevant = dynamics.sources(&open);
        let skill = relevant.into_iter().filter_map(|signal| Some((dynamics.skill_horizon(signal)?.max(1), signal)));
        let (reach, signal) = skill.min()?;
        (reach < horizon).then_some(Self { signal, reach, horizon })
    }

    /// Message that explains to the user why the horizon was shortened and how it can be extended.
    pub fn text(&self, schema: &Schema, step: TimeSpan) -> String {
        let span = |steps: usize| TimeSpan::from_steps(steps, step.ms());
        let (reach, name) = (span(self.reach), &schema.signals[self.signal].name);
        format!(
            "plans look {reach} ahead instead of {}, because beyond {reach} the model forecasts `{name}` no better \
             than persistence; to improve the model, add disturbances that affect `{name}`, increase `model.lags` or \
             use a longer log; to accept the shorter horizon, write `horizon = \"{reach}\"`",
            span(self.horizon)
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

    fn skill_horizon(oven: &Oven, expression: &str) -> Option<(usize, usize)> {
        let objective = oven.objective(&KpiSpec::Mean(expression.to_owned().into()));
        SkillHorizon::new(8, oven, &objective).map(|skill_horizon| (skill_horizon.signal, skill_horizon.reach))
    }

    #[test]
    fn only_signals_of_the_objective_and_hard_limits_shorten_a_plan() {
        let mut oven = Oven::new();
        oven.reach[POWER] = Some(0);
        assert_eq!((skill_horizon(&oven, "temp"), skill_horizon(&oven, "power + temp")), (None, Some((POWER, 1))));
        oven.reach[TEMP] = Some(5);
        assert_eq!(skill_horizon(&oven, "temp"), Some((TEMP, 5)));
        oven.reach[TEMP] = Some(8);
        assert_eq!(skill_horizon(&oven, "temp"), None, "the model has skill over the whole horizon");
        Arc::get_mut(&mut oven.schema).unwrap().signals[POWER].hard = Bounds { low: 0.0, high: 9.0 };
        assert_eq!(skill_horizon(&oven, "temp"), Some((POWER, 1)), "`power` has a hard limit");
    }
}
