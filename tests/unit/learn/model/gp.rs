//! Compares the Gaussian process model with textbook formulas of the posterior.

use super::*;
use crate::compute::cpu;
use crate::config::{GpSpec, MeanSpec, ModelSpec};
use crate::learn::dataset::Dataset;
use crate::learn::layout::{Layout, Target};

/// Data from y = 3 sin x₀ + x₁ / 2 with normally distributed inputs and noise with a standard deviation of 0.3.
fn data(n: usize) -> Dataset {
    let key = Key::new(4);
    let x: Vec<Vec<f64>> =
        (0..2).map(|k| (0..n).map(|r| 2.0 * key.fold(k).normal(r as u64) + 10.0).collect()).collect();
    let y = |r: usize| 3.0 * x[0][r].sin() + 0.5 * x[1][r] + 0.3 * key.fold(9).normal(r as u64);
    let y = vec![(0..n).map(y).collect()];
    let layout = Layout { inputs: vec![(0, 0), (1, 0)], targets: vec![Target::Level(2)] };
    Dataset { layout, x, y, row: (0..n).collect(), step_ms: 1000, control_moves: vec![] }
}

fn fitted(data: &Dataset, gp: GpSpec, hyper: &[f64]) -> Gp {
    let rows: Vec<usize> = (0..data.len()).collect();
    let options = ModelSpec { gp, ..ModelSpec::default() };
    let compute = cpu();
    let draft = !hyper.is_empty();
    let fit = Fit { data, rows: &rows, folds: &[], options: &options, seed: 3, compute: &compute, draft, hyper };
    Gp::fit(&fit).unwrap()
}

fn predicted(model: &Gp, x: &[Vec<f64>], member: Option<usize>) -> Vec<f64> {
    let n = x[0].len();
    let x: Vec<&[f64]> = x.iter().map(Vec::as_slice).collect();
    let mut out = vec![vec![f64::NAN; n]];
    model.predict(&x, &[Particle { member, rows: 0..n }], &mut out);
    out.remove(0)
}

fn posterior_sd(model: &Gp, x: &[Vec<f64>]) -> Vec<f64> {
    let x: Vec<&[f64]> = x.iter().map(Vec::as_slice).collect();
    let mut out = vec![vec![f64::NAN; x[0].len()]];
    model.epistemic(&x, x[0].len(), &mut out);
    out.remove(0)
}

/// Test points inside the range of the data, at its edge, and far away.
fn test_points() -> Vec<Vec<f64>> {
    vec![vec![10.0, 11.5, 14.0, 30.0], vec![10.0, 8.0, 13.0, -20.0]]
}

/// The inverse of a matrix by Gauss-Jordan elimination, and the logarithm of its determinant.
fn inverse(a: &[f64], n: usize) -> (Vec<f64>, f64) {
    let (mut a, mut b) = (a.to_vec(), vec![0.0; n * n]);
    (0..n).for_each(|i| b[i * n + i] = 1.0);
    let mut determinant = 0.0;
    for i in 0..n {
        let pivot = a[i * n + i];
        determinant += pivot.ln();
        for j in 0..n {
            a[i * n + j] /= pivot;
            b[i * n + j] /= pivot;
        }
        for r in (0..n).filter(|&r| r != i) {
            let f = a[r * n + i];
            for j in 0..n {
                a[r * n + j] -= f * a[i * n + j];
                b[r * n + j] -= f * b[i * n + j];
            }
        }
    }
    (b, determinant)
}

fn textbook_kernel(hyper: &Hyper, a: &[f64], b: &[f64]) -> f64 {
    let lengths = &hyper.kernel.lengths;
    let r2: f64 = (0..a.len()).map(|k| ((a[k] - b[k]) / lengths[k]).powi(2)).sum();
    let s = (5.0 * r2).sqrt();
    hyper.kernel.variance
        * match hyper.kernel.family {
            Family::SquaredExponential => (-0.5 * r2).exp(),
            Family::Matern52 => (1.0 + s + s * s / 3.0) * (-s).exp(),
        }
}

fn textbook_likelihood(hyper: &Hyper, x: &[Vec<f64>], y: &[f64]) -> f64 {
    let n = y.len();
    let entry = |at: usize| {
        let (i, j) = (at / n, at % n);
        textbook_kernel(hyper, &x[i], &x[j]) + if i == j { hyper.noise } else { 0.0 }
    };
    let (inverse, determinant) = inverse(&(0..n * n).map(entry).collect::<Vec<_>>(), n);
    let fit: f64 = (0..n * n).map(|at| y[at / n] * inverse[at] * y[at % n]).sum();
    -0.5 * (fit + determinant + n as f64 * (2.0 * std::f64::consts::PI).ln())
}

