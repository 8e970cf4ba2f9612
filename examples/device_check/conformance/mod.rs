//! Conformance checks of a device. The checks compare the results of every operation with those of plain loops in f64.
//!
//! This module is used by `tests/device.rs` and by `examples/device_check`.

pub mod cases;
pub mod reference;

use twinopt::compute::{Backend, Family, Result, Solve, Tape};
use twinopt::rng::Key;

use cases::{Gp, Nets};

/// Tolerance of results in f64. Rounding errors of 1e-16 accumulate in sums of up to several thousand terms and are
/// amplified by condition numbers of about 1e4.
pub const DOUBLE: f64 = 1e-10;
/// Tolerance of the evidence and its gradient. The gradient is a difference between large sums and thus less exact.
pub const EVIDENCE: f64 = 1e-9;
/// Tolerance of results in f32. Rounding errors of 6e-8 accumulate over five layers of sums. Results in TF32, which
/// have rounding errors of 5e-4, do not pass.
pub const SINGLE: f64 = 1e-5;

type Run = Box<dyn Fn(&dyn Backend) -> Result<f64>>;

/// A check of one operation at one size.
pub struct Check {
    pub operation: &'static str,
    pub size: String,
    pub tolerance: f64,
    run: Run,
}

impl Check {
    /// Relative error ‖out − reference‖ / ‖reference‖. The error is infinite if a second run gives a different result,
    /// or if either the device or the reference has no result.
    pub fn error(&self, device: &dyn Backend) -> Result<f64> {
        (self.run)(device)
    }
}

/// Relative distance ‖out − reference‖ / ‖reference‖. The distance is infinite if the lengths differ or a value is not
/// finite.
pub fn distance<T: Copy + Into<f64>>(out: &[T], reference: &[f64]) -> f64 {
    let off: f64 = out.iter().zip(reference).map(|(o, r)| ((*o).into() - r).powi(2)).sum();
    let norm: f64 = reference.iter().map(|r| r * r).sum();
    let error = (off / norm.max(f64::MIN_POSITIVE)).sqrt();
    if out.len() == reference.len() && error.is_finite() { error } else { f64::INFINITY }
}

/// Runs `run` twice. If the two results differ, returns infinity. Otherwise, returns the `distance` between the result
/// and `reference`.
fn measure<T: Copy + Into<f64> + PartialEq>(reference: &[f64], run: impl Fn() -> Result<Vec<T>>) -> Result<f64> {
    let out = run()?;
    Ok(if out == run()? { distance(&out, reference) } else { f64::INFINITY })
}

pub fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

