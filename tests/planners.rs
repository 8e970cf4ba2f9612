//! Planners and MPC: the same tests for every planner.

use std::sync::Arc;

use jiff::Timestamp;
use nalgebra::{DMatrix, DVector};
use proptest::prelude::*;
use twinopt::control::planner::{Cem, Icem, Plan, Planner, Price, Problem, build, project};
use twinopt::control::{Control, Controller, Forecast, Mpc, Observation, limited};
use twinopt::expr::Scope;
use twinopt::rng::Key;
use twinopt::schema::{Range, Role, Schema, Signal};
use twinopt::simulate::{Run, Simulated, simulate};
use twinopt::spec::{ForecastSpec, KpiSpec, MpcSpec, PlannerSpec};
use twinopt::trajectory::{Frame, Trajectory, Window};
use twinopt::twin::{Batch, Dynamics, Support};
use twinopt::units::Unit;
use twinopt::value::{Kpi, Objective, evaluate};

const STEP_MS: i64 = 600_000;

/// Every planner with room to converge.
fn thorough() -> Vec<Box<dyn Planner>> {
    vec![
        Box::new(Cem { population: 200, elites: 0.1, iterations: 30, smoothing: 0.1 }),
        Box::new(Icem {
            population: 200,
            elites: 0.1,
            iterations: 30,
            smoothing: 0.1,
            beta: 0.5,
            decay: 1.02,
            keep: 0.3,
        }),
    ]
}

/// Every planner as a scenario gets it by default.
fn defaults() -> Vec<Box<dyn Planner>> {
    ["gauss_newton = {}", "cem = {}", "icem = {}"].into_iter().map(|text| build(&planner_spec(text))).collect()
}

fn planner_spec(text: &str) -> PlannerSpec {
    toml::from_str(text).unwrap()
}

fn problem<'a>(moves: usize, controls: usize, price: &'a mut dyn Price) -> Problem<'a> {
    Problem {
        moves,
        bounds: vec![Range { low: -10.0, high: 10.0 }; controls],
        max_move: vec![f64::INFINITY; controls],
        multiple: vec![0.0; controls],
        previous: vec![0.0; controls],
        scale: vec![1.0; controls],
        price,
        key: Key::new(7),
    }
}

/// x' = A x + B u, cost Σ x'Qx + u'Ru over the horizon, and x'Qx at its end.
struct Linear {
    a: DMatrix<f64>,
    b: DMatrix<f64>,
    q: DMatrix<f64>,
    r: DMatrix<f64>,
    x: DVector<f64>,
    horizon: usize,
}

impl Linear {
    /// A weakly damped mass that one force moves, from rest one metre away.
    fn mass() -> Self {
        Self {
            a: DMatrix::from_row_slice(2, 2, &[1.0, 0.3, -0.1, 0.95]),
            b: DMatrix::from_row_slice(2, 1, &[0.05, 0.3]),
            q: DMatrix::from_diagonal(&DVector::from_vec(vec![1.0, 0.1])),
            r: DMatrix::from_element(1, 1, 0.2),
            x: DVector::from_vec(vec![1.0, 0.0]),
            horizon: 12,
        }
    }

    fn cost(&self, u: &[f64]) -> f64 {
        let mut x = self.x.clone();
        let mut cost = 0.0;
        for u in u.chunks(self.b.ncols()) {
            let u = DVector::from_column_slice(u);
            cost += x.dot(&(&self.q * &x)) + u.dot(&(&self.r * &u));
            x = &self.a * x + &self.b * u;
        }
        cost + x.dot(&(&self.q * &x))
    }

    /// The least cost by the Riccati recursion.
    fn optimum(&self) -> f64 {
        let mut p = self.q.clone();
        for _ in 0..self.horizon {
            let bp = self.b.transpose() * &p;
            let gain = (&self.r + &bp * &self.b).try_inverse().unwrap() * &bp * &self.a;
            p = &self.q + self.a.transpose() * &p * (&self.a - &self.b * gain);
        }
        self.x.dot(&(&p * &self.x))
    }

    fn plan(&self, planner: &dyn Planner, warm: Option<&Plan>, seed: u64) -> Plan {
        let mut cost = |candidates: &[Vec<f64>], costs: &mut Vec<f64>| {
            costs.extend(candidates.iter().map(|c| self.cost(c)));
        };
        let mut problem = problem(self.horizon, self.b.ncols(), &mut cost);
        problem.key = Key::new(seed);
        planner.plan(&mut problem, warm)
    }
}

