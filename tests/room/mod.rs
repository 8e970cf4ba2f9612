//! A small test project in a temporary folder: a heated room with a log, a twin and three scenarios. Tests run the
//! compiled binary in this project.
#![allow(dead_code, reason = "each test crate uses only some functions of this module")]

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, Float64Array, RecordBatch, TimestampMillisecondArray};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

pub const ROWS: usize = 1_500;
/// 2024-01-01T00:00:00Z.
pub const START_MS: i64 = 1_704_067_200_000;
pub const HOUR_MS: i64 = 3_600_000;

const TWIN: &str = r#"
name    = "room"
step    = "1h"
log     = { files = "log/*.parquet", time = "timestamp", max_gap = "3h" }
signals = [
  { name = "room_temp",    role = "state",       unit = "degC", column = "room_temp_c", soft = [19, 23], effects = { heat = "+" } },
  { name = "power",        role = "output",      unit = "kW",   column = "power_kw" },
  { name = "heat",         role = "control",     unit = "kW",   column = "heater_kw", hard = [0, 8], max_move = 1.0 },
  { name = "outdoor_temp", role = "disturbance", unit = "degC", column = "outdoor_temp_c", forecast = { seasonal = "1d" } },
  { name = "price",        role = "disturbance", unit = "EUR/MWh", value = 90 },
]
economics = { currency = "EUR", benefit = ["energy_cost"], discount_rate = 0.08, lifetime = "10y", price_base = 2024, basis = "real", escalation = 0.0, persistence = 1.0 }
[model]
choose  = ["linear"]
lags    = 2
holdout = "14d"
horizon = "6h"
[kpi]
energy_cost = { integral = "power * price" }
discomfort  = { exceedance = "room_temp" }
moves       = { moves = "heat" }
[objective]
energy_cost = 1.0
discomfort  = 5.0
[retrain]
window  = "35d"
blocks  = "14d"
"#;

const WINTER: &str = r#"
question      = "What does a steady heater save in an ordinary week?"
twin          = "room"
start         = 2024-02-20T00:00:00Z
length        = "3d"
days_per_year = 200
particles     = 8
[case.baseline]
controller.replay = {}
[case.steady]
controller.hold = { heat = 3.0 }
[case.pid]
controller.pid  = [{ control = "heat", measurement = "room_temp", setpoint = 21.0, kp = 0.4, ti = "6h" }]
capex           = 900
opex_per_year   = 10
"#;

const COLD: &str = r#"
question      = "Does the room stay warm when it is 5 K colder?"
twin          = "room"
start         = 2024-02-22T00:00:00Z
length        = "2d"
days_per_year = 100
particles     = 8
[disturbance]
outdoor_temp  = { add = -5.0 }
[case.baseline]
controller.hold = { heat = 3.4 }
[case.pid]
controller.pid  = [{ control = "heat", measurement = "room_temp", setpoint = 21.0, kp = 0.4, ti = "6h" }]
"#;

const PLANNED: &str = r#"
question      = "What does planning ahead save?"
twin          = "room"
start         = 2024-02-24T00:00:00Z
length        = "1d"
days_per_year = 65
particles     = 3
[case.baseline]
controller.replay = {}
[case.mpc]
controller.mpc  = { horizon = "6h", replan = "1h", particles = 2, planner.icem = { population = 16, iterations = 2 } }
"#;

/// A random number generator that gives the same numbers on every machine.
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A random number uniformly distributed in [0, 1).
    pub fn even(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// An approximately normal random number with mean 0 and standard deviation 1.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.even()).sum::<f64>() - 6.0
    }
}

