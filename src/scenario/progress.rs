//! The progress of a batch of scenarios.

/// Reports finished simulation steps of all threads, for a progress bar.
pub struct Progress<'a> {
    on_steps: &'a (dyn Fn(u64) + Sync),
}

impl<'a> Progress<'a> {
    /// `on_steps` is called with the number of steps that have just finished.
    pub fn new(on_steps: &'a (dyn Fn(u64) + Sync)) -> Self {
        Self { on_steps }
    }

    /// Reports `steps` finished steps.
    pub fn add(&self, steps: u64) {
        (self.on_steps)(steps);
    }
}
