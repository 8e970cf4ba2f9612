//! The progress of a batch of scenarios.

use std::ops::AddAssign;

/// Numbers of simulation steps. A step of a case with MPC can take much longer than a step of any other case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Steps {
    pub simple: u64,
    /// Steps of cases with MPC.
    pub planned: u64,
}

impl Steps {
    pub fn new(steps: u64, planned: bool) -> Self {
        if planned { Self { simple: 0, planned: steps } } else { Self { simple: steps, planned: 0 } }
    }
}

impl AddAssign for Steps {
    fn add_assign(&mut self, other: Self) {
        self.simple += other.simple;
        self.planned += other.planned;
    }
}

/// An update to the progress of a batch.
#[derive(Debug, Clone, Copy)]
pub enum Work {
    /// Steps that were simulated.
    Done(Steps),
    /// Steps of a finished scenario that need not be simulated again.
    Reused(Steps),
}

/// Reports the finished simulation steps of all threads.
pub struct Progress<'a> {
    on_work: &'a (dyn Fn(Work) + Sync),
}

impl<'a> Progress<'a> {
    /// Calls `on_work` with the work finished since the previous call.
    pub fn new(on_work: &'a (dyn Fn(Work) + Sync)) -> Self {
        Self { on_work }
    }

    pub fn add(&self, work: Work) {
        (self.on_work)(work);
    }
}
