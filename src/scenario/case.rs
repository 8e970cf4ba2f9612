//! One scenario: the log's stretch with its changes, every case in closed loop, and what they are worth.

use std::sync::Arc;

use jiff::tz::TimeZone;
use rayon::prelude::*;

use super::batch::{Batch, Ticker};
use super::card::change_unit;
use super::plant::{Compiled, Plant};
use super::results::{CaseResult, KpiResult, ScenarioResult};
use super::summary;
use crate::config::{Change, ControllerSpec, Loaded, PlannerSpec, ScenarioSpec, TimeSpan};
use crate::control::mpc::{ResolvedMpc, SkillHorizon, planner_of};
use crate::control::{self, Clock, Context, ControllerSettings, Forecast, OptimismCheck};
use crate::error::{Error, Result};
use crate::rng::Key;
use crate::schema::{Bounds, Role};
use crate::simulate::{Run, Simulated, simulate};
use crate::trajectory::Trajectory;
use crate::twin::{Dynamics, Twin};
use crate::value::{Difference, Estimate, Figures, Kpi, Objective, figures};

/// Name of the case that everything is compared with.
pub const BASELINE: &str = "baseline";

/// Runs all cases under common random numbers.
pub fn run_scenario(
    batch: &Batch,
    scenario: &Loaded<ScenarioSpec>,
    ticker: &Ticker,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<(ScenarioResult, Vec<(String, Trajectory)>)> {
    let (s, plant) = (&scenario.value, batch.plant);
    let seed = batch.seed.unwrap_or(s.seed.value);
    let mut compiled = Compiled::new(&plant.spec, &plant.schema, &s.parameter)?;
    let steps = plant.steps(s.length.value);
    let (past, realised) = realise(plant, &mut compiled, scenario, steps)?;
    let controllers = ControllerSettings::of_scenario(scenario, &plant.names().with(&s.parameter))?;
    let twin = plant.twin.with_equations(compiled.equations.clone());
    let plants = twin.members();
    let realised = Arc::new(realised);

    // the baseline first: everything else is compared with it
    let mut order: Vec<(&str, &ControllerSpec, &ControllerSettings)> = s
        .case
        .iter()
        .zip(&controllers)
        .map(|((name, c), settings)| (name.as_str(), &c.value.controller.value, settings))
        .collect();
    order.sort_by_key(|(name, ..)| *name != BASELINE);
    if order.first().is_none_or(|(name, ..)| *name != BASELINE) {
        return Err(Error::Usage(format!("{}: there is no [case.baseline] to compare with", scenario.path.display())));
    }
    let ticking = || {
        ticker.tick();
        stop()
    };
    let runs = order
        .par_iter()
        .map(|(_, _, controller)| {
            let particles = s.particles.value;
            Case {
                plant,
                twin: &twin,
                compiled: &compiled,
                realised: &realised,
                past,
                steps,
                particles,
                seed,
                clock: batch.clock,
            }
            .run(controller, &ticking)
        })
        .collect::<Result<Vec<_>>>()?;

    let values: Vec<Vec<Figures>> =
        runs.par_iter().map(|r| figures_of(&compiled.kpis, &r.simulated.trajectory, &realised, past)).collect();
    let objectives: Vec<Vec<f64>> = values
        .iter()
        .map(|v| compiled.objective.value_of(&compiled.kpis, &v.iter().map(|f| f.values.clone()).collect::<Vec<_>>()))
        .collect();
    let mut cases = Vec::new();
    for (i, (name, controller, settings)) in order.iter().enumerate() {
        let baseline = (i > 0).then_some(0);
        let kpis = compiled.kpis.iter().enumerate().map(|(k, kpi)| KpiResult {
            name: kpi.name.clone(),
            unit: kpi.unit.text.clone(),
            formula: kpi.formula.clone(),
            price: plant.spec.value.objective.get(&kpi.name).map(|p| p.value),
            value: Estimate::over(&values[i][k].values),
            change: baseline
                .map(|b: usize| Difference::paired_among(&values[i][k].values, &values[b][k].values, plants)),
            samples: present(&values[i][k].values),
            ratio: values[i][k].ratio.as_ref().map(|(above, below)| [present(above), present(below)]),
        });
        cases.push(CaseResult {
            name: (*name).to_owned(),
            controller: describe(controller, settings, plant, &compiled.objective),
            perfect_forecast: told_the_truth(plant, &compiled, settings, &realised, past),
            kpis: kpis.collect(),
            objective: Estimate::over(&objectives[i]),
            objective_change: baseline.map(|b| Difference::paired_among(&objectives[i], &objectives[b], plants)),
            controls: summary::controls(&runs[i].simulated.trajectory, &runs[0].simulated.trajectory),
            limits: summary::limits(&runs[i].simulated.trajectory),
            support: summary::support(&runs[i].simulated.support),
            trends: summary::trends(&runs[i].simulated.trajectory),
            notes: runs[i]
                .skill_horizon
                .map(|skill_horizon| skill_horizon.text(&plant.schema, plant.spec.value.step.value))
                .into_iter()
                .collect(),
            optimism_check: runs[i].optimism_check,
        });
    }
    let result = ScenarioResult {
        name: scenario.stem().to_owned(),
        file: scenario.stem().to_owned() + ".toml",
        question: s.question.value.clone(),
        start: s.start.value.to_string(),
        hours: steps as f64 * plant.log.step_seconds() / 3600.0,
        days_per_year: s.days_per_year.as_ref().map(|d| d.value),
        particles: s.particles.value,
        seed,
        inputs: String::new(),
        changes: [changes(plant, s), held(plant, &runs[0].simulated.held), carried(plant, &runs[0].simulated.carried)]
            .concat(),
        exit_code: 0,
        error: None,
        cases,
    };
    let trajectories =
        order.iter().map(|(n, ..)| (*n).to_owned()).zip(runs.into_iter().map(|r| r.simulated.trajectory)).collect();
    Ok((result, trajectories))
}

/// A run, and what its controller says of its plans.
pub struct Done {
    pub simulated: Simulated,
    pub optimism_check: Option<OptimismCheck>,
    pub skill_horizon: Option<SkillHorizon>,
}

/// One scenario's plant, ready to run any controller on.
pub struct Case<'a> {
    pub plant: &'a Plant,
    pub twin: &'a Twin,
    pub compiled: &'a Compiled,
    /// `past` steps of history and the run, 1 particle.
    pub realised: &'a Arc<Trajectory>,
    pub past: usize,
    pub steps: usize,
    pub particles: usize,
    pub seed: u64,
    /// By which plans keep their budget.
    pub clock: Option<&'a Clock>,
}

