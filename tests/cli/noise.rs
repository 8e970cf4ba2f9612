//! Tests that noise is recorded if the scenario changes nothing that affects the plant, and is drawn otherwise.

use serde_json::Value;

use crate::room::{Noise, ROWS, Room, log, write_log};

/// Runs a scenario file and returns its result.
fn scenario(room: &Room, name: &str, text: &str) -> Value {
    room.write(&format!("scenarios/room/{name}.toml"), text);
    room.run(&["run", &format!("scenarios/room/{name}.toml"), "--quiet"]).expect(0);
    room.json(&format!("reports/room/{name}/results.json"))["scenarios"][0].clone()
}

fn samples(result: &Value, case: usize, kpi: &str) -> Vec<f64> {
    let kpis = result["cases"][case]["kpis"].as_array().unwrap();
    let kpi = kpis.iter().find(|k| k["name"] == kpi).unwrap();
    kpi["samples"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// Energy cost and discomfort in the log between two rows. The price is 90 EUR/MWh.
fn measured(from: usize, to: usize) -> [f64; 2] {
    let columns = log(ROWS, ROWS, 0.35);
    let cost = columns[1].1[from..to].iter().map(|kw| kw * 0.09).sum();
    let beyond = |t: &f64| (t - 23.0).max(19.0 - t).max(0.0);
    [cost, columns[0].1[from..to].iter().map(beyond).sum()]
}

#[test]
fn the_baseline_of_an_unchanged_scenario_is_the_measured_run() {
    let room = Room::fitted();
    let winter = room.text("scenarios/room/winter.toml");
    let result = scenario(&room, "winter", &winter);
    assert_eq!(result["noise"], "recorded");
    assert!(result["noise_note"].as_str().unwrap().contains("recorded errors in predicting the log"), "{result:#}");
    // 2024-02-20 is day 50 of the log.
    let [cost, discomfort] = measured(50 * 24, 53 * 24);
    for (kpi, value) in [("energy_cost", cost), ("discomfort", discomfort)] {
        let found = samples(&result, 0, kpi);
        assert_eq!(found.len(), 8);
        assert!(found.iter().all(|v| (v - value).abs() < 1e-9 * value.max(1.0)), "{kpi}: {found:?} for {value}");
    }
    let steady = samples(&result, 1, "discomfort");
    assert!(steady.iter().any(|v| *v != steady[0]), "members must differ: {steady:?}");
    // Additional particles would only repeat the ensemble members.
    let many = scenario(&room, "many", &winter.replace("particles     = 8", "particles = 100"));
    let found = samples(&many, 1, "discomfort");
    assert_eq!((found.len(), &many["particles"]), (16, &Value::from(16)));
}

/// Without 3 of 72 values, the sum would be 4 % too small, and the measured operation better than every case.
#[test]
fn missing_measurements_do_not_lower_the_measured_cost() {
    let room = Room::fitted();
    let winter = room.text("scenarios/room/winter.toml");
    let complete = scenario(&room, "winter", &winter);
    let mut columns = log(ROWS, ROWS, 0.35);
    for row in [50 * 24 + 7, 51 * 24 + 3, 51 * 24 + 20] {
        columns[1].1[row] = f64::NAN;
    }
    let missing = Room::with(&columns);
    missing.run(&["fit", "data/room", "--quiet"]).expect(0);
    let missing = scenario(&missing, "winter", &winter);
    let [before, after] = [&complete, &missing].map(|r| r["measured"]["cost"].as_f64().unwrap());
    assert!((after - before).abs() < 0.02 * before, "{after} instead of {before}");
    let share = |r: &Value| r["measured"]["cost_missing"].as_f64().unwrap();
    assert_eq!(share(&complete), 0.0);
    assert!((share(&missing) - 3.0 / 72.0).abs() < 1e-3, "{}", share(&missing));
}

#[test]
fn noise_is_drawn_only_if_the_plant_depends_on_a_change() {
    let room = Room::fitted();
    let winter = room.text("scenarios/room/winter.toml");
    let source = |name: &str, changes: &str| {
        let result = scenario(&room, name, &winter.replace("[case.baseline]", &format!("{changes}\n[case.baseline]")));
        let words = result["noise_note"].as_str().unwrap().to_owned();
        (result["noise"].as_str().unwrap().to_owned(), words, result["baseline_caveat"].is_string())
    };
    for (name, changes) in
        [("price", "[disturbance]\nprice = { scale = 3.0 }"), ("same", "[disturbance]\noutdoor_temp = { scale = 1.0 }")]
    {
        let (noise, note, caveat) = source(name, changes);
        assert!(noise == "recorded" && !caveat, "{name}: {note}");
    }
    let (noise, note, caveat) = source("warm", "[disturbance]\noutdoor_temp = { add = 1.0 }");
    assert!(noise == "drawn" && caveat && note.contains("`outdoor_temp`") && note.contains("`rule`"), "{note}");
    // The report shows the caveat, so the verdict must not be an unconditional recommendation.
    let page = room.text("reports/room/warm/index.html");
    assert!(page.contains("replays logged controls") && !page.contains("class=\"answer do\""));
    room.run(&["check", "scenarios/room/warm.toml"]).expect(0).says(&["replayed-baseline", "`outdoor_temp`"]);
    let price = room.run(&["check", "scenarios/room/price.toml"]).expect(0);
    assert!(!price.stderr.contains("replayed-baseline"), "{}", price.stderr);
    // A baseline whose controls follow a rule needs no warning.
    let rule = winter.replace("controller.replay = {}", "controller.rule = { heat = \"heat + 0.1\" }");
    let rule = rule.replace("[case.baseline]", "[disturbance]\noutdoor_temp = { add = 1.0 }\n[case.baseline]");
    let result = scenario(&room, "rule", &rule);
    assert!(result["noise"] == "drawn" && result["baseline_caveat"].is_null());
    room.run(&["check", "scenarios/room/rule.toml"]).expect(0);
}

#[test]
fn long_gaps_lead_to_drawn_noise_and_short_gaps_to_recorded_noise() {
    let gap = |column: usize, rows: std::ops::Range<usize>| {
        let room = Room::fitted();
        let mut columns = log(ROWS, ROWS, 0.35);
        columns[column].1[rows].fill(f64::NAN);
        write_log(&room.log_file(), &columns);
        let winter = room.text("scenarios/room/winter.toml");
        let result = scenario(&room, "winter", &winter);
        let note = result["noise_note"].as_str().unwrap().to_owned();
        (result["noise"].as_str().unwrap().to_owned(), note, result["baseline_caveat"].is_string())
    };
    // The control horizon is 6 h, and gaps of up to 3 h are interpolated.
    let (noise, note, _) = gap(0, 1210..1215);
    assert!(noise == "recorded" && note.contains("zero at up to 5 steps without values of `room_temp`"), "{note}");
    let (noise, note, caveat) = gap(1, 1210..1219);
    assert!(noise == "drawn" && caveat && note.contains("`power` is missing from the log for 9h"), "{note}");
}

#[test]
fn a_twin_without_a_learned_part_has_no_interval() {
    let room = Room::new();
    let next = "next = \"room_temp + 0.08 * (outdoor_temp - room_temp) + 0.35[K/kW] * heat\"";
    room.edit("data/room/twin.toml", "column = \"room_temp_c\",", &format!("column = \"room_temp_c\", {next},"));
    let power = "name = \"power\",        role = \"output\",      unit = \"kW\",   column = \"power_kw\"";
    room.edit(
        "data/room/twin.toml",
        power,
        "name = \"power\", role = \"derived\", unit = \"kW\", expr = \"0.3[kW] + 1.1 * heat\"",
    );
    let result = scenario(&room, "winter", &room.text("scenarios/room/winter.toml"));
    assert_eq!((&result["noise"], &result["particles"]), (&Value::from("recorded"), &Value::from(1)));
    let discomfort = measured(50 * 24, 53 * 24)[1];
    let found = samples(&result, 0, "discomfort");
    assert!(found.len() == 1 && (found[0] - discomfort).abs() < 1e-9 * discomfort.max(1.0), "{found:?}");
    let change = &result["cases"][1]["objective_change"];
    assert!(change["low"].is_null() && change["high"].is_null() && change["measurable"] == false, "{change}");
    assert!(change["mean"].as_f64().unwrap().abs() > 0.1, "{change}");
    let page = room.text("reports/room/winter/index.html");
    assert!(page.contains("the equations are assumed to be exact") && page.contains("(no interval)"));
}

/// A tank with a varying demand. The inflow is set by a slow controller that adds small test moves.
const TANK: &str = r#"
name    = "room"
step    = "1h"
log     = { files = "log/*.parquet", time = "timestamp", max_gap = "3h" }
signals = [
  { name = "level",  role = "state" },
  { name = "inflow", role = "control", hard = [0, 6] },
  { name = "demand", role = "disturbance" },
]
[model]
choose  = ["linear"]
lags    = 1
holdout = "20d"
horizon = "6h"
[kpi]
off = { mean = "(level - 5)^2" }
[objective]
off = 1.0
"#;

const TIGHTER: &str = r#"
question  = "What does a faster controller gain?"
twin      = "room"
start     = 2024-04-10T00:00:00Z
length    = "20d"
particles = 16
[case.baseline]
controller.replay = {}
[case.faster]
controller.pid = [{ control = "inflow", measurement = "level", setpoint = 5.0, kp = 1.0, ti = "20h" }]
"#;

/// First row and number of rows of the scenario.
const FROM: usize = 100 * 24;
const LENGTH: usize = 480;

/// A PI controller of the level. Returns the inflow, and updates the integral.
fn pi(integral: &mut f64, level: f64, gain: f64, rate: f64) -> f64 {
    let error = 5.0 - level;
    let inflow = *integral + gain * error;
    *integral += rate * error;
    inflow
}

#[test]
fn the_promise_for_a_stock_under_feedback_is_what_the_plant_gives() {
    let (mut noise, rows) = (Noise::new(11), FROM + LENGTH + 600);
    let (mut level, mut integral, mut slow) = (5.0, 2.0, 0.0);
    let mut columns: [Vec<f64>; 3] = Default::default();
    let mut shocks = Vec::new();
    let mut explored = 0.0;
    for t in 0..rows {
        slow = 0.9 * slow + 0.3 * noise.normal();
        explored = if t % 6 == 0 { 0.25 * noise.normal() } else { explored };
        let demand = 2.0 + (t as f64 * std::f64::consts::TAU / 24.0).sin() + slow;
        let inflow = (pi(&mut integral, level, 0.4, 0.02) + explored).clamp(0.0, 6.0);
        columns.iter_mut().zip([level, inflow, demand]).for_each(|(c, v)| c.push(v));
        shocks.push(0.15 * noise.normal());
        level += 0.5 * (inflow - demand) + shocks[t];
    }
    let names = ["level", "inflow", "demand"];
    let room = Room::with(&names.into_iter().zip(columns.clone()).collect());
    room.write("data/room/twin.toml", TANK);
    let result = scenario(&room, "tighter", TIGHTER);

    // The true plant is simulated with the faster controller, the same demand and the same shocks.
    let [levels, inflows, demands] = &columns;
    let (mut level, mut integral, mut sum) = (levels[FROM], inflows[FROM - 1], 0.0);
    for t in FROM..FROM + LENGTH {
        sum += (level - 5.0).powi(2);
        let inflow = pi(&mut integral, level, 1.0, 0.05).clamp(0.0, 6.0);
        level += 0.5 * (inflow - demands[t]) + shocks[t];
    }
    let off = |levels: &[f64]| levels.iter().map(|v| (v - 5.0).powi(2)).sum::<f64>() / LENGTH as f64;
    let measured = off(&levels[FROM..FROM + LENGTH]);
    let (promised, realised) =
        (result["cases"][1]["objective_change"]["mean"].as_f64().unwrap(), sum / LENGTH as f64 - measured);
    let baseline = samples(&result, 0, "off");
    assert!(baseline.iter().all(|v| (v - measured).abs() < 1e-9 * measured), "{baseline:?} for {measured}");
    // With drawn noise, the level of the replayed baseline drifts away, and the promised saving is several times too
    // large.
    assert!(realised < -0.5 && (0.95..1.06).contains(&(promised / realised)), "{promised} for {realised}");
}
