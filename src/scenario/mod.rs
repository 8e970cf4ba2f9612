//! Scenarios in batch, and their results.

pub mod results;
