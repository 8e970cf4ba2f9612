//! Tests of `src/learn/identification.rs`.

use std::sync::Arc;

use jiff::Timestamp;

use super::*;
use crate::compute::cpu;
use crate::config::{ModelSpec, TimeSpan};
use crate::learn::Equations;
use crate::rng::Key;
use crate::schema::{Schema, Signal};
use crate::trajectory::Trajectory;
use crate::units::Unit;

const STEPS: usize = 2880;
const STEP_MS: i64 = 1_800_000;

/// Weather: a daily cycle around 15 °C and an AR(1) process.
fn weather(steps: usize, step_ms: i64) -> Vec<f64> {
    let (mut slow, per_day) = (0.0, 86_400_000.0 / step_ms as f64);
    (0..steps)
        .map(|t| {
            slow = 0.98 * slow + 0.6 * Key::new(1).normal(t as u64);
            15.0 + 6.0 * (std::f64::consts::TAU * t as f64 / per_day).sin() + slow
        })
        .collect()
}

/// Assesses the control u of a plant with the state x(t + 1) = x(t) + 0.2 (u(t) − x(t)) + 0.05 e(t). The disturbances
/// are the weather d and eight unrelated signals. `control` computes u(t) from t, d(t) and x(t).
fn identified(control: &dyn Fn(usize, f64, f64) -> f64) -> Identification {
    identified_in(STEPS, STEP_MS, "7d", control)
}

/// Like `identified`, but with the given number of steps, step size and hold-out.
fn identified_in(
    steps: usize,
    step_ms: i64,
    holdout: &str,
    control: &dyn Fn(usize, f64, f64) -> f64,
) -> Identification {
    let mut signals = vec![
        Signal::open("x", Role::State, Unit::one()),
        Signal::open("u", Role::Control, Unit::one()),
        Signal::open("d", Role::Disturbance, Unit::one()),
    ];
    signals.extend((0..8).map(|i| Signal::open(&format!("z{i}"), Role::Disturbance, Unit::one())));
    let mut log = Trajectory::empty(Arc::new(Schema::new(signals)), Timestamp::UNIX_EPOCH, step_ms, steps, 1);
    let d = weather(steps, step_ms);
    let mut x = 20.0;
    for (t, &d) in d.iter().enumerate() {
        let u = control(t, d, x);
        (log.columns[0][t], log.columns[1][t], log.columns[2][t]) = (x, u, d);
        for z in 0..8 {
            log.columns[3 + z][t] = Key::new(2).fold(z as u64).normal(t as u64);
        }
        x += 0.2 * (u - x) + 0.05 * Key::new(3).normal(t as u64);
    }
    let spec = ModelSpec {
        lags: 2.into(),
        holdout: holdout.parse::<TimeSpan>().unwrap().into(),
        horizon: "4h".parse::<TimeSpan>().unwrap().into(),
        ..ModelSpec::default()
    };
    let (equations, compute) = (Equations::default(), cpu());
    let data = TrainingData::new(&log, &equations, &spec, &compute).unwrap();
    identify(&data, &TimeZone::UTC).unwrap().0.remove(0)
}

/// A value between −1 and 1 that changes every `hold` steps.
fn by_hand(t: usize, hold: usize) -> f64 {
    2.0 * Key::new(4).uniform((t / hold) as u64) - 1.0
}

#[test]
fn a_control_that_follows_a_disturbance_is_not_identified() {
    let laws: [&dyn Fn(usize, f64, f64) -> f64; 3] = [
        &|_, d, _| 20.0 - 0.3 * (d - 15.0),
        // a heating curve with two bends
        &|_, d, _| (20.0 - 0.5 * (d - 12.0)).clamp(18.0, 22.0),
        // the same kind of law with rounding
        &|_, d, _| ((20.0 - 0.3 * (d - 15.0)) * 1000.0).round() / 1000.0,
    ];
    for (i, law) in laws.into_iter().enumerate() {
        let found = identified(law);
        assert_eq!(found.level, IdentificationLevel::NotIdentified, "law {i}: {found:?}");
        assert!(found.explained > 0.99, "law {i}: {found:?}");
        assert_eq!(found.companion.map(|c| c.0), Some(Companion::Signal(2)));
    }
}

