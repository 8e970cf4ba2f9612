//! Tests of closed-loop simulations of a twin: controllers, limits, noise, support and the model file.

use super::plant;

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use plant::{Known, Plant, START, noise};
use proptest::prelude::*;
use twinopt::config::TwinSpec;
use twinopt::control::{Control, Controller, Forecast, Observation};
use twinopt::error::{Error, Result};
use twinopt::learn::{Layout, StepMap, Target};
use twinopt::rng::Key;
use twinopt::schema::{Bounds, MoveLimit, Role};
use twinopt::simulate::{Run, Simulated, simulate};
use twinopt::trajectory::{Frame, Trajectory};
use twinopt::twin::{Batch, Dynamics, Provenance, Support, Twin};

const TANK: &str = r#"
name = "tank"
step = "1s"
log = { files = "log/*.parquet", time = "t" }
signals = [
  { name = "level", role = "state", next = "level + dt * (inflow - k * sqrt(max(level, 0)))" },
  { name = "inflow", role = "control", unit = "1/s", hard = [0.0, 0.4], max_move = 0.05 },
  { name = "level_sp", role = "setpoint" },
]
[parameters]
k = { value = 0.1, unit = "1/s" }
"#;

fn tank_log(plant: &Plant, steps: usize, setpoint: f64) -> Arc<Trajectory> {
    let mut log = plant.log(steps);
    log.columns[0].fill(1.0);
    log.columns[1].fill(0.1);
    log.columns[2].fill(setpoint);
    Arc::new(log)
}

#[test]
fn a_pid_controller_brings_the_tank_to_its_setpoint() {
    let plant = Plant::new(TANK);
    let twin = plant.known();
    let log = tank_log(&plant, 400, 2.0);
    let text = r#"controller.pid = [{ control = "inflow", measurement = "level", setpoint = "level_sp", kp = 0.2, ti = "20s", td = "1s" }]"#;
    let mut pid = plant.controller(&twin, text).unwrap();
    let out = plant.run(&twin, &log, 2, 1, pid.as_mut()).unwrap();
    let (level, inflow) = (&out.trajectory.columns[0], &out.trajectory.columns[1]);
    assert!(level.iter().rev().take(100).all(|x| (x - 2.0).abs() < 1e-3), "ends at {:?}", level.last());
    assert!(level.iter().all(|x| *x < 2.3), "overshoots to {:?}", level.iter().copied().fold(0.0, f64::max));
    // In steady state, the inflow is k sqrt(level). The first move starts at the logged value of the control.
    assert!((inflow[397] - 0.1 * 2f64.sqrt()).abs() < 1e-3);
    assert!((inflow[0] - 0.15).abs() < 1e-12, "{}", inflow[0]);
    assert!(
        out.support.iter().all(|s| *s == Support::Inside),
        "every point must be inside the support of a twin with only known equations"
    );
}

#[test]
fn a_pid_controller_does_not_wind_up() {
    let plant = Plant::new(TANK);
    let twin = plant.known();
    // In the first 150 steps, the set-point cannot be reached, because this would require an inflow of 0.5, which is
    // above the hard limit of 0.4. The set-point is 2 from step 150 to the end.
    let mut log = tank_log(&plant, 400, 25.0).as_ref().clone();
    log.columns[2][150..].fill(2.0);
    let log = Arc::new(log);
    let text = r#"controller.pid = [{ control = "inflow", measurement = "level", setpoint = "level_sp", kp = 0.2, ti = "20s" }]"#;
    let mut pid = plant.controller(&twin, text).unwrap();
    let out = plant.run(&twin, &log, 1, 1, pid.as_mut()).unwrap();
    // After the set-point has fallen to 2, the integral term must not keep the level above 2.
    assert!((out.trajectory.columns[0][398] - 2.0).abs() < 0.05, "{}", out.trajectory.columns[0][398]);
    let reached = out.trajectory.columns[0].iter().skip(149).position(|x| *x < 2.05).unwrap();
    assert!(reached < 200, "{reached}");
}

