//! Tests of policies that are simulated against independent demand.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, TimestampMillisecondArray};

use crate::room::{Noise, Room, write_columns};

const DAY_MS: i64 = 86_400_000;
/// 2021-01-01T00:00:00Z.
const START_MS: i64 = 1_609_459_200_000;
const ROWS: usize = 1_500;

const TWIN: &str = r#"
name = "store"
step = "1d"
log = { files = "log/*.parquet", time = "day" }
signals = [
  { name = "on_hand", role = "state", unit = "item", next = "on_hand + receipt - sales" },
  { name = "backlog", role = "state", unit = "item", next = "wanted + backlog - sales" },
  { name = "demand", role = "output", unit = "item" },
  { name = "order_qty", role = "control", unit = "item", hard = [0, 100] },
  { name = "wanted", role = "derived", unit = "item", expr = "max(round(demand), 0)" },
  { name = "receipt", role = "derived", unit = "item", expr = "lag(order_qty, 3)" },
  { name = "on_order", role = "derived", unit = "item", expr = "sum(order_qty, 3)" },
  { name = "sales", role = "derived", unit = "item", expr = "min(wanted + backlog, on_hand + receipt)" },
  { name = "backlog_end", role = "derived", unit = "item", expr = "wanted + backlog - sales" },
  { name = "served", role = "derived", unit = "item", expr = "wanted - min(wanted, backlog_end)" },
]
[model]
choose = ["linear"]
lags = 2
holdout = "300d"
horizon = "14d"
ignore = ["on_hand", "backlog", "order_qty"]
[kpi]
fill = { fill_rate = ["served", "wanted"] }
"#;

const POLICY: &str = r#"
question = "Fill rate of order-up-to 26?"
twin = "store"
start = 2024-06-01T00:00:00Z
length = "180d"
particles = 200
[case.baseline]
controller.base_stock = [ { order = "order_qty", position = "on_hand + on_order - backlog", level = "26" } ]
"#;

/// A Poisson-distributed number.
fn poisson(noise: &mut Noise, mean: f64) -> f64 {
    let (mut k, mut product) = (0.0, noise.even());
    while product > (-mean).exp() {
        k += 1.0;
        product *= noise.even();
    }
    k
}

