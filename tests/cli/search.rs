//! Tests of `search` and `require`: the parameters of an order policy are chosen for a service level.

use super::plans::{START, case, kpi, project, run};
use super::room::{Columns, Room};

const ROWS: usize = 40 * 24;
const STEPS: usize = 4 * 24;

/// Demand per step, which has no pattern.
fn demand(k: usize) -> f64 {
    let scatter = ((k * 7_919 + 31) % 1_009) as f64 / 1_009.0;
    (20.0 * scatter * scatter).round()
}

/// Stock and orders of an order-up-to policy with `level` from step `from` to step `to`, with a lead time of two steps
/// and lost sales. Returns the stock, the orders and the fraction of the demand that is served.
fn simulate(log: &[Vec<f64>; 2], level: f64, from: usize, to: usize) -> (f64, f64) {
    let [mut stock, mut orders] = log.clone();
    stock.truncate(from + 1);
    orders.truncate(from);
    let (mut served, mut demanded, mut held) = (0.0, 0.0, 0.0);
    for k in from..to {
        let arriving = orders[k - 2];
        orders.push((level - (stock[k] + arriving + orders[k - 1])).max(0.0));
        served += demand(k).min(stock[k] + arriving);
        demanded += demand(k);
        held += stock[k];
        stock.push((stock[k] + arriving - demand(k)).max(0.0));
    }
    (served / demanded, held)
}

/// A log in which the level of the policy changes from day to day.
fn log() -> [Vec<f64>; 2] {
    let (mut stock, mut orders) = (vec![20.0], Vec::new());
    for k in 0..ROWS {
        let before = |lag: usize| if k >= lag { orders[k - lag] } else { 0.0 };
        let level = 25.0 + (k / 24 * 13 % 30) as f64;
        let (arriving, recent) = (before(2), before(1));
        orders.push((level - (stock[k] + arriving + recent)).max(0.0));
        stock.push((stock[k] + arriving - demand(k)).max(0.0));
    }
    stock.truncate(ROWS);
    [stock, orders]
}

fn room(cases: &str) -> Room {
    let [stock, orders] = log();
    let columns: Columns = vec![("stock", stock), ("order", orders), ("demand", (0..ROWS).map(demand).collect())];
    let twin = "signals = [\n\
        { name = 'stock', role = 'state', next = 'max(stock + lag(order, 2) - demand, 0)', hard = [0, inf] },\n\
        { name = 'order', role = 'control', hard = [0, 200] },\n\
        { name = 'demand', role = 'disturbance' },\n\
        { name = 'served', role = 'derived', expr = 'min(demand, stock + lag(order, 2))' },\n]\n\
        [parameters]\nS = { value = 30 }\n\
        [model]\nchoose = ['linear']\nlags = 2\nholdout = '60h'\nhorizon = '6h'\n\
        [kpi]\nholding = { sum = 'stock' }\nservice = { fill_rate = ['served', 'demand'] }\n\
        [objective]\nholding = 1.0\n[mpc]\ntune = false\n";
    project(&columns, twin, &format!("length = '{STEPS}h'\n[case.baseline]\ncontroller.replay = {{}}\n{cases}"))
}

/// A case that orders up to S, which is chosen.
fn policy(name: &str, more: &str) -> String {
    format!(
        "[case.{name}]\ncontroller.base_stock = [{{ order = 'order', level = 'S', \
         position = 'stock + lag(order, 1) + lag(order, 2)' }}]\nsearch = {{ S = [10, 80] }}\n{more}\n"
    )
}

#[test]
fn the_lowest_level_that_reaches_the_service_level_is_chosen() {
    let room = room(&policy("lean", "require = { service = { at_least = 0.95 } }"));
    let results = run(&room);
    let lean = case(&results, "lean");
    let note = lean["notes"].as_array().unwrap().iter().find_map(|n| n.as_str().unwrap().strip_prefix("S = ")).unwrap();
    let level: f64 = note.split(' ').next().unwrap().parse().unwrap();
    let from = note.split("simulated from ").nth(1).unwrap();
    assert!(from.ends_with(" to 2024-01-09T00:00:00Z"), "{note}");
    let first: jiff::Timestamp = from.split(' ').next().unwrap().parse().unwrap();
    let first = (first.as_second() - 1_704_067_200) as usize / 3600;
    assert!(first <= 4, "{note}");
    let service = |level: f64, from: usize, to: usize| simulate(&log(), level, from, to).0;
    assert!(service(level, first, START) >= 0.95, "{note}: {}", service(level, first, START));
    assert!(service(level - 0.6, first, START) < 0.95, "{note}: {}", service(level - 0.6, first, START));
    // The scenario shows the service level in a period for which the level was not chosen.
    let (expected, held) = simulate(&log(), level, START, START + STEPS);
    assert!((kpi(&results, "lean", "service") - expected).abs() < 1e-9, "{expected}");
    assert!((kpi(&results, "lean", "holding") - held).abs() < 1e-6 * held, "{held}");
    assert_eq!(lean["missed_totals"].is_null(), expected >= 0.95);
}

#[test]
fn a_case_that_misses_its_requirement_is_not_recommended() {
    // Without the requirement, the cheapest level is the lowest.
    let cases = policy("cheap", "") + &policy("promised", "require = { service = { at_least = 1.5 } }");
    let room = room(&cases);
    let results = run(&room);
    let level = |name: &str| case(&results, name)["notes"].to_string();
    assert!(level("cheap").contains("S = 10 was chosen"), "{}", level("cheap"));
    assert!(level("promised").contains("no candidate reached the requirements"), "{}", level("promised"));
    let missed = &case(&results, "promised")["missed_totals"][0]["text"];
    assert!(missed.as_str().unwrap().contains("but should be at least 1.5"), "{missed}");
    let page = room.text("reports/room/index.html");
    assert!(!page.contains("Do</b> run “promised”") && !page.contains("Try “promised”"));
}

#[test]
fn faults_in_a_search_are_reported() {
    let cases = policy("a", "require = { servce = { at_least = 1 } }")
        .replace("S = [10, 80]", "T = [10, 80], S = [5, 5]")
        + "[case.b]\ncontroller.hold = { order = 3 }\nsearch = { S = [1, 2] }\n";
    let checked = room(&cases).run(&["check"]).expect(78);
    checked.says(&[
        "there is no KPI `servce`",
        "did you mean `service`",
        "there is no parameter `T`",
        "the range [5, 5] of `S` is empty",
        "no expressions that could contain a parameter",
    ]);
    // There is no log before the scenario.
    let room = room(&policy("a", ""));
    let text = room.text("scenarios/room/s.toml").replace("2024-01-09", "2024-01-02");
    room.write("scenarios/room/s.toml", &text);
    room.run(&["run", "scenarios/room", "--quiet"]).expect(65).says(&["at least as long as the scenario"]);
}
