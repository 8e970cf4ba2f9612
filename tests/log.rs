//! The log, from Parquet files to trajectory and quality: real logs, injected faults, and files that are not as they
//! should be.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::types::{ArrowPrimitiveType, Float16Type, Int8Type, Int32Type};
use arrow_array::{
    Array, BooleanArray, Date32Array, Decimal64Array, Decimal128Array, DictionaryArray, Float16Array, Float32Array,
    Float64Array, Int8Array, Int32Array, Int64Array, StringViewArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt8Array, UInt16Array,
};
use parquet::basic::{BrotliLevel, Compression, GzipLevel};
use table::{Column, column, floats, integers, texts, times, write, write_as};
use tempfile::TempDir;
use twinopt::config::TwinSpec;
use twinopt::error::Error;
use twinopt::log::{self, Quality};
use twinopt::rng::Key;
use twinopt::schema::{Bounds, MoveLimit, Schema, Signal, Switching};
use twinopt::trajectory::Trajectory;
use twinopt::units::Unit;

mod table;

fn shared() -> Option<PathBuf> {
    let root = std::env::var_os("TWINOPT_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let data = root.join("data");
    if data.is_dir() {
        return Some(data);
    }
    println!("skipped: no real logs at {}", data.display());
    None
}

fn spec(text: &str) -> TwinSpec {
    toml::from_str(text).unwrap_or_else(|e| panic!("{e}"))
}

fn schema(spec: &TwinSpec) -> Arc<Schema> {
    let signals = spec.signals.iter().map(|s| {
        let range = |r: &Option<twinopt::config::At<[f64; 2]>>| {
            r.as_ref().map_or(Bounds::OPEN, |r| Bounds { low: r.value[0], high: r.value[1] })
        };
        Signal {
            name: s.name.value.clone(),
            role: s.role.value,
            unit: s.unit.as_ref().map_or_else(Unit::one, |u| Unit::parse(u).unwrap()),
            hard: range(&s.hard),
            soft: range(&s.soft),
            max_move: MoveLimit::NONE,
            multiple: 0.0,
            switching: Switching::NONE,
        }
    });
    Arc::new(Schema::new(signals.collect()))
}

fn read(dir: &Path, text: &str) -> Result<(Trajectory, Quality), Error> {
    let spec = spec(text);
    log::read(dir, &spec, &schema(&spec))
}

const MIN: i64 = 60_000_000;
const T0: i64 = 1_704_067_200_000_000; // 2024-01-01

fn count(q: &Quality, class: &str) -> usize {
    q.findings.iter().filter(|f| f.class == class).map(|f| f.count).sum()
}

fn same(a: &Trajectory, b: &Trajectory) -> bool {
    let bits = |t: &Trajectory| t.columns.iter().flatten().map(|v| v.to_bits()).collect::<Vec<_>>();
    a.start == b.start && a.steps == b.steps && a.segments == b.segments && bits(a) == bits(b)
}

// ---------------------------------------------------------------------------------------------- real logs

struct Real {
    file: &'static str,
    step: &'static str,
    extra: &'static str,
    states: &'static [&'static str],
    controls: &'static [&'static str],
    disturbances: &'static [&'static str],
    setpoints: &'static [&'static str],
}

const DATACENTER: Real = Real {
    file: "rollouts/datacenter_crac.parquet",
    step: "10min",
    extra: ", episode = \"episode\"",
    states: &["zone_temp_c", "supply_temp_c", "server_inlet_temp_c", "fan_flow_kg_s", "it_power_w", "hvac_power_w"],
    controls: &["supply_setpoint_c", "zone_setpoint_c"],
    disturbances: &["outdoor_temp_c", "outdoor_wetbulb_c", "cpu_load"],
    setpoints: &[],
};
const DISTILLATION: Real = Real {
    file: "rollouts/distillation.parquet",
    step: "60s",
    extra: ", episode = \"episode\"",
    states: &["distillate_purity", "bottoms_impurity"],
    controls: &["reflux_kmol_min", "boilup_kmol_min"],
    disturbances: &["feed_composition"],
    setpoints: &["sp_distillate_purity", "sp_bottoms_impurity"],
};
const CSTR: Real = Real {
    file: "rollouts/cstr.parquet",
    step: "15s",
    extra: "",
    states: &["conc_a_mol_l", "reactor_temp_k"],
    controls: &["coolant_temp_k"],
    disturbances: &[],
    setpoints: &["sp_conc_a_mol_l"],
};
const FOUR_TANK: Real = Real {
    file: "rollouts/four_tank.parquet",
    step: "1s",
    extra: "",
    states: &["level_1_m", "level_2_m", "level_3_m", "level_4_m"],
    controls: &["pump_1_v", "pump_2_v"],
    disturbances: &[],
    setpoints: &["sp_level_1_m", "sp_level_2_m"],
};
const PH: Real = Real {
    file: "rollouts/ph_neutralization.parquet",
    step: "5s",
    extra: "",
    states: &["ph"],
    controls: &["base_flow_ml_s"],
    disturbances: &["buffer_flow_ml_s"],
    setpoints: &["sp_ph"],
};
const INVENTORY: Real = Real {
    file: "rollouts/serial_inventory.parquet",
    step: "1d",
    extra: "",
    states: &["on_hand_1", "on_hand_2", "on_hand_3", "on_order_2_1", "on_order_3_2", "backlog_1_0", "sales", "profit"],
    controls: &["order_2_1", "order_3_2", "order_4_3"],
    disturbances: &["demand"],
    setpoints: &[],
};
const GAS_TURBINE: Real = Real {
    file: "process/gas_turbine.parquet",
    step: "1h",
    extra: "",
    states: &[
        "turbine_after_temp_c",
        "compressor_discharge_pressure_mbar",
        "exhaust_pressure_mbar",
        "energy_yield_mwh",
        "co_mg_m3",
        "nox_mg_m3",
    ],
    controls: &["turbine_inlet_temp_c"],
    disturbances: &["ambient_temp_c", "ambient_pressure_mbar", "ambient_humidity_pct", "air_filter_dp_mbar"],
    setpoints: &[],
};
const CHILLER: Real = Real {
    file: "datacenter/chiller_plant.parquet",
    step: "30min",
    extra: "",
    states: &["chiller_energy_kwh", "building_load_rt"],
    controls: &["chilled_water_l_s", "cooling_water_temp_c"],
    disturbances: &["outdoor_temp_f", "dew_point_f", "humidity_pct", "wind_mph", "pressure_in"],
    setpoints: &[],
};
const SKAB: Real = Real {
    file: "process/skab_water_loop.parquet",
    step: "1s",
    extra: ", episode = \"experiment\", max_gap = \"5s\"",
    states: &["pressure_bar", "flow_l_min", "fluid_temp_c", "engine_temp_c", "motor_current_a", "accelerometer_1_g"],
    controls: &[],
    disturbances: &["motor_voltage_v"],
    setpoints: &[],
};

