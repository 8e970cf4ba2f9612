//! Tests of the command `verify`: the saving after a change, the frozen baseline, and randomised trials.

use std::f64::consts::TAU;

use crate::room::{Columns, Noise, Room, write_log};

const DAYS: usize = 120;
/// First day of the reporting period, counted from 2024-01-01: 1 April.
pub const CHANGE: usize = 91;
pub const PERIODS: [&str; 4] = ["--baseline", "2024-01-01..2024-03-31", "--reporting", "2024-04-01..2024-04-29"];

/// Simulates a room. The power is a function of the weather and the working hours, multiplied by `factor(day)`. Returns
/// the log, and the power before it was multiplied by the factor.
pub fn log(factor: impl Fn(usize) -> f64) -> (Columns, Vec<f64>) {
    log_with_holidays(factor, |_| false)
}

/// Like [`log`], with days on which nobody works.
pub fn log_with_holidays(factor: impl Fn(usize) -> f64, holiday: impl Fn(usize) -> bool) -> (Columns, Vec<f64>) {
    let mut noise = Noise::new(3);
    let (mut drift, mut before) = (0.0, Vec::new());
    let mut columns: [Vec<f64>; 4] = Default::default();
    for k in 0..24 * DAYS {
        drift = 0.97 * drift + 0.5 * noise.normal();
        let outdoor = 8.0 + 5.0 * (k as f64 * TAU / 24.0).sin() + drift;
        let office = k / 24 % 7 < 5 && (8..18).contains(&(k % 24)) && !holiday(k / 24);
        let power = 20.0 + 1.5 * (15.0 - outdoor).max(0.0) + if office { 8.0 } else { 0.0 } + noise.normal();
        before.push(power);
        columns[0].push(20.0 + noise.normal());
        columns[1].push(power * factor(k / 24));
        columns[2].push(3.0 + noise.even());
        columns[3].push(outdoor);
    }
    (["room_temp_c", "power_kw", "heater_kw", "outdoor_temp_c"].into_iter().zip(columns).collect(), before)
}

#[test]
fn a_saving_is_verified_and_the_baseline_is_frozen() {
    let room = Room::new();
    let (columns, before) = log(|day| if day < CHANGE { 1.0 } else { 0.9 });
    write_log(&room.log_file(), &columns);
    let verify = |more: &[&str]| {
        let words: Vec<&str> = ["verify", "data/room"].iter().chain(&PERIODS).chain(more).copied().collect();
        room.run(&words)
    };
    verify(&[]).expect(0).prints(&[
        "`energy_cost`, verified saving",
        "EUR",
        "outdoor_temp",
        "data/room/verify/energy_cost.json",
    ]);
    let found = verify(&["--json"]).expect(0).document();
    let saving = |key: &str| found["saving"][key].as_f64().unwrap();
    // EUR at 90 EUR/MWh, over 29 days
    let right: f64 = before[24 * CHANGE..].iter().map(|p| 0.1 * p * 0.09).sum();
    assert!((saving("saving") / right - 1.0).abs() < 0.2, "{} {right}", saving("saving"));
    assert!(saving("low") < right && right < saving("high"), "{found} {right}");
    assert_eq!(found["frozen"]["drivers"], serde_json::json!(["outdoor_temp"]));
    // The log may change in the reporting period, but not in the baseline period.
    write_log(&room.log_file(), &log(|_| 1.0).0);
    verify(&[]).expect(0).prints(&["no saving shown"]);
    write_log(&room.log_file(), &log(|day| if day == 3 { 1.01 } else { 1.0 }).0);
    verify(&[]).expect(65).says(&["was frozen", "the data in the baseline period", "energy_cost.json"]);
    write_log(&room.log_file(), &columns);
    verify(&["--interval", "day"]).expect(65).says(&["the length of the intervals"]);
    std::fs::remove_file(room.path("data/room/verify/energy_cost.json")).unwrap();
    verify(&["--interval", "day"]).expect(0).prints(&["daily"]);
}

