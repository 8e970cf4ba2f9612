//! Tests of the compiled binary, with one module per topic.

mod boiler;
mod demand;
mod documents;
mod drafts;
mod environment;
mod exit_codes;
mod exploits;
mod gaps;
mod help;
mod import;
mod models;
mod night_page;
mod nightly_import;
mod nights;
mod noise;
mod output;
mod plans;
#[path = "../room/mod.rs"]
mod room;
mod run;
mod search;
mod stocks;
mod storage;
mod times;
mod totals;
mod verification;
mod verify;
mod working_days;

use room::Room;

/// Names and exit codes of the scenarios in `results.json`.
fn codes(room: &Room) -> Vec<(String, u64)> {
    let results = room.json("reports/room/results.json");
    let all = results["scenarios"].as_array().unwrap().iter();
    all.map(|s| (s["name"].as_str().unwrap().to_owned(), s["exit_code"].as_u64().unwrap())).collect()
}

fn champion(room: &Room) -> String {
    let list = room.run(&["models", "data/room", "list", "--json"]).expect(0).document();
    list["champion"].as_str().unwrap_or("none").to_owned()
}

/// Damages a file by flipping one bit in its middle.
fn flip(room: &Room, file: &str) {
    let mut bytes = room.read(file);
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(room.path(file), bytes).unwrap();
}