impl Case<'_> {
    /// The closed loop under `controller`; every controller meets the same futures.
    pub fn run(&self, controller: &ControllerSettings, stop: &dyn Fn() -> bool) -> Result<Done> {
        let all = match controller {
            ControllerSettings::Mpc(mpc) => mpc.forecast,
            _ => None,
        };
        let context = Context {
            dynamics: self.twin,
            rescored: true,
            ..self.plant.context(self.compiled, Some(self.seed), self.clock)?
        };
        let tuned = match controller {
            ControllerSettings::Mpc(mpc) => {
                &ControllerSettings::Mpc(Box::new(self.plant.tuned((**mpc).clone(), &self.compiled.objective)))
            }
            other => other,
        };
        let mut controller = control::build(tuned, &context)?;
        let run = Run {
            dynamics: self.twin,
            realised: self.realised,
            past: self.past,
            steps: self.steps,
            particles: self.particles,
            key: Key::new(self.seed),
            forecast: Forecast::new(&self.plant.spec.value, self.realised.clone(), self.past, all),
        };
        let simulated = simulate(&run, controller.as_mut(), stop)?;
        Ok(Done { simulated, optimism_check: controller.optimism_check(), skill_horizon: controller.skill_horizon() })
    }
}

/// JSON has no NaN: a particle without a value is absent.
fn present(values: &[f64]) -> Vec<Option<f64>> {
    values.iter().map(|v| v.is_finite().then_some(*v)).collect()
}

