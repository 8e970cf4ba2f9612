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

/// A shop whose daily demand is independent gets the right fill rate, with the right range.
#[test]
fn a_policy_is_simulated_against_independent_demand() {
    let room = Room::new();
    let mut noise = Noise::new(23);
    let mut rows: Vec<[f64; 4]> = Vec::new();
    let (mut stock, mut backlog, mut orders) = (60.0, 0.0, [5.0; 3]);
    for _ in 0..ROWS {
        let (receipt, order, demand) = (orders[0], (2.0 + 7.0 * noise.even()).floor(), poisson(&mut noise, 5.0));
        let sales = f64::min(demand + backlog, stock + receipt);
        rows.push([stock, backlog, order, demand]);
        (stock, backlog, orders) = (stock + receipt - sales, demand + backlog - sales, [orders[1], orders[2], order]);
    }
    let days = (0..ROWS as i64).map(|i| START_MS + i * DAY_MS);
    let time: ArrayRef = Arc::new(TimestampMillisecondArray::from_iter_values(days).with_timezone("UTC"));
    let mut columns = vec![("day", time)];
    for (k, name) in ["on_hand", "backlog", "order_qty", "demand"].into_iter().enumerate() {
        columns.push((name, Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| r[k])))));
    }
    room.write("data/store/twin.toml", TWIN);
    write_columns(&room.path("data/store/log/l.parquet"), &columns);
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
