//! Tests of `src/learn/model/outliers.rs`.

use super::*;
use crate::learn::{Layout, Target};
use crate::rng::Key;

const ROWS: usize = 8_000;

/// The increments y(t) = −0.1 x(t) + effect · u(t) + 0.01 e(t), where u is 1 in a fraction of the rows.
fn pulses(fraction: f64, effect: f64) -> (Dataset, Vec<usize>) {
    let noise = |t: usize, stream| Key::new(stream).normal(t as u64);
    let u: Vec<f64> = (0..ROWS).map(|t| f64::from(u8::from(Key::new(1).uniform(t as u64) < fraction))).collect();
    let x: Vec<f64> = (0..ROWS).map(|t| noise(t, 2)).collect();
    let y = (0..ROWS).map(|t| -0.1 * x[t] + effect * u[t] + 0.01 * noise(t, 3)).collect();
    let moves = (0..ROWS).map(|t| if t == 0 { f64::NAN } else { u[t] - u[t - 1] }).collect();
    let active = (0..ROWS).filter(|t| u[*t] > 0.0).collect();
    let data = Dataset {
        layout: Layout { inputs: vec![(0, 0), (1, 0)], targets: vec![Target::Delta(0)] },
        x: vec![x, u],
        y: vec![y],
        row: (0..ROWS).collect(),
        step_ms: 1000,
        control_moves: vec![moves],
    };
    (data, active)
}

fn all() -> Vec<usize> {
    (0..ROWS).collect()
}

#[test]
fn rare_pulses_of_a_control_are_kept() {
    for fraction in [0.001, 0.004, 0.02, 0.3] {
        let (data, active) = pulses(fraction, 1.0);
        let found = inliers(&data, &all()).unwrap();
        assert!(active.iter().all(|r| found.rows.contains(r)), "{fraction}: {:?}", found.outliers);
        assert!(found.outliers[0] <= 2, "{:?}", found.outliers);
    }
}

#[test]
fn trips_are_outliers_and_rare_moves_of_a_signal_are_not() {
    let (mut data, active) = pulses(0.3, 1.0);
    let idle: Vec<usize> = (1000..ROWS).filter(|r| !active.contains(r) && !active.contains(&(r - 1))).take(2).collect();
    data.y[0][idle[0]] = 400.0;
    data.y[0][idle[1]] = -80.0;
    data.y.push((0..ROWS).map(|t| if t % 300 == 0 { 5.0 } else { 0.0 }).collect());
    data.layout.targets.push(Target::Delta(1));
    let found = inliers(&data, &all()).unwrap();
    assert_eq!(found.outliers[0], 2);
    assert_eq!(found.rows.len(), ROWS - 2);
}

#[test]
fn a_large_change_that_the_inputs_explain_is_not_an_outlier() {
    let (mut data, _) = pulses(0.0, 0.0);
    // a disturbance is zero in most rows, and drives the target in the other rows
    let d: Vec<f64> = (0..ROWS).map(|t| if t % 100 < 3 { 50.0 } else { 0.0 }).collect();
    data.y[0].iter_mut().zip(&d).for_each(|(y, d)| *y += d);
    data.x.push(d);
    data.layout.inputs.push((2, 0));
    let found = inliers(&data, &all()).unwrap();
    assert_eq!(found.outliers, vec![0]);
}
