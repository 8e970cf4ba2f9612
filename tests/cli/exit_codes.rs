//! Tests of the exit codes for each kind of error.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::room::{Columns, Ended, ROWS, Room, log, white_noise};
use crate::{champion, codes};
use twinopt::Lock;

#[test]
fn wrong_usage_exits_with_2() {
    let room = Room::new();
    room.run(&["frobnicate"]).expect(2).says(&["frobnicate"]);
    room.run(&[]).expect(2);
    room.run(&["run"]).expect(2);
    room.run(&["run", "scenarios/room", "--jobs", "0"]).expect(2);
    room.run(&["fit", "data/room", "--device", "cuda"]).expect(2).says(&["--device auto"]);
    room.run(&["schedule", "data/room", "--at", "25:00", "--cron"]).expect(2).says(&["--at"]);
    room.run(&["models", "data/room", "rollback"]).expect(2).says(&["no earlier"]);
    room.run(&["models", "data/room", "show"]).expect(2).says(&["twinopt fit"]);
    room.run(&["--help"]).expect(0);
    room.run(&["--version"]).expect(0);
}

#[test]
fn a_model_without_skill_exits_with_3_and_is_no_champion() {
    let room = Room::with(&white_noise());
    room.run(&["fit", "data/room"]).expect(3).says(&["attention: ", "no champion", "hold-out", "inspect"]);
    assert_eq!(champion(&room), "none");
    room.run(&["run", "scenarios/room"]).expect(3).says(&["hold-out"]);
    assert!(!room.path("reports/room/index.html").exists());
    room.run(&["retrain", "data/room"]).expect(3).says(&["champion unchanged"]);
    room.run(&["status"]).expect(3).says(&["room (no model)"]);
}

#[test]
fn bad_data_exits_with_65() {
    let mut gappy: Columns = log(ROWS, ROWS, 0.35);
    gappy[0].1.iter_mut().skip(1).step_by(2).for_each(|v| *v = f64::NAN);
    let room = Room::with(&gappy);
    room.run(&["fit", "data/room"]).expect(65).says(&["room_temp", "log.completeness"]);
    room.run(&["retrain", "data/room"]).expect(65).says(&["room_temp", "champion unchanged"]);

    let room = Room::new();
    room.edit("scenarios/room/cold.toml", "2024-02-22", "2025-02-22");
    room.run(&["run", "scenarios/room"]).expect(65).says(&["cold", "the log", "move `start`"]);
    assert_eq!(codes(&room), [("cold".into(), 65), ("planned".into(), 0), ("winter".into(), 0)]);

    let intact = room.read("data/room/log/room.parquet");
    for (what, bytes) in
        [("half", &intact[..intact.len() / 2]), ("text", b"timestamp,room_temp_c\n".as_slice()), ("empty", b"")]
    {
        std::fs::write(room.log_file(), bytes).unwrap();
        for verb in ["fit", "inspect", "retrain"] {
            let ended = room.run(&[verb, "data/room"]).says(&["room.parquet"]);
            assert!(ended.code == Some(65), "{what} {verb}: {ended:?}");
        }
        room.run(&["run", "scenarios/room"]).expect(65).says(&["room.parquet"]);
    }
    // the log is damaged in the middle of the file
    let mut damaged = intact.clone();
    let half = damaged.len() / 2;
    damaged[100..half].iter_mut().for_each(|b| *b ^= 0x5a);
    std::fs::write(room.log_file(), &damaged).unwrap();
    room.run(&["fit", "data/room"]).expect(65).says(&["room.parquet"]);
}

