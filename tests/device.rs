//! Compares every operation on every available device with plain loops in f64.

#[path = "../examples/device_check/conformance/mod.rs"]
mod conformance;

use conformance::cases::{Gp, Nets};
use conformance::{reference, wide};
use twinopt::compute::{self, Backend, Cpu, Cuda, Device, Error, Family, Points};

fn conforms(device: &dyn Backend) {
    let mut wrong = Vec::new();
    for check in conformance::checks(false) {
        let error = check.error(device).unwrap();
        if error.is_nan() || error > check.tolerance {
            wrong.push(format!("{} {}: {error:.1e}, tolerance {:.0e}", check.operation, check.size, check.tolerance));
        }
    }
    assert!(wrong.is_empty(), "{}: {wrong:#?}", device.name());
}

#[test]
fn the_processor_conforms() {
    conforms(&Cpu);
}

#[test]
fn a_gpu_conforms_if_there_is_one() {
    if let Ok(cuda) = Cuda::open() {
        conforms(&cuda.at_any_size());
    }
}

/// Largest difference between the gradient components of the reference implementation and finite differences of its
/// values.
fn reference_gradients() -> f64 {
    let gp = Gp::new(Family::Matern52, 12, 2, 13);
    let value = |logs: &[f64]| {
        let mut kernel = gp.kernel.clone();
        kernel.lengths.iter_mut().zip(logs).for_each(|(l, by)| *l *= by.exp());
        kernel.variance *= logs[2].exp();
        let points = Points { values: &gp.x, n: gp.n };
        reference::evidence(&kernel, 0.1 * logs[3].exp(), points, &gp.y).unwrap_or_default()
    };
    let step = 1e-5;
    let shifted = |k: usize, by: f64| value(&(0..4).map(|i| if i == k { by } else { 0.0 }).collect::<Vec<_>>())[0];
    let here = value(&[0.0; 4]);
    let evidence_error =
        (0..4).map(|k| ((shifted(k, step) - shifted(k, -step)) / (2.0 * step) - here[1 + k]).abs()).fold(0.0, f64::max);

    let nets = Nets::new(2, &[3, 4, 2], 3, 14);
    let (weights, x, grad) = (wide(&nets.weights), wide(&nets.x), wide(&nets.grad));
    let loss = |k: usize, by: f64| {
        let (mut weights, mut x) = (weights.clone(), x.clone());
        let input = k.checked_sub(weights.len());
        *input.map_or_else(|| &mut weights[k], |k| &mut x[k]) += by;
        let out = reference::forward(2, &nets.widths, &weights, &x, 3);
        out.iter().zip(&grad).map(|(o, g)| o * g).sum::<f64>()
    };
    let back = reference::backward(2, &nets.widths, &weights, &x, 3, &grad);
    let net_error = |k: usize| ((loss(k, step) - loss(k, -step)) / (2.0 * step) - back[k]).abs();
    (0..back.len()).map(net_error).fold(evidence_error, f64::max)
}

#[test]
fn gradients_of_the_reference_agree_with_finite_differences() {
    let error = reference_gradients();
    assert!(error < 1e-6, "{error}");
}

#[test]
fn without_a_gpu_auto_opens_the_processor_and_cuda_reports_what_is_missing() {
    let auto = compute::open(Device::Auto).unwrap().name();
    match compute::open(Device::Cuda) {
        Ok(cuda) => assert_eq!(auto, cuda.name()),
        Err(Error::Unavailable(text)) => {
            assert!(auto.starts_with("cpu"), "{auto}");
            assert!(text.contains("--device auto") && text.len() < 300, "{text}");
            println!("{text}");
        }
        Err(other) => panic!("{other}"),
    }
}