const SERIAL: &str = r#"
name = "serial"
step = "1d"
log = { files = "log/*.parquet", time = "t" }
signals = [
  { name = "shop", role = "state", unit = "item", next = "shop + receipt - demand" },
  { name = "depot", role = "state", unit = "item", next = "depot + order_depot - shipped" },
  { name = "demand", role = "disturbance", unit = "item" },
  { name = "order_shop", role = "control", unit = "item", hard = [0, 50], multiple = 1 },
  { name = "order_depot", role = "control", unit = "item", hard = [0, 50], multiple = 5 },
  { name = "shipped", role = "derived", unit = "item", expr = "min(order_shop, depot)" },
  { name = "receipt", role = "derived", unit = "item", expr = "lag(shipped, 2)" },
]
"#;

fn serial_log(plant: &Plant) -> Arc<Trajectory> {
    let mut log = plant.log(200);
    for (name, value) in [("shop", 40.0), ("depot", 100.0), ("order_shop", 10.0), ("order_depot", 10.0)] {
        log.columns[plant.column(name)].fill(value);
    }
    log.columns[plant.column("shipped")].fill(10.0);
    log.columns[plant.column("receipt")].fill(10.0);
    for t in 0..200 {
        log.columns[plant.column("demand")][t] = (10.0 + 3.0 * Key::new(1).normal(t as u64)).round().max(0.0);
    }
    Arc::new(log)
}

#[test]
fn base_stock_policies_keep_a_serial_supply_chain_stocked() {
    let plant = Plant::new(SERIAL);
    let twin = plant.known();
    let log = serial_log(&plant);
    let text = r#"controller.base_stock = [
      { order = "order_shop", position = "shop + lag(shipped, 1) + lag(shipped, 2)", level = "50" },
      { order = "order_depot", position = "depot", level = "60", reorder = "40" },
    ]"#;
    let mut policy = plant.controller(&twin, text).unwrap();
    let out = plant.run(&twin, &log, 5, 1, policy.as_mut()).unwrap().trajectory;
    let [shop, depot, demand, order, buy, shipped] =
        ["shop", "depot", "demand", "order_shop", "order_depot", "shipped"].map(|n| &out.columns[plant.column(n)]);
    for t in 2..out.steps - 1 {
        // The inventory position includes the shipments of the last two days, which have not yet arrived at the start
        // of a day.
        let position = shop[t] + shipped[t - 1] + shipped[t - 2];
        assert_eq!(order[t], (50.0 - position).clamp(0.0, 50.0), "day {t}");
        let wanted = if depot[t] <= 40.0 { 60.0 - depot[t] } else { 0.0 };
        assert_eq!(
            buy[t],
            (wanted / 5.0).ceil() * 5.0,
            "day {t}: the order for {wanted} is not rounded up to lots of 5"
        );
        assert_eq!(shop[t + 1], shop[t] + shipped[t - 2] - demand[t], "the stock balance is wrong on day {t}");
        assert_eq!(depot[t + 1], depot[t] + buy[t] - shipped[t]);
    }
    assert!(shop.iter().skip(10).all(|x| *x > 0.0), "the shop must never be out of stock");
    assert!(buy.iter().filter(|b| **b == 0.0).count() > 50, "a reorder point must lead to fewer and larger orders");
}

const ROOM: &str = r#"
name = "room"
step = "1h"
log = { files = "log/*.parquet", time = "t" }
signals = [
  { name = "temp", role = "state", unit = "degC" },
  { name = "power", role = "output", unit = "kW" },
  { name = "cooling", role = "control", unit = "1", hard = [0.0, 1.0], max_move = 0.2, multiple = 0.05 },
  { name = "outdoor", role = "disturbance", unit = "degC", forecast = { seasonal = "1d" } },
]
"#;

