//! Tests of `src/learn/noise_process.rs`.

use super::*;

fn ar_one(phi: [f64; 2], l: [[f64; 2]; 2], n: usize) -> Residuals {
    let key = Key::new(5);
    let mut e = [0.0; 2];
    let mut errors = vec![Vec::new(), Vec::new()];
    for t in 0..n {
        let z = [key.fold(0).normal(t as u64), key.fold(1).normal(t as u64)];
        for i in 0..2 {
            e[i] = phi[i] * e[i] + l[i][0] * z[0] + l[i][1] * z[1];
            errors[i].push(e[i]);
        }
    }
    Residuals { rows: (0..n).collect(), errors }
}

#[test]
fn an_ar_process_is_recovered() {
    let l = [[2.0, 0.0], [-0.6, 0.5]];
    let residuals = [ar_one([0.8, 0.2], l, 20_000)];
    let process = NoiseProcess::estimate(&residuals, &[false, true], 12, Vec::new());
    assert!((process.phi[0] - 0.8).abs() < 0.02 && (process.phi[1] - 0.2).abs() < 0.02, "{:?}", process.phi);
    for (row, truth) in process.factor.iter().zip(l) {
        assert!(row.iter().zip(truth).all(|(a, b)| (a - b).abs() < 0.03), "{:?}", process.factor);
    }
    // Simulated noise must have the stationary covariance of the true process.
    let mut noise = vec![vec![0.0; 4000]; 2];
    for step in 0..40 {
        process.advance(&mut noise, Key::new(9), step);
    }
    let var = |x: &[f64]| x.iter().map(|v| v * v).sum::<f64>() / x.len() as f64;
    assert!((var(&noise[0]) / (4.0 / (1.0 - 0.64)) - 1.0).abs() < 0.08);
    let cross = noise[0].iter().zip(&noise[1]).map(|(a, b)| a * b).sum::<f64>() / 4000.0;
    assert!((cross / (-1.2 / (1.0 - 0.16)) - 1.0).abs() < 0.12, "{cross}");
}

#[test]
fn a_particle_has_the_same_noise_in_every_batch() {
    let residuals = [ar_one([0.5, 0.5], [[1.0, 0.0], [0.3, 1.0]], 500)];
    let process = NoiseProcess::estimate(&residuals, &[false; 2], 12, Vec::new());
    let mut few = vec![vec![0.0; 3]; 2];
    let mut many = vec![vec![0.0; 2 * CHUNK + 30]; 2];
    let mut unchunked = many.clone();
    for step in 0..5 {
        process.advance(&mut few, Key::new(1), step);
        process.advance(&mut many, Key::new(1), step);
        process.advance_chunk(&mut unchunked, 0, Key::new(1), step);
    }
    assert_eq!(few[1][..], many[1][..3]);
    assert_eq!(many, unchunked);
    let before = few.clone();
    process.decay(&mut few);
    assert!((few[0][2] - process.phi[0] * before[0][2]).abs() < 1e-15);
}

#[test]
fn simulated_noise_has_the_skew_of_the_residuals() {
    // The errors have an exponential distribution, shifted to mean zero.
    let key = Key::new(8);
    let errors = vec![(0..20_000).map(|t| -key.uniform(t).ln() - 1.0).collect()];
    let process = NoiseProcess::estimate(&[Residuals { rows: (0..20_000).collect(), errors }], &[true], 12, Vec::new());
    let mut noise = vec![vec![0.0; 20_000]];
    process.advance(&mut noise, Key::new(2), 0);
    noise[0].sort_by(f64::total_cmp);
    for p in [0.05f64, 0.25, 0.5, 0.75, 0.95] {
        let (drawn, truth) = (quantile_type_5(&noise[0], p), -(1.0 - p).ln() - 1.0);
        assert!((drawn - truth).abs() < 0.06, "{p}: {drawn} for {truth}");
    }
}

#[test]
fn a_process_is_unchanged_by_serialisation() {
    let residuals = [ar_one([0.5, 0.5], [[1.0, 0.0], [0.3, 1.0]], 500)];
    let process = NoiseProcess::estimate(&residuals, &[false; 2], 12, Vec::new());
    let bytes = postcard::to_allocvec(&process).unwrap();
    assert_eq!(postcard::from_bytes::<NoiseProcess>(&bytes).unwrap(), process);
}
