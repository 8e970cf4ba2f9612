//! A project folder for one combination of plant, operation and noise (a cell), in which the binary `twinopt` runs as
//! it would for any user.

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, TimestampMillisecondArray};
use parquet::arrow::ArrowWriter;
use serde_json::Value;

use crate::cell::{Cell, Question};
use crate::history::{
    History, ORDER_COST, Operation, PRICE, SCENARIO_DAYS, STORAGE_COST, energy_cost, extra_name, operations,
};
use crate::plant::{ORDER_UP_TO, Plant, STEPS_PER_DAY, USUAL};

/// 2024-03-01T00:00:00Z.
const LOG_START_MS: i64 = 1_709_251_200_000;
/// Start of the scenario, 31 days after the start of the log.
const SCENARIO_START: &str = "2024-04-01T00:00:00Z";
const STEP_MS: i64 = 86_400_000 / STEPS_PER_DAY as i64;
/// Length of a scenario with MPC.
const MPC_DAYS: usize = 4;

/// The answer on the first page of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Do,
    Try,
    Dont,
    Unknown,
}

impl Answer {
    pub const ALL: [Self; 4] = [Self::Do, Self::Try, Self::Dont, Self::Unknown];

    /// Extracts the answer from the HTML of a report.
    fn of_report(html: &str) -> Result<Self, String> {
        let (_, rest) = html.split_once("<span class=\"answer ").ok_or("the report has no answer")?;
        let (_, rest) = rest.split_once('>').ok_or("the answer of the report is damaged")?;
        match rest.split('<').next() {
            Some("Do") => Ok(Self::Do),
            Some("Try") => Ok(Self::Try),
            Some("Don’t") => Ok(Self::Dont),
            Some("Unknown") => Ok(Self::Unknown),
            other => Err(format!("the report has an answer that is not known: {other:?}")),
        }
    }
}

/// The saving that `twinopt` promises for a case, and the true saving.
#[derive(Debug, Clone)]
pub struct Promise {
    /// The saving and its 90 % interval.
    pub saving: f64,
    pub low: f64,
    pub high: f64,
    pub answer: Answer,
    /// How well the effect of the control is identified, as in `results.json`.
    pub level: String,
    /// The model that `twinopt` selected: the given model, or `linear`, which is always fitted as well.
    pub model: String,
    pub truth: f64,
}

impl Promise {
    pub fn covers(&self) -> bool {
        self.low <= self.truth && self.truth <= self.high
    }

    /// Whether the interval excludes zero and lies on the same side of zero as the true saving.
    pub fn finds_the_sign(&self) -> bool {
        if self.truth > 0.0 { self.low > 0.0 } else { self.high < 0.0 }
    }
}

/// Makes the log of `cell`, fits `model` to it, runs the scenario and reads the results.
///
/// # Errors
/// An error if a file cannot be written or read, or if `twinopt` does not complete the scenario.
pub fn promise(binary: &Path, cell: &Cell, model: &str, seed: u64) -> Result<Promise, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let root = folder.path();
    let history = History::new(cell, seed);
    let write = |file: &str, text: String| -> Result<(), Box<dyn Error>> {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap_or(root))?;
        Ok(fs::write(path, text)?)
    };
    write("data/plant/twin.toml", twin(cell, model, seed))?;
    write("scenarios/plant/question.toml", scenario(cell, seed))?;
    write_log(&root.join("data/plant/log"), &history.columns)?;
    let output = Command::new(binary)
        .current_dir(root)
        .args(["run", "scenarios/plant", "-q", "--jobs", "1"])
        .stdin(Stdio::null())
        .output()?;
    let text = |file: &str| {
        let said = String::from_utf8_lossy(&output.stderr);
        fs::read_to_string(root.join("reports/plant").join(file))
            .map_err(|why| format!("{file}: {why}; twinopt ended with {}: {said}", output.status))
    };
    let results: Value = serde_json::from_str(&text("results.json")?)?;
    let answer = Answer::of_report(&text("index.html")?)?;
    read(cell, &history, &results, answer)
}

fn read(cell: &Cell, history: &History, results: &Value, answer: Answer) -> Result<Promise, Box<dyn Error>> {
    let scenario = &results["scenarios"][0];
    if scenario["exit_code"] != 0 {
        return Err(format!("the scenario failed: {}", scenario["error"]).into());
    }
    let case = &scenario["cases"][1];
    let change = &case["objective_change"];
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let of_control = |list: &Value, key: &str| -> Value {
        list.as_array().into_iter().flatten().find(|i| i[key] == "u").cloned().unwrap_or_default()
    };
    let truth = match cell.question {
        Question::Setpoint => history.true_saving(),
        // The power is linear in the control, so only the mean of the control matters.
        Question::Mpc => {
            let mean = number(&of_control(&case["controls"], "signal")["mean"]);
            -cell.effect * energy_cost((mean - USUAL) * (MPC_DAYS * STEPS_PER_DAY) as f64)
        }
    };
    let level = of_control(&results["model"]["identification"], "control")["level"].as_str().unwrap_or("").to_owned();
    let model = results["model"]["model"].as_str().unwrap_or("").to_owned();
    let promise = Promise {
        saving: -number(&change["mean"]),
        low: -number(&change["high"]),
        high: -number(&change["low"]),
        answer,
        level,
        model,
        truth,
    };
    if [promise.saving, promise.truth].iter().all(|v| v.is_finite()) {
        Ok(promise)
    } else {
        Err(format!("the scenario has no saving: {change}").into())
    }
}

