//! Tests of plants that do not run at all hours: weekends and nights without rows in the log.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, TimestampMillisecondArray};
use serde_json::Value;

use crate::room::{Columns, HOUR_MS, ROWS, Room, START_MS, log, write_columns};

/// The room, whose log has rows only in the hours for which `runs(day, hour)` is true. Day 0 is a Monday.
fn room(runs: impl Fn(usize, usize) -> bool) -> (Room, Columns) {
    let room = Room::new();
    let all = log(ROWS, ROWS, 0.35);
    let rows: Vec<usize> = (0..ROWS).filter(|k| runs(k / 24, k % 24)).collect();
    let times = rows.iter().map(|k| START_MS + *k as i64 * HOUR_MS);
    let times: ArrayRef = Arc::new(TimestampMillisecondArray::from_iter_values(times).with_timezone("UTC"));
    let column = |v: &Vec<f64>| -> ArrayRef { Arc::new(Float64Array::from_iter_values(rows.iter().map(|k| v[*k]))) };
    let mut columns = vec![("timestamp", times)];
    columns.extend(all.iter().map(|(name, v)| (*name, column(v))));
    write_columns(&room.log_file(), &columns);
    (room, all)
}

fn run(room: &Room, scenario: &str) -> Value {
    room.write("scenarios/room/weeks.toml", scenario);
    let _ = ["cold", "planned", "winter"]
        .map(|name| std::fs::remove_file(room.path(&format!("scenarios/room/{name}.toml"))).ok());
    room.run(&["run", "scenarios/room", "--quiet"]).expect(0);
    room.json("reports/room/results.json")["scenarios"][0].clone()
}

/// Two weeks from Monday, 5 February 2024, which is day 35 of the log.
fn two_weeks(case: &str) -> String {
    format!(
        "question = \"What happens in two weeks?\"\ntwin = \"room\"\nstart = 2024-02-05T01:00:00Z\nlength = \"335h\"\n\
         particles = 16\n{case}\n[case.steady]\ncontroller.hold = {{ heat = 3.0 }}\n"
    )
}

fn cost(result: &Value, case: usize) -> f64 {
    let kpis = result["cases"][case]["kpis"].as_array().unwrap();
    let kpi = kpis.iter().find(|k| k["name"] == "energy_cost").unwrap();
    kpi["value"]["mean"].as_f64().unwrap()
}

const REPLAY: &str = "[case.baseline]\ncontroller.replay = {}";

#[test]
fn weekends_without_rows_are_not_simulated() {
    let (room, all) = room(|day, _| day % 7 < 5);
    let result = run(&room, &two_weeks(REPLAY));
    // 9 days of 24 h and one day of 23 h; the price is 90 EUR/MWh
    let rows = (35 * 24 + 1..49 * 24).filter(|k| k / 24 % 7 < 5);
    let measured: f64 = rows.map(|k| 0.09 * all[1].1[k]).sum();
    assert_eq!((result["hours"].as_f64(), result["noise"].as_str()), (Some(239.0), Some("recorded")), "{result:#}");
    let gaps: Vec<_> = result["skipped"].as_array().unwrap().iter().map(|s| s["from"].as_str().unwrap()).collect();
    assert_eq!(gaps, ["2024-02-10T00:00:00Z", "2024-02-17T00:00:00Z"]);
    assert!((cost(&result, 0) - measured).abs() < 1e-9 * measured, "{} for {measured}", cost(&result, 0));
    let kpis = result["measured"]["kpis"].as_array().unwrap();
    assert!((kpis[0]["value"].as_f64().unwrap() - measured).abs() < 1e-9 * measured, "{kpis:?}");
    // 239 hours of 0.3 + 1.1 · 3 kW
    assert!((cost(&result, 1) - 239.0 * 0.09 * 3.6).abs() < 0.5, "{}", cost(&result, 1));
    let page = room.text("reports/room/index.html");
    let first = &page[..page.find("<h2").unwrap_or(page.len()).max(page.find("Needs attention").unwrap() + 900)];
    assert!(
        first.contains("the log has no data on Saturday and Sunday; all figures, measured and simulated, cover"),
        "{first}"
    );
    room.run(&["check"]).expect(0).says(&[
        "4d of the run (length: 335h)",
        "never has data on Saturday and Sunday",
        "`length = \"119h\"`",
    ]);
}

