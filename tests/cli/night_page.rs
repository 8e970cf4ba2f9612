//! Tests of the page of a night, of alerts, and of the removal of old versions.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::champion;
use crate::room::{ROWS, Room, log, write_log};

const PAGE: &str = "reports/room/nightly.html";

fn last_night(room: &Room) -> Value {
    serde_json::from_str(room.text("models/room/history.jsonl").lines().last().unwrap()).unwrap()
}

#[test]
fn the_page_of_a_night_shows_the_outcome_the_comparison_and_the_log() {
    let room = Room::new();
    room.run(&["retrain", "data/room"]).expect(0);
    let first = room.text(PAGE);
    assert!(first.contains("First model</span>") && !first.contains("id=\"gate\""), "{first}");
    write_log(&room.log_file(), &log(ROWS + 7 * 24, ROWS, 0.35));
    room.run(&["retrain", "data/room"]).expect(0);
    let (page, night) = (room.text(PAGE), last_night(&room));
    assert_eq!(night["outcome"], "kept", "{night:#}");
    for text in [
        "Kept</span>",
        "No action is needed",
        "Champion and challenger",
        "worst slice",
        "id=\"drift\"",
        "The log covers the period",
        &champion(&room),
        "First model</b>",
        "Newest log row",
    ] {
        assert!(page.contains(text), "`{text}` is not on the page");
    }
    // the numbers of the comparison are those in the history
    let printed: Vec<f64> =
        page.split("<data value=\"").skip(1).map(|t| t.split('"').next().unwrap().parse().unwrap()).collect();
    let comparison = &night["comparison"];
    for key in ["blocks", "change", "bound", "coverage", "champion_coverage"] {
        assert!(printed.contains(&comparison[key].as_f64().unwrap()), "{key}: {printed:?}");
    }
    assert!(printed.contains(&comparison["worst_slice"]["change"].as_f64().unwrap()), "{comparison:#}");
    // the page is a single offline file without scripts
    assert!(page.contains("default-src 'none'") && page.contains("name=\"viewport\""), "{page}");
    for text in ["<script", "http:", "https:", "src="] {
        assert!(!page.replace("default-src", "").contains(text), "{text}");
    }
    // a night without new rows shows the findings of the last comparison
    room.run(&["retrain", "data/room"]).expect(0);
    let page = room.text(PAGE);
    assert!(page.contains("Nothing new</span>") && page.contains("id=\"drift\"") && !page.contains("id=\"gate\""));
}

#[test]
fn a_run_states_that_the_plant_has_changed_since_the_fit() {
    let room = Room::fitted();
    write_log(&room.log_file(), &log(ROWS + 7 * 24, ROWS, 0.35));
    room.run(&["run", "scenarios/room"]).expect(0);
    let notes = |room: &Room| room.json("reports/room/results.json")["model"]["notes"].to_string();
    assert!(!notes(&room).contains("outdated"), "{}", notes(&room));
    let mut columns = log(ROWS + 7 * 24, ROWS, 0.35);
    columns[0].1[ROWS + 48..].iter_mut().for_each(|v| *v += 3.0);
    write_log(&room.log_file(), &columns);
    room.run(&["run", "scenarios/room"]).expect(0);
    assert!(notes(&room).contains("since 2024-03-05") && notes(&room).contains("`room_temp`"), "{}", notes(&room));
    let page = room.text("reports/room/index.html");
    assert!(page.contains("The plant has probably changed since the model was fitted"), "{page}");
}

#[test]
fn a_shift_of_the_errors_is_noted_and_needs_attention_only_if_the_forecasts_are_worse() {
    let room = Room::new();
    room.run(&["retrain", "data/room"]).expect(0);
    // from row 1548 (2024-03-05 12:00) on, the temperature sensor reads 3 K too much
    let mut columns = log(ROWS + 7 * 24, ROWS, 0.35);
    columns[0].1[ROWS + 48..].iter_mut().for_each(|v| *v += 3.0);
    write_log(&room.log_file(), &columns);
    let ended = room.run(&["retrain", "data/room"]);
    let night = last_night(&room);
    let shifts = night["drift"]["errors"].as_array().unwrap();
    let shift = shifts.iter().find(|s| s["signal"] == "room_temp").unwrap_or_else(|| panic!("{night:#}"));
    // an offset of 3 K makes the model predict a fall of 8 % of it per hour
    assert!(shift["size"].as_f64().unwrap() > 1.0, "{shift:#}");
    let since = shift["since"].as_str().unwrap();
    assert!(since.starts_with("2024-03-05"), "{since}");
    let page = room.text(PAGE);
    assert!(page.contains("too low by"), "{page}");
    match night["outcome"].as_str().unwrap() {
        "needs_attention" => assert_eq!((ended.code, &night["cause"]), (Some(3), &Value::from("drift"))),
        _ => assert_eq!(ended.code, Some(0)),
    }
}