fn twin(r: &Real) -> String {
    let mut text = format!(
        "name = \"x\"\nstep = \"{}\"\nlog = {{ files = \"{}\", time = \"timestamp\"{} }}\nsignals = [\n",
        r.step, r.file, r.extra
    );
    for (role, names) in
        [("state", r.states), ("control", r.controls), ("disturbance", r.disturbances), ("setpoint", r.setpoints)]
    {
        for n in names {
            let unit = if n.ends_with("_c") { ", unit = \"degC\"" } else { "" };
            text.push_str(&format!("  {{ name = \"{n}\", role = \"{role}\"{unit} }},\n"));
        }
    }
    text + "]\n"
}

fn real(data: &Path, r: &Real) -> (Trajectory, Quality) {
    let (t, q) = read(data, &twin(r)).unwrap_or_else(|e| panic!("{}: {e}", r.file));
    println!("{}\n{}", r.file, log::render(&q));
    (t, q)
}

/// Findings that say something is wrong with the data, per signal and month.
fn false_flags(t: &Trajectory, q: &Quality) -> f64 {
    let flags = q.findings.iter().filter(|f| !["episode", "gap"].contains(&f.class.as_str())).count();
    let months = (t.steps as f64 * t.step_seconds() / (30.0 * 86_400.0)).max(1.0);
    flags as f64 / (q.signals.len() as f64 * months)
}

#[test]
fn clean_logs_come_through_value_for_value_and_unflagged() {
    let Some(data) = shared() else { return };
    for r in [&DATACENTER, &DISTILLATION, &CSTR, &FOUR_TANK, &PH, &INVENTORY] {
        let (t, q) = real(&data, r);
        assert_eq!(t.steps, q.sources[0].rows, "{}", r.file);
        let whole = table::read(&data.join(r.file));
        for (i, name) in t.schema.names().enumerate() {
            assert_eq!(table::numbers(&whole, name), t.columns[i], "{name}");
        }
        assert!(false_flags(&t, &q) <= 1.0, "{}: {:#?}", r.file, q.findings);
        let wrong: Vec<_> =
            q.findings.iter().filter(|f| !["episode", "constant"].contains(&f.class.as_str())).collect();
        assert!(wrong.is_empty(), "{}: {wrong:#?}", r.file);
        q.require_complete().unwrap();
        assert!(q.signals.iter().filter_map(|s| s.excitation.as_ref()).all(|e| e.learnable && e.spread > 0.0));
    }
}

/// Every plant that the repository ships reads, and is complete enough to learn from.
#[test]
fn shipped_twins_are_complete() {
    let Ok(plants) = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("data")) else { return };
    for plant in plants.flatten().map(|p| p.path()).filter(|p| p.join("twin.toml").is_file()) {
        let text = std::fs::read_to_string(plant.join("twin.toml")).unwrap();
        let (t, q) = read(&plant, &text).unwrap_or_else(|e| panic!("{}: {e}", plant.display()));
        println!("{}\n{}", plant.display(), log::render(&q));
        q.require_complete().unwrap();
        assert!(t.steps > 1_000 && q.signals.iter().all(|s| s.coverage > 0.9));
    }
}

#[test]
fn distillation_is_split_at_its_trips() {
    let Some(data) = shared() else { return };
    let (t, q) = real(&data, &DISTILLATION);
    assert_eq!((t.segments.len(), t.segments[0].start, t.segments.last().unwrap().end), (7, 0, t.steps));
    assert_eq!(count(&q, "episode"), 6);
    assert!(t.segments.windows(2).all(|w| w[0].end == w[1].start));
}

#[test]
fn the_gas_turbine_has_a_stuck_analyser() {
    let Some(data) = shared() else { return };
    let (t, q) = real(&data, &GAS_TURBINE);
    assert_eq!((t.steps, t.segments.len()), (36_733, 1));
    let flat: Vec<_> = q.findings.iter().filter(|f| f.class == "flat-line").collect();
    assert_eq!((flat.len(), flat[0].signal.as_str(), flat[0].count), (1, "nox_mg_m3", 102));
    assert!(false_flags(&t, &q) <= 1.0 && q.require_complete().is_ok());
}

#[test]
fn the_chiller_log_has_gaps_and_five_stuck_days() {
    let Some(data) = shared() else { return };
    let (t, q) = real(&data, &CHILLER);
    assert!(t.segments.len() > 10 && count(&q, "gap") > 0);
    let flat: Vec<_> = q.findings.iter().filter(|f| f.class == "flat-line").map(|f| f.signal.as_str()).collect();
    assert_eq!(flat, ["building_load_rt"], "controls hold by nature, the load does not");
    assert!(q.require_complete().is_ok());
    // Nothing outside a segment, and every row of the file on its step.
    let rows: usize = t.columns[0].iter().filter(|v| !v.is_nan()).count();
    assert_eq!(rows, q.sources[0].rows);
}

#[test]
fn the_water_loop_has_35_experiments_that_overlap_a_little() {
    let Some(data) = shared() else { return };
    let (t, q) = real(&data, &SKAB);
    let overlap = count(&q, "episode-overlap");
    assert!((500..2_000).contains(&overlap), "{overlap}");
    assert!(t.segments.len() >= 35, "{}", t.segments.len());
    // Its clock skips a second now and then: those steps stay empty, and are told as missing.
    assert!(q.signals.iter().all(|s| s.coverage > 0.9 && s.missing > 0));
    q.require_complete().unwrap();
}

#[test]
fn coarser_steps_average() {
    let Some(data) = shared() else { return };
    let hourly = twin(&DATACENTER).replace("step = \"10min\"", "step = \"1h\"");
    let (t, _) = read(&data, &hourly).unwrap();
    let (fine, _) = read(&data, &twin(&DATACENTER)).unwrap();
    for k in [0, 100, 4_000] {
        let mean = fine.columns[0][6 * k..6 * k + 6].iter().sum::<f64>() / 6.0;
        assert!((t.columns[0][k] - mean).abs() < 1e-12);
        assert_eq!(t.columns[6][k], fine.columns[6][6 * k + 5], "a control keeps its last value");
    }
}

// ---------------------------------------------------------------------------------------------- a made log

const MADE: &str = r#"
name = "made"
step = "10min"
log = { files = "*.parquet", time = "timestamp" }
signals = [
  { name = "temp", role = "state", unit = "degC" },
  { name = "power", role = "output" },
  { name = "valve", role = "control", hard = [0, 100] },
]
"#;

