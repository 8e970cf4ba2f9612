//! Rows in the layout of the loops over blocks of points.

use super::covariance::{GROUP, gather};
use crate::kernel::Points;

/// Rows divided by the length-scales, in groups of four, and the remaining rows one by one. The arithmetic is the same
/// for both, so its result does not depend on its position.
#[derive(Debug, Default)]
pub struct Tile {
    /// `[group][d]`.
    pub fours: Vec<Vec<[f64; GROUP]>>,
    /// `[row][d]`.
    pub ones: Vec<Vec<[f64; 1]>>,
}

impl Tile {
    /// Rows `start..start + rows` of `x`; `inverse` is 1 / lengths.
    pub fn new(x: Points, inverse: &[f64], start: usize, rows: usize) -> Self {
        let groups = rows / GROUP;
        let mut tile = Self { fours: vec![Vec::new(); groups], ones: vec![Vec::new(); rows - groups * GROUP] };
        for (g, four) in tile.fours.iter_mut().enumerate() {
            gather(x, inverse, start + g * GROUP, four);
        }
        for (r, one) in tile.ones.iter_mut().enumerate() {
            gather(x, inverse, start + groups * GROUP + r, one);
        }
        tile
    }
}