/// The log around the scenario with its changes made: (history steps, trajectory). A constant that the scenario
/// changes is a signal like any other from then on.
fn realise(
    plant: &Plant,
    compiled: &mut Compiled,
    scenario: &Loaded<ScenarioSpec>,
    steps: usize,
) -> Result<(usize, Trajectory)> {
    let s = &scenario.value;
    let log = &plant.log;
    let place = || format!("{}: the run from {} over {}", scenario.path.display(), s.start.value, s.length.value);
    let (first, last) = (log.start, log.time(log.steps.saturating_sub(1)));
    let start = log.step_at(s.start.value).filter(|t| t + steps <= log.steps).ok_or_else(|| {
        Error::Data(format!(
            "{} does not lie within the log, which goes from {first} to {last}; move `start` or shorten `length`",
            place()
        ))
    })?;
    let (past, mut t) = plant.slice(start, steps);
    for (name, change) in &s.disturbance {
        let Some(signal) = plant.schema.find(name) else { continue };
        // what a sensor could not show, the plant cannot meet
        let valid = plant.spec.value.signals[signal].valid.as_ref();
        let limits = valid.map_or(Bounds::OPEN, |v| Bounds { low: v[0], high: v[1] });
        let hours = Hours::of(plant, &change.value)?;
        for k in past..past + steps {
            if hours.hold(t.time(k)) {
                let v = &mut t.at_mut(signal, k)[0];
                *v = limits.clamp(change.value.apply(*v));
            }
        }
        compiled.equations.constants.retain(|c| c.signal != signal);
    }
    // derived signals of the past stay as the log and the twin's own parameters have them; those of the run are made in it
    let states = plant.schema.with_role(Role::State);
    if let Some(&state) = states.iter().find(|&&i| !t.at(i, past)[0].is_finite()) {
        let name = &plant.schema.signals[state].name;
        let complete = |k: &usize| states.iter().all(|&i| log.at(i, *k)[0].is_finite());
        let next = (start..log.steps).find(complete);
        let help = next.map_or_else(String::new, |k| format!("; the next complete row is at {}", log.time(k)));
        return Err(Error::Data(format!("{} cannot start: the log has no value of `{name}` there{help}", place())));
    }
    Ok((past, t))
}

/// When a change holds: always, or between two minutes of the local day.
struct Hours {
    zone: TimeZone,
    between: Option<(u32, u32)>,
}

impl Hours {
    fn of(plant: &Plant, change: &Change) -> Result<Self> {
        let between = change.between.as_ref().map(|b| (b.value[0].minutes(), b.value[1].minutes()));
        Ok(Self { zone: plant.spec.value.zone()?, between })
    }

    fn hold(&self, time: jiff::Timestamp) -> bool {
        let Some((from, to)) = self.between else { return true };
        let local = time.to_zoned(self.zone.clone());
        let now = u32::from(local.hour().unsigned_abs()) * 60 + u32::from(local.minute().unsigned_abs());
        if from <= to { (from..to).contains(&now) } else { now >= from || now < to }
    }
}

/// The scenario's differences in words.
fn changes(plant: &Plant, s: &ScenarioSpec) -> Vec<String> {
    let word = |name: &str, unit: &str, c: &Change| {
        let unit = if unit == "1" { String::new() } else { format!(" {unit}") };
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
        // a temperature changes by kelvins
        let unit = if c.set.is_none() { change_unit(unit) } else { unit };
        word(name, unit, c)
    });
    let parameters = s.parameter.iter().map(|(name, c)| {
        let unit = plant.spec.value.parameters.get(name).and_then(|p| p.unit.as_ref().map(|u| u.value.as_str()));
        word(name, unit.unwrap_or("1"), c)
    });
    signals.chain(parameters).collect()
}

