//! Tests of the page, the ledger and the promises of `verify`, and of its warnings about unusual weeks and holidays.

use serde_json::Value;

use crate::room::{Ended, Room, write_log};
use crate::verify::{CHANGE, PERIODS, log, log_with_holidays};

fn verify(room: &Room, more: &[&str]) -> Ended {
    let words: Vec<&str> = ["verify", "data/room"].iter().chain(&PERIODS).chain(more).copied().collect();
    room.run(&words)
}

/// A room whose power falls by 10 % on 1 April.
fn saving_room() -> Room {
    let room = Room::new();
    write_log(&room.log_file(), &log(|day| if day < CHANGE { 1.0 } else { 0.9 }).0);
    room
}

/// All numbers in a JSON document.
fn numbers(value: &Value, out: &mut Vec<f64>) {
    match value {
        Value::Number(n) => out.extend(n.as_f64()),
        Value::Array(all) => all.iter().for_each(|v| numbers(v, out)),
        Value::Object(all) => all.values().for_each(|v| numbers(v, out)),
        _ => {}
    }
}

#[test]
fn every_number_on_the_page_equals_that_of_json() {
    let room = saving_room();
    let (mut columns, _) = log(|day| if day < CHANGE { 1.0 } else { 0.9 });
    // the power was not measured for six hours in the reporting period
    columns[1].1[24 * 95..24 * 95 + 6].fill(f64::NAN);
    write_log(&room.log_file(), &columns);
    room.write("events.toml", "[[event]]\nperiod = \"2024-02-05..2024-02-06\"\nreason = \"<b>second</b> line\"\n");
    let found = verify(&room, &["--events", "events.toml", "--json"]).expect(0).document();
    let page = room.text("reports/room/verification-energy_cost.html");
    let mut all = Vec::new();
    numbers(&found, &mut all);
    let printed: Vec<f64> =
        page.split("<data value=\"").skip(1).map(|t| t.split('"').next().unwrap().parse().unwrap()).collect();
    assert!(printed.len() > 2 * 115, "{}", printed.len());
    for value in &printed {
        assert!(all.contains(value), "{value} is not in the JSON document");
    }
    for key in ["saving", "low", "high", "relative"] {
        assert!(printed.contains(&found["saving"][key].as_f64().unwrap()), "{key}");
    }
    // the page contains both charts, the tables, the protocol and the event, but no scripts or links
    assert_eq!(page.matches("<svg class=\"chart\"").count(), 2);
    assert_eq!(page.matches("<details").count(), 2);
    let hashes = [&found["frozen_hash"], &found["data_hash"], &found["frozen"]["data"], &found["frozen"]["fit"]];
    for text in hashes.map(|h| h.as_str().unwrap()).into_iter().chain([
        "Verified</span>",
        "1 Apr 2024 to 29 Apr 2024",
        "1 Jan 2024 to 31 Mar 2024",
        "CV(RMSE) by month",
        "&lt;b&gt;second&lt;/b&gt; line",
        "18 of 24",
        "0 of 24",
        "not measured",
        "690 of 696 intervals",
    ]) {
        assert!(page.contains(text), "{text} is not on the page");
    }
    for text in ["<script", "http:", "https:", "<b>second", "NaN", "inf"] {
        assert!(!page.replace("information", "").contains(text), "{text} is on the page");
    }
    // the values of the days in the JSON document add up to the totals
    let sum = |key: &str| -> f64 {
        let days = found["days"].as_array().unwrap().iter().filter(|d| d["reporting"] == true);
        days.map(|d| d[key].as_f64().unwrap()).sum()
    };
    assert!((sum("measured") - found["saving"]["measured"].as_f64().unwrap()).abs() < 1e-9);
    assert!((sum("predicted") - found["saving"]["adjusted_baseline"].as_f64().unwrap()).abs() < 1e-9);
    assert_eq!(sum("intervals"), 690.0);
}

