//! Operation of plants: runs, nightly retraining with a gate, the registry of model versions, locks, schedules and
//! status.

mod drift;
pub mod gc;
mod lock;
pub mod night;
pub mod nightly;
pub mod plant;
pub mod project;
mod promise;
pub mod publish;
mod registry;
pub mod retrain;
pub mod run;
pub mod schedule;
pub mod status;
pub mod stored;
pub mod verification;

pub use lock::Lock;
pub use registry::{Event, EventKind, Registry, Version};

/// The current UTC time, rounded down to a second.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
