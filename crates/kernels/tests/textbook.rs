//! Tests that compare the GP operations with textbook implementations and central differences.

use std::f64::consts::PI;

use twinopt_kernels::rng::Key;
use twinopt_kernels::{Backend, Cpu, Family, GpFunctions, Kernel, Points, Solve};

const FAMILIES: [Family; 2] = [Family::SquaredExponential, Family::Matern52];

fn covariance(kernel: &Kernel, a: &[f64], b: &[f64]) -> f64 {
    let r2: f64 = (0..a.len()).map(|k| ((a[k] - b[k]) / kernel.lengths[k]).powi(2)).sum();
    let r = r2.sqrt();
    kernel.variance
        * match kernel.family {
            Family::SquaredExponential => (-0.5 * r2).exp(),
            Family::Matern52 => (1.0 + 5f64.sqrt() * r + 5.0 / 3.0 * r2) * (-(5f64.sqrt()) * r).exp(),
        }
}

/// Points with normally distributed coordinates.
struct Cloud {
    values: Vec<f64>,
    n: usize,
}

impl Cloud {
    fn new(key: u64, d: usize, n: usize) -> Self {
        let mut values = vec![0.0; d * n];
        Key::new(key).fill_normal(&mut values);
        Self { values, n }
    }

    fn points(&self) -> Points<'_> {
        Points { values: &self.values, n: self.n }
    }

    fn row(&self, i: usize) -> Vec<f64> {
        self.values.iter().skip(i).step_by(self.n).copied().collect()
    }
}

fn kernel(family: Family, d: usize) -> Kernel {
    Kernel { family, variance: 1.7, lengths: (0..d).map(|k| 0.7 + 0.4 * k as f64).collect() }
}

fn matrix(kernel: &Kernel, a: &Cloud, b: &Cloud) -> Vec<Vec<f64>> {
    (0..a.n).map(|i| (0..b.n).map(|j| covariance(kernel, &a.row(i), &b.row(j))).collect()).collect()
}

/// Computes the Cholesky factor L of a symmetric matrix row by row.
fn factor(a: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let n = a.len();
    let mut l = vec![vec![0.0; n]; n];
    for i in 0..n {
        for j in 0..=i {
            let s: f64 = (0..j).map(|k| l[i][k] * l[j][k]).sum();
            l[i][j] = if i == j { (a[i][i] - s).sqrt() } else { (a[i][j] - s) / l[j][j] };
        }
    }
    l
}

fn forward(l: &[Vec<f64>], b: &[f64]) -> Vec<f64> {
    let mut x = b.to_vec();
    for i in 0..b.len() {
        x[i] = (b[i] - (0..i).map(|k| l[i][k] * x[k]).sum::<f64>()) / l[i][i];
    }
    x
}

fn backward(l: &[Vec<f64>], b: &[f64]) -> Vec<f64> {
    let mut x = b.to_vec();
    for i in (0..b.len()).rev() {
        x[i] = (b[i] - (i + 1..b.len()).map(|k| l[k][i] * x[k]).sum::<f64>()) / l[i][i];
    }
    x
}

/// ln N(y; 0, a).
fn density(a: &[Vec<f64>], y: &[f64]) -> f64 {
    let l = factor(a);
    let z = forward(&l, y);
    let determinant: f64 = (0..y.len()).map(|i| l[i][i].ln()).sum();
    -0.5 * z.iter().map(|z| z * z).sum::<f64>() - determinant - 0.5 * y.len() as f64 * (2.0 * PI).ln()
}

fn close(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{a} {b}");
}

