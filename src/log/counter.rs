//! Converts the readings of a counter to increases, and recognises counters.

use std::sync::Arc;

use super::clock::typical_interval;
use super::detect::quantiles;
use super::occurrences::Occurrences;
use super::quality::{Finding, FindingAction, FindingClass};
use super::render::short;
use super::samples::Samples;
use super::text::rfc3339;

/// Minimum number of samples required to recognise a counter.
const MIN_SAMPLES: usize = 50;
/// If a counter falls to a reading of at most this many times the 99th percentile of the increases, this reading counts
/// as the increase since a reset (not tuned).
const PLAUSIBLE_INCREASES: f64 = 10.0;
/// A rise of a counter is rejected as implausible if the rise per sampling interval exceeds this many times the 99th
/// percentile of the increases (not tuned).
const MAX_RISE: f64 = 100.0;

/// The increases of a counter, and the peculiarities of its readings.
#[derive(Debug, Default)]
pub(super) struct Increases {
    pub samples: Samples,
    /// Readings of 0 between higher readings, which were not used.
    pub zeros: Occurrences,
    /// Restarts from 0.
    pub resets: Occurrences,
    /// Restarts from 0 after the counter has reached a power of ten or of two.
    pub rollovers: Occurrences,
    /// Falls of the reading that are neither resets nor rollovers, for example after the meter was replaced. The
    /// increase is unknown.
    pub falls: Occurrences,
    /// Implausible rises, for example because the meter was replaced or its unit changed. The increase is unknown.
    pub jumps: Occurrences,
    /// Unused increases between readings that are more than `max_gap` apart.
    pub gaps: LongIncreases,
}

/// Increases of a counter between readings that are far apart. The sum of the increases is known, but not their
/// distribution over the steps in between.
#[derive(Debug, Default)]
pub(super) struct LongIncreases {
    occurrences: Occurrences,
    total: f64,
    /// Times of the readings before and after the longest interval, and the increase between them.
    longest: Option<(i64, i64, f64)>,
}

impl LongIncreases {
    pub fn add(&mut self, from: i64, to: i64, increase: f64) {
        self.occurrences.merge(&Occurrences::between(1, from, to));
        self.total += increase;
        if self.longest.is_none_or(|l| to - from > l.1 - l.0) {
            self.longest = Some((from, to, increase));
        }
    }

    /// Returns the finding about increases over long gaps of a signal with the given unit. `help` names the setting
    /// that changes how the increases are treated.
    pub fn finding(&self, signal: &str, unit: &str, action: FindingAction, help: &str) -> Option<Finding> {
        let (from, to, increase) = self.longest?;
        let amount = |v: f64| format!("{} {unit}", short(v));
        let text = match self.occurrences.count {
            1 => format!("an increase of {} between {} and {}", amount(increase), rfc3339(from), rfc3339(to)),
            _ => format!(
                "increases of {} in total between readings that are far apart, the longest of them {} between {} and {}",
                amount(self.total),
                amount(increase),
                rfc3339(from),
                rfc3339(to)
            ),
        };
        self.occurrences.finding(signal, FindingClass::CounterGap, action, format!("{text}{help}"))
    }
}

/// Returns the increase between consecutive readings that are at most `max_gap` µs apart.
pub(super) fn increases(s: &Samples, max_gap: i64) -> Increases {
    let mut out = Increases::default();
    let kept: Vec<usize> = without_false_zeros(s, &mut out.zeros);
    let pairs = || kept.windows(2).map(|w| (w[0], w[1]));
    let rise = |(a, b): (usize, usize)| s.value[b] - s.value[a];
    let [usual] = quantiles(pairs().map(rise).filter(|d| *d > 0.0), kept.len(), [0.99]);
    let highest = s.value.iter().copied().fold(0.0, f64::max);
    let powers = (1..16).map(|n| 10_f64.powi(n)).chain([16, 24, 31, 32].map(|n| 2_f64.powi(n)));
    let ends: Vec<f64> = powers.filter(|p| *p > highest && *p <= 1.2 * highest).collect();
    let interval = typical_interval(&s.time).map_or(0, |i| i.0).max(1);
    let is_jump =
        |rise: f64, span: i64| usual > 0.0 && rise > MAX_RISE * usual * (span as f64 / interval as f64).max(1.0);
    let (mut time, mut value, mut length) = (Vec::new(), Vec::new(), Vec::new());
    for (a, b) in pairs() {
        let (last, next, at) = (s.value[a], s.value[b], s.time[b]);
        let plausible = |increase: f64| increase <= PLAUSIBLE_INCREASES * usual;
        let rolled = ends.iter().map(|end| next + end - last).find(|d| plausible(*d));
        let increase = match rolled {
            _ if next >= last && is_jump(next - last, at - s.time[a]) => {
                out.jumps.add(at);
                continue;
            }
            _ if next >= last => next - last,
            Some(increase) => {
                out.rollovers.add(at);
                increase
            }
            // After a reset within a gap, the increase before the reset is unknown.
            None if next >= 0.0 && plausible(next) && at - s.time[a] <= max_gap => {
                out.resets.add(at);
                next
            }
            None => {
                out.falls.add(at);
                continue;
            }
        };
        if at - s.time[a] > max_gap {
            out.gaps.add(s.time[a], at, increase);
            continue;
        }
        time.push(s.time[a]);
        value.push(increase);
        length.push(at - s.time[a]);
    }
    out.samples = Samples { time: Arc::new(time), value, length };
    out
}

