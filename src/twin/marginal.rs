//! The values of a single signal in the training data, and the gaps between these values.
//!
//! In many dimensions, the training data are sparse, so a joint distance over all signals is a
//! coarse measure. For example, if the plant was never operated at a certain temperature, a point
//! with this temperature may still have a small joint distance. The values of a single signal are
//! dense, so gaps between them are easy to detect.
//!
//! The neighbourhood on each side of a value is the smallest range that contains [`VISITS`] different values and rows
//! from [`VISITS`] different periods. There is a gap between two neighbouring values if their
//! difference is larger than each of the following: [`GAP`] times the width of the wider adjacent
//! neighbourhood, [`MIN_GAP`] standard deviations, and the resolution of the signal. For a signal
//! with fewer than [`VISITS`] different values, the resolution is set to zero, because such values
//! may be separate stages without operation in between. The gaps divide the values into ranges. A
//! value within a range is inside. A value beyond either end of a range is at the edge if its
//! distance from this end is at most the width of one neighbourhood. Any other value is outside.

use serde::{Deserialize, Serialize};

use super::dynamics::Support;

/// A neighbourhood contains at least this number of different values, and rows from at least this number of periods of
/// the log (not tuned).
const VISITS: usize = 5;
/// Minimum width of a gap, as a multiple of the width of the wider adjacent neighbourhood (not tuned).
const GAP: f64 = 2.0;
/// Minimum width of a gap, in standard deviations (not tuned).
const MIN_GAP: f64 = 0.2;
/// Minimum width of the edge of a range, in standard deviations (not tuned).
const MIN_MARGIN: f64 = 0.01;

/// Ranges of values without gaps, in ascending order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MarginalSupport {
    ranges: Vec<ValueRange>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct ValueRange {
    low: f64,
    high: f64,
    /// Widths of the edge below `low` and of the edge above `high`.
    margin: [f64; 2],
}

impl MarginalSupport {
    /// Fits the ranges to `values`, which are pairs (value, row of the log). Two rows belong to the same period if they
    /// are at most `apart` rows apart. `sd` is the standard deviation of the signal, and `resolution` is the smallest
    /// difference between two of its values.
    pub fn fit(mut values: Vec<(f64, usize)>, apart: usize, sd: f64, resolution: f64) -> Self {
        values.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let Some(&(first, _)) = values.first() else { return Self::default() };
        let different = 1 + values.windows(2).filter(|w| w[0].0 != w[1].0).count();
        let resolution = if different < VISITS { 0.0 } else { resolution };
        let upwards = |i: usize| neighbourhood(values[i..].iter(), apart);
        let downwards = |i: usize| neighbourhood(values[..=i].iter().rev(), apart);
        let margin = |width: f64| width.max(MIN_MARGIN * sd).max(0.5 * resolution);
        let mut ranges = Vec::new();
        let (mut low, mut below) = (first, margin(upwards(0)));
        for i in 1..values.len() {
            let gap = values[i].0 - values[i - 1].0;
            if gap <= MIN_GAP * sd || gap <= resolution {
                continue;
            }
            let (left, right) = (downwards(i - 1), upwards(i));
            if gap > GAP * left.max(right) {
                ranges.push(ValueRange { low, high: values[i - 1].0, margin: [below, margin(left)] });
                (low, below) = (values[i].0, margin(right));
            }
        }
        let last = values.len() - 1;
        ranges.push(ValueRange { low, high: values[last].0, margin: [below, margin(downwards(last))] });
        Self { ranges }
    }

    /// Label of one value. NaN is outside.
    pub fn label(&self, value: f64) -> Support {
        let next = self.ranges.partition_point(|s| s.low <= value);
        let below = next.checked_sub(1).map(|i| self.ranges[i]);
        let above = self.ranges.get(next);
        if below.is_some_and(|s| value <= s.high) {
            Support::Inside
        } else if below.is_some_and(|s| value <= s.high + s.margin[1])
            || above.is_some_and(|s| value >= s.low - s.margin[0])
        {
            Support::Edge
        } else {
            Support::Outside
        }
    }

    /// Whether the ranges are valid and in ascending order.
    pub fn is_valid(&self) -> bool {
        self.ranges.iter().all(|s| s.low <= s.high && s.margin.iter().all(|m| *m >= 0.0))
            && self.ranges.windows(2).all(|w| w[0].high < w[1].low)
    }
}