#[test]
fn a_control_that_follows_the_clock_is_not_identified() {
    // the control follows a daily night set-back, or a set-back that also differs on weekends
    let night = |t: usize| (t / 2 % 24) < 6 || (t / 2 % 24) >= 22;
    let weekend = |t: usize| t / 48 % 7 >= 5;
    let daily = identified(&|t, _, _| if night(t) { 17.0 } else { 21.0 });
    assert_eq!(daily.level, IdentificationLevel::NotIdentified, "{daily:?}");
    assert_eq!(daily.companion.map(|c| c.0), Some(Companion::TimeOfDay));
    let weekly = identified(&|t, _, _| if night(t) || weekend(t) { 17.0 } else { 21.0 });
    assert_eq!(weekly.level, IdentificationLevel::NotIdentified, "{weekly:?}");
    assert_eq!(weekly.companion.map(|c| c.0), Some(Companion::TimeOfWeek));
}

#[test]
fn a_control_that_follows_a_state_is_not_identified() {
    let found = identified(&|_, d, x| 20.0 - 2.0 * (x - 20.0) - 0.1 * d);
    assert_eq!(found.level, IdentificationLevel::NotIdentified, "{found:?}");
}

#[test]
fn a_control_that_is_moved_by_hand_is_identified_although_a_state_follows_it() {
    let found = identified(&|t, _, _| 20.0 + 2.0 * by_hand(t, 24));
    assert_eq!(found.level, IdentificationLevel::Identified, "{found:?}");
    assert!((20.0..200.0).contains(&found.moves), "{found:?}");
    let steered = identified(&|t, d, _| 20.0 - 0.3 * (d - 15.0) + by_hand(t, 24));
    assert_eq!(steered.level, IdentificationLevel::Identified, "{steered:?}");
    assert!((0.1..0.3).contains(&steered.own_movement), "{steered:?}");
}

#[test]
fn a_short_log_with_small_steps_does_not_make_a_follower_identified() {
    // 8 days with one row per minute: every minute of the week occurs once or twice
    let minutes = |control| identified_in(12_000, 60_000, "1d", control);
    let follower = minutes(&|_, d, _| 20.0 - 0.3 * (d - 15.0));
    assert_eq!(follower.level, IdentificationLevel::NotIdentified, "{follower:?}");
    let rounded = minutes(&|_, d, _| ((20.0 - 0.3 * (d - 15.0)) * 4.0).round() / 4.0);
    assert_ne!(rounded.level, IdentificationLevel::Identified, "{rounded:?}");
    let moved = minutes(&|t, _, _| 20.0 + by_hand(t, 120));
    assert_eq!(moved.level, IdentificationLevel::Identified, "{moved:?}");
}

#[test]
fn rare_pulses_are_identified_but_few_moves_are_not() {
    let pulse = |t: usize| f64::from(u8::from(Key::new(5).uniform(t as u64) < 0.01));
    let pulses = identified(&|t, _, _| pulse(t));
    assert_eq!(pulses.level, IdentificationLevel::Identified, "{pulses:?}");
    assert!((10.0..60.0).contains(&pulses.moves), "{pulses:?}");
    let seldom = identified(&|t, _, _| 20.0 + 2.0 * by_hand(t, 480));
    assert_ne!(seldom.level, IdentificationLevel::Identified, "{seldom:?}");
    let once = identified(&|t, _, _| if t < STEPS / 2 { 20.0 } else { 21.0 });
    assert_eq!(once.level, IdentificationLevel::NotIdentified, "{once:?}");
    let never = identified(&|_, _, _| 20.0);
    assert_eq!((never.level, never.companion), (IdentificationLevel::NotIdentified, None));
}
