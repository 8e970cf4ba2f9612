//! Tests of `src/learn/model/ensemble/simulation.rs`.

use super::*;
use crate::compute::{Net, cpu};
use crate::learn::dataset::Dataset;
use crate::learn::layout::{Layout, Target};
use crate::learn::model::feedback::sequence_ends;

/// Data from a noisy plant, in which signal 0 is a state with two lags, signal 1 is a control, and signal 2 is an
/// output.
fn data(n: usize) -> Dataset {
    let z = |k: u64, t: usize| Key::new(k).normal(t as u64);
    let mut state = vec![0.0, 0.1];
    for t in 1..=n {
        state.push(0.9 * state[t] - 0.2 * state[t - 1] + 0.3 * z(1, t) + 0.1 * z(2, t));
    }
    let rows = 1..n + 1;
    let column = |f: &dyn Fn(usize) -> f64| rows.clone().map(f).collect::<Vec<f64>>();
    Dataset {
        layout: Layout { inputs: vec![(0, 0), (0, 1), (1, 0)], targets: vec![Target::Delta(0), Target::Level(2)] },
        x: vec![column(&|t| state[t]), column(&|t| state[t - 1]), column(&|t| z(1, t))],
        y: vec![column(&|t| state[t + 1] - state[t]), column(&|t| 2.0 * state[t].tanh() + 0.1 * z(3, t))],
        row: rows.clone().collect(),
        step_ms: 1000,
        control_moves: vec![],
    }
}

#[test]
fn deviations_match_a_simulation_and_gradients_match_finite_differences() {
    let data = data(60);
    let rows: Vec<usize> = (0..60).collect();
    let scales = Scales::estimate(&data, &data.y, &rows);
    let samples = Samples::new(&data, &data.y, &rows, &scales);
    let feedback = Feedback::new(&data.layout);
    let mut networks = Networks::new(2, 3, &[5, 4], 2, Key::new(5));
    // The weights of the log-variances are set to zero, so that only the simulation contributes to the gradients.
    let size = Net::size(&networks.widths);
    for weights in networks.weights.chunks_exact_mut(size) {
        let last = weights.len() - 5 * 4;
        weights[last + 2 * 4..last + 4 * 4].fill(0.0);
    }
    let mut simulation = Simulation::new(&samples, &scales, &feedback, None, 7);
    simulation.weight = vec![0.7, 1.3];
    let starts = vec![vec![3, 40, 11], vec![20, 1, 53]];
    let compute = cpu();
    let value = simulation.forward(&networks, &starts, &compute).unwrap();
    let mut grad = vec![0.0; networks.weights.len()];
    simulation.backward(&networks, &compute, &mut grad).unwrap();

    // Repeats the simulation in physical units, without using the tested code.
    let mut sum = 0.0;
    for (m, starts) in starts.iter().enumerate() {
        for &start in starts {
            let mut states = vec![data.x[1][start], data.x[0][start]];
            for t in start..start + 7 {
                let x = [states[states.len() - 1], states[states.len() - 2], data.x[2][t]];
                let mut pass = Pass::default();
                let net = networks.member(m);
                pass.fit(&net, 1);
                for k in 0..3 {
                    pass.x[k] = scales.input(k, |k| x[k]);
                }
                pass.forward(&net, 1, &compute).unwrap();
                let y = |j: usize| scales.target_mean[j] + scales.target_sd[j] * f64::from(pass.out[j]);
                states.push(x[0] + y(0));
                let off = [x[0] + y(0) - data.x[0][t] - data.y[0][t], y(1) - data.y[1][t]];
                sum += 0.7 * (off[0] / scales.target_sd[0]).powi(2) + 1.3 * (off[1] / scales.target_sd[1]).powi(2);
            }
        }
    }
    let mean = sum / (2.0 * 2.0 * 3.0 * 7.0);
    assert!((value - mean).abs() < 1e-4 * mean, "{value} {mean}");

    let mut differ = 0.0f64;
    #[allow(clippy::needless_range_loop, reason = "the index selects the perturbed weight")]
    for i in 0..grad.len() {
        let mut moved = |by: f32| {
            let mut other = networks.clone();
            other.weights[i] += by;
            simulation.forward(&other, &starts, &compute).unwrap()
        };
        // The slope is doubled, because `backward` returns the gradient of the sum over two members and `forward`
        // returns the mean over them.
        let slope = 2.0 * (moved(4e-3) - moved(-4e-3)) / 8e-3;
        let at = i % size;
        let variance = (size - 2..size).contains(&at) || (size - 20 + 8..size - 20 + 16).contains(&at);
        if !variance {
            differ = differ.max((slope - f64::from(grad[i])).abs() / (0.1 + slope.abs()));
        }
    }
    assert!(differ < 2e-2, "{differ}");
}

#[test]
fn training_on_simulations_reduces_their_deviations() {
    let data = data(400);
    let rows: Vec<usize> = (0..400).collect();
    let scales = Scales::estimate(&data, &data.y, &rows);
    let samples = Samples::new(&data, &data.y, &rows, &scales);
    let feedback = Feedback::new(&data.layout);
    let blocks = Blocks::new(&data, &rows, &[]);
    let bags = Bags::new(&blocks, 2, Key::new(1));
    let mut networks = Networks::new(2, 3, &[8], 2, Key::new(5));
    let settings = Settings { epochs: 30, limit: 30, patience: Some(30), batch: 64, rate: 5e-3, decay: 0.01 };
    let mut simulation = Simulation::new(&samples, &scales, &feedback, None, 8);
    let starts = vec![vec![10, 100, 200, 300]; 2];
    let before = simulation.forward(&networks, &starts, &cpu()).unwrap();
    let ends = sequence_ends(&data, &rows);
    let key = Key::new(7);
    let epochs = train(&mut simulation, &mut networks, &blocks, &ends, &bags, &settings, &cpu(), key).unwrap();
    simulation.weight = vec![1.0; 2];
    let after = simulation.forward(&networks, &starts, &cpu()).unwrap();
    assert!(epochs > 0 && after < 0.5 * before, "{epochs}: {before} {after}");
}
