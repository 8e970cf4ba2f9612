//! Detects values that look wrong in a clean series of samples: flat lines, spikes, counters that restart, and codes
//! for missing values. Suspicious values are only reported, because the user must decide what to repair.
//!
//! The thresholds of the detectors are not tuned. Tests that inject faults (`tests/internal/log`) check that each class
//! of fault is found in at least 95 % of the trials, and that clean logs produce at most one false finding per signal
//! and month.

use super::occurrences::Occurrences;
use super::samples::Samples;
use super::text::{duration, rfc3339};
use crate::stats::quantile_nearest;

/// A range of samples.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SampleRange {
    pub from: usize,
    /// Exclusive end.
    pub to: usize,
}

/// Minimum number of samples required to look for flat lines, spikes and counters that restart.
const MIN_SAMPLES: usize = 50;
/// A value is far from the other values if its distance from them is more than this many times their range.
const FAR_RANGES: f64 = 5.0;
/// If a series has at least twice this number of values, its quantiles are computed from every n-th value.
const MAX_VALUES: usize = 20_000;

/// Returns quantiles of `value`, computed as nearest order statistics without interpolation.
pub(super) fn quantiles<const N: usize>(value: impl Iterator<Item = f64>, len: usize, p: [f64; N]) -> [f64; N] {
    of_some(value.step_by((len / MAX_VALUES).max(1)), p)
}

/// Returns the quantiles of `value(0)`, …, `value(n - 1)`. If n is large, only evenly spaced values are computed and
/// used.
pub(super) fn quantiles_of<const N: usize>(value: impl Fn(usize) -> f64, n: usize, p: [f64; N]) -> [f64; N] {
    of_some((0..n).step_by((n / MAX_VALUES).max(1)).map(value), p)
}

fn of_some<const N: usize>(values: impl Iterator<Item = f64>, p: [f64; N]) -> [f64; N] {
    let mut v: Vec<f64> = values.filter(|v| v.is_finite()).collect();
    v.sort_unstable_by(f64::total_cmp);
    p.map(|p| quantile_nearest(&v, p))
}

/// Splits the samples into runs of exactly equal values. A run ends at any gap longer than `max_gap`.
pub(super) fn runs(s: &Samples, max_gap: i64) -> Vec<SampleRange> {
    let mut out = Vec::new();
    let mut from = 0;
    for i in 1..=s.value.len() {
        if i == s.value.len() || s.value[i] != s.value[from] || s.time[i] - s.time[i - 1] > max_gap {
            out.push(SampleRange { from, to: i });
            from = i;
        }
    }
    out
}

/// Finds flat lines in a signal that usually varies. A flat line is a run of equal values that is several times longer
/// than both the other long runs and the longest run expected by chance. A flat line must also be several times longer
/// than other runs of the same value, because the signal may saturate at that value.
///
/// If a fraction z of independent samples repeats the previous value, the longest run in n samples has an expected
/// length of about ln n / −ln z.
pub(super) fn flat_lines(s: &Samples) -> Vec<SampleRange> {
    /// Minimum length of a flat line, in samples.
    const MIN_RUN: usize = 12;
    /// A signal is considered to vary if at most this fraction of its samples repeats the previous value.
    const MAX_REPEATS: f64 = 0.9;
    let n = s.value.len();
    // A run of equal values continues across gaps in the log, because a stuck sensor remains stuck during a gap.
    let runs = runs(s, i64::MAX);
    let longest = runs.iter().map(|r| r.to - r.from).max().unwrap_or(0);
    if n < MIN_SAMPLES || longest < MIN_RUN {
        return Vec::new();
    }
    let mut lengths: Vec<usize> = runs.iter().map(|r| r.to - r.from).collect();
    lengths.sort_unstable_by(|a, b| b.cmp(a));
    // The lengths of the longest 1 % of the runs are capped, so that they do not raise the expected fraction of
    // repeats.
    let cap = lengths[lengths.len() / 100];
    let capped: usize = lengths.iter().map(|l| (*l).min(cap)).sum();
    let z = 1.0 - lengths.len() as f64 / capped as f64;
    if z > MAX_REPEATS {
        return Vec::new();
    }
    let by_chance = (n as f64).ln() / -z.max(1e-9).ln();
    let typical = lengths[(3 + lengths.len() / 500).min(lengths.len() - 1)];
    let min_length = (MIN_RUN as f64).max(3.0 * by_chance).max(4.0 * typical as f64);
    let mut out = Vec::new();
    for r in runs.iter().filter(|r| (r.to - r.from) as f64 >= min_length) {
        let value = s.value[r.from];
        let other = runs
            .iter()
            .filter(|o| o.from != r.from && s.value[o.from] == value)
            .map(|o| o.to - o.from)
            .max()
            .unwrap_or(0);
        if other < 3 || r.to - r.from >= 4 * other {
            out.push(r.clone());
        }
    }
    out
}

/// Finds single samples that lie far outside the range of the other samples and whose two neighbours agree. If spikes
/// are frequent, the outermost quantiles are spikes themselves, so a narrower range is used as well.
pub(super) fn spikes(s: &Samples) -> Occurrences {
    let rare = spikes_beyond(s, 0.005);
    let frequent = spikes_beyond(s, 0.03);
    if 250 * frequent.count >= s.value.len() && frequent.count > rare.count { frequent } else { rare }
}

/// Finds spikes far outside the range between the quantiles `p` and `1 - p`.
fn spikes_beyond(s: &Samples, p: f64) -> Occurrences {
    let v = &s.value;
    let mut found = Occurrences::default();
    if v.len() < MIN_SAMPLES {
        return found;
    }
    let [low, high] = quantiles_of(|i| v[i], v.len(), [p, 1.0 - p]);
    let range = high - low;
    for i in 1..v.len() - 1 {
        let off = (v[i] - 0.5 * (v[i - 1] + v[i + 1])).abs();
        if range > 0.0 && off > FAR_RANGES * range && (v[i + 1] - v[i - 1]).abs() <= range {
            found.add(s.time[i]);
        }
    }
    found
}

