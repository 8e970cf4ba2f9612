//! Limit on the computing time of a plan.

/// A clock that returns the milliseconds since an arbitrary moment.
pub type Clock = dyn Fn() -> u64 + Sync;

/// Limit on the time that a plan may take.
#[derive(Clone, Copy)]
pub(super) struct Budget<'a> {
    /// Limit in milliseconds per plan; `None` if there is no limit.
    pub limit_ms: Option<u64>,
    /// Clock that measures the time. Without a clock, there is no limit.
    pub clock: Option<&'a Clock>,
}

impl<'a> Budget<'a> {
    /// Starts to measure the time of a plan. The returned function reports whether the time limit is reached.
    pub fn start(self) -> impl Fn() -> bool + use<'a> {
        let started = self.clock.map(|clock| clock());
        move || match (started, self.clock, self.limit_ms) {
            (Some(started), Some(clock), Some(limit)) => clock().saturating_sub(started) >= limit,
            _ => false,
        }
    }
}
