//! Tests of `init`: the drafts of generated logs pass `check`, `fit` and `run` without an edit.

use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, Float64Array, StringArray, TimestampMillisecondArray};

use crate::room::{Noise, Room, write_columns};

const DAY_MS: i64 = 86_400_000;
/// 2024-01-01T00:00:00Z, a Monday.
const START_MS: i64 = 1_704_067_200_000;

type Columns = Vec<(String, ArrayRef)>;

fn times(ms: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from_iter_values(ms).with_timezone("UTC"))
}

fn numbers(values: Vec<f64>) -> ArrayRef {
    Arc::new(Float64Array::from(values))
}

/// Writes a log and drafts its plant. Returns the text of `twin.toml`.
fn draft(room: &Room, name: &str, columns: &Columns) -> String {
    let file = room.path(&format!("{name}.parquet"));
    write_columns(&file, columns);
    room.run(&["init", &format!("data/{name}"), "--log", file.to_str().unwrap()]).expect(0);
    room.text(&format!("data/{name}/twin.toml"))
}

/// Checks, fits and runs a drafted plant. Returns the text of the report.
fn run(room: &Room, name: &str) -> String {
    room.run(&["check", &format!("data/{name}")]).expect(0);
    room.run(&["fit", &format!("data/{name}")]).expect(0);
    room.run(&["run", &format!("scenarios/{name}")]).expect(0);
    room.text(&format!("reports/{name}/index.html"))
}

/// The line of `twin.toml` for a column.
fn line<'a>(twin: &'a str, column: &str) -> &'a str {
    let of = |l: &&str| l.contains(&format!("column = \"{column}\"")) || l.contains(&format!("name = \"{column}\""));
    twin.lines().find(of).unwrap_or_else(|| panic!("no line for {column} in\n{twin}"))
}

/// The comment on a column that is not used.
fn left_out<'a>(twin: &'a str, column: &str) -> &'a str {
    let start = format!("# left out: {column}, which ");
    twin.lines().find_map(|l| l.strip_prefix(&start)).unwrap_or_else(|| panic!("{column} is not left out in\n{twin}"))
}

/// Columns whose names or values have two meanings: the draft must choose the right meaning or say that it is unknown.
#[test]
fn ambiguous_columns_are_not_misread() {
    let room = Room::new();
    let mut noise = Noise::new(5);
    let n = 4_000;
    let day = |k: usize| (k as f64 / 96.0 * std::f64::consts::TAU).sin();
    let mut columns: Columns = vec![("time".into(), times((0..n as i64).map(|k| START_MS + k * 900_000)))];
    let mut add = |name: &str, value: &mut dyn FnMut(usize) -> f64| {
        columns.push((name.to_owned(), numbers((0..n).map(value).collect())));
    };
    let (mut signed, mut heat, mut level) = (0.0, 1_234.0, 40.0);
    add("energy_wh", &mut |k| {
        signed += (65_536.0 * (0.36 + 0.08 * day(k) + 0.01 * noise.normal())).round();
        (signed + 32_768.0_f64).rem_euclid(65_536.0) - 32_768.0
    });
    let mut noise = Noise::new(6);
    add("heat_meter_mwh", &mut |k| {
        heat += 0.03 + 0.02 * day(k);
        f64::floor(heat)
    });
    add("tank_power_kwh", &mut |k| 25.0 + 10.0 * day(k) + 2.0 * noise.normal());
    let mut noise = Noise::new(7);
    add("sump_kg", &mut |_| {
        level += 20.0 + 3.0 * noise.normal();
        if level > 950.0 {
            level = 30.0;
        }
        level
    });
    let mut noise = Noise::new(8);
    add("pressure_min", &mut |_| 2.0 + 0.1 * noise.normal());
    add("runtime_min", &mut |k| 7.0 + 3.0 * day(k));
    let mut noise = Noise::new(9);
    add("co2_ppm", &mut |k| 600.0 + 200.0 * day(k) + 20.0 * noise.normal());
    let mut noise = Noise::new(10);
    add("product_quality", &mut |_| if noise.even() < 0.03 { 0.0 } else { 1.0 });
    let mut noise = Noise::new(12);
    add("valve_pct", &mut |_| 50.0 + 10.0 * noise.normal());
    let twin = draft(&room, "ambiguous", &columns);
    let says = |column: &str, text: &str| {
        let found = twin.lines().filter(|l| l.contains(column)).collect::<Vec<_>>().join("\n");
        assert!(found.contains(text), "{column}: {found}");
    };
    says("energy_wh", "kind = \"counter\"");
    says("tank_power_kwh", "kind = \"amount\"");
    says("pressure_min", "unit = \"1\"");
    assert!(!line(&twin, "sump_kg").contains("counter"), "{twin}");
    assert!(!twin.contains("emissions") && !twin.contains("where ="), "{twin}");
    // the draft may leave the meter out, but not as amounts
    assert!(!twin.lines().any(|l| l.contains("heat_meter_mwh") && l.contains("amount")), "{twin}");
    let inspected = room.run(&["inspect", "data/ambiguous"]).expect(0).stdout;
    let mean = inspected.lines().find(|l| l.starts_with("energy ")).unwrap().split_whitespace().rev().nth(1).unwrap();
    assert!((mean.parse::<f64>().unwrap() - 65_536.0 * 0.36).abs() < 200.0, "{mean}");
}

