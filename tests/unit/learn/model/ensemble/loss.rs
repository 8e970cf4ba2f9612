//! Tests of `src/learn/model/ensemble/loss.rs`.

use super::*;
use crate::rng::Key;

/// The loss that `evaluate` differentiates, computed in double precision.
fn total(networks: &Networks, out: &[f32], t: &[f32], rows: usize) -> f64 {
    let q = networks.targets();
    let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
    let mut sum = 0.0;
    for m in 0..networks.members {
        for j in 0..q {
            let (lower, upper) = (f64::from(networks.lower[j]), f64::from(networks.upper[j]));
            for r in 0..rows {
                let at = |k: usize| f64::from(out[(m * 2 * q + k) * rows + r]);
                let lv = upper - softplus(upper - at(q + j));
                let lv = lower + softplus(lv - lower);
                sum += (at(j) - f64::from(t[(m * q + j) * rows + r])).powi(2) * (-lv).exp() + lv;
            }
        }
    }
    let bounds: f64 = networks.upper.iter().zip(&networks.lower).map(|(m, l)| f64::from(m - l)).sum();
    sum / (q * rows) as f64 + 0.01 * bounds
}

#[test]
fn the_gradients_agree_with_central_differences() {
    let (members, q, rows) = (2, 3, 19);
    let mut networks = Networks::new(members, 1, &[2], q, Key::new(1));
    networks.lower = vec![-2.0, -1.0, -3.0];
    networks.upper = vec![0.5, 0.1, 1.0];
    let numbers = |n: usize, key: u64| (0..n).map(|i| Key::new(key).normal(i as u64) as f32).collect::<Vec<f32>>();
    let (out, t) = (numbers(members * 2 * q * rows, 2), numbers(members * q * rows, 3));
    let mut loss = Loss::default();
    let mean = loss.evaluate(&networks, &out, &t, rows);
    let bounds = 0.01 * networks.upper.iter().zip(&networks.lower).map(|(m, l)| f64::from(m - l)).sum::<f64>();
    assert!((mean * members as f64 + bounds - total(&networks, &out, &t, rows)).abs() < 1e-4);
    for i in 0..out.len() {
        let mut other = out.clone();
        other[i] += 1e-2;
        let up = total(&networks, &other, &t, rows);
        other[i] -= 2e-2;
        let slope = (up - total(&networks, &other, &t, rows)) / 2e-2;
        assert!((slope - f64::from(loss.out_grad[i])).abs() < 1e-4, "{i}: {slope} {}", loss.out_grad[i]);
    }
    for i in 0..2 * q {
        let moved = |by: f32| {
            let mut other = networks.clone();
            if i < q {
                other.lower[i] += by
            } else {
                other.upper[i - q] += by
            }
            total(&other, &out, &t, rows)
        };
        let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
        assert!((slope - f64::from(loss.bound_grad[i])).abs() < 1e-3, "{i}: {slope} {}", loss.bound_grad[i]);
    }
}

#[test]
fn log_variances_respect_the_soft_bounds() {
    let mut lv = [-1e6, -20.0, 0.0, 20.0, 1e6];
    Loss::default().bound(&mut lv, -3.0, 1.0);
    assert!(lv.is_sorted() && lv[0] >= -3.0 && lv[4] <= 1.1, "{lv:?}");
}
