//! Reference implementation of every operation: plain loops in f64.

use twinopt::compute::{Family, Kernel, Points};

fn point(points: Points, i: usize) -> Vec<f64> {
    points.values.chunks_exact(points.n).map(|column| column[i]).collect()
}

fn distance2(kernel: &Kernel, a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).zip(&kernel.lengths).map(|((a, b), l)| ((a - b) / l).powi(2)).sum()
}

fn covariance(kernel: &Kernel, a: &[f64], b: &[f64]) -> f64 {
    let r2 = distance2(kernel, a, b);
    kernel.variance
        * match kernel.family {
            Family::SquaredExponential => (-0.5 * r2).exp(),
            Family::Matern52 => (1.0 + (5.0 * r2).sqrt() + 5.0 * r2 / 3.0) * (-(5.0 * r2).sqrt()).exp(),
        }
}

/// Kernel matrix `[n × m]`.
pub fn kernel(kernel: &Kernel, a: Points, b: Points) -> Vec<f64> {
    let rows: Vec<_> = (0..a.n).map(|i| point(a, i)).collect();
    (0..b.n).flat_map(|j| rows.iter().map(move |p| (p, j))).map(|(p, j)| covariance(kernel, p, &point(b, j))).collect()
}

/// Lower Cholesky factor with zeros above the diagonal. `None` if the matrix is not positive definite.
pub fn cholesky(a: &[f64], n: usize) -> Option<Vec<f64>> {
    let mut l = vec![0.0; n * n];
    for j in 0..n {
        for i in j..n {
            let sum: f64 = a[i + j * n] - (0..j).map(|k| l[i + k * n] * l[j + k * n]).sum::<f64>();
            if i == j && sum <= 0.0 {
                return None;
            }
            l[i + j * n] = if i == j { sum.sqrt() } else { sum / l[j + j * n] };
        }
    }
    Some(l)
}

/// L⁻¹ b for one column.
pub fn forward_solve(l: &[f64], b: &[f64]) -> Vec<f64> {
    let n = b.len();
    let mut x = b.to_vec();
    for i in 0..n {
        let sum: f64 = (0..i).map(|k| l[i + k * n] * x[k]).sum();
        x[i] = (x[i] - sum) / l[i + i * n];
    }
    x
}

/// L⁻ᵀ b for one column.
pub fn backward_solve(l: &[f64], b: &[f64]) -> Vec<f64> {
    let n = b.len();
    let mut x = b.to_vec();
    for i in (0..n).rev() {
        let sum: f64 = (i + 1..n).map(|k| l[k + i * n] * x[k]).sum();
        x[i] = (x[i] - sum) / l[i + i * n];
    }
    x
}

/// (L Lᵀ)⁻¹.
pub fn inverse(l: &[f64], n: usize) -> Vec<f64> {
    let unit = |j: usize| (0..n).map(|i| f64::from(u8::from(i == j))).collect::<Vec<_>>();
    (0..n).flat_map(|j| backward_solve(l, &forward_solve(l, &unit(j)))).collect()
}

/// The log marginal likelihood, followed by its gradient with respect to the logarithms of the length scales, variance
/// and noise.
pub fn evidence(k: &Kernel, noise: f64, x: Points, y: &[f64]) -> Option<Vec<f64>> {
    let n = x.n;
    let clean = kernel(k, x, x);
    let mut noisy = clean.clone();
    (0..n).for_each(|i| noisy[i + i * n] += noise);
    let l = cholesky(&noisy, n)?;
    let alpha = backward_solve(&l, &forward_solve(&l, y));
    let inverse = inverse(&l, n);
    let fit: f64 = y.iter().zip(&alpha).map(|(y, a)| y * a).sum();
    let logs: f64 = (0..n).map(|i| l[i + i * n].ln()).sum();
    let mut out = vec![-0.5 * fit - logs - 0.5 * n as f64 * (2.0 * std::f64::consts::PI).ln()];
    let points: Vec<_> = (0..n).map(|i| point(x, i)).collect();
    let half_trace = |derivative: &dyn Fn(usize, usize) -> f64| -> f64 {
        (0..n * n)
            .map(|e| (e % n, e / n))
            .map(|(i, j)| 0.5 * (alpha[i] * alpha[j] - inverse[i + j * n]) * derivative(i, j))
            .sum()
    };
    for (c, length) in k.lengths.iter().enumerate() {
        out.push(half_trace(&|i, j| {
            let q = ((points[i][c] - points[j][c]) / length).powi(2);
            let s = (5.0 * distance2(k, &points[i], &points[j])).sqrt();
            q * match k.family {
                Family::SquaredExponential => clean[i + j * n],
                Family::Matern52 => k.variance * 5.0 / 3.0 * (1.0 + s) * (-s).exp(),
            }
        }));
    }
    out.push(half_trace(&|i, j| clean[i + j * n]));
    out.push(half_trace(&|i, j| if i == j { noise } else { 0.0 }));
    Some(out)
}

