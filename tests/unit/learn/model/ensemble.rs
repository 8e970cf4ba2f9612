//! Tests of `src/learn/model/ensemble/mod.rs`.

use proptest::prelude::*;

use super::*;
use crate::compute::cpu;
use crate::config::{EnsembleSpec, ModelSpec};
use crate::learn::dataset::Dataset;
use crate::learn::layout::{Layout, Target};

/// Data with two inputs, a lagged value of the first input, and a nonlinear target whose noise grows with the second
/// input.
fn data(n: usize) -> Dataset {
    let z = |k: u64, t: usize| Key::new(k).normal(t as u64);
    let column = |f: &dyn Fn(usize) -> f64| (1..=n).map(f).collect::<Vec<f64>>();
    let noise = |t: usize| 0.05 + 0.4 * f64::from(z(2, t) > 0.0);
    Dataset {
        layout: Layout { inputs: vec![(0, 0), (0, 1), (1, 0)], targets: vec![Target::Level(2)] },
        x: vec![column(&|t| 10.0 + z(1, t)), column(&|t| 10.0 + z(1, t - 1)), column(&|t| z(2, t))],
        y: vec![column(&|t| (2.0 * z(1, t)).sin() + 0.5 * z(1, t - 1) + noise(t) * z(3, t))],
        row: (0..n).collect(),
        step_ms: 1000,
        control_moves: vec![],
    }
}

fn fitted(data: &Dataset, spec: EnsembleSpec, draft: bool, hyper: &[f64]) -> Ensemble {
    let options = ModelSpec { ensemble: spec, ..ModelSpec::default() };
    let rows: Vec<usize> = (0..data.len()).collect();
    let folds: Vec<Vec<usize>> = rows.chunks(data.len() / 3).map(<[usize]>::to_vec).collect();
    let compute = cpu();
    let fit = Fit { data, rows: &rows, folds: &folds, options: &options, seed: 3, compute: &compute, draft, hyper };
    Ensemble::fit(&fit).unwrap()
}

fn small() -> EnsembleSpec {
    EnsembleSpec { members: 3.into(), layers: vec![16.into(), 16.into()], batch: 64.into(), ..EnsembleSpec::default() }
}

fn columns(data: &Dataset) -> Vec<&[f64]> {
    data.x.iter().map(Vec::as_slice).collect()
}

#[test]
fn a_nonlinear_mean_and_its_noise_level_are_learned() {
    let data = data(3000);
    let model = fitted(&data, small(), false, &[]);
    let n = data.len();
    let (mut mean, mut sd) = (vec![vec![0.0; n]], vec![vec![0.0; n]]);
    let all = [Particle { member: None, rows: 0..n }];
    model.predict(&columns(&data), &all, &mut mean);
    assert!(model.aleatoric(&columns(&data), &all, &mut sd));
    let truth = |r: usize| (2.0 * (data.x[0][r] - 10.0)).sin() + 0.5 * (data.x[1][r] - 10.0);
    let error = (0..n).map(|r| (mean[0][r] - truth(r)).powi(2)).sum::<f64>() / n as f64;
    assert!(error.sqrt() < 0.15, "{}", error.sqrt());
    let typical = |noisy: bool| {
        let rows: Vec<usize> = (0..n).filter(|&r| (data.x[2][r] > 0.0) == noisy && data.x[2][r].abs() > 0.3).collect();
        rows.iter().map(|&r| sd[0][r]).sum::<f64>() / rows.len() as f64
    };
    assert!(
        (0.03..0.15).contains(&typical(false)) && (0.35..0.6).contains(&typical(true)),
        "{} {}",
        typical(false),
        typical(true)
    );
}

#[test]
fn a_draft_fit_uses_as_many_epochs_as_the_full_fit() {
    let data = data(600);
    let full = fitted(&data, small(), false, &[]);
    let hyper = full.hyper();
    assert_eq!(hyper.len(), 1);
    assert_eq!(fitted(&data, small(), true, &hyper).encode(), full.encode());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// If damaged bytes can be decoded as a model, computing its predictions must not panic.
    #[test]
    fn damaged_bytes_give_an_error_or_a_valid_model(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..4),
        keep in prop::option::of(any::<prop::sample::Index>()),
    ) {
        static ENCODED: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let encoded = ENCODED.get_or_init(|| {
            let spec = EnsembleSpec { layers: vec![3.into()], epochs: 1.into(), ..small() };
            fitted(&data(100), spec, false, &[]).encode()
        });
        let mut bytes = encoded.clone();
        for (at, bit) in &flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        if let Some(keep) = keep {
            bytes.truncate(keep.index(bytes.len()));
        }
        if let Ok(model) = Ensemble::decode(&bytes, &cpu()) {
            let (p, q) = model.shape();
            let x = vec![[0.5; 2]; p];
            let mut out = vec![vec![0.0; 2]; q];
            let x: Vec<&[f64]> = x.iter().map(|c| c.as_slice()).collect();
            model.predict(&x, &[Particle { member: Some(0), rows: 0..2 }], &mut out);
        } else {
            prop_assert_ne!(&bytes, encoded);
        }
    }
}
