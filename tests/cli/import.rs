//! Tests of `twinopt import` with and without the program `twinopt-import`, and of `init` with an imported log.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::room::{Ended, HOUR_MS, ROWS, Room, START_MS, log, write_log, write_log_from};

/// A copy of the binary in a separate folder that does not contain `twinopt-import`.
fn alone(dir: &Path) -> PathBuf {
    let binary = dir.join("twinopt");
    std::fs::copy(env!("CARGO_BIN_EXE_twinopt"), &binary).unwrap();
    binary
}

fn import(binary: &Path, dir: &Path) -> Ended {
    Ended::of(Command::new(binary).args(["import", "data/p", "--from", "a.csv"]).current_dir(dir).env("PATH", ""))
}

#[test]
fn a_missing_program_is_named_with_the_command_that_builds_it() {
    let dir = tempfile::tempdir().unwrap();
    let binary = alone(dir.path());
    import(&binary, dir.path()).expect(66).says(&["twinopt-import", "cargo build --release -p twinopt-import"]);
    // `--help` works without the program `twinopt-import`
    let help = Ended::of(Command::new(&binary).args(["import", "--help"]).env("PATH", ""));
    help.expect(0);
}

#[cfg(unix)]
#[test]
fn the_exit_code_is_passed_on_and_a_killed_program_is_bad_data() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let binary = alone(dir.path());
    for (script, code, text) in [
        ("echo \"$@\" >&2; exit 78", 78, "import data/p --from a.csv"),
        ("printf '\\037bad/file.parquet\\n' >&2; kill -ABRT $$", 65, "bad/file.parquet: the program"),
    ] {
        let program = dir.path().join("twinopt-import");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let ended = import(&binary, dir.path()).expect(code).says(&[text]);
        assert!(!ended.stderr.contains('\u{1f}'), "{ended:?}");
    }
}

#[test]
fn init_names_the_command_that_converts_another_format() {
    let room = Room::new();
    room.write("export/a.csv", "time,x\n2024-01-01T00:00Z,1\n");
    let ended = room.run(&["init", "data/fresh", "--log", "export/a.csv"]).expect(65);
    ended.says(&["export/a.csv: this is not a Parquet file", "`twinopt import data/fresh --from export/a.csv`"]);
    assert!(!room.path("data/fresh").exists());
}

#[test]
fn init_names_the_command_that_joins_several_logs() {
    let room = Room::new();
    let ended = room.run(&["init", "data/fresh", "--log", "a.parquet", "--log", "b.parquet"]).expect(2);
    ended.says(&["`twinopt import data/fresh --from a.parquet --from b.parquet`"]);
}

#[test]
fn init_uses_the_files_in_the_folder_of_the_log() {
    let room = Room::new();
    room.run(&["init", "data/fresh"]).expect(66).says(&["data/fresh/log", "twinopt import"]);
    let whole = log(ROWS, ROWS, 0.35);
    let part = |from: usize, to: usize| whole.iter().map(|(name, v)| (*name, v[from..to].to_vec())).collect();
    let half = ROWS / 2;
    write_log_from(&room.path("data/fresh/log/2024-01.parquet"), &part(0, half), START_MS);
    write_log_from(&room.path("data/fresh/log/2024-02.parquet"), &part(half, ROWS), START_MS + half as i64 * HOUR_MS);
    let ended = room.run(&["init", "data/fresh"]).expect(0);
    assert!(ended.stdout.contains("data/fresh/log/*.parquet"), "{ended:?}");
    let twin = room.text("data/fresh/twin.toml");
    assert!(twin.contains("files = \"log/*.parquet\""), "{twin}");
    // the twin must be the same as for a single file with all rows
    let one = room.path("export.parquet");
    write_log(&one, &whole);
    room.run(&["init", "data/single", "--log", one.to_str().unwrap()]).expect(0);
    let single = room.text("data/single/twin.toml").replace("single", "fresh").replace("export.parquet", "*.parquet");
    assert_eq!(twin, single);
}

#[test]
fn init_takes_units_and_the_time_zone_from_the_import() {
    let room = Room::new();
    let columns = log(ROWS, ROWS, 0.35);
    let names = ["Rücklauf", "Zählerstand", "Ventil", "Außen"];
    let renamed = columns.iter().zip(names).map(|((_, v), name)| (name, v.clone())).collect();
    write_log(&room.path("data/fresh/log/2024-01.parquet"), &renamed);
    room.write(
        "data/fresh/import.toml",
        "[[source]]\nfrom = \"../../export\"\ntimezone = \"Europe/Berlin\"\n[unit]\n\"Rücklauf\" = \"°C\"\n\"Zählerstand\" = \"m³/h\"\nVentil = \"?\"\n",
    );
    room.run(&["init", "data/fresh"]).expect(0);
    let twin = room.text("data/fresh/twin.toml");
    for line in [
        "timezone = \"Europe/Berlin\"",
        "name = \"ruecklauf\", role = \"state\", unit = \"degC\"",
        "name = \"zaehlerstand\", role = \"state\", unit = \"m^3/h\"",
        "name = \"ventil\", role = \"control\", unit = \"1\"",
        "name = \"aussen\", role = \"disturbance\"",
    ] {
        assert!(twin.contains(line), "{line} is not in:\n{twin}");
    }
}