/// Width of the neighbourhood of the first value in `values`. `values` contains pairs (value, row), sorted by the
/// distance of the value from the first value.
fn neighbourhood<'a>(values: impl Iterator<Item = &'a (f64, usize)>, apart: usize) -> f64 {
    let mut visits: Vec<usize> = Vec::with_capacity(VISITS);
    let (mut different, mut first, mut last) = (0, None, f64::NAN);
    for &(value, row) in values {
        let start = *first.get_or_insert(value);
        if value != last {
            different += 1;
            last = value;
        }
        if visits.len() < VISITS && visits.iter().all(|v| v.abs_diff(row) > apart) {
            visits.push(row);
        }
        if visits.len() == VISITS && different >= VISITS {
            return (value - start).abs();
        }
    }
    // If there are too few values, the neighbourhood contains all values.
    first.map_or(0.0, |start| (last - start).abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Key;
    use Support::{Edge, Inside, Outside};

    fn normal(n: usize, keep: impl Fn(f64) -> bool) -> Vec<(f64, usize)> {
        (0..n).map(|t| (Key::new(4).normal(t as u64), t)).filter(|v| keep(v.0)).collect()
    }

    #[test]
    fn only_the_gap_in_the_middle_is_outside() {
        let support = MarginalSupport::fit(normal(8000, |v| !(0.3..1.2).contains(&v)), 3, 1.0, 0.0);
        assert!(support.is_valid() && support.ranges.len() == 2, "{support:?}");
        let labels: Vec<Support> =
            normal(8000, |v| (0.3..1.2).contains(&v)).iter().map(|v| support.label(v.0)).collect();
        let outside = labels.iter().filter(|l| **l == Outside).count();
        assert!(outside as f64 > 0.95 * labels.len() as f64, "{outside} of {}", labels.len());
        let fresh = (10_000..14_000).map(|t| Key::new(4).normal(t)).filter(|v| !(0.3..1.2).contains(v));
        assert!(fresh.filter(|v| support.label(*v) == Outside).count() < 20);
        assert_eq!([-9.0, 9.0, f64::NAN].map(|v| support.label(v)), [Outside; 3]);
    }

    #[test]
    fn sparse_tails_discrete_values_and_constants_have_no_gaps() {
        let tails = MarginalSupport::fit(normal(3000, |_| true), 3, 1.0, 0.0);
        assert!(tails.ranges.len() <= 2, "{tails:?}");
        let levels = (0..3000).map(|t| (5.0 * (t / 40 % 7) as f64, t)).collect();
        let support = MarginalSupport::fit(levels, 10, 10.0, 5.0);
        assert_eq!(
            [0.0, 2.5, 17.0, 30.0, 31.0, 90.0].map(|v| support.label(v)),
            [Inside, Inside, Inside, Inside, Edge, Outside]
        );
        let constant = MarginalSupport::fit((0..100).map(|t| (7.0, t)).collect(), 3, 1e-5, 0.0);
        assert_eq!([7.0, 8.0].map(|v| constant.label(v)), [Inside, Outside]);
        assert_eq!(MarginalSupport::default().label(1.0), Outside);
    }

    #[test]
    fn the_space_between_two_levels_is_a_gap() {
        let levels = |levels: &[f64]| {
            let at = |t: usize| levels[Key::new(5).bits((t / 30) as u64) as usize % levels.len()];
            let (least, sd) = (levels[1] - levels[0], 0.5 * (levels[levels.len() - 1] - levels[0]));
            MarginalSupport::fit((0..3000).map(|t| (at(t), t)).collect(), 10, sd, least)
        };
        assert_eq!(
            [20.0, 21.0, 55.0, 89.0, 90.0].map(|v| levels(&[20.0, 90.0]).label(v)),
            [Inside, Outside, Outside, Outside, Inside]
        );
        assert_eq!([0.0, 0.5, 1.0].map(|v| levels(&[0.0, 1.0]).label(v)), [Inside, Outside, Inside]);
        assert_eq!([30.0, 65.0].map(|v| levels(&[20.0, 40.0, 90.0]).label(v)), [Inside, Outside]);
        // evenly spaced levels
        assert_eq!([20.5, 21.5, 22.5].map(|v| levels(&[20.0, 21.0, 22.0, 23.0]).label(v)), [Inside; 3]);
    }

    #[test]
    fn one_excursion_counts_as_one_period() {
        // The highest values come from a single long excursion, so a slightly higher value is labelled `Edge`.
        let walk: Vec<(f64, usize)> =
            (0..4000).map(|t| ((t as f64 / 300.0).sin() * (1.0 + t as f64 / 8000.0), t)).collect();
        let highest = walk.iter().fold(0.0f64, |h, v| h.max(v.0));
        let support = MarginalSupport::fit(walk, 50, 0.8, 0.0);
        assert_eq!(support.label(highest + 0.05), Edge);
    }
}
