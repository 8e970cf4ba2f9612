//! The log, from Parquet files to trajectory and quality: real logs, injected faults, and files that are not as they
//! should be.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use polars::prelude::{Column, DataFrame, DataType, IntoColumn, NamedFrom, ParquetWriter, Series, TimeUnit};
use tempfile::TempDir;
use twinopt::error::Error;
use twinopt::log::{self, Quality};
use twinopt::rng::Key;
use twinopt::schema::{Range, Schema, Signal};
use twinopt::spec::TwinSpec;
use twinopt::trajectory::Trajectory;
use twinopt::units::Unit;

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
        let range = |r: &Option<twinopt::spec::At<[f64; 2]>>| {
            r.as_ref().map_or(Range::OPEN, |r| Range { low: r.value[0], high: r.value[1] })
        };
        Signal {
            name: s.name.value.clone(),
            role: s.role.value,
            unit: s.unit.as_ref().map_or_else(Unit::one, |u| Unit::parse(u).unwrap()),
            hard: range(&s.hard),
            soft: range(&s.soft),
            max_move: f64::INFINITY,
            multiple: 0.0,
        }
    });
    Arc::new(Schema::new(signals.collect()))
}

fn read(dir: &Path, text: &str) -> Result<(Trajectory, Quality), Error> {
    let spec = spec(text);
    log::read(dir, &spec, &schema(&spec))
}

fn write(path: &Path, columns: Vec<Column>) {
    let height = columns.first().map_or(0, Column::len);
    let mut df = DataFrame::new(height, columns).unwrap();
    ParquetWriter::new(std::fs::File::create(path).unwrap()).finish(&mut df).unwrap();
}

/// A time column in UTC from µs.
fn times(name: &str, us: &[i64]) -> Column {
    Series::new(name.into(), us)
        .cast(&DataType::Datetime(TimeUnit::Microseconds, polars::prelude::TimeZone::opt_try_new(Some("UTC")).unwrap()))
        .unwrap()
        .into_column()
}

fn floats(name: &str, v: &[f64]) -> Column {
    Series::new(name.into(), v).into_column()
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
        let df = {
            use polars::prelude::{ParquetReader, SerReader};
            ParquetReader::new(std::fs::File::open(data.join(r.file)).unwrap()).finish().unwrap()
        };
        for (i, name) in t.schema.names().enumerate() {
            let column = df.column(name).unwrap().cast(&DataType::Float64).unwrap();
            let read: Vec<f64> = column.f64().unwrap().iter().flatten().collect();
            assert_eq!(read, t.columns[i], "{name}");
        }
        assert!(false_flags(&t, &q) <= 1.0, "{}: {:#?}", r.file, q.findings);
        let wrong: Vec<_> =
            q.findings.iter().filter(|f| !["episode", "constant"].contains(&f.class.as_str())).collect();
        assert!(wrong.is_empty(), "{}: {wrong:#?}", r.file);
        q.require_complete().unwrap();
        assert!(q.signals.iter().filter_map(|s| s.excitation.as_ref()).all(|e| e.learnable && e.spread > 0.0));
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
    fn save(&self, path: &Path) {
        write(
            path,
            vec![
                times("timestamp", &self.time),
                floats("temp", &self.temp),
                floats("power", &self.power),
                floats("valve", &self.valve),
            ],
        );
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
    const TRIALS: u64 = 20;
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
