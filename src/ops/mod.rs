//! Nights: the registry of model versions, retraining behind a gate, the lock, schedules, and status.

mod lock;
mod registry;
pub mod retrain;
pub mod schedule;
pub mod status;

pub use lock::Lock;
pub use registry::{Event, Manifest, Registry, Verdict, Version};