/// Three months of a temperature, a power and a valve, every 10 min.
struct Made {
    time: Vec<i64>,
    temp: Vec<f64>,
    power: Vec<f64>,
    valve: Vec<f64>,
}

fn made(n: usize, seed: u64) -> Made {
    let key = Key::new(seed);
    let (mut temp, mut power, mut valve) = (Vec::new(), Vec::new(), Vec::new());
    let (mut slow, mut v) = (0.0, 50.0);
    for i in 0..n {
        let u = key.fold(i as u64);
        slow = 0.98 * slow + 0.3 * u.normal(0);
        if i % 40 == 0 {
            v = (u.uniform(1) * 100.0).round();
        }
        let day = (i as f64 / 144.0 * std::f64::consts::TAU).sin();
        temp.push(23.0 + 2.0 * day + slow + 0.1 * u.normal(2));
        power.push(400.0 + 80.0 * day + v + 5.0 * u.normal(3));
        valve.push(v);
    }
    Made { time: (0..n as i64).map(|i| T0 + 10 * MIN * i).collect(), temp, power, valve }
}

impl Made {
    fn columns(&self) -> Vec<Column> {
        vec![
            times("timestamp", &self.time),
            floats("temp", &self.temp),
            floats("power", &self.power),
            floats("valve", &self.valve),
        ]
    }

    fn save(&self, path: &Path) {
        write(path, self.columns());
    }

    fn read(&self) -> (Trajectory, Quality) {
        let dir = TempDir::new().unwrap();
        self.save(&dir.path().join("log.parquet"));
        read(dir.path(), MADE).unwrap()
    }

    fn reorder(&mut self, order: &[usize]) {
        self.time = order.iter().map(|&i| self.time[i]).collect();
        for v in [&mut self.temp, &mut self.power, &mut self.valve] {
            *v = order.iter().map(|&i| v[i]).collect();
        }
    }
}

/// DQ-1: each class of fault, injected at a random place with a random length, is found under its name.
#[test]
fn injected_faults_are_found() {
    const TRIALS: u64 = 40;
    type Inject = fn(&mut Made, usize, usize, Key);
    let classes: [(&str, Inject); 16] = [
        ("not-finite", |m, at, len, _| m.temp[at..at + len].fill(f64::NAN)),
        ("not-finite", |m, at, _, _| m.power[at] = f64::INFINITY),
        ("out-of-range", |m, at, len, _| m.temp[at..at + len].fill(-9999.0)),
        ("out-of-range", |m, at, _, _| m.temp[at] = -300.0),
        ("flat-line", |m, at, len, _| {
            let v = m.temp[at];
            m.temp[at..at + len].fill(v);
        }),
        ("flat-line", |m, at, len, _| m.power[at..at + len].fill(0.0)),
        ("unit-jump", |m, at, len, _| m.power[at..at + len].iter_mut().for_each(|v| *v *= 1000.0)),
        ("unit-jump", |m, at, len, _| m.power[at..at + len].iter_mut().for_each(|v| *v /= 1000.0)),
        ("unit-jump", |m, at, len, _| m.temp[at..at + len].iter_mut().for_each(|v| *v = 1.8 * *v + 32.0)),
        ("unit-jump", |m, at, _, _| m.temp[at..].iter_mut().for_each(|v| *v += 273.15)),
        ("out-of-order", |m, at, len, k| {
            let mut order: Vec<usize> = (0..m.time.len()).collect();
            order.swap(at, at + 1 + k.below(9, len));
            m.reorder(&order);
        }),
        ("duplicate", |m, at, len, _| {
            let order: Vec<usize> = (0..at + len).chain(at..m.time.len()).collect();
            m.reorder(&order);
        }),
        ("duplicate-conflict", |m, at, len, _| m.time[at + 1..at + 2 + len % 3].fill(T0 + 10 * MIN * at as i64)),
        ("gap", |m, at, len, _| {
            let order: Vec<usize> = (0..at).chain(at + len..m.time.len()).collect();
            m.reorder(&order);
        }),
        ("clock-step", |m, at, len, _| m.time[at..].iter_mut().for_each(|t| *t -= 10 * MIN * len as i64)),
        ("clock-step", |m, at, _, k| {
            let by = MIN * (11 + k.below(8, 8) as i64);
            m.time[at..].iter_mut().for_each(|t| *t += by);
        }),
    ];
    let mut report = String::new();
    let mut worst = 1.0_f64;
    for (c, (class, inject)) in classes.iter().enumerate() {
        let mut found = 0;
        for trial in 0..TRIALS {
            let key = Key::new(99).fold(c as u64).fold(trial);
            let mut m = made(3_000, trial);
            let (at, len) = (200 + key.below(0, 2_400), 24 + key.below(1, 200));
            inject(&mut m, at, len, key);
            let (_, q) = m.read();
            let seen = q.findings.iter().any(|f| f.class == *class);
            found += u64::from(seen);
            if !seen {
                report.push_str(&format!(
                    "  missed: trial {trial} at {at} + {len}: {:?}\n",
                    q.findings.iter().map(|f| &f.class).collect::<Vec<_>>()
                ));
            }
        }
        worst = worst.min(found as f64 / TRIALS as f64);
        report.push_str(&format!("{class} ({c}): {found} of {TRIALS}\n"));
    }
    println!("{report}");
    assert!(worst >= 0.95, "{report}");
    let flags: usize = (0..10).map(|s| made(4_320, 1_000 + s).read().1.findings.len()).sum();
    assert!(flags <= 3, "{flags} false flags in 10 clean logs of a month with 3 signals");
}

