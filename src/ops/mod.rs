//! Nights: the registry of model versions, fitting and retraining behind a gate, the lock, schedules, and status.

pub mod gate;
mod lock;
pub mod night;
pub mod plant;
mod registry;
pub mod schedule;
pub mod status;

pub use lock::Lock;
pub use registry::{Event, Manifest, Registry, Verdict, Version};

/// The present, UTC, to the second.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
