//! Tests of limits on totals: a pump fills a tank, and each hour of the pump costs its price.

use super::plans::{START, case, project, run};
use super::room::{Columns, Room};
use serde_json::Value;

const DAYS: usize = 5;

/// The tank is large enough for any schedule of the pump. Energy is cheap from 02:00 to 05:00 and from 13:00 to 15:00.
fn price(k: usize) -> f64 {
    let hour = k % 24;
    (if (2..5).contains(&hour) || (13..15).contains(&hour) { 40.0 } else { 90.0 }) + (k * 7 % 5) as f64
}

/// A project in which `mpc` is the table `[mpc]` of the twin. `cases` are the cases of the scenario except the
/// baseline.
fn pump(mpc: &str, cases: &str) -> Room {
    let mut columns: Columns = ["level", "pump", "price"].map(|name| (name, Vec::new())).to_vec();
    let mut level = 500.0;
    for k in 0..480 {
        let pump = if k % 6 < 3 { 1.0 } else { 0.0 };
        for (column, value) in columns.iter_mut().zip([level, pump, price(k)]) {
            column.1.push(value);
        }
        level += 2.0 * pump - 1.0;
    }
    let twin = format!(
        "signals = [\n\
         {{ name = 'level', role = 'state', next = 'level + 2 * pump - 1' }},\n\
         {{ name = 'pump', role = 'control', hard = [0, 1], multiple = 1 }},\n\
         {{ name = 'price', role = 'disturbance', forecast = {{ seasonal = '1d' }} }},\n\
         {{ name = 'spent', role = 'derived', expr = 'price * pump' }},\n]\n\
         [model]\nchoose = ['linear']\nlags = 1\nholdout = '60h'\nhorizon = '24h'\n\
         [kpi]\ncost = {{ sum = 'spent' }}\n[objective]\ncost = 1.0\n[mpc]\ntune = false\n{mpc}\n"
    );
    let scenario = format!("length = '{}h'\n[case.baseline]\ncontroller.replay = {{}}\n{cases}", 24 * DAYS);
    project(&columns, &twin, &scenario)
}

/// Steps of each day in which the pump runs.
fn days(room: &Room, case: &str) -> Vec<Vec<usize>> {
    let on = room.simulated("s", case, "pump");
    assert_eq!(on.len(), 24 * DAYS);
    on.chunks(24).map(|day| (0..24).filter(|h| day[*h] > 0.5).collect()).collect()
}

fn missed(results: &Value, name: &str) -> String {
    case(results, name)["missed_totals"]
        .as_array()
        .map_or(String::new(), |list| list.iter().map(|t| t["text"].as_str().unwrap()).collect::<Vec<_>>().join("; "))
}

/// A scenario simulates the controller that `[mpc]` describes. The total of each day includes what was done since
/// midnight, although a new plan is made every hour.
#[test]
fn totals_per_day_remember_what_was_done_since_midnight() {
    let room = pump(
        "totals = [{ control = 'pump', at_least = 5, per = '1d' }]",
        "[case.same]\ncontroller.mpc = {}\n\
         [case.most]\ncontroller.mpc.totals = [{ control = 'pump', at_most = 0, per = '1d' }]\n\
         [case.free]\ncontroller.mpc.totals = []\n",
    );
    let results = run(&room);
    // nothing but the total requires the pump to run, so it runs in the five cheapest hours of each day
    let same = days(&room, "same");
    assert!(same.iter().all(|day| *day == [2, 3, 4, 13, 14]), "{same:?}");
    assert!(days(&room, "most").iter().chain(&days(&room, "free")).all(Vec::is_empty));
    for name in ["same", "most", "free"] {
        assert_eq!(missed(&results, name), "", "{name}");
    }
    assert!((0..START).all(|k| price(k) > 0.0));
}

/// A scenario can remove the settings that it would otherwise take from `[mpc]`, and `check` compares an inherited
/// horizon with the length of the scenario.
#[test]
fn a_scenario_can_remove_settings_of_the_twin() {
    let room = pump(
        "terminal = { cost = -2.0 }",
        "[case.same]\ncontroller.mpc = {}\n[case.without]\ncontroller.mpc = { terminal = {}, base_stock = [], ranks = {} }\n",
    );
    room.run(&["check"]).expect(0);
    run(&room);
    // with the additional price, plans earn money while the pump runs; without it, they save money while it is off
    assert!(days(&room, "same").iter().all(|day| day.len() == 24), "{:?}", days(&room, "same"));
    assert!(days(&room, "without").iter().all(Vec::is_empty), "{:?}", days(&room, "without"));
    room.edit("data/room/twin.toml", "tune = false", "tune = false\nhorizon = \"20d\"");
    let found = room.run(&["check"]).expect(78);
    let found =
        found.says(&["too-long", "case `same`: the horizon 20d, which is that of `[mpc]` in the twin, is longer"]);
    assert!(found.stderr.contains("scenarios/room/"), "{}", found.stderr);
}

/// No plan can satisfy both limits. The report names the limit that is violated and does not recommend the case.
#[test]
fn contradictory_totals_are_reported() {
    let room = pump(
        "",
        "[case.both]\ncontroller.mpc.totals = [\n\
         { control = 'pump', at_least = 5, from = '00:00', to = '06:00' },\n\
         { control = 'pump', at_most = 3, from = '00:00', to = '08:00' } ]\n",
    );
    let results = run(&room);
    let text = missed(&results, "both");
    assert!(text.starts_with("the total of `pump` averages "), "{text}");
    assert!(text.contains(" % of the periods, but should be at "), "{text}");
    let page = room.text("reports/room/index.html");
    assert!(page.contains("but should be at ") && !page.contains("Try “both”"), "{page}");
}

/// A limit that the twin gives cannot be satisfied by order-up-to levels, so such a case must not run without it.
#[test]
fn order_up_to_levels_with_limited_totals_are_refused() {
    let levels =
        "[case.levels]\ncontroller.mpc = { base_stock = [{ order = 'pump', position = 'level', level = [0, 9] }]";
    let totals = "totals = [{ control = 'pump', at_most = 0, from = '08:00', to = '12:00' }]";
    let room = pump(totals, &format!("{levels} }}\n"));
    let found = room.run(&["check"]).expect(78);
    found.says(&["case `levels`: `[mpc]` of the twin limits the total of `pump`", "write `totals = []`"]);
    pump(totals, &format!("{levels}, totals = [] }}\n")).run(&["check"]).expect(0);
    // a total over the horizon does not apply to a case with another horizon
    let of_horizon = "totals = [{ control = 'pump', at_least = 5 }]";
    pump(of_horizon, &format!("{levels} }}\n")).run(&["check"]).expect(78);
    pump(of_horizon, &format!("{levels}, horizon = '12h' }}\n")).run(&["check"]).expect(0);
}
