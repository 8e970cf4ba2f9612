//! Regression trees, which are grown with the crate smartcore, stored as flat lists and evaluated for many rows at
//! once.
//!
//! The trees belong to this crate because it is compiled as one codegen unit, which lets the compiler inline
//! smartcore's small generic functions.

mod grow;
mod tree;

pub use grow::{Features, ForestSettings, features, grow};
pub use tree::{TILE, Tree};