/// Daily sales of three products in one log. Shops are closed on Sundays; `B` sells most often.
#[test]
fn the_most_active_product_of_a_log_is_used() {
    let mut noise = Noise::new(3);
    let (mut time, mut sku, mut sold, mut price) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for day in 0..400i64 {
        for (name, busy) in [("A", 0.2), ("B", 0.9), ("C", 0.5)] {
            let open = day % 7 != 6 && noise.even() < busy;
            time.push(START_MS + day * DAY_MS);
            sku.push(name);
            sold.push(if open { (1.0 + 9.0 * noise.even()).floor() } else { 0.0 });
            price.push(2.0);
        }
    }
    let columns: Columns = vec![
        ("day".into(), times(time.into_iter())),
        ("sku".into(), Arc::new(StringArray::from(sku))),
        ("units_sold".into(), numbers(sold.clone())),
        ("revenue_eur".into(), numbers(sold.iter().zip(&price).map(|(q, p)| q * p).collect())),
        ("unit_price_eur".into(), numbers(price)),
    ];
    let room = Room::new();
    let twin = draft(&room, "shop", &columns);
    assert!(twin.contains("where = { sku = \"B\" }    # guess: the most active of 3 values of `sku`"), "{twin}");
    assert!(twin.contains("# others: sku = \"C\" | sku = \"A\""), "{twin}");
    assert!(line(&twin, "units_sold").contains("kind = \"amount\"") && twin.contains("step = \"1d\""));
    assert!(!twin.contains("features = "), "the sales already contain the pattern of the week: {twin}");
    assert!(left_out(&twin, "unit_price_eur").starts_with("never changes"));
    assert!(twin.contains("total_revenue = -1.0"), "more revenue is better: {twin}");
    run(&room, "shop");
}

/// A control loop with its alarm limits, a label, a counter of rows, and sixty tags that have nothing to do with it.
#[test]
fn tags_of_a_control_system_get_roles_and_unrelated_tags_are_left_out() {
    let rows = 3_000;
    let mut noise = Noise::new(5);
    let (mut temp, mut setpoint, mut feed) = (60.0, 60.0, 0.0);
    let mut columns: Vec<(String, Vec<f64>)> = ["TIC-101.PV", "TIC-101.SP", "TIC-101.OP", "FI-7", "steam_power_kw"]
        .map(|name| (name.to_owned(), Vec::new()))
        .into_iter()
        .collect();
    for k in 0..rows {
        if k % 60 == 0 {
            setpoint = 55.0 + (10.0 * noise.even()).round();
        }
        feed = 0.95 * feed + noise.normal();
        let valve = 50.0 + 4.0 * (setpoint - temp) + 0.3 * noise.normal();
        let power = 20.0 + 0.8 * valve + 0.5 * noise.normal();
        for (column, v) in columns.iter_mut().zip([temp, setpoint, valve, 100.0 + feed, power]) {
            column.1.push(v);
        }
        temp += 0.1 * (setpoint - temp) + 0.02 * feed + 0.05 * noise.normal();
    }
    columns.push(("TIC-101.HI".into(), vec![75.0; rows]));
    columns.push(("TIC-101.LO".into(), vec![45.0; rows]));
    columns.push(("anomaly".into(), (0..rows).map(|k| f64::from(u8::from(k % 500 == 0))).collect()));
    columns.push(("row".into(), (0..rows).map(|k| k as f64).collect()));
    for tag in 0..60 {
        let mut level = 0.0;
        let mut walk = || {
            level = 0.9 * level + noise.normal();
            level
        };
        columns.push((format!("X{tag:02}"), (0..rows).map(|_| walk()).collect()));
    }
    let mut all: Columns = vec![("time".into(), times((0..rows as i64).map(|k| START_MS + 60_000 * k)))];
    all.extend(columns.into_iter().map(|(name, values)| (name, numbers(values))));
    let room = Room::new();
    let started = Instant::now();
    let twin = draft(&room, "loop", &all);
    assert!(started.elapsed().as_secs() < 60);
    assert!(
        line(&twin, "TIC-101.PV").contains("role = \"state\"") && line(&twin, "TIC-101.PV").contains("soft = [45, 75]")
    );
    assert!(line(&twin, "TIC-101.SP").contains("role = \"control\"") && line(&twin, "TIC-101.SP").contains("hard = ["));
    assert!(line(&twin, "TIC-101.OP").contains("role = \"output\""), "{twin}");
    assert!(left_out(&twin, "anomaly").contains("label") && left_out(&twin, "TIC-101.HI").contains("alarm limit"));
    assert!(left_out(&twin, "row").contains("describes the log"));
    let unrelated = (0..60).filter(|k| twin.contains(&format!("# left out: X{k:02}, which "))).count();
    let signals = twin.lines().filter(|l| l.trim_start().starts_with("{ name = ")).count();
    assert!(unrelated >= 40 && signals <= 24, "{unrelated} {signals}");
    assert!(twin.contains("energy = { integral = \"steam_power\" }") && twin.contains("energy = 1.0"));
    let scenario = room.text("scenarios/loop/first.toml");
    assert!(scenario.contains("[case.low]") && scenario.contains("hold = { tic_101_sp = "), "{scenario}");
    run(&room, "loop");
}