/// DQ-1 on simulated plants: stuck sensors and changes of unit in each state, at random places.
#[test]
fn faults_in_simulated_plants_are_found() {
    let Some(data) = shared() else { return };
    let cases: [(&Real, &[(&str, &str)]); 2] = [
        (
            &DATACENTER,
            &[("zone_temp_c", "degC"), ("server_inlet_temp_c", "degC"), ("it_power_w", "1"), ("fan_flow_kg_s", "1")],
        ),
        (&CSTR, &[("reactor_temp_k", "K"), ("conc_a_mol_l", "1")]),
    ];
    let (mut tried, mut missed) = (0, Vec::new());
    for (r, signals) in cases {
        for (name, unit) in signals {
            let whole = table::read(&data.join(r.file));
            let clean = table::numbers(&whole, name);
            let time = whole.column_by_name("timestamp").unwrap();
            for trial in 0..12 {
                let key = Key::new(5).fold(trial);
                let n = clean.len();
                let (at, len) = (100 + key.below(0, n - 700), 30 + key.below(1, 300));
                let mut v = clean.clone();
                let kinds = if *unit == "1" { 3 } else { 4 };
                let class = match trial % kinds {
                    0 => {
                        v[at..at + len].fill(clean[at]);
                        "flat-line"
                    }
                    1 => {
                        v[at..at + len].iter_mut().for_each(|v| *v *= 1000.0);
                        "unit-jump"
                    }
                    2 => {
                        v[at..at + len].iter_mut().for_each(|v| *v *= 0.001);
                        "unit-jump"
                    }
                    _ => {
                        let other = |v: f64| if *unit == "K" { v - 273.15 } else { 1.8 * v + 32.0 };
                        v[at..at + len].iter_mut().for_each(|v| *v = other(*v));
                        "unit-jump"
                    }
                };
                let dir = TempDir::new().unwrap();
                write(&dir.path().join("log.parquet"), vec![("timestamp".into(), Arc::clone(time)), floats(name, &v)]);
                let text = format!(
                    "name = \"x\"\nstep = \"{}\"\nlog = {{ files = \"*.parquet\", time = \"timestamp\" }}\nsignals = [{{ name = \"{name}\", role = \"state\", unit = \"{unit}\" }}]\n",
                    r.step
                );
                let (_, q) = read(dir.path(), &text).unwrap();
                tried += 1;
                let found = q.findings.iter().find(|f| f.class == class);
                if found.is_none_or(|f| f.count + 2 < len || f.count > len + 2) {
                    missed.push(format!("{name} {trial} {class} at {at} + {len}: {:?}", q.findings));
                }
            }
        }
    }
    println!("{} of {tried} found with their extent", tried - missed.len());
    assert!(20 * missed.len() <= tried, "{missed:#?}");
}

/// Columns in another unit are converted before their limits are looked at.
#[test]
fn fahrenheit_columns_become_celsius() {
    let Some(data) = shared() else { return };
    let text = twin(&CHILLER).replace(
        "{ name = \"outdoor_temp_f\", role = \"disturbance\" }",
        "{ name = \"outdoor_temp\", role = \"disturbance\", unit = \"degC\", column = \"outdoor_temp_f\", column_unit = \"degF\", valid = [0, 50] }",
    );
    let (t, q) = read(&data, &text).unwrap();
    let at = t.schema.find("outdoor_temp").unwrap();
    // 82 degF in the first row of the file.
    assert!((t.columns[at][0] - 27.777_777_777_777_78).abs() < 1e-9, "{}", t.columns[at][0]);
    assert!((q.signals[at].min - 22.777_777_777_777_78).abs() < 1e-9 && q.signals[at].dropped == 0);
    let wrong = text.replace("column_unit = \"degF\"", "column_unit = \"kW\"");
    assert!(data_error(&data, &wrong).contains("cannot be converted to its unit"));
}

// ---------------------------------------------------------------------------------------------- the same, told otherwise

fn shuffled(n: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        order.swap(i, Key::new(seed).below(i as u64, i + 1));
    }
    order
}

#[test]
fn sorted_and_shuffled_rows_give_the_same() {
    let mut m = made(2_000, 7);
    m.temp[50..60].fill(f64::NAN);
    let (a, qa) = m.read();
    m.reorder(&shuffled(2_000, 3));
    let (b, qb) = m.read();
    assert!(same(&a, &b));
    assert_eq!(qa.signals, qb.signals);
    assert!(count(&qb, "out-of-order") > 1_000 && count(&qb, "clock-step") == 0);
}

#[test]
fn the_same_twice_on_any_number_of_threads() {
    let dir = TempDir::new().unwrap();
    let mut m = made(5_000, 8);
    m.power[100..130].fill(f64::NAN);
    m.save(&dir.path().join("a.parquet"));
    let on = |threads: usize| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(|| read(dir.path(), MADE).unwrap())
    };
    let ((a, qa), (b, qb)) = (on(1), on(2));
    assert!(same(&a, &b));
    assert_eq!(serde_json::to_string(&qa).unwrap(), serde_json::to_string(&qb).unwrap());
}

/// More rows than a batch has, in row groups that are larger than one and not a multiple of it.
#[test]
fn logs_of_many_batches_read_the_same_on_any_number_of_threads() {
    let dir = TempDir::new().unwrap();
    let m = made(70_000, 8);
    let (expected, _) = m.read();
    let (mut t, mut tag, mut v) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..m.time.len() {
        for (name, value) in [("temp", m.temp[i]), ("power", m.power[i]), ("valve", m.valve[i])] {
            t.push(m.time[i]);
            tag.push(name);
            v.push(value);
        }
    }
    let columns = vec![times("timestamp", &t), texts("tag", &tag), floats("value", &v)];
    write_as(&dir.path().join("long.parquet"), columns, |p| p.set_max_row_group_row_count(Some(100_003)));
    let text =
        MADE.replace("time = \"timestamp\"", "time = \"timestamp\", long = { tag = \"tag\", value = \"value\" }");
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| read(dir.path(), &text).unwrap())
    };
    let ((a, qa), (b, qb)) = (on(1), on(2));
    assert!(same(&a, &b) && same(&a, &expected));
    assert_eq!(serde_json::to_string(&qa).unwrap(), serde_json::to_string(&qb).unwrap());
}

const LONG: &str = "long = { tag = \"tag\", value = \"value\", quality = \"quality\" }";

/// The log as rows of (time, tag, value, flag).
fn save_long(m: &Made, path: &Path, bad: impl Fn(usize, usize) -> bool) {
    let (mut t, mut tag, mut v, mut q) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for i in 0..m.time.len() {
        for (s, (name, values)) in [("temp", &m.temp), ("power", &m.power), ("valve", &m.valve)].iter().enumerate() {
            t.push(m.time[i]);
            tag.push(*name);
            v.push(if bad(i, s) { -1e6 } else { values[i] });
            q.push(if bad(i, s) { "Bad" } else { "Good" });
        }
        t.push(m.time[i]);
        tag.push("unused");
        v.push(0.0);
        q.push("Good");
    }
    let columns = vec![times("timestamp", &t), texts("tag", &tag), floats("value", &v), texts("quality", &q)];
    // Row groups that end in the middle of a time stamp.
    write_as(path, columns, |p| p.set_max_row_group_row_count(Some(1_001)));
}

#[test]
fn a_long_log_equals_a_wide_one() {
    let m = made(1_500, 9);
    let (wide, qw) = m.read();
    let dir = TempDir::new().unwrap();
    save_long(&m, &dir.path().join("long.parquet"), |_, _| false);
    let text = MADE.replace("time = \"timestamp\"", &format!("time = \"timestamp\", {LONG}"));
    let (long, ql) = read(dir.path(), &text).unwrap();
    assert!(same(&wide, &long));
    assert_eq!(qw.signals, ql.signals);
}

