//! Tests of logs whose times have no time zone or are not dates, and of logs without a control.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, TimestampMillisecondArray};

use crate::room::{HOUR_MS, ROWS, Room, START_MS, log, write_columns};

/// Drafts the twin of the room from a log with the time column `time`. Returns the project and the output of `init`.
fn draft(name: &str, time: ArrayRef, with_control: bool, options: &[&str]) -> (Room, String) {
    let room = Room::new();
    let mut columns = vec![(name, time)];
    let of = |v: Vec<f64>| -> ArrayRef { Arc::new(Float64Array::from(v)) };
    let signals = log(ROWS, ROWS, 0.35).into_iter().filter(|(name, _)| with_control || *name != "heater_kw");
    columns.extend(signals.map(|(name, v)| (if name == "heater_kw" { "heater_setpoint_kw" } else { name }, of(v))));
    let file = room.path("export.parquet");
    write_columns(&file, &columns);
    let args = [&["init", "data/plant", "--log", file.to_str().unwrap()], options].concat();
    let out = room.run(&args).expect(0).stdout;
    (room, out)
}

fn local() -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from_iter_values((0..ROWS as i64).map(|k| START_MS + k * HOUR_MS)))
}

#[test]
fn a_missing_time_zone_is_stated_until_it_is_given() {
    let (room, out) = draft("timestamp", local(), true, &[]);
    assert!(out.contains("have no time zone and are read as UTC") && out.contains("--timezone Europe/Berlin"), "{out}");
    let twin = room.text("data/plant/twin.toml");
    assert!(twin.contains("\n# timezone = \"UTC\"    # the times in the log have no time zone"), "{twin}");
    let stated = ["time-zone", "read as UTC", "timezone = \"Europe/Berlin\""];
    room.run(&["check", "data/plant"]).expect(0).says(&stated);
    room.run(&["fit", "data/plant"]).expect(0).says(&stated);
    room.edit("data/plant/twin.toml", "\n# timezone = \"UTC\"", "\ntimezone = \"UTC\"");
    let confirmed = room.run(&["check", "data/plant"]).expect(0);
    assert!(!confirmed.stderr.contains("time-zone"), "{}", confirmed.stderr);
    // a time zone other than UTC must also be given for the log
    room.edit("data/plant/twin.toml", "\ntimezone = \"UTC\"", "\ntimezone = \"Europe/Berlin\"");
    room.run(&["check", "data/plant"]).expect(78).says(&["have no time zone"]);

    let (room, out) = draft("timestamp", local(), true, &["--timezone", "Europe/Berlin"]);
    assert!(!out.contains("time zone"), "{out}");
    let twin = room.text("data/plant/twin.toml");
    assert_eq!(twin.matches("timezone = \"Europe/Berlin\"    # guess").count(), 2, "{twin}");
    let checked = room.run(&["check", "data/plant"]).expect(0);
    assert!(!checked.stderr.contains("time-zone"), "{}", checked.stderr);
    let wrong = room.command(&["init", "data/x", "--log", "export.parquet", "--timezone", "Berlin"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn times_that_are_not_dates_are_stated_everywhere() {
    let hours: ArrayRef = Arc::new(Float64Array::from_iter_values((0..ROWS).map(|k| k as f64)));
    let (room, out) = draft("hour", hours, true, &[]);
    assert!(out.contains("the times in `hour` are not dates"), "{out}");
    let said = ["relative-times", "hours since 1970", "weekdays and seasons"];
    room.run(&["check", "data/plant"]).expect(0).says(&said);
    room.run(&["run", "scenarios/plant"]).expect(0).says(&said);
    let page = room.text("reports/plant/index.html");
    assert!(page.contains("The times of the log are not dates."), "{page}");
    // 1,500 hours end at noon of day 63
    let data = "day 1 to day 63, 12:00 (counted from the start)";
    assert!(page.replace('\u{a0}', " ").contains(data), "{data} is not on the page");
    assert!(!page.contains("1970 ") && !page.contains("Jan 1970"), "the page must not show invented dates");
    let scenario = room.text("scenarios/plant/first.toml");
    let by_weekday = "\n[case.week]\ncontroller.schedule = { heater_setpoint = [{ at = \"00:00\", days = \"mon\", value = 3.0 }] }\n";
    room.write("scenarios/plant/first.toml", &(scenario + by_weekday));
    room.run(&["check", "scenarios/plant"]).expect(78).says(&["depends on the weekday", "not dates"]);
}

#[test]
fn a_log_without_a_control_gives_a_report_that_says_what_it_can_answer() {
    let (room, out) = draft("timestamp", local(), false, &["--timezone", "UTC"]);
    assert!(out.contains("no column looks like a control"), "{out}");
    room.run(&["run", "scenarios/plant"]).expect(0);
    let page = room.text("reports/plant/index.html");
    assert!(page.contains("the twin has no control") && page.contains("it can only forecast"), "{page}");
}