/// Computes central differences of `f` with respect to the logarithms of the hyperparameters and with respect to
/// `others`.
fn differences(kernel: &Kernel, noise: f64, others: &[f64], f: &dyn Fn(&Kernel, f64, &[f64]) -> f64) -> Vec<f64> {
    let d = kernel.lengths.len();
    let step = 1e-5;
    let at = |i: usize, by: f64| {
        let (mut kernel, mut noise, mut others) = (kernel.clone(), noise, others.to_vec());
        match i {
            i if i < d => kernel.lengths[i] *= by.exp(),
            i if i == d => kernel.variance *= by.exp(),
            i if i == d + 1 => noise *= by.exp(),
            i => others[i - d - 2] += by,
        }
        f(&kernel, noise, &others)
    };
    (0..d + 2 + others.len()).map(|i| (at(i, step) - at(i, -step)) / (2.0 * step)).collect()
}

#[test]
fn kernels_agree_with_textbook_code() {
    for family in FAMILIES {
        for (n, m, d) in [(1, 1, 1), (7, 3, 2), (8, 4, 1), (29, 70, 5)] {
            let (kernel, a, b) = (kernel(family, d), Cloud::new(1, d, n), Cloud::new(2, d, m));
            let mut out = vec![f64::NAN; n * m];
            Cpu.kernel(&kernel, a.points(), b.points(), &mut out).unwrap();
            let exact = matrix(&kernel, &a, &b);
            for (at, k) in out.iter().enumerate() {
                assert!((k / exact[at % n][at / n] - 1.0).abs() < 1e-13, "{k} {}", exact[at % n][at / n]);
            }
        }
    }
}

#[test]
fn kernels_vanish_at_large_distances_and_propagate_nan() {
    for family in FAMILIES {
        let at = |x: f64| {
            let mut out = [1.0];
            let point = |v: &'static [f64]| Points { values: v, n: 1 };
            let x = [x];
            Cpu.kernel(&kernel(family, 1), Points { values: &x, n: 1 }, point(&[0.0]), &mut out).unwrap();
            out[0]
        };
        assert_eq!(at(0.0), 1.7);
        assert!([1e9, -1e200, f64::MAX, f64::INFINITY].iter().all(|x| (0.0..1e-90).contains(&at(*x))));
        assert!(at(f64::NAN).is_nan());
    }
}

#[test]
fn factors_solve_and_failures_are_reported() {
    for n in [1, 5, 64, 65, 150, 700] {
        let (kernel, x) = (kernel(Family::SquaredExponential, 3), Cloud::new(3, 3, n));
        let mut a = vec![0.0; n * n];
        Cpu.kernel(&kernel, x.points(), x.points(), &mut a).unwrap();
        (0..n).for_each(|i| a[i * (n + 1)] += 0.1);
        let mut l = a.clone();
        // The elements above the diagonal must not be read.
        (1..n).for_each(|j| l[j * n..j * n + j].fill(f64::NAN));
        assert!(Cpu.cholesky(&mut l, n).unwrap());
        for (at, v) in l.iter().enumerate().filter(|(at, _)| at % n < at / n) {
            assert_eq!(*v, 0.0, "{at}");
        }
        let mut b = Cloud::new(4, 3, n).values;
        let right = b.clone();
        Cpu.solve(&l, n, &mut b, Solve::Both).unwrap();
        let mut halves = right.clone();
        Cpu.solve(&l, n, &mut halves, Solve::Forward).unwrap();
        Cpu.solve(&l, n, &mut halves, Solve::Backward).unwrap();
        for c in 0..3 {
            for i in 0..n {
                let sum: f64 = (0..n).map(|j| a[i + j * n] * b[c * n + j]).sum();
                assert!((sum - right[c * n + i]).abs() < 1e-9, "{n}: {sum} {}", right[c * n + i]);
                close(halves[c * n + i], b[c * n + i], 1e-9);
            }
        }
    }
    let mut indefinite = [1.0, 2.0, 2.0, 1.0];
    assert!(!Cpu.cholesky(&mut indefinite, 2).unwrap());
    assert!(Cpu.cholesky(&mut indefinite, 3).is_err());
    let x = Points { values: &[0.0, 0.0], n: 2 };
    assert_eq!(Cpu.evidence(&kernel(FAMILIES[0], 1), 0.0, x, &[1.0, 2.0]).unwrap(), None);
}

