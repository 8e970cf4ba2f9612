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
/// Maximum number of readings that are examined to recognise cumulative values (not tuned).
const MAX_READINGS: usize = 20_000;

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
    /// Decreases of a net meter, which also runs backwards. These decreases count as negative increases.
    pub decreases: Occurrences,
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
    let kept = without_false_zeros(s, &mut out.zeros);
    let rises = kept.windows(2).map(|w| s.value[w[1]] - s.value[w[0]]).filter(|d| *d > 0.0);
    let [usual] = quantiles(rises, kept.len(), [0.99]);
    let kept = without_freezes(s, &kept, usual);
    let pairs = || kept.windows(2).map(|w| (w[0], w[1]));
    let ends = ranges(&s.value, 1.2);
    let is_net = is_net(pairs().map(|(a, b)| (s.value[a], s.value[b])), usual);
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
            _ if is_net && last - next <= PLAUSIBLE_INCREASES * usual => {
                out.decreases.add(at);
                next - last
            }
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

/// Returns the possible ranges of a counter with these readings, in ascending order. If the range is a power of ten or
/// of two, the counter has reached at least 1 / `most` of the range. A binary counter may
/// also be signed, or scaled by a power of ten.
fn ranges(value: &[f64], most: f64) -> Vec<f64> {
    let (lowest, highest) = value.iter().fold((0.0_f64, 0.0_f64), |(a, b), v| (a.min(*v), b.max(*v)));
    let near = |end: f64, reached: f64| end > reached && end <= most * reached;
    if lowest < 0.0 {
        let signed = [16, 32].map(|n| 2_f64.powi(n));
        return signed.into_iter().filter(|p| near(0.5 * p, highest) && near(0.5 * p + 0.5, -lowest)).collect();
    }
    let decimal = (1..16).map(|n| 10_f64.powi(n));
    let binary = [15, 16, 24, 31, 32].into_iter().flat_map(|n| [1.0, 10.0, 100.0, 1_000.0].map(|d| 2_f64.powi(n) / d));
    let mut ends: Vec<f64> = decimal.chain(binary).filter(|p| near(*p, highest)).collect();
    ends.sort_unstable_by(f64::total_cmp);
    ends
}

