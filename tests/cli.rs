//! The built binary from outside: exit codes, batches with bad scenarios, resuming, nights, JSON, and odd places to run in.

mod room;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use room::{Columns, Ended, ROWS, Room, log, white_noise, write_log};
use serde_json::Value;
use twinopt::ops::Lock;

/// (name, exit code) of the scenarios in results.json.
fn codes(room: &Room) -> Vec<(String, u64)> {
    let results = room.json("reports/room/results.json");
    let all = results["scenarios"].as_array().unwrap().iter();
    all.map(|s| (s["name"].as_str().unwrap().to_owned(), s["exit_code"].as_u64().unwrap())).collect()
}

fn champion(room: &Room) -> String {
    let list = room.run(&["models", "data/room", "list", "--json"]).expect(0).document();
    list["champion"].as_str().unwrap_or("none").to_owned()
}

// Exit codes.

#[test]
fn usage_faults_exit_with_2() {
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
    room.run(&["status"]).expect(3).says(&["without a model: room"]);
}

#[test]
fn bad_data_exit_with_65() {
    let mut gappy: Columns = log(ROWS, ROWS, 0.35);
    gappy[0].1.iter_mut().skip(1).step_by(2).for_each(|v| *v = f64::NAN);
    let room = Room::with(&gappy);
    room.run(&["fit", "data/room"]).expect(65).says(&["room_temp", "log.completeness"]);
    room.run(&["retrain", "data/room"]).expect(65).says(&["room_temp", "champion unchanged"]);

    let room = Room::new();
    room.edit("scenarios/room/cold.toml", "2024-02-22", "2025-02-22");
    room.run(&["run", "scenarios/room"]).expect(65).says(&["cold", "the log", "move `start`"]);
    assert_eq!(codes(&room), [("cold".into(), 65), ("planned".into(), 0), ("winter".into(), 0)]);

    let whole = room.read("data/room/log/room.parquet");
    for (what, bytes) in
        [("half", &whole[..whole.len() / 2]), ("text", b"timestamp,room_temp_c\n".as_slice()), ("empty", b"")]
    {
        std::fs::write(room.log_file(), bytes).unwrap();
        for verb in ["fit", "inspect", "retrain"] {
            let ended = room.run(&[verb, "data/room"]).says(&["room.parquet"]);
            assert!(ended.code == Some(65), "{what} {verb}: {ended:?}");
        }
        room.run(&["run", "scenarios/room"]).expect(65).says(&["room.parquet"]);
    }
    // rotten in the middle
    let mut rotten = whole.clone();
    let half = rotten.len() / 2;
    rotten[100..half].iter_mut().for_each(|b| *b ^= 0x5a);
    std::fs::write(room.log_file(), &rotten).unwrap();
    room.run(&["fit", "data/room"]).expect(65).says(&["room.parquet"]);
}

#[test]
fn what_is_not_there_exits_with_66() {
    let room = Room::new();
    room.run(&["run", "scenarios/room/wintr.toml"]).expect(66).says(&["did you mean `winter.toml`"]);
    room.run(&["fit", "data/rom"]).expect(66).says(&["rom"]);
    room.run(&["report", "reports/room"]).expect(66).says(&["twinopt run"]);
    room.run(&["schedule", "data/room", "--cron", "--run", "scenarios/rom"]).expect(66);
    std::fs::remove_file(room.log_file()).unwrap();
    room.run(&["fit", "data/room"]).expect(66).says(&["log"]);
}

#[test]
fn what_cannot_be_written_exits_with_73_or_74() {
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
    let me = format!("process {}", std::process::id());
    for args in [["fit", "data/room"], ["retrain", "data/room"], ["run", "scenarios/room"]] {
        let clock = Instant::now();
        room.run(&args).expect(75).says(&[me.as_str(), "try again"]);
        assert!(clock.elapsed() < Duration::from_secs(2), "{args:?}: {:?}", clock.elapsed());
    }
    drop(held);
    room.run(&["fit", "data/room", "--quiet"]).expect(0);
    let _held = Lock::take(&room.path("reports/room/.parts"), "run").unwrap();
    room.run(&["run", "scenarios/room"]).expect(75).says(&[me.as_str()]);
}

