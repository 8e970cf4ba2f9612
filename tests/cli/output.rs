//! Tests of the text printed by commands and of the files that they write.

use crate::room::{ROWS, Room, log, write_log};

#[test]
fn json_output_of_every_command_is_one_document_with_a_version() {
    let room = Room::new();
    let export = room.log_file();
    let runs: [(&[&str], i32); 17] = [
        (&["init", "data/fresh", "--log", export.to_str().unwrap()], 0),
        (&["check", "data/room"], 0),
        (&["inspect", "data/room"], 0),
        (&["fit", "data/room", "--dry-run"], 0),
        (&["fit", "data/room"], 0),
        (&["run", "scenarios/room", "--dry-run"], 0),
        (&["run", "scenarios/room"], 0),
        (&["report", "reports/room"], 0),
        (&["report", "diff", "reports/room", "reports/room"], 0),
        (&["retrain", "data/room"], 0),
        (&["models", "data/room", "list"], 0),
        (&["models", "data/room", "show"], 0),
        (&["models", "data/room", "verify"], 0),
        (&["models", "data/room", "rollback"], 2),
        (&["schedule", "data/room", "--cron"], 0),
        (&["status", "data/room"], 3),
        (&["run", "scenarios/none"], 66),
    ];
    for (args, code) in runs {
        let ended = room.run(&[args, &["--json"]].concat()).expect(code);
        let document = ended.document();
        assert!(code == 0 || code == 3 || document["exit_code"] == code, "{args:?}: {document:#}");
    }
    room.edit("scenarios/room/cold.toml", "heat\"", "heet\"");
    let ended = room.run(&["check", "--json"]).expect(78);
    assert_eq!(ended.document()["errors"], 1);
    assert!(ended.stderr.is_empty(), "{}", ended.stderr);
}

#[test]
fn quiet_runs_print_nothing() {
    let room = Room::new();
    for args in [
        &["check"][..],
        &["fit", "data/room", "--dry-run"],
        &["fit", "data/room"],
        &["run", "scenarios/room", "--dry-run"],
        &["run", "scenarios/room"],
        &["report", "reports/room"],
    ] {
        let ended = room.run(&[args, &["--quiet"]].concat()).expect(0);
        assert!(ended.stdout.is_empty() && ended.stderr.is_empty(), "{args:?}: {ended:?}");
    }
    // errors are printed even with `--quiet`
    room.edit("scenarios/room/cold.toml", "2024-02-22", "2025-02-22");
    let ended = room.run(&["run", "scenarios/room", "--quiet"]).expect(65).says(&["cold"]);
    assert!(ended.stdout.is_empty());
}

#[test]
fn read_only_commands_write_nothing() {
    let room = Room::fitted();
    room.run(&["run", "scenarios/room", "--quiet"]).expect(0);
    let before = room.everything();
    room.run(&["fit", "data/room", "--dry-run"]).expect(0);
    let dry = room.run(&["run", "scenarios/room", "--dry-run"]).expect(0);
    assert_eq!(dry.stdout.trim(), "room: cold, planned, winter");
    for args in [
        &["check"][..],
        &["inspect", "data/room"],
        &["models", "data/room", "list"],
        &["models", "data/room", "show"],
        &["models", "data/room", "verify"],
        &["report", "diff", "reports/room", "reports/room"],
        &["schedule", "data/room", "--systemd"],
    ] {
        room.run(args).expect(0);
    }
    room.run(&["status"]).expect(3);
    room.run(&["models", "data/room", "rollback"]).expect(2);
    let after = room.everything();
    let touched: Vec<_> = after.iter().filter(|(p, b)| before.get(*p) != Some(*b)).map(|(p, _)| p).collect();
    assert!(touched.is_empty() && before.len() == after.len(), "{touched:?}");

    let fresh = Room::new();
    let before = fresh.everything();
    fresh.run(&["fit", "data/room", "--dry-run"]).expect(0);
    fresh.run(&["run", "scenarios/room", "--dry-run"]).expect(0);
    fresh.edit("scenarios/room/cold.toml", "heat\"", "heet\"");
    fresh.run(&["run", "scenarios/room", "--dry-run"]).expect(78).says(&["heet"]);
    assert_eq!(fresh.everything().len(), before.len());
}

#[test]
fn inspect_states_which_controls_the_log_identifies() {
    let room = Room::new();
    room.run(&["inspect", "data/room"]).expect(0).prints(&["heat                 identified"]);
    let mut columns = log(ROWS, ROWS, 0.35);
    let outdoor = columns[3].1.clone();
    columns[2].1.iter_mut().zip(&outdoor).for_each(|(heat, outdoor)| *heat = (6.0 - 0.3 * outdoor).clamp(0.0, 8.0));
    write_log(&room.log_file(), &columns);
    room.run(&["inspect", "data/room"]).expect(0).prints(&["heat                 not identified", "`outdoor_temp`"]);
    let found = room.run(&["inspect", "data/room", "--json"]).expect(0).document();
    assert_eq!(
        (&found["identification"][0]["control"], &found["identification"][0]["level"]),
        (&"heat".into(), &"not_identified".into())
    );
}
