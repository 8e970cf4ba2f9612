use std::sync::Arc;

use super::*;
use crate::compute;
use crate::rng::Key;
use crate::schema::Signal;
use crate::units::Unit;

const STEPS: usize = 4_000;

/// A log of the disturbance `load`, which is a random walk between 0.2 and 0.9, and of one control. The function `rule`
/// computes the control from the step, the load and the previous value of the control.
fn log(rule: impl Fn(usize, f64, f64) -> f64) -> Trajectory {
    let signals =
        vec![Signal::open("load", Role::Disturbance, Unit::one()), Signal::open("valve", Role::Control, Unit::one())];
    let schema = Arc::new(Schema::new(signals));
    let start = "2024-01-01T00:00:00Z".parse().unwrap();
    let mut t = Trajectory::empty(schema, start, 1_800_000, STEPS, 1);
    let key = Key::new(5);
    let (mut load, mut valve) = (0.5, 10.0);
    for k in 0..STEPS {
        load = (load + 0.03 * key.normal(k as u64)).clamp(0.2, 0.9);
        valve = rule(k, load, valve);
        (t.columns[0][k], t.columns[1][k]) = (load, valve);
    }
    t
}

fn fit(log: &Trajectory) -> Imitation {
    let compute = compute::cpu();
    Imitation::fit(log, &Equations::default(), &ModelSpec::default(), 1, &TimeZone::UTC, &compute).unwrap()
}

/// The imitated control at the given load and time, for a previous value of 10.
fn acts(imitation: &Imitation, load: f64, time: &str) -> f64 {
    let mut window = Window::new(2, 2, 1, time.parse().unwrap(), 1_800_000);
    window.column_mut(0, 0)[0] = load;
    window.column_mut(1, 1)[0] = 10.0;
    let mut out = [0.0];
    imitation.act(&window, &mut out);
    out[0]
}

#[test]
fn a_rule_on_the_load_and_the_clock_is_reproduced() {
    let night = |k: usize| k % 48 < 12;
    let imitation = fit(&log(|k, load, _| 10.0 + 20.0 * load + if night(k) { 4.0 } else { 0.0 }));
    let quality = imitation.quality;
    assert!(quality.explained > 0.97 && quality.rmse < 0.6 && !quality.poor, "{quality:?}");
    // The imitation reacts to a load that is 20 % higher, and to the clock.
    for (load, time, expected) in
        [(0.5, "2024-02-01T12:00:00Z", 20.0), (0.6, "2024-02-01T12:00:00Z", 22.0), (0.6, "2024-02-01T03:00:00Z", 26.0)]
    {
        let value = acts(&imitation, load, time);
        assert!((value - expected).abs() < 0.8, "{load} {time}: {value} for {expected}");
    }
    // The imitation must not leave the logged range.
    assert!(acts(&imitation, 5.0, "2024-02-01T12:00:00Z") <= 10.0 + 20.0 * 0.9 + 4.0);
}

#[test]
fn a_slow_reaction_needs_the_previous_value() {
    let imitation = fit(&log(|_, load, before| before + 0.05 * (10.0 + 20.0 * load - before)));
    let quality = imitation.quality;
    assert!(quality.reads_previous && quality.explained > 0.9, "{quality:?}");
}

#[test]
fn moves_without_a_reason_are_reported_as_a_poor_imitation() {
    let key = Key::new(9);
    let imitation = fit(&log(|k, _, _| 10.0 + 3.0 * key.normal((k / 20) as u64)));
    let quality = imitation.quality;
    assert!(quality.poor && quality.explained < 0.3, "{quality:?}");
    // A control that never moves is reproduced exactly.
    let constant = fit(&log(|_, _, _| 16.0)).quality;
    assert!(!constant.poor && constant.rmse < 1e-6 && constant.explained == 1.0, "{constant:?}");
}
