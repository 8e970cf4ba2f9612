//! Converts the readings of a counter to increases, and recognises counters.

use std::sync::Arc;

use super::clock::typical_interval;
use super::counter_range::{Cycle, is_net, ranges};
use super::counter_restarts::{MAX_ACROSS, PLAUSIBLE_INCREASES, Restarts};
use super::detect::quantiles;
use super::occurrences::Occurrences;
use super::quality::{Finding, FindingAction, FindingClass};
use super::render::short;
use super::samples::Samples;
use super::text::{percent, rfc3339};

/// Minimum number of samples required to recognise a counter.
const MIN_SAMPLES: usize = 50;
/// Minimum number of rises of a counter that rises rarely.
const MIN_RISES: usize = 50;
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
    /// Intervals in which the counter may have restarted more than once, so that the increase is unknown.
    pub ambiguous: Occurrences,
    /// Unused increases between readings that are more than `max_gap` apart.
    pub gaps: LongIncreases,
    /// The sum of all known increases, including the unused ones.
    pub total: f64,
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

    pub fn is_empty(&self) -> bool {
        self.occurrences.count == 0
    }

    /// Returns the finding about increases over long gaps of a signal with the given unit. `help` names the setting
    /// that changes how the increases are treated, and `total` is the sum of all increases.
    pub fn finding(&self, signal: &str, unit: &str, total: f64, action: FindingAction, help: &str) -> Option<Finding> {
        let (from, to, increase) = self.longest?;
        let amount = |v: f64| format!("{} {unit}", short(v));
        let share = match total.abs() > self.total.abs() {
            true => format!(" ({} of the increase over the whole log)", percent(self.total.abs() / total.abs())),
            false => String::new(),
        };
        let text = match self.occurrences.count {
            1 => format!("an increase of {}{share} between {} and {}", amount(increase), rfc3339(from), rfc3339(to)),
            _ => format!(
                "increases of {} in total{share} between readings that are far apart, the longest of them {} between {} and {}",
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
    let [mut usual] = quantiles(rises, kept.len(), [0.99]);
    let values = |kept: &[usize]| kept.iter().map(|i| s.value[*i]).collect::<Vec<f64>>();
    let is_net = is_net(&values(&kept), usual);
    if is_net {
        let changes = kept.windows(2).map(|w| (s.value[w[1]] - s.value[w[0]]).abs()).filter(|d| *d > 0.0);
        [usual] = quantiles(changes, kept.len(), [0.99]);
    }
    let kept = without_freezes(s, &kept, usual, is_net);
    let v = values(&kept);
    let interval = typical_interval(&s.time).map_or(0, |i| i.0).max(1);
    let mut time = Vec::new();
    let ends = ranges(&v, 1.2);
    let restarts = if is_net { Restarts::default() } else { Restarts::of(s, &kept, max_gap, usual, &ends) };
    let mut changes = Changes { s, usual, interval, max_gap, is_net, ends, restarts, out };
    let cycle = Cycle::of(&v);
    for w in kept.windows(2) {
        let (from, to) = (s.time[w[0]], s.time[w[1]]);
        let increase = match &cycle {
            Some(cycle) => changes.in_cycle(cycle, w[0], w[1]),
            None => changes.between(w[0], w[1]),
        };
        let Some(increase) = increase else { continue };
        changes.out.total += increase;
        if to - from > max_gap {
            changes.out.gaps.add(from, to, increase);
            continue;
        }
        changes.out.samples.value.push(increase);
        changes.out.samples.length.push(to - from);
        time.push(from);
    }
    let mut out = changes.out;
    out.samples.time = Arc::new(time);
    out
}

/// Computes the changes of a counter from pairs of readings.
struct Changes<'a> {
    s: &'a Samples,
    /// The 99th percentile of the rises or, for a net meter, of all changes.
    usual: f64,
    /// The usual interval (µs) between readings.
    interval: i64,
    max_gap: i64,
    is_net: bool,
    /// Possible ranges of the counter.
    ends: Vec<f64>,
    restarts: Restarts,
    out: Increases,
}

impl Changes<'_> {
    /// The number of usual intervals between the readings `a` and `b`, at least 1.
    fn intervals(&self, a: usize, b: usize) -> f64 {
        ((self.s.time[b] - self.s.time[a]) as f64 / self.interval as f64).max(1.0)
    }

    /// Returns the increase of a counter that restarts every few readings; `None` if it may have restarted more than
    /// once.
    fn in_cycle(&mut self, cycle: &Cycle, a: usize, b: usize) -> Option<f64> {
        let (difference, at) = (self.s.value[b] - self.s.value[a], self.s.time[b]);
        let intervals = self.intervals(a, b);
        let room = if cycle.runs_backwards() { 0.5 * cycle.range } else { cycle.range };
        if intervals > 1.5 && cycle.usual * intervals > room {
            self.out.ambiguous.add(at);
            return None;
        }
        let change = cycle.change(difference);
        if cycle.is_restart(difference) {
            self.out.rollovers.add(at);
        } else if change < 0.0 {
            self.out.decreases.add(at);
        }
        Some(change)
    }

    /// Returns the increase from reading `a` to reading `b`; `None` if it is unknown.
    fn between(&mut self, a: usize, b: usize) -> Option<f64> {
        let (last, next, at) = (self.s.value[a], self.s.value[b], self.s.time[b]);
        let intervals = self.intervals(a, b);
        let span = at - self.s.time[a];
        let (usual, restarts, out) = (self.usual, &self.restarts, &mut self.out);
        let is_gap = span > self.max_gap;
        if is_gap && (restarts.may_pass_range(usual * intervals) || restarts.may_be_reset(self.s.time[a], at)) {
            out.ambiguous.add(at);
            return None;
        }
        let is_jump = usual > 0.0 && next - last > MAX_RISE * usual * intervals;
        let most = MAX_ACROSS * usual * intervals;
        let ends = self.ends.iter().filter(|end| !is_gap || restarts.can_show(**end, most));
        let rolled = ends.map(|end| next + end - last).find(|d| *d <= most);
        if next >= last {
            if is_jump {
                out.jumps.add(at);
            }
            return (!is_jump).then_some(next - last);
        }
        if self.is_net && last - next <= PLAUSIBLE_INCREASES * usual * intervals {
            out.decreases.add(at);
            return Some(next - last);
        }
        if rolled.is_some() {
            out.rollovers.add(at);
            return rolled;
        }
        // After a reset within a gap, the increase before the reset is unknown.
        if next >= 0.0 && next <= PLAUSIBLE_INCREASES * usual && span <= self.max_gap {
            out.resets.add(at);
            return Some(next);
        }
        out.falls.add(at);
        None
    }
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
/// increase per reading (these thresholds are not tuned). `usual` is the 99th percentile of the rises. A net meter
/// may also fall.
fn without_freezes(s: &Samples, kept: &[usize], usual: f64, is_net: bool) -> Vec<usize> {
    let mut out: Vec<usize> = Vec::with_capacity(kept.len());
    for &i in kept {
        if let Some(last) = out.last().map(|k| s.value[*k]) {
            let rise = if is_net { (s.value[i] - last).abs() } else { s.value[i] - last };
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
        // the reading of a meter with a coarse resolution changes rarely, but never falls
        let never_falls = self.restarts == 0 && self.rises >= MIN_RISES;
        let rises = (5 * self.rises >= self.readings || never_falls) && self.readings >= MIN_SAMPLES;
        // The level of a tank that is filled and emptied falls about as often as it rises.
        let is_signed = self.lowest < 0.0;
        let in_range = !is_signed || !ranges(&[self.lowest, self.highest], 1.2).is_empty();
        in_range && !self.is_level && rises && 10 * self.restarts <= self.rises
            || Cycle::of(&self.first).is_some_and(|cycle| !cycle.runs_backwards())
    }

    /// Returns true if the values fall several times before they reach the end of a usual range of counters.
    pub fn restarts_early(&self) -> bool {
        self.restarts > 2 && Cycle::of(&self.first).is_none() && ranges(&[self.lowest, self.highest], 1.02).is_empty()
    }

    /// Returns true if consecutive changes resemble each other, as those of a stored quantity do. The changes of an
    /// amount per sample vary more, because they are the differences of a flow. The threshold is not tuned.
    pub fn is_integral(&self) -> bool {
        let changes: Vec<f64> = self.first.windows(2).map(|w| w[1] - w[0]).collect();
        let size = changes.iter().map(|d| d * d).sum::<f64>();
        let products = changes.windows(2).map(|w| w[0] * w[1]).sum::<f64>();
        changes.len() >= 2 * MIN_SAMPLES && products > 0.5 * size
    }

    /// Returns true if the values seem to be readings of a net meter or a stored quantity, and not amounts per sample:
    /// they are large compared with their changes, are never 0, and drift slowly. The thresholds are not tuned.
    pub fn accumulates(&self) -> bool {
        /// Minimum range of the values, and minimum typical size, as multiples of the 90th percentile of their changes.
        const MIN_RANGE: f64 = 20.0;
        const MIN_SIZE: f64 = 30.0;
        /// Number of equal parts of the series, and minimum fraction of the variance that the differences between their
        /// means explain. The daily cycle of an amount has little effect on these means.
        const PARTS: usize = 5;
        const MIN_DRIFT: f64 = 0.6;
        /// Minimum range and size if the values do not drift, but their changes persist.
        const MIN_SMOOTH: f64 = 100.0;
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
        let drifts = high - low >= MIN_RANGE * change && size >= MIN_SIZE * change && drift >= MIN_DRIFT;
        let is_smooth = self.is_integral() && (high - low).min(size) >= MIN_SMOOTH * change;
        change > 0.0 && (drifts || is_smooth)
    }
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
        // a coarse resolution, and amounts that are usually the same
        assert!(is_counter_of(&readings(&(0..2_000).map(|i| f64::from(i / 30)).collect::<Vec<_>>())));
        assert!(!is_counter_of(&readings(&(0..2_000).map(|i| f64::from(i / 30 % 7)).collect::<Vec<_>>())));
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