/// With drawn noise, the plant continues after the weekend from the state of the log, apart from the effect of the
/// case.
#[test]
fn drawn_noise_contains_the_recorded_change_during_a_gap() {
    let (room, all) = room(|day, _| day % 7 < 5);
    let result = run(&room, &two_weeks(&format!("[disturbance]\noutdoor_temp = {{ add = 0.001 }}\n{REPLAY}")));
    assert_eq!((result["hours"].as_f64(), result["noise"].as_str()), (Some(239.0), Some("drawn")), "{result:#}");
    let temp = room.simulated("weeks", "baseline", "room_temp");
    assert_eq!(temp.len(), 239);
    // the first hour of both Mondays, and the Fridays before them
    let logged = |day: usize, hour: usize| all[0].1[24 * day + hour];
    let (friday, monday) = (temp[118], temp[119]);
    let change = logged(42, 0) - logged(39, 23);
    assert!((monday - friday - change).abs() < 0.4, "{friday} {monday} {change}");
}

#[test]
fn nights_without_rows_are_not_simulated_and_plans_continue_in_the_morning() {
    let (room, all) = room(|_, hour| (6..22).contains(&hour));
    let mpc = "horizon = \"6h\", replan = \"2h\", particles = 2, planner.icem = { population = 8, iterations = 1 }";
    let scenario = two_weeks(&format!("{REPLAY}\n[case.mpc]\ncontroller.mpc = {{ {mpc} }}"));
    let scenario = scenario.replace("T01:00:00Z", "T10:00:00Z").replace("335h", "2d");
    let result = run(&room, &scenario);
    let rows = (35 * 24 + 10..37 * 24 + 10).filter(|k| (6..22).contains(&(k % 24)));
    let measured: f64 = rows.map(|k| 0.09 * all[1].1[k]).sum();
    assert_eq!(result["hours"].as_f64(), Some(32.0), "{result:#}");
    assert!((cost(&result, 0) - measured).abs() < 1e-9 * measured, "{} for {measured}", cost(&result, 0));
    assert!(room.text("reports/room/index.html").contains("no data from 22:00 to 06:00"));
    room.edit("data/room/twin.toml", "[retrain]", "[mpc]\nhorizon = \"12h\"\n[retrain]");
    room.run(&["fit", "data/room", "--quiet"]);
    // the log ends at 12:00
    room.run(&["advise", "data/room", "--allow-extrapolation"])
        .says(&["never has data from 22:00 to 06:00, so 2 h of the plan"]);
}

/// The days of all scenarios add up to the working days of a year.
#[test]
fn the_year_of_a_plant_with_free_days_has_fewer_days() {
    let (room, _) = room(|day, _| day % 7 < 5);
    let weight = |days: &str| run_check(&room, &format!("days_per_year = {days}\n{}", two_weeks(REPLAY)));
    assert!(weight("365").contains("represent 365 days per year, but a year has 261"), "{}", weight("365"));
    assert!(!weight("260").contains("days per year"), "{}", weight("260"));
}

fn run_check(room: &Room, scenario: &str) -> String {
    room.write("scenarios/room/weeks.toml", scenario);
    let _ = ["cold", "planned", "winter"]
        .map(|name| std::fs::remove_file(room.path(&format!("scenarios/room/{name}.toml"))).ok());
    room.run(&["check"]).stderr
}

