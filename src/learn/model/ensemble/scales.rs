//! Conversion between physical units and the standardised inputs and targets of the networks.

use serde::{Deserialize, Serialize};

use crate::learn::dataset::{Dataset, Scaling};

/// Standardisation of inputs and targets.
///
/// A lagged input is replaced by its difference from the value one step later. Consecutive values of a signal are
/// nearly equal, and their small differences contain information about the next step.
///
/// Inputs are clamped to their range in the training data, because neural networks extrapolate poorly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scales {
    /// For each input, the index of the input that contains the same signal one step later, if there is one:
    /// `[inputs]`.
    pub later: Vec<Option<usize>>,
    /// Statistics of the inputs or of their differences: `[inputs]`. `low` and `high` are the bounds on the
    /// standardised values.
    pub mean: Vec<f64>,
    pub inverse: Vec<f64>,
    pub low: Vec<f32>,
    pub high: Vec<f32>,
    /// Statistics of the targets of the networks: `[targets]`.
    pub target_mean: Vec<f64>,
    pub target_sd: Vec<f64>,
}

impl Scales {
    /// `y`: the targets of the networks, `[targets][transitions]`.
    pub fn estimate(data: &Dataset, y: &[Vec<f64>], rows: &[usize]) -> Self {
        let inputs = &data.layout.inputs;
        let later = |&(signal, lag): &(usize, usize)| inputs.iter().position(|i| *i == (signal, lag.wrapping_sub(1)));
        let later: Vec<Option<usize>> = inputs.iter().map(later).collect();
        let difference = |(column, later): (&Vec<f64>, &Option<usize>)| match later {
            Some(l) => data.x[*l].iter().zip(column).map(|(a, b)| a - b).collect(),
            None => column.clone(),
        };
        let x: Vec<Vec<f64>> = data.x.iter().zip(&later).map(difference).collect();
        let (x, y) = (Scaling::estimate(&x, rows), Scaling::estimate(y, rows));
        let mut scales = Self {
            later,
            inverse: x.inverse(),
            mean: x.mean,
            low: Vec::new(),
            high: Vec::new(),
            target_mean: y.mean,
            target_sd: y.sd,
        };
        for k in 0..data.x.len() {
            let z = rows.iter().map(|&r| scales.unclamped(k, |k| data.x[k][r]));
            let (low, high) = z.fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), z| (l.min(z), h.max(z)));
            scales.low.push(low.min(high));
            scales.high.push(high.max(low));
        }
        scales
    }

    /// Standardised input `k` of a row without clamping. The closure `x` returns the input of the row with a given
    /// index.
    pub fn unclamped(&self, k: usize, x: impl Fn(usize) -> f64) -> f32 {
        let value = self.later[k].map_or(0.0, &x) - x(k);
        ((if self.later[k].is_some() { value } else { -value } - self.mean[k]) * self.inverse[k]) as f32
    }

    /// Standardised and clamped input `k`. NaN stays NaN.
    pub fn input(&self, k: usize, x: impl Fn(usize) -> f64) -> f32 {
        self.unclamped(k, x).clamp(self.low[k], self.high[k])
    }

    /// Pairs (index, derivative with respect to input `k`) of the standardised inputs that depend on input `k`.
    pub fn slopes(&self, k: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let own = if self.later[k].is_some() { -self.inverse[k] } else { self.inverse[k] };
        let earlier = self.later.iter().enumerate().filter(move |(_, l)| **l == Some(k));
        std::iter::once((k, own)).chain(earlier.map(|(e, _)| (e, self.inverse[e])))
    }

    /// Standardised value of target `j`; 0 if the target is constant.
    pub fn target(&self, j: usize, y: f64) -> f32 {
        if self.target_sd[j] > 0.0 { ((y - self.target_mean[j]) / self.target_sd[j]) as f32 } else { 0.0 }
    }

    /// Returns true if scales that were restored from bytes have valid sizes and values.
    pub fn is_valid(&self, inputs: usize, targets: usize) -> bool {
        let wide = [self.later.len(), self.mean.len(), self.inverse.len(), self.low.len(), self.high.len()];
        wide == [inputs; 5]
            && self.later.iter().flatten().all(|l| *l < inputs)
            && [self.target_mean.len(), self.target_sd.len()] == [targets; 2]
            && self.mean.iter().chain(&self.inverse).chain(&self.target_mean).all(|v| v.is_finite())
            && self.target_sd.iter().all(|v| v.is_finite() && *v >= 0.0)
            && self.low.iter().zip(&self.high).all(|(l, h)| l.is_finite() && h.is_finite() && l <= h)
    }
}