/// A twin of the room with temp(t+1) = 0.9 temp + 0.1 outdoor − 2 cooling(t−1) and power = 5 cooling.
fn room(log: &Trajectory, plant: &Plant, members: usize) -> Twin {
    let weights = vec![vec![-0.1, 0.0, -2.0, 0.1], vec![0.0, 5.0, 0.0, 0.0]];
    plant.twin(
        &[(0, 0), (2, 0), (2, 1), (3, 0)],
        &[Target::Delta(0), Target::Level(1)],
        Known { weights, members },
        log,
    )
}

/// A log simulated with the equations of the room. The control varies, and the outdoor temperature has a daily cycle.
fn room_log(plant: &Plant, steps: usize) -> Trajectory {
    let mut log = plant.log(steps);
    let key = Key::new(11);
    for t in 0..steps {
        log.columns[2][t] = 0.5 + 0.05 * (key.below(t as u64 / 6, 5) as f64 - 2.0);
        log.columns[3][t] = 25.0 + 8.0 * (t as f64 / 24.0 * std::f64::consts::TAU).sin() + key.fold(1).normal(t as u64);
        log.columns[1][t] = 5.0 * log.columns[2][t];
    }
    log.columns[0][0] = 22.0;
    for t in 1..steps {
        let c = |s: usize, lag: usize| log.columns[s][(t - 1usize).saturating_sub(lag)];
        // The terms are added in the same order as in the regressor, so that a replay is bitwise exact.
        log.columns[0][t] = (-0.1 * c(0, 0) + 0.0 * c(2, 0) + -2.0 * c(2, 1) + 0.1 * c(3, 0)) + c(0, 0);
    }
    log
}

#[test]
fn replay_without_noise_reproduces_the_log() {
    let plant = Plant::new(ROOM);
    let log = Arc::new(room_log(&plant, 600));
    let twin = room(&log, &plant, 1);
    let mut replay = plant.controller(&twin, "controller.replay = {}").unwrap();
    let out = plant.run(&twin, &log, 24, 3, replay.as_mut()).unwrap();
    for s in 0..4 {
        for t in 0..576 {
            for v in out.trajectory.at(s, t) {
                assert!((v - log.columns[s][24 + t]).abs() < 1e-9, "{} at {t}", plant.schema.signals[s].name);
            }
        }
    }
    let outside = out.support.iter().filter(|s| **s == Support::Outside).count();
    assert!(outside as f64 <= 0.03 * out.support.len() as f64, "{outside} of {}", out.support.len());
    assert_eq!(out.held, [0; 4]);
}

#[test]
fn the_same_key_gives_the_same_bytes_on_any_number_of_threads() {
    use rayon::prelude::*;
    let plant = Plant::new(ROOM);
    let log = Arc::new(room_log(&plant, 200));
    let mut twin = room(&log, &plant, 3);
    twin.noise_model = noise(2, 0.6, 0.3);
    let cases = ["controller.replay = {}", "controller.hold = { cooling = 0.6 }", "controller.replay = {}"];
    let simulate_on = |threads: usize| -> Vec<Simulated> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            cases
                .par_iter()
                .map(|text| {
                    let mut controller = plant.controller(&twin, text).unwrap();
                    plant.run(&twin, &log, 24, 20, controller.as_mut()).unwrap()
                })
                .collect()
        })
    };
    let bits = |s: &Simulated| -> Vec<u64> { s.trajectory.columns.iter().flatten().map(|v| v.to_bits()).collect() };
    let (one, two) = (simulate_on(1), simulate_on(2));
    for (a, b) in one.iter().zip(&two) {
        assert_eq!(bits(a), bits(b));
        assert_eq!(a.support, b.support);
    }
    assert_eq!(bits(&one[0]), bits(&one[2]));
    let particles = one[0].trajectory.at(0, 100);
    assert!(particles.iter().any(|v| (v - particles[0]).abs() > 0.05), "the particles must differ");

    // All cases use common random numbers, so the difference between two cases of a linear plant contains no noise.
    let mut twin = room(&log, &plant, 1);
    twin.noise_model = noise(2, 0.6, 0.3);
    let run = |text: &str| {
        let mut controller = plant.controller(&twin, text).unwrap();
        plant.run(&twin, &log, 24, 20, controller.as_mut()).unwrap().trajectory
    };
    let (a, b) = (run(cases[0]), run(cases[1]));
    for t in 0..a.steps {
        let difference: Vec<f64> = a.at(0, t).iter().zip(b.at(0, t)).map(|(a, b)| a - b).collect();
        assert!(difference.iter().all(|d| (d - difference[0]).abs() < 1e-9), "step {t}");
    }
}