#[test]
fn mean_sd_and_draws_match_the_exact_posterior() {
    let data = data(60);
    for kernel in [GpKernel::Matern52, GpKernel::SquaredExponential] {
        let gp = GpSpec { kernel, mean: MeanSpec::Constant, samples: 1000.into(), ..GpSpec::default() };
        let model = fitted(&data, gp, &[]);
        let process = model.stored.processes[0].as_ref().unwrap();
        let hyper = process.hyper();
        let scaled = |x: &[Vec<f64>], r: usize| -> Vec<f64> {
            (0..2).map(|k| (x[k][r] - model.stored.x_mean[k]) * model.stored.x_inverse[k]).collect()
        };
        let n = data.len();
        let x: Vec<Vec<f64>> = (0..n).map(|r| scaled(&data.x, r)).collect();
        let center = data.y[0].iter().sum::<f64>() / n as f64;
        let y: Vec<f64> = data.y[0].iter().map(|y| (y - center) / process.scale).collect();
        let entry = |at: usize| {
            let (i, j) = (at / n, at % n);
            textbook_kernel(&hyper, &x[i], &x[j]) + if i == j { hyper.noise } else { 0.0 }
        };
        let (inverse, _) = inverse(&(0..n * n).map(entry).collect::<Vec<_>>(), n);
        let test_points = test_points();
        let (mean, sd) = (predicted(&model, &test_points, None), posterior_sd(&model, &test_points));
        let draws: Vec<Vec<f64>> = (0..1000).map(|m| predicted(&model, &test_points, Some(m))).collect();
        for r in 0..test_points[0].len() {
            let k: Vec<f64> = x.iter().map(|x| textbook_kernel(&hyper, x, &scaled(&test_points, r))).collect();
            let sum = |b: &[f64]| -> f64 { (0..n * n).map(|at| k[at / n] * inverse[at] * b[at % n]).sum() };
            let exact = center + process.scale * sum(&y);
            let variance = (hyper.kernel.variance - sum(&k)) * process.scale.powi(2);
            assert!((mean[r] - exact).abs() < 1e-8, "{} {exact}", mean[r]);
            assert!((sd[r].powi(2) - variance).abs() < 1e-8, "{} {variance}", sd[r].powi(2));
            let average = draws.iter().map(|d| d[r]).sum::<f64>() / 1000.0;
            let scatter = draws.iter().map(|d| (d[r] - mean[r]).powi(2)).sum::<f64>() / 1000.0;
            assert!((average - exact).abs() < 4.0 * (variance / 1000.0).sqrt(), "{r}: {average} {exact}");
            assert!((scatter / variance - 1.0).abs() < 0.2, "{r}: {scatter} {variance}");
        }
    }
}

#[test]
fn draws_with_inducing_points_match_the_posterior_sd() {
    let data = data(800);
    let gp = GpSpec { max_points: 100.into(), inducing: 60.into(), samples: 1000.into(), ..GpSpec::default() };
    let model = fitted(&data, gp, &[]);
    assert!(model.note().unwrap().starts_with("fitted to 800 rows with "), "{:?}", model.note());
    let exact = fitted(&data, GpSpec::default(), &[]);
    assert_eq!(exact.note().unwrap(), "fitted to 800 rows with an exact posterior");
    let test_points = test_points();
    let (mean, sd) = (predicted(&model, &test_points, None), posterior_sd(&model, &test_points));
    let (exact_mean, exact_sd) = (predicted(&exact, &test_points, None), posterior_sd(&exact, &test_points));
    let draws: Vec<Vec<f64>> = (0..1000).map(|m| predicted(&model, &test_points, Some(m))).collect();
    for r in 0..4 {
        let average = draws.iter().map(|d| d[r]).sum::<f64>() / 1000.0;
        let scatter = draws.iter().map(|d| (d[r] - mean[r]).powi(2)).sum::<f64>() / 1000.0;
        assert!((average - mean[r]).abs() < 4.0 * sd[r] / 1000f64.sqrt(), "{r}: {average} {}", mean[r]);
        assert!((scatter.sqrt() / sd[r] - 1.0).abs() < 0.1, "{r}: {} {}", scatter.sqrt(), sd[r]);
        // The approximation is close to the exact posterior.
        assert!((mean[r] - exact_mean[r]).abs() < 0.2 + 0.3 * exact_sd[r], "{r}: {} {}", mean[r], exact_mean[r]);
        assert!((sd[r] / exact_sd[r] - 1.0).abs() < 0.5, "{r}: {} {}", sd[r], exact_sd[r]);
    }
}

