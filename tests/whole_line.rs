//! End-to-end tests on a small log, from the Parquet file to the report. Every run must produce identical bytes.

mod room;

use std::collections::BTreeMap;

use room::{ROWS, Room, log, write_log};
use twinopt::results::{LimitKind, Results};

const FILES: [&str; 5] = ["index.html", "kpi.csv", "provenance.json", "results.json", "runs.parquet"];

#[test]
fn fit_run_and_report_turn_a_log_into_a_report() {
    let room = Room::new();
    let fit = room.run(&["fit", "data/room"]).expect(0);
    assert!(fit.stdout.contains("chosen: linear"), "{}", fit.stdout);
    let run = room.run(&["run", "scenarios/room"]).expect(0);
    assert!(run.stdout.contains("planned") && run.stderr.contains("report: "), "{run:?}");
    assert!(
        !run.stderr.contains("fitting") && !run.stderr.contains("no model"),
        "`run` must use the stored model: {}",
        run.stderr
    );
    assert_eq!(room.outputs().keys().collect::<Vec<_>>(), FILES);

    let results: Results = serde_json::from_slice(&room.read("reports/room/results.json")).unwrap();
    let names: Vec<&str> = results.scenarios.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["cold", "planned", "winter"]);
    assert!(results.scenarios.iter().all(|s| s.exit_code == 0 && s.cases[0].name == "baseline"));
    assert_eq!(results.model.version, results.provenance.model_version);
    let at_horizon = |s: &&twinopt::results::Score| s.model == "linear" && s.horizon == results.model.horizon;
    let scores: Vec<_> = results.model.scores.iter().filter(at_horizon).collect();
    assert!(!scores.is_empty() && scores.iter().all(|s| s.skill > 0.5), "{scores:?}");
    // The steady-state gain of the plant is 0.35 K/h per kW divided by a heat loss of 8 % per hour, which is 4.4 K per
    // kW.
    let response = results.model.responses.iter().find(|r| r.signal == "room_temp" && r.control == "heat").unwrap();
    assert!((3.0..6.0).contains(&response.gain), "{}", response.gain);
    // Every controller satisfies the hard limits and the move limits.
    for (scenario, case) in [("winter", "pid"), ("cold", "pid"), ("planned", "mpc")] {
        let s = results.scenarios.iter().find(|s| s.name == scenario).unwrap();
        let c = s.cases.iter().find(|c| c.name == case).unwrap();
        let hard: Vec<_> = c.limits.iter().filter(|l| l.kind == LimitKind::Hard).collect();
        assert!(!hard.is_empty() && hard.iter().all(|l| l.worst == 0.0 && l.share_beyond == 0.0), "{hard:?}");
        let heat = room.simulated(scenario, case, "heat");
        assert_eq!(heat.len() as f64, s.hours);
        assert!(heat.iter().all(|v| (0.0..=8.0).contains(v)));
        assert!(heat.windows(2).all(|w| (w[1] - w[0]).abs() <= 1.0 + 1e-9), "{heat:?}");
    }
    // There is no annual total for the PID case, because only two of the three scenarios include it.
    assert!(results.annual.is_empty(), "{:?}", results.annual.iter().map(|a| &a.case).collect::<Vec<_>>());
    assert!(room.text("reports/room/index.html").contains("</html>"));
    assert!(room.text("reports/room/kpi.csv").lines().count() > 9);

    // The command `report` renders the same page from the stored results.
    let before = room.outputs();
    std::fs::remove_file(room.path("reports/room/index.html")).unwrap();
    room.run(&["report", "reports/room"]).expect(0);
    assert_eq!(room.outputs(), before);
    let same = room.run(&["report", "diff", "reports/room", "reports/room", "--json"]).expect(0).document();
    assert_eq!(same["changes"].as_array().unwrap().len(), 0);
}

#[test]
fn check_and_run_accept_the_draft_of_init() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("export.parquet");
    write_log(&file, &log(ROWS, ROWS, 0.35));
    let room = Room::new();
    let file = file.to_str().unwrap();
    let document = room.run(&["init", "data/fresh", "--log", file, "--json"]).expect(0).document();
    assert_eq!(document["faults"], 0, "{document:#}");
    room.run(&["check", "data/fresh"]).expect(0);
    room.run(&["inspect", "data/fresh"]).expect(0);
    let run = room.run(&["run", "scenarios/fresh"]).expect(0);
    assert!(run.stderr.contains("no model yet"), "{}", run.stderr);
    assert!(room.path("reports/fresh/index.html").is_file());
}

fn differing(a: &BTreeMap<String, Vec<u8>>, b: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    a.iter().filter(|(name, bytes)| b[*name] != **bytes).map(|(name, _)| name.clone()).collect()
}

#[test]
fn identical_inputs_give_identical_bytes_on_one_or_two_threads() {
    let runs: Vec<(String, _)> = ["1", "2", "2"]
        .iter()
        .map(|jobs| {
            let room = Room::new();
            room.run(&["fit", "data/room", "--jobs", jobs, "--quiet"]).expect(0);
            room.run(&["run", "scenarios/room", "--jobs", jobs, "--quiet"]).expect(0);
            (room.run(&["models", "data/room", "list", "--json"]).document()["champion"].to_string(), room.outputs())
        })
        .collect();
    for (version, outputs) in &runs[1..] {
        assert_eq!(version, &runs[0].0);
        assert_eq!(differing(outputs, &runs[0].1), Vec::<String>::new());
    }

    // The outputs are the same if `run` fits the model itself, without a separate `fit` beforehand.
    let room = Room::new();
    room.run(&["run", "scenarios/room", "--quiet"]).expect(0);
    assert_eq!(
        differing(&room.outputs(), &runs[0].1),
        Vec::<String>::new(),
        "a stored model must give the same outputs as a model in memory"
    );

    // In the same project, repeating `run` or `fit` does not change the outputs, but another seed does.
    let room = Room::fitted();
    room.run(&["run", "scenarios/room", "--quiet"]).expect(0);
    assert_eq!(differing(&room.outputs(), &runs[0].1), Vec::<String>::new());
    room.run(&["fit", "data/room", "--quiet"]).expect(0);
    room.run(&["run", "scenarios/room", "--quiet"]).expect(0);
    assert_eq!(
        differing(&room.outputs(), &runs[0].1),
        Vec::<String>::new(),
        "fitting an identical model again must not change its version"
    );
    let seeded = room.run(&["run", "scenarios/room", "--seed", "9"]).expect(0);
    assert!(!seeded.stderr.contains("fitting"), "another seed of a run must not refit the model: {}", seeded.stderr);
    assert_eq!(differing(&room.outputs(), &runs[0].1), FILES);
}
