//! Tests of MPC in closed loop: order-up-to levels, offset-free tracking, time budgets, terminal costs and limits.

use super::plant;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use plant::cooled::{Room, STEP_MS, SUPPLY, TEMP};
use plant::{Known, Plant, noise};
use twinopt::config::{ForecastSpec, MpcSpec};
use twinopt::control::mpc::ResolvedMpc;
use twinopt::control::{Control, Controller, Mpc, Observation, limited};
use twinopt::error::Error;
use twinopt::expr::Program;
use twinopt::learn::Target;
use twinopt::rng::Key;
use twinopt::schema::{Bounds, MoveLimit, Schema, Signal, Switching};
use twinopt::simulate::Simulated;
use twinopt::trajectory::{Frame, Trajectory, Window};
use twinopt::twin::{Batch, Dynamics, Support, Twin};

/// An inventory with a lead time of two days. The demand of a day is known at the start of the day.
/// Unmet demand is delivered later.
const STOCK: &str = r#"
name = "stock"
step = "1d"
log = { files = "log/*.parquet", time = "t" }
signals = [
  { name = "on_hand", role = "state", unit = "item", next = "on_hand + lag(ordered, 2) - demand" },
  { name = "demand", role = "state", unit = "item" },
  { name = "ordered", role = "control", unit = "item", hard = [0, 60] },
  { name = "usual", role = "disturbance", unit = "item" },
]
[kpi]
kept = { mean = "max(on_hand, 0[item])" }
short = { mean = "max(-on_hand, 0[item])" }
[objective]
kept = 1.0
short = 9.0
"#;

/// The twin and the log of an inventory whose daily demand has a mean of 10 items and a standard deviation of 4.
fn stock(plant: &Plant) -> (Twin, Arc<Trajectory>) {
    let mut log = plant.log(70);
    for (name, value) in [("on_hand", 20.0), ("demand", 10.0), ("ordered", 10.0), ("usual", 10.0)] {
        log.columns[plant.column(name)].fill(value);
    }
    let regressor = Known { weights: vec![vec![-1.0, 1.0]], members: 1 };
    let (demand, usual) = (plant.column("demand"), plant.column("usual"));
    let mut twin = plant.twin(&[(demand, 0), (usual, 0)], &[Target::Delta(demand)], regressor, &log);
    twin.noise_model = noise(1, 0.0, 4.0);
    (twin, Arc::new(log))
}

#[test]
fn planning_order_up_to_levels_is_no_worse_than_planning_orders() {
    let plant = Plant::new(STOCK);
    let (twin, log) = stock(&plant);
    let run = |text: &str| plant.run(&twin, &log, 10, 8, plant.controller(&twin, text).unwrap().as_mut()).unwrap();
    let position = "on_hand + lag(ordered, 1) + lag(ordered, 2)";
    let settings = "horizon = '8d', moves = 4, particles = 8, within_log = false, planner.icem = { population = 32 }";
    let levels = format!("base_stock = [{{ order = 'ordered', position = '{position}', level = [10, 80] }}]");
    let costs = |replan: &str| {
        let orders = run(&format!("controller.mpc = {{ {settings}, replan = '{replan}' }}"));
        let levels = run(&format!("controller.mpc = {{ {settings}, replan = '{replan}', {levels} }}"));
        (plant.value(&orders), plant.value(&levels))
    };
    let (daily, every_four_days) = (costs("1d"), costs("4d"));
    // The cost of a policy with a fixed order-up-to level. The lowest cost over all levels is the reference.
    let fixed = |level: usize| {
        let loops = format!("{{ order = 'ordered', position = '{position}', level = '{level}' }}");
        plant.value(&run(&format!("controller.base_stock = [{loops}]")))
    };
    let best = (26..=50).step_by(2).map(fixed).fold(f64::INFINITY, f64::min);
    println!(
        "orders and levels: {daily:.2?} replanned daily, {every_four_days:.2?} every four days; best fixed level {best:.2}"
    );
    // Between replanning times, planned levels react to demand, but planned orders do not. With daily replanning,
    // planned orders and planned levels both react to demand, so their costs differ only by sampling noise.
    assert!(every_four_days.1 < 0.95 * every_four_days.0, "{every_four_days:?}");
    assert!(daily.1 < 1.05 * daily.0, "{daily:?}");
    // The costs of MPC are above the reference, because its few simulated futures contain too few shortages to
    // determine the best level exactly.
    assert!(every_four_days.1.max(daily.1) < 1.2 * best, "{daily:?}, {every_four_days:?} against {best}");
}

