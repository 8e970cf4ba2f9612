//! The values of the lines of one step of the twin, until the step is complete.

use super::super::protocol::tags::Tag;
use crate::config::Resample;

/// Sums over lines. A line without a value of a signal does not count towards its mean.
#[derive(Debug, Clone, Default)]
pub struct Collected {
    /// `[signals]` each.
    sum: Vec<f64>,
    count: Vec<f64>,
    last: Vec<f64>,
}

impl Collected {
    pub fn new(signals: usize) -> Self {
        Self { sum: vec![0.0; signals], count: vec![0.0; signals], last: vec![f64::NAN; signals] }
    }

    pub fn clear(&mut self) {
        self.sum.fill(0.0);
        self.count.fill(0.0);
        self.last.fill(f64::NAN);
    }

    pub fn add(&mut self, signal: usize, value: f64) {
        if value.is_finite() {
            self.sum[signal] += value;
            self.count[signal] += 1.0;
            self.last[signal] = value;
        }
    }

    /// The mean of a signal; NaN without a value.
    pub fn mean(&self, signal: usize) -> f64 {
        // A single value is returned unchanged.
        if self.count[signal] == 1.0 { self.last[signal] } else { self.sum[signal] / self.count[signal] }
    }

    /// The value of the step, resampled as the log is; NaN without a value.
    pub fn resampled(&self, tag: &Tag) -> f64 {
        match tag.mapping.resample {
            Resample::Mean => self.mean(tag.signal),
            Resample::Sum if self.count[tag.signal] > 0.0 => self.sum[tag.signal],
            Resample::Sum => f64::NAN,
            Resample::Hold | Resample::Linear => self.last[tag.signal],
        }
    }
}