#[test]
fn faults_of_the_configuration_exit_with_78() {
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
        let told = room.run(args).expect(78).says(&["twin.toml:2:", "cannot be the name of a plant", "help:"]);
        assert_eq!(told.stderr.matches("cannot be the name").count(), 1, "{args:?}: {}", told.stderr);
    }
}

#[test]
fn scenarios_of_one_name_are_found_by_check() {
    let room = Room::new();
    room.write("scenarios/room/more/winter.toml", &room.text("scenarios/room/winter.toml"));
    room.run(&["check"]).expect(78).says(&["winter.toml", "has the same name", "rename"]);
    // one file named twice is one
    std::fs::remove_dir_all(room.path("scenarios/room/more")).unwrap();
    room.run(&["check", "scenarios/room", "./scenarios/room"]).expect(0);
    let dry = room.run(&["run", "scenarios/room", "./scenarios/room/cold.toml", "--dry-run"]).expect(0);
    assert_eq!(dry.stdout.trim(), "room: cold, planned, winter");
}

// Batches.

#[test]
fn a_bad_scenario_never_stops_the_others() {
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
    let seen = codes(&room);
    let of = |name: &str| seen.iter().filter(|(n, _)| n == name).map(|(_, c)| *c).collect::<Vec<_>>();
    for (name, code) in [("a_syntax", 78), ("b_signal", 78), ("c_late", 65), ("d_twin", 78), ("e_escape", 78)] {
        assert_eq!(of(name), [code], "{name}: {seen:?}");
    }
    assert!(of("f_bytes")[0] != 0 && of("cold") == [0] && of("planned") == [0], "{seen:?}");
    let mut winters = of("winter");
    winters.sort_unstable();
    assert_eq!(winters, [0, 78]);
    let document = ended.document();
    assert_eq!(document["exit_code"], 78);
    assert_eq!(document["plants"][0]["scenarios"].as_array().unwrap().len(), seen.len());
    // what failed has no place in the trajectories, and the page says so
    assert!(room.text("reports/room/index.html").contains("a_syntax"));
    room.run(&["report", "reports/room"]).expect(0);
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
fn resume_redoes_only_what_is_out_of_date() {
    let room = Room::new();
    room.run(&["run", "scenarios/room", "--quiet"]).expect(0);
    let first = room.outputs();
    let times = || {
        let of = |n: &str| {
            std::fs::metadata(room.path(&format!("reports/room/.parts/{n}.json"))).unwrap().modified().unwrap()
        };
        ["cold", "planned", "winter"].map(of)
    };
    let before = times();
    std::thread::sleep(Duration::from_millis(20));
    room.run(&["run", "scenarios/room", "--resume", "--quiet"]).expect(0);
    assert_eq!(times(), before, "nothing is out of date");
    assert_eq!(room.outputs(), first);

    room.edit("scenarios/room/cold.toml", "-5.0", "-6.0");
    room.run(&["run", "scenarios/room", "--resume", "--quiet"]).expect(0);
    let after = times();
    assert_eq!([after[0] > before[0], after[1] > before[1], after[2] > before[2]], [true, false, false]);
    assert_ne!(room.outputs()["results.json"], first["results.json"]);

    // half a part is no part
    room.edit("scenarios/room/cold.toml", "-6.0", "-5.0");
    std::fs::write(room.path("reports/room/.parts/winter.json"), b"{\"name\":").unwrap();
    std::fs::remove_file(room.path("reports/room/.parts/planned.parquet")).unwrap();
    room.run(&["run", "scenarios/room", "--resume", "--quiet"]).expect(0);
    assert_eq!(room.outputs(), first, "the union is a clean run, byte for byte");
    // everything depends on the twin
    room.edit("data/room/twin.toml", "value = 90", "value = 91");
    let before = times();
    std::thread::sleep(Duration::from_millis(20));
    room.run(&["run", "scenarios/room", "--resume", "--quiet"]).expect(0);
    assert!(times().iter().zip(before).all(|(a, b)| *a > b));
}

fn wait_for(child: &mut Child, ready: impl Fn() -> bool) {
    let clock = Instant::now();
    while !ready() {
        assert!(child.try_wait().unwrap().is_none(), "it ended too early");
        assert!(clock.elapsed() < Duration::from_secs(60), "it never came so far");
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
fn an_interrupted_run_ends_within_a_second_and_resumes_to_the_same_bytes() {
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
fn one_file_of_a_folder_leaves_the_folders_report_alone() {
    let room = Room::fitted();
    room.run(&["run", "scenarios/room", "--quiet"]).expect(0);
    let all = room.outputs();
    room.run(&["run", "scenarios/room/cold.toml"]).expect(0).says(&["reports/room/cold/index.html"]);
    assert!(room.outputs() == all, "the folder's report has changed");
    let names = |file: &str| -> Vec<String> {
        let results = room.json(file);
        results["scenarios"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("reports/room/cold/results.json"), ["cold"]);
    let glob = ["run", "scenarios/room/cold.toml", "scenarios/room/planned.toml", "scenarios/room/winter.toml"];
    room.run(&[&glob[..], &["--resume"]].concat()).expect(0).says(&["reports/room/index.html"]);
    assert!(room.outputs() == all, "all files of a folder are the folder");
}

#[test]
fn a_plans_promise_is_looked_at_again_on_other_members_of_the_model() {
    let room = Room::fitted();
    room.run(&["run", "scenarios/room/planned.toml", "--quiet"]).expect(0);
    let results = room.json("reports/room/planned/results.json");
    let cases = results["scenarios"][0]["cases"].as_array().unwrap();
    let [replay, mpc] = [&cases[0], &cases[1]];
    assert!(replay.get("optimism_check").is_none(), "who does not plan promises nothing");
    let promise = &mpc["optimism_check"];
    // 24 steps, 3 particles
    assert_eq!(promise["plans"], 9, "one plan in eight: {promise}");
    let [promised, kept] = ["predicted", "rescored"].map(|key| promise[key].as_f64().unwrap());
    assert!(promised > 0.0 && kept != promised && (kept - promised).abs() < promised, "{promise}");
}

// Nights.

#[test]
fn retrain_keeps_the_champion_unless_the_challenger_is_surely_better() {
    let room = Room::new();
    let first = room.run(&["retrain", "data/room"]).expect(0);
    assert!(first.stdout.contains("first model"), "{}", first.stdout);
    let one = champion(&room);
    room.run(&["status", "--json"]).expect(0).document();
    // the model of a night is the one that runs use
    let run = room.run(&["run", "scenarios/room"]).expect(0);
    assert!(!run.stderr.contains("anew") && !run.stderr.contains("no model"), "{}", run.stderr);
    assert_eq!(room.json("reports/room/provenance.json")["model_version"], one.as_str());

    let again = room.run(&["retrain", "data/room", "--json"]).expect(3).says(&["champion kept"]);
    let document = again.document();
    assert_eq!(
        (&document["status"]["gate"], &document["status"]["champion"]),
        (&Value::from("kept"), &Value::from(one.as_str()))
    );
    assert_eq!(champion(&room), one);

    // the heater grows weaker, and two more months are logged
    write_log(&room.log_file(), &log(2 * ROWS, ROWS, 0.25));
    let night = room.run(&["retrain", "data/room"]).expect(0);
    assert!(night.stdout.contains("challenger promoted"), "{}", night.stdout);
    let two = champion(&room);
    assert_ne!(one, two);
    room.run(&["run", "scenarios/room", "--quiet"]).expect(0);
    assert_eq!(room.json("reports/room/provenance.json")["model_version"], two.as_str());

    room.run(&["models", "data/room", "rollback"]).expect(0);
    assert_eq!(champion(&room), one);
    let events = room.run(&["models", "data/room", "list"]).expect(0).stdout;
    assert!(events.contains("promoted") && events.contains("refused") && events.contains("rolled"), "{events}");
    room.run(&["models", "data/room", "show", &two[..6]]).expect(0);

    room.run(&["models", "data/room", "verify"]).expect(0);
    flip(&room, &format!("models/room/versions/{one}/model.bin"));
    room.run(&["models", "data/room", "verify"]).expect(65).says(&[one.as_str(), "rollback"]);
    // nor is a registry whole whose versions are gone
    let versions = room.path("models/room/versions");
    std::fs::remove_dir_all(&versions).unwrap();
    std::fs::create_dir(&versions).unwrap();
    room.run(&["models", "data/room", "verify"]).expect(65).says(&[one.as_str()]);
}

#[test]
fn a_champion_that_cannot_be_read_is_never_replaced_without_the_gate() {
    let room = Room::fitted();
    let one = champion(&room);
    room.run(&["fit", "data/room", "--seed", "5", "--quiet"]).expect(0);
    let two = champion(&room);
    let retrain = || room.run(&["retrain", "data/room"]);
    let run = || room.run(&["run", "scenarios/room/cold.toml"]);

    // missing: perhaps it comes back
    let file = room.path(&format!("models/room/versions/{two}/model.bin"));
    let away = room.path("away.bin");
    std::fs::rename(&file, &away).unwrap();
    for ended in [retrain(), run()] {
        ended.expect(66).says(&["model.bin", "champion unchanged", "data/room rollback", "twinopt fit"]);
    }
    assert_eq!(champion(&room), two);
    std::fs::rename(&away, &file).unwrap();

    // damaged: the one before stands in, and nothing is promoted by a mere run
    flip(&room, &format!("models/room/versions/{two}/model.bin"));
    run().expect(0).says(&["damaged", &one, "stands in", "data/room rollback"]);
    assert_eq!(room.json("reports/room/cold/provenance.json")["model_version"], one.as_str());
    retrain().expect(3).says(&["champion kept", "compared with the earlier champion", &one]);
    assert_eq!(champion(&room), two);

    // all damaged
    flip(&room, &format!("models/room/versions/{one}/model.bin"));
    for ended in [retrain(), run()] {
        ended.expect(65).says(&["damaged", "champion unchanged", "twinopt fit"]);
    }
    assert_eq!(champion(&room), two);
    room.run(&["fit", "data/room", "--quiet"]).expect(0);
    retrain().expect(3).says(&["champion kept"]);

    // of another twin.toml: nothing can be compared
    room.edit("data/room/twin.toml", "lags    = 2", "lags    = 3");
    let night = room.run(&["retrain", "data/room", "--json"]).expect(0).document();
    assert_eq!(night["status"]["gate"], "replaced", "{night:#}");
    assert_eq!(night["status"]["champion"], champion(&room).as_str());
}

fn flip(room: &Room, file: &str) {
    let mut bytes = room.read(file);
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(room.path(file), bytes).unwrap();
}

#[test]
fn a_damaged_version_is_found_passed_over_and_replaced() {
    let room = Room::fitted();
    let one = champion(&room);
    room.run(&["fit", "data/room", "--seed", "5", "--quiet"]).expect(0);
    let two = champion(&room);
    assert_ne!(one, two, "another seed is another version");
    flip(&room, &format!("models/room/versions/{two}/card.json"));
    room.run(&["models", "data/room", "show"]).expect(65).says(&["card.json", "damaged"]);
    let verify = room.run(&["models", "data/room", "verify", "--json"]).expect(65);
    assert_eq!(verify.document()["damaged"][0][0], two.as_str());
    let clock = Instant::now();
    let ended = room.run(&["models", "data/room", "rollback"]).expect(0);
    assert!(clock.elapsed() < Duration::from_secs(1));
    assert!(!ended.stderr.contains("fitted with other"), "{}", ended.stderr);
    assert_eq!(champion(&room), one);
    room.run(&["models", "data/room", "rollback"]).expect(2);
}

#[test]
fn status_goes_stale() {
    let room = Room::new();
    room.run(&["status"]).expect(3).says(&["room", "retrain"]);
    room.run(&["retrain", "data/room", "--quiet"]).expect(0);
    assert!(room.run(&["status"]).expect(0).stdout.contains("good"));
    std::thread::sleep(Duration::from_millis(2_100));
    let stale = room.run(&["status", "--max-age", "1s", "--json"]).expect(3).says(&["room"]);
    assert_eq!(stale.document()["plants"][0]["stale"], true);
    room.run(&["status", "data/room"]).expect(0);
    room.run(&["status", "data/nosuch"]).expect(66).says(&["nosuch"]);
    flip(&room, &format!("models/room/versions/{}/model.bin", champion(&room)));
    assert!(room.run(&["status"]).expect(3).stdout.contains("damaged"));
}

#[test]
fn schedules_name_everything_by_its_whole_path() {
    let room = Room::new();
    let root = room.root.canonicalize().unwrap().to_str().unwrap().to_owned();
    let at = ["schedule", "data/room", "--at", "02:30", "--run", "scenarios/room"];
    let print = |kind: &str| room.run(&[&at[..], &[kind]].concat()).expect(0).stdout;
    let systemd = print("--systemd");
    for part in [
        "[Unit]",
        "[Service]",
        "[Timer]",
        "[Install]",
        "OnCalendar=*-*-* 02:30:00 UTC",
        "Persistent=true",
        "OnFailure=",
        "TimeoutStartSec=",
        "MemoryMax=",
        "SuccessExitStatus=3 75",
        &format!("WorkingDirectory={root}\n"),
        &format!(" retrain '{root}/data/room' --quiet\n"),
        &format!(" run '{root}/scenarios/room' --quiet\n"),
    ] {
        assert!(systemd.contains(part), "{part}: {systemd}");
    }
    let cron = print("--cron");
    assert!(cron.starts_with(&format!("30 2 * * * cd '{root}' && {{ ")) && cron.lines().count() == 1, "{cron}");
    // what cron would run is a command that a shell runs
    let ended = Ended::of(Command::new("sh").args(["-c", cron.splitn(6, ' ').nth(5).unwrap()]).current_dir("/"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.is_empty(), "cron mails what is printed: {ended:?}");
    assert!(room.path("reports/room/index.html").exists());
    let kubernetes = print("--kubernetes");
    for part in [
        "kind: CronJob",
        "schedule: \"30 2 * * *\"",
        "timeZone: Etc/UTC",
        "Forbid",
        "startingDeadlineSeconds",
        "memory",
    ] {
        assert!(kubernetes.contains(part), "{part}: {kubernetes}");
    }
    assert!(kubernetes.contains(&format!("retrain '{root}/data/room'")));
}

// What it prints.

#[test]
fn json_of_every_verb_is_one_document_with_a_version() {
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
        (&["retrain", "data/room"], 3),
        (&["models", "data/room", "list"], 0),
        (&["models", "data/room", "show"], 0),
        (&["models", "data/room", "verify"], 0),
        (&["models", "data/room", "rollback"], 2),
        (&["schedule", "data/room", "--cron"], 0),
        (&["status", "data/room"], 0),
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
    // errors only, but those
    room.edit("scenarios/room/cold.toml", "2024-02-22", "2025-02-22");
    let ended = room.run(&["run", "scenarios/room", "--quiet"]).expect(65).says(&["cold"]);
    assert!(ended.stdout.is_empty());
}

#[test]
fn what_only_looks_writes_nothing() {
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

// Where it runs.

#[test]
fn it_works_without_a_home_in_a_c_locale_and_in_odd_folders() {
    let room = Room::at("Größe 室温 & 'x' [1] $HOME 100%", &log(ROWS, ROWS, 0.35));
    let bare = |args: &[&str]| Ended::of(room.command(args).env_clear().env("LC_ALL", "C"));
    bare(&["fit", "data/room", "--quiet"]).expect(0);
    bare(&["run", "scenarios/room/cold.toml"]).expect(0).says(&["index.html"]);
    bare(&["retrain", "data/room", "--quiet"]).expect(3);
    // from elsewhere, by its whole path
    let path = room.path("scenarios/room/cold.toml");
    let ended = Ended::of(room.command(&["run", path.to_str().unwrap()]).current_dir("/").env_remove("HOME"));
    ended.expect(0);
    let cron = bare(&["schedule", "data/room", "--cron"]).expect(0).stdout;
    // cron itself turns `\\%` into `%`
    let line = cron.splitn(6, ' ').nth(5).unwrap().replace("\\%", "%");
    let ended = Ended::of(Command::new("sh").args(["-c", &line]).current_dir("/"));
    assert_eq!(ended.code, Some(3), "{cron}\n{ended:?}");
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_is_silent() {
    let room = Room::fitted();
    for args in [&["inspect", "data/room"][..], &["models", "data/room", "show", "--json"], &["--help"]] {
        let mut child = room.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ended = Ended::from(child.wait_with_output().unwrap());
        assert!(ended.stderr.is_empty(), "{args:?}: {ended:?}");
        assert_eq!(ended.code, Some(0), "{args:?}");
    }
    // nor does it hide how the work ended
    room.edit("scenarios/room/cold.toml", "2024-02-22", "2025-02-22");
    for args in [&["run", "scenarios/room/cold.toml"][..], &["run", "scenarios/room/cold.toml", "--json"]] {
        let mut child = room.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        Ended::from(child.wait_with_output().unwrap()).expect(65);
    }
}
