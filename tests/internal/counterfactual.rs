//! Tests of recorded noise: a replay gives the measured run, and a what-if run differs from the
//! measured run by the effect of the change.

use super::plant;

use std::sync::Arc;

use plant::{Known, Plant, noise};
use twinopt::control::{Control, Controller, Forecast, Observation, Replay};
use twinopt::error::Result;
use twinopt::learn::Target;
use twinopt::rng::Key;
use twinopt::simulate::{Run, Simulated, simulate};
use twinopt::trajectory::{Frame, Trajectory};
use twinopt::twin::{Dynamics, RecordedTwin, Twin};

/// `x` is unstable, `stock` is an integrator with a known equation that neglects a leak, `half` has a known equation
/// with a learned residual, and `flow` is an output that the equation of `stock` reads.
const TOML: &str = r#"
name = "plant"
step = "1h"
log = { files = "log/*.parquet", time = "t" }
signals = [
  { name = "x", role = "state" },
  { name = "stock", role = "state", next = "stock + late - 1" },
  { name = "half", role = "state", next = "0.5 * half", residual = true },
  { name = "flow", role = "output" },
  { name = "u", role = "control" },
  { name = "d", role = "disturbance" },
  { name = "late", role = "derived", expr = "flow + 0.1 * u" },
]
"#;
const STEPS: usize = 700;
const PAST: usize = 40;
const MEMBERS: usize = 5;

/// Coefficients of x, u, d in the targets x(t + 1) − x(t), half(t + 1) − 0.5 half(t) and flow(t). The coefficients of
/// member m of the twin are these values times 1 + m / 1000.
const WEIGHTS: [[f64; 3]; 3] = [[0.08, -0.2, 0.1], [0.1, 0.3, 0.0], [0.2, 0.05, 0.1]];

/// The log of a plant that differs from the twin: its coefficients are 5 % smaller, its stock leaks, its noise is
/// correlated, and there is a trip at step 400. A controller with integral action stabilises x.
fn log(plant: &Plant) -> Trajectory {
    let mut log = plant.log(STEPS);
    let key = Key::new(5);
    let noise = |s: u64, t: usize| key.fold(s).normal(t as u64);
    let (mut x, mut stock, mut half, mut integral, mut slow) = (1.0, 50.0, 3.0, 0.0, 0.0);
    for t in 0..STEPS {
        slow = 0.95 * slow + 0.1 * noise(0, t);
        integral += 0.02 * x;
        let (d, u) = (2.0 * (t as f64 / 9.0).sin() + noise(1, t), 1.5 * x + integral + 0.3 * noise(2, t));
        let [dx, dh, flow] = WEIGHTS.map(|w| 0.95 * (w[0] * x + w[1] * u + w[2] * d));
        let flow = flow + slow + 0.2 * noise(3, t);
        for (s, v) in [x, stock, half, flow, u, d, flow + 0.1 * u].into_iter().enumerate() {
            log.columns[s][t] = v;
        }
        let trip = if t == 400 { 25.0 } else { 0.0 };
        (x, stock, half) = (
            x + dx + 0.1 * noise(4, t) + trip,
            0.999 * stock + flow + 0.1 * u - 1.0,
            0.5 * half + dh + 0.3 + 0.1 * noise(5, t),
        );
    }
    log
}

fn twin(plant: &Plant, log: &Trajectory) -> Twin {
    let weights = WEIGHTS.iter().map(|w| w.to_vec()).collect();
    let targets = [Target::Delta(0), Target::Residual(2), Target::Level(3)];
    let mut twin = plant.twin(&[(0, 0), (4, 0), (5, 0)], &targets, Known { weights, members: MEMBERS }, log);
    twin.noise_model = noise(3, 0.5, 0.2);
    twin
}

/// Records the noise, and then simulates `controller` with the recorded noise.
fn simulated(plant: &Plant, twin: &Twin, log: &Arc<Trajectory>, controller: &mut dyn Controller) -> Simulated {
    let run = |dynamics: &dyn Dynamics, controller: &mut dyn Controller| {
        let forecast = Forecast::new(&plant.spec, log.clone(), PAST, None);
        let (steps, key) = (STEPS - PAST, Key::new(1));
        let run = Run { dynamics, realised: log, past: PAST, steps, particles: MEMBERS, key, forecast };
        simulate(&run, controller, &|| false).unwrap()
    };
    let recorder = RecordedTwin::recorder(twin, log, PAST);
    run(&recorder, &mut Replay);
    run(&recorder.recorded(), controller)
}

/// Changes the logged control by a constant.
struct Shift(f64);

impl Controller for Shift {
    fn signals(&self) -> &[usize] {
        &[4]
    }
    fn act(&mut self, observation: &Observation, control: &mut Control) -> Result<()> {
        let logged = observation.window.column(4, 0);
        control.values[0].iter_mut().zip(logged).for_each(|(v, u)| *v = u + self.0);
        Ok(())
    }
}

