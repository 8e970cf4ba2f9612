//! Tiles of rows, stored in the layout that the loops over blocks of points require.

use super::covariance::{GROUP, gather};
use crate::kernel::Points;

/// Rows divided by the length-scales, stored in groups of four, with the remaining rows stored individually. The
/// arithmetic is the same for grouped and individual rows, so the result for a row does not depend on its position in
/// the tile.
#[derive(Debug, Default)]
pub struct Tile {
    /// `[group][d]`.
    pub fours: Vec<Vec<[f64; GROUP]>>,
    /// `[row][d]`.
    pub ones: Vec<Vec<[f64; 1]>>,
}

impl Tile {
    /// Creates the tile with the rows `start..start + rows` of `x`. `inverse` contains the inverse length-scales.
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