#[test]
fn plans_of_many_particles_do_not_depend_on_the_number_of_threads() {
    let plant = Plant::new(STOCK);
    let (twin, log) = stock(&plant);
    let text = "controller.mpc = { horizon = '8d', moves = 4, particles = 8, within_log = false, planner.icem = { population = 32 } }";
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut controller = plant.controller(&twin, text).unwrap();
        pool.install(|| plant.run(&twin, &log, 60, 8, controller.as_mut()).unwrap())
    };
    let (one, two) = (on(1), on(2));
    let bits = |run: &Simulated| -> Vec<Vec<u64>> {
        run.trajectory.columns.iter().map(|c| c.iter().map(|v| v.to_bits()).collect()).collect()
    };
    assert_eq!(bits(&one), bits(&two));
    // The particles have different plans, so the work can be distributed over threads.
    let ordered = one.trajectory.at(plant.column("ordered"), 9);
    assert!(ordered.iter().any(|v| *v != ordered[0]), "{ordered:?}");
}

/// A tank whose outflow is a tenth of its level per minute. The tank also has a leak, which the model may omit.
const LEAKY: &str = r#"
name = "tank"
step = "1min"
log = { files = "log/*.parquet", time = "t" }
signals = [
  { name = "level", role = "state" },
  { name = "inflow", role = "control", hard = [0.0, 2.0] },
  { name = "leak", role = "disturbance" },
  { name = "level_sp", role = "setpoint" },
]
[kpi]
tracking = { mean = "abs(level - level_sp)" }
[objective]
tracking = 1.0
"#;

/// A twin of the tank with level(t+1) = 0.9 level + 0.5 inflow − share · leak.
fn tank(plant: &Plant, share: f64, log: &Trajectory) -> Twin {
    let regressor = Known { weights: vec![vec![-0.1, 0.5, -share]], members: 1 };
    plant.twin(&[(0, 0), (1, 0), (2, 0)], &[Target::Delta(0)], regressor, log)
}

fn tank_log(plant: &Plant) -> Arc<Trajectory> {
    let mut log = plant.log(130);
    for (column, value) in log.columns.iter_mut().zip([1.0, 0.2, 0.1, 2.0]) {
        column.fill(value);
    }
    Arc::new(log)
}

#[test]
fn a_biased_model_reaches_its_setpoint_only_with_correction() {
    let plant = Plant::new(LEAKY);
    let log = tank_log(&plant);
    let (model, real) = (tank(&plant, 0.0, &log), tank(&plant, 1.0, &log));
    let ends = |correction: f64| {
        let planner = "horizon = '8min', within_log = false, particles = 1, planner.gauss_newton = {}";
        let text = format!("controller.mpc = {{ {planner}, correction = {correction} }}");
        let out = plant.run(&real, &log, 10, 1, plant.controller(&model, &text).unwrap().as_mut()).unwrap();
        let level = &out.trajectory.columns[0];
        let last = &level[level.len() - 20..];
        last.iter().map(|l| (l - 2.0).abs()).fold(0.0, f64::max)
    };
    let [without, with] = [0.0, 0.3].map(ends);
    println!("largest final distance to the set-point: {without:.4} without correction, {with:.6} with correction");
    // Without correction, the offset equals the amount that leaks in one step.
    assert!((without - 0.1).abs() < 0.01, "{without}");
    assert!(with < 1e-3, "{with}");
}

/// A wrapper around a twin that counts the simulated rows.
struct Counted<'a> {
    twin: &'a Twin,
    rows: AtomicUsize,
}

impl Dynamics for Counted<'_> {
    fn schema(&self) -> &Arc<Schema> {
        self.twin.schema()
    }
    fn step_ms(&self) -> i64 {
        self.twin.step_ms()
    }
    fn depth(&self) -> usize {
        Dynamics::depth(self.twin)
    }
    fn members(&self) -> usize {
        self.twin.members()
    }
    fn begin(&self, batch: &mut Batch) {
        self.twin.begin(batch);
    }
    fn observe(&self, batch: &mut Batch) {
        self.twin.observe(batch);
    }
    fn step(&self, batch: &mut Batch) {
        self.rows.fetch_add(batch.particles.iter().map(|p| p.rows.len()).sum(), Ordering::Relaxed);
        self.twin.step(batch);
    }
    fn support(&self, window: &Window) -> Vec<Support> {
        self.twin.support(window)
    }
    fn derived(&self, signal: usize) -> Option<&Program> {
        self.twin.derived(signal)
    }
    fn is_differentiable(&self) -> bool {
        self.twin.is_differentiable()
    }
    fn logged_range(&self, signal: usize) -> Bounds {
        self.twin.logged_range(signal)
    }
}