#[test]
fn bad_flags_are_dropped_before_resampling() {
    let m = made(1_500, 9);
    let dir = TempDir::new().unwrap();
    save_long(&m, &dir.path().join("long.parquet"), |i, s| s == 0 && i % 10 == 3);
    // Half-hour steps: each third one would average in a value of −1e6.
    let text = MADE
        .replace("time = \"timestamp\"", &format!("time = \"timestamp\", {LONG}"))
        .replace("step = \"10min\"", "step = \"30min\"");
    let (t, q) = read(dir.path(), &text).unwrap();
    assert_eq!((count(&q, "bad-flag"), q.signals[0].dropped), (150, 150));
    assert!(t.columns[0].iter().all(|v| (0.0..60.0).contains(v)));
    assert!((t.columns[0][1] - 0.5 * (m.temp[4] + m.temp[5])).abs() < 1e-12);
}

#[test]
fn tags_logged_on_change_are_held() {
    let m = made(1_500, 10);
    let (mut t, mut tag, mut v) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..m.time.len() {
        for (name, value) in [("temp", m.temp[i]), ("power", m.power[i])] {
            t.push(m.time[i]);
            tag.push(name);
            v.push(value);
        }
        if i == 0 || m.valve[i] != m.valve[i - 1] {
            t.push(m.time[i]);
            tag.push("valve");
            v.push(m.valve[i]);
        }
    }
    let dir = TempDir::new().unwrap();
    write(&dir.path().join("long.parquet"), vec![times("timestamp", &t), texts("tag", &tag), floats("value", &v)]);
    let long = "time = \"timestamp\", long = { tag = \"tag\", value = \"value\" }";
    let (t, q) = read(dir.path(), &MADE.replace("time = \"timestamp\"", long)).unwrap();
    assert_eq!(t.columns[2], m.valve);
    assert_eq!(count(&q, "report-on-change"), q.signals[2].held);
}

#[test]
fn files_of_other_columns_and_times_make_one_log() {
    let m = made(1_000, 11);
    let dir = TempDir::new().unwrap();
    let part = |r: std::ops::Range<usize>, name: &str, with_valve: bool| {
        let mut columns = vec![
            times("timestamp", &m.time[r.clone()]),
            floats("temp", &m.temp[r.clone()]),
            floats("power", &m.power[r.clone()]),
        ];
        if with_valve {
            columns.push(floats("valve", &m.valve[r]));
        }
        write(&dir.path().join(name), columns);
    };
    // Overlapping exports, the later part first by name; and the valve in a file of its own for the second half.
    part(480..1_000, "a.parquet", false);
    part(0..520, "b.parquet", true);
    write(&dir.path().join("c.parquet"), vec![times("timestamp", &m.time[480..]), floats("valve", &m.valve[480..])]);
    let (t, q) = read(dir.path(), MADE).unwrap();
    assert_eq!((&t.columns[0], &t.columns[1], &t.columns[2]), (&m.temp, &m.power, &m.valve));
    assert_eq!((t.segments.len(), count(&q, "schema-change"), count(&q, "out-of-order")), (1, 3, 0));
    assert_eq!(q.sources.len(), 3);
}

// ---------------------------------------------------------------------------------------------- files that are not right

fn data_error(dir: &Path, text: &str) -> String {
    let e = read(dir, text).unwrap_err();
    assert_eq!(e.exit_code(), 65, "{e}");
    e.to_string()
}

#[test]
fn errors_name_file_column_and_cure() {
    let dir = TempDir::new().unwrap();
    let e = read(dir.path(), MADE).unwrap_err();
    assert_eq!(e.exit_code(), 66);
    assert!(e.to_string().contains("no file matches `*.parquet`"), "{e}");

    let file = dir.path().join("log.parquet");
    std::fs::write(&file, "timestamp,temp\n").unwrap();
    let e = read(dir.path(), MADE).unwrap_err();
    assert!(e.exit_code() == 65 && e.to_string().contains("not a readable Parquet file"), "{e}");
    std::fs::write(&file, "").unwrap();
    let e = read(dir.path(), MADE).unwrap_err();
    assert!(e.exit_code() == 65 && e.to_string().contains("it is empty"), "{e}");

    let m = made(100, 1);
    m.save(&file);
    // A file cut off in the middle of its data, with its footer in place.
    let whole = std::fs::read(&file).unwrap();
    let mut holed = whole.clone();
    holed[200..600].fill(0x5a);
    std::fs::write(&file, &holed).unwrap();
    let e = read(dir.path(), MADE).unwrap_err();
    assert!(e.exit_code() == 65 && e.to_string().contains("log.parquet"), "{e}");
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(read(dir.path(), MADE).unwrap_err().exit_code(), 65);
    std::fs::write(&file, &whole).unwrap();

    let e = data_error(dir.path(), &MADE.replace("name = \"temp\"", "name = \"tmep\""));
    assert_eq!(e, "log.parquet: there is no column `tmep`; did you mean `temp`?");
    let e = data_error(dir.path(), &MADE.replace("time = \"timestamp\"", "time = \"timestmp\""));
    assert_eq!(e, "log.parquet: there is no time column `timestmp`; did you mean `timestamp`?");
    let e = data_error(dir.path(), &MADE.replace("time = \"timestamp\"", "time = \"timestamp\", episode = \"run\""));
    assert!(e.contains("there is no episode column `run`"), "{e}");
    let e = data_error(dir.path(), &MADE.replace("time = \"timestamp\"", "time = \"timestamp\", timezone = \"Mars\""));
    assert!(e.contains("`log.timezone = \"Mars\"` is not known"), "{e}");
    let e = data_error(dir.path(), &MADE.replace("name = \"temp\"", "name = \"temp\", column = \"timestamp\""));
    assert!(e.contains("column `timestamp`") && e.contains("it holds times"), "{e}");

    let text = texts("power", &["1.5"; 100]);
    let columns = || vec![times("timestamp", &m.time), floats("temp", &m.temp), floats("valve", &m.valve)];
    write(&file, columns().into_iter().chain([text]).collect());
    let e = data_error(dir.path(), MADE);
    assert!(e.contains("column `power`") && e.contains("it holds text; convert it to numbers"), "{e}");

    write(&file, vec![times("timestamp", &[]), floats("temp", &[]), floats("power", &[]), floats("valve", &[])]);
    let e = data_error(dir.path(), MADE);
    assert!(e.contains("log.parquet: the log has no rows"), "{e}");

    let words = texts("timestamp", &["31.12.2024"; 100]);
    write(&file, vec![words, floats("temp", &m.temp), floats("power", &m.power), floats("valve", &m.valve)]);
    let e = data_error(dir.path(), MADE);
    assert!(e.contains("can be read as a time, for example `31.12.2024`"), "{e}");

    let long = "time = \"timestamp\", long = { tag = \"tag\", value = \"value\", quality = \"quality\" }";
    save_long(&m, &file, |_, _| false);
    let e = data_error(dir.path(), &MADE.replace("time = \"timestamp\"", long).replace("\"temp\"", "\"temq\""));
    assert_eq!(e, "log.parquet: there is no tag `temq`; did you mean `temp`?");
}