#[test]
fn missing_input_exits_with_66() {
    let room = Room::new();
    room.run(&["run", "scenarios/room/wintr.toml"]).expect(66).says(&["did you mean `winter.toml`"]);
    std::fs::write(room.path("README.md"), "# Room\n\nThis is *not* a twin.\n").unwrap();
    let ended = room.run(&["check", "README.md"]).expect(66).says(&["README.md", "not a twin or scenario file"]);
    assert_eq!(ended.stderr.trim().lines().count(), 1, "{ended:?}");
    room.run(&["fit", "data/rom"]).expect(66).says(&["rom"]);
    room.run(&["report", "reports/room"]).expect(66).says(&["twinopt run"]);
    room.run(&["schedule", "data/room", "--cron", "--run", "scenarios/rom"]).expect(66);
    std::fs::remove_file(room.log_file()).unwrap();
    room.run(&["fit", "data/room"]).expect(66).says(&["log"]);
}

#[test]
fn unwritable_output_exits_with_73_or_74() {
    let room = Room::fitted();
    std::fs::write(room.path("reports"), "in the way").unwrap();
    let ended = room.run(&["run", "scenarios/room"]).says(&["reports"]);
    assert!([Some(73), Some(74)].contains(&ended.code), "{ended:?}");
    std::fs::remove_dir_all(room.path("models")).unwrap();
    std::fs::write(room.path("models"), "in the way").unwrap();
    let ended = room.run(&["fit", "data/room"]).says(&["models"]);
    assert!([Some(73), Some(74)].contains(&ended.code), "{ended:?}");
    if Path::new("/dev/full").exists() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let child = room.command(&["inspect", "data/room"]).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        Ended::from(child.wait_with_output().unwrap()).expect(74).says(&["standard output"]);
    }
}

#[test]
fn a_plant_in_use_exits_with_75_at_once() {
    let room = Room::new();
    let held = Lock::take(&room.path("models/room"), "retrain").unwrap();
    let this_process = format!("process {}", std::process::id());
    for args in [["fit", "data/room"], ["retrain", "data/room"], ["run", "scenarios/room"]] {
        let clock = Instant::now();
        room.run(&args).expect(75).says(&[this_process.as_str(), "try again"]);
        assert!(clock.elapsed() < Duration::from_secs(2), "{args:?}: {:?}", clock.elapsed());
    }
    drop(held);
    room.run(&["fit", "data/room", "--quiet"]).expect(0);
    let _held = Lock::take(&room.path("reports/room/.parts"), "run").unwrap();
    room.run(&["run", "scenarios/room"]).expect(75).says(&[this_process.as_str()]);
}

#[test]
fn faults_in_the_configuration_exit_with_78() {
    let room = Room::new();
    room.edit("data/room/twin.toml", "max_move", "max_mov");
    for args in [["check", "data/room"], ["fit", "data/room"], ["retrain", "data/room"], ["run", "scenarios/room"]] {
        room.run(&args).expect(78).says(&["twin.toml:", "max_move", "help:"]);
    }
}

#[test]
fn a_plant_whose_name_is_a_path_is_refused_by_every_verb() {
    let room = Room::new();
    room.edit("data/room/twin.toml", "\"room\"", "\"../room\"");
    for args in [
        &["models", "data/room", "list"][..],
        &["schedule", "data/room", "--systemd"],
        &["status", "data/room"],
        &["report", "data/room"],
        &["check", "data/room"],
        &["fit", "data/room"],
    ] {
        let ended = room.run(args).expect(78).says(&["twin.toml:2:", "cannot be the name of a plant", "help:"]);
        assert_eq!(ended.stderr.matches("cannot be the name").count(), 1, "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn check_finds_scenarios_with_the_same_name() {
    let room = Room::new();
    room.write("scenarios/room/more/winter.toml", &room.text("scenarios/room/winter.toml"));
    room.run(&["check"]).expect(78).says(&["winter.toml", "has the same name", "rename"]);
    // a file that is listed twice is used only once
    std::fs::remove_dir_all(room.path("scenarios/room/more")).unwrap();
    room.run(&["check", "scenarios/room", "./scenarios/room"]).expect(0);
    let dry = room.run(&["run", "scenarios/room", "./scenarios/room/cold.toml", "--dry-run"]).expect(0);
    assert_eq!(dry.stdout.trim(), "room: cold, planned, winter");
}