/// Experiments of ten minutes with one sample per second; every tenth sample is missing.
#[test]
fn short_experiments_with_missing_samples_get_a_longer_step() {
    let mut noise = Noise::new(9);
    let (mut time, mut run_id, mut level, mut pump) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for experiment in 0..12i64 {
        let (mut h, mut u) = (1.0, 4.0);
        for second in 0..600i64 {
            if second % 40 == 0 {
                u = 2.0 + 6.0 * noise.even();
            }
            h += 0.05 * (0.5 * u - h) + 0.01 * noise.normal();
            if noise.even() > 0.1 {
                time.push(START_MS + experiment * DAY_MS + 1_000 * second);
                run_id.push(experiment as f64);
                level.push(h);
                pump.push(u);
            }
        }
    }
    let labels: ArrayRef = Arc::new(StringArray::from_iter_values(run_id.iter().map(|r| format!("run {r}"))));
    let columns: Columns = vec![
        ("time".into(), times(time.into_iter())),
        ("experiment".into(), labels),
        ("level_m".into(), numbers(level)),
        ("pump_v".into(), numbers(pump)),
    ];
    let room = Room::new();
    let twin = draft(&room, "tank", &columns);
    assert!(twin.contains("step = \"2s\"    # guess: longer than the sample time of 1s"), "{twin}");
    assert!(twin.contains("episode = \"experiment\""), "{twin}");
    assert!(line(&twin, "pump_v").contains("role = \"control\""));
    // Nothing in the log says whether a high or a low level is better, so the report names no best case.
    assert!(twin.contains("# [objective]") && !twin.contains("\n[objective]"), "{twin}");
    let page = run(&room, "tank");
    assert!(page.contains("no KPI has a price"), "{page}");
    assert!(!page.contains("no case makes a measurable difference"));
}

#[test]
fn a_log_that_cannot_be_the_log_of_a_twin_gets_one_sentence() {
    let room = Room::new();
    let init = |name: &str, columns: &Columns| {
        let file = room.path(&format!("{name}.parquet"));
        write_columns(&file, columns);
        let ended = room.run(&["init", &format!("data/{name}"), "--log", file.to_str().unwrap()]).expect(65);
        assert!(!room.path(&format!("data/{name}/twin.toml")).exists());
        let errors: Vec<String> = ended.stderr.lines().filter(|l| l.starts_with("error")).map(str::to_owned).collect();
        assert_eq!(errors.len(), 1, "{}", ended.stderr);
        errors[0].clone()
    };
    let wave = |rows: usize| numbers((0..rows).map(|k| (k as f64 / 3.0).sin()).collect());
    let text = init("clockless", &vec![("a".into(), wave(50)), ("b".into(), wave(50))]);
    assert!(text.contains("no column contains time stamps (the columns are a, b); export the log with a time column"));
    let days = |rows: i64| times((0..rows).map(|k| START_MS + k * DAY_MS));
    let text = init("short", &vec![("day".into(), days(30)), ("level_m".into(), wave(30))]);
    assert!(text.contains("too short to fit a twin") && text.contains("export a longer log"), "{text}");
    let text = init("constant", &vec![("day".into(), days(300)), ("level_m".into(), numbers(vec![1.0; 300]))]);
    assert!(text.contains("no column contains numbers that change"), "{text}");
}

#[test]
fn the_example_plant_is_complete() {
    let room = Room::new();
    room.run(&["init", "data/shop", "--demo"]).expect(0).says(&[]);
    room.run(&["check", "data/shop"]).expect(0);
    assert!(room.text("scenarios/shop/normal.toml").contains("twin          = \"shop\""));
    room.run(&["init", "data/shop", "--demo"]).expect(2).says(&["already exists"]);
    room.run(&["init", "--demo"]).expect(0).prints(&["data/demo"]);
    room.run(&["init"]).expect(2).says(&["<DIR>"]);
    room.run(&["init", "data/none"]).expect(66).says(&["--log"]);
}