#[test]
fn planners_reach_the_lqr_optimum() {
    let plant = Linear::mass();
    let best = plant.optimum();
    for planner in thorough() {
        for seed in 0..5 {
            let plan = plant.plan(planner.as_ref(), None, seed);
            assert!(plan.cost >= best * (1.0 - 1e-9), "{}: better than the optimum", planner.name());
            let gap = plan.cost / best - 1.0;
            println!("{} seed {seed}: {:.3} % above the optimum", planner.name(), 100.0 * gap);
            assert!(gap < 0.01, "{} seed {seed}: {:.2} % above the optimum", planner.name(), 100.0 * gap);
        }
    }
}

#[test]
fn defaults_come_near_the_lqr_optimum_and_warm_starts_close_in() {
    let plant = Linear::mass();
    let best = plant.optimum();
    for planner in defaults() {
        let mut plan = plant.plan(planner.as_ref(), None, 0);
        print!("{}: {:.2} %", planner.name(), 100.0 * (plan.cost / best - 1.0));
        for seed in 1..8 {
            let next = plant.plan(planner.as_ref(), Some(&plan), seed);
            assert!(next.cost <= plan.cost, "{}: the warm start is lost", planner.name());
            plan = next;
        }
        println!(", warm {:.2} %", 100.0 * (plan.cost / best - 1.0));
        assert!(plan.cost < 1.05 * best, "{}: {}", planner.name(), plan.cost / best);
    }
}

#[test]
fn the_same_key_gives_the_same_plan() {
    let plant = Linear::mass();
    for planner in defaults() {
        let plan = plant.plan(planner.as_ref(), None, 3);
        assert_eq!(plan, plant.plan(planner.as_ref(), None, 3));
        assert_ne!(plan.controls, plant.plan(planner.as_ref(), None, 4).controls);
    }
}

#[test]
fn costs_that_are_no_numbers_rank_last() {
    for planner in defaults() {
        let mut cost = |candidates: &[Vec<f64>], costs: &mut Vec<f64>| {
            costs.extend(candidates.iter().enumerate().map(|(i, c)| match i % 4 {
                0 => f64::NAN,
                1 => f64::NEG_INFINITY,
                2 => f64::INFINITY,
                _ => 5.0 + (c[0] - 3.0).powi(2),
            }));
        };
        let mut mostly = problem(3, 1, &mut cost);
        mostly.scale = vec![0.0];
        let plan = planner.plan(&mut mostly, None);
        assert!((5.0..5.5).contains(&plan.cost), "{}: {}", planner.name(), plan.cost);
        let mut never = |candidates: &[Vec<f64>], costs: &mut Vec<f64>| costs.resize(candidates.len(), f64::NAN);
        let plan = planner.plan(&mut problem(3, 1, &mut never), None);
        assert_eq!((plan.cost, plan.controls), (f64::INFINITY, vec![0.0; 3]));
    }
}

#[test]
fn nothing_to_move_is_no_trouble() {
    for planner in defaults() {
        let mut cost = |candidates: &[Vec<f64>], costs: &mut Vec<f64>| {
            costs.extend(candidates.iter().map(|c| 1.0 + c.iter().sum::<f64>()));
        };
        assert_eq!(planner.plan(&mut problem(0, 2, &mut cost), None).cost, 1.0);
        assert_eq!(planner.plan(&mut problem(4, 0, &mut cost), None).cost, 1.0);
        let mut fixed = problem(4, 1, &mut cost);
        fixed.bounds = vec![Range { low: 2.0, high: 2.0 }];
        assert_eq!(planner.plan(&mut fixed, None).controls, [2.0; 4]);
    }
}

#[test]
fn whole_numbers_are_found() {
    for planner in defaults() {
        let mut cost = |candidates: &[Vec<f64>], costs: &mut Vec<f64>| {
            costs.extend(candidates.iter().map(|c| c.iter().map(|u| (u - 7.4).powi(2)).sum::<f64>()));
        };
        let mut lots = problem(4, 1, &mut cost);
        lots.multiple = vec![2.0];
        lots.scale = vec![0.0];
        assert_eq!(planner.plan(&mut lots, None).controls, [8.0; 4], "{}", planner.name());
    }
}

