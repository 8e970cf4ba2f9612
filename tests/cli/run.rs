//! Tests of the command `run`: batches with failing scenarios, resumed batches, and interrupts.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::codes;
use crate::room::{Ended, Room};

#[test]
fn a_failing_scenario_does_not_stop_the_others() {
    let room = Room::new();
    let winter = room.text("scenarios/room/winter.toml");
    room.write("scenarios/room/a_syntax.toml", "question = \"what\ntwin = ");
    room.write("scenarios/room/b_signal.toml", &winter.replace("{ heat = 3.0 }", "{ heet = 3.0 }"));
    room.write("scenarios/room/c_late.toml", &winter.replace("2024-02-20", "2031-02-20"));
    room.write("scenarios/room/d_twin.toml", &winter.replace("\"room\"", "\"rom\""));
    room.write("scenarios/room/e_escape.toml", &winter.replace("\"room\"", "\"../../room\""));
    room.write("scenarios/room/more/winter.toml", &winter);
    std::fs::write(room.path("scenarios/room/f_bytes.toml"), [0xff, 0xfe, 0x00]).unwrap();
    let ended = room.run(&["run", "scenarios/room", "--json"]).expect(78).says(&[
        "a_syntax.toml:",
        "b_signal.toml:",
        "did you mean `heat`",
        "c_late",
        "d_twin.toml:",
        "e_escape.toml:",
        "f_bytes.toml",
        "winter.toml",
    ]);
    let scenarios = codes(&room);
    let codes_of = |name: &str| scenarios.iter().filter(|(n, _)| n == name).map(|(_, c)| *c).collect::<Vec<_>>();
    for (name, code) in [("a_syntax", 78), ("b_signal", 78), ("c_late", 65), ("d_twin", 78), ("e_escape", 78)] {
        assert_eq!(codes_of(name), [code], "{name}: {scenarios:?}");
    }
    assert!(codes_of("f_bytes")[0] != 0 && codes_of("cold") == [0] && codes_of("planned") == [0], "{scenarios:?}");
    let mut winters = codes_of("winter");
    winters.sort_unstable();
    assert_eq!(winters, [0, 78]);
    let document = ended.document();
    assert_eq!(document["exit_code"], 78);
    assert_eq!(document["plants"][0]["scenarios"].as_array().unwrap().len(), scenarios.len());
    // a failed scenario appears in the report, although it has no trajectory
    assert!(room.text("reports/room/index.html").contains("a_syntax"));
    room.run(&["report", "reports/room"]).expect(0);
}

#[test]
fn a_broken_scenario_file_does_not_replace_the_report_of_the_plant() {
    let room = Room::new();
    room.run(&["run", "scenarios/room"]).expect(0);
    let report = room.text("reports/room/results.json");
    room.write("scenarios/room/broken.toml", "question = \"what\ntwin = ");
    room.write("scenarios/room/invalid.toml", "twin = \"room\"\nstart = 7\n");
    room.run(&["run", "scenarios/room/broken.toml", "scenarios/room/invalid.toml"]).expect(78);
    assert_eq!(room.text("reports/room/results.json"), report);
    assert!(room.text("reports/room/broken+invalid/index.html").contains("broken"));
}

#[test]
fn a_run_does_not_start_before_the_model_has_its_lagged_inputs() {
    let room = Room::new();
    let cold = room.text("scenarios/room/cold.toml");
    let at = |start: &str| {
        room.write("scenarios/room/cold.toml", &cold.replace("2024-02-22T00:00:00Z", start));
        room.run(&["run", "scenarios/room/cold.toml"])
    };
    at("2024-01-01T00:00:00Z").expect(65).says(&["the twin reads the last 2 steps", "2024-01-01T01:00:00Z"]);
    at("2024-01-01T01:00:00Z").expect(0);
}

