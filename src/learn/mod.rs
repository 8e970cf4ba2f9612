//! Trajectory → Dataset → models, scored by multi-step open-loop error, calibrated, and the winner chosen.

mod dataset;
mod equations;
mod map;
pub mod model;
mod split;

pub use dataset::{Dataset, Scaling, Usual};
pub use equations::Equations;
pub use map::{Layout, StepMap, StepScratch, Target};
pub use model::{Particle, Regressor};
pub use split::{FOLDS, Split};
