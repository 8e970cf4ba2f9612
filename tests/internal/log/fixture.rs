//! A synthetic log and helper functions for tests of logs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use twinopt::config::TwinSpec;
use twinopt::error::Error;
use twinopt::log::{self, Quality};
use twinopt::rng::Key;
use twinopt::schema::{Bounds, MoveLimit, Schema, Signal, Switching};
use twinopt::trajectory::Trajectory;
use twinopt::units::Unit;

use super::table::{Column, floats, texts, times, write, write_as};

/// The folder with real and simulated logs, if it exists.
pub fn shared() -> Option<PathBuf> {
    let root = std::env::var_os("TWINOPT_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let data = root.join("data");
    if data.is_dir() {
        return Some(data);
    }
    println!("skipped: there are no real logs at {}", data.display());
    None
}

pub fn spec(text: &str) -> TwinSpec {
    toml::from_str(text).unwrap_or_else(|e| panic!("{e}"))
}

pub fn schema(spec: &TwinSpec) -> Arc<Schema> {
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

/// Reads the log in the folder `dir` that belongs to a twin file with the content `text`.
pub fn read(dir: &Path, text: &str) -> Result<(Trajectory, Quality), Error> {
    let spec = spec(text);
    log::read(dir, &spec, &schema(&spec))
}

/// The length of a minute and the time stamp of 2024-01-01, both in µs.
pub const MIN: i64 = 60_000_000;
pub const T0: i64 = 1_704_067_200_000_000;

/// The number of faults that belong to `class`.
pub fn count(q: &Quality, class: &str) -> usize {
    q.findings.iter().filter(|f| f.class.as_str() == class).map(|f| f.count).sum()
}

/// Whether all values of two trajectories are bitwise identical.
pub fn same(a: &Trajectory, b: &Trajectory) -> bool {
    let bits = |t: &Trajectory| t.columns.iter().flatten().map(|v| v.to_bits()).collect::<Vec<_>>();
    a.start == b.start && a.steps == b.steps && a.segments == b.segments && bits(a) == bits(b)
}

pub const SYNTHETIC_TWIN: &str = r#"
name = "synthetic"
step = "10min"
log = { files = "*.parquet", time = "timestamp" }
signals = [
  { name = "temp", role = "state", unit = "degC" },
  { name = "power", role = "output" },
  { name = "valve", role = "control", hard = [0, 100] },
]
"#;

/// A log of temperature, power and valve position, with one row every 10 min.
pub struct Synthetic {
    pub time: Vec<i64>,
    pub temp: Vec<f64>,
    pub power: Vec<f64>,
    pub valve: Vec<f64>,
}

/// The synthetic log with `n` rows.
pub fn synthetic(n: usize, seed: u64) -> Synthetic {
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
    Synthetic { time: (0..n as i64).map(|i| T0 + 10 * MIN * i).collect(), temp, power, valve }
}

impl Synthetic {
    pub fn columns(&self) -> Vec<Column> {
        vec![
            times("timestamp", &self.time),
            floats("temp", &self.temp),
            floats("power", &self.power),
            floats("valve", &self.valve),
        ]
    }

    pub fn save(&self, path: &Path) {
        write(path, self.columns());
    }

    pub fn read(&self) -> (Trajectory, Quality) {
        let dir = TempDir::new().unwrap();
        self.save(&dir.path().join("log.parquet"));
        read(dir.path(), SYNTHETIC_TWIN).unwrap()
    }

    pub fn reorder(&mut self, order: &[usize]) {
        self.time = order.iter().map(|&i| self.time[i]).collect();
        for v in [&mut self.temp, &mut self.power, &mut self.valve] {
            *v = order.iter().map(|&i| v[i]).collect();
        }
    }
}

/// A random permutation of `n` rows.
pub fn shuffled(n: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        order.swap(i, Key::new(seed).below(i as u64, i + 1));
    }
    order
}

pub const LONG: &str = "long = { tag = \"tag\", value = \"value\", quality = \"quality\" }";

/// Writes the log in long format, with one row of (time, tag, value, flag) per sample.
pub fn save_long(m: &Synthetic, path: &Path, bad: impl Fn(usize, usize) -> bool) {
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
    // Some row groups end between rows with equal time stamps.
    write_as(path, columns, |p| p.set_max_row_group_row_count(Some(1_001)));
}

pub fn data_error(dir: &Path, text: &str) -> String {
    let e = read(dir, text).unwrap_err();
    assert_eq!(e.exit_code(), 65, "{e}");
    e.to_string()
}
