//! Distributes the values of samples over the steps that their intervals overlap.

use std::ops::Range;

use super::grid::Grid;

/// The sum over each step of a segment.
pub(super) struct Spread {
    pub sum: Vec<f64>,
    /// For each step, the time (µs) that is covered by intervals.
    pub covered: Vec<i64>,
}

/// Adds `weight(value, overlap, length)` of each interval `(from, to, value)` to every step that the interval overlaps.
/// The intervals are sorted by their start.
pub(super) fn spread(
    grid: &Grid,
    segment: &Range<usize>,
    intervals: impl Iterator<Item = (i64, i64, f64)>,
    weight: impl Fn(f64, i64, i64) -> f64,
) -> Spread {
    let mut out = Spread { sum: vec![-0.0; segment.len()], covered: vec![0; segment.len()] };
    let mut first = segment.start;
    for (from, to, value) in intervals {
        while first < segment.end && grid.time(first + 1) <= from {
            first += 1;
        }
        let mut k = first;
        while k < segment.end && grid.time(k) < to {
            let overlap = to.min(grid.time(k + 1)) - from.max(grid.time(k));
            if overlap > 0 {
                out.sum[k - segment.start] += weight(value, overlap, to - from);
                out.covered[k - segment.start] += overlap;
            }
            k += 1;
        }
    }
    out
}

/// The part of an amount that falls within a step.
pub(super) fn part(value: f64, overlap: i64, length: i64) -> f64 {
    if overlap == length { value } else { value * (overlap as f64 / length as f64) }
}
