//! How far a batch of scenarios is.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts finished simulation steps over all threads, for a progress bar.
#[derive(Debug, Default)]
pub struct Progress {
    pub steps: AtomicU64,
}

impl Progress {
    /// Adds `steps` finished steps.
    pub fn add(&self, steps: u64) {
        self.steps.fetch_add(steps, Ordering::Relaxed);
    }
}
