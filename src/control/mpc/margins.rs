//! Margins of tightened limits.

use crate::schema::Bounds;

/// By how much each limit is tightened at each step of the horizon. Without entries, limits are not tightened.
#[derive(Default)]
pub(super) struct Margins {
    /// Number of futures of the plan.
    pub futures: usize,
    /// `[limits][horizon]`.
    pub widths: Vec<Vec<f64>>,
    /// Deviation of each future of the plan from the mean of all futures, `[limits][horizon][futures]`.
    pub deviations: Vec<Vec<f64>>,
}

impl Margins {
    /// The tightened bounds of `limit` at `step` for the future `future` of the plan. If no room is left between them,
    /// both are at the middle.
    pub fn tightened(&self, limit: usize, bounds: Bounds, step: usize, future: usize) -> Bounds {
        let Some(width) = self.widths.get(limit).map(|w| w[step]) else { return bounds };
        let deviation = self.deviations[limit][step * self.futures + future];
        let (mut low, mut high) = (bounds.low + width, bounds.high - width);
        if low > high {
            (low, high) = (0.5 * (bounds.low + bounds.high), 0.5 * (bounds.low + bounds.high));
        }
        Bounds { low: low + deviation, high: high + deviation }
    }
}
