//! Tests of the first commands on the log of a gas boiler: the draft, its objective, the unused columns and the
//! findings.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, StringArray, TimestampMillisecondArray};

use crate::room::{Noise, Room, write_columns};

/// 2024-01-01T00:00:00Z, a Monday.
const START_MS: i64 = 1_704_067_200_000;
const QUARTER_MS: i64 = 900_000;
const ROWS: usize = 4_000;

/// A boiler that burns 0.12 m³/h more gas per kelvin of its set-point.
struct Boiler {
    columns: Vec<(String, Vec<f64>)>,
    flags: Option<Vec<&'static str>>,
}

impl Boiler {
    fn new() -> Self {
        let mut noise = Noise::new(11);
        let names =
            ["aussentemp_c", "vorlauf_soll_c", "vorlauf_c", "gas_verbrauch_m3_h", "Pumpe Status", "wochentag_nr"];
        let mut columns: Vec<(String, Vec<f64>)> = names.iter().map(|n| ((*n).to_owned(), Vec::new())).collect();
        let (mut set, mut flow, mut on) = (65.0, 65.0, 1.0);
        for k in 0..ROWS {
            if k % 24 == 0 {
                set = 55.0 + 5.0 * (5.0 * noise.even()).floor();
            }
            if noise.even() < 0.01 {
                on = 1.0 - on;
            }
            let outdoor = 4.0 + 6.0 * ((k as f64 - 36.0) / 96.0 * std::f64::consts::TAU).sin() + 0.3 * noise.normal();
            let gas = 14.0 - 0.6 * outdoor + 0.12 * (set - 60.0) + 0.25 * noise.normal();
            let values = [outdoor, set, flow, gas, on, (k / 96 % 7) as f64 + 1.0];
            columns.iter_mut().zip(values).for_each(|((_, column), v)| column.push(v));
            flow += 0.4 * (set - flow) + 0.3 * noise.normal();
        }
        Self { columns, flags: None }
    }

    fn values(&mut self, name: &str) -> &mut Vec<f64> {
        &mut self.columns.iter_mut().find(|(n, _)| n == name).unwrap().1
    }

    /// Writes the log and drafts the plant. Returns the output of `init`.
    fn draft(&self, room: &Room) -> String {
        let times = (0..ROWS as i64).map(|k| START_MS + k * QUARTER_MS);
        let times: ArrayRef = Arc::new(TimestampMillisecondArray::from_iter_values(times).with_timezone("UTC"));
        let mut all = vec![("time".to_owned(), times)];
        for (name, values) in &self.columns {
            all.push((name.clone(), Arc::new(Float64Array::from(values.clone()))));
        }
        if let Some(flags) = &self.flags {
            all.push(("gas_verbrauch quality".to_owned(), Arc::new(StringArray::from(flags.clone()))));
        }
        let file = room.path("boiler.parquet");
        write_columns(&file, &all);
        let ended = room.run(&["init", "data/boiler", "--log", file.to_str().unwrap()]).expect(0);
        ended.stdout.clone()
    }
}

fn line<'a>(twin: &'a str, column: &str) -> &'a str {
    twin.lines().find(|l| l.contains(&format!("\"{column}\""))).unwrap_or_else(|| panic!("no {column} in\n{twin}"))
}

#[test]
fn gas_is_saved_in_its_own_unit_and_a_status_is_no_control() {
    let room = Room::new();
    let out = Boiler::new().draft(&room);
    let twin = room.text("data/boiler/twin.toml");
    assert!(line(&twin, "vorlauf_soll_c").contains("role = \"control\""), "{twin}");
    assert!(line(&twin, "Pumpe Status").contains("role = \"output\""), "{twin}");
    assert!(twin.contains("total_gas_verbrauch = { integral = \"gas_verbrauch\" }"), "{twin}");
    assert!(twin.contains("total_gas_verbrauch = 1.0"), "{twin}");
    assert!(twin.contains("unit = \"EUR/m^3\""), "{twin}");
    for text in ["fill in the price `gas_verbrauch_price`", "the weekday", "`wochentag_nr`"] {
        assert!(out.contains(text), "{text} is not in\n{out}");
    }
    room.run(&["check", "data/boiler"]).expect(0);
    room.run(&["run", "scenarios/boiler"]).expect(0);
    let results = room.json("reports/boiler/results.json");
    assert_eq!(results["cash"]["unit"], "m^3");
    let cases = results["scenarios"][0]["cases"].as_array().unwrap();
    let hours = results["scenarios"][0]["hours"].as_f64().unwrap();
    let case = |name: &str| cases.iter().find(|c| c["name"] == name).unwrap();
    // 0.12 m³/h per kelvin, relative to the mean set-point of the baseline
    let set = |c: &serde_json::Value| c["controls"][0]["mean"].as_f64().unwrap();
    let right = 0.12 * (set(case("low")) - set(case("baseline"))) * hours;
    let found = case("low")["cash_change"]["mean"].as_f64().unwrap();
    assert!((found / right - 1.0).abs() < 0.15, "{found}, right: {right}");
    // the suggested lines state the saving in money
    let money = twin
        .replace("signals = [\n", "signals = [\n  { name = \"gas_verbrauch_price\", role = \"disturbance\", unit = \"EUR/m^3\", value = 0.9 },\n")
        .replace("\n[kpi]", "\n[kpi]\ngas_verbrauch_cost = { integral = \"gas_verbrauch * gas_verbrauch_price\" }\n#")
        .replace("\ntotal_gas_verbrauch = 1.0", "\ngas_verbrauch_cost = 1.0");
    room.write("data/boiler/twin.toml", &money);
    room.run(&["check", "data/boiler"]).expect(0);
}

