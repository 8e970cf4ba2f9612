//! A plant ready to run scenarios: its log, its twin, its KPIs; and one scenario's view of it.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use rayon::prelude::*;

use super::results::{ModelCard, ReplayCheck};
use crate::control::{self, Forecast};
use crate::error::{Error, Fault, Result};
use crate::expr::Scope;
use crate::learn::Equations;
use crate::log::Quality;
use crate::rng::Key;
use crate::schema::{Role, Schema};
use crate::simulate::{Run, Simulated, simulate};
use crate::spec::{At, Change, ControllerSpec, ForecastSpec, Loaded, TwinSpec};
use crate::trajectory::Trajectory;
use crate::twin::{Dynamics, Twin};
use crate::value::{Estimate, Kpi, Objective, evaluate, quantile, sorted_finite};

/// Everything about a plant that scenarios share.
pub struct Plant {
    pub spec: Loaded<TwinSpec>,
    pub schema: Arc<Schema>,
    /// Clean measured log, derived signals filled.
    pub log: Trajectory,
    pub quality: Quality,
    pub twin: Twin,
    pub card: ModelCard,
    /// BLAKE3 of `twin.toml`.
    pub config_hash: String,
}

/// A plant under a scenario's parameters.
pub struct Compiled {
    pub scope: Scope,
    pub equations: Equations,
    pub kpis: Vec<Kpi>,
    pub objective: Objective,
}

impl Compiled {
    /// Compiles equations and KPIs with the parameters changed by `changes`.
    pub fn new(spec: &Loaded<TwinSpec>, schema: &Schema, changes: &IndexMap<String, At<Change>>) -> Result<Self> {
        let fault = |span: Range<usize>, code, message: String, cure: String| {
            Fault::new(code, &spec.path, &spec.text, Some(span), message, cure)
        };
        let scope = Scope::new(&spec.value, schema, changes)
            .map_err(|(m, span)| Error::Config(vec![fault(span, "parameter", m, "see `twinopt check`".into())]))?;
        let mut faults = Vec::new();
        let equations = Equations::compile(&spec.value, schema, &scope).unwrap_or_else(|list| {
            faults.extend(list.into_iter().map(|(span, f)| fault(span, f.code, f.message, f.cure)));
            Equations::default()
        });
        let mut kpis = Vec::new();
        for (name, kpi) in &spec.value.kpi {
            match Kpi::compile(name, &kpi.value, &scope, schema) {
                Ok(k) => kpis.push(k),
                Err((span, f)) => faults.push(fault(span, f.code, f.message, f.cure)),
            }
        }
        if !faults.is_empty() {
            return Err(Error::Config(faults));
        }
        let prices = spec.value.objective.iter().map(|(name, price)| (name.as_str(), price.value));
        let objective = Objective::of(&kpis, prices).map_err(|name| {
            let span = spec.value.objective.get(&name).map_or(0..0, |p| p.span.clone());
            let cure = "name a KPI of the [kpi] table".into();
            Error::Config(vec![fault(span, "unknown-kpi", format!("`{name}` is no KPI"), cure)])
        })?;
        Ok(Self { scope, equations, kpis, objective })
    }
}

impl Plant {
    /// Steps of `span` on the plant's grid.
    pub fn steps(&self, span: crate::spec::TimeSpan) -> usize {
        span.steps(self.spec.value.step.value, 1)
    }

    /// What a controller is told about each disturbance and set-point.
    pub fn forecasts(&self, all: Option<ForecastSpec>) -> Vec<(usize, ForecastSpec)> {
        let told = |i: usize| {
            let given = self.spec.value.signals[i].forecast.as_ref().map(|f| f.value);
            // a perfect forecast of a known price stays perfect when another one is asked for
            match (given, all) {
                (Some(ForecastSpec::Perfect), _) => ForecastSpec::Perfect,
                (_, Some(f)) => f,
                (given, None) => given.unwrap_or(ForecastSpec::Persistence),
            }
        };
        let mut signals = self.schema.with_role(Role::Disturbance);
        signals.extend(self.schema.with_role(Role::Setpoint));
        signals.sort_unstable();
        signals.into_iter().map(|i| (i, told(i))).collect()
    }

    /// Longest season of any forecast, in steps.
    fn season(&self) -> usize {
        let spans = self.spec.value.signals.iter().filter_map(|s| match s.forecast.as_ref().map(|f| f.value) {
            Some(ForecastSpec::Seasonal(span)) => Some(self.steps(span)),
            _ => None,
        });
        spans.max().unwrap_or(0)
    }

    /// The log from some history before grid row `start` to `start + steps`; (history steps, trajectory).
    pub fn slice(&self, start: usize, steps: usize, depth: usize) -> (usize, Trajectory) {
        let past = start.min(depth.max(2 * self.season()).max(1));
        let first = start - past;
        let log = &self.log;
        let mut t = Trajectory::empty(self.schema.clone(), log.time(first), log.step_ms, past + steps, 1);
        for (to, from) in t.columns.iter_mut().zip(&log.columns) {
            to.copy_from_slice(&from[first..start + steps]);
        }
        (past, t)
    }
}