/// The columns of a log, each with its name.
pub type Columns = Vec<(&'static str, Vec<f64>)>;

/// The log of a heated room. Per hour, the difference from the outdoor temperature decays by 8 %, and 1 kW of
/// heating warms the room by 0.35 K. In row `changed` and all later rows, 1 kW warms the room by `later` K.
pub fn log(rows: usize, changed: usize, later: f64) -> Columns {
    let mut noise = Noise::new(7);
    let (mut temp, mut heat, mut drift) = (20.0, 3.0, 0.0);
    let mut columns: [Vec<f64>; 4] = Default::default();
    for k in 0..rows {
        if k % 4 == 0 {
            heat = (heat + 2.0 * noise.even() - 1.0 + 0.1 * (3.4 - heat)).clamp(1.0, 7.0);
        }
        drift = 0.97 * drift + 0.3 * noise.normal();
        let outdoor = 5.0 + 4.0 * (k as f64 * std::f64::consts::TAU / 24.0).sin() + drift;
        columns[0].push(temp);
        columns[1].push(0.3 + 1.1 * heat + 0.02 * noise.normal());
        columns[2].push(heat);
        columns[3].push(outdoor);
        let gain = if k < changed { 0.35 } else { later };
        temp += 0.08 * (outdoor - temp) + gain * heat + 0.05 * noise.normal();
    }
    ["room_temp_c", "power_kw", "heater_kw", "outdoor_temp_c"].into_iter().zip(columns).collect()
}

/// The log of a room whose temperature and power are white noise.
pub fn white_noise() -> Columns {
    let mut noise = Noise::new(3);
    let mut columns = log(ROWS, ROWS, 0.35);
    for (_, column) in &mut columns[..2] {
        column.iter_mut().for_each(|v| *v = 20.0 + noise.normal());
    }
    columns
}

pub fn write_log(file: &Path, columns: &Columns) {
    write_log_from(file, columns, START_MS);
}

/// Writes a log whose newest row is at the present hour.
pub fn write_recent_log(file: &Path, columns: &Columns) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    write_log_from(file, columns, (now / HOUR_MS - columns[0].1.len() as i64 + 1) * HOUR_MS);
}

