//! Tests of the check that keeps the moves of MPC in scenarios within the support.

use super::plant;

use std::sync::Arc;

use plant::{Known, Plant};
use twinopt::config::TimeSpan;
use twinopt::control::mpc::ResolvedMpc;
use twinopt::control::{Control, Controller, GatedMpc, Mpc, Observation, Replay};
use twinopt::error::Result;
use twinopt::learn::Target;
use twinopt::rng::Key;
use twinopt::schema::Role;
use twinopt::simulate::Simulated;
use twinopt::trajectory::Trajectory;
use twinopt::twin::{Support, Twin};

/// In the log, `left` and `right` always move together. The objective is lowest if `left` and
/// `right` move apart.
const TOML: &str = r#"
name = "pair"
step = "1h"
log = { files = "log/*.parquet", time = "t" }
signals = [
  { name = "x", role = "state" },
  { name = "left", role = "control", hard = [0.0, 1.0] },
  { name = "right", role = "control", hard = [0.0, 1.0] },
  { name = "other", role = "control", hard = [0.0, 1.0] },
]
[kpi]
gap = { mean = "left - right" }
[objective]
gap = 1.0
"#;

fn twin_and_log(plant: &Plant) -> (Twin, Arc<Trajectory>) {
    let mut log = plant.log(600);
    let key = Key::new(9);
    for t in 0..600 {
        let both = 0.1 + 0.8 * key.uniform(t as u64 / 4);
        let other = 0.1 + 0.8 * key.fold(2).uniform(t as u64 / 3);
        let split = 0.02 * key.fold(1).normal(t as u64);
        let x = if t == 0 { 1.0 } else { 0.5 * (log.columns[0][t - 1] + log.columns[1][t - 1]) };
        for (s, v) in [x, both, both + split, other].into_iter().enumerate() {
            log.columns[s][t] = v;
        }
    }
    let weights = vec![vec![-0.5, 0.5, 0.0, 0.0]];
    let inputs = [(0, 0), (1, 0), (2, 0), (3, 0)];
    let twin = plant.twin(&inputs, &[Target::Delta(0)], Known { weights, members: 1 }, &log);
    (twin, Arc::new(log))
}

fn mpc<'a>(plant: &Plant, twin: &'a Twin) -> Mpc<'a> {
    let horizon = Some(TimeSpan::from_ms(4 * 3_600_000));
    let settings = ResolvedMpc { controls: vec![1, 2], horizon, ..ResolvedMpc::default() };
    Mpc::new(&settings, twin, plant.objective.clone(), Key::new(3))
}

fn run(plant: &Plant, twin: &Twin, log: &Arc<Trajectory>, controller: &mut dyn Controller) -> Simulated {
    plant.run(twin, log, 500, 2, controller).unwrap()
}

fn outside(run: &Simulated) -> f64 {
    run.support.iter().filter(|s| **s == Support::Outside).count() as f64 / run.support.len() as f64
}

#[test]
fn moves_that_leave_the_support_are_reduced() {
    let plant = Plant::new(TOML);
    let (twin, log) = twin_and_log(&plant);
    let free = run(&plant, &twin, &log, &mut mpc(&plant, &twin));
    assert!(outside(&free) > 0.9, "{}", outside(&free));
    let mut gated = GatedMpc::new(mpc(&plant, &twin), Box::new(Replay), &twin);
    let kept = run(&plant, &twin, &log, &mut gated);
    let used = gated.gate_use().unwrap();
    assert!(outside(&kept) < 0.05, "{}", outside(&kept));
    assert!(used.moves == 200 && used.reduced > 150, "{used:?}");
    // The reduced moves still lower the objective.
    let gap = |s: &Simulated| plant.value(s);
    let replay = run(&plant, &twin, &log, &mut Replay);
    assert!(
        gap(&free) < gap(&kept) && gap(&kept) < gap(&replay) - 0.005,
        "{} {} {}",
        gap(&free),
        gap(&kept),
        gap(&replay)
    );
}

/// Sets the control `other` to 0.25, and `left` to a missing value.
struct Own;

impl Controller for Own {
    fn signals(&self) -> &[usize] {
        &[3, 1]
    }
    fn act(&mut self, _: &Observation, control: &mut Control) -> Result<()> {
        control.values[0].fill(0.25);
        control.values[1].fill(f64::NAN);
        Ok(())
    }
}

#[test]
fn controls_that_mpc_does_not_plan_follow_the_own_controller() {
    let plant = Plant::new(TOML);
    let (twin, log) = twin_and_log(&plant);
    let mut gated = GatedMpc::new(mpc(&plant, &twin), Box::new(Own), &twin);
    assert_eq!(gated.signals(), plant.schema.with_role(Role::Control));
    let run = run(&plant, &twin, &log, &mut gated).trajectory;
    assert!(run.columns[3].iter().all(|v| *v == 0.25));
    assert!(run.columns[1].iter().all(|v| v.is_finite()));
}

#[test]
fn logged_values_outside_the_limits_of_a_control_are_kept() {
    let plant = Plant::new(&TOML.replace(
        "\"other\", role = \"control\", hard = [0.0, 1.0]",
        "\"other\", role = \"control\", hard = [0.0, 0.4]",
    ));
    let (twin, log) = twin_and_log(&plant);
    let mut gated = GatedMpc::new(mpc(&plant, &twin), Box::new(Replay), &twin);
    assert_eq!(gated.signals(), [1, 2]);
    let run = run(&plant, &twin, &log, &mut gated).trajectory;
    let logged = &log.columns[3][500..500 + run.steps];
    assert!(logged.iter().any(|v| *v > 0.4));
    assert_eq!((0..run.steps).map(|t| run.at(3, t)[0]).collect::<Vec<_>>(), logged);
}