fn write_log(folder: &Path, columns: &[(String, Vec<f64>)]) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let rows = columns.first().map_or(0, |c| c.1.len()) as i64;
    let times = TimestampMillisecondArray::from_iter_values((0..rows).map(|k| LOG_START_MS + k * STEP_MS));
    let times: ArrayRef = Arc::new(times.with_timezone("UTC"));
    let columns = columns
        .iter()
        .map(|(name, v)| -> (&str, ArrayRef) { (name, Arc::new(Float64Array::from_iter_values(v.iter().copied()))) });
    let batch = RecordBatch::try_from_iter([("time", times)].into_iter().chain(columns))?;
    let mut writer = ArrowWriter::try_new(File::create(folder.join("log.parquet"))?, batch.schema(), None)?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}

/// The contents of `twin.toml`.
fn twin(cell: &Cell, model: &str, seed: u64) -> String {
    let inventory = cell.plant == Plant::Inventory;
    let next = match cell.plant {
        Plant::KnownLevel => ", next = \"x + 0.1 * (inflow - u)\"",
        Plant::Inventory => ", next = \"x + order - demand\"",
        _ => "",
    };
    let limits = if cell.plant == Plant::OnOff { "hard = [0, 1], multiple = 1" } else { "hard = [10, 30]" };
    let mut signals = vec![
        format!("{{ name = \"x\", role = \"state\"{next} }}"),
        format!("{{ name = \"u\", role = \"control\", {limits} }}"),
        "{ name = \"outdoor\", role = \"disturbance\", forecast = { seasonal = \"1d\" } }".to_owned(),
    ];
    if cell.plant.has_level() {
        signals.push("{ name = \"inflow\", role = \"disturbance\" }".to_owned());
    }
    if inventory {
        signals.push("{ name = \"demand\", role = \"output\" }".to_owned());
        signals.push(format!("{{ name = \"order\", role = \"control\", hard = [0, {ORDER_UP_TO}] }}"));
    } else {
        signals.push("{ name = \"power\", role = \"output\", unit = \"W\" }".to_owned());
        signals.push(format!("{{ name = \"price\", role = \"disturbance\", unit = \"EUR/MWh\", value = {PRICE} }}"));
    }
    signals.extend((0..cell.extra).map(|i| format!("{{ name = \"{}\", role = \"disturbance\" }}", extra_name(i))));
    let (ignore, cost) = if inventory {
        ("ignore = [\"x\", \"order\"]", format!("sum = \"{ORDER_COST} * order + {STORAGE_COST} * x\""))
    } else {
        ("", "integral = \"power * price\"".to_owned())
    };
    format!(
        "name = \"plant\"\nstep = \"30min\"\nlog = {{ files = \"log/*.parquet\", time = \"time\" }}\n\
         signals = [\n  {},\n]\n[model]\nchoose = [\"{model}\"]\nlags = 2\nholdout = \"7d\"\nhorizon = \"4h\"\n\
         seed = {}\n{ignore}\n[kpi]\ncost = {{ {cost} }}\n[objective]\ncost = 1.0\n",
        signals.join(",\n  "),
        seed + 1,
    )
}

/// The contents of the scenario file.
fn scenario(cell: &Cell, seed: u64) -> String {
    let order = format!("order = \"{ORDER_UP_TO} - x\"");
    let controller = |operation: Operation| match operation {
        Operation::Hold(u) if cell.plant == Plant::Inventory => format!("rule = {{ u = \"{u}\", {order} }}"),
        Operation::Hold(u) => format!("hold = {{ u = {u:.1} }}"),
        Operation::Level(setpoint) => format!("rule = {{ u = \"{USUAL} + 0.5 * (x - {setpoint})\" }}"),
    };
    let (days, baseline, case) = match cell.question {
        Question::Setpoint => {
            let [baseline, case] = operations(cell.plant).map(controller);
            (SCENARIO_DAYS, baseline, case)
        }
        Question::Mpc => {
            let mpc = "mpc = { horizon = \"4h\", replan = \"2h\" }".to_owned();
            (MPC_DAYS, controller(Operation::Hold(USUAL)), mpc)
        }
    };
    format!(
        "question = \"What does the change save?\"\ntwin = \"plant\"\nstart = {SCENARIO_START}\nlength = \"{days}d\"\n\
         particles = 20\nseed = {}\n[case.baseline]\ncontroller.{baseline}\n[case.change]\ncontroller.{case}\n",
        seed + 1
    )
}

/// The binary that the environment variable `TWINOPT` names, or else `twinopt` in the folder above this program.
pub fn binary() -> PathBuf {
    let built = || Some(std::env::current_exe().ok()?.parent()?.parent()?.join("twinopt"));
    std::env::var_os("TWINOPT").map(PathBuf::from).or_else(built).unwrap_or_else(|| "twinopt".into())
}