#[test]
fn promises_are_checked_and_kept_in_a_ledger() {
    let room = saving_room();
    room.run(&["run", "scenarios/room/winter.toml", "--quiet"]).expect(0);
    let results = room.json("reports/room/winter/results.json");
    let annual = results["annual"].as_array().unwrap().iter().find(|a| a["case"] == "steady").unwrap();
    let promise = ["--promise", "reports/room/winter", "--case", "steady", "--json"];
    let found = verify(&room, &promise).expect(0).document();
    let check = &found["promise"];
    // 29 days of the 200 days that the scenario represents
    for (key, change, sign) in [("saving", "mean", -1.0), ("low", "high", -1.0), ("high", "low", -1.0)] {
        let right = sign * annual["cash_change"][change].as_f64().unwrap() * 29.0 / 200.0;
        assert!((check[key].as_f64().unwrap() - right).abs() < 1e-9 * right.abs().max(1.0), "{key} {check} {right}");
    }
    let inside = |v: &Value, of: &Value| of["low"].as_f64() <= v.as_f64() && v.as_f64() <= of["high"].as_f64();
    let saving = &found["saving"];
    // 29 days are not a whole year, so the promise cannot count as missed
    let outcome = if inside(&saving["saving"], check) { "kept" } else { "undecided" };
    assert_eq!(check["outcome"], outcome);
    assert!(found["warnings"].to_string().contains("200 days"), "{}", found["warnings"]);
    assert!(found["warnings"].to_string().contains("include a part of the reporting period"));
    // the same promise counts once, and a verification without a promise does not count
    verify(&room, &promise).expect(0);
    let again = verify(&room, &["--json"]).expect(0).document();
    assert_eq!((again["promises"].as_array().unwrap().len(), again["record"][outcome].as_u64()), (1, Some(1)));
    let ledger = room.text("data/room/verify/ledger.jsonl");
    assert_eq!(ledger.lines().count(), 3);
    let page = room.text("reports/room/verification-energy_cost.html");
    assert!(page.contains("Promised and measured") && page.contains("of 1 promise"), "{page}");
    // the next report shows how many promises were kept
    room.run(&["run", "scenarios/room/winter.toml", "--quiet"]).expect(0);
    assert_eq!(room.json("reports/room/winter/results.json")["promises"].as_array().unwrap().len(), 1);
    let report = room.text("reports/room/winter/index.html");
    assert!(report.contains("Promised and measured") && report.contains("of 1 promise kept"), "{report}");
    // the same run with the same inputs makes the same promise, although its report has changed
    let same = verify(&room, &promise).expect(0).document();
    assert_ne!(same["promise"]["promise"]["report"], check["promise"]["report"]);
    assert_eq!(same["promises"].as_array().unwrap().len(), 1);
    // a change of a line in the ledger is detected
    let hash = again["data_hash"].as_str().unwrap();
    room.write("data/room/verify/ledger.jsonl", &ledger.replacen(hash, &"0".repeat(32), 1));
    verify(&room, &[]).expect(65).says(&["ledger.jsonl:2", "changed"]);
    room.run(&["run", "scenarios/room/winter.toml"]).expect(0).says(&["ledger.jsonl:2", "does not list the promises"]);
    assert!(room.json("reports/room/winter/results.json").get("promises").is_none());
}

#[test]
fn only_a_kpi_that_is_paid_is_stated_in_money() {
    let room = saving_room();
    let twin = "data/room/twin.toml";
    // the economics count only `energy_cost` as a benefit, so the price of `energy` is a weight that nobody pays
    room.edit(twin, "discomfort  = { exceedance", "energy = { integral = \"power\" }\ndiscomfort  = { exceedance");
    room.edit(twin, "discomfort  = 5.0", "discomfort  = 5.0\nenergy = 0.2");
    let found = |kpi: &str| verify(&room, &["--kpi", kpi, "--json"]).expect(0).document();
    assert!(found("energy")["money"].is_null());
    let paid = found("energy_cost");
    assert!(paid["saving"]["saving"].is_f64());
    assert_eq!(paid["money"][0], paid["saving"]["saving"]);
}

#[test]
fn a_promise_about_something_else_is_refused() {
    let room = saving_room();
    room.run(&["run", "scenarios/room/winter.toml", "--quiet"]).expect(0);
    let file = "reports/room/winter/results.json";
    let results = room.text(file);
    verify(&room, &["--promise", "reports/room/winter"]).expect(2).says(&["`pid`, `steady`", "--case"]);
    verify(&room, &["--promise", "reports/room/winter", "--case", "mpc"]).expect(2).says(&["no case `mpc`"]);
    verify(&room, &["--promise", "reports/elsewhere", "--case", "mpc"]).expect(66);
    let steady = ["--promise", "reports/room/winter", "--case", "steady"];
    room.write(file, &results.replacen("\"plant\":\"room\"", "\"plant\":\"hall\"", 1));
    verify(&room, &steady).expect(2).says(&["`hall`, not `room`"]);
    room.write(file, &results.replace("\"unit\":\"EUR\"", "\"unit\":\"CHF\""));
    verify(&room, &steady).expect(2).says(&["in CHF", "in EUR"]);
    room.write(file, &results.replace("\"name\":\"energy_cost\"", "\"name\":\"energy\""));
    verify(&room, &steady).expect(2).says(&["no KPI `energy_cost`", "`energy`"]);
    // nothing was frozen or recorded
    assert!(!room.path("data/room/verify/energy_cost.json").exists());
    assert!(!room.path("data/room/verify/ledger.jsonl").exists());
}

