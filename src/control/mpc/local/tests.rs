//! The cost around a plan against differences of the cost itself.

use std::sync::Arc;

use jiff::Timestamp;

use super::super::Mpc;
use super::super::follower::Follower;
use super::super::rollout::Workspace;
use crate::control::planner::Local;
use crate::control::{Forecast, Observation};
use crate::expr::Scope;
use crate::rng::Key;
use crate::schema::{MoveLimit, Range, Role, Schema, Signal, Switching};
use crate::spec::{KpiSpec, MpcSpec, TimeSpan};
use crate::trajectory::{Frame, Trajectory, Window};
use crate::twin::{Batch, Dynamics, Support};
use crate::units::Unit;
use crate::value::{Kpi, Objective};

const STEP_MS: i64 = 60_000;
const TEMP: usize = 0;
const HEAT: usize = 1;
const FAN: usize = 2;
const POWER: usize = 3;

/// temp' = 0.98 temp + 0.2 heat − 0.1 fan; power = heat².
struct Oven {
    schema: Arc<Schema>,
}

impl Oven {
    fn new() -> Self {
        let signal = |name: &str, role| Signal {
            name: name.into(),
            role,
            unit: Unit::one(),
            hard: Range::OPEN,
            soft: Range::OPEN,
            max_move: MoveLimit::NONE,
            multiple: 0.0,
            switching: Switching::NONE,
        };
        let mut signals = vec![
            signal("temp", Role::State),
            signal("heat", Role::Control),
            signal("fan", Role::Control),
            signal("power", Role::Output),
        ];
        signals[TEMP].soft = Range { low: 19.9, high: 20.3 };
        signals[HEAT].hard = Range { low: 0.0, high: 10.0 };
        signals[FAN].hard = Range { low: 0.0, high: 10.0 };
        Self { schema: Arc::new(Schema::new(signals)) }
    }

    fn objective(&self, kpi: &KpiSpec) -> Objective {
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
        1
    }
    fn observe(&self, _: &mut Batch) {}
    fn step(&self, batch: &mut Batch) {
        let window = &mut batch.window;
        let [temp, heat, fan] = [TEMP, HEAT, FAN].map(|s| window.column(s, 0).to_vec());
        window.column_mut(POWER, 0).iter_mut().zip(&heat).for_each(|(p, h)| *p = h * h);
        window.advance();
        let inputs = temp.iter().zip(&heat).zip(&fan);
        window.column_mut(TEMP, 0).iter_mut().zip(inputs).for_each(|(next, ((temp, heat), fan))| {
            *next = 0.98 * temp + 0.2 * heat - 0.1 * fan;
        });
    }
    fn support(&self, window: &Window) -> Vec<Support> {
        vec![Support::Inside; window.rows()]
    }
    fn smooth(&self) -> bool {
        true
    }
    fn seen(&self, _: usize) -> Range {
        Range::OPEN
    }
}

/// Cost of sequences and the cost around them, for plans of 4 moves over 8 steps from 20 degrees.
struct Priced<'a> {
    mpc: Mpc<'a>,
    window: Window,
    forecast: Forecast,
    workspace: Workspace,
}

impl<'a> Priced<'a> {
    fn new(oven: &'a Oven, kpi: &KpiSpec) -> Self {
        let horizon = TimeSpan::from_ms(8 * STEP_MS);
        let spec = MpcSpec { moves: Some(4.into()), particles: Some(1.into()), ..MpcSpec::over(horizon) };
        let mpc = Mpc::new(&spec, vec![HEAT, FAN], oven, oven.objective(kpi), Key::new(1));
        let mut window = Window::new(oven.schema.len(), mpc.setup.depth, 1, Timestamp::UNIX_EPOCH, STEP_MS);
        for lag in 0..mpc.setup.depth {
            for (signal, value) in [(TEMP, 20.0), (HEAT, 5.0), (FAN, 5.0), (POWER, 25.0)] {
                window.column_mut(signal, lag).fill(value);
            }
        }
        let none = Trajectory::empty(oven.schema.clone(), Timestamp::UNIX_EPOCH, STEP_MS, 1, 1);
        let forecast = Forecast { realised: Arc::new(none), past: 0, signals: Vec::new() };
        let mut workspace = Workspace::default();
        workspace.begin_plan();
        Self { mpc, window, forecast, workspace }
    }

