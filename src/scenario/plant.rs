//! A plant ready to run scenarios: its log, its twin, its KPIs; and one scenario's view of it.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;

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
use crate::value::{Estimate, Kpi, Objective, evaluate};

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

/// Feeds the log's own controls to the twin over the newest hold-out stretches and compares the KPIs (SUP-4).
pub fn replay_checks(
    plant: &Plant,
    compiled: &Compiled,
    holdout: &[Range<usize>],
    seed: u64,
) -> Result<Vec<ReplayCheck>> {
    const PARTICLES: usize = 40;
    const WINDOW_DAYS: i64 = 7;
    let depth = plant.twin.depth();
    let week = plant.steps(crate::spec::TimeSpan::from_ms(WINDOW_DAYS * 86_400_000)).max(2 * plant.card.horizon);
    // the longest stretch, at most a week of it: errors of a longer open loop are those of its disturbances' noise
    let Some(stretch) = holdout.iter().filter(|r| r.len() > depth + 2).max_by_key(|r| r.len()) else {
        return Ok(Vec::new());
    };
    let start = stretch.start + depth;
    let steps = (stretch.end - start).min(week);
    let (past, realised) = plant.slice(start, steps, depth);
    let measured: Vec<Vec<f64>> = {
        let (_, mut run) = plant.slice(start, steps, depth);
        run.segments = vec![past..past + steps];
        evaluate(&compiled.kpis, &run, &run.segments)
    };
    let realised = Arc::new(realised);
    let (file, text) = (plant.spec.path.as_path(), plant.spec.text.as_str());
    let (twin, particles) = (&plant.twin, PARTICLES);
    let case = Case { plant, twin, compiled, realised: &realised, past, steps, particles, seed, file, text };
    let simulated = case.run(&ControllerSpec::Replay {}, &|| false)?;
    let all = 0..simulated.trajectory.steps;
    let values = evaluate(&compiled.kpis, &simulated.trajectory, std::slice::from_ref(&all));
    Ok(compiled
        .kpis
        .iter()
        .zip(measured.iter().zip(&values))
        .map(|(k, (m, v))| {
            let mut sorted = v.clone();
            sorted.sort_by(f64::total_cmp);
            let at = |q: f64| sorted[((sorted.len() - 1) as f64 * q).round() as usize];
            let (low, high) = (at(0.05), at(0.95));
            // counts on the log are exact; a KPI that only the controls decide must agree to rounding
            let slack = 1e-9 * m[0].abs().max(1e-12);
            ReplayCheck {
                kpi: k.name.clone(),
                unit: k.unit.text.clone(),
                measured: m[0],
                simulated: Estimate::over(v),
                inside: m[0] >= low - slack && m[0] <= high + slack,
            }
        })
        .collect())
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