/// Several sales may have the same time; the sales of each day are added. The values of a temperature cannot be added.
#[test]
fn events_with_equal_times_are_added() {
    let mut noise = Noise::new(11);
    let (mut time, mut quantity, mut revenue, mut temp) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut expected = 0.0;
    for day in 0..300i64 {
        for hour in [9, 9, 9, 14, 14, 20] {
            if noise.even() < 0.4 {
                let n = (1.0 + 4.0 * noise.even()).floor();
                time.push(START_MS + day * DAY_MS + hour * 3_600_000);
                quantity.push(n);
                revenue.push(2.5 * n);
                temp.push(20.0 + noise.normal());
                expected += n;
            }
        }
    }
    let columns: Columns = vec![
        ("time".into(), times(time.into_iter())),
        ("quantity".into(), numbers(quantity)),
        ("revenue_eur".into(), numbers(revenue)),
        ("shop_temp_c".into(), numbers(temp)),
    ];
    let room = Room::new();
    let twin = draft(&room, "till", &columns);
    assert!(twin.contains("step = \"1d\"    # guess: the rows are events"), "{twin}");
    assert!(line(&twin, "quantity").contains("kind = \"amount\", empty = 0"), "{twin}");
    assert!(left_out(&twin, "shop_temp_c").contains("is not an amount"));
    run(&room, "till");
    let quality = room.run(&["inspect", "data/till", "--json"]).expect(0).document();
    let mean = quality["signals"][0]["mean"].as_f64().unwrap();
    assert!((mean - expected / 300.0).abs() < 0.05, "{mean} {}", expected / 300.0);
}

/// The log has rows from Monday to Friday only. No values are known at weekends, so each week is a separate part.
#[test]
fn a_log_of_working_days_is_split_at_weekends() {
    let mut noise = Noise::new(5);
    let days: Vec<i64> = (0..364).filter(|d| d % 7 < 5).collect();
    let target: Vec<f64> = days.iter().map(|d| 20.0 + ((d / 7 * 3) % 4) as f64).collect();
    let outdoor: Vec<f64> = days.iter().map(|d| 10.0 - 8.0 * (*d as f64 / 58.0).cos() + noise.normal()).collect();
    let heat = target.iter().zip(&outdoor).map(|(t, o)| 500.0 + 20.0 * (t - o) + 5.0 * noise.normal()).collect();
    let columns: Columns = vec![
        ("date".into(), times(days.iter().map(|d| START_MS + d * DAY_MS))),
        ("Außentemperatur [°C]".into(), numbers(outdoor)),
        ("Sollwert Raum [°C]".into(), numbers(target)),
        ("heating_energy_kwh".into(), numbers(heat)),
    ];
    let room = Room::new();
    let twin = draft(&room, "office", &columns);
    assert!(twin.contains("max_gap = \"1d\"    # guess: there are no rows on Saturday and Sunday"), "{twin}");
    assert!(line(&twin, "Sollwert Raum [°C]").contains("role = \"control\""), "{twin}");
    assert!(line(&twin, "Außentemperatur [°C]").contains("role = \"disturbance\""), "{twin}");
    let scenario = room.text("scenarios/office/first.toml");
    assert!(scenario.contains("a part of the hold-out with data"), "{scenario}");
    run(&room, "office");
    let results: serde_json::Value = serde_json::from_str(&room.text("reports/office/results.json")).unwrap();
    let hours = results["scenarios"][0]["hours"].as_f64().unwrap();
    assert!((48.0..=96.0).contains(&hours), "the scenario must lie within a week: {hours} h");
}

/// The log contains only a load with a daily and a weekly cycle.
#[test]
fn cycles_of_the_day_and_of_the_week_are_encoded() {
    let mut noise = Noise::new(4);
    let hours = 24 * 60;
    let load = |k: i64| {
        let angle = |period: f64| (std::f64::consts::TAU * k as f64 / period).sin();
        let weekend = if k / 24 % 7 >= 5 { -0.15 } else { 0.0 };
        0.5 + 0.2 * angle(24.0) + weekend + 0.02 * noise.normal()
    };
    let values = numbers((0..hours).map(load).collect());
    let columns: Columns =
        vec![("time".into(), times((0..hours).map(|k| START_MS + k * 3_600_000))), ("cpu_load".into(), values)];
    let room = Room::new();
    let twin = draft(&room, "cluster", &columns);
    assert!(
        twin.contains("features = [\"day_sin\", \"day_cos\", \"day_sin_2\", \"day_cos_2\", \"week_sin\""),
        "{twin}"
    );
    assert!(twin.contains("horizon = \"12h\"") && twin.contains("holdout = \"12d\""), "{twin}");
    run(&room, "cluster");
}
