//! Tests of `src/learn/tracking.rs`.

use proptest::prelude::*;

use super::*;
use crate::learn::starts::Start;
use crate::rng::Key;

/// Rollouts of one signal from consecutive rows. All predictions are zero, so the measured values are the errors.
fn run(first: usize, starts: usize, horizon: usize, error: impl Fn(usize, usize) -> f64) -> Rollouts {
    let rows = first..first + starts;
    Rollouts {
        signals: vec![0],
        horizon,
        starts: rows.clone().map(|row| Start { row, first: 0, reach: horizon }).collect(),
        predicted: vec![vec![0.0; horizon * starts]],
        measured: vec![
            (1..=horizon).flat_map(|h| rows.clone().map(move |t| (t, h))).map(|(t, h)| error(t, h)).collect(),
        ],
        model_sd: vec![vec![0.0; horizon * starts]],
        last: vec![vec![0.0; starts]],
    }
}

fn calibrated(seed: u64, horizon: usize) -> (Vec<Rollouts>, Calibration) {
    let key = Key::new(seed);
    let error = |t: usize, h: usize| key.fold(h as u64).normal(t as u64);
    let runs: Vec<Rollouts> = (0..5).map(|b| run(b * 200, 150, horizon, error)).collect();
    let calibration = Calibration::fit(&runs, &[1.0]);
    (runs, calibration)
}

fn coverage(h: usize, widths: &TrackedWidths, calibration: &Calibration, run: &Rollouts) -> f64 {
    let (low, high) = calibration.interval(0, h, LEVEL);
    let covered = run.pairs(0, h).filter(|p| {
        let w = widths.at(0, h, p.start);
        (low * w..=high * w).contains(&p.error())
    });
    covered.count() as f64 / run.starts.len() as f64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The scale of the errors jumps once and drifts afterwards. For intervals of fixed width, the coverage would be
    /// far from nominal.
    #[test]
    fn coverage_stays_nominal_if_the_scale_of_the_errors_changes(
        seed in 0u64..1000, jump in -0.7f64..0.7, drift in -0.6f64..0.6, period in 100.0f64..900.0,
    ) {
        let (runs, calibration) = calibrated(seed, 4);
        let mut tracking = Tracking::fit(&runs, &calibration);
        let key = Key::new(seed).fold(7);
        let scale = |t: usize| (jump + drift * (t as f64 / period).sin()).exp();
        let later = run(2000, 1500, 4, |t, h| scale(t) * key.fold(h as u64).normal(t as u64));
        let widths = tracking.update(&calibration, &later);
        for h in 1..=4 {
            let share = coverage(h, &widths, &calibration, &later);
            prop_assert!((share - LEVEL).abs() < 0.035, "{share} at {h}");
        }
    }

    /// The width of an interval at row t must not depend on measurements after t.
    #[test]
    fn widths_do_not_depend_on_the_future(seed in 0u64..1000, at in 5usize..95, horizon in 1usize..9) {
        let (runs, calibration) = calibrated(seed, horizon);
        let tracking = Tracking::fit(&runs, &calibration);
        let key = Key::new(seed).fold(8);
        let error = |t: usize, h: usize| 3.0 * key.fold(h as u64).normal(t as u64);
        let ends = |last: f64| run(2000, 100, horizon, |t, h| if t + h > 2000 + at { last } else { error(t, h) });
        let [a, b] = [1e-9, 1e3].map(|last| tracking.replay(&calibration, &ends(last)));
        for h in 1..=horizon {
            prop_assert!((0..=at).all(|s| a.at(0, h, s) == b.at(0, h, s)));
        }
        // The first changed measurement affects the interval width one row later, when it becomes known.
        prop_assert!(a.at(0, 1, at + 1) < b.at(0, 1, at + 1));
    }
}

#[test]
fn a_replay_does_not_change_the_state_and_widths_are_bounded() {
    let (runs, calibration) = calibrated(3, 2);
    let mut tracking = Tracking::fit(&runs, &calibration);
    let before = tracking.clone();
    let wild = run(2000, 800, 2, |_, _| 1e6);
    let replayed = tracking.replay(&calibration, &wild);
    assert_eq!(tracking, before);
    assert_eq!(tracking.update(&calibration, &wild), replayed);
    assert!((tracking.width(0, 2) / MAX_FACTOR - 1.0).abs() < 1e-9 && before.width(0, 2) < 1.5);
    let quiet = run(2000, 800, 2, |t, h| 1e-6 * Key::new(4).fold(h as u64).normal(t as u64));
    let mut narrowed = before.clone();
    narrowed.update(&calibration, &quiet);
    assert!((narrowed.width(0, 2) * MAX_FACTOR - 1.0).abs() < 1e-9, "{}", narrowed.width(0, 2));
}

#[test]
fn forecasts_without_error_change_no_width() {
    let exact = |first| run(first, 150, 2, |_, _| 0.0);
    let runs: Vec<Rollouts> = (0..5).map(|b| exact(b * 200)).collect();
    let calibration = Calibration::fit(&runs, &[1.0]);
    let mut tracking = Tracking::fit(&runs, &calibration);
    tracking.update(&calibration, &exact(2000));
    assert_eq!([tracking.width(0, 1), tracking.width(0, 2)], [1.0; 2]);
}