/// The fill rate of the policy under independent Poisson demand with mean 5 and a lead time of three days, computed
/// by a simulation of the balances: the mean, the 10 % quantile and the 90 % quantile over runs of 180 days.
fn expected() -> (f64, f64, f64) {
    let mut noise = Noise::new(7);
    let mut rates: Vec<f64> = (0..2000)
        .map(|_| {
            let (mut stock, mut backlog, mut orders, mut served, mut wanted) = (20.0, 0.0, [5.0; 3], 0.0, 0.0);
            for _ in 0..180 {
                let order = f64::max(26.0 - (stock - backlog + orders.iter().sum::<f64>()), 0.0);
                let (receipt, demand) = (orders[0], poisson(&mut noise, 5.0));
                let sales = f64::min(demand + backlog, stock + receipt);
                let left = demand + backlog - sales;
                served += demand - f64::min(demand, left);
                wanted += demand;
                (stock, backlog, orders) = (stock + receipt - sales, left, [orders[1], orders[2], order]);
            }
            served / wanted
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    (rates.iter().sum::<f64>() / 2000.0, rates[200], rates[1800])
}

/// One day of the log: stock, backlog, order and demand.
type Day = [f64; 4];

/// The log of a shop with random orders.
fn shop() -> Vec<Day> {
    let mut noise = Noise::new(23);
    let (mut stock, mut backlog, mut orders) = (60.0, 0.0, [5.0; 3]);
    let day = |_| {
        let (receipt, order, demand) = (orders[0], (2.0 + 7.0 * noise.even()).floor(), poisson(&mut noise, 5.0));
        let sales = f64::min(demand + backlog, stock + receipt);
        let day = [stock, backlog, order, demand];
        (stock, backlog, orders) = (stock + receipt - sales, demand + backlog - sales, [orders[1], orders[2], order]);
        day
    };
    (0..ROWS).map(day).collect()
}

/// Writes the log with the columns whose indices are in `columns`.
fn write(room: &Room, days: &[Day], columns: &[usize]) {
    let times = (0..ROWS as i64).map(|i| START_MS + i * DAY_MS);
    let time: ArrayRef = Arc::new(TimestampMillisecondArray::from_iter_values(times).with_timezone("UTC"));
    let mut all = vec![("day", time)];
    for &k in columns {
        let name = ["on_hand", "backlog", "order_qty", "demand"][k];
        all.push((name, Arc::new(Float64Array::from_iter_values(days.iter().map(|d| d[k])))));
    }
    write_columns(&room.path("data/store/log/l.parquet"), &all);
}

/// If daily demand is independent, the simulated fill rate of a shop must have the correct mean and range.
#[test]
fn a_policy_is_simulated_against_independent_demand() {
    let room = Room::new();
    room.write("data/store/twin.toml", TWIN);
    write(&room, &shop(), &[0, 1, 2, 3]);
    room.write("scenarios/store/policy.toml", POLICY);
    room.run(&["run", "scenarios/store"]).expect(0);
    let results = room.json("reports/store/results.json");
    assert_eq!(results["model"]["model"], "mean", "{:#}", results["model"]["notes"]);
    let fill = &results["scenarios"][0]["cases"][0]["kpis"][0];
    let (mean, low, high) = expected();
    let mut samples: Vec<f64> = fill["samples"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    samples.sort_by(f64::total_cmp);
    let found = samples.iter().sum::<f64>() / samples.len() as f64;
    assert!((found - mean).abs() < 0.012, "{found} {mean}");
    assert!((samples[20] - low).abs() < 0.02 && (samples[180] - high).abs() < 0.01, "{low} {high} {samples:?}");
}

/// If the stock and the backlog are not logged, they are computed from their initial values and the logged flows.
#[test]
fn a_stock_that_is_not_logged_has_a_start_and_an_equation() {
    let room = Room::new();
    let days = shop();
    write(&room, &days, &[2, 3]);
    let check = |twin: &str| {
        room.write("data/store/twin.toml", twin);
        let document = room.run(&["check", "data/store", "--json"]).document();
        let faults = document["faults"].as_array().unwrap().clone();
        faults
            .iter()
            .filter(|f| f["warning"] == false)
            .map(|f| f["help"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    // Following the advice leads to a twin without faults.
    let help = check(TWIN);
    assert!(help.len() == 2 && help.iter().all(|h| h.contains("or `start = …`")), "{help:?}");
    let started = |equation: bool| {
        TWIN.replace(
            "next = \"on_hand + receipt - sales\"",
            if equation { "start = 60, next = \"on_hand + receipt - sales\"" } else { "start = 60" },
        )
        .replace("next = \"wanted + backlog - sales\"", "start = 0, next = \"wanted + backlog - sales\"")
    };
    let help = check(&started(false));
    assert!(help.len() == 1 && help[0].contains("add `next = "), "{help:?}");
    assert_eq!(check(&started(true)), Vec::<String>::new());
    let twice = check(&started(true).replace("start = 60", "start = 60, column = \"order_qty\""));
    assert!(twice.iter().any(|h| h.contains("keep `column` if the state is logged")), "{twice:?}");

    let twin = started(true).replace("fill = {", "stock = { mean = \"on_hand\" }\nfill = {");
    room.write("data/store/twin.toml", &twin);
    let replay = POLICY.replace("controller.base_stock = [ { order = \"order_qty\", position = \"on_hand + on_order - backlog\", level = \"26\" } ]", "controller.replay = {}");
    room.write("scenarios/store/replay.toml", &replay);
    room.run(&["run", "scenarios/store"]).expect(0);
    // The stock at the start of each day. Orders before the start of the log are assumed to equal the first logged
    // order.
    let (mut stock, mut backlog, mut stocks) = (60.0, 0.0, Vec::new());
    for t in 0..ROWS {
        stocks.push(stock);
        let (receipt, demand) = (days[t.saturating_sub(3)][2], days[t][3]);
        let sales = f64::min(demand + backlog, stock + receipt);
        (stock, backlog) = (stock + receipt - sales, demand + backlog - sales);
    }
    // 2024-06-01 is day 1247 of the log.
    let expected = stocks[1247..1247 + 180].iter().sum::<f64>() / 180.0;
    let results = room.json("reports/store/results.json");
    let kpis = results["scenarios"][0]["cases"][0]["kpis"].as_array().unwrap();
    let stock = kpis.iter().find(|k| k["name"] == "stock").unwrap();
    let found = stock["value"]["mean"].as_f64().unwrap();
    assert!((found - expected).abs() < 1e-6, "{found} {expected}");
}