#[test]
fn a_planner_that_runs_out_of_time_returns_its_best_plan_so_far() {
    let plant = Plant::new(LEAKY);
    let log = tank_log(&plant);
    let twin = tank(&plant, 1.0, &log);
    let held = plant.value(&plant.run(&twin, &log, 10, 1, plant.controller(&twin, HOLD).unwrap().as_mut()).unwrap());
    for planner in ["icem = { iterations = 40 }", "gauss_newton = { iterations = 40 }", "qp = { iterations = 40 }"] {
        let settings = format!("horizon = '8min', within_log = false, planner.{planner}");
        let run = |budget: &str, pace: Option<u64>| -> (Simulated, usize, u64) {
            let counted = Counted { twin: &twin, rows: AtomicUsize::new(0) };
            let asked = Arc::new(AtomicU64::new(0));
            let count = asked.clone();
            let clock = move || pace.unwrap_or(0) * count.fetch_add(1, Ordering::Relaxed);
            let text = format!("controller.mpc = {{ {settings}{budget} }}");
            let mut mpc = plant.timed(&counted, &text, pace.map(|_| &clock as _)).unwrap();
            let simulated = plant.run(&twin, &log, 10, 1, mpc.as_mut()).unwrap();
            drop(mpc);
            (simulated, counted.rows.load(Ordering::Relaxed), asked.load(Ordering::Relaxed))
        };
        let (unlimited, all, _) = run("", None);
        // With a stopped clock, a time budget does not change the result. Without a budget, the clock is not read.
        let (still, same, asked) = run(", budget = '200ms'", Some(0));
        assert_eq!((&still, same, asked > 0), (&unlimited, all, true), "{planner}");
        // Every reading advances the clock by 150 ms, so the time is up at the second reading after the start of
        // planning.
        let (late, few, asked) = run(", budget = '200ms'", Some(150));
        assert!(few < all / 2, "{planner}: {few} of {all} rows were simulated");
        assert!(asked <= 3 * 120, "{planner}: {asked}");
        let (value, best) = (plant.value(&late), plant.value(&unlimited));
        println!(
            "{planner}: {few} of {all} rows; tracking error {value:.4}, without a budget {best:.4}, held {held:.4}"
        );
        assert!(value < held, "{planner}: {value} is worse than {held}");
    }
}

const HOLD: &str = "controller.hold = { inflow = 0.2 }";

/// A controller that holds a constant control value.
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

/// A tank that costs money to fill. The final level of the tank has a price only in plans (the setting `terminal`).
const FILLED: &str = r#"
name = "filled"
step = "1min"
log = { files = "log/*.parquet", time = "t" }
signals = [
  { name = "level", role = "state", next = "level + inflow" },
  { name = "inflow", role = "control", hard = [0.0, 2.0] },
]
[kpi]
cost = { sum = "inflow" }
stored = { final = "level" }
[objective]
cost = 1.0
"#;

#[test]
fn terminal_prices_apply_only_in_plans() {
    let plant = Plant::new(FILLED);
    let twin = plant.known();
    let mut log = plant.log(30);
    log.columns.iter_mut().for_each(|c| c.fill(1.0));
    let log = Arc::new(log);
    let run = |terminal: &str| {
        let text = format!("controller.mpc = {{ horizon = '4min', within_log = false{terminal} }}");
        let mut controller = plant.controller(&twin, &text).unwrap();
        plant.value(&plant.run(&twin, &log, 10, 1, controller.as_mut()).unwrap())
    };
    // The objective of a run contains only the cost. If the final level has a price, MPC fills the tank in every step.
    assert_eq!([run(""), run(", terminal = { stored = -3.0 }")].map(|v| v.round()), [0.0, 40.0]);
    let unknown = plant.controller(&twin, "controller.mpc = { horizon = '4min', terminal = { sotred = -3.0 } }");
    let Err(Error::Config(faults)) = unknown.map(|_| ()) else { panic!("an unknown KPI must be reported") };
    assert_eq!(faults[0].code, "unknown-kpi");
}

/// An MPC controller whose controls are checked against their limits before the simulation clamps them.
struct Checked<'a>(Mpc<'a>, Signal);

