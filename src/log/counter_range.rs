//! Finds the range of a counter and the direction in which it runs. The thresholds are not tuned.

use super::detect::quantiles;

/// Minimum number of readings that are examined.
const MIN_READINGS: usize = 50;
/// Number of equal parts into which the range is divided, and minimum number of consecutive parts into which no change
/// of the readings falls.
const PARTS: usize = 40;
const MIN_EMPTY: usize = 6;

/// A counter that restarts every few readings, because its range is small compared with its increases.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cycle {
    pub range: f64,
    /// The smallest possible change of the counter between two readings; the largest is `lowest + range`.
    lowest: f64,
    /// The usual change from one reading to the next that is largest in magnitude.
    pub usual: f64,
}

impl Cycle {
    /// Returns the range and direction of the counter with these readings if at least one of 30 changes is a fall. All
    /// changes modulo the range must lie in an arc of the range that excludes a part of it, because amounts or levels
    /// would be spread over the whole range.
    pub fn of(v: &[f64]) -> Option<Self> {
        let changes: Vec<f64> = v.windows(2).map(|w| w[1] - w[0]).filter(|d| *d != 0.0).collect();
        let falls = changes.iter().filter(|d| **d < 0.0).count();
        if v.len() < MIN_READINGS || falls < 5 || 30 * falls < changes.len() {
            return None;
        }
        // the readings of such a counter fill the whole range
        let most = 1.0 / (1.0 - (8.0 / changes.len() as f64).min(0.05));
        let (lowest, highest) = extremes(v);
        if !is_filled(v, lowest, highest) {
            return None;
        }
        let known = ranges(v, most).into_iter().filter(|range| lowest < 0.0 || lowest <= range - range / most);
        known.chain(estimated(v, lowest, highest)).find_map(|range| Self::with_range(&changes, range))
    }

    fn with_range(changes: &[f64], range: f64) -> Option<Self> {
        let mut count = [0_usize; PARTS];
        let part = |d: f64| ((d.rem_euclid(range) / range * PARTS as f64) as usize).min(PARTS - 1);
        changes.iter().for_each(|d| count[part(*d)] += 1);
        let is_empty = |k: usize| 1_000 * count[k % PARTS] <= changes.len();
        let length = |from: usize| (from..from + PARTS).take_while(|k| is_empty(*k)).count();
        let (from, empty) = (0..PARTS).map(|from| (from, length(from))).max_by_key(|(_, length)| *length)?;
        if !(MIN_EMPTY..PARTS).contains(&empty) {
            return None;
        }
        let middle = (from as f64 + 0.5 * empty as f64) / PARTS as f64 * range;
        let runs_both_ways = !is_empty(PARTS - 1) && !is_empty(0);
        // an arc that does not contain 0 could also mean that the counter runs backwards only
        let lowest = if runs_both_ways { middle.rem_euclid(range) - range } else { 0.0 };
        let mut cycle = Self { range, lowest, usual: 0.0 };
        let [all] = quantiles(changes.iter().map(|d| cycle.change(*d).abs()), changes.len(), [0.99]);
        cycle.usual = all;
        let across = || changes.iter().filter(|d| cycle.is_restart(**d)).map(|d| cycle.change(*d));
        let [restarts] = quantiles(across(), changes.len(), [0.95]);
        let [others] = quantiles(changes.iter().copied().filter(|d| *d > 0.0), changes.len(), [0.99]);
        (runs_both_ways || restarts <= 1.15 * others).then_some(cycle)
    }

    /// The change of the counter if its reading changes by `difference`.
    pub fn change(&self, difference: f64) -> f64 {
        (difference - self.lowest).rem_euclid(self.range) + self.lowest
    }

    /// Whether the counter restarts when its reading changes by `difference`.
    pub fn is_restart(&self, difference: f64) -> bool {
        (self.change(difference) - difference).abs() > 0.5 * self.range
    }

