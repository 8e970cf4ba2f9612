//! Tests of `src/value/compare.rs`.

use super::*;
use crate::rng::Key;

#[test]
fn identical_runs_have_a_difference_of_exactly_zero() {
    let values: Vec<f64> = (0..20).map(|i| 0.1 + f64::from(i) * 0.3).collect();
    let d = Difference::paired(&values, &values);
    assert_eq!((d.mean, d.low, d.high, d.measurable), (0.0, 0.0, 0.0, false));
}

#[test]
fn a_change_below_the_noise_is_not_measurable() {
    let key = Key::new(3);
    let baseline = vec![100.0; 20];
    let noisy: Vec<f64> = (0..20).map(|i| 100.1 + key.normal(i)).collect();
    let clear: Vec<f64> = (0..20).map(|i| 90.0 + key.normal(i)).collect();
    assert!(!Difference::paired(&noisy, &baseline).measurable);
    assert!(Difference::paired(&clear, &baseline).measurable);
    let rounding: Vec<f64> = baseline.iter().map(|b| b + 1e-8).collect();
    assert!(!Difference::paired(&rounding, &baseline).measurable);
}

#[test]
fn pairing_removes_variation_that_both_cases_share() {
    let key = Key::new(5);
    let baseline: Vec<f64> = (0..20).map(|i| 1000.0 + 200.0 * key.normal(i)).collect();
    let case: Vec<f64> = baseline.iter().enumerate().map(|(i, b)| b - 10.0 - (i % 3) as f64).collect();
    let d = Difference::paired(&case, &baseline);
    assert!(d.measurable && d.low >= -12.0 - 1e-9 && d.high <= -10.0 + 1e-9);
}

#[test]
fn the_interval_covers_90_percent_of_new_draws_for_any_particle_count() {
    for n in [2usize, 5, 12, 18, 19, 20, 50] {
        let trials = 4000;
        let mut inside = 0;
        for trial in 0..trials {
            let key = Key::new(11).fold(n as u64).fold(trial);
            let draws: Vec<f64> = (0..n as u64).map(|i| 3.0 + key.normal(i)).collect();
            let d = Difference::over(&draws, 1.0);
            let next = 3.0 + key.normal(n as u64);
            inside += usize::from(next >= d.low && next <= d.high);
        }
        let share = inside as f64 / trials as f64;
        assert!((share - 0.9).abs() < 0.02, "{n} particles: {share}");
    }
}

#[test]
fn one_particle_is_never_measurable_and_zero_particles_give_nan() {
    let one = Difference::paired(&[5.0], &[9.0]);
    assert_eq!((one.mean, one.measurable), (-4.0, false));
    assert!(one.low.is_nan() && one.high.is_nan());
    let none = Difference::paired(&[f64::NAN, 1.0], &[1.0, f64::INFINITY]);
    assert!(none.mean.is_nan() && !none.measurable);
}

#[test]
fn the_interval_among_members_covers_90_percent_of_new_members() {
    // If particles repeat members, the variance about the overall mean is too small: with 6 members and 20 particles,
    // an interval based on this variance covers only 88 % of new draws. With noise within members, each new draw has
    // both a new member and new noise.
    for (members, particles, noise) in [(6u64, 20u64, 0.0), (6, 20, 1.0), (3, 8, 0.0), (16, 20, 0.5), (5, 5, 0.0)] {
        let (trials, mut inside) = (6000, 0);
        for trial in 0..trials {
            let key = Key::new(12).fold(members).fold(trial);
            let draw = |p: u64, m: u64| key.normal(m) + noise * key.fold(1).normal(p);
            let draws: Vec<f64> = (0..particles).map(|p| draw(p, p % members)).collect();
            let d = Difference::paired_among(&draws, &vec![0.0; draws.len()], members as usize);
            let next = draw(particles, members);
            inside += usize::from(next >= d.low && next <= d.high);
        }
        let share = inside as f64 / trials as f64;
        // With noise within members, the interval assumes too few degrees of freedom, so it is slightly too wide.
        let excess = if noise > 0.0 { 0.05 } else { 0.015 };
        assert!((0.885..0.9 + excess).contains(&share), "{members} members, {particles} particles: {share}");
    }
}

#[test]
fn estimates_skip_missing_particles_and_survive_json() {
    let e = Estimate::over(&[3.0, f64::NAN, 1.0, 2.0]);
    assert_eq!((e.p10, e.p50, e.p90, e.mean), (1.0, 2.0, 3.0, 2.0));
    let nothing = Estimate::over(&[f64::NAN]);
    let text = serde_json::to_string(&nothing).unwrap();
    let back: Estimate = serde_json::from_str(&text).unwrap();
    assert!(back.mean.is_nan() && back.p10.is_nan());
}

#[test]
fn draws_need_a_known_interval() {
    let draws = |values: &[f64]| Difference::draws(values, usize::MAX, Key::new(1), 3);
    assert_eq!((draws(&[5.0]), draws(&[]), draws(&[f64::NAN])), (None, None, None));
    assert_eq!(draws(&[0.0]), Some(vec![0.0; 3]));
    assert_eq!(draws(&[2.0, 2.0]), Some(vec![2.0; 3]));
}