/// All checks. If `large` is true, the checks include sizes at which a device divides its work into tiles. At these
/// sizes, the reference implementation takes several seconds.
pub fn checks(large: bool) -> Vec<Check> {
    let mut all = Vec::new();
    let mut kernel = |family, n, m, d| all.push(kernel_check(family, n, m, d));
    kernel(Family::SquaredExponential, 1, 1, 1);
    kernel(Family::SquaredExponential, 7, 5, 2);
    kernel(Family::Matern52, 70, 33, 6);
    kernel(Family::Matern52, 257, 300, 12);
    if large {
        kernel(Family::SquaredExponential, 3100, 3000, 1);
    }
    for n in [1, 5, 130, 400] {
        all.push(cholesky_check(n));
    }
    all.push(indefinite_check());
    for which in [Solve::Forward, Solve::Backward, Solve::Both] {
        for columns in [1, 17] {
            all.push(solve_check(130, columns, which));
        }
    }
    for (family, n, d) in
        [(Family::SquaredExponential, 1, 1), (Family::SquaredExponential, 40, 3), (Family::Matern52, 300, 6)]
    {
        all.push(evidence_check(family, n, d));
    }
    all.push(singular_check());
    for (n, rows, d, columns, spread) in [(1, 1, 1, 1, true), (50, 33, 3, 1, false), (150, 700, 8, 3, true)] {
        all.push(predict_check(n, rows, d, columns, spread));
    }
    if large {
        all.push(predict_check(900, 19_000, 1, 2, false));
    }
    let nets: [(usize, &'static [usize], usize); 4] =
        [(1, &[5, 3], 1), (3, &[7, 33, 17, 4], 50), (5, &[12, 64, 64, 6], 256), (2, &[3, 20, 1], 70_000)];
    for (members, widths, rows) in nets.into_iter().take(if large { 4 } else { 3 }) {
        all.push(forward_check(members, widths, rows));
        all.push(backward_check(members, widths, rows));
    }
    all
}

fn kernel_check(family: Family, n: usize, m: usize, d: usize) -> Check {
    Check {
        operation: "kernel",
        size: format!("{n} × {m}, d {d}"),
        tolerance: DOUBLE,
        run: Box::new(move |device| {
            let (a, b) = (Gp::new(family, n, d, 1), Gp::new(family, m, d, 2));
            measure(&reference::kernel(&a.kernel, a.points(), b.points()), || {
                let mut out = vec![f64::NAN; n * m];
                device.kernel(&a.kernel, a.points(), b.points(), &mut out)?;
                Ok(out)
            })
        }),
    }
}

/// A kernel matrix with noise. The matrix is positive definite and has a condition number of up to about 1e4.
fn matrix(n: usize) -> Vec<f64> {
    let gp = Gp::new(Family::Matern52, n, 3, 3);
    let mut a = reference::kernel(&gp.kernel, gp.points(), gp.points());
    (0..n).for_each(|i| a[i + i * n] += 0.1);
    a
}

fn factor(n: usize) -> Vec<f64> {
    reference::cholesky(&matrix(n), n).unwrap_or_default()
}

fn cholesky_check(n: usize) -> Check {
    Check {
        operation: "cholesky",
        size: format!("{n}"),
        tolerance: DOUBLE,
        run: Box::new(move |device| {
            measure(&factor(n), || {
                let mut a = matrix(n);
                // NaN values above the diagonal show whether these elements are read
                (0..n).for_each(|j| a[j * n..j * n + j].fill(f64::NAN));
                Ok(if device.cholesky(&mut a, n)? { a } else { Vec::new() })
            })
        }),
    }
}

fn indefinite_check() -> Check {
    Check {
        operation: "cholesky",
        size: "60, indefinite".to_owned(),
        tolerance: 0.0,
        run: Box::new(|device| {
            let mut a = matrix(60);
            a[40 + 40 * 60] = -1.0;
            Ok(if device.cholesky(&mut a, 60)? { f64::INFINITY } else { 0.0 })
        }),
    }
}

fn solve_check(n: usize, columns: usize, which: Solve) -> Check {
    Check {
        operation: "solve",
        size: format!("{n} × {columns}, {which:?}"),
        tolerance: DOUBLE,
        run: Box::new(move |device| {
            let (l, b) = (factor(n), cases::normals(Key::new(4), n * columns));
            let column = |b: &[f64]| match which {
                Solve::Forward => reference::forward_solve(&l, b),
                Solve::Backward => reference::backward_solve(&l, b),
                Solve::Both => reference::backward_solve(&l, &reference::forward_solve(&l, b)),
            };
            let solved: Vec<f64> = b.chunks_exact(n).flat_map(column).collect();
            measure(&solved, || {
                let mut x = b.clone();
                device.solve(&l, n, &mut x, which)?;
                Ok(x)
            })
        }),
    }
}

fn evidence_check(family: Family, n: usize, d: usize) -> Check {
    Check {
        operation: "evidence",
        size: format!("{n}, d {d}"),
        tolerance: EVIDENCE,
        run: Box::new(move |device| {
            let gp = Gp::new(family, n, d, 5);
            let expected = reference::evidence(&gp.kernel, 0.1, gp.points(), &gp.y).unwrap_or_default();
            let run = |part: std::ops::Range<usize>| {
                measure(&expected[part.clone()], || {
                    let found = device.evidence(&gp.kernel, 0.1, gp.points(), &gp.y)?;
                    let found = found.map(|e| [vec![e.value], e.gradient].concat()).unwrap_or_default();
                    Ok(found.get(part.clone()).map(<[f64]>::to_vec).unwrap_or_default())
                })
            };
            // the value and the gradient are compared separately, because the value is much larger
            Ok(run(0..1)?.max(run(1..d + 3)?))
        }),
    }
}

fn singular_check() -> Check {
    Check {
        operation: "evidence",
        size: "30 identical points".to_owned(),
        tolerance: 0.0,
        run: Box::new(|device| {
            let mut gp = Gp::new(Family::SquaredExponential, 30, 1, 6);
            gp.x.fill(0.5);
            gp.kernel.variance = 1.0;
            let found = device.evidence(&gp.kernel, 0.0, gp.points(), &gp.y)?;
            Ok(if found.is_none() { 0.0 } else { f64::INFINITY })
        }),
    }
}

fn predict_check(n: usize, rows: usize, d: usize, columns: usize, spread: bool) -> Check {
    Check {
        operation: "gp_predict",
        size: format!("{n} × {rows}, d {d}, {columns} columns{}", if spread { ", variance" } else { "" }),
        tolerance: DOUBLE,
        run: Box::new(move |device| {
            let (gp, at) = (Gp::new(Family::Matern52, n, d, 7), Gp::new(Family::Matern52, rows, d, 8));
            let weights = cases::normals(Key::new(9), n * columns);
            let precision = spread.then(|| {
                let mut k = reference::kernel(&gp.kernel, gp.points(), gp.points());
                (0..n).for_each(|i| k[i + i * n] += 0.1);
                reference::inverse(&reference::cholesky(&k, n).unwrap_or_default(), n)
            });
            let precision = precision.as_deref();
            let (means, variances) = reference::predict(&gp.kernel, gp.points(), &weights, precision, at.points());
            let functions = gp.functions(&weights, precision);
            let run = || {
                let (mut out, mut variance) = (vec![f64::NAN; rows * columns], vec![f64::NAN; rows]);
                device.gp_predict(&functions, at.points(), &mut out, spread.then_some(&mut variance))?;
                Ok((out, variance))
            };
            let means_error = measure(&means, || run().map(|r| r.0))?;
            // the error is relative to the norm of all variances, because a single variance may be close to zero
            let variances_error = if spread { distance(&run()?.1, &variances) } else { 0.0 };
            Ok(means_error.max(variances_error))
        }),
    }
}

fn forward_check(members: usize, widths: &'static [usize], rows: usize) -> Check {
    Check {
        operation: "forward",
        size: format!("{members} × {widths:?}, {rows} rows"),
        tolerance: SINGLE,
        run: Box::new(move |device| {
            let nets = Nets::new(members, widths, rows, 10);
            let expected = reference::forward(members, widths, &wide(&nets.weights), &wide(&nets.x), rows);
            measure(&expected, || {
                let mut out = vec![f32::NAN; nets.outputs()];
                device.forward(&nets.net(), &nets.x, rows, &mut Tape::default(), &mut out)?;
                Ok(out)
            })
        }),
    }
}

fn backward_check(members: usize, widths: &'static [usize], rows: usize) -> Check {
    Check {
        operation: "backward",
        size: format!("{members} × {widths:?}, {rows} rows"),
        tolerance: SINGLE,
        run: Box::new(move |device| {
            let nets = Nets::new(members, widths, rows, 11);
            let (weights, x) = (wide(&nets.weights), wide(&nets.x));
            let expected = reference::backward(members, widths, &weights, &x, rows, &wide(&nets.grad));
            // the device computes the gradients of the weights, of the inputs, or of both
            let run = |with_weights: bool, with_x: bool| {
                let (mut tape, mut out) = (Tape::default(), vec![f32::NAN; nets.outputs()]);
                device.forward(&nets.net(), &nets.x, rows, &mut tape, &mut out)?;
                let mut weight_grad = vec![f32::NAN; if with_weights { weights.len() } else { 0 }];
                let mut x_grad = vec![f32::NAN; x.len()];
                let x_slice = with_x.then_some(&mut x_grad[..]);
                device.backward(&nets.net(), &nets.x, rows, &mut tape, &nets.grad, &mut weight_grad, x_slice)?;
                weight_grad.extend(x_grad.into_iter().filter(|_| with_x));
                Ok(weight_grad)
            };
            let both = measure(&expected, || run(true, true))?;
            let of_weights = measure(&expected[..weights.len()], || run(true, false))?;
            let of_x = measure(&expected[weights.len()..], || run(false, true))?;
            Ok(both.max(of_weights).max(of_x))
        }),
    }
}
