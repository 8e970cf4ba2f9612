//! Between physical units and what networks see.

use serde::{Deserialize, Serialize};

use crate::learn::dataset::{Dataset, Scaling};

/// Standardisation of inputs and targets.
///
/// Inputs are kept within what was seen in training, for beyond it a network's answer is arbitrary: there its part of
/// a prediction stays what it was at the edge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scales {
    /// Of the inputs: `[inputs]` each; the limits are of standardised values.
    pub mean: Vec<f64>,
    pub inverse: Vec<f64>,
    pub low: Vec<f32>,
    pub high: Vec<f32>,
    /// Of what the networks predict: `[targets]` each.
    pub target_mean: Vec<f64>,
    pub target_sd: Vec<f64>,
}

impl Scales {
    /// `y`: `[targets][transitions]`, what is to be predicted.
    pub fn of(data: &Dataset, y: &[Vec<f64>], rows: &[usize]) -> Self {
        let (x, y) = (data.input_scaling(rows), Scaling::of(y, rows));
        let mut scales = Self {
            inverse: x.inverse(),
            mean: x.mean,
            low: Vec::new(),
            high: Vec::new(),
            target_mean: y.mean,
            target_sd: y.sd,
        };
        for (k, column) in data.x.iter().enumerate() {
            let z = rows.iter().map(|&r| scales.free(k, column[r]));
            let (low, high) = z.fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), z| (l.min(z), h.max(z)));
            scales.low.push(low.min(high));
            scales.high.push(high.max(low));
        }
        scales
    }

    /// Standardised value of input `k`, without limits.
    pub fn free(&self, k: usize, x: f64) -> f32 {
        ((x - self.mean[k]) * self.inverse[k]) as f32
    }

    /// Standardised value of input `k`, within its limits; what is not a number stays so.
    pub fn input(&self, k: usize, x: f64) -> f32 {
        self.free(k, x).clamp(self.low[k], self.high[k])
    }

    /// Standardised value of target `j`; 0 for one that does not vary.
    pub fn target(&self, j: usize, y: f64) -> f32 {
        if self.target_sd[j] > 0.0 { ((y - self.target_mean[j]) / self.target_sd[j]) as f32 } else { 0.0 }
    }

    /// Whether sizes and values make sense, for scales that were read from bytes.
    pub fn is_sound(&self, inputs: usize, targets: usize) -> bool {
        let wide = [self.mean.len(), self.inverse.len(), self.low.len(), self.high.len()];
        wide == [inputs; 4]
            && [self.target_mean.len(), self.target_sd.len()] == [targets; 2]
            && self.mean.iter().chain(&self.inverse).chain(&self.target_mean).all(|v| v.is_finite())
            && self.target_sd.iter().all(|v| v.is_finite() && *v >= 0.0)
            && self.low.iter().zip(&self.high).all(|(l, h)| l.is_finite() && h.is_finite() && l <= h)
    }
}