    pub fn runs_backwards(&self) -> bool {
        self.lowest < 0.0
    }
}

/// Whether the readings are spread over their whole range, unlike those of a machine that is switched on and off.
fn is_filled(v: &[f64], lowest: f64, highest: f64) -> bool {
    const BINS: usize = 20;
    let mut count = [0_usize; BINS];
    let changed = v.windows(2).filter(|w| w[0] != w[1]).map(|w| w[1]);
    changed.for_each(|v| count[(((v - lowest) / (highest - lowest) * BINS as f64) as usize).min(BINS - 1)] += 1);
    let total: usize = count.iter().sum();
    count.iter().filter(|n| 3 * **n * BINS >= total).count() >= BINS - 2
}

fn extremes(v: &[f64]) -> (f64, f64) {
    v.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)))
}

/// Returns the range of a counter without a known range, if the readings begin at 0: the smallest round number above
/// the highest reading, or else the highest reading plus the resolution.
fn estimated(v: &[f64], lowest: f64, highest: f64) -> Option<f64> {
    let mut sorted = v.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let steps = sorted.windows(2).map(|w| w[1] - w[0]).filter(|d| *d > 1e-9 * highest);
    let resolution = steps.fold(f64::INFINITY, f64::min);
    if lowest < 0.0 || lowest > 0.01 * highest || resolution > 0.01 * highest {
        return None;
    }
    let end = highest + resolution;
    let digit = 10_f64.powi(end.log10().floor() as i32 - 1);
    let round = (end / digit - 1e-9).ceil() * digit;
    Some(if round <= 1.002 * end { round } else { end })
}

/// Returns the possible ranges of a counter with these readings, in ascending order. If the range is a power of ten or
/// of two, the counter has reached at least 1 / `most` of the range. A binary counter may also be signed, or scaled by
/// a power of ten.
pub(super) fn ranges(value: &[f64], most: f64) -> Vec<f64> {
    let (lowest, highest) = value.iter().fold((0.0_f64, 0.0_f64), |(a, b), v| (a.min(*v), b.max(*v)));
    let near = |end: f64, reached: f64| end > reached && end <= most * reached;
    if lowest < 0.0 {
        let signed = [16, 32].map(|n| 2_f64.powi(n));
        return signed.into_iter().filter(|p| near(0.5 * p, highest) && near(0.5 * p + 0.5, -lowest)).collect();
    }
    let decimal = (1..16).map(|n| 10_f64.powi(n));
    let binary =
        [12, 14, 15, 16, 24, 31, 32].into_iter().flat_map(|n| [1.0, 10.0, 100.0, 1_000.0].map(|d| 2_f64.powi(n) / d));
    let mut ends: Vec<f64> = decimal.chain(binary).filter(|p| near(*p, highest)).collect();
    ends.sort_unstable_by(f64::total_cmp);
    ends
}

/// Returns true if the counter also runs backwards: at least 2 % of the changes are falls that do not end near zero, as
/// a restart does, and most of these falls are small compared with the range of the readings, unlike restarts. `usual`
/// is the 99th percentile of the rises.
pub(super) fn is_net(v: &[f64], usual: f64) -> bool {
    let changes = v.windows(2).filter(|w| w[0] != w[1]).count();
    let restarts = |w: &&[f64]| (0.0..=usual).contains(&w[1]);
    let falls: Vec<f64> = v.windows(2).filter(|w| w[1] < w[0]).filter(|w| !restarts(w)).map(|w| w[0] - w[1]).collect();
    let (lowest, highest) = extremes(v);
    let [median, large] = quantiles(falls.iter().copied(), falls.len(), [0.5, 0.9]);
    let span = highest - lowest;
    falls.len() > 2 && 50 * falls.len() >= changes && median <= 0.25 * span && large <= 0.5 * span
}

#[cfg(test)]
#[path = "../../tests/unit/log/counter_range.rs"]
mod tests;
