//! Tests of `src/learn/consequence.rs`.

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

const STEPS: usize = 3000;

/// Returns the disturbance d if it is found to respond to the control u in a log of y(t) = u(t) +
/// d(t) + noise. `plant` returns u(t), the true d(t) and the measured d(t) from t, the previous
/// values of u and d, and the weather at t and 24 steps later.
fn found(held: f64, plant: &dyn Fn(usize, f64, f64, [f64; 2]) -> [f64; 3]) -> Option<Consequence> {
    let signals = vec![
        Signal::open("y", Role::Output, Unit::one()),
        Signal::open("u", Role::Control, Unit::one()),
        Signal::open("d", Role::Disturbance, Unit::one()),
    ];
    let mut log = Trajectory::empty(Arc::new(Schema::new(signals)), Timestamp::UNIX_EPOCH, 1_800_000, STEPS, 1);
    let mut slow = 0.0;
    let weather: Vec<f64> = (0..STEPS + 24)
        .map(|t| {
            slow = 0.98 * slow + 0.2 * normal(1, t);
            slow + (std::f64::consts::TAU * t as f64 / 48.0).sin()
        })
        .collect();
    let (mut u, mut d) = (0.0, 0.0);
    for t in 0..STEPS {
        let measured;
        [u, d, measured] = plant(t, u, d, [weather[t], weather[t + 24]]);
        (log.columns[0][t], log.columns[1][t], log.columns[2][t]) = (u + d + 0.3 * normal(2, t), u, measured);
    }
    let spec = ModelSpec {
        holdout: "5d".parse::<TimeSpan>().unwrap().into(),
        horizon: "4h".parse::<TimeSpan>().unwrap().into(),
        ..ModelSpec::default()
    };
    let (equations, compute) = (Equations::default(), cpu());
    let data = TrainingData::new(&log, &equations, &spec, &compute).unwrap();
    let hours: Vec<usize> = (0..STEPS).map(|t| t % 48 / 2).collect();
    consequence(&data, &Layout::new(&log.schema, &spec, &equations), &hours, 1, held)
}

fn normal(stream: u64, t: usize) -> f64 {
    Key::new(7).fold(stream).normal(t as u64)
}

/// A value between −1 and 1 that changes every `hold` steps.
fn by_hand(t: usize, hold: usize) -> f64 {
    2.0 * Key::new(4).uniform((t / hold) as u64) - 1.0
}

#[test]
fn a_disturbance_that_responds_to_the_control_is_found() {
    // d approaches 2 u with a time constant of two steps: the mean of 1 − 0.6ʲ over j = 1 … 8 is 0.816. The estimate is
    // about 10 % smaller, because some windows contain the next move.
    let slow = found(20.0, &|t, _, d, _| {
        let u = by_hand(t, 20);
        let d = d + 0.4 * (2.0 * u - d) + 0.1 * normal(3, t);
        [u, d, d]
    });
    let slow = slow.unwrap();
    assert!(slow.disturbance == 2 && slow.is_clear && (slow.change - 2.0 * 0.75).abs() < 0.15, "{slow:?}");
    // d is the weather minus 3 u, without any delay; the estimate is smaller, because some windows
    // contain the next move
    let at_once = found(20.0, &|t, _, _, [weather, _]| {
        let u = by_hand(t, 20);
        [u, weather - 3.0 * u, weather - 3.0 * u]
    });
    let at_once = at_once.unwrap();
    assert!(at_once.is_clear && (at_once.change + 2.7).abs() < 0.3, "{at_once:?}");
    // the slow response again, but the control changes in every step, so only the following steps
    // can show the response
    let every_step = found(1.0, &|t, u, d, _| {
        let next = 0.8 * u + 0.6 * normal(5, t);
        let d = d + 0.4 * (2.0 * u - d) + 0.1 * normal(3, t);
        [next, d, d]
    });
    assert!(every_step.unwrap().is_clear, "{every_step:?}");
}

#[test]
fn a_control_that_follows_or_anticipates_a_disturbance_causes_no_alarm() {
    type Law<'a> = &'a dyn Fn(usize, f64, f64, [f64; 2]) -> f64;
    let laws: [(f64, Law); 5] = [
        (20.0, &|t, _, _, _| by_hand(t, 20)),
        // the control follows the weather of the same step, in small and in large steps
        (1.0, &|t, _, _, [now, _]| 2.0 * now + by_hand(t, 10)),
        (5.0, &|t, _, _, [now, _]| now.round() + (2.0 * by_hand(t, 30)).round()),
        // the control is adjusted every 16 steps, to the current weather or to a forecast
        (16.0, &|t, u, _, [now, _]| if t % 16 == 0 { now + by_hand(t, 16) } else { u }),
        (16.0, &|t, u, _, [_, ahead]| if t % 16 == 0 { ahead + by_hand(t, 16) } else { u }),
    ];
    for (i, (held, law)) in laws.into_iter().enumerate() {
        let found = found(held, &|t, u, d, weather| [law(t, u, d, weather), weather[0], weather[0]]);
        assert_eq!(found, None, "{i}");
    }
    // a recipe that sets the control, which is also moved by hand
    let recipe = |t: usize| (3.0 * Key::new(9).uniform((t / 40) as u64)).floor();
    assert_eq!(found(10.0, &|t, _, _, _| [5.0 * recipe(t) + by_hand(t, 12), recipe(t), recipe(t)]), None);
    // a noisy measurement of the disturbance that the control follows is not a clear response
    let noisy = found(1.0, &|t, _, _, [now, _]| [2.0 * now + 0.5 * by_hand(t, 10), now, now + 0.2 * normal(6, t)]);
    assert!(noisy.is_none_or(|c| !c.is_clear), "{noisy:?}");
}