impl Controller for Checked<'_> {
    fn signals(&self) -> &[usize] {
        self.0.signals()
    }
    fn depth(&self) -> usize {
        self.0.depth()
    }
    fn act(&mut self, observation: &Observation, control: &mut Control) -> twinopt::error::Result<()> {
        self.0.act(observation, control)?;
        for (row, v) in control.values[0].iter().enumerate() {
            let clamped = limited(&self.1, observation.window.column(SUPPLY, 1)[row], usize::MAX, *v);
            assert!((clamped - v).abs() < 1e-9, "{v} violates a limit at step {}", observation.step);
        }
        Ok(())
    }
}

/// The twin of a battery. Energy bought now also reduces the cost of later steps, which are beyond
/// the horizon of a one-step plan.
const CHARGE: &str = r#"
name = "charge"
step = "1h"
log = { files = "log/*.parquet", time = "t" }
signals = [
  { name = "charge", role = "state", next = "0.8 * charge + bought" },
  { name = "wanted", role = "setpoint" },
  { name = "bought", role = "control", hard = [0, 2] },
]
[kpi]
miss = { sum = "(charge - wanted)^2" }
money = { sum = "0.2 * bought" }
[objective]
miss = 1.0
money = 1.0
"#;

#[test]
fn a_short_plan_with_a_terminal_cost_is_as_good_as_a_long_plan() {
    let mut plant = Plant::new(CHARGE);
    let (charge, wanted, bought) = (plant.column("charge"), plant.column("wanted"), plant.column("bought"));
    let mut log = plant.log(900);
    let key = Key::new(2);
    let mut level = 2.0;
    for t in 0..log.steps {
        let sp = 2.0 + (t as f64 / 60.0).sin();
        // The log was recorded under a poor controller with a dither signal.
        let u = (0.2 * sp + 0.3 * (sp - level) + 0.2 * key.normal(t as u64)).clamp(0.0, 2.0);
        log.at_mut(charge, t)[0] = level;
        log.at_mut(wanted, t)[0] = sp;
        log.at_mut(bought, t)[0] = u;
        level = 0.8 * level + u;
    }
    plant.learn_terminal_cost(&log, 10);
    let learned = plant.terminal_cost.as_ref().unwrap();
    assert!(learned.steps == 10 && learned.skill > 0.6, "{learned:?}");
    let (twin, log) = (plant.known(), Arc::new(log));
    let cost = |plant: &Plant, text: &str| {
        let text = format!("controller.mpc = {{ within_log = false, {text} }}");
        plant.value(&plant.run(&twin, &log, 500, 1, plant.controller(&twin, &text).unwrap().as_mut()).unwrap())
    };
    let (short, with_terminal_cost) =
        (cost(&plant, "horizon = '1h'"), cost(&plant, "horizon = '1h', cost_to_go = true"));
    let long = cost(&plant, "horizon = '10h'");
    println!("one step {short:.1}, with a terminal cost {with_terminal_cost:.1}, ten steps {long:.1}");
    assert!(short > 5.0 * long && with_terminal_cost < 1.2 * long, "{short} {with_terminal_cost} {long}");
    // Requesting a terminal cost is an error if no terminal cost was learned.
    plant.terminal_cost = None;
    let error = plant.controller(&twin, "controller.mpc = { horizon = '1h', cost_to_go = true }").err().unwrap();
    assert!(error.to_string().contains("no terminal cost is available"), "{error}");
}

fn mpc_settings(text: &str) -> ResolvedMpc {
    let spec: MpcSpec = toml::from_str(text).unwrap();
    ResolvedMpc { controls: vec![SUPPLY], ..ResolvedMpc::from(&spec) }
}

