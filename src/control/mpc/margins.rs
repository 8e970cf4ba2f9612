//! Margins of tightened limits.

use crate::schema::Bounds;

/// Margins by which limits are tightened at each step of the horizon. If there are no margins, limits are not
/// tightened.
#[derive(Default)]
pub(super) struct Margins {
    /// Number of futures in which the plan is evaluated.
    pub futures: usize,
    /// `[limits][horizon]`.
    pub widths: Vec<Vec<f64>>,
    /// Deviation of the limited signal from its mean over all futures, for each future of the plan:
    /// `[limits][horizon][futures]`.
    pub deviations: Vec<Vec<f64>>,
}

impl Margins {
    /// The tightened bounds of `limit` at `step`, shifted by the deviation of the limited signal in the future with
    /// index `future`. If the tightened bounds cross, both are replaced by their midpoint. The shift is applied
    /// afterwards.
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