#[test]
fn first_calls_at_the_same_time_freeze_one_baseline() {
    let room = saving_room();
    let settings = [["--interval", "day"], ["--interval", "hour"], ["--drivers", "outdoor_temp"], ["--seed", "3"]];
    let words = |more: &[&'static str; 2]| {
        ["verify", "data/room"].iter().chain(&PERIODS).chain(more).copied().collect::<Vec<_>>()
    };
    let children = settings.map(|more| room.command(&words(&more)).spawn().unwrap());
    let codes = children.map(|mut child| child.wait().unwrap().code().unwrap());
    assert!(codes.contains(&0) && codes.iter().all(|c| [0, 65, 75].contains(c)), "{codes:?}");
    // either the daily or the hourly baseline can be frozen, but not both
    assert!(codes[0] != 0 || codes[1] != 0, "{codes:?}");
    let length = room.json("data/room/verify/energy_cost.json")["length"].clone();
    let accepted = codes.iter().filter(|c| **c == 0).count();
    assert_eq!(room.text("data/room/verify/ledger.jsonl").lines().count(), accepted);
    let day = if length == "day" { "day" } else { "hour" };
    verify(&room, &["--interval", day]).expect(if length == "step" { 65 } else { 0 });
}

#[test]
fn unusual_weeks_are_named_unless_they_are_events() {
    let room = Room::new();
    // a heater was tested for two days in each period: 14 and 15 February, 10 and 11 April
    write_log(&room.log_file(), &log(|day| if [44, 45, 100, 101].contains(&day) { 3.0 } else { 1.0 }).0);
    let found = verify(&room, &["--json"]).expect(0).document();
    let warnings = found["warnings"].to_string();
    for text in
        ["from 2024-02-12 to 2024-02-18 in the baseline period", "from 2024-04-08 to 2024-04-14 in the reporting"]
    {
        assert!(warnings.contains(text) && warnings.contains("[[event]]"), "{text}: {warnings}");
    }
    std::fs::remove_dir_all(room.path("data/room/verify")).unwrap();
    let event = |period: &str| format!("[[event]]\nperiod = \"{period}\"\nreason = \"test of a heater\"\n");
    room.write("events.toml", &(event("2024-02-14..2024-02-15") + &event("2024-04-10..2024-04-11")));
    let found = verify(&room, &["--json", "--events", "events.toml"]).expect(0).document();
    assert!(!found["warnings"].to_string().contains("usual level"), "{}", found["warnings"]);
}

#[test]
fn holidays_are_treated_as_sundays() {
    let room = Room::new();
    // holidays on Fridays and Mondays; one of them is in the reporting period
    let free = [4, 18, 32, 46, 60, 74, 91];
    write_log(&room.log_file(), &log_with_holidays(|_| 1.0, |day| free.contains(&day)).0);
    let cv = |found: &Value| found["statistics"]["cv_rmse"].as_f64().unwrap();
    let daily = ["--interval", "day", "--json"];
    let without = verify(&room, &daily).expect(0).document();
    std::fs::remove_dir_all(room.path("data/room/verify")).unwrap();
    let list: Vec<String> = free
        .iter()
        .map(|d| {
            format!(
                "\"{}\"",
                "2024-01-01".parse::<jiff::civil::Date>().unwrap().saturating_add(jiff::Span::new().days(*d as i64))
            )
        })
        .collect();
    let file = |dates: &[String]| room.write("events.toml", &format!("holidays = [{}]\n", dates.join(", ")));
    file(&list);
    let events: Vec<&str> = daily.iter().chain(&["--events", "events.toml"]).copied().collect();
    let with = verify(&room, &events).expect(0).document();
    assert!(cv(&with) < 0.8 * cv(&without), "{} {}", cv(&with), cv(&without));
    // one of the holidays is in the reporting period
    assert_eq!(
        (with["holidays"].as_array().unwrap().len(), with["frozen"]["holidays"].as_array().unwrap().len()),
        (7, 6)
    );
    // a holiday of the reporting period can be added later, but not one of the baseline period
    file(&list[..6]);
    verify(&room, &events).expect(0);
    file(&list[1..]);
    let text: Vec<&str> = events.iter().filter(|w| **w != "--json").copied().collect();
    verify(&room, &text).expect(65).says(&["the holidays in the baseline period"]);
}
