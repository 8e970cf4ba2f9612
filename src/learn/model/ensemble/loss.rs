//! The Gaussian negative log-likelihood with learned bounds (Chua et al. 2018).
//!
//! > mean of (t − μ)² / σ² + ln σ², plus 0.01 · Σ_j (upper_j − lower_j)
//!
//! The mean in this formula is taken over members, targets and rows. The log-variance ln σ² is computed from an output
//! v of the network and the soft bounds lower and upper: l = upper − softplus(upper − v), ln σ² = lower + softplus(l −
//! lower).

use super::networks::Networks;
use crate::compute::Elementwise;

/// Weight of the penalty on the distance between the log-variance bounds (Chua et al. 2018).
const BOUNDS: f32 = 0.01;

/// Gradients of the loss, with reusable buffers.
#[derive(Debug, Default)]
pub struct Loss {
    /// Gradient with respect to the outputs of the networks: `[members][2 targets][rows]`.
    pub out_grad: Vec<f32>,
    /// Gradient with respect to the lower bounds, followed by that with respect to the upper bounds: `[2][targets]`.
    pub bound_grad: Vec<f32>,
    above: Vec<f32>,
    below: Vec<f32>,
    slope: Vec<f32>,
}

impl Loss {
    /// Applies the soft bounds of one target by replacing the network outputs v in `out` with log-variances.
    pub fn bound(&mut self, out: &mut [f32], lower: f32, upper: f32) {
        for v in out.iter_mut() {
            *v = upper - *v;
        }
        Elementwise::Softplus.apply(out);
        for v in out.iter_mut() {
            *v = upper - *v - lower;
        }
        Elementwise::Softplus.apply(out);
        for v in out.iter_mut() {
            *v += lower;
        }
    }

    /// Returns the loss without the penalty on the bounds. The gradients, which are summed over members, include the
    /// penalty. `out`: `[members][2 targets][rows]`; `t`: `[members][targets][rows]`.
    pub fn evaluate(&mut self, networks: &Networks, out: &[f32], t: &[f32], rows: usize) -> f64 {
        let q = networks.targets();
        self.out_grad.resize(out.len(), 0.0);
        self.bound_grad.clear();
        self.bound_grad.resize(2 * q, -BOUNDS);
        self.bound_grad[q..].fill(BOUNDS);
        let scale = 1.0 / (q * rows) as f32;
        let mut total = 0.0;
        for (m, t) in t.chunks_exact(q * rows).enumerate() {
            let out = &out[m * 2 * q * rows..(m + 1) * 2 * q * rows];
            let grad = &mut self.out_grad[m * 2 * q * rows..(m + 1) * 2 * q * rows];
            let (means, variances) = out.split_at(q * rows);
            let (mean_grad, variance_grad) = grad.split_at_mut(q * rows);
            for (j, t) in t.chunks_exact(rows).enumerate() {
                let at = j * rows..(j + 1) * rows;
                let (lower, upper) = (networks.lower[j], networks.upper[j]);
                // a = upper − out, lv₁ = upper − softplus(a), b = lv₁ − lower, lv = lower + softplus(b)
                self.above.clear();
                self.above.extend(variances[at.clone()].iter().map(|v| upper - v));
                self.below.clone_from(&self.above);
                Elementwise::Softplus.apply(&mut self.below);
                for b in &mut self.below {
                    *b = upper - *b - lower;
                }
                self.slope.clone_from(&self.below);
                Elementwise::Logistic.apply(&mut self.slope);
                Elementwise::Logistic.apply(&mut self.above);
                Elementwise::Softplus.apply(&mut self.below);
                let mut precision = std::mem::take(&mut self.below);
                let mut sum = 0.0;
                for lv in &mut precision {
                    *lv += lower;
                    sum += *lv;
                    *lv = -*lv;
                }
                Elementwise::Exp.apply(&mut precision);
                let (mut on_least, mut on_most) = (0.0, 0.0);
                let columns = means[at.clone()].iter().zip(t).zip(&precision).zip(self.above.iter().zip(&self.slope));
                let grads = mean_grad[at.clone()].iter_mut().zip(&mut variance_grad[at.clone()]);
                for ((((mean, t), precision), (above, below)), (mean_grad, variance_grad)) in columns.zip(grads) {
                    let e = mean - t;
                    let square = e * e * precision;
                    sum += square;
                    *mean_grad = scale * 2.0 * e * precision;
                    let g = scale * (1.0 - square);
                    *variance_grad = g * above * below;
                    on_most += g * (1.0 - above) * below;
                    on_least += g * (1.0 - below);
                }
                self.bound_grad[j] += on_least;
                self.bound_grad[q + j] += on_most;
                self.below = precision;
                total += f64::from(sum);
            }
        }
        total / (networks.members * q * rows) as f64
    }
}

#[cfg(test)]
#[path = "../../../../tests/unit/learn/model/ensemble/loss.rs"]
mod tests;
