//! Tests of `src/scenario/effect.rs`.

use std::sync::Arc;

use jiff::Timestamp;

use super::*;
use crate::schema::{Role, Signal};
use crate::units::Unit;
use crate::value::Difference;

fn effect(error: f64, se: f64, members: &[f64]) -> ControlEffect {
    ControlEffect {
        control: "u".into(),
        signal: "y".into(),
        unit: "1/1".into(),
        window: 8,
        hours: 4.0,
        model: 1.0,
        members: members.to_vec(),
        inflation: 1.0,
        error,
        se,
        blocks: 1e6,
        accumulation: Some(1.0),
        contrast: None,
        shown_hours: None,
    }
}

/// A run with y(t) = effect of the particle · u.
fn run(u: f64, effects: &[f64]) -> Trajectory {
    let signals = vec![Signal::open("y", Role::Output, Unit::one()), Signal::open("u", Role::Control, Unit::one())];
    let mut run = Trajectory::empty(Arc::new(Schema::new(signals)), Timestamp::UNIX_EPOCH, 1000, 10, effects.len());
    for t in 0..10 {
        run.at_mut(1, t).fill(u);
        run.at_mut(0, t).iter_mut().zip(effects).for_each(|(y, e)| *y = e * u);
    }
    run
}

fn corrected(effects: &[f64], effect: ControlEffect) -> Difference {
    let (mut case, baseline) = (run(3.0, effects), run(1.0, effects));
    correct(&mut case, &baseline, &[effect], &Equations::default(), Key::new(1));
    Difference::paired(case.at(0, 9), baseline.at(0, 9))
}

#[test]
fn the_difference_has_the_effect_and_the_interval_of_the_log() {
    // The effect is 1.2 in the simulation (the mean of four members), 1.0 in the mean model, and 1.5 in the log.
    let members = [0.9, 1.1, 1.3, 1.5];
    let effects: Vec<f64> = (0..99).map(|p| members[p % 4]).collect();
    let found = corrected(&effects, effect(0.5, 0.1, &members.map(|m| m - 1.0)));
    let half = 2.0 * 0.1 * 1.645;
    let right = [2.0 * 1.5, 2.0 * 1.5 - half, 2.0 * 1.5 + half];
    for (value, right) in [found.mean, found.low, found.high].into_iter().zip(right) {
        assert!((value - right).abs() < 0.02, "{found:?} {right}");
    }
}

#[test]
fn members_that_differ_more_than_their_average_effects_keep_the_rest_of_their_spread() {
    let local: Vec<f64> = (0..99).map(|p| 1.0 + 0.2 * (f64::from(p % 9) - 4.0)).collect();
    let plain = corrected(&local, effect(0.0, 0.0, &[]));
    let wide = corrected(&local, ControlEffect { inflation: 2.0, ..effect(0.0, 0.0, &[]) });
    assert!((plain.high - plain.low - 3.2).abs() < 1e-9 && (wide.high - wide.low - 6.4).abs() < 1e-9, "{wide:?}");
}

#[test]
fn a_case_that_equals_the_baseline_saves_exactly_nothing() {
    let effects = [0.7, 1.3, 0.9, 1.1];
    let (mut case, baseline) = (run(3.0, &effects), run(3.0, &effects));
    correct(&mut case, &baseline, &[effect(0.5, 0.3, &[0.1, -0.2])], &Equations::default(), Key::new(1));
    assert_eq!(case, baseline);
}

#[test]
fn integrating_signals_are_not_corrected() {
    let integrating = ControlEffect { accumulation: None, ..effect(0.5, 0.0, &[]) };
    assert_eq!(corrected(&[1.0; 20], integrating).mean, 2.0);
}

#[test]
fn the_filter_has_the_mean_one_over_the_window() {
    for (accumulation, window) in [(1.0, 8), (1.5, 8), (2.5, 24), (12.0, 24), (1.2, 1)] {
        let rho = decay(accumulation, window);
        let mean = (1..=window).map(|j| accumulation * (1.0 - rho.powi(j as i32))).sum::<f64>() / window as f64;
        assert!((mean - 1.0).abs() < 1e-6, "{accumulation} {window}: {rho} {mean}");
    }
}

#[test]
fn the_mean_is_right_if_some_members_have_more_particles_than_others() {
    // Three particles of two members whose effects are 0.5 and 1.5, so that the mean model has the effect 1.0.
    let members = [0.5, 1.5];
    let effects = [0.5, 1.5, 0.5];
    let found = corrected(&effects, ControlEffect { inflation: 3.0, ..effect(0.0, 0.0, &members.map(|m| m - 1.0)) });
    assert!((found.mean - 2.0).abs() < 1e-9, "{found:?}");
}
