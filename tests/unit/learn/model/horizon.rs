//! Tests of `src/learn/model/horizon.rs`.

use super::*;
use crate::learn::layout::{Layout, Target};
use crate::rng::Key;

/// Data from the plant x(t+1) = 0.95 x + 0.2 u and y = x − 0.5 u, where x is measured with noise.
fn data(n: usize) -> Dataset {
    let z = |k: u64, t: usize| Key::new(k).normal(t as u64);
    let (mut x, mut truth) = (0.0, Vec::new());
    for t in 0..=n {
        truth.push(x);
        x = 0.95 * x + 0.2 * z(1, t);
    }
    let measured: Vec<f64> = truth.iter().enumerate().map(|(t, x)| x + 0.3 * z(2, t)).collect();
    let column = |f: &dyn Fn(usize) -> f64| (0..n).map(f).collect::<Vec<f64>>();
    Dataset {
        layout: Layout { inputs: vec![(0, 0), (1, 0)], targets: vec![Target::Level(2), Target::Delta(0)] },
        x: vec![column(&|t| measured[t]), column(&|t| z(1, t))],
        y: vec![column(&|t| truth[t] - 0.5 * z(1, t)), column(&|t| measured[t + 1] - measured[t])],
        row: (0..n).collect(),
        step_ms: 1000,
        control_moves: vec![],
    }
}

#[test]
fn the_gradient_agrees_with_central_differences() {
    let data = data(90);
    let rows: Vec<usize> = (0..90).collect();
    let (x, y) = (data.input_scaling(&rows), data.target_scaling(&rows));
    let blocks = Blocks::new(&data, &rows, &[]);
    let horizon = Horizon::new(&data, &rows, &blocks, &x, &y, 6);
    let windows: Vec<(usize, f64)> = horizon.windows.iter().map(|w| (w.0, 1.0 + (w.0 % 3) as f64)).collect();
    let (ridges, weight) = ([0.01, 0.2], vec![0.8, 1.7]);
    let problem = Problem { horizon: &horizon, length: 6, windows: &windows, ridges: &ridges, weight };
    let at = vec![0.1, 0.7, -0.4, -0.05, -0.2, 0.3];
    let (_, gradient) = problem.value_and_gradient(&at);
    for i in 0..at.len() {
        let moved = |by: f64| {
            let mut other = at.clone();
            other[i] += by;
            problem.value_and_gradient(&other).0
        };
        let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        assert!((slope - gradient[i]).abs() < 1e-5 * (1.0 + slope.abs()), "{i}: {slope} {}", gradient[i]);
    }
}

#[test]
fn the_pole_of_a_noisy_plant_is_recovered() {
    let data = data(4000);
    let rows: Vec<usize> = (0..4000).collect();
    let (x, y) = (data.input_scaling(&rows), data.target_scaling(&rows));
    let blocks = Blocks::new(&data, &rows, &[]);
    let horizon = Horizon::new(&data, &rows, &blocks, &x, &y, 40);
    let pole = |s: &Solution| 1.0 + s[1].1[0] * y.sd[1] / x.sd[0];
    let grams = super::super::ridge::Gram::from_blocks(&data, &rows, &blocks, &x, &y);
    let mut gram = super::super::ridge::Gram::zero(2, 2);
    grams.iter().for_each(|g| gram.add(g, 1.0));
    let basis = super::super::ridge::Basis::new(&gram).unwrap();
    let one_step: Solution = (0..2).map(|j| basis.solve(j, 1e-6)).collect();
    let simulated = horizon.improve(&one_step, &[1e-6; 2], &|_| 1.0, 100);
    // Noise in an input reduces its fitted weight (attenuation), so the pole of the one-step fit is only about 0.7.
    assert!(
        pole(&one_step) < 0.85 && (pole(&simulated) - 0.95).abs() < 0.02,
        "{} {}",
        pole(&one_step),
        pole(&simulated)
    );
}
