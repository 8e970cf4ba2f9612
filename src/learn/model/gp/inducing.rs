//! Selection of initial inducing points.

use super::hyper::JITTER;
use crate::compute::{Compute, Kernel, Points};
use crate::error::Result;

/// Selects up to `count` of the points and returns them as `[d][m]`. Each selected point has the largest variance
/// conditional on the points already selected, and is therefore a pivot of the Cholesky decomposition of the kernel
/// matrix (Burt, Rasmussen & van der Wilk 2020). Takes O(n m²).
///
/// # Errors
/// Returns any error of the compute device.
pub fn select_inducing_points(compute: &Compute, kernel: &Kernel, points: Points, count: usize) -> Result<Vec<f64>> {
    let n = points.n;
    let point = |i: usize| -> Vec<f64> { points.values.iter().skip(i).step_by(n).copied().collect() };
    let mut left = vec![kernel.variance; n];
    // Columns of the Cholesky factor computed so far.
    let mut factor: Vec<f64> = Vec::with_capacity(count.min(n) * n);
    let mut picked: Vec<usize> = Vec::with_capacity(count.min(n));
    let mut column = vec![0.0; n];
    while picked.len() < count.min(n) {
        let pivot = (0..n).fold(0, |best, i| if left[i] > left[best] { i } else { best });
        // Stop if the remaining variance is below the jitter.
        if left[pivot] < JITTER * kernel.variance && !picked.is_empty() {
            break;
        }
        let at = point(pivot);
        compute.kernel(kernel, points, Points { values: &at, n: 1 }, &mut column)?;
        // Processing two columns at a time needs fewer passes over `column`.
        let (pairs, rest) = (factor.chunks_exact(2 * n), factor.chunks_exact(2 * n).remainder());
        for pair in pairs {
            let (a, b) = pair.split_at(n);
            let (fa, fb) = (a[pivot], b[pivot]);
            for ((c, a), b) in column.iter_mut().zip(a).zip(b) {
                *c -= fa * a + fb * b;
            }
        }
        for earlier in rest.chunks_exact(n) {
            let f = earlier[pivot];
            for (c, e) in column.iter_mut().zip(earlier) {
                *c -= f * e;
            }
        }
        let scale = 1.0 / left[pivot].sqrt();
        for (c, left) in column.iter_mut().zip(&mut left) {
            *c *= scale;
            *left -= *c * *c;
        }
        left[pivot] = 0.0;
        factor.extend_from_slice(&column);
        picked.push(pivot);
    }
    let columns = points.values.chunks_exact(n.max(1));
    Ok(columns.flat_map(|c| picked.iter().map(move |&i| c[i])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::{Family, cpu};
    use crate::rng::Key;

    #[test]
    fn selected_points_are_spread_out_and_distinct() {
        let kernel = Kernel { family: Family::SquaredExponential, variance: 2.0, lengths: vec![1.0] };
        let mut x = vec![0.0; 40];
        Key::new(1).fill_normal(&mut x[..20]);
        x.copy_within(0..20, 20);
        (x[3], x[4]) = (-30.0, 30.0);
        let z = select_inducing_points(&cpu(), &kernel, Points { values: &x, n: 40 }, 6).unwrap();
        assert!(z.len() == 6 && z.contains(&-30.0) && z.contains(&30.0), "{z:?}");
        let all = select_inducing_points(&cpu(), &kernel, Points { values: &x, n: 40 }, 40).unwrap();
        assert!(all.len() <= 22, "{}", all.len());
    }
}
