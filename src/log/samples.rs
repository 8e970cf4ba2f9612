//! The clean samples of one signal.

use std::sync::Arc;

/// Strictly increasing times (µs UTC) and the values at these times.
#[derive(Debug, Clone, Default)]
pub(super) struct Samples {
    pub time: Arc<Vec<i64>>,
    pub value: Vec<f64>,
}

impl Samples {
    /// Drops the samples for which `keep` is false.
    pub fn retain(&mut self, keep: &[bool]) {
        let kept = |i: &usize| keep[*i];
        *self = Self {
            time: Arc::new((0..keep.len()).filter(kept).map(|i| self.time[i]).collect()),
            value: (0..keep.len()).filter(kept).map(|i| self.value[i]).collect(),
        };
    }

    /// Whether the tag seems to be logged only when its value changes: at most 5 % of the samples repeat the previous
    /// value, and at least a quarter of the intervals are longer than `max_gap` (these thresholds are not tuned).
    pub fn is_logged_on_change(&self, max_gap: i64) -> bool {
        let n = self.value.len();
        if n < 5 {
            return false;
        }
        let repeats = self.value.windows(2).filter(|w| w[0] == w[1]).count();
        let gaps = self.time.windows(2).filter(|w| w[1] - w[0] > max_gap).count();
        20 * repeats <= n && 4 * gaps >= n
    }
}
