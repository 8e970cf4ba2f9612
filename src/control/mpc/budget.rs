//! Computing time of a plan.

/// A clock in milliseconds since an arbitrary moment.
pub type Clock = dyn Fn() -> u64 + Sync;

/// How long a plan may take.
#[derive(Clone, Copy)]
pub(super) struct Budget<'a> {
    /// Milliseconds per plan; `None`: no limit.
    pub limit_ms: Option<u64>,
    /// Without a clock there is no limit.
    pub clock: Option<&'a Clock>,
}

impl<'a> Budget<'a> {
    /// Starts the time of a plan. The returned function says whether it is used up.
    pub fn start(self) -> impl Fn() -> bool + use<'a> {
        let started = self.clock.map(|clock| clock());
        move || match (started, self.clock, self.limit_ms) {
            (Some(started), Some(clock), Some(limit)) => clock().saturating_sub(started) >= limit,
            _ => false,
        }
    }
}