#[test]
fn the_noise_of_the_mean_model_decays_from_the_last_error() {
    let plant = Plant::new(ROOM);
    let mut log = room_log(&plant, 60);
    // At step 30, the room is 1 K warmer than predicted. The mean of the noise then decays geometrically: 0.8 K in the
    // next step, 0.64 K in the step after that, and so on.
    log.columns[0][30] += 1.0;
    let mut twin = room(&log, &plant, 1);
    twin.noise_model = noise(2, 0.8, 0.0);
    let window = twinopt::trajectory::Window::from_trajectory(&log, 30, 0, twin.depth(), 2);
    let mut batch = Batch::candidates(window, 1, 1, None);
    twin.begin(&mut batch);
    assert!((batch.noise[0][0] - 1.0).abs() < 1e-9 && batch.noise[1][0].abs() < 1e-9, "{:?}", batch.noise);
    twin.observe(&mut batch);
    let frame = |s: usize| batch.window.column(s, 0)[0];
    let expected = 0.9 * frame(0) - 2.0 * batch.window.column(2, 1)[0] + 0.1 * frame(3) + 0.8;
    twin.step(&mut batch);
    assert!((batch.window.column(0, 0)[0] - expected).abs() < 1e-9);
    assert!((batch.noise[0][0] - 0.8).abs() < 1e-9);
    // If the history starts at row 30, the error of the previous step is unknown, so the noise starts at zero.
    let window = twinopt::trajectory::Window::from_trajectory(&log, 30, 30, twin.depth(), 2);
    let mut batch = Batch::candidates(window, 1, 1, None);
    twin.begin(&mut batch);
    assert_eq!(batch.noise, [[0.0], [0.0]]);
}

/// A controller that sets random control values.
struct RandomController {
    signals: Vec<usize>,
    key: Key,
    scale: f64,
}