/// A feedback controller: u is 1.5 x plus an integral of x. The integral starts at its logged value
/// at the start of the run.
struct Feedback(Vec<f64>);

impl Controller for Feedback {
    fn signals(&self) -> &[usize] {
        &[4]
    }
    fn act(&mut self, observation: &Observation, control: &mut Control) -> Result<()> {
        for (p, v) in control.values[0].iter_mut().enumerate() {
            let x = observation.window.column(0, 0)[p];
            self.0[p] += 0.02 * x;
            *v = 1.5 * x + self.0[p] + 0.3 * Key::new(5).fold(2).normal((PAST + observation.step) as u64);
        }
        Ok(())
    }
}

fn assert_measured(run: &Trajectory, log: &Trajectory, tolerance: f64) {
    for (s, signal) in log.schema.signals.iter().enumerate() {
        for t in 0..run.steps {
            let measured = log.columns[s][PAST + t];
            for v in run.at(s, t) {
                let error = (v - measured).abs();
                assert!(error <= tolerance * measured.abs().max(1.0), "{} at {t}: {v} for {measured}", signal.name);
            }
        }
    }
}

#[test]
fn a_replay_of_an_unstable_plant_is_the_measured_run() {
    let plant = Plant::new(TOML);
    let log = Arc::new(log(&plant));
    let twin = twin(&plant, &log);
    // Rounding errors of the unstable state would grow by a factor of 1.08⁶⁶⁰ ≈ 10²².
    assert_measured(&simulated(&plant, &twin, &log, &mut Replay).trajectory, &log, 1e-13);
    // The controller of the plant repeats its own moves, because it observes the measured states.
    let integral = (0..PAST).map(|t| 0.02 * log.columns[0][t]).sum();
    let feedback = simulated(&plant, &twin, &log, &mut Feedback(vec![integral; MEMBERS])).trajectory;
    assert_measured(&feedback, &log, 1e-9);
    // If the noise is drawn at random instead of recorded, the replay deviates from the log.
    let mut replay = plant.controller(&twin, "controller.replay = {}").unwrap();
    let drawn = plant.run(&twin, &log, PAST, MEMBERS, replay.as_mut()).unwrap().trajectory;
    assert!((drawn.at(0, 600)[0] - log.columns[0][PAST + 600]).abs() > 1e3);
}

#[test]
fn a_what_if_differs_from_the_record_by_the_effect_of_each_member() {
    let plant = Plant::new(TOML);
    let log = Arc::new(log(&plant));
    let twin = twin(&plant, &log);
    let shift = -0.7;
    let run = simulated(&plant, &twin, &log, &mut Shift(shift)).trajectory;
    for p in 0..MEMBERS {
        // The plant is linear, so the effect of the change follows from the coefficients of the member alone.
        let factor = 1.0 + 1e-3 * p as f64;
        let [a, b, c] = WEIGHTS.map(|w| w.map(|w| factor * w));
        let (mut x, mut stock, mut half) = (0.0, 0.0, 0.0);
        for t in 0..100 {
            let flow = c[0] * x + c[1] * shift;
            for (s, effect) in [x, stock, half, flow].into_iter().enumerate() {
                let found = run.at(s, t)[p] - log.columns[s][PAST + t];
                assert!((found - effect).abs() < 1e-9 * effect.abs().max(1.0), "{s} at {t}: {found} for {effect}");
            }
            half = 0.5 * half + b[0] * x + b[1] * shift;
            stock += flow + 0.1 * shift;
            x += a[0] * x + a[1] * shift;
        }
    }
    assert!(run.at(0, 99)[0] != run.at(0, 99)[4], "members must differ");
}

#[test]
fn a_replay_returns_to_the_measured_run_after_missing_values() {
    let plant = Plant::new(TOML);
    let complete = log(&plant);
    let mut gaps = complete.clone();
    for (s, rows) in [(0, 100..103), (2, 300..302), (3, 200..205), (1, 101..104), (6, 200..205)] {
        gaps.columns[s][rows].fill(f64::NAN);
    }
    let gaps = Arc::new(gaps);
    let twin = twin(&plant, &complete);
    let run = simulated(&plant, &twin, &gaps, &mut Replay).trajectory;
    for s in 0..4 {
        for t in PAST..STEPS {
            let found = run.at(s, t - PAST)[0];
            let (measured, missing) = (complete.columns[s][t], gaps.columns[s][t].is_nan());
            let error = (found - measured).abs();
            assert!(found.is_finite() && (missing || error < 1e-12 * measured.abs().max(1.0)), "{s} at {t}: {error}");
        }
    }
    // A missing x is predicted from the last measured value.
    let at = |s: usize, t: usize| complete.columns[s][t];
    let predicted = at(0, 99) + WEIGHTS[0][0] * at(0, 99) + WEIGHTS[0][1] * at(4, 99) + WEIGHTS[0][2] * at(5, 99);
    assert!((run.at(0, 100 - PAST)[0] - predicted).abs() < 1e-12);
}