#[test]
fn a_start_on_a_bound_is_no_trap() {
    for planner in defaults() {
        let mut cost = |candidates: &[Vec<f64>], costs: &mut Vec<f64>| {
            costs.extend(candidates.iter().map(|c| c.iter().map(|u| (u - 2.0).powi(2)).sum::<f64>()));
        };
        let mut on_bound = problem(4, 1, &mut cost);
        on_bound.previous = vec![10.0];
        on_bound.scale = vec![0.0];
        // Staying there costs 256.
        let plan = planner.plan(&mut on_bound, None);
        assert!(plan.cost < 26.0, "{}: {}", planner.name(), plan.cost);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// From any feasible start every plan holds its limits, whatever it is after.
    #[test]
    fn plans_hold_their_limits(
        moves in 1usize..8,
        low in -20.0..0.0,
        width in prop_oneof![Just(0.0), 0.5..40.0],
        max_move in prop_oneof![0.0..5.0, Just(f64::INFINITY)],
        multiple in prop_oneof![Just(0.0), 0.05..3.0],
        wanted in -40.0..40.0f64,
        at in 0.0..1.0,
        seed in 0u64..1000,
    ) {
        let bounds = Range { low, high: low + width };
        let lots = |v: f64| multiple == 0.0 || (v / multiple - (v / multiple).round()).abs() < 1e-6;
        let mut previous: f64 = low + at * width;
        if multiple > 0.0 {
            previous = (previous / multiple).round() * multiple;
            prop_assume!(bounds.contains(previous));
        }
        for planner in defaults() {
            let mut cost = |candidates: &[Vec<f64>], costs: &mut Vec<f64>| {
                costs.extend(candidates.iter().map(|c| c.iter().map(|u| (u - wanted).abs()).sum::<f64>()));
            };
            let mut problem = problem(moves, 1, &mut cost);
            problem.bounds = vec![bounds];
            problem.max_move = vec![max_move];
            problem.multiple = vec![multiple];
            problem.previous = vec![previous];
            problem.key = Key::new(seed);
            let plan = planner.plan(&mut problem, None);
            for plan in std::iter::once(&plan.controls).chain(&plan.memory) {
                let mut last = previous;
                for u in plan {
                    prop_assert!(*u >= bounds.low - 1e-9 && *u <= bounds.high + 1e-9, "{u} beyond {bounds:?}");
                    prop_assert!((u - last).abs() <= max_move + 1e-9, "{last} to {u}");
                    prop_assert!(lots(*u), "{u} is no multiple of {multiple}");
                    last = *u;
                }
                let mut again = plan.clone();
                project(&problem, &mut again);
                prop_assert!(again.iter().zip(plan).all(|(a, b)| (a - b).abs() < 1e-9));
            }
        }
    }
}

/// A room: temperature relaxes to the supply temperature plus what the load adds; the chiller's power rises as the supply
/// gets colder. Members differ in gain.
struct Room {
    schema: Arc<Schema>,
    noise: f64,
    members: usize,
    seen: Range,
}

const TEMP: usize = 0;
const SUPPLY: usize = 1;
const LOAD: usize = 2;
const POWER: usize = 3;

impl Room {
    fn new() -> Self {
        let signal = |name: &str, role, unit: &str| Signal {
            name: name.into(),
            role,
            unit: Unit::parse(unit).unwrap(),
            hard: Range::OPEN,
            soft: Range::OPEN,
            max_move: f64::INFINITY,
            multiple: 0.0,
        };
        let mut temp = signal("temp", Role::State, "degC");
        temp.soft = Range { low: f64::NEG_INFINITY, high: 27.0 };
        let mut supply = signal("supply", Role::Control, "degC");
        supply.hard = Range { low: 10.0, high: 25.0 };
        supply.max_move = 1.0;
        let load = signal("load", Role::Disturbance, "kW");
        let power = signal("power", Role::Output, "kW");
        let schema = Arc::new(Schema::new(vec![temp, supply, load, power]));
        Self { schema, noise: 0.0, members: 1, seen: Range { low: 12.0, high: 24.0 } }
    }

    fn objective(&self) -> Objective {
        let signals = self.schema.signals.iter().enumerate().map(|(i, s)| (s.name.clone(), (i, s.unit.clone())));
        let scope = Scope { signals: signals.collect(), dt: STEP_MS as f64 / 1e3, ..Scope::default() };
        let kpi = |name: &str, spec: KpiSpec| Kpi::compile(name, &spec, &scope, &self.schema).unwrap();
        let energy = kpi("energy", KpiSpec::Integral("power".to_owned().into()));
        let heat = kpi("heat", KpiSpec::Exceedance("temp".to_owned().into()));
        Objective { terms: vec![(energy, 0.2), (heat, 20.0)] }
    }

    /// A day and more of a load that swings, 1 particle; the log's own control holds 18 °C.
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

    fn run(&self, controller: &mut dyn Controller, steps: usize, particles: usize) -> Simulated {
        self.run_told(controller, steps, particles, ForecastSpec::Persistence)
    }

    fn run_told(
        &self,
        controller: &mut dyn Controller,
        steps: usize,
        particles: usize,
        how: ForecastSpec,
    ) -> Simulated {
        let realised = self.realised(steps + 40);
        let forecast = Forecast { realised: realised.clone(), past: 40, signals: vec![(LOAD, how)] };
        let run = Run { dynamics: self, realised: &realised, past: 40, steps, particles, key: Key::new(1), forecast };
        simulate(&run, controller, &|| false).unwrap()
    }

    fn value(&self, simulated: &Simulated) -> Vec<f64> {
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
    fn seen(&self, signal: usize) -> Range {
        if signal == SUPPLY { self.seen } else { Range { low: 0.0, high: 40.0 } }
    }
}

/// The log's control, held.
struct Held(f64);

impl Controller for Held {
    fn signals(&self) -> &[usize] {
        &[SUPPLY]
    }
    fn act(&mut self, _: &Observation, control: &mut Control) -> twinopt::error::Result<()> {
        control.values[0].fill(self.0);
        Ok(())
    }
}

/// Passes an MPC's controls on, and checks that they need no limiting.
struct Watched<'a>(Mpc<'a>, Signal);

impl Controller for Watched<'_> {
    fn signals(&self) -> &[usize] {
        self.0.signals()
    }
    fn depth(&self) -> usize {
        self.0.depth()
    }
    fn act(&mut self, observation: &Observation, control: &mut Control) -> twinopt::error::Result<()> {
        self.0.act(observation, control)?;
        for (row, v) in control.values[0].iter().enumerate() {
            let held = limited(&self.1, observation.window.column(SUPPLY, 1)[row], *v);
            assert!((held - v).abs() < 1e-9, "{v} breaks a limit at step {}", observation.step);
        }
        Ok(())
    }
}

