//! The clock by which plans keep their budget.

use std::time::Instant;

/// Milliseconds since now.
pub fn start() -> impl Fn() -> u64 + Sync {
    let began = Instant::now();
    move || u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}
