//! Tests of `twinopt control` and `twinopt advise`, in which the compiled binary controls a plant simulated by the
//! test.

mod room;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use room::{Ended, Noise, Room};
use serde_json::{Value, json};
use twinopt::check_twin;
use twinopt::results::ControlEffect;
use twinopt::{
    Answer, FallbackLevel, Registry, Reply, Session, SessionSettings as Settings, advise, registry_plant as plant,
    registry_publish,
};

const MPC: &str = r#"
[mpc]
horizon   = "6h"
moves     = 3
particles = 1
planner.icem = { population = 8, iterations = 2 }
"#;

/// A project with a fitted room model. `more` contains additional lines for the `[mpc]` table in the file `twin.toml`.
fn room(more: &str) -> Room {
    let room = Room::fitted();
    let text = room.text("data/room/twin.toml");
    room.write("data/room/twin.toml", &(text + MPC + more));
    room
}

fn describe(dt: f64) -> Value {
    json!({ "describe": {
        "plant": "room", "dt_seconds": dt, "states": ["room_temp_c"], "disturbances": ["outdoor_temp_c"],
        "setpoints": [], "controls": { "heater_kw": [0.0, 8.0] }, "kpis": ["power_kw", "reward"],
    }})
}

/// A running process of `twinopt control`.
struct Loop {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Loop {
    fn start(room: &Room, more: &[&str]) -> Self {
        let mut command = room.command(&[&["control", "data/room"], more].concat());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    fn send(&mut self, line: &[u8]) {
        let input = self.input.as_mut().unwrap();
        input.write_all(line).unwrap();
        input.write_all(b"\n").unwrap();
        input.flush().unwrap();
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: `{line}`"))
    }

    fn ask(&mut self, line: &Value) -> Value {
        self.send(line.to_string().as_bytes());
        self.answer()
    }

    fn end(mut self) -> Ended {
        drop(self.input.take());
        Ended::from(self.child.wait_with_output().unwrap())
    }
}

/// A simulation of the room controlled by `twinopt control`.
struct Plant {
    temp: f64,
    outdoor: f64,
    heat: f64,
    k: u64,
    noise: Noise,
}

impl Plant {
    fn new() -> Self {
        Self { temp: 20.0, outdoor: 5.0, heat: 3.0, k: 0, noise: Noise::new(11) }
    }

    fn line(&self) -> Value {
        let mut line = json!({
            "k": self.k,
            "obs": { "room_temp_c": self.temp, "outdoor_temp_c": self.outdoor },
            "baseline": { "heater_kw": 3.0 },
        });
        if self.k > 0 {
            line["kpi"] = json!({ "power_kw": 0.3 + 1.1 * self.heat, "reward": 1.0 });
            line["applied"] = json!({ "heater_kw": self.heat });
        }
        line
    }

