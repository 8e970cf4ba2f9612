//! Tests of `src/learn/effect.rs`.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::*;
use crate::compute::cpu;
use crate::config::{ModelSpec, TimeSpan};
use crate::learn::{Equations, Selection, identify, learn};
use crate::rng::Key;
use crate::schema::{Role, Schema, Signal};
use crate::stats::student_t_95;
use crate::trajectory::Trajectory;
use crate::units::Unit;

const STEPS: usize = 2_000;
const EFFECT: f64 = 1.5;

/// A log of y(t) = 1.5 u(t) + d(t) + e(t), where e is AR(1) noise with a correlation of 0.9. `control` computes u(t)
/// from t and d(t).
fn log(seed: u64, control: &dyn Fn(usize, f64) -> f64) -> Trajectory {
    let signals = vec![
        Signal::open("y", Role::Output, Unit::one()),
        Signal::open("u", Role::Control, Unit::one()),
        Signal::open("d", Role::Disturbance, Unit::one()),
    ];
    let mut log = Trajectory::empty(Arc::new(Schema::new(signals)), Timestamp::UNIX_EPOCH, 1_800_000, STEPS, 1);
    let normal = |stream: u64, t: usize| Key::new(seed).fold(stream).normal(t as u64);
    let (mut d, mut e) = (0.0, 0.0);
    for t in 0..STEPS {
        d = 0.95 * d + 0.3 * normal(1, t);
        let u = control(t, d);
        e = 0.9 * e + 0.44 * normal(2, t);
        (log.columns[0][t], log.columns[1][t], log.columns[2][t]) = (EFFECT * u + d + e, u, d);
    }
    log
}

/// The estimated error of the effect of u on y in a model that does not read u.
fn error_of_a_model_without_the_control(log: &Trajectory) -> EffectError {
    let spec = ModelSpec {
        choose: vec!["linear".to_owned().into()],
        lags: 2.into(),
        holdout: "5d".parse::<TimeSpan>().unwrap().into(),
        horizon: "4h".parse::<TimeSpan>().unwrap().into(),
        ..ModelSpec::default()
    };
    let (equations, compute) = (Equations::default(), cpu());
    let data = TrainingData::new(log, &equations, &spec, &compute).unwrap();
    let (_, movements) = identify(&data, &TimeZone::UTC).unwrap();
    let blind = ModelSpec { ignore: vec!["u".to_owned().into()], ..spec.clone() };
    let data = TrainingData::new(log, &equations, &blind, &compute).unwrap();
    let learned = learn(&data, &Selection::default(), &|_| ()).unwrap();
    effect_errors(&data, &learned.map, &learned.refits, &learned.noise_model.process, &movements).remove(0)
}

/// A value between −1 and 1 that changes every `hold` steps.
fn by_hand(seed: u64, t: usize, hold: usize) -> f64 {
    2.0 * Key::new(seed).fold(3).uniform((t / hold) as u64) - 1.0
}

/// Counts the seeds for which the 90 % interval of the error covers the true error.
fn covered(seeds: u64, control: &dyn Fn(u64, usize, f64) -> f64) -> (usize, f64) {
    let (mut count, mut sum) = (0, 0.0);
    for seed in 0..seeds {
        let found = error_of_a_model_without_the_control(&log(seed, &|t, d| control(seed, t, d)));
        assert!(found.average.mean == 0.0 && found.accumulation.is_some_and(|a| (a - 1.0).abs() < 1e-9), "{found:?}");
        count += usize::from((found.error - EFFECT).abs() <= student_t_95(found.blocks - 1.0) * found.se);
        sum += found.error / EFFECT;
    }
    (count, sum / seeds as f64)
}

#[test]
fn the_error_of_a_control_that_is_moved_by_hand_is_found() {
    let (covered, ratio) = covered(20, &|seed, t, _| by_hand(seed, t, 20));
    assert!((16..=20).contains(&covered) && (ratio - 1.0).abs() < 0.1, "{covered} of 20, {ratio}");
}

#[test]
fn feedback_from_a_disturbance_does_not_bias_the_error() {
    let (covered, ratio) = covered(20, &|seed, t, d| 0.5 * d + by_hand(seed, t, 10));
    assert!((16..=20).contains(&covered) && (ratio - 1.0).abs() < 0.1, "{covered} of 20, {ratio}");
}
