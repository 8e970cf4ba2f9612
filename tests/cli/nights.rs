//! Tests of the outcomes of `retrain`, of the history and of `status`.

use std::time::Duration;

use serde_json::Value;

use crate::room::{Columns, Ended, ROWS, Room, log, write_log, write_recent_log};
use crate::{champion, flip};

/// A room whose log ends at the present hour.
fn recent() -> Room {
    let room = Room::new();
    write_recent_log(&room.log_file(), &log(ROWS, ROWS, 0.35));
    room
}

/// The outcome and the exit code of every night.
fn history(room: &Room) -> Vec<(String, u64)> {
    let text = room.text("models/room/history.jsonl");
    let nights = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    nights.map(|n| (n["outcome"].as_str().unwrap().to_owned(), n["exit_code"].as_u64().unwrap())).collect()
}

fn retrain(room: &Room) -> Ended {
    room.run(&["retrain", "data/room"])
}

#[test]
fn a_failed_night_after_a_good_one_is_reported_until_it_is_repaired() {
    let room = recent();
    retrain(&room).expect(0);
    let one = champion(&room);
    room.run(&["status"]).expect(0);
    // the next log file is truncated
    let whole = room.read("data/room/log/room.parquet");
    room.write("data/room/log/more.parquet", "");
    std::fs::write(room.path("data/room/log/more.parquet"), &whole[..whole.len() / 2]).unwrap();
    retrain(&room).expect(65).says(&["more.parquet", "champion unchanged"]);
    let status = room.run(&["status"]).expect(3).says(&["room (failed)"]).stdout;
    assert!(status.contains("refused: data") && status.contains("more.parquet"), "{status}");
    let document = room.run(&["status", "--json"]).expect(3).document();
    let plant = &document["plants"][0];
    assert_eq!((&plant["good"], &plant["champion"]), (&Value::from(false), &Value::from(one.as_str())));
    assert_eq!(plant["last"]["outcome"], "refused_data");
    assert!(plant["last_good"].as_str() <= plant["last"]["at"].as_str(), "{plant:#}");
    // the repaired log has no new rows
    std::fs::remove_file(room.path("data/room/log/more.parquet")).unwrap();
    assert!(retrain(&room).expect(0).stdout.contains("nothing new"));
    room.run(&["status"]).expect(0);
    // a night without a log counts as failed
    std::fs::remove_file(room.log_file()).unwrap();
    retrain(&room).expect(66);
    room.run(&["status"]).expect(3);
    let expected = [("first", 0), ("refused_data", 65), ("nothing_new", 0), ("failed", 66)];
    assert_eq!(history(&room), expected.map(|(outcome, code)| (outcome.to_owned(), code)));
    assert_eq!(champion(&room), one);
}

/// Appends rows in which the room temperature is logged in degF.
fn in_fahrenheit(rows: usize) -> Columns {
    let mut columns = log(ROWS + rows, ROWS + rows, 0.35);
    columns[0].1[ROWS..].iter_mut().for_each(|v| *v = 1.8 * *v + 32.0);
    columns
}

#[test]
fn a_night_with_values_in_another_unit_is_refused_until_a_person_accepts_them() {
    let room = Room::new();
    retrain(&room).expect(0);
    let one = champion(&room);
    write_log(&room.log_file(), &in_fahrenheit(7 * 24));
    retrain(&room).expect(65).says(&["room_temp", "degF", "champion unchanged", "twinopt fit"]);
    retrain(&room).expect(65).says(&["room_temp"]);
    assert_eq!(champion(&room), one);
    assert_eq!(std::fs::read_dir(room.path("models/room/versions")).unwrap().count(), 1);
    // the same rows in the right unit are accepted
    write_log(&room.log_file(), &log(ROWS + 7 * 24, ROWS, 0.35));
    retrain(&room).expect(0);
}

#[test]
fn a_gate_that_can_never_open_is_a_fault_and_needs_attention() {
    let room = Room::fitted();
    room.edit("data/room/twin.toml", "blocks  = \"14d\"", "blocks  = \"4d\"");
    // 183 h are the sum of 7 blocks of 24 h, 2 horizons of 6 h, 2 lags and 1 step
    room.run(&["check", "data/room"]).expect(78).says(&[
        "8 blocks of 1d",
        "183h",
        "4d",
        "blocks = \"8d\"",
        "twin.toml:",
    ]);
    retrain(&room).expect(3).says(&["can never open", "4d", "blocks = \"8d\"", "champion unchanged"]);
    assert_eq!(history(&room).last().unwrap(), &("needs_attention".to_owned(), 3));
    // `inspect` and `run` also work with settings under which no model can be promoted
    room.run(&["inspect", "data/room"]).expect(0);
    room.run(&["run", "scenarios/room/cold.toml"]).expect(0);
    room.edit("data/room/twin.toml", "blocks  = \"4d\"", "blocks  = \"8d\"");
    room.run(&["check", "data/room"]).expect(0);
    // a log of 1500 h is too short for blocks of 63 days
    room.edit("data/room/twin.toml", "blocks  = \"8d\"", "blocks  = \"63d\"");
    room.edit("data/room/twin.toml", "window  = \"35d\"", "window  = \"90d\"");
    room.run(&["check", "data/room"]).expect(78).says(&["cannot open on this log", "62d", "blocks = \"8d\""]);
}

