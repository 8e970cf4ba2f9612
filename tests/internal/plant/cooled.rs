//! A simulated plant for tests: a cooled room with known dynamics.

use std::sync::Arc;

use jiff::Timestamp;
use twinopt::config::{ForecastSpec, KpiSpec};
use twinopt::control::{Controller, Forecast};
use twinopt::expr::Scope;
use twinopt::rng::Key;
use twinopt::schema::{Bounds, MoveLimit, Role, Schema, Signal};
use twinopt::simulate::{Run, Simulated, simulate};
use twinopt::trajectory::{Frame, Trajectory, Window};
use twinopt::twin::{Batch, Dynamics, Support};
use twinopt::units::Unit;
use twinopt::value::{Kpi, Objective, evaluate};

pub const STEP_MS: i64 = 600_000;

/// A room whose temperature approaches the supply temperature plus a contribution from the load. The chiller power
/// rises as the supply temperature falls. Ensemble members differ in their gains.
pub struct Room {
    pub schema: Arc<Schema>,
    pub noise: f64,
    pub members: usize,
    /// Range of the supply temperature in the log.
    pub logged: Bounds,
}

pub const TEMP: usize = 0;
pub const SUPPLY: usize = 1;
pub const LOAD: usize = 2;
pub const POWER: usize = 3;

impl Room {
    pub fn new() -> Self {
        let signal = |name: &str, role, unit: &str| Signal::open(name, role, Unit::parse(unit).unwrap());
        let mut temp = signal("temp", Role::State, "degC");
        temp.soft = Bounds { low: f64::NEG_INFINITY, high: 27.0 };
        let mut supply = signal("supply", Role::Control, "degC");
        supply.hard = Bounds { low: 10.0, high: 25.0 };
        supply.max_move = MoveLimit::both(1.0);
        let load = signal("load", Role::Disturbance, "kW");
        let power = signal("power", Role::Output, "kW");
        let schema = Arc::new(Schema::new(vec![temp, supply, load, power]));
        Self { schema, noise: 0.0, members: 1, logged: Bounds { low: 12.0, high: 24.0 } }
    }

    pub fn objective(&self) -> Objective {
        let signals = self.schema.signals.iter().enumerate().map(|(i, s)| (s.name.clone(), (i, s.unit.clone())));
        let scope = Scope { signals: signals.collect(), dt: STEP_MS as f64 / 1e3, ..Scope::default() };
        let kpi = |name: &str, spec: KpiSpec| Kpi::compile(name, &spec, &scope, &self.schema).unwrap();
        let energy = kpi("energy", KpiSpec::Integral("power".to_owned().into()));
        let heat = kpi("heat", KpiSpec::Exceedance("temp".to_owned().into()));
        Objective { terms: vec![(energy, 0.2), (heat, 20.0)] }
    }

    /// A log with one particle, an oscillating load and a constant supply temperature of 18 °C.
    fn realised(&self, steps: usize) -> Arc<Trajectory> {
        let mut t = Trajectory::empty(self.schema.clone(), Timestamp::UNIX_EPOCH, STEP_MS, steps, 1);
        t.columns[TEMP].fill(24.0);
        t.columns[SUPPLY].fill(18.0);
        t.columns[POWER].fill(0.0);
        for (i, v) in t.columns[LOAD].iter_mut().enumerate() {
            *v = 6.0 + 3.0 * (i as f64 / 24.0).sin();
        }
        Arc::new(t)
    }

    pub fn run(&self, controller: &mut dyn Controller, steps: usize, particles: usize) -> Simulated {
        self.run_with_forecast(controller, steps, particles, ForecastSpec::Persistence)
    }

    pub fn run_with_forecast(
        &self,
        controller: &mut dyn Controller,
        steps: usize,
        particles: usize,
        how: ForecastSpec,
    ) -> Simulated {
        let realised = self.realised(steps + 40);
        let forecast = Forecast::of(realised.clone(), 40, vec![(LOAD, how)]);
        let run = Run { dynamics: self, realised: &realised, past: 40, steps, particles, key: Key::new(1), forecast };
        simulate(&run, controller, &|| false).unwrap()
    }

    pub fn value(&self, simulated: &Simulated) -> Vec<f64> {
        let objective = self.objective();
        let kpis: Vec<Kpi> = objective.terms.iter().map(|t| t.0.clone()).collect();
        let t = &simulated.trajectory;
        objective.value(&evaluate(&kpis, t, &t.segments))
    }
}

impl Dynamics for Room {
    fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }
    fn step_ms(&self) -> i64 {
        STEP_MS
    }
    fn depth(&self) -> usize {
        1
    }
    fn members(&self) -> usize {
        self.members
    }
    fn observe(&self, _: &mut Batch) {}
    fn step(&self, batch: &mut Batch) {
        let Batch { window, particles, key, .. } = batch;
        let step = window.steps() as u64;
        let mut next = window.column(TEMP, 0).to_vec();
        let power: Vec<f64> = window.column(SUPPLY, 0).iter().map(|u| (30.0 - u).max(0.0)).collect();
        for (i, p) in particles.iter().enumerate() {
            let gain = 1.0 + 0.05 * p.member.unwrap_or(0) as f64;
            let noise = key.map_or(0.0, |k| self.noise * k.fold(step).normal(i as u64));
            let (supply, load) = (&window.column(SUPPLY, 0)[p.rows.clone()], &window.column(LOAD, 0)[p.rows.clone()]);
            for ((x, u), d) in next[p.rows.clone()].iter_mut().zip(supply).zip(load) {
                *x += 0.2 * (u + gain * d - *x) + noise;
            }
        }
        window.column_mut(POWER, 0).copy_from_slice(&power);
        window.advance();
        window.column_mut(TEMP, 0).copy_from_slice(&next);
    }
    fn support(&self, window: &Window) -> Vec<Support> {
        vec![Support::Inside; window.rows()]
    }
    fn logged_range(&self, signal: usize) -> Bounds {
        if signal == SUPPLY { self.logged } else { Bounds { low: 0.0, high: 40.0 } }
    }
}