    fn step(&mut self, answer: &Value) {
        self.heat = answer["u"]["heater_kw"].as_f64().unwrap();
        self.temp += 0.08 * (self.outdoor - self.temp) + 0.35 * self.heat + 0.05 * self.noise.normal();
        self.outdoor = 5.0 + 4.0 * (self.k as f64 * std::f64::consts::TAU / 24.0).sin();
        self.k += 1;
    }
}

fn decided_by(answer: &Value) -> &str {
    answer["decided_by"].as_str().unwrap()
}

fn flags(answer: &Value) -> Vec<&str> {
    answer["flags"].as_array().map_or_else(Vec::new, |list| list.iter().map(|f| f.as_str().unwrap()).collect())
}

/// A damaged copy of `line`. `kind` selects one of 20 kinds of damage.
fn malformed(line: &Value, kind: usize) -> Vec<u8> {
    let mut bad = line.clone();
    let text = line.to_string();
    match kind {
        0 => return Vec::new(),
        1 => return text.as_bytes()[..text.len() / 2].to_vec(),
        2 => return [b"{\"k\":1,\"obs\":{\"\xff\xfe\":", text.as_bytes()].concat(),
        3 => return "[".repeat(5_000).into_bytes(),
        4 => return b"null".to_vec(),
        5 => return text.replace("\"room_temp_c\":", "\"room_temp_c\":NaN,\"x\":").into_bytes(),
        6 => bad["obs"]["room_temp_c"] = Value::Null,
        7 => bad["obs"]["room_temp_c"] = json!("warm"),
        8 => bad["obs"]["room_temp_c"] = json!(1e308),
        9 => bad["obs"] = json!({}),
        10 => drop(bad.as_object_mut().unwrap().remove("obs")),
        11 => drop(bad.as_object_mut().unwrap().remove("k")),
        12 => bad["k"] = json!(0),
        13 => bad["k"] = json!(9_000_000_000_000_u64),
        14 => bad["k"] = json!("seven"),
        15 => bad["obs"]["strange"] = json!(1.0),
        16 => bad["baseline"] = json!({ "heater_kw": -1e300 }),
        17 => bad["kpi"] = json!([1, 2, 3]),
        18 => bad["obs"]["outdoor_temp_c"] = json!({ "deep": [1] }),
        _ => bad["time"] = json!("yesterday"),
    }
    bad.to_string().into_bytes()
}

#[test]
fn every_line_is_answered_even_if_a_fifth_are_malformed() {
    let room = room("");
    let mut lines = Loop::start(&room, &["--quiet", "--json"]);
    lines.send(describe(3600.0).to_string().as_bytes());
    let (mut plant, mut chance, mut kinds) = (Plant::new(), Noise::new(5), BTreeMap::<usize, usize>::new());
    let mut last: Option<f64> = None;
    let mut planned = 0;
    for _ in 0..10_000 {
        let line = plant.line();
        if chance.even() < 0.2 {
            let kind = (20.0 * chance.even()) as usize;
            *kinds.entry(kind).or_default() += 1;
            lines.send(&malformed(&line, kind));
        } else {
            lines.send(line.to_string().as_bytes());
        }
        let answer = lines.answer();
        let heat = answer["u"]["heater_kw"].as_f64().unwrap();
        assert!((0.0..=8.0).contains(&heat), "{answer}");
        assert!(last.is_none_or(|l| (l - heat).abs() <= 1.0 + 1e-9), "{last:?} {answer}");
        last = Some(heat);
        planned += usize::from(decided_by(&answer) == "plan");
        plant.step(&answer);
    }
    assert_eq!(kinds.len(), 20, "some kinds did not occur: {kinds:?}");
    assert!(planned > 8_000, "{planned} plans");
    assert!((15.0..25.0).contains(&plant.temp), "{}", plant.temp);
    lines.send(br#"{"end":"steps"}"#);
    let ended = lines.end().expect(0);
    let summary: Value = serde_json::from_str(&ended.stderr).unwrap_or_else(|e| panic!("{e}: {}", ended.stderr));
    assert_eq!(summary["lines"], 10_000);
    for kind in ["json", "utf8", "blank", "no_k", "old_k", "no_obs", "time", "missing", "type", "absurd"] {
        assert!(summary["flags"][kind].as_u64() > Some(0), "{kind}: {summary:#}");
    }
    assert_eq!(summary["kpi_means"]["reward"], 1.0);
    assert_eq!(ended.stdout, "", "there must be no output after the last answer");
}

#[test]
fn equal_input_gives_equal_answers() {
    let room = room("");
    let (mut plant, mut chance) = (Plant::new(), Noise::new(9));
    let mut sent: Vec<Vec<u8>> = Vec::new();
    let mut run = |sent: &mut Vec<Vec<u8>>, jobs: &str| -> Vec<Value> {
        let mut lines = Loop::start(&room, &["--quiet", "--jobs", jobs]);
        lines.send(describe(3600.0).to_string().as_bytes());
        let record = sent.is_empty();
        let mut answers = Vec::new();
        for i in 0..60 {
            if record {
                let line = plant.line();
                let bad = chance.even() < 0.2;
                sent.push(if bad {
                    malformed(&line, (20.0 * chance.even()) as usize)
                } else {
                    line.to_string().into()
                });
            }
            lines.send(&sent[i]);
            let mut answer = lines.answer();
            if record {
                plant.step(&answer);
            }
            answer.as_object_mut().unwrap().remove("ms");
            answers.push(answer);
        }
        lines.end().expect(0);
        answers
    };
    let first = run(&mut sent, "1");
    assert!(first.iter().any(|a| decided_by(a) == "plan"));
    assert_eq!(first, run(&mut sent, "2"));
}

#[test]
fn shadow_mode_answers_with_the_plants_own_controls_and_its_log_can_be_fitted() {
    let room = room("");
    let loop_log = room.path("data/room/log/shadow.parquet");
    let mut lines = Loop::start(&room, &["--shadow", "--log", loop_log.to_str().unwrap()]);
    lines.send(describe(3600.0).to_string().as_bytes());
    let mut plant = Plant::new();
    for k in 0..40 {
        let mut line = plant.line();
        let own = 3.0 + 0.1 * f64::from(k % 5);
        line["baseline"] = json!({ "heater_kw": own });
        let answer = lines.ask(&line);
        assert_eq!((decided_by(&answer), answer["u"]["heater_kw"].as_f64()), ("shadow", Some(own)));
        plant.step(&answer);
    }
    let ended = lines.end().expect(0).says(&["40 lines answered", "decided by: shadow 40", "mean reward: 1"]);
    assert!(ended.stderr.contains("ms per answer"), "{}", ended.stderr);

    let quality = room.run(&["inspect", "data/room", "--json", "--quiet"]).expect(0).document();
    assert_eq!(quality["grid_steps"], room::ROWS + 40, "the log must contain the new rows");
    let file = std::fs::File::open(&loop_log).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let names: Vec<String> = reader.schema().fields().iter().map(|f| f.name().clone()).collect();
    let expected = [
        "timestamp",
        "room_temp_c",
        "power_kw",
        "heater_kw",
        "outdoor_temp_c",
        "reward",
        "predicted_room_temp_c",
        "planned_heater_kw",
        "decided_by",
        "support",
    ];
    assert_eq!(names, expected);
    let batch = reader.build().unwrap().next().unwrap().unwrap();
    let known = |name: &str| batch.num_rows() - batch.column_by_name(name).unwrap().null_count();
    // the first step has no plan because the loop is settling, and the KPIs of the last step were never sent
    assert_eq!([known("planned_heater_kw"), known("power_kw"), known("heater_kw")], [39, 39, 40]);
}

#[test]
fn a_control_with_max_move_is_not_moved_before_its_value_is_known() {
    let room = room("settle = 0\n");
    for sent in [false, true] {
        let mut lines = Loop::start(&room, &[]);
        lines.send(describe(3600.0).to_string().as_bytes());
        let mut line = json!({ "k": 0, "obs": { "room_temp_c": 20.0, "outdoor_temp_c": 5.0 } });
        if sent {
            line["applied"] = json!({ "heater_kw": 4.0 });
        }
        let first = lines.ask(&line);
        assert_eq!(decided_by(&first), if sent { "plan" } else { "settle" });
        line["k"] = json!(1);
        assert_eq!(decided_by(&lines.ask(&line)), "plan");
        lines.end().expect(0);
    }
}

/// The heat changes by at most 1 kW per step, also if a total forbids it.
#[test]
fn a_limit_on_a_total_does_not_break_the_move_limit() {
    let room = room("settle = 2\nwithin_log = false\ntotals = [{ control = 'heat', at_most = 0 }]\n");
    let mut lines = Loop::start(&room, &["--allow-extrapolation"]);
    lines.send(describe(3600.0).to_string().as_bytes());
    let mut plant = Plant::new();
    let mut heat = Vec::new();
    for _ in 0..7 {
        let answer = lines.ask(&plant.line());
        plant.step(&answer);
        heat.push(plant.heat);
    }
    lines.end().expect(0);
    assert_eq!(heat, [3.0, 3.0, 2.0, 1.0, 0.0, 0.0, 0.0]);
}

#[test]
fn fallback_levels_follow_in_order_and_planning_resumes() {
    let room = room("settle = 4\nsafe.hold = { heat = 2.0 }\n");
    let mut lines = Loop::start(&room, &[]);
    lines.send(describe(3600.0).to_string().as_bytes());
    let mut plant = Plant::new();
    let mut levels: Vec<String> = Vec::new();
    for k in 0..40 {
        let mut line = plant.line();
        line.as_object_mut().unwrap().remove("baseline");
        if (10..30).contains(&k) {
            line["obs"]["room_temp_c"] = Value::Null;
        }
        let answer = lines.ask(&line);
        assert_eq!(flags(&answer).contains(&"missing:room_temp_c"), (10..30).contains(&k), "{answer}");
        levels.push(decided_by(&answer).to_owned());
        plant.step(&answer);
    }
    lines.end().expect(0);
    let runs: Vec<(&str, usize)> = levels.chunk_by(|a, b| a == b).map(|run| (run[0].as_str(), run.len())).collect();
    // a missing state is replaced by predictions for 6 steps (the horizon), after which the last plan is used for its
    // remaining 5 steps
    assert_eq!(runs, [("settle", 4), ("plan", 12), ("last_plan", 5), ("safe", 9), ("plan", 10)]);
}

#[test]
fn plans_stay_plausible_after_missing_states_and_implausible_applied_controls() {
    let room = room("settle = 1\n");
    let mut lines = Loop::start(&room, &[]);
    lines.send(describe(3600.0).to_string().as_bytes());
    let mut plant = Plant::new();
    for k in 0..40 {
        let mut line = plant.line();
        if (10..16).contains(&k) {
            line["obs"] = json!({});
        }
        if k == 25 {
            line["applied"] = json!({ "heater_kw": 500.0 });
        }
        let answer = lines.ask(&line);
        assert_eq!(flags(&answer).iter().any(|f| f.starts_with("applied")), k == 25, "{answer}");
        let predicted = answer["predicted"]["room_temp_c"].as_f64().unwrap_or(20.0);
        assert!((0.0..45.0).contains(&predicted), "line {k}: {answer}");
        let before = plant.heat;
        plant.step(&answer);
        assert!(k == 0 || (plant.heat - before).abs() <= 1.0 + 1e-9, "line {k}: {before} kW, then {answer}");
    }
    let ended = lines.end();
    assert!(!ended.stderr.contains("does not list"), "{}", ended.stderr);
    ended.expect(0);
}

#[test]
fn without_a_safe_policy_and_a_baseline_the_controls_are_held() {
    let room = room("settle = 1\n");
    let mut lines = Loop::start(&room, &[]);
    lines.send(describe(3600.0).to_string().as_bytes());
    let line = |k: u64, temp: f64| json!({ "k": k, "obs": { "room_temp_c": temp, "outdoor_temp_c": 5.0 }, "applied": { "heater_kw": 4.0 } });
    assert_eq!(decided_by(&lines.ask(&line(0, 21.0))), "settle");
    assert_eq!(decided_by(&lines.ask(&line(1, 21.0))), "plan");
    // 45 °C is far outside the range of the log
    let answer = lines.ask(&line(2, 45.0));
    assert_eq!(
        (decided_by(&answer), answer["support"].as_str(), answer["u"]["heater_kw"].as_f64()),
        ("hold", Some("outside"), Some(4.0))
    );
    lines.end().expect(0);
    let mut lines = Loop::start(&room, &["--allow-extrapolation"]);
    for k in 0..2 {
        lines.ask(&line(k, 21.0));
    }
    let answer = lines.ask(&line(2, 45.0));
    assert_eq!((decided_by(&answer), answer["support"].as_str()), ("plan", Some("outside")));
    lines.end().expect(0).says(&["has not sent a description"]);
}

#[test]
fn a_plant_with_a_shorter_step_gets_one_plan_per_step_of_the_twin() {
    let room = room("settle = 2\n");
    let mut lines = Loop::start(&room, &[]);
    lines.send(describe(1200.0).to_string().as_bytes());
    let (mut last, mut temp) = (f64::NAN, 20.0);
    for k in 0..30 {
        let answer = lines.ask(&json!({ "k": k, "obs": { "room_temp_c": temp, "outdoor_temp_c": 5.0 } }));
        let heat = answer["u"]["heater_kw"].as_f64().unwrap();
        assert_eq!(decided_by(&answer), if k < 6 { "settle" } else { "plan" }, "{k}");
        assert!(k % 3 == 0 || heat == last, "line {k}: the control must not change between two steps of the twin");
        last = heat;
        // one step of the plant lasts a third of an hour
        temp += (0.08 * (5.0 - temp) + 0.35 * heat) / 3.0;
    }
    lines.end().expect(0);
    let mut lines = Loop::start(&room, &[]);
    lines.send(describe(700.0).to_string().as_bytes());
    lines.end().expect(65).says(&["700 s does not divide the twin's step of 1h"]);
}

#[test]
fn an_invalid_description_does_not_stop_a_running_loop() {
    let room = room("settle = 1\n");
    let mut lines = Loop::start(&room, &[]);
    lines.send(describe(3600.0).to_string().as_bytes());
    let mut plant = Plant::new();
    for k in 0..8 {
        if k == 4 || k == 6 {
            lines.send(describe(700.0).to_string().as_bytes());
        }
        let answer = lines.ask(&plant.line());
        assert_eq!(flags(&answer), if k == 4 || k == 6 { vec!["describe"] } else { vec![] }, "{k}");
        assert_eq!(decided_by(&answer), if k == 0 { "settle" } else { "plan" }, "line {k}: the run must continue");
        plant.step(&answer);
    }
    let ended = lines.end().expect(0);
    assert_eq!(ended.stderr.matches("700 s does not divide").count(), 1, "{}", ended.stderr);
}

#[test]
fn a_plant_that_restarts_without_notice_is_a_new_run() {
    let room = room("settle = 1\n");
    let mut lines = Loop::start(&room, &[]);
    lines.send(describe(3600.0).to_string().as_bytes());
    let mut sent = Vec::new();
    for _ in 0..2 {
        let mut plant = Plant::new();
        for _ in 0..5 {
            let answer = lines.ask(&plant.line());
            sent.push((decided_by(&answer).to_owned(), flags(&answer).contains(&"restart")));
            plant.step(&answer);
        }
    }
    lines.end().expect(0);
    let expected =
        |again: bool| [("settle".to_owned(), again)].into_iter().chain((0..4).map(|_| ("plan".to_owned(), false)));
    assert_eq!(sent, expected(false).chain(expected(true)).collect::<Vec<_>>());
}

#[test]
fn malformed_lines_do_not_count_as_settling_steps() {
    let room = room("settle = 3\n");
    let mut lines = Loop::start(&room, &[]);
    lines.send(describe(3600.0).to_string().as_bytes());
    let mut plant = Plant::new();
    let mut levels = Vec::new();
    for k in 0..10 {
        let line = plant.line().to_string();
        lines.send(if (1..6).contains(&k) { b"{broken" } else { line.as_bytes() });
        let answer = lines.answer();
        levels.push(decided_by(&answer).to_owned());
        plant.step(&answer);
    }
    lines.end().expect(0);
    // the first plan requires three preceding valid lines: 0, 6 and 7
    assert_eq!(levels.iter().position(|r| r == "plan"), Some(8), "{levels:?}");
}

#[test]
fn errors_before_the_loop_starts_have_help() {
    let bare = Room::new();
    bare.run(&["control", "data/room"]).expect(66).says(&["no model yet", "twinopt fit data/room"]);
    bare.run(&["advise", "data/room"]).expect(66).says(&["twinopt fit data/room"]);
    let text = bare.text("data/room/twin.toml");
    bare.write("data/room/twin.toml", &(text + MPC + "safe.hold = { heet = 2.0 }\n"));
    bare.run(&["check", "data/room"]).expect(78).says(&["heet", "did you mean `heat`?"]);
}

#[test]
fn an_interrupt_leaves_a_complete_log() {
    let room = room("");
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let loop_log = room.path(&format!("loop{signal}.parquet"));
        let mut lines = Loop::start(&room, &["--log", loop_log.to_str().unwrap()]);
        let mut plant = Plant::new();
        for _ in 0..5 {
            let answer = lines.ask(&plant.line());
            plant.step(&answer);
        }
        let id = lines.child.id().to_string();
        assert!(std::process::Command::new("kill").args([signal, &id]).status().unwrap().success());
        let ended = Ended::from(lines.child.wait_with_output().unwrap()).expect(code);
        assert!(ended.stderr.contains("interrupted; the log of the loop is complete"), "{}", ended.stderr);
        let file = std::fs::File::open(&loop_log).unwrap();
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        assert_eq!(reader.metadata().file_metadata().num_rows(), 5);
    }
}

#[test]
fn shadow_mode_never_limits_the_plants_own_controller() {
    let room = room("");
    // 12 kW is above the hard limit of 8 kW, a move from 3 to 12 kW exceeds `max_move`, and -1 kW is outside `valid`.
    room.edit("data/room/twin.toml", "hard = [0, 8]", "valid = [0, 20], hard = [0, 8]");
    room.run(&["fit", "data/room", "--quiet"]).expect(0);
    let mut lines = Loop::start(&room, &["--shadow"]);
    lines.send(describe(3600.0).to_string().as_bytes());
    let mut plant = Plant::new();
    for own in [3.0, 12.0, 0.0, -1.0, 8.5, 3.0, 12.0] {
        let mut line = plant.line();
        line["baseline"] = json!({ "heater_kw": own });
        let answer = lines.ask(&line);
        assert_eq!((decided_by(&answer), answer["u"]["heater_kw"].as_f64()), ("shadow", Some(own)), "{answer}");
        plant.step(&answer);
    }
    // If the line contains no value of the plant's own controller, the control keeps its current value.
    let mut line = plant.line();
    line.as_object_mut().unwrap().remove("baseline");
    assert_eq!(lines.ask(&line)["u"]["heater_kw"].as_f64(), Some(12.0));
    lines.end().expect(0);
}

#[test]
fn violated_soft_limits_are_named_in_the_summary() {
    // The soft limits of the room are 19 and 23 degC, and those of the derived temperature difference 0 and 16 K.
    let room = room("");
    room.edit(
        "data/room/twin.toml",
        "  { name = \"price\"",
        "  { name = \"difference\", role = \"derived\", unit = \"K\", expr = \"room_temp - outdoor_temp\", soft = [0, 16] },\n  { name = \"price\"",
    );
    room.run(&["fit", "data/room", "--quiet"]).expect(0);
    let temps = [20.0, 23.5, 25.0, 18.0, 21.0, 21.0];
    let run = |more: &[&str]| {
        let mut lines = Loop::start(&room, more);
        lines.send(describe(3600.0).to_string().as_bytes());
        for (k, temp) in temps.iter().enumerate() {
            let line = json!({ "k": k, "obs": { "room_temp_c": temp, "outdoor_temp_c": 5.0 }, "baseline": { "heater_kw": 3.0 } });
            lines.ask(&line);
        }
        lines.end().expect(0)
    };
    let text = run(&[]).stderr;
    assert!(
        text.contains("soft limit violated: room_temp was outside [19, 23] for 3 of 6 values, by at most 2.0000 K"),
        "{text}"
    );
    // In the first five steps, the temperature differences are 15, 18.5, 20, 13 and 16 K. The last step is not
    // complete.
    assert!(text.contains("difference was outside [0, 16] for 2 of 5 values, by at most 4.0000 K"), "{text}");
    let summary: Value = serde_json::from_str(&run(&["--json", "--quiet"]).stderr).unwrap();
    let limit = &summary["soft_limits"]["room_temp"];
    assert_eq!(
        (&limit["violations"], &limit["values"], &limit["worst"]),
        (&json!(3), &json!(6), &json!(2.0)),
        "{summary:#}"
    );
}

#[test]
fn a_twin_without_controls_is_refused() {
    let room = Room::new();
    let twin = room.text("data/room/twin.toml");
    room.write(
        "data/room/twin.toml",
        &twin
            .replace(
                "role = \"control\",     unit = \"kW\",   column = \"heater_kw\", hard = [0, 8], max_move = 1.0",
                "role = \"disturbance\", unit = \"kW\", column = \"heater_kw\"",
            )
            .replace("effects = { heat = \"+\" }", "")
            .replace("moves       = { moves = \"heat\" }\n", "")
            .replace("soft = [19, 23],  }", "soft = [19, 23] }"),
    );
    room.run(&["fit", "data/room", "--quiet"]).expect(0);
    for command in ["control", "advise"] {
        let ended = room.run(&[command, "data/room"]).expect(78);
        assert!(
            ended.stderr.contains("the twin has no control that MPC can move") && ended.stdout.is_empty(),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn advice_is_checked_after_the_time_that_its_effect_needs() {
    let room = room("");
    let advice = room.run(&["advise", "data/room", "--json", "--quiet"]).expect(0).document();
    assert_eq!(advice["leave"], Value::Null, "{advice:#}");
    assert_eq!(advice["controls"][0]["planned"], advice["controls"][0]["advised"]);
    let interval = &advice["objective_interval"];
    assert!(
        interval[0].as_f64() <= advice["objective_change"].as_f64() && interval[1].as_f64() < Some(0.0),
        "{advice:#}"
    );
    // Within the horizon of 6 h, the room reaches 63 % of the largest effect only after more than one step (1 h).
    assert!(advice["undo"][0]["at"].as_str().unwrap() > "2024-03-03T13:00:00Z", "{advice:#}");
}

#[test]
fn an_existing_log_is_never_overwritten() {
    let room = room("");
    let own = std::fs::read(room.log_file()).unwrap();
    let file = room.log_file();
    for more in [&[][..], &["--shadow"]] {
        let args = [&["control", "data/room", "--log", file.to_str().unwrap()], more].concat();
        let ended = room.run(&args).expect(73);
        assert!(ended.stderr.contains("choose another file name"), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
    assert!(std::fs::read(room.log_file()).unwrap() == own, "the log of the plant must not change");
    let ended = room.run(&["control", "data/room", "--log", "nowhere/loop.parquet"]).expect(74);
    assert!(ended.stderr.contains("its folder does not exist") && ended.stdout.is_empty(), "{}", ended.stderr);
}

#[test]
fn advice_states_the_move_its_benefit_and_when_to_undo_the_move() {
    let room = room("");
    let ended = room.run(&["advise", "data/room"]).expect(0).says(&["the last measurement is"]);
    for word in ["heat", "advised", "undo the change if room_temp is not between", "% of the simulated futures"] {
        assert!(ended.stdout.contains(word), "{word}: {}", ended.stdout);
    }
    let advice = room.run(&["advise", "data/room", "--json", "--quiet"]).expect(0).document();
    let heat = &advice["controls"][0];
    let number = |v: &Value| v.as_f64().unwrap();
    let (now, advised) = (number(&heat["now"]), number(&heat["advised"]));
    assert!((number(&heat["change"]) - (advised - now)).abs() < 1e-12, "{advice:#}");
    assert!((now - advised).abs() <= 1.0 + 1e-9 && (0.0..=8.0).contains(&advised), "{advice:#}");
    assert!(advised >= number(&heat["allowed"][0]) - 1e-9 && advised <= number(&heat["allowed"][1]) + 1e-9);
    assert!((0.0..=1.0).contains(&number(&advice["confidence"])));
    assert!(number(&advice["objective_change"]) <= 0.0, "a plan is never worse than holding the controls: {advice:#}");
    assert!(number(&advice["undo"][0]["low"]) < number(&advice["undo"][0]["high"]));
    assert!(
        heat["alone"]["change"].is_number()
            && heat["reason"].as_str().unwrap().contains("the planned moves of this control change")
    );
    assert_eq!(advice["from"], "2024-03-03T12:00:00Z", "the advice must apply to the step after the newest row");
}

#[test]
fn advice_from_implausible_rows_has_a_warning() {
    let room = room("");
    let advise =
        || room.run(&["advise", "data/room", "--json", "--quiet", "--allow-extrapolation"]).expect(0).document();
    assert_eq!(advise()["warnings"], json!([]));
    let mut columns = room::log(room::ROWS, room::ROWS, 0.35);
    let temp = columns.iter_mut().find(|c| c.0 == "room_temp_c").unwrap();
    *temp.1.last_mut().unwrap() = 60.0;
    room::write_log(&room.log_file(), &columns);
    let warnings = advise()["warnings"].to_string();
    assert!(
        warnings.contains("`room_temp` is 60") && warnings.contains("outside the model's training data"),
        "{warnings}"
    );
}

/// The model and the log disagree about the effect of the heat on the room temperature, which is in the objective, and
/// no correction removes the error.
#[test]
fn advice_that_depends_on_a_contradicted_effect_leaves_the_controls() {
    let room = room("");
    let (spec, _) = check_twin(&room.path("data/room")).unwrap();
    let source = plant::read(spec, twinopt::compute::cpu(), &|_| ()).unwrap();
    let mut plant =
        registry_publish::open_published(source, &Registry::open(room.path("models/room")), &|_| ()).unwrap();
    let effect = |error: f64, accumulation| ControlEffect {
        control: "heat".into(),
        signal: "room_temp".into(),
        unit: "K/kW".into(),
        window: 6,
        hours: 6.0,
        model: 1.0,
        members: vec![0.0, 0.01, -0.01],
        inflation: 1.0,
        error,
        se: 0.02,
        blocks: 60.0,
        accumulation,
        contrast: None,
        shown_hours: None,
    };
    let mut leave = |effects: Vec<ControlEffect>| {
        plant.card.effects = effects;
        advise(&plant, &plant.compiled, Some(1), false, None).unwrap().leave
    };
    assert_eq!(leave(vec![effect(-0.05, None)]), None, "an error of 5 % must not change the advice");
    let text = leave(vec![effect(-1.5, None)]).unwrap();
    assert!(text.contains("the effect of heat on room_temp in the model (1.000 K/kW)"), "{text}");
    assert!(text.contains("but the log shows -0.500 ± "), "{text}");
    // Plans that lost against the plant's own controller are not followed either.
    plant.card.effects.clear();
    let tuned = |planned: f64| {
        let setting = json!({ "model": "linear", "lags": 1, "horizon": 6, "moves": 3, "correction": 0.3 });
        let rest = json!({ "reason": "", "runs": 4, "steps": 24, "trials": [], "logged": 1.0, "expected": [] });
        let mut tuned = json!({ "setting": setting, "planned": planned });
        tuned.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        serde_json::from_value(tuned).unwrap()
    };
    plant.card.tuned = tuned(2.0);
    let text = advise(&plant, &plant.compiled, Some(1), false, None).unwrap().leave.unwrap();
    assert!(text.contains("plans performed worse than the plant's own controller"), "{text}");
    plant.card.tuned = tuned(0.5);
    assert_eq!(advise(&plant, &plant.compiled, Some(1), false, None).unwrap().leave, None);
}

/// The log contains outdoor temperatures for the 12 hours after the last measurement of the room. The advice is for the
/// time of the last measurement.
#[test]
fn advice_uses_values_of_disturbances_after_the_last_measurement() {
    let room = room("");
    let advise = || room.run(&["advise", "data/room", "--json", "--quiet"]).expect(0).document();
    let before = advise();
    room.edit(
        "data/room/twin.toml",
        "outdoor_temp_c\", forecast = { seasonal = \"1d\" }",
        "outdoor_temp_c\", forecast = \"perfect\"",
    );
    assert!(advise()["warnings"].to_string().contains("the forecast method of `outdoor_temp` is `perfect`"));
    let energy = |later: f64| {
        let mut columns = room::log(room::ROWS, room::ROWS, 0.35);
        for (name, column) in &mut columns {
            let value = if *name == "outdoor_temp_c" { later } else { f64::NAN };
            column.extend([value; 12]);
        }
        room::write_log(&room.log_file(), &columns);
        let advice = advise();
        assert_eq!((&advice["from"], &advice["log_end"]), (&before["from"], &before["log_end"]));
        assert!(!advice["warnings"].to_string().contains("perfect"), "{advice:#}");
        advice["controls"][0]["planned"].as_f64().unwrap()
    };
    assert!(energy(-10.0) > energy(15.0), "more heat is planned before a cold night");
}

#[test]
fn advice_on_levels_is_evaluated_by_their_orders() {
    // the inventory position is always 0, so the order equals the order-up-to level. The level is between 6 and 8 kW,
    // above the 3 kW at the end of the log
    let room = room("base_stock = [{ order = 'heat', position = '0 * heat', level = [6, 8] }]\n");
    let advice = room.run(&["advise", "data/room", "--json", "--quiet", "--allow-extrapolation"]).expect(0).document();
    let heat = &advice["controls"][0];
    let number = |v: &Value| v.as_f64().unwrap();
    assert!(number(&heat["change"]) > 0.0, "{advice:#}");
    let cost = advice["kpis"].as_array().unwrap().iter().find(|k| k["name"] == "energy_cost").unwrap();
    assert!(number(&cost["change"]) > 0.0, "more heat costs more: {advice:#}");
}

#[test]
fn a_plan_that_exceeds_its_budget_is_still_used() {
    let room = room("settle = 1\nbudget = \"200ms\"\n");
    let (spec, _) = check_twin(&room.path("data/room")).unwrap();
    let source = plant::read(spec, twinopt::compute::cpu(), &|_| ()).unwrap();
    let plant = registry_publish::open_published(source, &Registry::open(room.path("models/room")), &|_| ()).unwrap();
    // returns 20 answers of the loop and the number of clock readings; the clock advances by `pace` at every reading
    let answers = |pace: Option<u64>| -> (Vec<Answer>, u64) {
        let readings = Arc::new(AtomicU64::new(0));
        let count = readings.clone();
        let clock = move || pace.unwrap_or(0) * count.fetch_add(1, Ordering::Relaxed);
        let settings = Settings { clock: pace.map(|_| &clock as _), ..Settings::default() };
        let mut session = Session::new(&plant, &plant.compiled, &settings).unwrap();
        session.take(describe(3600.0).to_string().as_bytes(), Vec::new()).unwrap();
        let mut room = Plant::new();
        let mut answers = Vec::new();
        for _ in 0..20 {
            let reply = session.take(room.line().to_string().as_bytes(), Vec::new()).unwrap();
            let Reply::Answer(answer) = reply else { panic!("{reply:?}") };
            room.step(&serde_json::from_str(&answer.line(0.0)).unwrap());
            answers.push(answer);
        }
        (answers, readings.load(Ordering::Relaxed))
    };
    let ((free, none), (still, all), (late, few)) = (answers(None), answers(Some(0)), answers(Some(1_000)));
    assert_eq!(still, free, "a stopped clock must not change the answers");
    for answers in [&free, &late] {
        assert!(answers[1..].iter().all(|a| a.decided_by == FallbackLevel::Plan), "{answers:?}");
    }
    // For each of the 19 plans, the clock is read at the start and after each of the two iterations. If the time is up
    // after the first iteration, there is no second iteration.
    assert_eq!((none, all, few), (0, 3 * 19, 2 * 19));
    assert_ne!(late, free, "without the second iteration, the plan must be different");
}