fn mpc_spec(text: &str) -> MpcSpec {
    toml::from_str(text).unwrap()
}

fn mpc<'a>(room: &'a Room, text: &str) -> Watched<'a> {
    let mpc = Mpc::new(&mpc_spec(text), vec![SUPPLY], room, room.objective(), Key::new(9));
    Watched(mpc, room.schema.signals[SUPPLY].clone())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn mpc_beats_the_best_held_control_and_holds_every_limit() {
    let room = Room { noise: 0.1, members: 3, ..Room::new() };
    let held =
        (12..=24).map(|v| mean(&room.value(&room.run(&mut Held(f64::from(v)), 144, 4)))).fold(f64::INFINITY, f64::min);
    for planner in ["cem = {}", "icem = {}"] {
        let text = format!("horizon = '4h'\nreplan = '30min'\nrisk = 0.75\nplanner.{planner}");
        let mut controller = mpc(&room, &text);
        let simulated = room.run(&mut controller, 144, 4);
        let value = mean(&room.value(&simulated));
        println!("{planner}: {value:.2}, best held {held:.2}");
        assert_eq!(controller.0.failures(), 0);
        assert!(value < 0.97 * held, "{planner}: {value} against {held}");
        let supply = &simulated.trajectory.columns[SUPPLY];
        assert!(supply.iter().all(|v| (12.0 - 1e-9..=24.0 + 1e-9).contains(v)));
        assert!(supply.chunks(4).zip(supply.chunks(4).skip(1)).all(|(a, b)| (a[0] - b[0]).abs() <= 1.0 + 1e-9));
    }
}

