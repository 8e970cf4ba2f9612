//! The samples of one signal.

use std::sync::Arc;

use super::clock::{REGULAR_SHARE, interval_with_gaps, typical_interval};

/// Times (µs UTC) and the values at these times. The times of clean samples are strictly increasing.
#[derive(Debug, Clone, Default)]
pub(super) struct Samples {
    /// All columns of a wide log share one vector of times.
    pub time: Arc<Vec<i64>>,
    pub value: Vec<f64>,
    /// For increases of a counter, and for amounts at intervals longer than a step, the length of the interval (µs)
    /// that begins at the time of each sample. Otherwise empty.
    pub length: Vec<i64>,
}

impl Samples {
    /// Drops the samples for which `keep` is false.
    pub fn retain(&mut self, keep: &[bool]) {
        let kept = |i: &usize| keep[*i];
        *self = Self {
            time: Arc::new((0..keep.len()).filter(kept).map(|i| self.time[i]).collect()),
            value: (0..keep.len()).filter(kept).map(|i| self.value[i]).collect(),
            length: Vec::new(),
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

    /// Whether the samples are irregular: at least a tenth of the time lies in intervals that are longer than three
    /// typical intervals, but not longer than `max_gap` (these thresholds are not tuned).
    pub fn is_irregular(&self, max_gap: i64) -> bool {
        let Some((typical, _)) = typical_interval(&self.time) else { return false };
        let intervals = || self.time.windows(2).map(|w| w[1] - w[0]).filter(|d| *d <= max_gap);
        let long: i64 = intervals().filter(|d| *d > 3 * typical).sum();
        10 * long > intervals().sum::<i64>()
    }

    /// Returns the time (µs) of the last sample, or the end of its interval.
    pub fn end(&self) -> Option<i64> {
        Some(self.time.last()? + self.length.last().map_or(0, |length| length - 1))
    }

    /// Returns the sampling interval (µs) of a regular signal, some of whose rows may be missing.
    pub fn interval(&self) -> Option<i64> {
        let regular = typical_interval(&self.time).filter(|i| i.1 >= REGULAR_SHARE).map(|i| i.0);
        regular.or_else(|| interval_with_gaps(&self.time))
    }

    /// Returns the interval (µs) between the samples of a signal that is sampled regularly except for jitter of the
    /// time stamps: at least 80 % of the intervals differ from it by at most a quarter (not tuned).
    pub fn usual_interval(&self) -> Option<i64> {
        self.interval().or_else(|| {
            let (typical, _) = typical_interval(&self.time)?;
            let intervals = || self.time.windows(2).map(|w| w[1] - w[0]);
            let near = intervals().filter(|d| 4 * (d - typical).abs() <= typical).count();
            (5 * near >= 4 * intervals().count()).then_some(typical)
        })
    }
}