/// Finds restarts of a counter. A counter almost never falls, but a restart makes it fall to less than a tenth of its
/// highest value so far.
pub(super) fn rollovers(s: &Samples) -> Occurrences {
    let v = &s.value;
    let mut found = Occurrences::default();
    let (mut up, mut down) = (0_usize, 0_usize);
    for w in v.windows(2) {
        up += usize::from(w[1] > w[0]);
        down += usize::from(w[1] < w[0]);
    }
    if v.len() < MIN_SAMPLES || 2 * up < v.len() || 200 * down > v.len() {
        return found;
    }
    let mut highest = f64::NEG_INFINITY;
    for i in 1..v.len() {
        highest = highest.max(v[i - 1]);
        if v[i] < v[i - 1] && v[i] < 0.1 * highest && v[i - 1] > 0.5 * highest {
            found.add(s.time[i]);
        }
    }
    found
}

/// Numbers that loggers write for a missing value.
const CODES: [f64; 12] = [
    -9999.0,
    -999.0,
    -999.25,
    -99999.0,
    9999.0,
    99999.0,
    999999.0,
    -999999.0,
    32767.0,
    -32768.0,
    65535.0,
    2147483647.0,
];

/// Finds a code that loggers write for a missing value: one of several known numbers, if it lies far outside the range
/// of the other values or if there are no other values.
pub(super) fn missing_value_codes(s: &Samples) -> Option<(f64, Occurrences)> {
    let v = &s.value;
    let (min, max) = v.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
    let suspects: Vec<f64> = CODES.iter().copied().filter(|c| (min..=max).contains(c) && v.contains(c)).collect();
    if suspects.is_empty() || v.len() < 20 {
        return None;
    }
    let rest = v.iter().copied().filter(|v| !suspects.contains(v));
    let n = rest.clone().count();
    let [low, high] = quantiles(rest, n, [0.01, 0.99]);
    // If the other values are constant, their magnitude is used instead of their range.
    let range = if high > low { high - low } else { 0.01 * high.abs() };
    suspects.into_iter().find_map(|code| {
        let beyond = n == 0 || code < low - FAR_RANGES * range || code > high + FAR_RANGES * range;
        let mut found = Occurrences::default();
        v.iter().zip(s.time.iter()).filter(|(v, _)| **v == code).for_each(|(_, t)| found.add(*t));
        (beyond && (n == 0 || range > 0.0)).then_some((code, found))
    })
}

/// Returns a clause that describes the longest of `ranges`, for use in a message.
pub(super) fn longest(s: &Samples, ranges: &[SampleRange]) -> String {
    let length = |r: &SampleRange| s.time[r.to - 1] - s.time[r.from];
    ranges.iter().max_by_key(|r| length(r)).map_or(String::new(), |r| {
        format!(
            "the longest such period lasts {} from {}, with an initial value of {}",
            duration(length(r)),
            rfc3339(s.time[r.from]),
            s.value[r.from]
        )
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::rng::Key;

    fn series(n: usize, f: impl Fn(usize) -> f64) -> Samples {
        Samples {
            time: Arc::new((0..n).map(|i| i as i64 * 600_000_000).collect()),
            value: (0..n).map(f).collect(),
            length: Vec::new(),
        }
    }

    fn temperature(i: usize) -> f64 {
        22.0 + 3.0 * (i as f64 / 23.0).sin() + 0.2 * Key::new(1).normal(i as u64)
    }

    #[test]
    fn flat_lines_are_found_and_saturation_is_not() {
        let s = series(2000, |i| if (500..540).contains(&i) { 21.5 } else { temperature(i) });
        let found = flat_lines(&s);
        assert_eq!(found, [SampleRange { from: 500, to: 540 }]);
        let s = series(2000, |i| temperature(i).min(23.0));
        assert_eq!(flat_lines(&s), []);
        let s = series(2000, |i| (i / 100) as f64);
        assert_eq!(flat_lines(&s), []);
    }

    #[test]
    fn spikes_counter_restarts_and_codes_for_missing_values_are_found() {
        let s = series(500, |i| if i == 100 { 300.0 } else { temperature(i) });
        assert_eq!(spikes(&s).count, 1);
        let s = series(2_000, |i| if i % 80 == 3 { 300.0 } else { temperature(i) });
        assert_eq!(spikes(&s).count, 25);
        let s = series(500, |i| ((i * 7) % 2400) as f64);
        assert_eq!(rollovers(&s).count, 1);
        let s = series(500, |i| if i % 50 == 3 { -9999.0 } else { temperature(i) });
        assert_eq!(missing_value_codes(&s).map(|(c, t)| (c, t.count)), Some((-9999.0, 10)));
        // the code is in most rows, in all rows, or in a column that is otherwise constant
        for good in [|i: usize| i % 50 == 3, |_| false] {
            let s = series(500, |i| if good(i) { temperature(i) } else { -9999.0 });
            let n = (0..500).filter(|i| !good(*i)).count();
            assert_eq!(missing_value_codes(&s).map(|(c, t)| (c, t.count)), Some((-9999.0, n)));
        }
        let s = series(500, |i| if i < 480 { 32767.0 } else { 5.0 });
        assert_eq!(missing_value_codes(&s).map(|(c, t)| (c, t.count)), Some((32767.0, 480)));
        assert_eq!(missing_value_codes(&series(500, |i| 9_990.0 + (i % 20) as f64)), None);
    }
}