#[test]
fn a_plant_that_fails_does_not_stop_another() {
    let room = Room::new();
    for (from, to) in
        [("data/room/twin.toml", "data/attic/twin.toml"), ("scenarios/room/cold.toml", "scenarios/attic/cold.toml")]
    {
        room.write(to, &room.text(from).replace("\"room\"", "\"attic\""));
    }
    let ended = room.run(&["run", "scenarios", "--json"]).expect(66).says(&["attic"]);
    let document = ended.document();
    assert_eq!(document["plants"].as_array().unwrap().len(), 2, "{document:#}");
    assert_eq!(codes(&room).len(), 3);
}

#[test]
fn resume_repeats_only_outdated_scenarios() {
    let room = Room::new();
    room.run(&["run", "scenarios/room", "--quiet"]).expect(0);
    let first = room.outputs();
    let times = || {
        let modified = |n: &str| {
            std::fs::metadata(room.path(&format!("reports/room/.parts/{n}.json"))).unwrap().modified().unwrap()
        };
        ["cold", "planned", "winter"].map(modified)
    };
    let before = times();
    std::thread::sleep(Duration::from_millis(20));
    room.run(&["run", "scenarios/room", "--resume", "--quiet"]).expect(0);
    assert_eq!(times(), before, "no scenario is outdated, so no scenario is recomputed");
    assert_eq!(room.outputs(), first);

    let planned = |args: &[&str]| room.run(&[&["run", "scenarios/room", "--dry-run"], args].concat()).expect(0).stdout;
    assert_eq!(planned(&[]).trim(), "room: cold, planned, winter");
    assert_eq!(planned(&["--resume"]).trim(), "room: nothing\nroom: already finished: cold, planned, winter");
    room.edit("scenarios/room/cold.toml", "-5.0", "-6.0");
    assert_eq!(planned(&["--resume"]).trim(), "room: cold\nroom: already finished: planned, winter");
    assert_eq!(times(), before, "a dry run changes nothing");
    room.run(&["run", "scenarios/room", "--resume", "--quiet"]).expect(0);
    let after = times();
    assert_eq!([after[0] > before[0], after[1] > before[1], after[2] > before[2]], [true, false, false]);
    assert_ne!(room.outputs()["results.json"], first["results.json"]);

    // scenarios whose stored results are truncated or missing are recomputed
    room.edit("scenarios/room/cold.toml", "-6.0", "-5.0");
    std::fs::write(room.path("reports/room/.parts/winter.json"), b"{\"name\":").unwrap();
    std::fs::remove_file(room.path("reports/room/.parts/planned.parquet")).unwrap();
    room.run(&["run", "scenarios/room", "--resume", "--quiet"]).expect(0);
    assert_eq!(room.outputs(), first, "the outputs must equal those of a complete run");
    // a flipped bit or a stretch of zeros in a stored file is found, and the scenario is computed again
    for file in ["cold.parquet", "cold.json", "winter.parquet", "planned.json"] {
        let path = format!("reports/room/.parts/{file}");
        for at in [0.3, 0.6, 0.97] {
            let mut bytes = room.read(&path);
            let at = (at * bytes.len() as f64) as usize;
            let end = bytes.len().min(at + 64);
            if file.ends_with("json") {
                bytes[at] ^= 1
            } else {
                bytes[at..end].fill(0)
            }
            std::fs::write(room.path(&path), bytes).unwrap();
            room.run(&["run", "scenarios/room", "--resume", "--quiet"]).expect(0);
            assert_eq!(room.outputs(), first, "{file} damaged at byte {at}");
        }
    }
    // a change to the twin makes the results of all scenarios outdated
    room.edit("data/room/twin.toml", "value = 90", "value = 91");
    let before = times();
    std::thread::sleep(Duration::from_millis(20));
    room.run(&["run", "scenarios/room", "--resume", "--quiet"]).expect(0);
    assert!(times().iter().zip(before).all(|(a, b)| *a > b));
}

