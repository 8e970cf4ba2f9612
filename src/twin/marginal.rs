//! The values of one signal that the log has covered, and the gaps between them.
//!
//! A distance in all signals together is as coarse as the data are sparse in many dimensions: a band of a temperature that the
//! plant never ran at lies within it. One signal alone is densely covered, so a gap shows at once.

use serde::{Deserialize, Serialize};

use super::Support;

/// Visits of the plant at different times, and different values, that make a neighbourhood.
const VISITS: usize = 5;
/// A gap is this many times as wide as the neighbourhoods beside it, and as this share of the standard deviation.
const GAP: f64 = 2.0;
const LEAST_GAP: f64 = 0.2;
/// Beyond the last value as far as its neighbourhood, but this share of the standard deviation at least, is the edge.
const LEAST_MARGIN: f64 = 0.01;

/// Stretches of values without a gap, ascending.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MarginalSupport {
    stretches: Vec<Stretch>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Stretch {
    low: f64,
    high: f64,
    /// Width of the edge below and above.
    margin: [f64; 2],
}

impl MarginalSupport {
    /// What `values`, (value, row of the log), cover. Rows at most `apart` from each other are of one visit; `sd` is the
    /// signal's standard deviation, `resolution` the smallest difference between two of its values.
    pub fn fit(mut values: Vec<(f64, usize)>, apart: usize, sd: f64, resolution: f64) -> Self {
        values.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let Some(&(first, _)) = values.first() else { return Self::default() };
        let upwards = |i: usize| neighbourhood(values[i..].iter(), apart);
        let downwards = |i: usize| neighbourhood(values[..=i].iter().rev(), apart);
        let margin = |width: f64| width.max(LEAST_MARGIN * sd).max(0.5 * resolution);
        let mut stretches = Vec::new();
        let (mut low, mut below) = (first, margin(upwards(0)));
        for i in 1..values.len() {
            let gap = values[i].0 - values[i - 1].0;
            if gap <= LEAST_GAP * sd || gap <= resolution {
                continue;
            }
            let (left, right) = (downwards(i - 1), upwards(i));
            if gap > GAP * left.max(right) {
                stretches.push(Stretch { low, high: values[i - 1].0, margin: [below, margin(left)] });
                (low, below) = (values[i].0, margin(right));
            }
        }
        let last = values.len() - 1;
        stretches.push(Stretch { low, high: values[last].0, margin: [below, margin(downwards(last))] });
        Self { stretches }
    }

    /// Support of one value; what is not a number is outside.
    pub fn label(&self, value: f64) -> Support {
        let next = self.stretches.partition_point(|s| s.low <= value);
        let below = next.checked_sub(1).map(|i| self.stretches[i]);
        let above = self.stretches.get(next);
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

    pub fn is_sound(&self) -> bool {
        self.stretches.iter().all(|s| s.low <= s.high && s.margin.iter().all(|m| *m >= 0.0))
            && self.stretches.windows(2).all(|w| w[0].high < w[1].low)
    }
}

/// How far the first few visits reach that `values` tell of, nearest first: as many at different times, with as many
/// different values.
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
    // There are no more: all of it is one neighbourhood.
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
    fn a_gap_in_the_middle_is_outside_and_nothing_else_is() {
        let cover = MarginalSupport::fit(normal(8000, |v| !(0.3..1.2).contains(&v)), 3, 1.0, 0.0);
        assert!(cover.is_sound() && cover.stretches.len() == 2, "{cover:?}");
        let labels: Vec<Support> = normal(8000, |v| (0.3..1.2).contains(&v)).iter().map(|v| cover.label(v.0)).collect();
        let outside = labels.iter().filter(|l| **l == Outside).count();
        assert!(outside as f64 > 0.95 * labels.len() as f64, "{outside} of {}", labels.len());
        let fresh = (10_000..14_000).map(|t| Key::new(4).normal(t)).filter(|v| !(0.3..1.2).contains(v));
        assert!(fresh.filter(|v| cover.label(*v) == Outside).count() < 20);
        assert_eq!([-9.0, 9.0, f64::NAN].map(|v| cover.label(v)), [Outside; 3]);
    }

    #[test]
    fn thin_tails_levels_and_single_values_are_no_gaps() {
        let whole = MarginalSupport::fit(normal(3000, |_| true), 3, 1.0, 0.0);
        assert!(whole.stretches.len() <= 2, "{whole:?}");
        let levels = (0..3000).map(|t| (5.0 * (t / 40 % 7) as f64, t)).collect();
        let cover = MarginalSupport::fit(levels, 10, 10.0, 5.0);
        assert_eq!(
            [0.0, 2.5, 17.0, 30.0, 31.0, 90.0].map(|v| cover.label(v)),
            [Inside, Inside, Inside, Inside, Edge, Outside]
        );
        let still = MarginalSupport::fit((0..100).map(|t| (7.0, t)).collect(), 3, 1e-5, 0.0);
        assert_eq!([7.0, 8.0].map(|v| still.label(v)), [Inside, Outside]);
        assert_eq!(MarginalSupport::default().label(1.0), Outside);
    }

    #[test]
    fn one_excursion_is_one_visit() {
        // The top is reached once, for a long time: what lies a little beyond it is not far.
        let walk: Vec<(f64, usize)> =
            (0..4000).map(|t| ((t as f64 / 300.0).sin() * (1.0 + t as f64 / 8000.0), t)).collect();
        let highest = walk.iter().fold(0.0f64, |h, v| h.max(v.0));
        let cover = MarginalSupport::fit(walk, 50, 0.8, 0.0);
        assert_eq!(cover.label(highest + 0.05), Edge);
    }
}