#[test]
fn an_alert_is_sent_once_when_it_opens_and_once_when_it_is_cleared() {
    let room = Room::new();
    room.run(&["retrain", "data/room"]).expect(0);
    room.write(
        "alert.sh",
        "#!/bin/sh\necho \"$TWINOPT_ALERT $TWINOPT_PLANT $TWINOPT_OUTCOME $TWINOPT_EXIT_CODE $1\" >> \"$(dirname \"$0\")/alerts\"\n\
         test -s \"$1\"\n",
    );
    let script = room.path("alert.sh");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let retrain = |code: i32| room.run(&["retrain", "data/room", "--notify", script.to_str().unwrap()]).expect(code);
    let whole = room.read("data/room/log/room.parquet");
    let damaged = room.path("data/room/log/<b>new.parquet");
    retrain(0);
    assert!(!room.path("alerts").exists());
    std::fs::write(&damaged, &whole[..whole.len() / 2]).unwrap();
    retrain(65);
    retrain(65);
    // names from files are shown as text
    let page = room.text(PAGE);
    assert!(page.contains("&lt;b&gt;new.parquet") && !page.contains("<b>new"), "{page}");
    assert!(page.contains("Refused: data</span>") && page.contains("Repair the log"), "{page}");
    std::fs::remove_file(&damaged).unwrap();
    retrain(0);
    retrain(0);
    let page = room.path(PAGE).canonicalize().unwrap();
    let page = page.to_str().unwrap();
    let expected = format!("opened room Refused: data 65 {page}\ncleared room Nothing new 0 {page}\n");
    assert_eq!(room.text("alerts"), expected);
    // a program that fails or is missing does not change the exit code
    std::fs::write(&damaged, b"x").unwrap();
    room.run(&["retrain", "data/room", "--notify", "missing.sh"])
        .expect(65)
        .says(&["cannot send alert with missing.sh"]);
}

#[test]
fn old_versions_are_removed_but_not_the_champion_or_the_model_of_a_report() {
    let room = Room::fitted();
    let one = champion(&room);
    room.run(&["run", "scenarios/room/cold.toml", "--quiet"]).expect(0);
    for seed in ["5", "6", "7"] {
        room.run(&["fit", "data/room", "--seed", seed, "--quiet"]).expect(0);
    }
    let last = champion(&room);
    let diff = room.run(&["models", "data/room", "diff", &one[..6]]).expect(0).stdout;
    assert!(diff.contains(&one) && diff.contains(&last) && !diff.contains("hold-outs differ"), "{diff}");
    // the two lines of each of two signals have an arrow in three columns
    assert_eq!(diff.matches(" -> ").count(), 12, "{diff}");
    let document = room.run(&["models", "data/room", "diff", &one, &one, "--json"]).expect(0).document();
    assert_eq!(document["before"], document["after"]);
    let versions = || {
        let list = room.run(&["models", "data/room", "list", "--json"]).expect(0).document();
        list["versions"].as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let gc = |args: &[&str]| room.run(&[&["models", "data/room", "gc", "--keep", "0", "--json"], args].concat());
    assert_eq!(gc(&["--dry-run"]).expect(0).document()["would_remove"].as_array().unwrap().len(), 2);
    assert_eq!(versions().len(), 4);
    assert_eq!(gc(&[]).expect(0).document()["removed"].as_array().unwrap().len(), 2);
    let mut expected = [one.clone(), last.clone()];
    expected.sort();
    assert_eq!(versions(), expected);
    assert!(room.run(&["models", "data/room", "list"]).expect(0).stdout.contains("(removed)"));
    room.run(&["models", "data/room", "verify"]).expect(0);
    room.run(&["models", "data/room", "rollback"]).expect(0);
    assert_eq!(champion(&room), one);
}

#[test]
fn a_run_in_which_every_scenario_fails_keeps_the_report_of_an_earlier_run() {
    let room = Room::fitted();
    room.run(&["run", "scenarios/room", "--quiet"]).expect(0);
    let before = room.outputs();
    let scenarios = ["winter", "cold", "planned"].map(|name| format!("scenarios/room/{name}.toml"));
    for file in &scenarios {
        room.edit(file, "start         = 2024", "start         = 2031");
    }
    room.run(&["run", "scenarios/room"]).expect(65).says(&["the report of an earlier run is kept"]);
    assert_eq!(room.outputs(), before);
    // if one scenario runs, the report is replaced and names the failures
    room.edit(&scenarios[0], "start         = 2031", "start         = 2024");
    room.run(&["run", "scenarios/room", "--quiet"]).expect(65);
    assert!(room.text("reports/room/index.html").contains("did not run"));
}

#[test]
fn messages_about_missing_values_name_the_signal() {
    let missing = |rows: &dyn Fn(usize) -> bool| {
        let mut columns = log(ROWS, ROWS, 0.35);
        columns[3].1.iter_mut().enumerate().filter(|(i, _)| rows(*i)).for_each(|(_, v)| *v = f64::NAN);
        Room::with(&columns).run(&["fit", "data/room"]).expect(65)
    };
    missing(&|i| i > ROWS / 2).says(&["`outdoor_temp` has a value in only 0 of 336 rows"]);
    missing(&|i| i % 2 == 0).says(&["`outdoor_temp` has a value in only"]);
}
