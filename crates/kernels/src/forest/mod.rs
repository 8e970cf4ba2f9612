//! Regression trees: grown with the crate smartcore, stored flat, and evaluated for many rows at once.
//!
//! They are in this crate because it is compiled as one codegen unit, which smartcore's small generic functions need.

mod grow;
mod tree;

pub use grow::{Features, ForestSettings, features, grow};
pub use tree::{TILE, Tree};