    fn cost(&mut self, at: &[f64]) -> f64 {
        let observation = Observation { window: &self.window, step: 0, forecast: &self.forecast };
        let start = self.mpc.setup.start(&observation, 0, &[], &Follower::default(), Key::new(2));
        let mut costs = Vec::new();
        self.workspace.price(&self.mpc.setup, &start, &[at.to_vec()], &mut costs);
        costs[0]
    }

    fn near(&mut self, at: &[f64]) -> Local {
        let observation = Observation { window: &self.window, step: 0, forecast: &self.forecast };
        let start = self.mpc.setup.start(&observation, 0, &[], &Follower::default(), Key::new(2));
        self.workspace.near(&self.mpc.setup, &start, at).unwrap()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn mean(of: &str) -> KpiSpec {
    KpiSpec::Mean(of.to_owned().into())
}

/// 4 moves of both controls, inside their bounds.
fn sequence(seed: u64) -> Vec<f64> {
    (0..8).map(|i| 1.0 + Key::new(seed).below(i, 80) as f64 / 10.0).collect()
}

#[test]
fn slopes_are_those_of_the_cost() {
    let oven = Oven::new();
    // (KPI, largest error in largest slopes): what is no size of something is met by one-sided differences.
    let kpis = [
        (mean("abs(temp - 22.03)"), 1e-6),
        (mean("(temp - 22.03) ^ 2"), 1e-6),
        (mean("3 * (temp - 22.03) ^ 2 + abs(heat - 4.14)"), 1e-6),
        (mean("abs(temp - 22.03) + 0.1 * heat"), 1e-6),
        (mean("ln(1 + abs(temp - 22.03) / 0.1) / ln(101)"), 1e-2),
        // The larger the distance the better.
        (mean("1 - ln(1 + abs(temp - 22.03) / 0.1) / ln(101)"), 1e-2),
        (mean("-abs(temp - 22.03)"), 1e-6),
        (KpiSpec::Exceedance("temp".to_owned().into()), 1e-6),
        (mean("power"), 5e-3),
    ];
    for (kpi, most) in &kpis {
        let mut priced = Priced::new(&oven, kpi);
        for seed in 0..5 {
            let at = sequence(seed);
            let local = priced.near(&at);
            assert_eq!(local.cost, priced.cost(&at));
            let slopes: Vec<f64> =
                local.gradient.iter().zip(&local.jacobian).map(|(g, j)| g + dot(j, &local.residuals)).collect();
            let difference = |k: usize, size: f64, priced: &mut Priced| {
                let mut moved = at.clone();
                moved[k] += size;
                priced.cost(&moved)
            };
            let expected: Vec<f64> = (0..at.len())
                .map(|k| (difference(k, 1e-4, &mut priced) - difference(k, -1e-4, &mut priced)) / 2e-4)
                .collect();
            let largest = expected.iter().fold(0.0f64, |m, s| m.max(s.abs()));
            assert!(largest > 0.0, "{kpi:?}: nothing to compare");
            for (slope, expected) in slopes.iter().zip(&expected) {
                assert!((slope - expected).abs() <= most * largest, "{kpi:?} {seed}: {slopes:?} for {expected:?}");
            }
        }
    }
}

#[test]
fn a_squared_distance_is_met_far_away_too() {
    let oven = Oven::new();
    let mut priced = Priced::new(&oven, &mean("(temp - 22.03) ^ 2"));
    let (at, to) = (sequence(1), sequence(2));
    let local = priced.near(&at);
    let change: Vec<f64> = to.iter().zip(&at).map(|(to, at)| to - at).collect();
    let mut moved = local.residuals.clone();
    for (column, d) in local.jacobian.iter().zip(&change) {
        moved.iter_mut().zip(column).for_each(|(r, j)| *r += j * d);
    }
    let halves = 0.5 * (dot(&moved, &moved) - dot(&local.residuals, &local.residuals));
    let (told, cost) = (local.cost + dot(&local.gradient, &change) + halves, priced.cost(&to));
    assert!((cost - local.cost).abs() > 0.1, "the two plans cost the same");
    assert!((told - cost).abs() < 1e-6 * cost, "{told} for {cost}");
}
