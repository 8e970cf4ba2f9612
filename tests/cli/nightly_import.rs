//! `retrain` of a plant with an import.toml, with scripts in place of the program `twinopt-import`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::champion;
use crate::room::{Ended, ROWS, Room, log, write_recent_log};

/// A plant with an import.toml, and a folder that contains a copy of the binary and a program `twinopt-import`.
struct Imported {
    room: Room,
    binary: PathBuf,
}

impl Imported {
    fn new() -> Self {
        let room = Room::new();
        write_recent_log(&room.log_file(), &log(ROWS, ROWS, 0.35));
        room.write("data/room/import.toml", "[[source]]\nfrom = \"s3://bucket/site=7/\"\n");
        let binary = room.path("bin/twinopt");
        std::fs::create_dir_all(room.path("bin")).unwrap();
        std::fs::copy(env!("CARGO_BIN_EXE_twinopt"), &binary).unwrap();
        Self { room, binary }
    }

    fn with(script: &str) -> Self {
        let plant = Self::new();
        plant.script(script);
        plant
    }

    /// Replaces the program `twinopt-import` with a shell script.
    fn script(&self, script: &str) {
        self.room.write("bin/twinopt-import", &format!("#!/bin/sh\n{script}\n"));
        let program = self.room.path("bin/twinopt-import");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn retrain(&self, more: &[&str]) -> Ended {
        let mut command = Command::new(&self.binary);
        command.current_dir(&self.room.root).args(["retrain", "data/room"]).args(more);
        Ended::of(command.env("PATH", "/usr/bin:/bin"))
    }

    /// The last record of the history.
    fn night(&self) -> Value {
        let text = self.room.text("models/room/history.jsonl");
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    }
}

#[test]
fn a_night_takes_the_rows_that_the_import_adds() {
    let plant =
        Imported::with("echo \"$@\" > arguments; cp new.parquet data/room/log/room.parquet; echo imported; echo two");
    write_recent_log(&plant.room.path("new.parquet"), &log(ROWS + 48, ROWS, 0.35));
    let ended = plant.retrain(&[]).expect(0);
    assert_eq!(plant.room.text("arguments"), "import data/room --json\n");
    assert!(!ended.stdout.contains("imported"), "{ended:?}");
    assert_eq!(plant.night()["rows"], ROWS + 48);
    // what the import says is shown and recorded
    assert!(ended.stderr.contains("import: imported\nimport: two\n"), "{ended:?}");
    assert_eq!(plant.night()["import"], serde_json::json!(["imported", "two"]));
    // nothing new
    plant.retrain(&[]).expect(0).prints(&["nothing new"]);
}

#[test]
fn a_failed_import_is_recorded_and_the_champion_stays() {
    let plant = Imported::with("exit 0");
    plant.retrain(&[]).expect(0);
    let one = champion(&plant.room);
    for (script, code, outcome, text) in [
        (
            "echo 'error: cannot read s3://bucket/site=7/: access is denied' >&2; exit 66",
            66,
            "failed",
            "access is denied",
        ),
        (r#"echo '{"error": "a.csv is gone", "exit_code": 78}'; exit 78"#, 66, "failed", "a.csv is gone"),
        ("echo 'error: a.csv: line 3 has more fields' >&2; exit 65", 65, "refused_data", "line 3 has more fields"),
        ("echo 'error: 2024-01.parquet has 9 rows' >&2; exit 2", 66, "failed", "has 9 rows"),
        (
            "mkdir twinopt-import-x; printf '\\035twinopt-import-x\\n\\037b.parquet\\n' >&2; kill -KILL $$",
            65,
            "refused_data",
            "b.parquet: the program",
        ),
    ] {
        plant.script(script);
        plant.retrain(&[]).expect(code).says(&[text, "champion unchanged", "import.toml"]);
        let night = plant.night();
        assert_eq!((&night["outcome"], &night["exit_code"]), (&Value::from(outcome), &Value::from(code)), "{script}");
        assert!(night["reason"].as_str().unwrap().contains(text), "{night:#}");
        plant.room.run(&["status"]).expect(3).says(&["room (failed)"]);
    }
    assert!(!plant.room.path("twinopt-import-x").exists(), "the temporary folder of a killed import is removed");
    plant.script("printf '\\037b.parquet\\n' >&2; kill -TERM $$");
    plant.retrain(&[]).expect(130).says(&["interrupted"]);
    assert_eq!(plant.night()["outcome"], "failed");
    assert_eq!(champion(&plant.room), one);
    // the log is still usable
    plant.retrain(&["--no-import"]).expect(0).prints(&["nothing new"]);
    plant.room.run(&["status"]).expect(0);
}

#[test]
fn a_missing_program_is_a_failed_night() {
    let plant = Imported::new();
    plant.retrain(&[]).expect(66).says(&["twinopt-import", "cargo build --release -p twinopt-import", "--no-import"]);
    assert_eq!(plant.night()["outcome"], "failed");
    plant.retrain(&["--no-import"]).expect(0);
}

#[test]
fn the_progress_of_an_import_is_shown_as_stages() {
    let stages = r"printf '\0360\t0\tlisting s3://b\n\0365\t10\tdownloading\nplain line\n' >&2; sleep 3; exit 0";
    let plant = Imported::with(stages);
    let ended = plant.retrain(&[]).expect(0);
    assert!(ended.stderr.lines().any(|l| l == "downloading"), "{ended:?}");
    assert!(!ended.stderr.contains('\u{1e}') && !ended.stderr.contains("plain line"), "{ended:?}");
    // `import` shows no progress in the first two seconds, but it passes on all other lines
    let import = Ended::of(Command::new(&plant.binary).args(["import", "data/room"]).current_dir(&plant.room.root));
    let import = import.expect(0).says(&["downloading: 50 %", "plain line"]);
    assert!(!import.stderr.contains('\u{1e}'), "{import:?}");
    let quiet = Command::new(&plant.binary).args(["import", "data/room", "-q"]).current_dir(&plant.room.root).output();
    let quiet = Ended::from(quiet.unwrap()).expect(0);
    assert_eq!(quiet.stderr, "plain line\n");
}
