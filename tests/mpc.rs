//! MPC in the closed loop: levels in place of orders, offset-free, in time.

// A list of one stretch of training rows.
#![allow(clippy::single_range_in_vec_init)]

mod plant;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use plant::{Known, Plant, noise};
use twinopt::expr::Program;
use twinopt::learn::Target;
use twinopt::schema::{Range, Schema};
use twinopt::simulate::Simulated;
use twinopt::trajectory::{Trajectory, Window};
use twinopt::twin::{Batch, Dynamics, Support, Twin};

/// What is ordered arrives two days later; demand is known only when the day begins, and a shortage is made up for.
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

/// Demand of 10 items a day, with a standard deviation of 4.
fn stock(plant: &Plant) -> (Twin, Arc<Trajectory>) {
    let mut log = plant.log(70);
    for (name, value) in [("on_hand", 20.0), ("demand", 10.0), ("ordered", 10.0), ("usual", 10.0)] {
        log.columns[plant.column(name)].fill(value);
    }
    let regressor = Known { weights: vec![vec![-1.0, 1.0]], members: 1 };
    let (demand, usual) = (plant.column("demand"), plant.column("usual"));
    let mut twin = plant.twin(&[(demand, 0), (usual, 0)], &[Target::Delta(demand)], regressor, &log);
    twin.spread = noise(1, 0.0, 4.0);
    (twin, Arc::new(log))
}

#[test]
fn a_plan_of_levels_is_no_worse_than_a_plan_of_orders() {
    let plant = Plant::new(STOCK);
    let (twin, log) = stock(&plant);
    let run = |text: &str| plant.run(&twin, &log, 10, 8, plant.controller(&twin, text).unwrap().as_mut()).unwrap();
    let position = "on_hand + lag(ordered, 1) + lag(ordered, 2)";
    let settings = "horizon = '8d', moves = 4, particles = 8, within_log = false, planner.icem = { population = 32 }";
    let levels = format!("base_stock = [{{ order = 'ordered', position = '{position}', level = [10, 80] }}]");
    let by = |replan: &str| {
        let orders = run(&format!("controller.mpc = {{ {settings}, replan = '{replan}' }}"));
        let levels = run(&format!("controller.mpc = {{ {settings}, replan = '{replan}', {levels} }}"));
        (plant.value(&orders), plant.value(&levels))
    };
    let (often, seldom) = (by("1d"), by("4d"));
    // The best of all fixed levels, which no plan is told.
    let fixed = |level: usize| {
        let loops = format!("{{ order = 'ordered', position = '{position}', level = '{level}' }}");
        plant.value(&run(&format!("controller.base_stock = [{loops}]")))
    };
    let best = (26..=50).step_by(2).map(fixed).fold(f64::INFINITY, f64::min);
    println!("orders and levels: {often:.2?} replanned every day, {seldom:.2?} every four; best fixed level {best:.2}");
    // Between two plans only levels react; with a plan for every day both do, and differ by what sampling leaves.
    assert!(seldom.1 < 0.9 * seldom.0, "{seldom:?}");
    assert!(often.1 < 1.05 * often.0, "{often:?}");
    // A few futures see less of rare shortages than it takes to find that level.
    assert!(seldom.1.max(often.1) < 1.5 * best, "{often:?}, {seldom:?} against {best}");
}

/// A tank that loses a tenth of its level every minute, and more than its model knows through a leak.
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

/// level' = 0.9 level + 0.5 inflow − share · leak.
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
fn a_biased_model_reaches_its_setpoint_by_correction_only() {
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
    println!("largest distance to the set-point at the end: {without:.4} without correction, {with:.6} with it");
    // The model misses the leak of every step.
    assert!((without - 0.1).abs() < 0.01, "{without}");
    assert!(with < 1e-3, "{with}");
}

/// A twin that counts the rows that it steps.
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
    fn smooth(&self) -> bool {
        self.twin.smooth()
    }
    fn seen(&self, signal: usize) -> Range {
        self.twin.seen(signal)
    }
}

#[test]
fn a_plan_that_is_late_is_the_best_so_far() {
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
        let (free, all, _) = run("", None);
        // A clock that stands still changes nothing, and nobody asks it without a budget.
        let (still, same, asked) = run(", budget = '200ms'", Some(0));
        assert_eq!((&still, same, asked > 0), (&free, all, true), "{planner}");
        // Every look at the clock takes 150 ms: the second one after the start finds that it is too late.
        let (late, few, asked) = run(", budget = '200ms'", Some(150));
        assert!(few < all / 2, "{planner}: {few} of {all} rows");
        assert!(asked <= 3 * 120, "{planner}: {asked}");
        let (value, best) = (plant.value(&late), plant.value(&free));
        println!("{planner}: {few} of {all} rows; tracking {value:.4}, in time {best:.4}, held {held:.4}");
        assert!(value < held, "{planner}: {value} is worse than {held}");
    }
}

const HOLD: &str = "controller.hold = { inflow = 0.2 }";