/// A controller in one line.
fn describe(
    controller: &ControllerSpec,
    settings: &ControllerSettings,
    plant: &Plant,
    objective: &Objective,
) -> String {
    let names = |list: Vec<&str>| list.join(", ");
    match controller {
        ControllerSpec::Replay {} => "the log's own controls".into(),
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
            let planner = match planner_of(mpc, &plant.twin) {
                PlannerSpec::GaussNewton { .. } => "Gauss-Newton",
                PlannerSpec::Gradient { .. } => "gradient",
                PlannerSpec::Qp { .. } => "QP",
                PlannerSpec::Mcts { .. } => "tree search",
                PlannerSpec::Mppi { .. } => "MPPI",
                PlannerSpec::RandomShooting { .. } => "random shooting",
                PlannerSpec::Cem { .. } => "CEM",
                PlannerSpec::Icem { .. } => "iCEM",
            };
            let ResolvedMpc { horizon, replan, risk, .. } = plant.tuned((**mpc).clone(), objective);
            let every_step = TimeSpan::of_steps(1, plant.log.step_ms);
            let replan = replan.filter(|r| *r != every_step);
            let replan = replan.map_or_else(|| "every step".into(), |r| format!("every {r}"));
            let risk = risk.map_or_else(|| "mean".into(), |r| format!("{r} quantile"));
            let horizon = horizon.map_or_else(String::new, |h| format!(" horizon {h},"));
            format!("MPC ({planner}),{horizon} replanned {replan}, least {risk} of the cost")
        }
    }
}

/// Signals whose true future a controller was told, those that stay constant aside.
fn told_the_truth(
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

/// What the log did not have inside the run.
fn held(plant: &Plant, steps: &[usize]) -> Vec<String> {
    let hours = plant.log.step_seconds() / 3600.0;
    let missing = plant.schema.signals.iter().zip(steps).filter(|(_, n)| **n > 0);
    missing
        .map(|(s, n)| {
            format!(
                "{} is missing in the log for {:.1} h of the run and holds its last value",
                s.name,
                *n as f64 * hours
            )
        })
        .collect()
}

/// Sensors that were bad when the run starts.
fn carried(plant: &Plant, steps: &[usize]) -> Vec<String> {
    let minutes = plant.log.step_seconds() / 60.0;
    let missing = plant.schema.signals.iter().zip(steps).filter(|(_, n)| **n > 0);
    missing
        .map(|(s, n)| {
            format!(
                "{} has no good value for the last {:.0} min before the start and begins at the model's own prediction",
                s.name,
                *n as f64 * minutes
            )
        })
        .collect()
}

/// KPIs over a run, which begins at row `past` of `realised`; lags at its start reach back into the log that every particle
/// shares.
pub fn figures_of(kpis: &[Kpi], run: &Trajectory, realised: &Trajectory, past: usize) -> Vec<Figures> {
    let depth = kpis.iter().map(Kpi::depth).max().unwrap_or(0).max(1).min(past);
    let (schema, steps) = (run.schema.clone(), depth + run.steps);
    let mut whole = Trajectory::empty(schema, realised.time(past - depth), run.step_ms, steps, run.particles);
    for (i, column) in whole.columns.iter_mut().enumerate() {
        let (before, during) = column.split_at_mut(depth * run.particles);
        for (k, row) in before.chunks_mut(run.particles.max(1)).enumerate() {
            row.fill(realised.at(i, past - depth + k)[0]);
        }
        during.copy_from_slice(&run.columns[i]);
    }
    figures(kpis, &whole, &[depth..steps])
}
