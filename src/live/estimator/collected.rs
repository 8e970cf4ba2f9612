//! Collects the values of all lines that belong to one step of the twin.

use super::super::protocol::tags::Tag;
use crate::config::Resample;

/// Sums over lines. A line without a value for a signal does not count towards the mean of that signal.
#[derive(Debug, Clone, Default)]
pub struct Collected {
    /// Each vector has one element per signal.
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

    /// Returns the mean of a signal, or NaN if it has no value.
    pub fn mean(&self, signal: usize) -> f64 {
        // The mean of a single value is the value itself, without rounding.
        if self.count[signal] == 1.0 { self.last[signal] } else { self.sum[signal] / self.count[signal] }
    }

    /// Returns the value of a tag for the step, resampled in the same way as the log. Returns NaN if there is no value.
    pub fn resampled(&self, tag: &Tag) -> f64 {
        match tag.mapping.resample {
            Resample::Mean => self.mean(tag.signal),
            Resample::Sum if self.count[tag.signal] > 0.0 => self.sum[tag.signal],
            Resample::Sum => f64::NAN,
            Resample::Hold | Resample::Linear => self.last[tag.signal],
        }
    }
}