/// Writes a log with the given columns.
pub fn write_columns<N: AsRef<str>>(file: &Path, columns: &[(N, ArrayRef)]) {
    let named = columns.iter().map(|(name, values)| (name.as_ref(), values.clone()));
    let batch = RecordBatch::try_from_iter(named).unwrap();
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(file).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Writes a log with one row per hour, starting at the time `start_ms`.
pub fn write_log_from(file: &Path, columns: &Columns, start_ms: i64) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let rows = columns[0].1.len() as i64;
    let times = TimestampMillisecondArray::from_iter_values((0..rows).map(|k| start_ms + k * HOUR_MS));
    let times: ArrayRef = Arc::new(times.with_timezone("UTC"));
    // NaN marks a missing sample
    let column = |v: &Vec<f64>| -> ArrayRef {
        Arc::new(v.iter().map(|v| v.is_finite().then_some(*v)).collect::<Float64Array>())
    };
    let columns = columns.iter().map(|(name, v)| (*name, column(v)));
    let batch = RecordBatch::try_from_iter([("timestamp", times)].into_iter().chain(columns)).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(file).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// A project in a temporary folder that is deleted when this value is dropped.
pub struct Room {
    _dir: tempfile::TempDir,
    pub root: PathBuf,
}

impl Room {
    /// A project with a log of [`ROWS`] hours but no model.
    pub fn new() -> Self {
        Self::with(&log(ROWS, ROWS, 0.35))
    }

    pub fn with(columns: &Columns) -> Self {
        Self::at("room project", columns)
    }

    /// A project in a folder called `name`.
    pub fn at(name: &str, columns: &Columns) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let room = Self { root: dir.path().join(name), _dir: dir };
        room.write("data/room/twin.toml", TWIN);
        for (name, text) in [("winter", WINTER), ("cold", COLD), ("planned", PLANNED)] {
            room.write(&format!("scenarios/room/{name}.toml"), text);
        }
        write_log(&room.log_file(), columns);
        room
    }

    /// A project with a fitted model.
    pub fn fitted() -> Self {
        let room = Self::new();
        room.run(&["fit", "data/room", "--quiet"]).expect(0);
        room
    }

    pub fn log_file(&self) -> PathBuf {
        self.root.join("data/room/log/room.parquet")
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.root.join(file)
    }

    pub fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.path(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
    }

    pub fn text(&self, file: &str) -> String {
        String::from_utf8(self.read(file)).unwrap()
    }

    pub fn json(&self, file: &str) -> Value {
        serde_json::from_slice(&self.read(file)).unwrap()
    }

    /// The median of `signal` over all particles at every step of a case.
    pub fn simulated(&self, scenario: &str, case: &str, signal: &str) -> Vec<f64> {
        let file = File::open(self.path("reports/room/runs.parquet")).unwrap();
        let mut values = Vec::new();
        for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            let text = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>();
            let (scenarios, cases, signals) = (text("scenario"), text("case"), text("signal"));
            let p50 = batch.column_by_name("p50").unwrap().as_primitive::<Float64Type>();
            for row in 0..batch.num_rows() {
                if (scenarios.value(row), cases.value(row), signals.value(row)) == (scenario, case, signal) {
                    values.push(p50.value(row));
                }
            }
        }
        values
    }

    /// Replaces the first occurrence of `find` in a file with `write`.
    pub fn edit(&self, file: &str, find: &str, write: &str) {
        let text = self.text(file);
        assert!(text.contains(find), "{file} does not contain `{find}`");
        self.write(file, &text.replacen(find, write, 1));
    }

    /// A command that runs the binary in the project folder.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_twinopt"));
        command.current_dir(&self.root).args(args).stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ended {
        Ended::of(&mut self.command(args))
    }

    /// Contents of the files in the report folder, by file name. Hidden files are not included.
    pub fn outputs(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = std::fs::read_dir(self.path("reports/room")).unwrap().flatten();
        let files = entries.filter(|e| e.path().is_file() && !e.file_name().to_string_lossy().starts_with('.'));
        files.map(|e| (e.file_name().to_string_lossy().into_owned(), std::fs::read(e.path()).unwrap())).collect()
    }

    /// Contents of all files of the project, by path.
    pub fn everything(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut all = BTreeMap::new();
        let mut open = vec![self.root.clone()];
        while let Some(dir) = open.pop() {
            for path in std::fs::read_dir(dir).unwrap().flatten().map(|e| e.path()) {
                if path.is_dir() {
                    all.insert(path.clone(), Vec::new());
                    open.push(path);
                } else {
                    let bytes = std::fs::read(&path).unwrap();
                    all.insert(path, bytes);
                }
            }
        }
        all
    }
}

/// Exit code and output of the binary.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn of(command: &mut Command) -> Self {
        Self::from(command.output().unwrap())
    }

    /// Checks that the exit code is `code` and that the binary did not panic.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        assert!(!self.stderr.contains("panicked") && !self.stderr.contains("internal error"), "{}", self.stderr);
        self
    }

    /// Checks that the standard output contains `words`.
    pub fn prints(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stdout.contains(word), "`{word}` is not in the standard output: {}", self.stdout);
        }
        self
    }

    /// Checks that standard error contains all of `words`.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is not in the output: {}", self.stderr);
        }
        self
    }

    /// Parses standard output as one JSON document and checks its schema version.
    #[track_caller]
    pub fn document(&self) -> Value {
        let document: Value =
            serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}\n{}", self.stdout, self.stderr));
        assert_eq!(document["schema_version"], 2, "{document:#}");
        document
    }
}

impl From<Output> for Ended {
    fn from(out: Output) -> Self {
        Self {
            // if a signal ended the process, the code is 128 plus the number of the signal, as in a shell
            code: out.status.code().or_else(|| Some(128 + out.status.signal()?)),
            stdout: String::from_utf8(out.stdout).unwrap(),
            stderr: String::from_utf8(out.stderr).unwrap(),
        }
    }
}
