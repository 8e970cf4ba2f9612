//! Detects values that look wrong in a clean series of samples: flat lines, changes of unit, spikes, counters that
//! restart, and codes for missing values. Suspicious values are only reported, because the user must decide what to
//! repair.
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
    let stride = (len / MAX_VALUES).max(1);
    let mut v: Vec<f64> = value.step_by(stride).filter(|v| v.is_finite()).collect();
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

/// A unit conversion, `v' = gain * v + shift`.
#[derive(Debug, Clone, Copy)]
struct Conversion {
    gain: f64,
    shift: f64,
    /// Text that completes the message "some values seem to be …".
    name: &'static str,
}

/// Values are assumed to be wrong by a factor of 1000 if they are above 50 times or below 2 % of the typical magnitude.
const FAR_ABOVE: f64 = 50.0;
const FAR_BELOW: f64 = 0.02;
/// The unit of a temperature signal may change at a sample if the value changes by more than this many times the 99th
/// percentile of the step changes, and by at least 5 units.
const JUMP_MOVES: f64 = 6.0;
const MIN_JUMP: f64 = 5.0;
/// Maximum number of unit changes reported per signal.
const MAX_JUMPS: usize = 64;

const SCALES: [Conversion; 2] = [
    Conversion { gain: 1e3, shift: 0.0, name: "1000 times too large" },
    Conversion { gain: 1e-3, shift: 0.0, name: "1000 times too small" },
];

const TEMPERATURES: [Conversion; 4] = [
    Conversion { gain: 1.8, shift: 32.0, name: "in degF instead of degC" },
    Conversion { gain: 1.0 / 1.8, shift: -32.0 / 1.8, name: "in degC instead of degF" },
    Conversion { gain: 1.0, shift: 273.15, name: "in K instead of degC" },
    Conversion { gain: 1.0, shift: -273.15, name: "in degC instead of K" },
];