#[test]
fn lots_and_hard_limits_of_states_hold() {
    let mut room = Room::new();
    room.schema = Arc::new(Schema::new({
        let mut signals = room.schema.signals.clone();
        signals[TEMP].hard.high = 25.5;
        signals[TEMP].soft = Range { low: f64::NEG_INFINITY, high: 60.0 };
        signals[SUPPLY].multiple = 0.5;
        signals
    }));
    let simulated = room.run_told(&mut mpc(&room, "horizon = '4h'\nreplan = '10min'"), 144, 1, ForecastSpec::Perfect);
    let t = &simulated.trajectory;
    assert!(t.columns[SUPPLY].iter().all(|v| (v * 2.0 - (v * 2.0).round()).abs() < 1e-9));
    let hottest = t.columns[TEMP].iter().copied().fold(0.0, f64::max);
    assert!(hottest <= 25.5 + 1e-9, "{hottest}");
    // Energy alone would let it run as hot as the limit allows.
    assert!(hottest > 25.0, "{hottest}");
}

#[test]
fn plans_do_not_depend_on_threads() {
    let room = Room { noise: 0.1, members: 3, ..Room::new() };
    let bits = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let simulated = pool.install(|| room.run(&mut mpc(&room, "horizon = '2h'\nreplan = '20min'"), 24, 5));
        simulated.trajectory.columns[SUPPLY].iter().map(|v| v.to_bits()).collect::<Vec<_>>()
    };
    assert_eq!(bits(1), bits(2));
    assert_eq!(bits(2), bits(2));
}

#[test]
fn a_control_outside_the_log_comes_back_at_its_pace() {
    let room = Room { seen: Range { low: 20.0, high: 22.0 }, ..Room::new() };
    let simulated = room.run(&mut mpc(&room, "horizon = '2h'"), 12, 1);
    assert_eq!(simulated.trajectory.columns[SUPPLY][..2], [19.0, 20.0]);
    let free = room.run(&mut mpc(&room, "horizon = '2h'\nwithin_log = false"), 60, 1);
    assert!(free.trajectory.columns[SUPPLY].iter().any(|v| *v < 19.0 || *v > 22.0));
}

#[test]
fn a_plant_that_gives_no_numbers_is_held() {
    struct Broken(Room);
    impl Dynamics for Broken {
        fn schema(&self) -> &Arc<Schema> {
            &self.0.schema
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
            // Only the controls in force can be computed.
            let held: Vec<bool> = batch.window.column(SUPPLY, 0).iter().map(|u| *u == 18.0).collect();
            self.0.step(batch);
            for (v, held) in batch.window.column_mut(TEMP, 0).iter_mut().zip(held) {
                *v = if held { *v } else { f64::NAN };
            }
        }
        fn support(&self, window: &Window) -> Vec<Support> {
            self.0.support(window)
        }
        fn seen(&self, signal: usize) -> Range {
            self.0.seen(signal)
        }
    }
    let broken = Broken(Room::new());
    let room = &broken.0;
    let mut controller = Mpc::new(&mpc_spec("horizon = '1h'"), vec![SUPPLY], &broken, room.objective(), Key::new(9));
    let simulated = room.run(&mut controller, 6, 1);
    assert_eq!(simulated.trajectory.columns[SUPPLY], [18.0; 6]);
}

/// Prints what a transition costs in the planning loop, plant left out: `cargo test --release --test planners -- --ignored
/// --nocapture`.
#[test]
#[ignore = "a measurement"]
fn cost_per_transition() {
    let room = Room::new();
    for text in ["particles = 1", "particles = 4\nrisk = 0.95"] {
        let mut controller = mpc(&room, &format!("horizon = '4h'\nreplan = '30min'\n{text}"));
        let start = std::time::Instant::now();
        let particles = 20;
        room.run(&mut controller, 1008, particles);
        let plans = 336 * particles;
        let seconds = start.elapsed().as_secs_f64();
        let candidates = 64 + 51 + 40 + 32;
        let futures = if text.contains('4') { 4 } else { 1 };
        let transitions = plans * candidates * 24 * futures;
        let threads = rayon::current_num_threads() as f64;
        println!(
            "{text:?}: {seconds:.2} s for {plans} plans, {:.1} ns of thread time per transition",
            1e9 * seconds * threads / transitions as f64
        );
    }
}