#[test]
fn tuning_finds_the_same_optimum_as_a_coordinate_search() {
    let data = data(80);
    let columns: Vec<f64> = data.x.iter().flat_map(|c| c.iter().map(|v| (v - 10.0) / 2.0)).collect();
    let y: Vec<f64> = data.y[0].iter().map(|y| y / 4.0).collect();
    let rows: Vec<Vec<f64>> = (0..80).map(|r| vec![columns[r], columns[80 + r]]).collect();
    for family in [Family::SquaredExponential, Family::Matern52] {
        let start = Hyper { kernel: Kernel { family, variance: 1.0, lengths: vec![0.5, 0.5] }, noise: 0.1 };
        let observed = Observed { x: Points { values: &columns, n: 80 }, y: &y };
        let effort = Effort { iterations: 100, evaluations: 200, gain: 1e-9 };
        let tuned = tune(&cpu(), observed, &start, effort).unwrap();
        let exact = textbook_likelihood(&tuned.hyper, &rows, &y);
        assert!((tuned.value - exact).abs() < 1e-6, "{} {exact}", tuned.value);
        // The reference is a coordinate search over the logarithms of the hyper-parameters, with decreasing step size.
        let mut logarithms = [0.5f64.ln(), 0.5f64.ln(), 0.0, 0.1f64.ln()];
        let at = |v: &[f64; 4]| {
            let lengths = vec![v[0].exp(), v[1].exp()];
            let kernel = Kernel { family, variance: v[2].exp(), lengths };
            textbook_likelihood(&Hyper { kernel, noise: v[3].exp() }, &rows, &y)
        };
        let mut best = at(&logarithms);
        let mut step = 0.5;
        while step > 0.02 {
            let mut better = false;
            for i in 0..4 {
                for by in [step, -step] {
                    let mut next = logarithms;
                    next[i] += by;
                    let value = at(&next);
                    if value > best {
                        (best, logarithms, better) = (value, next, true);
                    }
                }
            }
            step *= if better { 1.0 } else { 0.5 };
        }
        assert!(tuned.value > best - 1e-4 && tuned.value < best + 0.2, "{} {best}", tuned.value);
        assert!(tuned.evaluations < 60, "{}", tuned.evaluations);
    }
}

#[test]
fn a_draft_fit_uses_the_hyper_parameters_of_the_full_fit() {
    let data = data(300);
    let full = fitted(&data, GpSpec::default(), &[]);
    let hyper = Regressor::hyper(&full);
    assert!(hyper.len() == 4 && hyper.iter().all(|h| h.is_finite()), "{hyper:?}");
    let draft = fitted(&data, GpSpec::default(), &hyper);
    for (a, b) in Regressor::hyper(&draft).iter().zip(&hyper) {
        assert!((a - b).abs() < 1e-9);
    }
    let test_points = test_points();
    for (a, b) in predicted(&draft, &test_points, None).iter().zip(predicted(&full, &test_points, None)) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }
    // A vector of hyper-parameters with the wrong length is ignored.
    assert!(Regressor::hyper(&fitted(&data, GpSpec::default(), &[0.0])).iter().all(|h| h.is_finite()));
}

#[test]
fn damaged_bytes_give_an_error_or_a_valid_model() {
    let data = data(40);
    let gp = GpSpec { samples: 2.into(), ..GpSpec::default() };
    let sparse = GpSpec { max_points: 20.into(), inducing: 8.into(), ..gp.clone() };
    for gp in [gp, sparse] {
        let model = fitted(&data, gp, &[]);
        let bytes = model.encode();
        let x: Vec<&[f64]> = data.x.iter().map(Vec::as_slice).collect();
        for end in 0..bytes.len() {
            assert!(Gp::decode(&bytes[..end], &cpu()).is_err());
        }
        let key = Key::new(8);
        for i in 0..2000 {
            let mut damaged = bytes.clone();
            let at = if i < 600 { i as usize % bytes.len() } else { key.below(i, bytes.len()) };
            damaged[at] ^= 1 << key.fold(1).below(i, 8);
            if let Ok(model) = Gp::decode(&damaged, &cpu()) {
                let mut out = vec![vec![0.0; 1]; model.shape().1];
                assert_eq!(model.shape(), (2, 1));
                model.predict(&x, &[Particle { member: Some(1), rows: 0..1 }], &mut out);
                model.epistemic(&x, 1, &mut out);
            }
        }
        let back = Gp::decode(&bytes, &cpu()).unwrap();
        for member in [None, Some(1)] {
            assert_eq!(predicted(&back, &data.x, member), predicted(&model, &data.x, member));
        }
        assert_eq!(posterior_sd(&back, &data.x), posterior_sd(&model, &data.x));
    }
}

#[test]
fn predictions_of_few_rows_for_many_functions_equal_separate_predictions() {
    let data = data(200);
    let model = fitted(&data, GpSpec::default(), &[]);
    let x: Vec<&[f64]> = data.x.iter().map(Vec::as_slice).collect();
    let particles: Vec<Particle> =
        (0..40).map(|r| Particle { member: (r % 5 != 0).then_some(r * 3), rows: 2 * r..2 * r + 2 }).collect();
    let mut out = vec![vec![f64::NAN; data.len()]];
    model.predict(&x, &particles, &mut out);
    for p in &particles {
        let alone = predicted(&model, &data.x, p.member);
        p.rows.clone().for_each(|r| assert_eq!(out[0][r].to_bits(), alone[r].to_bits()));
    }
    assert!(out[0][80].is_nan());
}
