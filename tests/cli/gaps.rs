//! Tests of logs in which a file is missing, weeks are copied or all values follow a timetable.

use serde_json::Value;

use crate::room::{Columns, HOUR_MS, ROWS, Room, START_MS, log, write_log_from};

const WEEK: usize = 168;

/// A room whose log has one file per week, without the file of the fourth week (from 2024-01-22 to 2024-01-29).
fn without_fourth_week() -> Room {
    let room = Room::new();
    std::fs::remove_file(room.log_file()).unwrap();
    let columns = log(ROWS, ROWS, 0.35);
    for week in (0..ROWS.div_ceil(WEEK)).filter(|week| *week != 3) {
        let rows = week * WEEK..ROWS.min((week + 1) * WEEK);
        let part: Columns = columns.iter().map(|(name, v)| (*name, v[rows.clone()].to_vec())).collect();
        write_log_from(
            &room.path(&format!("data/room/log/{week}.parquet")),
            &part,
            START_MS + (week * WEEK) as i64 * HOUR_MS,
        );
    }
    room
}

/// The file name, line, code, message and help of each fault and warning that has one of `codes`.
fn found(room: &Room, codes: &[&str]) -> Vec<(String, u64, String, String)> {
    let out = room.command(&["check", "--json"]).output().unwrap();
    let document: Value = serde_json::from_slice(&out.stdout).unwrap();
    let faults = document["faults"].as_array().unwrap().iter();
    let text = |f: &Value, key: &str| f[key].as_str().unwrap().to_owned();
    let selected = faults.filter(|f| codes.contains(&f["code"].as_str().unwrap()));
    selected.map(|f| (text(f, "file"), f["line"].as_u64().unwrap(), text(f, "message"), text(f, "help"))).collect()
}

#[test]
fn a_missing_file_is_named() {
    let room = without_fourth_week();
    let all = found(&room, &["long-gap"]);
    let [(file, 4, message, _)] = &all[..] else { panic!("{all:?}") };
    assert!(file.ends_with("data/room/twin.toml"), "{file}");
    // 7 days of 1,500 hours
    for part in ["from 2024-01-22T00:00:00Z to 2024-01-29T00:00:00Z", "7 d", "11.2 %", "whole file"] {
        assert!(message.contains(part), "{message}");
    }
    room.run(&["inspect", "data/room"]).expect(0).prints(&["long-gap", "2024-01-22T00:00:00Z … 2024-01-29T00:00:00Z"]);
    assert!(found(&Room::new(), &["long-gap"]).is_empty());
}

#[test]
fn a_scenario_that_starts_in_a_gap_is_a_fault() {
    let room = without_fourth_week();
    // The winter scenario lasts three days, and the twin reads two steps.
    for (start, nearest, cause) in [
        (
            "2024-01-24T00:00:00Z",
            "2024-01-19T00:00:00Z",
            "lies in a gap of the log, from 2024-01-22T00:00:00Z to 2024-01-29",
        ),
        (
            "2024-01-28T00:00:00Z",
            "2024-01-29T01:00:00Z",
            "lies in a gap of the log, from 2024-01-22T00:00:00Z to 2024-01-29",
        ),
        ("2024-01-29T00:00:00Z", "2024-01-29T01:00:00Z", "a gap that ends at 2024-01-29T00:00:00Z"),
    ] {
        let valid = room.text("scenarios/room/winter.toml");
        room.edit("scenarios/room/winter.toml", "2024-02-20T00:00:00Z", start);
        let all = found(&room, &["gap"]);
        let [(file, 4, message, help)] = &all[..] else { panic!("{all:?}") };
        assert!(file.ends_with("winter.toml") && message.contains(cause), "{message}");
        assert!(help.ends_with(&format!("`start = {nearest}`")), "{help}");
        room.write("scenarios/room/winter.toml", &valid.replace("2024-02-20T00:00:00Z", nearest));
        assert!(found(&room, &["gap", "outside-log"]).is_empty());
        room.write("scenarios/room/winter.toml", &valid);
    }
    room.edit("scenarios/room/winter.toml", "2024-02-20T00:00:00Z", "2024-01-24T00:00:00Z");
    room.run(&["run", "scenarios/room/winter.toml"])
        .expect(65)
        .says(&["cannot start in a gap", "2024-01-29T00:00:00Z"]);
}

#[test]
fn a_holdout_that_repeats_the_training_period_is_reported() {
    // the hold-out, which consists of the newest 14 days, repeats the values of 28 days before
    let copied = |rows: usize| {
        let mut columns = log(ROWS, ROWS, 0.35);
        columns.iter_mut().for_each(|(_, v)| v.copy_within(ROWS - 3 * 336..ROWS - 3 * 336 + rows, ROWS - 336));
        found(&Room::with(&columns), &["repeated-holdout"])
    };
    let all = copied(336);
    let [(_, 16, message, _)] = &all[..] else { panic!("{all:?}") };
    assert!(message.starts_with("100 % of the hold-out") && message.contains("mostly 28d earlier"), "{message}");
    // 168 copied rows contain 157 of 325 windows of 12 rows
    let all = copied(168);
    assert!(all[0].2.starts_with("48 % of the hold-out"), "{all:?}");
    assert!(copied(12).is_empty());
}

#[test]
fn a_log_that_repeats_after_the_horizon_is_refused_with_the_reason() {
    // The values repeat after 6 h, which is the horizon.
    let row = |f: &dyn Fn(f64) -> f64| (0..ROWS).map(|k| f((k % 6) as f64)).collect::<Vec<f64>>();
    let columns: [Vec<f64>; 4] =
        [row(&|k| 20.0 + k.sin()), row(&|k| 3.0 + (1.3 * k).cos()), row(&|k| 3.0 + k / 2.0), row(&|k| 5.0 + 0.7 * k)];
    let names = log(1, 1, 0.35).into_iter().map(|c| c.0);
    let room = Room::with(&names.zip(columns).collect());
    room.edit("data/room/twin.toml", ", effects = { heat = \"+\" }", "");
    let ended = room.run(&["fit", "data/room"]).expect(3);
    let ended = ended.says(&["repeat exactly after 6h", "`room_temp`", "timetable", "change `model.horizon`"]);
    assert!(!ended.stderr.contains("no learned signal varies"), "{}", ended.stderr);
}