#[test]
fn evidence_and_its_gradient_agree_with_textbook_code() {
    for family in FAMILIES {
        for (n, d) in [(1, 1), (11, 3), (70, 2), (150, 4)] {
            let (kernel, x, y) = (kernel(family, d), Cloud::new(5, d, n), Cloud::new(6, 1, n).values);
            let exact = |kernel: &Kernel, noise: f64| {
                let mut a = matrix(kernel, &x, &x);
                (0..n).for_each(|i| a[i][i] += noise);
                density(&a, &y)
            };
            let evidence = Cpu.evidence(&kernel, 0.2, x.points(), &y).unwrap().unwrap();
            close(evidence.value, exact(&kernel, 0.2), 1e-11);
            for (g, e) in evidence.gradient.iter().zip(differences(&kernel, 0.2, &[], &|k, s, _| exact(k, s))) {
                close(*g, e, 1e-6);
            }
        }
    }
}

#[test]
fn the_bound_and_its_gradient_agree_with_textbook_code() {
    for family in FAMILIES {
        for (n, m, d) in [(1, 1, 1), (60, 9, 3), (300, 20, 2)] {
            let (kernel, x, y) = (kernel(family, d), Cloud::new(7, d, n), Cloud::new(8, 1, n).values);
            let z = Cloud::new(9, d, m);
            let (noise, jitter) = (0.3, 1e-6);
            // The bound is ln N(y; 0, Q + σ²I) − tr(K − Q) / 2σ², with Q computed from a factor of K_uu.
            let exact = |kernel: &Kernel, noise: f64, z: &Cloud| {
                let mut uu = matrix(kernel, z, z);
                (0..m).for_each(|i| uu[i][i] += jitter * kernel.variance);
                let l = factor(&uu);
                let a: Vec<Vec<f64>> = matrix(kernel, &x, z).iter().map(|k| forward(&l, k)).collect();
                let dot = |i: usize, j: usize| -> f64 { a[i].iter().zip(&a[j]).map(|(a, b)| a * b).sum() };
                let q: Vec<Vec<f64>> =
                    (0..n).map(|i| (0..n).map(|j| dot(i, j) + if i == j { noise } else { 0.0 }).collect()).collect();
                let slack: f64 = (0..n).map(|i| kernel.variance - dot(i, i)).sum();
                density(&q, &y) - 0.5 * slack / noise
            };
            let bound = Cpu.gp_inducing(&kernel, noise, jitter, x.points(), &y, z.points(), true).unwrap().unwrap();
            close(bound.value, exact(&kernel, noise, &z), 1e-9);
            if n <= 60 {
                let at = |k: &Kernel, s: f64, v: &[f64]| exact(k, s, &Cloud { values: v.to_vec(), n: m });
                let gradient = differences(&kernel, noise, &z.values, &at);
                assert_eq!(gradient.len(), bound.gradient.len());
                for (g, e) in bound.gradient.iter().zip(gradient) {
                    close(*g, e, 2e-6);
                }
            }
            // The weights w of the posterior mean satisfy (K_uu + σ⁻² K_uf K_fu) w = σ⁻² K_uf y.
            let (uf, mut s) = (matrix(&kernel, &z, &x), matrix(&kernel, &z, &z));
            for i in 0..m {
                s[i][i] += jitter * kernel.variance;
                for j in 0..m {
                    s[i][j] += uf[i].iter().zip(&uf[j]).map(|(a, b)| a * b).sum::<f64>() / noise;
                }
            }
            let right: Vec<f64> = uf.iter().map(|k| k.iter().zip(&y).map(|(k, y)| k * y / noise).sum()).collect();
            let l = factor(&s);
            for (w, e) in bound.weights.iter().zip(backward(&l, &forward(&l, &right))) {
                close(*w, e, 1e-7);
            }
            let plain = Cpu.gp_inducing(&kernel, noise, jitter, x.points(), &y, z.points(), false).unwrap().unwrap();
            assert!(plain.gradient.is_empty() && plain.value == bound.value && plain.data == bound.data);
        }
    }
}