impl Controller for RandomController {
    fn signals(&self) -> &[usize] {
        &self.signals
    }
    fn act(&mut self, observation: &Observation, control: &mut Control) -> Result<()> {
        for (i, column) in control.values.iter_mut().enumerate() {
            self.key.fold(observation.step as u64).fold(i as u64).fill_normal(column);
            column.iter_mut().for_each(|v| *v *= self.scale);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn the_moves_of_any_controller_respect_the_limits(
        seed in any::<u64>(),
        scale in prop_oneof![0.1..2.0, Just(1e6)],
        low in 0.0..0.4,
        max_move in prop_oneof![0.06..0.5, Just(f64::INFINITY)],
        multiple in prop_oneof![Just(0.0), Just(0.05)],
    ) {
        let mut plant = Plant::new(ROOM);
        let mut schema = plant.schema.as_ref().clone();
        let u = &mut schema.signals[2];
        (u.hard, u.max_move, u.multiple) = (Bounds { low, high: 0.9 }, MoveLimit::both(max_move), multiple);
        plant.schema = Arc::new(schema);
        let log = Arc::new(room_log(&plant, 60));
        let twin = room(&log, &plant, 1);
        let mut random = RandomController { signals: vec![2], key: Key::new(seed), scale };
        let out = plant.run(&twin, &log, 10, 4, &mut random).unwrap().trajectory;
        for p in 0..4 {
            let mut before = log.columns[2][9];
            for t in 0..out.steps {
                let v = out.at(2, t)[p];
                prop_assert!((low..=0.9).contains(&v));
                prop_assert!(
                    (v - before).abs() <= max_move + 1e-9,
                    "the move from {} to {} at step {} is too large",
                    before,
                    v,
                    t
                );
                prop_assert!(multiple == 0.0 || (v / 0.05 - (v / 0.05).round()).abs() < 1e-6);
                before = v;
            }
        }
    }
}

/// A controller that records its observations and sets no controls.
#[derive(Default)]
struct RecordingController {
    power: Vec<f64>,
    outdoor: Vec<f64>,
}

impl Controller for RecordingController {
    fn signals(&self) -> &[usize] {
        &[]
    }
    fn act(&mut self, observation: &Observation, _: &mut Control) -> Result<()> {
        self.power.push(observation.window.column(1, 0)[0]);
        self.outdoor.push(observation.window.column(3, 0)[0]);
        Ok(())
    }
}

#[test]
fn a_controller_observes_the_last_output_and_held_values_of_missing_inputs() {
    let plant = Plant::new(ROOM);
    let mut log = room_log(&plant, 100);
    log.columns[3][50..53].fill(f64::NAN);
    let log = Arc::new(log);
    let twin = room(&log, &plant, 1);
    let mut recorder = RecordingController::default();
    let out = plant.run(&twin, &log, 40, 1, &mut recorder).unwrap();
    assert_eq!(recorder.power[0], log.columns[1][39]);
    assert_eq!(recorder.power[1..], out.trajectory.columns[1][..59]);
    assert_eq!(recorder.outdoor[10..13], [log.columns[3][49]; 3]);
    assert_eq!(out.held, [0, 0, 0, 3]);
}

#[test]
fn values_that_cannot_be_computed_are_reported() {
    let plant = Plant::new(ROOM);
    let log = room_log(&plant, 60);
    let twin = room(&log, &plant, 1);
    let fail = |log: Trajectory, text: &str| {
        let mut controller = plant.controller(&twin, text).unwrap();
        plant.run(&twin, &Arc::new(log), 10, 2, controller.as_mut()).unwrap_err()
    };
    let mut missing = log.clone();
    missing.columns[3][..20].fill(f64::NAN);
    let e = fail(missing, "controller.replay = {}");
    assert!(e.exit_code() == 65 && e.to_string().contains("`outdoor` has no value at or before"), "{e}");

    let mut infinite = log.clone();
    infinite.columns[3][15] = 1e308;
    infinite.columns[3][16..].fill(1e308);
    let mut hot = twin.clone();
    hot.map.regressor = Arc::new(Known { weights: vec![vec![5.0; 4], vec![0.0; 4]], members: 1 });
    let mut replay = plant.controller(&twin, "controller.replay = {}").unwrap();
    let e = plant.run(&hot, &Arc::new(infinite), 10, 2, replay.as_mut()).unwrap_err();
    assert!(e.exit_code() == 65 && e.to_string().contains("state `temp` is not finite at step 6"), "{e}");

    let e = plant.controller(&twin, "controller.hold = { cooling = nan }").map(|_| ()).unwrap_err();
    assert!(e.to_string().contains("`cooling` must be a finite number") && e.exit_code() == 78, "{e}");

    let realised = Arc::new(log);
    let forecast = Forecast::new(&plant.spec, realised.clone(), 10, None);
    let run =
        Run { dynamics: &twin, realised: &realised, past: 10, steps: 50, particles: 1, key: Key::new(1), forecast };
    let calls = std::cell::Cell::new(0);
    let stop = || calls.replace(calls.get() + 1) == 4;
    assert!(matches!(simulate(&run, &mut RecordingController::default(), &stop), Err(Error::Interrupted)));
    assert_eq!(calls.get(), 5);
}

#[test]
fn faults_in_a_controller_have_a_position_and_help() {
    let plant = Plant::new(ROOM);
    let twin = room(&room_log(&plant, 60), &plant, 1);
    let fault = |text: &str| match plant.controller(&twin, text).map(|_| ()).unwrap_err() {
        Error::Config(mut faults) => faults.remove(0),
        other => panic!("{other}"),
    };
    let f = fault("controller.hold = { coling = 0.5 }");
    assert_eq!((f.code, f.line, f.help.as_str()), ("unknown-signal", 1, "did you mean `cooling`?"));
    assert_eq!(fault("controller.hold = { temp = 20 }").code, "wrong-role");
    let f = fault("[controller.rule]\ncooling = \"0.5 + tmp / 1[K]\"");
    assert_eq!((f.code, f.line), ("unknown-name", 2));
    assert_eq!(fault("[controller.rule]\ncooling = \"temp\"").code, "unit-mismatch");
    let f =
        fault("controller.pid = [{ control = \"cooling\", measurement = \"temp\", setpoint = \"power\", kp = -0.1 }]");
    assert_eq!(f.code, "unit-mismatch");
}

#[test]
fn schedules_and_rules_set_the_expected_controls() {
    let plant = Plant::new(ROOM);
    let log = Arc::new(room_log(&plant, 24 * 8));
    let twin = room(&log, &plant, 1);
    // The log starts on a Monday in July, when local time is UTC + 2.
    let text = r#"[controller.schedule]
cooling = [{ at = "06:00", days = "mon-fri", value = 0.7 }, { at = "18:00", value = 0.3 }]"#;
    let mut schedule = plant.controller(&twin, text).unwrap();
    let out = plant.run(&twin, &log, 24, 1, schedule.as_mut()).unwrap().trajectory;
    for t in 8..out.steps {
        let time: Timestamp = out.time(t);
        let local = time.to_zoned_datetime(TimeZone::get("Europe/Berlin").unwrap());
        let weekend = local.weekday().to_monday_zero_offset() >= 5;
        let day = (6..18).contains(&local.hour()) && !weekend;
        let settled = !matches!(local.hour(), 6..8 | 18..20);
        if settled {
            assert!((out.columns[2][t] - if day { 0.7 } else { 0.3 }).abs() < 1e-9, "{local}");
        }
    }

    let mut rule =
        plant.controller(&twin, "[controller.rule]\ncooling = \"if(lag(outdoor, 2) > 25[degC], 0.6, 0.5)\"").unwrap();
    let out = plant.run(&twin, &log, 24, 1, rule.as_mut()).unwrap().trajectory;
    for t in 0..out.steps {
        let expected = if log.columns[3][24 + t - 2] > 25.0 { 0.6 } else { 0.5 };
        assert!((out.columns[2][t] - expected).abs() < 1e-9, "step {t}");
    }
}

#[test]
fn a_seasonal_and_a_perfect_forecast_have_the_expected_values() {
    let plant = Plant::new(ROOM);
    let log = Arc::new(room_log(&plant, 100));
    let forecast = Forecast::new(&plant.spec, log.clone(), 48, None);
    assert_eq!(forecast.signals.len(), 1);
    let mut out = [0.0; 24];
    forecast.fill(0, 0, &mut out);
    let before = &log.columns[3];
    let expected = before[25] + (before[48] - before[24]) * (1.0 - 1.0 / 24.0);
    assert!((out[0] - expected).abs() < 1e-12 && (out[23] - before[48]).abs() < 1e-12);
    let perfect = Forecast::new(&plant.spec, log.clone(), 48, Some(twinopt::config::ForecastSpec::Perfect));
    perfect.fill(0, 5, &mut out);
    assert_eq!(out[..], before[54..78]);
}

/// A plant, and a twin with a fitted model that can be saved.
fn fitted() -> (Plant, Twin) {
    let plant = Plant::new(ROOM);
    let log = room_log(&plant, 900);
    let layout = Layout::new(&plant.schema, &plant.spec.model, &plant.equations());
    let data = twinopt::learn::Dataset::new(&log, &layout, &plant.equations());
    let rows: Vec<usize> = (0..data.len()).collect();
    let folds: Vec<Vec<usize>> = rows.chunks(rows.len() / 4 + 1).map(<[usize]>::to_vec).collect();
    let fit = twinopt::learn::Fit {
        data: &data,
        rows: &rows,
        folds: &folds,
        options: &plant.spec.model,
        seed: 1,
        compute: &twinopt::compute::cpu(),
        draft: false,
        hyper: &[],
    };
    let regressor = twinopt::learn::model::fit("linear", &fit).unwrap();
    let map = StepMap { schema: plant.schema.clone(), equations: plant.equations(), layout, regressor };
    let provenance = Provenance::new(&plant.spec, vec![], vec![0..900], vec![], START.into()).unwrap();
    let twin = Twin::new(map, noise(2, 0.5, 0.1), &log, &[0..900], provenance).with_envelope(&log, &[0..900]);
    (plant, twin)
}

#[test]
fn a_model_file_is_restored_exactly_or_rejected() {
    let (plant, twin) = fitted();
    let bytes = twin.save().unwrap();
    let load = |bytes: &[u8], spec: &TwinSpec| {
        Twin::load(
            bytes,
            Path::new("models/room/model.bin"),
            spec,
            &plant.schema,
            plant.equations(),
            &twinopt::compute::cpu(),
        )
    };
    let back = load(&bytes, &plant.spec).unwrap();
    assert_eq!(back.save().unwrap(), bytes);
    assert_eq!(
        (&back.envelope, &back.noise_model, &back.provenance),
        (&twin.envelope, &twin.noise_model, &twin.provenance)
    );
    let log = Arc::new(room_log(&plant, 200));
    let run = |t: &Twin| plant.run(t, &log, 24, 5, &mut RecordingController::default()).unwrap();
    assert_eq!(run(&twin), run(&back));

    // Each byte of the header and some bytes of the payload are damaged, one at a time.
    for at in (0..400.min(bytes.len())).chain((400..bytes.len()).step_by(61)) {
        let mut broken = bytes.clone();
        broken[at] ^= 0x10;
        assert!(matches!(load(&broken, &plant.spec), Err(Error::Data(_))), "byte {at}");
    }
    for end in [0, 7, 40, 100, bytes.len() / 2, bytes.len() - 1] {
        let e = load(&bytes[..end], &plant.spec).unwrap_err();
        assert!(e.exit_code() == 65 && e.to_string().contains("models/room/model.bin"), "{e}");
    }
    let longer: Vec<u8> = bytes.iter().copied().chain([0]).collect();
    assert_eq!(load(&longer, &plant.spec).unwrap_err().exit_code(), 65);

    let changed = Plant::new(&ROOM.replace("1h", "2h"));
    let e = load(&bytes, &changed.spec).unwrap_err();
    assert!(e.to_string().contains("Fit again"), "{e}");
    let softer = Plant::new(&ROOM.replace("unit = \"kW\"", "unit = \"kW\", soft = [0, 4]"));
    assert!(load(&bytes, &softer.spec).is_ok(), "limits are not part of the model file");
}

#[test]
fn a_control_outside_the_logged_range_is_outside_the_support() {
    let plant = Plant::new(ROOM);
    let log = room_log(&plant, 1000);
    let twin = room(&log, &plant, 1);
    let range = twin.logged_range(2);
    assert!((range.low - 0.4).abs() < 1e-9 && (range.high - 0.6).abs() < 1e-9, "{range:?}");
    let mut hold = plant.controller(&twin, "controller.hold = { cooling = 0.95 }").unwrap();
    let out = plant.run(&twin, &Arc::new(log), 24, 1, hold.as_mut()).unwrap();
    assert!(out.support[10..].iter().all(|s| *s == Support::Outside));
    assert!(plant.schema.signals[2].role == Role::Control);
}
