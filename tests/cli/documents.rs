//! Shell completions and manual pages.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use crate::room::{Ended, Room};

/// The commands that the help lists.
fn verbs(room: &Room) -> Vec<String> {
    let help = room.run(&["--help"]).expect(0).stdout;
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let first = |line: &str| line.strip_prefix("  ")?.split(' ').next().filter(|w| !w.is_empty()).map(str::to_owned);
    let verbs: Vec<String> = list.lines().filter_map(first).filter(|v| v != "help").collect();
    assert!(verbs.len() >= 16, "{verbs:?}");
    verbs
}

#[test]
fn completions_name_every_command_and_are_valid_shell() {
    let room = Room::new();
    let verbs = verbs(&room);
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = room.run(&["completions", shell]).expect(0).stdout;
        for word in verbs.iter().map(String::as_str).chain(["no-import", "resume"]) {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    room.run(&["completions", "tcsh"]).expect(2).says(&["bash", "zsh", "fish"]);
    let document = room.run(&["completions", "fish", "--json"]).expect(0).document();
    assert!(document["script"].as_str().unwrap().contains("complete -c twinopt"));
    // bash completes the options of a command
    let script = room.run(&["completions", "bash"]).expect(0).stdout;
    let check = "\nCOMP_WORDS=(twinopt retrain --no-); COMP_CWORD=2; _twinopt twinopt --no- retrain; echo \"${COMPREPLY[@]}\"\n";
    room.write("complete.sh", &(script + check));
    match Command::new("bash").arg(room.path("complete.sh")).stdin(Stdio::null()).output() {
        Ok(output) => assert_eq!(Ended::from(output).expect(0).stdout, "--no-import\n"),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
    }
}

#[test]
fn there_is_a_manual_page_for_every_command() {
    let room = Room::new();
    let verbs = verbs(&room);
    let page = room.run(&["man"]).expect(0).stdout;
    assert!(page.contains(".TH twinopt 1"), "{page}");
    for verb in &verbs {
        assert!(page.contains(&format!("twinopt\\-{verb}(1)")), "{verb}: {page}");
    }
    room.run(&["man", "manual/man1"]).expect(0).says(&["pages in manual/man1"]);
    let entries = std::fs::read_dir(room.path("manual/man1")).unwrap();
    let files: BTreeSet<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    for verb in &verbs {
        assert!(files.contains(&format!("twinopt-{verb}.1")), "{verb}: {files:?}");
    }
    assert!(files.contains("twinopt-report-diff.1") && files.contains("twinopt-models-rollback.1"), "{files:?}");
    assert!(!files.iter().any(|f| f.contains("help")), "{files:?}");
    let run = room.text("manual/man1/twinopt-run.1");
    for text in ["\\-\\-resume", "\\-\\-out", "Simulate all cases", "Examples:"] {
        assert!(run.contains(text), "{text}: {run}");
    }
    // existing pages are overwritten, but a file cannot be used as the output folder
    room.run(&["man", "manual/man1", "--quiet"]).expect(0);
    room.run(&["man", "data/room/twin.toml"]).expect(73);
}