fn wait_for(child: &mut Child, ready: impl Fn() -> bool) {
    let clock = Instant::now();
    while !ready() {
        assert!(child.try_wait().unwrap().is_none(), "the process ended too early");
        assert!(clock.elapsed() < Duration::from_secs(60), "timed out");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn signal(child: Child, name: &str) -> (Ended, Duration) {
    let clock = Instant::now();
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
    let out = child.wait_with_output().unwrap();
    (Ended::from(out), clock.elapsed())
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_stops_within_a_second_and_resumes_to_the_same_result() {
    let long = |room: &Room| {
        room.edit("scenarios/room/planned.toml", "\"1d\"", "\"3d\"");
        room.edit("scenarios/room/planned.toml", "population = 16, iterations = 2", "population = 512, iterations = 4");
    };
    let clean = Room::fitted();
    long(&clean);
    clean.run(&["run", "scenarios/room", "--quiet", "--jobs", "2"]).expect(0);

    let room = Room::fitted();
    long(&room);
    for (name, code) in [("-TERM", 143), ("-INT", 130)] {
        let _ = std::fs::remove_dir_all(room.path("reports"));
        let mut command = room.command(&["run", "scenarios/room", "--jobs", "2"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for(&mut child, || room.path("reports/room/.parts/cold.json").exists());
        let (ended, time) = signal(child, name);
        ended.expect(code).says(&["interrupted", "--resume"]);
        assert!(time < Duration::from_secs(1), "{time:?}");
    }
    assert!(!room.path("reports/room/index.html").exists() && !room.path("reports/room/.parts/planned.json").exists());
    let kept = room.path("reports/room/.parts/cold.json");
    let before = std::fs::metadata(&kept).unwrap().modified().unwrap();
    room.run(&["run", "scenarios/room", "--resume", "--quiet"]).expect(0);
    assert_eq!(std::fs::metadata(&kept).unwrap().modified().unwrap(), before);
    assert_eq!(room.outputs(), clean.outputs());
}

#[test]
fn running_one_file_does_not_change_the_report_of_its_folder() {
    let room = Room::fitted();
    room.run(&["run", "scenarios/room", "--quiet"]).expect(0);
    let all = room.outputs();
    room.run(&["run", "scenarios/room/cold.toml"]).expect(0).says(&["reports/room/cold/index.html"]);
    assert!(room.outputs() == all, "the report on the whole folder must not change");
    let names = |file: &str| -> Vec<String> {
        let results = room.json(file);
        results["scenarios"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("reports/room/cold/results.json"), ["cold"]);
    let glob = ["run", "scenarios/room/cold.toml", "scenarios/room/planned.toml", "scenarios/room/winter.toml"];
    room.run(&[&glob[..], &["--resume"]].concat()).expect(0).says(&["reports/room/index.html"]);
    assert!(room.outputs() == all, "listing all files in a folder must give the same outputs as specifying the folder");
}

#[test]
fn reports_on_two_folders_of_one_twin_are_separate() {
    let room = Room::fitted();
    room.run(&["run", "scenarios/room", "--quiet"]).expect(0);
    let all = room.outputs();
    room.write("scenarios/other/mild.toml", &room.text("scenarios/room/cold.toml"));
    room.write("scenarios/other/deep/frost.toml", &room.text("scenarios/room/cold.toml"));
    room.run(&["run", "scenarios/other"]).expect(0).says(&["reports/room-other/index.html"]);
    let names = |file: &str| -> Vec<String> {
        let results = room.json(file);
        results["scenarios"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("reports/room-other/results.json"), ["frost", "mild"]);
    assert!(room.outputs() == all, "the report on the other folder must not change");
    // scenarios in a subfolder belong to the folder that contains it
    room.run(&["run", "scenarios/other/deep"]).expect(0).says(&["reports/room-other/frost/index.html"]);
    room.run(&["run", "scenarios"]).expect(0).says(&["reports/room-other+room/index.html"]);
    assert_eq!(names("reports/room-other+room/results.json"), ["cold", "frost", "mild", "planned", "winter"]);
    assert_eq!(names("reports/room-other/results.json"), ["frost", "mild"]);
    assert!(room.outputs() == all, "a run of all folders must not change the report on one of them");
}

#[test]
fn the_report_goes_to_the_folder_given_by_out() {
    let room = Room::fitted();
    room.run(&["run", "scenarios/room", "--out", "elsewhere/x"]).expect(0).says(&["elsewhere/x/index.html"]);
    assert!(!room.path("reports/room/index.html").exists());
    let out = room.read("elsewhere/x/results.json");
    room.run(&["run", "scenarios/room", "--resume", "--quiet"]).expect(0);
    assert!(room.read("reports/room/results.json") == out, "the folder must not affect the results");
    assert!(room.read("reports/room/runs.parquet") == room.read("elsewhere/x/runs.parquet"));
    room.run(&["report", "elsewhere/x"]).expect(0).says(&["elsewhere/x/index.html"]);
    // if there are several plants, the output folder contains one folder for each plant
    room.write("data/second/twin.toml", &room.text("data/room/twin.toml").replace("\"room\"", "\"second\""));
    std::fs::create_dir_all(room.path("data/second/log")).unwrap();
    std::fs::copy(room.log_file(), room.path("data/second/log/room.parquet")).unwrap();
    room.write("scenarios/second/mild.toml", &room.text("scenarios/room/cold.toml").replace("\"room\"", "\"second\""));
    let both = ["run", "scenarios/room/cold.toml", "scenarios/second", "--out", "both"];
    room.run(&both).expect(0).says(&["both/room/index.html", "both/second/index.html"]);
    assert_eq!(room.json("both/room/results.json")["scenarios"].as_array().unwrap().len(), 1);
    // a file cannot be used as the output folder
    room.run(&["run", "scenarios/second", "--out", "data/room/twin.toml"]).expect(73);
}

#[test]
fn the_saving_is_divided_among_steps_and_drawn_for_the_net_present_value() {
    let room = Room::fitted();
    room.run(&["run", "scenarios/room/winter.toml", "--quiet"]).expect(0);
    let results = room.json("reports/room/winter/results.json");
    let cases = results["scenarios"][0]["cases"].as_array().unwrap();
    assert!(cases[0].get("saving_support").is_none(), "the baseline saves nothing");
    for case in &cases[1..] {
        let [sum, saved] = [&case["saving_support"], &case["cash_change"]];
        let sum: f64 = ["inside", "edge", "outside"].iter().map(|key| sum[key].as_f64().unwrap()).sum();
        let saved = -saved["mean"].as_f64().unwrap();
        assert!((sum - saved).abs() < 1e-9 * saved.abs().max(1.0), "{sum} {saved}");
    }
    let pid = results["annual"].as_array().unwrap().iter().find(|a| a["case"] == "pid").unwrap();
    let [risk, npv] = [&pid["economics"]["risk"], &pid["economics"]["npv"]];
    let number = |value: &serde_json::Value, key: &str| value[key].as_f64().unwrap();
    let width = number(npv, "p90") - number(npv, "p10");
    assert!(number(risk, "draws") >= 10_000.0 && width > 0.0, "{risk}");
    assert!(number(risk, "standard_error") <= 0.01 * width, "{risk} {width}");
    // in all draws, the saving is more than 300 EUR a year and repays the investment of 900 EUR
    assert!(number(npv, "p10") > 0.0 && number(risk, "chance_of_loss") == 0.0, "{npv} {risk}");
    assert!(number(risk, "worst") < number(npv, "p10"), "{npv} {risk}");
    let report = room.text("reports/room/winter/index.html");
    for text in ["What must be true", "Probability of a negative NPV", "NPV if 25\u{a0}% of the advice is followed"] {
        assert!(report.contains(text), "{text}");
    }
}
