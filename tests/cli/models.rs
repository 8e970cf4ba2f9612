//! Tests of the commands `retrain`, `models`, `status` and `schedule`.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::room::{Ended, ROWS, Room, log, write_log};
use crate::{champion, flip};

#[test]
fn retrain_keeps_the_champion_unless_the_challenger_is_significantly_better() {
    let room = Room::new();
    // the challengers are fitted in the same way as the champion
    room.edit("data/room/twin.toml", "lags    = 2", "lags    = 2\nrollout_loss = 1");
    let first = room.run(&["retrain", "data/room"]).expect(0);
    assert!(first.stdout.contains("first model"), "{}", first.stdout);
    let one = champion(&room);
    // `run` uses the model from the last retraining
    let run = room.run(&["run", "scenarios/room"]).expect(0);
    assert!(!run.stderr.contains("fitting") && !run.stderr.contains("no model"), "{}", run.stderr);
    assert_eq!(room.json("reports/room/provenance.json")["model_version"], one.as_str());

    let outcome = |args: &[&str]| {
        let document = room.run(&[&["retrain", "data/room", "--json"], args].concat()).expect(0).document();
        assert_eq!(document["status"]["champion"], one.as_str());
        document["status"]["outcome"].as_str().unwrap().to_owned()
    };
    // without new rows, nothing is fitted unless the seed changes; the challenger with the new seed is not better
    assert_eq!(outcome(&[]), "nothing_new");
    assert_eq!(versions(&room), 1);
    assert_eq!(outcome(&["--seed", "5"]), "kept");
    assert_eq!((champion(&room), versions(&room)), (one.clone(), 2));
    assert_eq!(outcome(&["--seed", "5"]), "nothing_new");
    assert_eq!(versions(&room), 2);

    // the log becomes twice as long, and the heater is weaker in its second half
    write_log(&room.log_file(), &log(2 * ROWS, ROWS, 0.25));
    let retrained = room.run(&["retrain", "data/room"]).expect(0);
    assert!(retrained.stdout.contains("challenger promoted"), "{}", retrained.stdout);
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
    // `verify` also fails if the champion's version is missing
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

    // if a file of the champion's version is missing, the champion is kept, because the file may be restored
    let file = room.path(&format!("models/room/versions/{two}/model.bin"));
    let away = room.path("away.bin");
    std::fs::rename(&file, &away).unwrap();
    for ended in [retrain(), run()] {
        ended.expect(66).says(&["model.bin", "champion unchanged", "data/room rollback", "twinopt fit"]);
    }
    assert_eq!(champion(&room), two);
    std::fs::rename(&away, &file).unwrap();

    // if the champion is damaged, `run` uses the previous champion but does not promote it
    flip(&room, &format!("models/room/versions/{two}/model.bin"));
    run().expect(0).says(&["damaged", &one, "is used instead", "data/room rollback"]);
    assert_eq!(room.json("reports/room/cold/provenance.json")["model_version"], one.as_str());
    let kept = retrain().expect(0).stdout;
    assert!(kept.contains("champion kept") && kept.contains(&format!("the earlier champion {one}")), "{kept}");
    assert_eq!(champion(&room), two);

    // all versions of the model are damaged
    flip(&room, &format!("models/room/versions/{one}/model.bin"));
    for ended in [retrain(), run()] {
        ended.expect(65).says(&["damaged", "champion unchanged", "twinopt fit"]);
    }
    assert_eq!(champion(&room), two);
    room.run(&["fit", "data/room", "--quiet"]).expect(0);
    assert!(retrain().expect(0).stdout.contains("nothing new"));

    // a champion fitted with a different `twin.toml` is replaced, because it cannot be compared with the new model
    room.edit("data/room/twin.toml", "lags    = 2", "lags    = 3");
    let retrained = room.run(&["retrain", "data/room", "--json"]).expect(0).document();
    assert_eq!(retrained["status"]["outcome"], "replaced", "{retrained:#}");
    assert_eq!(retrained["status"]["champion"], champion(&room).as_str());
}

#[test]
fn a_damaged_version_is_detected_skipped_and_replaced() {
    let room = Room::fitted();
    let one = champion(&room);
    room.run(&["fit", "data/room", "--seed", "5", "--quiet"]).expect(0);
    let two = champion(&room);
    assert_ne!(one, two, "a model fitted with a different seed must have a different version");
    flip(&room, &format!("models/room/versions/{two}/card.json"));
    room.run(&["models", "data/room", "show"]).expect(65).says(&["card.json", "damaged"]);
    let verify = room.run(&["models", "data/room", "verify", "--json"]).expect(65);
    assert_eq!(verify.document()["damaged"][0][0], two.as_str());
    let clock = Instant::now();
    let ended = room.run(&["models", "data/room", "rollback"]).expect(0);
    assert!(clock.elapsed() < Duration::from_secs(1));
    assert!(!ended.stderr.contains("fitted with signals"), "{}", ended.stderr);
    assert_eq!(champion(&room), one);
    room.run(&["models", "data/room", "rollback"]).expect(2);
}

/// Number of versions in the registry.
fn versions(room: &Room) -> usize {
    std::fs::read_dir(room.path("models/room/versions")).unwrap().count()
}

#[test]
fn rollback_to_an_unusable_version_needs_force_and_no_version_is_listed_twice() {
    let room = Room::fitted();
    let one = champion(&room);
    // the same model is promoted again
    room.run(&["fit", "data/room", "--quiet"]).expect(0);
    room.edit("data/room/twin.toml", "lags    = 2", "lags    = 3");
    room.run(&["fit", "data/room", "--quiet"]).expect(0);
    let two = champion(&room);
    let list = room.run(&["models", "data/room", "list"]).expect(0).stdout;
    assert_eq!((list.matches(&one).count(), list.matches(&two).count()), (1, 1), "{list}");
    assert!(list.contains(&format!("* {two}")) && list.contains(&format!("  {one}")), "{list}");

    room.run(&["models", "data/room", "rollback"]).expect(2).says(&[
        &one,
        "twin.toml",
        "champion unchanged",
        "--force",
    ]);
    assert_eq!(champion(&room), two);
    room.run(&["models", "data/room", "rollback", "--force"]).expect(0).says(&["no command will use"]);
    assert_eq!(champion(&room), one);
    room.run(&["status"]).expect(3).says(&["unusable"]);
}

#[test]
fn printed_schedules_use_absolute_paths() {
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
        "SuccessExitStatus=75",
        &format!("WorkingDirectory={root}\n"),
        &format!(" retrain '{root}/data/room' --quiet\n"),
        &format!(" run '{root}/scenarios/room' --quiet\n"),
    ] {
        assert!(systemd.contains(part), "{part}: {systemd}");
    }
    let cron = print("--cron");
    assert!(cron.starts_with(&format!("30 2 * * * cd '{root}' && {{ ")) && cron.lines().count() == 1, "{cron}");
    // a shell must be able to run the command printed for the crontab
    let ended = Ended::of(Command::new("sh").args(["-c", cron.splitn(6, ' ').nth(5).unwrap()]).current_dir("/"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.is_empty(), "cron would send the output as mail: {ended:?}");
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
