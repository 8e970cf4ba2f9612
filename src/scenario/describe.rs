//! Descriptions for the report: the changes of a scenario, its controllers, and missing values in the log.

use std::sync::Arc;

use super::effect::change_unit;
use super::imitation;
use super::plant::{Compiled, Plant};
use crate::config::{Change, ControllerSpec, PlannerSpec, ScenarioSpec, TimeSpan};
use crate::control::mpc::{ResolvedMpc, select_planner};
use crate::control::{ControllerSettings, Forecast, GateUse, ImitationUse};
use crate::trajectory::Trajectory;
use crate::units::unit_suffix;

/// Descriptions of the scenario's changes, one line each.
pub fn changes(plant: &Plant, s: &ScenarioSpec) -> Vec<String> {
    let word = |name: &str, unit: &str, c: &Change| {
        let unit = unit_suffix(unit);
        let mut what = Vec::new();
        if let Some(v) = &c.set {
            what.push(format!("set to {}{unit}", v.value));
        }
        if let Some(v) = &c.scale {
            what.push(format!("× {}", v.value));
        }
        if let Some(v) = &c.add {
            what.push(format!("{}{}{unit}", if v.value < 0.0 { "− " } else { "+ " }, v.value.abs()));
        }
        let when =
            c.between.as_ref().map_or_else(String::new, |b| format!(" between {} and {}", b.value[0], b.value[1]));
        format!("{name} {}{when}", what.join(" "))
    };
    let signals = s.disturbance.iter().map(|(name, c)| {
        let unit = plant.schema.find(name).map_or("1", |i| &plant.schema.signals[i].unit.text);
        // A temperature change is given in kelvins.
        let unit = if c.set.is_none() { change_unit(unit) } else { unit };
        word(name, unit, c)
    });
    let parameters = s.parameter.iter().map(|(name, c)| {
        let unit = plant.spec.value.parameters.get(name).and_then(|p| p.unit.as_ref().map(|u| u.value.as_str()));
        word(name, unit.unwrap_or("1"), c)
    });
    signals.chain(parameters).collect()
}

/// One-line description of the controller.
pub fn controller(
    controller: &ControllerSpec,
    settings: &ControllerSettings,
    plant: &Plant,
    compiled: &Compiled,
) -> String {
    let names = |list: Vec<&str>| list.join(", ");
    match controller {
        ControllerSpec::Replay {} => "the logged controls".into(),
        ControllerSpec::AsLogged(_) => {
            let one = |u: ImitationUse| {
                let quality = if u.poor { "poor: " } else { "" };
                let unit = unit_suffix(&u.unit);
                format!(
                    "{} ({quality}explains {:.0} % of the moves, error {:.2}{unit}; reads {})",
                    u.control,
                    100.0 * u.explained.max(0.0),
                    u.rmse,
                    names(u.inputs.iter().map(String::as_str).collect())
                )
            };
            let list: Vec<String> = imitation::uses(settings).into_iter().map(one).collect();
            format!("an imitation of the plant's own controller for {}", list.join(", "))
        }
        ControllerSpec::Hold(values) => {
            let list: Vec<String> = values.iter().map(|(n, v)| format!("{n} = {}", v.value)).collect();
            format!("hold {}", list.join(", "))
        }
        ControllerSpec::Schedule(map) => format!("schedule of {}", names(map.keys().map(String::as_str).collect())),
        ControllerSpec::Rule(map) => {
            let list: Vec<String> = map.iter().map(|(n, e)| format!("{n} = {}", e.value)).collect();
            format!("rule {}", list.join(", "))
        }
        ControllerSpec::Pid(loops) => {
            format!("PID on {}", names(loops.iter().map(|l| l.value.control.value.as_str()).collect()))
        }
        ControllerSpec::BaseStock(loops) => {
            let kind = if loops.iter().any(|l| l.value.reorder.is_some()) { "(s, S)" } else { "base-stock" };
            format!("{kind} on {}", names(loops.iter().map(|l| l.value.order.value.as_str()).collect()))
        }
        ControllerSpec::Mpc(_) => {
            let ControllerSettings::Mpc(mpc) = settings else { return "MPC".into() };
            let mpc = plant.tuned((**mpc).clone(), compiled);
            let objective = mpc.planned_objective(&compiled.objective, &compiled.kpis);
            let planner = match select_planner(&mpc, &plant.twin, &objective) {
                PlannerSpec::GaussNewton { .. } => "Gauss-Newton",
                PlannerSpec::Gradient { .. } => "gradient",
                PlannerSpec::Qp { .. } => "QP",
                PlannerSpec::Milp { .. } => "MILP",
                PlannerSpec::Dp { .. } => "dynamic programming",
                PlannerSpec::Mcts { .. } => "tree search",
                PlannerSpec::Mppi { .. } => "MPPI",
                PlannerSpec::RandomShooting { .. } => "random shooting",
                PlannerSpec::Cem { .. } => "CEM",
                PlannerSpec::Icem { .. } => "iCEM",
            };
            let ResolvedMpc { horizon, replan, risk, .. } = mpc;
            let every_step = TimeSpan::from_steps(1, plant.log.step_ms);
            let replan = replan.filter(|r| *r != every_step);
            let replan = replan.map_or_else(|| "every step".into(), |r| format!("every {r}"));
            let risk = risk.map_or_else(|| "mean".into(), |r| format!("{r} quantile"));
            let horizon = horizon.map_or_else(String::new, |h| format!(" horizon {h},"));
            format!("MPC ({planner}),{horizon} replanning {replan}, minimising the {risk} of the cost")
        }
    }
}

