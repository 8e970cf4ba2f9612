//! Compares the help output and a rendered fault with the files in `tests/cli/snapshots`.
//!
//! After an intended change, update the files with `SNAPSHOTS=overwrite cargo test --test cli help`.

use std::path::Path;

use snapbox::Data;
use snapbox::cmd::Command;

use crate::room::Room;

fn snapshot(name: &str) -> Data {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/snapshots");
    Data::read_from(&dir.join(name), None)
}

fn twinopt(args: &[&str]) -> Command {
    // if the output is not a terminal, help is wrapped at 100 columns
    Command::new(env!("CARGO_BIN_EXE_twinopt")).args(args).env_remove("COLUMNS").stdin("")
}

#[test]
fn help_of_every_verb_equals_its_snapshot() {
    twinopt(&["--help"]).assert().success().stdout_eq(snapshot("help.txt"));
    for verb in [
        "import",
        "init",
        "check",
        "inspect",
        "fit",
        "run",
        "report",
        "retrain",
        "schedule",
        "models",
        "status",
        "verify",
        "advise",
        "control",
        "completions",
        "man",
    ] {
        twinopt(&[verb, "--help"]).assert().success().stdout_eq(snapshot(&format!("{verb}.txt")));
    }
}

#[test]
fn version_is_that_of_the_package() {
    let expected = format!("twinopt {}\n", env!("CARGO_PKG_VERSION"));
    twinopt(&["--version"]).assert().success().stdout_eq(expected);
}

#[test]
fn a_fault_is_rendered_with_its_position_source_line_and_help() {
    let room = Room::new();
    room.edit("data/room/twin.toml", "max_move", "max_mov");
    let command = twinopt(&["check", "data/room"]).current_dir(&room.root);
    command.assert().code(78).stderr_eq(snapshot("fault.txt"));
}