/// Numbers of a file's headers, each made as large as it can be: an error or a log, and never the end of the process.
#[test]
fn absurd_claims_are_errors() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("log.parquet");
    let mut m = made(300, 5);
    m.temp.iter_mut().for_each(|v| *v = v.round());
    let many = [0xff, 0xff, 0xff, 0xff, 0x07];
    let (mut tried, mut refused) = (0, 0);
    let mut attempt = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        tried += 1;
        match read(dir.path(), MADE) {
            Ok((t, _)) => assert!(t.steps > 0),
            Err(e) => {
                assert_eq!(e.exit_code(), 65, "{e}");
                refused += 1;
            }
        }
    };
    for codec in [Compression::UNCOMPRESSED, Compression::SNAPPY] {
        write_as(&file, m.columns(), |p| p.set_compression(codec));
        let whole = std::fs::read(&file).unwrap();
        let end = whole.len() - 8;
        let footer = end - u32::from_le_bytes(*whole[end..].first_chunk().unwrap()) as usize;
        // Members of every list of structs.
        for at in (footer..end).filter(|at| whole[*at] & 0x0f == 0x0c && whole[*at] >= 0x10) {
            let longer = [&whole[footer..at], &[0xfc], &many, &whole[at + 1..end]].concat();
            let length = (longer.len() as u32).to_le_bytes();
            attempt(&[&whole[..footer], &longer, &length, b"PAR1"].concat());
        }
        // Values of every dictionary: the header grows, what follows it shrinks.
        for at in (4..footer).filter(|at| whole[*at..].starts_with(&[0x4c, 0x15])) {
            let after = at + 2 + if whole[at + 2] & 0x80 == 0 { 1 } else { 2 };
            let grown = at + 2 + many.len() - after;
            let page = [&whole[..at + 2], &many, &whole[after..after + 8]].concat();
            attempt(&[&page, &whole[after + 8 + grown..]].concat());
        }
    }
    assert!(tried > 10 && refused > 6, "{tried} {refused}");
}

#[test]
fn episodes_with_one_clock_each_are_refused_with_a_cure() {
    let mut m = made(400, 2);
    let again: Vec<i64> = m.time[..200].to_vec();
    m.time[200..].copy_from_slice(&again);
    let run = integers("run", (0..400).map(|i| i64::from(i >= 200)).collect());
    let dir = TempDir::new().unwrap();
    write(
        &dir.path().join("log.parquet"),
        vec![
            times("timestamp", &m.time),
            run,
            floats("temp", &m.temp),
            floats("power", &m.power),
            floats("valve", &m.valve),
        ],
    );
    let e = data_error(dir.path(), &MADE.replace("time = \"timestamp\"", "time = \"timestamp\", episode = \"run\""));
    assert!(
        e.contains("episodes of column `run` overlap in time")
            && e.contains("`0`")
            && e.contains("add to each one's time"),
        "{e}"
    );
}

#[test]
fn holes_are_incomplete_and_a_still_control_is_said_to_be_so() {
    let mut m = made(1_000, 3);
    m.power[100..400].fill(f64::NAN);
    m.valve.fill(40.0);
    let (t, q) = m.read();
    assert_eq!((t.segments.len(), &t.segments[0]), (1, &(0..1_000)));
    assert_eq!(q.incomplete, ["power"]);
    let e = q.require_complete().unwrap_err();
    assert!(
        e.exit_code() == 65 && e.to_string().contains("`power` is usable in 70 % of the steps, 80 % are needed"),
        "{e}"
    );
    let still = q.signals[2].excitation.as_ref().unwrap();
    assert!(!still.learnable && still.moves == 0);
    assert!(log::render(&q).contains("The control `valve` never moves in this log: what it does cannot be learned."));

    m.power.fill(f64::NAN);
    let (_, q) = m.read();
    assert!(q.signals[1].coverage == 0.0 && q.incomplete == ["power"] && q.require_complete().is_err());
    let json = serde_json::to_string(&q).unwrap();
    assert!(!json.contains("NaN") && serde_json::from_str::<Quality>(&json).is_ok());
    m.temp.fill(f64::NAN);
    m.valve.fill(f64::INFINITY);
    let dir = TempDir::new().unwrap();
    m.save(&dir.path().join("log.parquet"));
    assert!(data_error(dir.path(), MADE).contains("not one usable sample"));
}

#[test]
fn one_row_is_a_log_of_one_step() {
    let (t, q) = made(1, 4).read();
    assert_eq!((t.steps, t.segments.len(), t.segments[0].clone(), t.columns[2].len()), (1, 1, 0..1, 1));
    assert!(q.signals.iter().all(|s| s.coverage == 1.0) && q.require_complete().is_ok());
}

/// DT-1: no storm of values makes the reader fail or publish a number that is none.
#[test]
fn value_storms() {
    let storm = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308, -1e308, 5e-324, -0.0, 0.0, 1e30, -1e300];
    for seed in 0..40 {
        let key = Key::new(seed);
        let mut m = made(300, seed);
        for i in 0..300 {
            let k = key.fold(i);
            for (c, v) in [&mut m.temp, &mut m.power, &mut m.valve].into_iter().enumerate() {
                if k.uniform(c as u64) < 0.1 * (seed % 10) as f64 {
                    v[i as usize] = storm[k.below(10 + c as u64, storm.len())];
                }
            }
        }
        let (t, q) = m.read();
        assert!(t.columns.iter().flatten().all(|v| !v.is_infinite()));
        let json = serde_json::to_string(&q).unwrap();
        serde_json::from_str::<Quality>(&json).unwrap();
        assert!(q.signals.iter().all(|s| s.coverage.is_finite() && !s.mean.is_infinite()), "{json}");
        assert!(!log::render(&q).contains("NaN"));
    }
}

