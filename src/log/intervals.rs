//! Finds the times at which the interval between the amounts of a signal changes, for example from one hour to a
//! quarter of an hour. The thresholds are not tuned.

use super::detect::quantiles;
use super::samples::Samples;

/// Minimum number of consecutive equal intervals that show that the samples have this interval.
const MIN_RUN: usize = 12;
/// Minimum fraction of the samples that belong to runs of equal intervals.
const MIN_SHARE: f64 = 0.9;
/// Maximum number of samples and minimum time (µs) before and after a change whose values are compared. A whole day
/// contains the same hours of the day on both sides, for example for amounts that are 0 at night.
const COMPARED: usize = 500;
const DAY_US: i64 = 86_400_000_000;

/// A part of the samples with equal intervals. These are the intervals that begin at the samples `from..to`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Part {
    pub from: usize,
    pub to: usize,
    pub interval: i64,
}

/// The interval (µs) that each amount covers.
#[derive(Debug, PartialEq)]
pub(super) struct Intervals {
    pub length: Vec<i64>,
    /// Index of the first sample after each change.
    pub changes: Vec<usize>,
    /// The intervals before and after the first change.
    pub first: (i64, i64),
    /// Whether all amounts change in proportion to their intervals. Otherwise, samples are probably missing in the
    /// parts with longer intervals.
    pub proportional: bool,
}

/// If the sampling interval changes, returns the interval that each sample covers, which begins at the time of the
/// sample.
pub(super) fn intervals(s: &Samples) -> Option<Intervals> {
    let parts = parts(&s.time);
    let ends = || parts.windows(2).map(|w| (w[0], w[1]));
    let (before, after) = ends().next()?;
    let covered: usize = parts.iter().map(|p| p.to - p.from).sum();
    if (covered as f64) < MIN_SHARE * (s.time.len() - 1) as f64 {
        return None;
    }
    let proportional = ends().all(|(a, b)| {
        // The longest time, up to `COMPARED` samples, that both parts cover, in whole days if possible.
        let available = |p: Part| p.interval * (p.to - p.from).min(COMPARED) as i64;
        let shared = available(a).min(available(b));
        let shared = if shared > DAY_US { shared - shared % DAY_US } else { shared };
        let count = |p: Part| ((shared / p.interval) as usize).clamp(1, p.to - p.from);
        let ratio = middle(&s.value[b.from..b.from + count(b)]) / middle(&s.value[a.to - count(a)..a.to]);
        let expected = b.interval as f64 / a.interval as f64;
        ratio > 0.0 && (ratio.ln() - expected.ln()).abs() < ratio.ln().abs()
    });
    let mut length = vec![before.interval; s.time.len()];
    parts.iter().for_each(|part| length[part.from..].fill(part.interval));
    let changes = ends().map(|(_, b)| b.from).collect();
    Some(Intervals { length, changes, first: (before.interval, after.interval), proportional })
}

/// The median of the values or, if many of them are 0, the mean of those below the 99th percentile.
fn middle(value: &[f64]) -> f64 {
    let zeros = value.iter().filter(|v| **v == 0.0).count();
    let [median, most] = quantiles(value.iter().copied(), value.len(), [0.5, 0.99]);
    if 5 * zeros < value.len() {
        return median;
    }
    let usual = || value.iter().filter(|v| **v <= most);
    usual().sum::<f64>() / usual().count().max(1) as f64
}

/// Splits sorted times into parts whose intervals differ by a factor of at least 1.5.
pub(super) fn parts(time: &[i64]) -> Vec<Part> {
    let near = |a: i64, b: i64| 10 * (a - b).abs() <= a.min(b);
    let similar = |a: i64, b: i64| 2 * a.max(b) < 3 * a.min(b);
    let gap = |i: usize| time[i + 1] - time[i];
    let mut out: Vec<Part> = Vec::new();
    let mut from = 0;
    for i in 1..time.len() {
        if i + 1 < time.len() && near(gap(from), gap(i)) {
            continue;
        }
        if i - from >= MIN_RUN && gap(from) > 0 {
            match out.last_mut().filter(|p| similar(p.interval, gap(from))) {
                Some(last) => last.to = i,
                None => out.push(Part { from, to: i, interval: gap(from) }),
            }
        }
        from = i;
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const MIN: i64 = 60_000_000;

    /// 100 hours, in each of which the amount is 40, followed by 100 hours with a sample every quarter of an hour.
    fn samples(quarter: f64) -> Samples {
        let time = (0..100).map(|i| i * 60 * MIN).chain((0..400).map(|i| (6_000 + 15 * i) * MIN)).collect();
        let value = (0..100).map(|_| 40.0).chain((0..400).map(|_| quarter)).collect();
        Samples { time: Arc::new(time), value, length: Vec::new() }
    }

    #[test]
    fn amounts_that_shrink_with_their_interval_cover_their_own_interval() {
        let found = intervals(&samples(11.0)).unwrap();
        assert!(found.proportional);
        assert_eq!((found.changes, found.first), (vec![100], (60 * MIN, 15 * MIN)));
        assert!(found.length[..100].iter().all(|l| *l == 60 * MIN));
        assert!(found.length[100..].iter().all(|l| *l == 15 * MIN));
        // the amounts do not change, so three of four samples are missing in the first part
        assert!(!intervals(&samples(38.0)).unwrap().proportional);
    }

    #[test]
    fn amounts_that_are_zero_at_night_cover_their_own_interval() {
        let sun = |quarter: i64| {
            let height = ((quarter as f64 / 96.0 - 0.25) * std::f64::consts::TAU).sin().max(0.0);
            height * (0.6 + 0.4 * crate::rng::Key::new(1).uniform(quarter as u64))
        };
        for scale in [1.0, 4.0] {
            let hour = |h: i64| (4 * h..4 * h + 4).map(sun).sum::<f64>();
            let time = (0..480).map(|i| i * 60 * MIN).chain((0..1_920).map(|i| (28_800 + 15 * i) * MIN)).collect();
            let value = (0..480).map(hour).chain((1_920..3_840).map(|q| scale * sun(q))).collect();
            let found = intervals(&Samples { time: Arc::new(time), value, length: Vec::new() }).unwrap();
            assert_eq!((found.proportional, found.changes), (scale == 1.0, vec![480]));
        }
    }

    #[test]
    fn missing_samples_and_jitter_are_not_a_change() {
        let key = crate::rng::Key::new(4);
        let missing = (0..2_000).filter(|i| i % 97 > 6).map(|i| i * 15 * MIN).collect();
        let jitter = (0..2_000).map(|i| i * 15 * MIN + (60e6 * key.normal(i as u64)) as i64).collect();
        for time in [missing, jitter] {
            let value = vec![1.0; Vec::len(&time)];
            assert_eq!(intervals(&Samples { time: Arc::new(time), value, length: Vec::new() }), None);
        }
    }
}
