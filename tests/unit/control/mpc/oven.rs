//! An oven with a heater and a fan, described by two equations and used as a test plant.

use std::sync::Arc;

use crate::config::KpiSpec;
use crate::expr::Scope;
use crate::learn::Particle;
use crate::schema::{Bounds, Role, Schema, Signal};
use crate::trajectory::{Frame, Window};
use crate::twin::{Batch, Dynamics, Support};
use crate::units::Unit;
use crate::value::{Kpi, Objective};

pub const STEP_MS: i64 = 60_000;
pub const TEMP: usize = 0;
pub const HEAT: usize = 1;
pub const FAN: usize = 2;
pub const POWER: usize = 3;

/// temp' = 0.98 temp + (0.2 + 0.02 member) heat − 0.1 fan; power = heat².
pub struct Oven {
    pub schema: Arc<Schema>,
    pub members: usize,
    /// Skill horizon of each signal.
    pub reach: [Option<usize>; 4],
    pub support: Support,
}

impl Oven {
    pub fn new() -> Self {
        let signal = |name: &str, role| Signal::open(name, role, Unit::one());
        let mut signals = vec![
            signal("temp", Role::State),
            signal("heat", Role::Control),
            signal("fan", Role::Control),
            signal("power", Role::Output),
        ];
        signals[TEMP].soft = Bounds { low: 19.9, high: 20.3 };
        signals[HEAT].hard = Bounds { low: 0.0, high: 10.0 };
        signals[FAN].hard = Bounds { low: 0.0, high: 10.0 };
        Self { schema: Arc::new(Schema::new(signals)), members: 1, reach: [None; 4], support: Support::Inside }
    }

    pub fn objective(&self, kpi: &KpiSpec) -> Objective {
        let signals = self.schema.signals.iter().enumerate().map(|(i, s)| (s.name.clone(), (i, s.unit.clone())));
        let scope = Scope { signals: signals.collect(), dt: STEP_MS as f64 / 1e3, ..Scope::default() };
        Objective { terms: vec![(Kpi::compile("kpi", kpi, &scope, &self.schema).unwrap(), 1.7)] }
    }
}

impl Dynamics for Oven {
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
    fn skill_horizon(&self, signal: usize) -> Option<usize> {
        self.reach[signal]
    }
    fn observe(&self, _: &mut Batch) {}
    fn step(&self, batch: &mut Batch) {
        let gain = |p: &Particle| vec![0.2 + 0.02 * p.member.unwrap_or(0) as f64; p.rows.len()];
        let gains: Vec<f64> = batch.particles.iter().flat_map(gain).collect();
        let window = &mut batch.window;
        let [temp, heat, fan] = [TEMP, HEAT, FAN].map(|s| window.column(s, 0).to_vec());
        window.column_mut(POWER, 0).iter_mut().zip(&heat).for_each(|(p, h)| *p = h * h);
        window.advance();
        let inputs = temp.iter().zip(&heat).zip(&fan).zip(&gains);
        window.column_mut(TEMP, 0).iter_mut().zip(inputs).for_each(|(next, (((temp, heat), fan), gain))| {
            *next = 0.98 * temp + gain * heat - 0.1 * fan;
        });
    }
    fn support(&self, window: &Window) -> Vec<Support> {
        vec![self.support; window.rows()]
    }
    fn is_differentiable(&self) -> bool {
        true
    }
    fn logged_range(&self, _: usize) -> Bounds {
        Bounds::OPEN
    }
}
