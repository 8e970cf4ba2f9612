//! Tests that run the binary in unusual environments and folders, and with closed pipes.

use std::process::{Command, Stdio};

use crate::room::{Ended, ROWS, Room, log};

#[test]
fn the_binary_works_without_home_in_a_c_locale_and_in_unusual_folders() {
    let room = Room::at("Größe 室温 & 'x' [1] $HOME 100%", &log(ROWS, ROWS, 0.35));
    let bare = |args: &[&str]| Ended::of(room.command(args).env_clear().env("LC_ALL", "C"));
    bare(&["fit", "data/room", "--quiet"]).expect(0);
    bare(&["run", "scenarios/room/cold.toml"]).expect(0).says(&["index.html"]);
    bare(&["retrain", "data/room", "--quiet"]).expect(0);
    // the command also works in a different folder if the path is absolute
    let path = room.path("scenarios/room/cold.toml");
    let ended = Ended::of(room.command(&["run", path.to_str().unwrap()]).current_dir("/").env_remove("HOME"));
    ended.expect(0);
    let cron = bare(&["schedule", "data/room", "--cron"]).expect(0).stdout;
    // cron turns `\\%` into `%`
    let line = cron.splitn(6, ' ').nth(5).unwrap().replace("\\%", "%");
    let ended = Ended::of(Command::new("sh").args(["-c", &line]).current_dir("/"));
    assert_eq!(ended.code, Some(0), "{cron}\n{ended:?}");
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_is_not_an_error() {
    let room = Room::fitted();
    for args in [&["inspect", "data/room", "--quiet"][..], &["models", "data/room", "show", "--json"], &["--help"]] {
        let mut child = room.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ended = Ended::from(child.wait_with_output().unwrap());
        assert!(ended.stderr.is_empty(), "{args:?}: {ended:?}");
        assert_eq!(ended.code, Some(0), "{args:?}");
    }
    // the exit code still indicates that a scenario failed
    room.edit("scenarios/room/cold.toml", "2024-02-22", "2025-02-22");
    for args in [&["run", "scenarios/room/cold.toml"][..], &["run", "scenarios/room/cold.toml", "--json"]] {
        let mut child = room.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        Ended::from(child.wait_with_output().unwrap()).expect(65);
    }
}