/// Returns true if the counter also runs backwards: at least 2 % of the changes are falls that do not end near zero, as
/// a restart does, and most of these falls are about as large as the rises. `usual` is the 99th percentile of the
/// rises. The thresholds are not tuned.
fn is_net(pairs: impl Iterator<Item = (f64, f64)>, usual: f64) -> bool {
    let (mut changes, mut falls, mut small) = (0_usize, 0_usize, 0_usize);
    for (last, next) in pairs.filter(|(last, next)| last != next) {
        changes += 1;
        if next < last && !(0.0..=usual).contains(&next) {
            falls += 1;
            small += usize::from(last - next <= 3.0 * usual);
        }
    }
    50 * falls >= changes && 10 * small >= 9 * falls && falls > 2
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

/// Returns the readings `kept` except those that repeat an old reading, because the connection to the meter was lost:
/// at least four equal readings, followed by a rise of more than three usual increases, but not more than the usual
/// increase per reading (these thresholds are not tuned). `usual` is the 99th percentile of the rises.
fn without_freezes(s: &Samples, kept: &[usize], usual: f64) -> Vec<usize> {
    let mut out: Vec<usize> = Vec::with_capacity(kept.len());
    for &i in kept {
        if let Some(last) = out.last().map(|k| s.value[*k]) {
            let rise = s.value[i] - last;
            if rise > 3.0 * usual {
                let frozen = out.iter().rev().take_while(|k| s.value[**k] == last).count();
                if frozen >= 4 && rise <= usual * frozen as f64 {
                    out.truncate(out.len() + 1 - frozen);
                }
            }
        }
        out.push(i);
    }
    out
}

/// Recognises a counter, whose readings never fall, except when they restart near zero.
#[derive(Debug, Default)]
pub(super) struct Rises {
    readings: usize,
    rises: usize,
    restarts: usize,
    highest: f64,
    last: Option<f64>,
    /// The first readings, up to [`MAX_READINGS`].
    first: Vec<f64>,
    lowest: f64,
    /// Whether a reading falls to a value that is not near zero.
    is_level: bool,
}

impl Rises {
    pub fn of(s: &Samples) -> Self {
        let mut rises = Self::default();
        s.value.iter().for_each(|v| rises.add(*v));
        rises
    }

    pub fn add(&mut self, value: f64) {
        self.readings += 1;
        if self.first.len() < MAX_READINGS {
            self.first.push(value);
        }
        self.lowest = self.lowest.min(value);
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
        let is_signed = self.lowest < 0.0;
        let in_range = !is_signed || !ranges(&[self.lowest, self.highest], 1.2).is_empty();
        in_range && !self.is_level && rises && 10 * self.restarts <= self.rises || restarts_often(&self.first)
    }

    /// Returns true if the values seem to be readings of a net meter or a stored quantity, and not amounts per sample:
    /// they are large compared with their changes, are never 0, and drift slowly. The
    /// thresholds are not tuned.
    pub fn accumulates(&self) -> bool {
        /// Minimum range of the values, and minimum typical size, as multiples of the 90th percentile of their changes.
        const MIN_RANGE: f64 = 20.0;
        const MIN_SIZE: f64 = 30.0;
        /// Number of equal parts of the series, and minimum fraction of the variance that the differences between their
        /// means explain. The daily cycle of an amount has little effect on these means.
        const PARTS: usize = 5;
        const MIN_DRIFT: f64 = 0.7;
        let v = &self.first;
        if v.len() < 2 * MIN_SAMPLES || v.contains(&0.0) {
            return false;
        }
        let [change] = quantiles(v.windows(2).map(|w| (w[1] - w[0]).abs()), v.len(), [0.9]);
        let [low, size, high] = quantiles(v.iter().map(|v| v.abs()), v.len(), [0.01, 0.5, 0.99]);
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        let variance = |v: &[f64], centre: f64| v.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / v.len() as f64;
        let parts: Vec<f64> = v.chunks(v.len().div_ceil(PARTS)).map(mean).collect();
        let drift = variance(&parts, mean(&parts)) / variance(v, mean(v));
        change > 0.0 && high - low >= MIN_RANGE * change && size >= MIN_SIZE * change && drift >= MIN_DRIFT
    }
}

/// Returns true if the readings look like those of a counter that restarts every few readings, because its range is
/// small: modulo the range, all increases are much smaller than the range. If the values were amounts, their increases
/// modulo any range would be spread over the whole range. The thresholds are not tuned.
fn restarts_often(v: &[f64]) -> bool {
    let changes = v.windows(2).filter(|w| w[0] != w[1]).count();
    let falls = v.windows(2).filter(|w| w[1] < w[0]).count();
    if v.len() < MIN_SAMPLES || 30 * falls < changes || 20 * falls > 9 * changes {
        return false;
    }
    let is_range = |range: f64| {
        let increases = || v.windows(2).map(|w| (w[1] - w[0]).rem_euclid(range));
        let [usual, largest] = quantiles(increases(), v.len(), [0.5, 0.995]);
        usual > 0.0 && largest <= 0.75 * range && largest <= 5.0 * usual
    };
    ranges(v, 1.05).into_iter().any(is_range)
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

    fn is_counter_of(s: &Samples) -> bool {
        Rises::of(s).is_counter()
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
        assert!(is_counter_of(&readings(&(0..200).map(f64::from).collect::<Vec<_>>())));
        assert!(is_counter_of(&readings(&(0..200).map(|i| f64::from(i % 24)).collect::<Vec<_>>())));
        assert!(!is_counter_of(&readings(&(0..200).map(|i| f64::from(i % 24 + 10)).collect::<Vec<_>>())));
        assert!(!is_counter_of(&readings(&(0..200).map(|i| f64::from(i % 4)).collect::<Vec<_>>())));
        assert!(!is_counter_of(&readings(&[3.0; 200])));
    }

    fn load(i: usize) -> f64 {
        6.0 + 9.0 * (i as f64 / 96.0 * std::f64::consts::TAU).sin() + crate::rng::Key::new(2).normal(i as u64)
    }

    #[test]
    fn a_net_meter_runs_backwards() {
        let mut value = vec![50_000.0];
        (1..3_000).for_each(|i| value.push(value[i - 1] + load(i)));
        let found = increases(&readings(&value), i64::MAX);
        let falls = (1..3_000).filter(|i| load(*i) < 0.0).count();
        assert!(falls > 500);
        assert_eq!((found.decreases.count, found.falls.count, found.resets.count), (falls, 0, 0));
        assert!((found.samples.value.iter().sum::<f64>() - (value[2_999] - value[0])).abs() < 1e-6);
        let rises = Rises::of(&readings(&value));
        assert!(!rises.is_counter() && rises.accumulates());
        // amounts per sample, also with a daily cycle that has little noise
        for noise in [0.05, 1.0] {
            let amount =
                |i: usize| 40.0 + (load(i) - 6.0) * noise + 20.0 * (i as f64 / 96.0 * std::f64::consts::TAU).sin();
            assert!(!Rises::of(&readings(&(0..3_000).map(amount).collect::<Vec<_>>())).accumulates());
        }
    }

    #[test]
    fn counters_with_a_small_range_restart_every_few_readings() {
        let rise =
            |i: usize| 4_000.0 + 1_500.0 * (i as f64 / 40.0).sin() + 100.0 * crate::rng::Key::new(2).normal(i as u64);
        for (range, lowest) in [(32_768.0, 0.0), (65_536.0, 0.0), (65_536.0, -32_768.0), (10_000.0, 0.0), (655.36, 0.0)]
        {
            let scale = if range < 1_000.0 { 0.01 } else { range / 65_536.0 };
            let mut total = vec![0.0];
            (1..3_000).for_each(|i| total.push(total[i - 1] + (scale * rise(i) * 100.0).round() / 100.0));
            let wrapped: Vec<f64> = total.iter().map(|t| (t - lowest) % range + lowest).collect();
            assert!(Rises::of(&readings(&wrapped)).is_counter(), "{range}");
            let found = increases(&readings(&wrapped), i64::MAX);
            assert!((found.samples.value.iter().sum::<f64>() - total[2_999]).abs() < 1e-3, "{range}");
            assert!(found.rollovers.count > 100 && found.resets.count + found.falls.count == 0, "{range}");
            // random amounts in the same range
            let amount = |i: usize| lowest + range * 0.999 * crate::rng::Key::new(5).uniform(i as u64);
            assert!(!Rises::of(&readings(&(0..3_000).map(amount).collect::<Vec<_>>())).is_counter(), "{range}");
        }
    }

    #[test]
    fn the_increase_after_a_lost_connection_belongs_to_the_whole_time_without_new_readings() {
        let value = |i: i32| if (100..140).contains(&i) { 500.0 } else { 5.0 * f64::from(i) };
        let found = increases(&readings(&(0..300).map(value).collect::<Vec<_>>()), i64::MAX).samples;
        let long = found.length.iter().position(|length| *length == 40 * MIN).unwrap();
        assert_eq!((found.time[long], found.value[long]), (100 * MIN, 200.0));
        // a machine that is off
        let off = |i: i32| 5.0 * f64::from(if i < 100 { i } else { 100.max(i - 40) });
        let found = increases(&readings(&(0..300).map(off).collect::<Vec<_>>()), i64::MAX).samples;
        assert!(found.length.iter().all(|length| *length == MIN));
    }
}