/// Finds ranges that seem to have been logged in another unit. Where the unit changes, the level jumps in a way that
/// the unit conversion explains. Values logged in another unit differ from the rest of the series, but have the
/// same level and variability once they are converted back.
pub(super) fn unit_jumps(s: &Samples, temperature: bool) -> Vec<(SampleRange, &'static str)> {
    let v = &s.value;
    let n = v.len();
    if n < 20 {
        return Vec::new();
    }
    let [_, move99] = quantiles(v.windows(2).map(|w| (w[1] - w[0]).abs()), n, [0.5, 0.99]);
    let [size40, size60] = quantiles(v.iter().map(|v| v.abs()), n, [0.4, 0.6]);
    let mut out: Vec<(SampleRange, &'static str)> = Vec::new();
    let mut i = 1;
    while i < n && out.len() < MAX_JUMPS {
        let other_scale = || if temperature { temperature_jump(v, i, move99) } else { None };
        match scale_jump(v, i, size40, size60).or_else(other_scale) {
            Some((to, c)) if is_converted(v, i, to, c) => {
                out.push((SampleRange { from: i, to }, c.name));
                i = to + 1;
            }
            _ => i += 1,
        }
    }
    out
}

/// Returns the end of a range that begins at sample `i` and whose values are wrong by a factor of 1000. `size40` and
/// `size60` are the 40 % and 60 % quantiles of the absolute values.
fn scale_jump(v: &[f64], i: usize, size40: f64, size60: f64) -> Option<(usize, Conversion)> {
    let (a, b) = (v[i - 1].abs(), v[i].abs());
    SCALES.iter().find_map(|c| {
        let large = c.gain > 1.0;
        let begins = if large {
            b > FAR_ABOVE * size60 && size60 > 0.0 && a < b / FAR_ABOVE
        } else {
            b < FAR_BELOW * size40 && a > FAR_ABOVE * b && size40 > 0.0
        };
        let beyond = |x: f64| if large { x.abs() > FAR_ABOVE * size60 } else { x.abs() < FAR_BELOW * size40 };
        let end = || (i..v.len()).find(|j| !beyond(v[*j])).unwrap_or(v.len());
        begins.then(|| (end(), *c))
    })
}

/// Returns the end of a range that begins at sample `i` and was logged on another temperature scale. `move99` is the
/// 99th percentile of the absolute step changes.
fn temperature_jump(v: &[f64], i: usize, move99: f64) -> Option<(usize, Conversion)> {
    let (a, b) = (v[i - 1], v[i]);
    let jump = (b - a).abs();
    if jump <= JUMP_MOVES * move99 || jump < MIN_JUMP {
        return None;
    }
    let fits = |from: f64, to: f64, c: &Conversion| {
        let moved = (c.gain * from + c.shift - from).abs();
        let slack = 2.5 * move99 * (1.0 + c.gain);
        (to - (c.gain * from + c.shift)).abs() <= slack.max(1e-3 * moved) && slack < 0.4 * moved
    };
    TEMPERATURES.iter().find_map(|c| {
        let back = Conversion { gain: 1.0 / c.gain, shift: -c.shift / c.gain, name: c.name };
        let end = || (i + 1..v.len()).find(|j| fits(v[*j - 1], v[*j], &back)).unwrap_or(v.len());
        fits(a, b, c).then(|| (end(), *c))
    })
}

/// Returns true if the samples `from..to` lie outside the range of the other samples but, after conversion, lie within
/// that range and vary by a similar amount.
fn is_converted(v: &[f64], from: usize, to: usize, c: Conversion) -> bool {
    let length = to - from;
    if length < 3 || v.len() - length < 10 {
        return false;
    }
    let rest = || v[..from].iter().chain(&v[to..]).copied();
    let [low, q01, q99, high] = quantiles(rest(), v.len() - length, [0.0, 0.01, 0.99, 1.0]);
    let [middle] = quantiles(v[from..to].iter().copied(), length, [0.5]);
    let back = (middle - c.shift) / c.gain;
    let margin = 0.1 * (high - low);
    if (q01..=q99).contains(&middle) || !(low - margin..=high + margin).contains(&back) {
        return false;
    }
    // A signal can also fall to a thousandth of its level because the plant shuts down, but a shutdown does not reduce
    // the noise by the same factor.
    let variability = |w: &[f64]| quantiles(w.windows(2).map(|w| (w[1] - w[0]).abs()), w.len(), [0.75])[0];
    let window = &v[from..to];
    if length < 6 {
        return c.gain >= 1.0;
    }
    let own = variability(window) / c.gain;
    let others = variability(&v[..from]).max(variability(&v[to..])).max(f64::MIN_POSITIVE);
    let ratio = own / others;
    (0.05..=20.0).contains(&ratio)
}

/// Finds single samples that lie far outside the range of the other samples and whose two neighbours agree.
pub(super) fn spikes(s: &Samples) -> Occurrences {
    let v = &s.value;
    let mut found = Occurrences::default();
    if v.len() < MIN_SAMPLES {
        return found;
    }
    let [low, high] = quantiles(v.iter().copied(), v.len(), [0.005, 0.995]);
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

/// Finds a code that loggers write for a missing value: one of several known numbers, if it lies far outside the range
/// of the other values.
pub(super) fn missing_value_codes(s: &Samples) -> Option<(f64, Occurrences)> {
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
    let v = &s.value;
    let suspects: Vec<f64> = CODES.iter().copied().filter(|c| v.contains(c)).collect();
    if suspects.is_empty() || v.len() < 20 {
        return None;
    }
    let rest = v.iter().copied().filter(|v| !suspects.contains(v));
    let [low, high] = quantiles(rest, v.len(), [0.01, 0.99]);
    let range = high - low;
    suspects.into_iter().find_map(|code| {
        let beyond = code < low - FAR_RANGES * range || code > high + FAR_RANGES * range;
        let mut found = Occurrences::default();
        v.iter().zip(s.time.iter()).filter(|(v, _)| **v == code).for_each(|(_, t)| found.add(*t));
        (beyond && range > 0.0 && 10 * found.count < 9 * v.len()).then_some((code, found))
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
    fn changes_of_unit_are_found() {
        for (f, name) in [
            ((|v| v * 1000.0) as fn(f64) -> f64, "1000 times too large"),
            (|v| v / 1000.0, "1000 times too small"),
            (|v| 1.8 * v + 32.0, "in degF instead of degC"),
            (|v| v + 273.15, "in K instead of degC"),
        ] {
            let s = series(2000, |i| if (700..800).contains(&i) { f(temperature(i)) } else { temperature(i) });
            let found = unit_jumps(&s, true);
            assert_eq!(found, [(SampleRange { from: 700, to: 800 }, name)]);
        }
        assert_eq!(unit_jumps(&series(2000, temperature), true), []);
        let stopped = |i: usize| if (700..800).contains(&i) { 0.0 } else { temperature(i) };
        assert_eq!(unit_jumps(&series(2000, stopped), true), []);
    }

    #[test]
    fn spikes_counter_restarts_and_codes_for_missing_values_are_found() {
        let s = series(500, |i| if i == 100 { 300.0 } else { temperature(i) });
        assert_eq!(spikes(&s).count, 1);
        let s = series(500, |i| ((i * 7) % 2400) as f64);
        assert_eq!(rollovers(&s).count, 1);
        let s = series(500, |i| if i % 50 == 3 { -9999.0 } else { temperature(i) });
        assert_eq!(missing_value_codes(&s).map(|(c, t)| (c, t.count)), Some((-9999.0, 10)));
    }
}
