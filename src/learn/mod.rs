//! Trajectory → Dataset → models, scored by multi-step open-loop error, calibrated, and the winner chosen.

mod map;
pub mod model;

pub use map::{Equations, Layout, StepMap, StepScratch, Target};
pub use model::{Particle, Regressor};
