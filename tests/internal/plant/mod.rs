//! A test plant that exists only in memory. The plant is built from the text of a twin file and from a learned function
//! defined by the test.

pub mod cooled;

use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::Deserialize;
use twinopt::config::{At, ControllerSpec, Damage, Loaded, TwinSpec};
use twinopt::control::{Clock, Context, Controller, ControllerSettings, Forecast, build};
use twinopt::error::Result;
use twinopt::expr::Scope;
use twinopt::learn::{Equations, Layout, NoiseModel, NoiseProcess, Particle, Regressor, StepMap, Target};
use twinopt::resolve::{Faults, Names};
use twinopt::rng::Key;
use twinopt::schema::{Bounds, MoveLimit, Schema, Signal, Switching};
use twinopt::simulate::{Run, Simulated, simulate};
use twinopt::trajectory::Trajectory;
use twinopt::twin::{Dynamics, Provenance, Twin};
use twinopt::units::Unit;
use twinopt::value::{Kpi, Objective, TerminalCost, evaluate, resolve_prices};

pub const START: &str = "2024-07-01T00:00:00Z";

/// A learned function defined by a test: each target is `weights · inputs`. The weights of member m are scaled by a
/// factor of 1 + m / 1000.
#[derive(Debug)]
pub struct Known {
    pub weights: Vec<Vec<f64>>,
    pub members: usize,
}

impl Regressor for Known {
    fn name(&self) -> &'static str {
        "linear"
    }
    fn shape(&self) -> (usize, usize) {
        (self.weights.first().map_or(0, Vec::len), self.weights.len())
    }
    fn members(&self) -> usize {
        self.members
    }
    fn predict(&self, x: &[&[f64]], particles: &[Particle], out: &mut [Vec<f64>]) {
        for (out, weights) in out.iter_mut().zip(&self.weights) {
            for p in particles {
                let factor = 1.0 + 1e-3 * p.member.unwrap_or(0) as f64;
                for row in p.rows.clone() {
                    out[row] = factor * weights.iter().zip(x).map(|(w, x)| w * x[row]).sum::<f64>();
                }
            }
        }
    }
    fn is_differentiable(&self) -> bool {
        true
    }
    fn encode(&self) -> Vec<u8> {
        Vec::new()
    }
}

/// A plant built from the text of a twin file, with its objective.
pub struct Plant {
    pub spec: TwinSpec,
    pub file: Loaded<TwinSpec>,
    pub schema: Arc<Schema>,
    pub scope: Scope,
    kpis: Vec<Kpi>,
    pub objective: Objective,
    /// The terminal cost, or `None` if it has not been learned.
    pub terminal_cost: Option<TerminalCost>,
}

/// Returns a configuration file with the given path, text and value, as if the file had been loaded.
pub fn loaded<T>(path: &str, text: &str, value: T) -> Loaded<T> {
    Loaded { path: path.into(), text: text.to_owned(), value, damage: Damage::default() }
}

impl Plant {
    pub fn new(text: &str) -> Self {
        let spec: TwinSpec = toml::from_str(text).unwrap();
        let unit = |u: &Option<At<String>>| Unit::parse(u.as_ref().map_or("1", |u| &u.value)).unwrap();
        let range = |r: &Option<At<[f64; 2]>>| {
            r.as_ref().map_or(Bounds::OPEN, |r| Bounds { low: r.value[0], high: r.value[1] })
        };
        let signals = spec
            .signals
            .iter()
            .map(|s| Signal {
                name: s.name.value.clone(),
                role: s.role.value,
                unit: unit(&s.unit),
                hard: range(&s.hard),
                soft: range(&s.soft),
                max_move: s.max_move.as_ref().map_or(MoveLimit::NONE, |m| MoveLimit::both(m.value.limits().0)),
                multiple: s.multiple.as_ref().map_or(0.0, |m| m.value),
                switching: Switching::NONE,
            })
            .collect();
        let schema = Arc::new(Schema::new(signals));
        let mut scope = Scope { dt: spec.step.seconds(), ..Scope::default() };
        for (i, s) in schema.signals.iter().enumerate() {
            scope.signals.insert(s.name.clone(), (i, s.unit.clone()));
        }
        for (name, p) in &spec.parameters {
            scope.parameters.insert(name.clone(), (p.value.value.value, unit(&p.value.unit)));
        }
        let kpis: Vec<Kpi> =
            spec.kpi.iter().map(|(name, kpi)| Kpi::compile(name, kpi, &scope, &schema).unwrap()).collect();
        let file = loaded("twin.toml", text, spec.clone());
        let prices = resolve_prices(&mut Faults::new(&file), &Names::new(&file), &spec.objective);
        let objective = Objective::new(&kpis, prices.unwrap());
        Self { spec, file, schema, scope, kpis, objective, terminal_cost: None }
    }