/// Feeds the log's own controls to the twin over stretches of the hold-out and compares the KPIs (SUP-4).
///
/// A stretch is a day, but no more than four control horizons and no less than one; at most 20 of them, spread over the
/// hold-out. With a true 90 % interval, fewer than three quarters of 20 stretches are within it once in 90 times.
pub fn replay_checks(
    plant: &Plant,
    compiled: &Compiled,
    holdout: &[Range<usize>],
    seed: u64,
) -> Result<Vec<ReplayCheck>> {
    const PARTICLES: usize = 40;
    const STRETCHES: usize = 20;
    let depth = plant.twin.depth();
    let (day, horizon) = (plant.steps(crate::spec::TimeSpan::from_ms(86_400_000)), plant.card.horizon);
    let steps = day.min(4 * horizon).max(horizon);
    let complete = |t: usize| plant.schema.with_role(Role::State).iter().all(|&s| plant.log.at(s, t)[0].is_finite());
    let cut = |r: &Range<usize>| (r.start + depth..r.end.saturating_sub(steps - 1)).step_by(steps).collect::<Vec<_>>();
    let all: Vec<usize> = holdout.iter().flat_map(cut).filter(|t| complete(*t)).collect();
    let starts: Vec<usize> =
        (0..all.len().min(STRETCHES)).map(|i| all[i * all.len() / all.len().min(STRETCHES)]).collect();
    let (file, text) = (plant.spec.path.as_path(), plant.spec.text.as_str());
    let (twin, particles) = (&plant.twin, PARTICLES);
    let runs = starts
        .par_iter()
        .map(|&start| {
            let (past, mut realised) = plant.slice(start, steps, depth);
            // neither side looks back beyond the stretch
            realised.segments = vec![past..past + steps];
            let measured = evaluate(&compiled.kpis, &realised, &[past..past + steps]);
            realised.segments = vec![0..past + steps];
            let realised = Arc::new(realised);
            let case = Case { plant, twin, compiled, realised: &realised, past, steps, particles, seed, file, text };
            let run = case.run(&ControllerSpec::Replay {}, &|| false)?.trajectory;
            Ok((measured, evaluate(&compiled.kpis, &run, &[0..steps])))
        })
        .collect::<Result<Vec<_>>>()?;
    let check = |(k, kpi): (usize, &Kpi)| {
        let known = runs.iter().map(|(m, v)| (m[k][0], &v[k])).filter(|(m, v)| m.is_finite() && v[0].is_finite());
        let known: Vec<(f64, &Vec<f64>)> = known.collect();
        let (measured, last) = *known.last()?;
        let within = known.iter().filter(|(m, v)| holds(*m, v)).count();
        Some(ReplayCheck {
            kpi: kpi.name.clone(),
            unit: kpi.unit.text.clone(),
            measured,
            simulated: Estimate::over(last),
            hours: steps as f64 * plant.log.step_seconds() / 3600.0,
            stretches: known.len(),
            within,
            inside: 4 * within >= 3 * known.len(),
        })
    };
    Ok(compiled.kpis.iter().enumerate().filter_map(check).collect())
}

/// Whether `measured` lies in the central 90 % of `simulated`; what only the controls decide must agree to rounding.
fn holds(measured: f64, simulated: &[f64]) -> bool {
    let sorted = sorted_finite(simulated);
    let slack = 1e-9 * measured.abs().max(1e-12);
    (quantile(&sorted, 0.05) - slack..=quantile(&sorted, 0.95) + slack).contains(&measured)
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
    /// The scenario file and its content, to place faults.
    pub file: &'a Path,
    pub text: &'a str,
}

impl Case<'_> {
    /// The closed loop under `controller`; every controller meets the same futures.
    pub fn run(&self, controller: &ControllerSpec, stop: &dyn Fn() -> bool) -> Result<Simulated> {
        let all = match controller {
            ControllerSpec::Mpc(mpc) => mpc.forecast.as_ref().map(|f| f.value),
            _ => None,
        };
        let zone = self.plant.spec.value.zone();
        let context = control::Context {
            schema: &self.plant.schema,
            spec: &self.plant.spec.value,
            scope: &self.compiled.scope,
            dynamics: self.twin,
            objective: &self.compiled.objective,
            timezone: zone.map_err(|name| Error::Usage(format!("`{name}` is no time zone; see `twinopt check`")))?,
            seed: self.seed,
            file: self.file,
            text: self.text,
        };
        let mut controller = control::build(controller, &context)?;
        let run = Run {
            dynamics: self.twin,
            realised: self.realised,
            past: self.past,
            steps: self.steps,
            particles: self.particles,
            key: Key::new(self.seed),
            forecast: Forecast { realised: self.realised.clone(), past: self.past, signals: self.plant.forecasts(all) },
        };
        simulate(&run, controller.as_mut(), stop)
    }
}
