//! The progress of a batch of scenarios.

/// Counts the finished simulation steps of all threads for a progress bar.
pub struct Progress<'a> {
    on_steps: &'a (dyn Fn(u64) + Sync),
}

impl<'a> Progress<'a> {
    /// Calls `on_steps` with the number of steps finished since the previous call.
    pub fn new(on_steps: &'a (dyn Fn(u64) + Sync)) -> Self {
        Self { on_steps }
    }

    /// Reports `steps` finished steps.
    pub fn add(&self, steps: u64) {
        (self.on_steps)(steps);
    }
}