#[test]
fn events_are_left_out_and_wrong_requests_are_explained() {
    let room = Room::new();
    // a heater was tested for two days in the reporting period
    let (columns, _) = log(|day| if (100..102).contains(&day) { 3.0 } else { 1.0 });
    write_log(&room.log_file(), &columns);
    room.write("events.toml", "[[event]]\nperiod = \"2024-04-10..2024-04-11\"\nreason = \"test of a heater\"\n");
    let verify = |more: &[&str]| {
        let words: Vec<&str> = ["verify", "data/room"].iter().chain(more).copied().collect();
        room.run(&words)
    };
    let with = |more: &[&'static str]| PERIODS.iter().chain(more).copied().collect::<Vec<_>>();
    verify(&with(&["--events", "events.toml"])).expect(0).prints(&[
        "test of a heater",
        "48 of 696 intervals",
        "no saving",
    ]);
    std::fs::remove_file(room.path("data/room/verify/energy_cost.json")).unwrap();
    verify(&with(&[])).expect(0).prints(&["the use has increased"]);
    verify(&with(&["--drivers", "heat"])).expect(2).says(&["`heat`", "must be independent of this change"]);
    verify(&with(&["--kpi", "energy"])).expect(2).says(&["`energy`", "`energy_cost`"]);
    let periods = |baseline: &'static str| ["--baseline", baseline, "--reporting", "2024-04-01..2024-04-29"];
    verify(&periods("2024-01-01..2024-04-01")).expect(2).says(&["overlap"]);
    verify(&periods("2024-13-01..2024-14-01")).expect(2).says(&["2024-13-01"]);
    verify(&periods("2023-01-01..2023-03-31")).expect(65).says(&["the baseline period contains no", "2024-01-01"]);
    verify(&periods("2024-03-10..2024-03-31")).expect(65).says(&["22 days", "28"]);
}

/// A price and a sub-meter that the KPI reads only through derived signals.
#[test]
fn derived_signals_hide_neither_a_price_nor_a_part_of_the_consumption() {
    let room = Room::new();
    let (mut columns, before) = log(|day| if day < CHANGE { 1.0 } else { 0.9 });
    columns.push(("spot", (0..before.len()).map(|k| 80.0 + (k % 24) as f64).collect()));
    columns.push(("lamps", columns[1].1.iter().map(|p| 0.3 * p).collect()));
    write_log(&room.log_file(), &columns);
    let signals = "{ name = \"spot\", role = \"disturbance\", unit = \"EUR/MWh\" },\n\
                   { name = \"lamps\", role = \"disturbance\", unit = \"kW\" },\n\
                   { name = \"tariff\", role = \"derived\", expr = \"spot + 20[EUR/MWh]\" },\n\
                   { name = \"rest\", role = \"derived\", expr = \"power - lamps\" },\n";
    room.edit("data/room/twin.toml", "signals = [\n", &format!("signals = [\n{signals}"));
    let kpis = "[kpi]\nspent = { integral = \"power * tariff\" }\nnet = { integral = \"rest\" }\n";
    room.edit("data/room/twin.toml", "[kpi]\n", kpis);
    let verify = |more: &[&str]| {
        let words: Vec<&str> = ["verify", "data/room"].iter().chain(&PERIODS).chain(more).copied().collect();
        room.run(&words)
    };
    verify(&["--kpi", "spent"]).expect(2).says(&["depends on `spot`, which varies"]);
    verify(&["--kpi", "net", "--drivers", "lamps"]).expect(2).says(&["`net` is computed from `lamps`"]);
    let found = verify(&["--kpi", "net", "--json"]).expect(0).document();
    assert_eq!(found["frozen"]["drivers"], serde_json::json!(["spot", "outdoor_temp"]), "{found}");
    let right: f64 = before[24 * CHANGE..].iter().map(|p| 0.7 * 0.1 * p).sum();
    let saving = found["saving"]["saving"].as_f64().unwrap();
    assert!((saving / right - 1.0).abs() < 0.2, "{saving} {right}");
}

#[test]
fn a_randomised_trial_finds_the_effect() {
    let room = Room::new();
    let plan = room.run(&["verify", "plan", "--start", "2024-01-08", "--weeks", "12"]).expect(0).stdout;
    room.write("trial.csv", &plan);
    let on: Vec<usize> = plan
        .lines()
        .filter(|l| l.ends_with(",on"))
        .map(|l| l.split(',').next().unwrap().parse::<jiff::civil::Date>().unwrap().day_of_year() as usize - 1)
        .collect();
    assert_eq!((plan.lines().count(), on.len()), (1 + 84, 42));
    let (columns, before) = log(|day| if on.contains(&day) { 0.8 } else { 1.0 });
    write_log(&room.log_file(), &columns);
    let found = room.run(&["verify", "trial", "data/room", "--days", "trial.csv", "--json"]).expect(0).document();
    let right: f64 =
        on.iter().map(|d| before[24 * d..24 * (d + 1)].iter().sum::<f64>() * 0.2 * 0.09).sum::<f64>() / 42.0;
    let value = |key: &str| found[key].as_f64().unwrap();
    assert_eq!(found["pairs"], 42);
    assert!(value("low") < right && right < value("high") && value("p") < 0.001, "{found} {right}");
    room.write("trial.csv", "date,pair,state\n2024-01-08,0,maybe\n");
    room.run(&["verify", "trial", "data/room", "--days", "trial.csv"]).expect(2).says(&["trial.csv:2"]);
}
