//! The digital twin: dynamics with noise, members and an envelope of support.

mod dynamics;

pub use dynamics::{Batch, Dynamics, Support};