fn mpc<'a>(room: &'a Room, text: &str) -> Checked<'a> {
    let mpc = Mpc::new(&mpc_settings(text), room, room.objective(), Key::new(9));
    Checked(mpc, room.schema.signals[SUPPLY].clone())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn mpc_beats_the_best_constant_control_within_all_limits() {
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
fn multiples_and_hard_limits_of_states_are_satisfied() {
    let mut room = Room::new();
    room.schema = Arc::new(Schema::new({
        let mut signals = room.schema.signals.clone();
        signals[TEMP].hard.high = 25.5;
        signals[TEMP].soft = Bounds { low: f64::NEG_INFINITY, high: 60.0 };
        signals[SUPPLY].multiple = 0.5;
        signals
    }));
    let simulated =
        room.run_with_forecast(&mut mpc(&room, "horizon = '4h'\nreplan = '10min'"), 144, 1, ForecastSpec::Perfect);
    let t = &simulated.trajectory;
    assert!(t.columns[SUPPLY].iter().all(|v| (v * 2.0 - (v * 2.0).round()).abs() < 1e-9));
    let hottest = t.columns[TEMP].iter().copied().fold(0.0, f64::max);
    assert!(hottest <= 25.5 + 1e-9, "{hottest}");
    // To save energy, MPC lets the temperature rise to the limit.
    assert!(hottest > 25.0, "{hottest}");
}

/// A controller that switches its control on or off at every step.
struct Flip;

impl Controller for Flip {
    fn signals(&self) -> &[usize] {
        &[SUPPLY]
    }
    fn act(&mut self, observation: &Observation, control: &mut Control) -> twinopt::error::Result<()> {
        control.values[0].fill(if observation.step.is_multiple_of(2) { 0.0 } else { 20.0 });
        Ok(())
    }
}

#[test]
fn simulation_enforces_minimum_on_and_off_times() {
    let mut room = Room::new();
    let mut signals = room.schema.signals.clone();
    signals[SUPPLY].hard.low = 0.0;
    signals[SUPPLY].max_move = MoveLimit::NONE;
    signals[SUPPLY].switching = Switching { least: 12.0, run: 4, stop: 3 };
    room.schema = Arc::new(Schema::new(signals));
    let simulated = room.run(&mut Flip, 40, 1);
    let runs: Vec<(bool, usize)> = simulated.trajectory.columns[SUPPLY]
        .chunk_by(|a, b| (*a > 0.0) == (*b > 0.0))
        .map(|r| (r[0] > 0.0, r.len()))
        .collect();
    assert!(runs.len() > 5, "{runs:?}");
    let complete = &runs[1..runs.len() - 1];
    assert!(complete.iter().all(|(on, length)| *length >= if *on { 4 } else { 3 }), "{runs:?}");
}

#[test]
fn plans_with_ensemble_members_do_not_depend_on_the_number_of_threads() {
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
fn a_control_outside_the_logged_range_returns_within_its_move_limit() {
    let room = Room { logged: Bounds { low: 20.0, high: 22.0 }, ..Room::new() };
    let simulated = room.run(&mut mpc(&room, "horizon = '2h'"), 12, 1);
    assert_eq!(simulated.trajectory.columns[SUPPLY][..2], [19.0, 20.0]);
    let free = room.run(&mut mpc(&room, "horizon = '2h'\nwithin_log = false"), 60, 1);
    assert!(free.trajectory.columns[SUPPLY].iter().any(|v| *v < 19.0 || *v > 22.0));
}

#[test]
fn controls_are_held_if_every_candidate_diverges() {
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
            // The plant diverges unless the control keeps its initial value.
            let held: Vec<bool> = batch.window.column(SUPPLY, 0).iter().map(|u| *u == 18.0).collect();
            self.0.step(batch);
            for (v, held) in batch.window.column_mut(TEMP, 0).iter_mut().zip(held) {
                *v = if held { *v } else { f64::NAN };
            }
        }
        fn support(&self, window: &Window) -> Vec<Support> {
            self.0.support(window)
        }
        fn logged_range(&self, signal: usize) -> Bounds {
            self.0.logged_range(signal)
        }
    }
    let broken = Broken(Room::new());
    let room = &broken.0;
    let mut controller = Mpc::new(&mpc_settings("horizon = '1h'"), &broken, room.objective(), Key::new(9));
    let simulated = room.run(&mut controller, 6, 1);
    assert_eq!(simulated.trajectory.columns[SUPPLY], [18.0; 6]);
}

#[test]
fn live_plans_need_an_objective_with_and_without_an_mpc_table() {
    let read = |table: &str| {
        let text = format!(
            "name = 'x'\nstep = '1min'\nlog = {{ files = '*.parquet', time = 'time' }}\nsignals = [{{ name = 'u', role = \
             'control', hard = [0, 1] }}]\n{table}"
        );
        let file = super::plant::loaded("twin.toml", &text, toml::from_str(&text).unwrap());
        match twinopt::control::LiveSettings::from_twin(&file).map(|_| ()).unwrap_err() {
            twinopt::Error::Config(faults) => faults.iter().map(|f| f.code.to_owned()).collect::<Vec<_>>(),
            other => panic!("{other}"),
        }
    };
    assert_eq!(read(""), ["no-objective"]);
    assert_eq!(read("[mpc]\nhorizon = '5min'"), ["no-objective"]);
}