#[test]
fn the_bound_equals_the_evidence_if_all_rows_are_inducing_points() {
    let (kernel, x, y) = (kernel(Family::Matern52, 2), Cloud::new(10, 2, 40), Cloud::new(11, 1, 40).values);
    let exact = Cpu.evidence(&kernel, 0.1, x.points(), &y).unwrap().unwrap();
    let bound = Cpu.gp_inducing(&kernel, 0.1, 1e-10, x.points(), &y, x.points(), true).unwrap().unwrap();
    close(bound.value, exact.value, 1e-6);
    for (b, e) in bound.gradient.iter().zip(&exact.gradient) {
        close(*b, *e, 1e-4);
    }
}

#[test]
fn predictions_agree_with_textbook_code() {
    for family in FAMILIES {
        for (n, rows, d, columns) in [(1, 1, 1, 1), (37, 9, 3, 2), (200, 131, 5, 1)] {
            let (kernel, z, x) = (kernel(family, d), Cloud::new(12, d, n), Cloud::new(13, d, rows));
            let weights = Cloud::new(14, columns, n).values;
            let root = Cloud::new(15, n, n).values;
            let precision: Vec<f64> = (0..n * n).map(|at| root[at] + root[at % n * n + at / n]).collect();
            let gp =
                GpFunctions { kernel: &kernel, points: z.points(), weights: &weights, precision: Some(&precision) };
            let (mut out, mut variance) = (vec![0.0; columns * rows], vec![0.0; rows]);
            Cpu.gp_predict(&gp, x.points(), &mut out, Some(&mut variance)).unwrap();
            let k = matrix(&kernel, &x, &z);
            let sum = |x: &[f64], c: usize| -> f64 {
                (0..n).map(|i| covariance(&kernel, x, &z.row(i)) * weights[c * n + i]).sum()
            };
            for r in 0..rows {
                (0..columns).for_each(|c| close(out[c * rows + r], sum(&x.row(r), c), 1e-12));
                let explained: f64 =
                    (0..n).map(|j| k[r][j] * (0..n).map(|i| precision[i + j * n] * k[r][i]).sum::<f64>()).sum();
                close(variance[r], kernel.variance - explained, 1e-11);
            }
            // Evaluating a row alone gives the same bytes as evaluating it in a batch.
            for r in [0, rows / 2, rows - 1] {
                let (row, mut alone, mut spread) = (x.row(r), vec![0.0; columns], [0.0]);
                let row = Points { values: &row, n: 1 };
                Cpu.gp_predict(&gp, row, &mut alone, Some(&mut spread)).unwrap();
                assert!((0..columns).all(|c| alone[c].to_bits() == out[c * rows + r].to_bits()));
                assert_eq!(spread[0].to_bits(), variance[r].to_bits());
            }
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let (kernel, x, z) = (kernel(Family::Matern52, 3), Cloud::new(17, 3, 1500), Cloud::new(18, 3, 150));
    let y = Cloud::new(19, 1, x.n).values;
    let results: Vec<_> = [1, 2]
        .map(|n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap())
        .iter()
        .map(|pool| {
            pool.install(|| {
                let mut long = Cloud::new(20, 3, 6000);
                let bound = Cpu
                    .gp_inducing(&kernel, 0.1, 1e-8, long.points(), &Cloud::new(21, 1, 6000).values, z.points(), true)
                    .unwrap()
                    .unwrap();
                let gp = GpFunctions { kernel: &kernel, points: x.points(), weights: &y, precision: None };
                let mut out = vec![0.0; long.n];
                Cpu.gp_predict(&gp, long.points(), &mut out, None).unwrap();
                long.values.truncate(0);
                (Cpu.evidence(&kernel, 0.1, x.points(), &y).unwrap().unwrap(), bound, out)
            })
        })
        .collect();
    assert!(results[0] == results[1]);
}