    /// Learns a terminal cost for the next `steps` steps from `log`.
    pub fn learn_terminal_cost(&mut self, log: &Trajectory, steps: usize) {
        let rows = 0..log.steps;
        self.terminal_cost = TerminalCost::fit(log, std::slice::from_ref(&rows), &self.objective, steps);
    }

    pub fn equations(&self) -> Equations {
        Equations::compile(&self.spec, &self.schema, &self.scope).unwrap()
    }

    /// A log of `steps` steps whose values are all NaN.
    pub fn log(&self, steps: usize) -> Trajectory {
        Trajectory::empty(self.schema.clone(), START.parse().unwrap(), self.spec.step.ms(), steps, 1)
    }

    pub fn column(&self, name: &str) -> usize {
        self.schema.find(name).unwrap()
    }

    /// A twin that predicts `targets` from `inputs` with the learned function `regressor`. All rows of `log` are used
    /// as training data of the twin.
    pub fn twin(&self, inputs: &[(usize, usize)], targets: &[Target], regressor: Known, log: &Trajectory) -> Twin {
        let layout = Layout { inputs: inputs.to_vec(), targets: targets.to_vec() };
        let map = StepMap {
            schema: self.schema.clone(),
            equations: self.equations(),
            layout,
            regressor: Arc::new(regressor),
        };
        let provenance = Provenance::new(&self.spec, vec![], vec![0..log.steps], vec![], START.into()).unwrap();
        let training = [0..log.steps];
        Twin::new(map, noise(targets.len(), 0.0, 0.0), log, &training, provenance).with_envelope(log, &training)
    }

    /// A twin that has only known equations and no learned function.
    pub fn known(&self) -> Twin {
        self.twin(&[], &[], Known { weights: vec![], members: 1 }, &self.log(0))
    }

    pub fn controller<'a>(&'a self, dynamics: &'a dyn Dynamics, text: &'a str) -> Result<Box<dyn Controller + 'a>> {
        self.timed(dynamics, text, None)
    }

    /// Builds the controller that `text` describes. The controller measures its time budget with `clock`.
    pub fn timed<'a>(
        &'a self,
        dynamics: &'a dyn Dynamics,
        text: &'a str,
        clock: Option<&'a Clock>,
    ) -> Result<Box<dyn Controller + 'a>> {
        #[derive(Deserialize)]
        struct Case {
            controller: At<ControllerSpec>,
        }
        let case: Case = toml::from_str(text).unwrap();
        let file = loaded("case.toml", text, ());
        let mut faults = Faults::new(&file);
        let settings =
            ControllerSettings::resolve(&mut faults, &Names::new(&self.file), "case `test`", &case.controller);
        faults.into_result()?;
        let context = Context {
            schema: &self.schema,
            dynamics,
            objective: &self.objective,
            kpis: &self.kpis,
            terminal_cost: self.terminal_cost.as_ref(),
            timezone: TimeZone::get("Europe/Berlin").unwrap(),
            seed: 1,
            clock,
            cross_fitted: true,
        };
        build(&settings.unwrap(), &context)
    }

    /// The value of the objective for a run, averaged over particles.
    pub fn value(&self, simulated: &Simulated) -> f64 {
        let kpis: Vec<Kpi> = self.objective.terms.iter().map(|t| t.0.clone()).collect();
        let t = &simulated.trajectory;
        let values = self.objective.value(&evaluate(&kpis, t, &[0..t.steps]));
        values.iter().sum::<f64>() / values.len() as f64
    }

    pub fn run(
        &self,
        twin: &dyn Dynamics,
        log: &Arc<Trajectory>,
        past: usize,
        particles: usize,
        controller: &mut dyn Controller,
    ) -> Result<Simulated> {
        let forecast = Forecast::new(&self.spec, log.clone(), past, None);
        let steps = log.steps - past;
        let run = Run { dynamics: twin, realised: log, past, steps, particles, key: Key::new(7), forecast };
        simulate(&run, controller, &|| false)
    }
}

/// An AR(1) noise model with the same parameters for all targets.
pub fn noise(targets: usize, phi: f64, sd: f64) -> NoiseModel {
    let mut factor = vec![vec![0.0; targets]; targets];
    (0..targets).for_each(|i| factor[i][i] = sd);
    let process =
        NoiseProcess { phi: vec![phi; targets], factor, offset: vec![0.0; targets], ..NoiseProcess::default() };
    NoiseModel { process, inflation: vec![1.0; targets], ..NoiseModel::default() }
}