#[test]
fn drift_of_the_plant_needs_attention() {
    let room = Room::new();
    retrain(&room).expect(0);
    let one = champion(&room);
    // in the newest 14 days, the sensor is ten times as noisy, which a model fitted to older rows cannot predict
    let mut columns = log(ROWS + 15 * 24, ROWS, 0.35);
    let mut noise = crate::room::Noise::new(5);
    columns[0].1[ROWS + 24..].iter_mut().for_each(|v| *v += 1.5 * noise.normal());
    write_log(&room.log_file(), &columns);
    retrain(&room).expect(3).says(&["needs attention", "drift", "90 % intervals cover only", "inspect"]);
    // while there are no new rows, the alarm is repeated and nothing is fitted
    retrain(&room).expect(3).says(&["drift", "nothing new"]);
    assert_eq!(champion(&room), one);
    assert_eq!(std::fs::read_dir(room.path("models/room/versions")).unwrap().count(), 2);
}

#[test]
fn a_champion_older_than_max_age_needs_attention() {
    let room = recent();
    room.edit("data/room/twin.toml", "blocks  = \"14d\"", "blocks  = \"14d\"\nmax_age = \"1s\"");
    retrain(&room).expect(0);
    std::thread::sleep(Duration::from_millis(2_100));
    retrain(&room).expect(3).says(&["nothing new", "max_age` is 1s"]);
    room.run(&["status"]).expect(3).says(&["room (failed)"]);
    room.edit("data/room/twin.toml", "max_age = \"1s\"", "max_age = \"1d\"");
    retrain(&room).expect(0);
    room.run(&["status"]).expect(0);
}

#[test]
fn status_judges_the_champion_the_last_night_and_the_log() {
    let room = recent();
    room.run(&["status"]).expect(3).says(&["room (no model)"]);
    // a successful fit counts as a good outcome
    room.run(&["fit", "data/room", "--quiet"]).expect(0);
    let good = room.run(&["status"]).expect(0).stdout;
    assert!(good.contains("good") && good.contains("fitted") && !good.contains("never"), "{good}");
    assert!(retrain(&room).expect(0).stdout.contains("nothing new"));
    std::thread::sleep(Duration::from_millis(2_100));
    let kinds = |args: &[&str], code: i32| -> Vec<String> {
        let document = room.run(&[args, &["--json"]].concat()).expect(code).document();
        let problems = document["plants"][0]["problems"].as_array().unwrap().iter();
        problems.map(|p| p["kind"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds(&["status", "--max-age", "1s"], 3), ["old-log", "old-night"]);
    assert!(kinds(&["status", "data/room", "--prometheus", "metrics.prom"], 0).is_empty());
    let metrics = room.text("metrics.prom");
    for line in [
        "twinopt_good{plant=\"room\"} 1",
        "twinopt_last_exit_code{plant=\"room\"} 0",
        "twinopt_last_rows{plant=\"room\"} 1500",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line}: {metrics}");
    }
    room.run(&["status", "data/nosuch"]).expect(66).says(&["nosuch"]);

    // a log that ended years ago
    write_log(&room.log_file(), &log(ROWS, ROWS, 0.35));
    assert_eq!(kinds(&["status"], 3), ["old-log"]);
    write_recent_log(&room.log_file(), &log(ROWS, ROWS, 0.35));
    // a champion that no command would use
    room.edit("data/room/twin.toml", "lags    = 2", "lags    = 3");
    assert_eq!(kinds(&["status"], 3), ["unusable"]);
    room.edit("data/room/twin.toml", "lags    = 3", "lags    = 2");
    assert!(kinds(&["status"], 0).is_empty());
    // faults in twin.toml
    room.edit("data/room/twin.toml", "lags    = 2", "lgs    = 2");
    assert_eq!(kinds(&["status"], 3), ["configuration"]);
    room.edit("data/room/twin.toml", "lgs    = 2", "lags    = 2");
    flip(&room, &format!("models/room/versions/{}/model.bin", champion(&room)));
    let damaged = room.run(&["status"]).expect(3).says(&["room (unusable)"]).stdout;
    assert!(damaged.contains("damaged"), "{damaged}");
}

#[test]
fn logs_outside_the_project_and_pipes_are_refused() {
    let room = Room::new();
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("room.parquet");
    std::fs::rename(room.log_file(), &file).unwrap();
    room.edit("data/room/twin.toml", "log/*.parquet", file.to_str().unwrap());
    room.run(&["inspect", "data/room"]).expect(66).says(&["outside the project", "TWINOPT_LOG_FOLDERS="]);
    room.run(&["check", "data/room"]).expect(78).says(&["outside the project", "TWINOPT_LOG_FOLDERS="]);
    let listed = Ended::of(room.command(&["inspect", "data/room"]).env("TWINOPT_LOG_FOLDERS", outside.path()));
    listed.expect(0);
    // `init` copies the log that the user names, wherever it is
    room.run(&["init", "data/fresh", "--log", file.to_str().unwrap()]).expect(0);
    // an attempt to open a pipe would never return
    let pipe = room.path("data/room/pipe.parquet");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    room.edit("data/room/twin.toml", file.to_str().unwrap(), "*");
    room.run(&["inspect", "data/room"]).expect(66).says(&["pipe.parquet", "not a regular file"]);
    room.run(&["init", "data/other", "--log", pipe.to_str().unwrap()]).expect(66).says(&["not a regular file"]);
}
