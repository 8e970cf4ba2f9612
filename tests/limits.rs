//! Limits of what the plant does, kept by plans: hard ones, soft ones by rank, and by how much futures spread.

// A list of one stretch of training rows.
#![allow(clippy::single_range_in_vec_init)]

mod plant;

use std::sync::Arc;

use plant::{Known, Plant, noise};
use twinopt::learn::Target;
use twinopt::simulate::Simulated;
use twinopt::trajectory::Trajectory;
use twinopt::twin::Twin;

/// What warms one room cools the other: `a` settles at u, `b` at 10 − u. Both should stay below 4, and money wants AIM.
const SEESAW: &str = r#"
name = "seesaw"
step = "1min"
log = { files = "log/*.parquet", time = "t" }
signals = [
  { name = "a", role = "state", soft = [-inf, 4], hard = [LEAST, inf], next = "0.5 * a + 0.5 * u" },
  { name = "b", role = "state", soft = [-inf, 4], next = "0.5 * b + 5 - 0.5 * u" },
  { name = "u", role = "control", hard = [0, 10] },
]
[kpi]
money = { sum = "(u - AIM)^2" }
[objective]
money = PRICE
"#;

/// Where the control settles.
fn settles(least: &str, aim: &str, price: &str, mpc: &str, planner: &str) -> f64 {
    let plant = Plant::new(&SEESAW.replace("LEAST", least).replace("AIM", aim).replace("PRICE", price));
    let twin = plant.known();
    let mut log = plant.log(50);
    for (column, value) in log.columns.iter_mut().zip([5.0, 5.0, 5.0]) {
        column.fill(value);
    }
    let text = format!("controller.mpc = {{ horizon = '8min', within_log = false, {mpc} planner.{planner} }}");
    let mut controller = plant.controller(&twin, &text).unwrap();
    let run = plant.run(&twin, &Arc::new(log), 10, 1, controller.as_mut()).unwrap();
    *run.trajectory.columns[2].last().unwrap()
}

#[test]
fn a_higher_rank_is_never_traded_for_a_lower_one_or_for_money() {
    let planners = ["gauss_newton = {}", "qp = {}", "icem = { population = 128, iterations = 8 }"];
    // (least a, aim of money, ranks, where the control settles)
    let cases = [
        ("-inf", "5", "", 5.0),
        ("-inf", "5", "ranks = { a = 1, b = 2 },", 4.0),
        ("-inf", "9", "ranks = { a = 1, b = 2 },", 4.0),
        ("-inf", "5", "ranks = { a = 2, b = 1 },", 6.0),
        ("-inf", "1", "ranks = { a = 3, b = 1 },", 6.0),
        ("-inf", "9", "ranks = { a = 2 },", 4.0),
        // The hard limit stands above both: rank 1 is broken as little as it allows.
        ("5", "9", "ranks = { a = 1, b = 2 },", 5.0),
        ("7", "1", "ranks = { a = 1, b = 2 },", 7.0),
    ];
    for (least, aim, ranks, expected) in cases {
        for planner in planners {
            for price in ["1e-6", "1.0", "1e6"] {
                let u = settles(least, aim, price, ranks, planner);
                println!("a ≥ {least}, aim {aim}, {ranks} {planner}, price {price}: {u:.4} for {expected}");
                assert!((u - expected).abs() < 0.1, "a ≥ {least}, aim {aim}, {ranks} {planner}, price {price}: {u}");
            }
        }
    }
}

/// More yields more, up to a limit; half a unit of noise at every step.
const NOISY: &str = r#"
name = "noisy"
step = "1min"
log = { files = "log/*.parquet", time = "t" }
signals = [
  { name = "x", role = "state", LIMIT },
  { name = "u", role = "control", hard = [0, 40] },
]
[kpi]
short = { sum = "(x - 20)^2" }
[objective]
short = 1.0
"#;

fn noisy(limit: &str) -> (Plant, Twin, Arc<Trajectory>) {
    let plant = Plant::new(&NOISY.replace("LIMIT", limit));
    let mut log = plant.log(510);
    log.columns[0].fill(8.0);
    log.columns[1].fill(8.0);
    let regressor = Known { weights: vec![vec![-0.3, 0.3]], members: 1 };
    let mut twin = plant.twin(&[(0, 0), (1, 0)], &[Target::Delta(0)], regressor, &log);
    twin.spread = noise(1, 0.0, 0.5);
    (plant, twin, Arc::new(log))
}

/// Of the noisy plant under MPC, settled.
fn levels(limit: &str, mpc: &str) -> Vec<f64> {
    let (plant, twin, log) = noisy(limit);
    let text = format!("controller.mpc = {{ horizon = '6min', within_log = false, correction = 0.0, {mpc} }}");
    let mut controller = plant.controller(&twin, &text).unwrap();
    let run: Simulated = plant.run(&twin, &log, 10, 8, controller.as_mut()).unwrap();
    run.trajectory.columns[0][8 * 20..].to_vec()
}

fn share_above(levels: &[f64], limit: f64) -> f64 {
    levels.iter().filter(|v| **v > limit).count() as f64 / levels.len() as f64
}

#[test]
fn limits_hold_with_the_confidence_asked_for() {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    for limit in ["hard = [-inf, 10]", "soft = [-inf, 10]"] {
        for planner in ["gauss_newton = {}", "qp = {}", "icem = { population = 64 }"] {
            let ranks = if limit.starts_with("soft") { "ranks = { x = 1 }, " } else { "" };
            let run = |confidence: &str| levels(limit, &format!("{ranks}{confidence}planner.{planner}"));
            let (plain, sure, surer) = (run(""), run("confidence = 0.95, "), run("confidence = 0.99, "));
            let [without, with, most] = [&plain, &sure, &surer].map(|v| share_above(v, 10.0));
            println!(
                "{limit} {planner}: above it {:.2} % of {} steps, at 95 % {:.2} %, at 99 % {:.2} %; means {:.3} {:.3} {:.3}",
                100.0 * without,
                plain.len(),
                100.0 * with,
                100.0 * most,
                mean(&plain),
                mean(&sure),
                mean(&surer),
            );
            // 3,840 independent steps: a standard deviation of 0.35 points around 5 %.
            assert!(with < 0.065 && most < 0.02, "{limit} {planner}: {with} {most}");
            if !planner.starts_with("icem") {
                assert!(without > 0.3, "{limit} {planner}: {without}");
                // No more distance than it takes.
                assert!(with > 0.03 && most > 0.003, "{limit} {planner}: {with} {most}");
            }
        }
    }
}

#[test]
fn where_no_room_is_left_the_middle_is_kept() {
    for planner in ["gauss_newton = {}", "qp = {}"] {
        let mpc = format!("ranks = {{ x = 1 }}, confidence = 0.95, planner.{planner}");
        let levels = levels("soft = [9.5, 10.5]", &mpc);
        let mean = levels.iter().sum::<f64>() / levels.len() as f64;
        assert!((mean - 10.0).abs() < 0.1, "{planner}: {mean}");
    }
}
