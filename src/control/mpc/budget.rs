//! Limit on the computing time of a plan.

/// A clock that returns the milliseconds since an arbitrary point in time.
pub type Clock = dyn Fn() -> u64 + Sync;

/// Time limit for the computation of a plan.
#[derive(Clone, Copy)]
pub(super) struct Budget<'a> {
    /// Time limit per plan in milliseconds; `None` if there is no limit.
    pub limit_ms: Option<u64>,
    /// Clock that measures the time. Without a clock, there is no limit.
    pub clock: Option<&'a Clock>,
}

impl<'a> Budget<'a> {
    /// Starts timing a plan. The returned function reports whether the time limit has been reached.
    pub fn start(self) -> impl Fn() -> bool + use<'a> {
        let started = self.clock.map(|clock| clock());
        move || match (started, self.clock, self.limit_ms) {
            (Some(started), Some(clock), Some(limit)) => clock().saturating_sub(started) >= limit,
            _ => false,
        }
    }
}
