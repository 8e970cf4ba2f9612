//! The clean samples of one signal.

use std::sync::Arc;

/// Times (µs UTC) that strictly increase, and their values.
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

    /// Whether the tag is logged only when it changes: repeats are rare (at most 5 %), and gaps longer than `max_gap` are
    /// common (at least a quarter). Both shares are guesses.
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