/// DT-2: the same instants, written in every way that a time column may be written.
#[test]
fn time_columns_of_every_kind_read_the_same() {
    let m = made(300, 5);
    let (expected, _) = m.read();
    let rfc = |us: &i64| jiff::Timestamp::from_microsecond(*us).unwrap().to_string();
    let wall = |us: &i64| {
        let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
        jiff::Timestamp::from_microsecond(*us).unwrap().to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S").to_string()
    };
    let units = |per: i64| m.time.iter().map(|t| t / (1_000_000 / per)).collect::<Vec<_>>();
    let ns: Vec<i64> = m.time.iter().map(|t| t * 1_000).collect();
    let walls = || m.time.iter().map(wall).collect::<Vec<_>>();
    let berlin = ", timezone = \"Europe/Berlin\"";
    let columns: Vec<(Column, &str)> = vec![
        (integers("timestamp", units(1)), ""),
        (integers("timestamp", units(1_000)), ""),
        (integers("timestamp", m.time.clone()), ""),
        (integers("timestamp", ns.clone()), ""),
        (column("timestamp", TimestampNanosecondArray::from(ns)), ""),
        (column("timestamp", TimestampMillisecondArray::from(units(1_000))), ""),
        (column("timestamp", TimestampMicrosecondArray::from(m.time.clone())), ""),
        (column("timestamp", TimestampSecondArray::from(units(1))), ""),
        (column("timestamp", TimestampSecondArray::from(units(1)).with_timezone("+02:00")), ""),
        (floats("timestamp", &units(1).iter().map(|v| *v as f64).collect::<Vec<_>>()), ""),
        (column("timestamp", Decimal64Array::from(m.time.clone()).with_precision_and_scale(18, 6).unwrap()), ""),
        (texts("timestamp", &m.time.iter().map(rfc).collect::<Vec<_>>()), ""),
        (texts("timestamp", &walls()), berlin),
        (column("timestamp", StringViewArray::from_iter_values(walls())), berlin),
        (column("timestamp", walls().iter().map(|t| Some(t.as_str())).collect::<DictionaryArray<Int32Type>>()), berlin),
    ];
    for (i, (column, zone)) in columns.into_iter().enumerate() {
        let dir = TempDir::new().unwrap();
        write(
            &dir.path().join("log.parquet"),
            vec![column, floats("temp", &m.temp), floats("power", &m.power), floats("valve", &m.valve)],
        );
        let text = MADE.replace("time = \"timestamp\"", &format!("time = \"timestamp\"{zone}"));
        let (t, q) = read(dir.path(), &text).unwrap_or_else(|e| panic!("{i}: {e}"));
        assert!(same(&expected, &t), "{i}: {:?}", q.findings);
        let span = log::time_span(dir.path(), &spec(&text).log).unwrap();
        assert_eq!((span.first, span.last, span.rows), (t.time(0), t.time(299), 300));
    }
}

/// Days of the calendar are time stamps too.
#[test]
fn dates_are_days() {
    let mut m = made(300, 5);
    m.time = (0..300).map(|day| T0 + day * 1_440 * MIN).collect();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("log.parquet");
    let text = MADE.replace("step = \"10min\"", "step = \"1d\"");
    m.save(&file);
    let (expected, _) = read(dir.path(), &text).unwrap();
    let days = column("timestamp", Date32Array::from_iter_values((0..300).map(|d| 19_723 + d)));
    write(&file, vec![days, floats("temp", &m.temp), floats("power", &m.power), floats("valve", &m.valve)]);
    assert!(same(&expected, &read(dir.path(), &text).unwrap().0));
}

/// Numbers of every type, in columns beside some that hold none.
#[test]
fn columns_of_every_type_read_the_same() {
    let mut m = made(300, 5);
    // values that every type can hold
    m.valve = m.valve.iter().map(|v| v.round()).collect();
    m.power = m.power.iter().map(|v| (4.0 * v).round() / 4.0).collect();
    let (expected, _) = m.read();
    let whole = || m.valve.iter().map(|v| *v as u8);
    let cents = || m.power.iter().map(|v| (100.0 * v) as i64);
    let half = |v: &f64| <Float16Type as ArrowPrimitiveType>::Native::from_f64(*v);
    let half = Float16Array::from_iter_values(m.valve.iter().map(half));
    let coded = DictionaryArray::<Int8Type>::new(
        Int8Array::from_iter_values(whole().map(|v| v as i8)),
        Arc::new(Float64Array::from_iter_values((0..=100).map(f64::from))),
    );
    let valves: Vec<Arc<dyn Array>> = vec![
        Arc::new(UInt8Array::from_iter_values(whole())),
        Arc::new(UInt16Array::from_iter_values(whole().map(u16::from))),
        Arc::new(Int8Array::from_iter_values(whole().map(|v| v as i8))),
        Arc::new(Int32Array::from_iter_values(whole().map(i32::from))),
        Arc::new(half),
        Arc::new(coded),
    ];
    let powers: Vec<Arc<dyn Array>> = vec![
        Arc::new(Float32Array::from_iter_values(m.power.iter().map(|v| *v as f32))),
        Arc::new(Decimal64Array::from_iter_values(cents()).with_precision_and_scale(12, 2).unwrap()),
        Arc::new(Decimal128Array::from_iter_values(cents().map(i128::from)).with_precision_and_scale(30, 2).unwrap()),
    ];
    for (i, valve) in valves.iter().enumerate() {
        let power = &powers[i % powers.len()];
        let dir = TempDir::new().unwrap();
        write(
            &dir.path().join("log.parquet"),
            vec![
                times("timestamp", &m.time),
                column("blob", arrow_array::BinaryArray::from_iter_values(vec![b"x"; 300])),
                floats("temp", &m.temp),
                ("power".into(), Arc::clone(power)),
                ("valve".into(), Arc::clone(valve)),
                column("span", arrow_array::IntervalDayTimeArray::from(vec![None; 300])),
            ],
        );
        let (t, q) = read(dir.path(), MADE).unwrap_or_else(|e| panic!("{i}: {e}"));
        assert!(same(&expected, &t), "{} and {}: {:?}", valve.data_type(), power.data_type(), q.findings);
        let seen = log::describe(&dir.path().join("log.parquet")).unwrap();
        assert_eq!(seen[4].max, m.valve.iter().copied().fold(0.0, f64::max), "{}", valve.data_type());
    }
}

/// Every codec that historians' exports use.
#[test]
fn files_of_every_codec_read_the_same() {
    let m = made(300, 5);
    let (expected, _) = m.read();
    let (brotli, gzip) = (Compression::BROTLI(BrotliLevel::default()), Compression::GZIP(GzipLevel::default()));
    for codec in [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::LZ4_RAW, Compression::LZ4, brotli, gzip]
    {
        let dir = TempDir::new().unwrap();
        write_as(&dir.path().join("log.parquet"), m.columns(), |p| p.set_compression(codec));
        assert!(same(&expected, &read(dir.path(), MADE).unwrap().0), "{codec}");
    }
}