/// The total of a day counts only the steps of that day, although the preceding rows of the log are from the day
/// before.
#[test]
fn totals_per_day_do_not_count_the_day_before_a_night_without_rows() {
    let hours = 24 * 40;
    let runs = |k: &usize| (8..18).contains(&(k % 24));
    let pump: Vec<f64> = (0..hours).map(|k| ((k + 1) % 2) as f64).collect();
    let level: Vec<f64> = (0..hours).map(|k| 500.0 + (k % 2) as f64).collect();
    let price: Vec<f64> =
        (0..hours).map(|k| if (10..12).contains(&(k % 24)) { 40.0 } else { 90.0 } + (k * 7 % 5) as f64).collect();
    let room = Room::new();
    let rows: Vec<usize> = (0..hours).filter(runs).collect();
    let times = rows.iter().map(|k| START_MS + *k as i64 * HOUR_MS);
    let times: ArrayRef = Arc::new(TimestampMillisecondArray::from_iter_values(times).with_timezone("UTC"));
    let column = |v: &Vec<f64>| -> ArrayRef { Arc::new(Float64Array::from_iter_values(rows.iter().map(|k| v[*k]))) };
    let columns = [("timestamp", times), ("level", column(&level)), ("pump", column(&pump)), ("price", column(&price))];
    write_columns(&room.log_file(), &columns);
    for (limit, objective, expected) in [("at_least = 5", 1.0, 5.0), ("at_most = 4", -1.0, 4.0)] {
        room.write(
            "data/room/twin.toml",
            &format!(
                "name = 'room'\nstep = '1h'\nlog = {{ files = 'log/*.parquet', time = 'timestamp' }}\nsignals = [\n\
                 {{ name = 'level', role = 'state', next = 'level + 2 * pump - 1' }},\n\
                 {{ name = 'pump', role = 'control', hard = [0, 1], multiple = 1 }},\n\
                 {{ name = 'price', role = 'disturbance', forecast = 'perfect' }},\n]\n\
                 [model]\nchoose = ['linear']\nlags = 1\nholdout = '60h'\nhorizon = '24h'\n\
                 [kpi]\ncost = {{ sum = 'price * pump' }}\n[objective]\ncost = {objective:?}\n[mpc]\ntune = false\n\
                 horizon = '6h'\ntotals = [{{ control = 'pump', {limit}, per = '1d' }}]\n"
            ),
        );
        let scenario = "question = '?'\ntwin = 'room'\nstart = 2024-01-22T08:00:00Z\nlength = '168h'\nparticles = 1\n\
                        [case.baseline]\ncontroller.replay = {}\n[case.same]\ncontroller.mpc = {}\n";
        room.write("scenarios/room/weeks.toml", scenario);
        for name in ["cold", "planned", "winter"] {
            let _ = std::fs::remove_file(room.path(&format!("scenarios/room/{name}.toml")));
        }
        assert!([Some(0), Some(3)].contains(&room.run(&["run", "scenarios/room", "--quiet"]).code));
        let on = room.simulated("weeks", "same", "pump");
        let days: Vec<f64> = on.chunks(10).map(|day| day.iter().sum()).collect();
        assert_eq!(days, [expected; 7], "{limit}: {on:?}");
    }
}

/// The plant has no states, and its control is logged at weekends, so the scenario does not start in a gap of the log.
#[test]
fn a_scenario_that_lies_entirely_in_closed_hours_is_refused() {
    let hours = 24 * 56;
    let runs = |k: usize| k / 24 % 7 < 5;
    let heat: Vec<f64> = (0..hours).map(|k| 2.0 + ((k / 9 * 37) % 11) as f64 / 5.0).collect();
    let power = heat.iter().enumerate();
    let power: Vec<f64> =
        power.map(|(k, h)| if runs(k) { 1.0 + 2.0 * h + ((k * 7_919) % 101) as f64 / 1e3 } else { f64::NAN }).collect();
    let columns: Columns = vec![("heat", heat), ("power", power)];
    let room = Room::with(&columns);
    std::fs::remove_dir_all(room.path("scenarios/room")).unwrap();
    room.write(
        "data/room/twin.toml",
        "name = 'room'\nstep = '1h'\nlog = { files = 'log/*.parquet', time = 'timestamp', completeness = 0.6 }\nsignals = [\n\
         { name = 'power', role = 'output', unit = 'kW' },\n{ name = 'heat', role = 'control', unit = 'kW' },\n]\n\
         [model]\nchoose = ['linear']\nlags = 1\nholdout = '200h'\nhorizon = '4h'\n\
         [kpi]\nenergy = { integral = 'power' }\n[objective]\nenergy = 1.0\n",
    );
    let scenario = |start: &str| {
        format!(
            "question = '?'\ntwin = 'room'\nstart = {start}T00:00:00Z\nlength = '1d'\nparticles = 2\n\
             [case.baseline]\ncontroller.replay = {{}}\n[case.low]\ncontroller.hold = {{ heat = 2.5 }}\n"
        )
    };
    // 2024-01-20 is a Saturday.
    room.write("scenarios/room/day.toml", &scenario("2024-01-20"));
    room.run(&["run", "scenarios/room", "--quiet"]).expect(65).says(&["the plant does not run", "move `start`"]);
    room.write("scenarios/room/day.toml", &scenario("2024-01-22"));
    room.run(&["run", "scenarios/room", "--quiet"]).expect(0);
}