/// Signals, except constant ones, whose true future values the controller receives as its forecast.
pub fn perfect_forecast(
    plant: &Plant,
    compiled: &Compiled,
    controller: &ControllerSettings,
    realised: &Arc<Trajectory>,
    past: usize,
) -> Vec<String> {
    let ControllerSettings::Mpc(mpc) = controller else { return Vec::new() };
    let forecast = Forecast::new(&plant.spec.value, realised.clone(), past, mpc.forecast);
    let constant = |i: &usize| compiled.equations.constants.iter().any(|c| c.signal == *i);
    forecast.perfect().filter(|i| !constant(i)).map(|i| plant.schema.signals[i].name.clone()).collect()
}

/// Describes how often the moves of MPC were changed because they left the support; `None` if they never were.
pub fn gate(used: GateUse) -> Option<String> {
    let percent = |n: usize| 100.0 * n as f64 / used.moves.max(1) as f64;
    (used.reduced + used.replaced > 0).then(|| {
        format!(
            "{:.1} % of the moves were reduced and {:.1} % replaced by those of the baseline, because they left the \
             logged range",
            percent(used.reduced),
            percent(used.replaced)
        )
    })
}

/// One clause for each signal with missing values during the run. `steps` contains the number of missing steps per
/// signal.
pub fn held(plant: &Plant, steps: &[usize]) -> Vec<String> {
    let hours = plant.log.step_seconds() / 3600.0;
    let missing = plant.schema.signals.iter().zip(steps).filter(|(_, n)| **n > 0);
    missing
        .map(|(s, n)| {
            format!(
                "{} is missing from the log for {:.1} h of the run and keeps its last value during this time",
                s.name,
                *n as f64 * hours
            )
        })
        .collect()
}

/// One clause for each state without a valid value at the start of the run. `steps` contains the number of steps since
/// the last valid value of each signal.
pub fn carried(plant: &Plant, steps: &[usize]) -> Vec<String> {
    let minutes = plant.log.step_seconds() / 60.0;
    let missing = plant.schema.signals.iter().zip(steps).filter(|(_, n)| **n > 0);
    missing
        .map(|(s, n)| {
            format!(
                "{} has no valid value in the last {:.0} min before the start, so the run starts from a prediction of \
                 the model",
                s.name,
                *n as f64 * minutes
            )
        })
        .collect()
}