#[test]
fn quality_flags_next_to_a_value_are_used() {
    let room = Room::new();
    let mut boiler = Boiler::new();
    boiler.flags = Some((0..ROWS).map(|k| if k % 50 == 7 { "Bad" } else { "Good" }).collect());
    boiler
        .values("gas_verbrauch_m3_h")
        .iter_mut()
        .enumerate()
        .for_each(|(k, v)| *v = if k % 50 == 7 { 80.0 } else { *v });
    let out = boiler.draft(&room);
    assert!(out.contains("only the good samples of `gas_verbrauch_m3_h` are used"), "{out}");
    let twin = room.text("data/boiler/twin.toml");
    assert!(line(&twin, "gas_verbrauch_m3_h").contains("where = { \"gas_verbrauch quality\" = \"Good\" }"), "{twin}");
    let ended = room.run(&["inspect", "data/boiler", "--json"]).expect(0).document();
    let text = ended.to_string();
    assert!(!text.contains("80.0"), "a bad sample was read: {text}");
}

#[test]
fn reversed_signs_copied_days_and_hundredfold_values_are_reported() {
    let found = |change: &dyn Fn(&mut Boiler)| {
        let room = Room::new();
        let mut boiler = Boiler::new();
        change(&mut boiler);
        boiler.draft(&room);
        room.run(&["check", "data/boiler"]).stderr.clone()
    };
    let gas = |change: &'static dyn Fn(f64) -> f64| {
        move |b: &mut Boiler| b.values("gas_verbrauch_m3_h")[2_500..].iter_mut().for_each(|v| *v = change(*v))
    };
    let clean = found(&|_| {});
    for code in ["unit-jump", "copied-rows", "clock-step", "oversampled"] {
        assert!(!clean.contains(code), "{clean}");
    }
    let reversed = found(&gas(&|v| -v));
    assert!(reversed.contains("of the opposite sign"), "{reversed}");
    let large = found(&gas(&|v| 100.0 * v));
    assert!(large.contains("[unit-jump]"), "{large}");
    // the day from row 1920 is repeated ten days later
    let copied = found(&|b| b.columns.iter_mut().for_each(|(_, v)| v.copy_within(1_920..2_016, 2_880)));
    assert!(
        copied.contains("from 2024-01-31T00:00:00Z to 2024-02-01T00:00:00Z are exactly equal to those 10d earlier"),
        "{copied}"
    );
}

#[test]
fn messages_about_a_plant_without_log_name_the_next_command() {
    let room = Room::new();
    let next = "import it with `twinopt import data/mill --from FILES`, and then run `twinopt init data/mill`";
    room.run(&["check", "data/mill"]).expect(66).says(&[next]);
    room.run(&["run", "scenarios/mill"]).expect(66).says(&[next]);
    std::fs::create_dir_all(room.path("data/mill/log")).unwrap();
    std::fs::copy(room.log_file(), room.path("data/mill/log/a.parquet")).unwrap();
    room.run(&["check", "data/mill"]).expect(66).says(&["draft it with `twinopt init data/mill`"]);
    // a column that some of the imported files lack
    room.write("data/room/import.toml", "source = []\n\n[missing]\nheater_kw = \"b.csv\"\n");
    let ended = room.run(&["check", "data/room"]).expect(0);
    ended.says(&["warning[missing-column]", "the column `heater_kw` is missing from b.csv", "--rename OLD=NEW"]);
}
