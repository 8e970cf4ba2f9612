//! The clock that limits the computing time of a plan.

use std::time::Instant;

/// Starts a clock, which is a function that returns the milliseconds since it was created.
pub fn start() -> impl Fn() -> u64 + Sync {
    let start = Instant::now();
    move || u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}
