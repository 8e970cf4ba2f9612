//! Tests that compare the passes of dense networks with plain loops and central differences.

use twinopt_kernels::rng::Key;
use twinopt_kernels::{Backend, Cpu, Net, Tape};

fn numbers(n: usize, key: u64, scale: f64) -> Vec<f32> {
    (0..n).map(|i| (scale * Key::new(1).fold(key).normal(i as u64)) as f32).collect()
}

/// Computes the outputs `[members][outputs][rows]` with plain loops in double precision.
fn naive(net: &Net, x: &[f32], rows: usize) -> Vec<f64> {
    let mut out = Vec::new();
    for (m, weights) in net.weights.chunks_exact(Net::size(net.widths)).enumerate() {
        let mut w = weights;
        let inputs = net.widths[0];
        let mut a: Vec<f64> = x[m * inputs * rows..(m + 1) * inputs * rows].iter().map(|v| f64::from(*v)).collect();
        for (layer, widths) in net.widths.windows(2).enumerate() {
            let mut next = vec![0.0; widths[1] * rows];
            for o in 0..widths[1] {
                for r in 0..rows {
                    let mut z = f64::from(w[widths[0] * widths[1] + o]);
                    for i in 0..widths[0] {
                        z += a[i * rows + r] * f64::from(w[o * widths[0] + i]);
                    }
                    next[o * rows + r] = if layer + 2 == net.widths.len() { z } else { z / (1.0 + (-z).exp()) };
                }
            }
            w = &w[(widths[0] + 1) * widths[1]..];
            a = next;
        }
        out.extend(a);
    }
    out
}

const SHAPES: [&[usize]; 4] = [&[3, 17, 6, 5], &[1, 1], &[33, 40, 12], &[2, 3, 3, 3, 2]];

#[test]
fn forward_agrees_with_plain_loops() {
    for widths in SHAPES {
        for rows in [1, 15, 16, 77, 200] {
            let weights = numbers(3 * Net::size(widths), 0, 0.5);
            let net = Net { members: 3, widths, weights: &weights };
            let x = numbers(3 * widths[0] * rows, 1, 1.0);
            let mut out = vec![f32::NAN; 3 * widths[widths.len() - 1] * rows];
            Cpu.forward(&net, &x, rows, &mut Tape::default(), &mut out).unwrap();
            for (a, b) in out.iter().zip(naive(&net, &x, rows)) {
                assert!((f64::from(*a) - b).abs() < 1e-5 * (1.0 + b.abs()), "{widths:?}, {rows} rows: {a} {b}");
            }
        }
    }
}

#[test]
fn backward_agrees_with_finite_differences() {
    for widths in SHAPES {
        let (members, rows, outputs) = (2, 37, widths[widths.len() - 1]);
        let weights = numbers(members * Net::size(widths), 2, 0.5);
        let net = Net { members, widths, weights: &weights };
        let x = numbers(members * widths[0] * rows, 3, 1.0);
        let cotangent = numbers(members * outputs * rows, 4, 1.0);
        let mut tape = Tape::default();
        let mut out = vec![0.0; cotangent.len()];
        let (mut weight_grad, mut x_grad) = (vec![f32::NAN; weights.len()], vec![f32::NAN; x.len()]);
        // A tape can be reused for a batch of a different size.
        for rows in [50, rows] {
            let x: Vec<f32> = x.iter().cycle().copied().take(members * widths[0] * rows).collect();
            let mut out = vec![0.0; members * outputs * rows];
            Cpu.forward(&net, &x, rows, &mut tape, &mut out).unwrap();
        }
        Cpu.forward(&net, &x, rows, &mut tape, &mut out).unwrap();
        Cpu.backward(&net, &x, rows, &mut tape, &cotangent, &mut weight_grad, Some(&mut x_grad)).unwrap();
        let loss = |weights: &[f32], x: &[f32]| -> f64 {
            let out = naive(&Net { weights, ..net }, x, rows);
            out.iter().zip(&cotangent).map(|(o, c)| o * f64::from(*c)).sum()
        };
        let close = |values: &[f32], grad: &[f32], loss: &dyn Fn(&[f32]) -> f64| {
            for i in (0..values.len()).step_by(1 + values.len() / 60) {
                let mut v = values.to_vec();
                v[i] = values[i] + 1e-2;
                let (loss_above, above) = (loss(&v), v[i]);
                v[i] = values[i] - 1e-2;
                let slope = (loss_above - loss(&v)) / f64::from(above - v[i]);
                let g = f64::from(grad[i]);
                assert!((g - slope).abs() < 2e-3 * (1.0 + slope.abs()), "{widths:?} {i}: {g} {slope}");
            }
        };
        close(&weights, &weight_grad, &|w| loss(w, &x));
        close(&x, &x_grad, &|x| loss(&weights, x));
    }
}

#[test]
fn a_row_does_not_depend_on_its_batch_or_on_the_number_of_threads() {
    let widths = [5, 30, 30, 6];
    let weights = numbers(2 * Net::size(&widths), 5, 0.5);
    let net = Net { members: 2, widths: &widths, weights: &weights };
    let rows = 150;
    let x = numbers(2 * 5 * rows, 6, 1.0);
    let runs = [1, 2].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (mut out, mut grad) = (vec![0.0; 2 * 6 * rows], vec![0.0; weights.len()]);
        let mut tape = Tape::default();
        pool.install(|| Cpu.forward(&net, &x, rows, &mut tape, &mut out)).unwrap();
        let cotangent = out.clone();
        pool.install(|| Cpu.backward(&net, &x, rows, &mut tape, &cotangent, &mut grad, None)).unwrap();
        (out, grad)
    });
    assert_eq!(runs[0], runs[1]);
    for r in [0, 31, 149] {
        let one: Vec<f32> = (0..10).map(|c| x[c * rows + r]).collect();
        let mut out = [0.0; 12];
        Cpu.forward(&net, &one, 1, &mut Tape::default(), &mut out).unwrap();
        assert!((0..12).all(|c| out[c].to_bits() == runs[0].0[c * rows + r].to_bits()));
    }
}

#[test]
fn wrong_sizes_are_errors() {
    let weights = vec![0.0; Net::size(&[2, 1])];
    let net = Net { members: 1, widths: &[2, 1], weights: &weights };
    let mut tape = Tape::default();
    assert!(Cpu.forward(&net, &[0.0; 3], 2, &mut tape, &mut [0.0; 2]).is_err());
    assert!(Cpu.forward(&net, &[0.0; 4], 2, &mut tape, &mut [0.0; 3]).is_err());
    assert!(Cpu.backward(&net, &[0.0; 4], 2, &mut tape, &[0.0; 2], &mut [0.0; 3], None).is_err());
    // If there are no rows, all gradients are zero.
    let mut weight_grad = [f32::NAN; 3];
    Cpu.forward(&net, &[], 0, &mut tape, &mut []).unwrap();
    Cpu.backward(&net, &[], 0, &mut tape, &[], &mut weight_grad, None).unwrap();
    assert_eq!(weight_grad, [0.0; 3]);
    assert!(Cpu.forward(&Net { widths: &[2], ..net }, &[0.0; 4], 2, &mut tape, &mut [0.0; 4]).is_err());
}