/// Predicted means `[columns][rows]` and, if `precision` is given, variances `[rows]`.
pub fn predict(k: &Kernel, z: Points, weights: &[f64], precision: Option<&[f64]>, x: Points) -> (Vec<f64>, Vec<f64>) {
    let n = z.n;
    let (mut means, mut variances) = (vec![0.0; weights.len() / n * x.n], Vec::new());
    let centres: Vec<_> = (0..n).map(|i| point(z, i)).collect();
    for r in 0..x.n {
        let here = point(x, r);
        let k_r: Vec<f64> = centres.iter().map(|c| covariance(k, c, &here)).collect();
        for (c, w) in weights.chunks_exact(n).enumerate() {
            means[c * x.n + r] = w.iter().zip(&k_r).map(|(w, k)| w * k).sum();
        }
        if let Some(p) = precision {
            let explained: f64 = (0..n * n).map(|e| k_r[e % n] * p[e] * k_r[e / n]).sum();
            variances.push(k.variance - explained);
        }
    }
    (means, variances)
}

fn silu(v: f64) -> f64 {
    v / (1.0 + (-v).exp())
}

/// Pre-activation values in all layers of one ensemble member, for one row.
fn layers(widths: &[usize], weights: &[f64], x: &[f64]) -> Vec<Vec<f64>> {
    let (mut at, mut input, mut all) = (0, x.to_vec(), Vec::new());
    for w in widths.windows(2) {
        let (matrix, bias) = (&weights[at..at + w[0] * w[1]], &weights[at + w[0] * w[1]..at + (w[0] + 1) * w[1]]);
        let z: Vec<f64> = (0..w[1])
            .map(|o| bias[o] + input.iter().zip(&matrix[o * w[0]..]).map(|(x, m)| x * m).sum::<f64>())
            .collect();
        at += (w[0] + 1) * w[1];
        input = z.iter().copied().map(silu).collect();
        all.push(z);
    }
    all
}

/// Outputs `[members][outputs][rows]`.
pub fn forward(members: usize, widths: &[usize], weights: &[f64], x: &[f64], rows: usize) -> Vec<f64> {
    let (p, q, size) = (widths[0], widths[widths.len() - 1], weights.len() / members);
    let mut out = vec![0.0; members * q * rows];
    for m in 0..members {
        for r in 0..rows {
            let row: Vec<f64> = (0..p).map(|i| x[(m * p + i) * rows + r]).collect();
            let all = layers(widths, &weights[m * size..(m + 1) * size], &row);
            for (o, v) in all[all.len() - 1].iter().enumerate() {
                out[(m * q + o) * rows + r] = *v;
            }
        }
    }
    out
}

/// Gradients with respect to the weights, followed by the gradients with respect to the inputs.
pub fn backward(members: usize, widths: &[usize], weights: &[f64], x: &[f64], rows: usize, grad: &[f64]) -> Vec<f64> {
    let (p, q, size) = (widths[0], widths[widths.len() - 1], weights.len() / members);
    let (mut of_weights, mut of_x) = (vec![0.0; weights.len()], vec![0.0; x.len()]);
    for m in 0..members {
        let own = &weights[m * size..(m + 1) * size];
        for r in 0..rows {
            let row: Vec<f64> = (0..p).map(|i| x[(m * p + i) * rows + r]).collect();
            let all = layers(widths, own, &row);
            let mut g: Vec<f64> = (0..q).map(|o| grad[(m * q + o) * rows + r]).collect();
            let mut at = size;
            for layer in (0..widths.len() - 1).rev() {
                let (inputs, outputs) = (widths[layer], widths[layer + 1]);
                at -= (inputs + 1) * outputs;
                let below = layer.checked_sub(1).map(|l| &all[l]);
                let input: Vec<f64> = below.map_or_else(|| row.clone(), |z| z.iter().copied().map(silu).collect());
                let mut next = vec![0.0; inputs];
                for (o, g) in g.iter().enumerate() {
                    for i in 0..inputs {
                        of_weights[m * size + at + o * inputs + i] += input[i] * g;
                        next[i] += own[at + o * inputs + i] * g;
                    }
                    of_weights[m * size + at + inputs * outputs + o] += g;
                }
                for (next, z) in next.iter_mut().zip(below.into_iter().flatten()) {
                    let s = 1.0 / (1.0 + (-z).exp());
                    *next *= s * (1.0 + z * (1.0 - s));
                }
                g = next;
            }
            for (i, g) in g.iter().enumerate() {
                of_x[(m * p + i) * rows + r] = *g;
            }
        }
    }
    of_weights.extend(of_x);
    of_weights
}