/// Returns the indices of all readings except false zeros, after which the counter continues at or above its last
/// reading before the zeros.
fn without_false_zeros(s: &Samples, zeros: &mut Occurrences) -> Vec<usize> {
    let (mut kept, mut i) = (Vec::new(), 0);
    while i < s.value.len() {
        let last = kept.last().map_or(0.0, |k: &usize| s.value[*k]);
        if s.value[i] == 0.0 && last > 0.0 {
            let end = (i..s.value.len()).find(|j| s.value[*j] != 0.0).unwrap_or(s.value.len());
            if end < s.value.len() && s.value[end] >= last {
                (i..end).for_each(|j| zeros.add(s.time[j]));
                i = end;
                continue;
            }
        }
        kept.push(i);
        i += 1;
    }
    kept
}

/// Recognises a counter, whose readings never fall, except when they restart near zero.
#[derive(Debug, Default)]
pub(super) struct Rises {
    readings: usize,
    rises: usize,
    restarts: usize,
    highest: f64,
    last: Option<f64>,
    /// Whether a reading is negative or falls to a value that is not near zero.
    is_level: bool,
}

impl Rises {
    pub fn add(&mut self, value: f64) {
        self.readings += 1;
        self.is_level |= value < 0.0;
        self.highest = self.highest.max(value);
        match self.last.replace(value) {
            Some(last) if value > last => self.rises += 1,
            Some(last) if value < last => {
                self.restarts += 1;
                self.is_level |= value > 0.1 * self.highest;
            }
            _ => {}
        }
    }

    pub fn is_counter(&self) -> bool {
        let rises = 5 * self.rises >= self.readings && self.readings >= MIN_SAMPLES;
        // The level of a tank that is filled and emptied falls about as often as it rises.
        !self.is_level && rises && 10 * self.restarts <= self.rises
    }
}

/// Returns true if the samples look like readings of a counter.
pub(super) fn is_counter(s: &Samples) -> bool {
    let mut rises = Rises::default();
    s.value.iter().for_each(|v| rises.add(*v));
    rises.is_counter()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: i64 = 60_000_000;

    #[test]
    fn an_implausible_rise_is_not_an_increase() {
        // a meter is replaced by one with a higher reading, and a reading dips and recovers
        let mut value: Vec<f64> = (0..200).map(|i| 1_000.0 + 5.0 * f64::from(i)).collect();
        value[100..].iter_mut().for_each(|v| *v += 500_000.0);
        value[150] = 3.0;
        let found = increases(&readings(&value), i64::MAX);
        assert_eq!((found.jumps.count, found.resets.count), (2, 1));
        assert!(found.samples.value.iter().all(|v| *v <= 5.0), "{:?}", found.samples.value);
        // the rise over a long gap is accepted as an increase
        let mut gap =
            readings(&(0..200).map(|i| if i < 100 { f64::from(i) } else { f64::from(i + 500) }).collect::<Vec<_>>());
        gap.time = Arc::new((0..200).map(|i| if i < 100 { i * MIN } else { (i + 500) * MIN }).collect());
        assert_eq!(increases(&gap, i64::MAX).jumps.count, 0);
    }

    fn readings(value: &[f64]) -> Samples {
        let time = (0..value.len() as i64).map(|i| i * MIN).collect();
        Samples { time: Arc::new(time), value: value.to_vec(), length: Vec::new() }
    }

    #[test]
    fn increases_survive_zeros_resets_and_rollovers() {
        let found = |v: &[f64]| {
            let i = increases(&readings(v), 10 * MIN);
            (i.samples.value, [i.zeros.count, i.resets.count, i.rollovers.count, i.falls.count])
        };
        assert_eq!(found(&[10.0, 12.0, 0.0, 0.0, 16.0, 18.0]), (vec![2.0, 4.0, 2.0], [2, 0, 0, 0]));
        assert_eq!(found(&[10.0, 12.0, 1.0, 3.0, 5.0]), (vec![2.0, 1.0, 2.0, 2.0], [0, 1, 0, 0]));
        assert_eq!(found(&[9_990.0, 9_995.0, 2.0, 7.0]), (vec![5.0, 7.0, 5.0], [0, 0, 1, 0]));
        assert_eq!(found(&[500.0, 502.0, 300.0, 302.0]), (vec![2.0, 2.0], [0, 0, 0, 1]));
        let restart = Samples { time: Arc::new(vec![0, MIN, 100 * MIN]), ..readings(&[10.0, 12.0, 1.0]) };
        let found = increases(&restart, 10 * MIN);
        assert_eq!((found.samples.value, found.falls.count, found.gaps.longest), (vec![2.0], 1, None));
        let gap = Samples { time: Arc::new(vec![0, MIN, 100 * MIN]), ..readings(&[1.0, 2.0, 9.0]) };
        let found = increases(&gap, 10 * MIN);
        assert_eq!((found.samples.value, found.gaps.longest), (vec![1.0], Some((MIN, 100 * MIN, 7.0))));
    }

    #[test]
    fn counters_are_recognised_also_if_they_restart_every_day() {
        assert!(is_counter(&readings(&(0..200).map(f64::from).collect::<Vec<_>>())));
        assert!(is_counter(&readings(&(0..200).map(|i| f64::from(i % 24)).collect::<Vec<_>>())));
        assert!(!is_counter(&readings(&(0..200).map(|i| f64::from(i % 24 + 10)).collect::<Vec<_>>())));
        assert!(!is_counter(&readings(&(0..200).map(|i| f64::from(i % 4)).collect::<Vec<_>>())));
        assert!(!is_counter(&readings(&[3.0; 200])));
    }
}