/// Tags and flags of every type.
#[test]
fn long_logs_of_every_type_read_the_same() {
    let m = made(400, 9);
    let (expected, _) = m.read();
    let (mut t, mut tag, mut v, mut bad) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for i in 0..m.time.len() {
        for (code, value) in [(10_u8, m.temp[i]), (20, m.power[i]), (30, m.valve[i]), (40, 0.0)] {
            for wrong in [true, false] {
                t.push(m.time[i]);
                tag.push(code);
                v.push(if wrong { -1e6 } else { value });
                bad.push(wrong);
            }
        }
    }
    let names: Vec<String> = tag.iter().map(u8::to_string).collect();
    let coded: DictionaryArray<Int8Type> = names.iter().map(|n| Some(n.as_str())).collect();
    let tags: Vec<Arc<dyn Array>> = vec![
        Arc::new(UInt8Array::from(tag.clone())),
        Arc::new(UInt16Array::from_iter_values(tag.iter().map(|t| u16::from(*t)))),
        Arc::new(Int64Array::from_iter_values(tag.iter().map(|t| i64::from(*t)))),
        Arc::new(StringViewArray::from_iter_values(&names)),
        Arc::new(coded),
    ];
    let flag = |wrong: &bool| if *wrong { "Bad" } else { "good " };
    let flags: Vec<(Arc<dyn Array>, &str)> = vec![
        (Arc::new(UInt8Array::from_iter_values(bad.iter().map(|b| if *b { 0 } else { 192 }))), ", good = [\"192\"]"),
        (Arc::new(UInt16Array::from_iter_values(bad.iter().map(|b| if *b { 0 } else { 192 }))), ", good = [\"192\"]"),
        (Arc::new(BooleanArray::from_iter(bad.iter().map(|b| if *b { None } else { Some(true) }))), ""),
        (texts("", &bad.iter().map(flag).collect::<Vec<_>>()).1, ""),
        (Arc::new(bad.iter().map(|b| Some(flag(b))).collect::<DictionaryArray<Int8Type>>()), ""),
    ];
    for (tag, (flag, good)) in tags.iter().zip(&flags) {
        let dir = TempDir::new().unwrap();
        let columns = vec![
            times("timestamp", &t),
            ("tag".into(), Arc::clone(tag)),
            floats("value", &v),
            ("quality".into(), Arc::clone(flag)),
        ];
        write_as(&dir.path().join("log.parquet"), columns, |p| p.set_max_row_group_row_count(Some(777)));
        let long =
            format!("time = \"timestamp\", long = {{ tag = \"tag\", value = \"value\", quality = \"quality\"{good} }}");
        let text = MADE.replace("time = \"timestamp\"", &long);
        let text = [("temp", 10), ("power", 20), ("valve", 30)].iter().fold(text, |text, (name, code)| {
            text.replace(&format!("name = \"{name}\""), &format!("name = \"{name}\", column = \"{code}\""))
        });
        let (long, q) = read(dir.path(), &text).unwrap_or_else(|e| panic!("{}: {e}", tag.data_type()));
        assert!(same(&expected, &long), "{} {}", tag.data_type(), flag.data_type());
        assert_eq!(count(&q, "bad-flag"), 3 * 400);
    }
}

#[test]
fn the_clocks_of_berlin_go_back_and_forth() {
    // Two months around the end of summer time, on the wall clock, every 10 min.
    let start = "2024-09-30T22:00:00Z".parse::<jiff::Timestamp>().unwrap().as_microsecond();
    let mut m = made(6_000, 6);
    m.time = (0..6_000).map(|i| start + 10 * MIN * i).collect();
    let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    let walls: Vec<i64> = m
        .time
        .iter()
        .map(|t| {
            let at = jiff::Timestamp::from_microsecond(*t).unwrap();
            t + i64::from(zone.to_offset(at).seconds()) * 1_000_000
        })
        .collect();
    let naive = column("timestamp", TimestampMicrosecondArray::from(walls));
    let dir = TempDir::new().unwrap();
    write(
        &dir.path().join("log.parquet"),
        vec![naive, floats("temp", &m.temp), floats("power", &m.power), floats("valve", &m.valve)],
    );
    let text = MADE.replace("time = \"timestamp\"", "time = \"timestamp\", timezone = \"Europe/Berlin\"");
    let (t, q) = read(dir.path(), &text).unwrap();
    assert_eq!((t.columns[0].clone(), count(&q, "dst-fold")), (m.temp.clone(), 12));
    assert_eq!(q.findings.len(), 1, "{:#?}", q.findings);
    // Read as UTC, the same file shows a clock that was set back.
    let (_, q) = read(dir.path(), MADE).unwrap();
    assert!(count(&q, "clock-step") > 0 && count(&q, "duplicate-conflict") > 0, "{:#?}", q.findings);
}

#[test]
fn impossible_and_stray_times_are_dropped_and_counted() {
    let mut m = made(2_000, 12);
    let (expected, _) = m.read();
    m.time.extend([0, T0 * 5, T0 * 2]);
    for v in [&mut m.temp, &mut m.power, &mut m.valve] {
        v.extend([1.0, 1.0, 1.0]);
    }
    m.reorder(&shuffled(2_003, 1));
    let (t, q) = m.read();
    assert!(same(&expected, &t));
    assert_eq!((count(&q, "bad-time"), count(&q, "stray-time")), (1, 3 * 2));
}

#[test]
fn constants_are_filled_and_derived_signals_left_alone() {
    let text = MADE.replace(
        "signals = [",
        "signals = [\n  { name = \"price\", role = \"disturbance\", value = 90 },\n  { name = \"cost\", role = \"derived\", expr = \"price\" },",
    );
    let dir = TempDir::new().unwrap();
    made(50, 1).save(&dir.path().join("log.parquet"));
    let (t, q) = read(dir.path(), &text).unwrap();
    assert!(t.columns[0].iter().all(|v| *v == 90.0) && t.columns[1].iter().all(|v| v.is_nan()));
    assert_eq!(q.signals.len(), 3);
}

#[test]
fn a_first_look_for_init() {
    let dir = TempDir::new().unwrap();
    let m = made(500, 1);
    let file = dir.path().join("log.parquet");
    save_long(&m, &file, |i, _| i % 10 == 0);
    let d = log::describe(&file).unwrap();
    let find = |n: &str| d.iter().find(|c| c.name == n).unwrap();
    assert_eq!(find("timestamp").step.unwrap().to_string(), "10min");
    assert_eq!(find("tag").examples, ["power", "temp", "unused", "valve"]);
    assert_eq!((find("quality").distinct, find("value").rows), (2, 2_000));
    let kinds: Vec<_> = log::columns(dir.path(), &spec(MADE).log).unwrap().iter().map(|c| c.kind).collect();
    assert_eq!(kinds, ["time", "text", "float", "text"]);
    m.save(&file);
    let d = log::describe(&file).unwrap();
    let valve = d.iter().find(|c| c.name == "valve").unwrap();
    assert!(valve.zero_moves > 0.95 && valve.distinct < 20 && valve.null_share == 0.0);
}
