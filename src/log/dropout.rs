//! Recognises dropouts, in which a logger writes one value far from all others, and sensors that are sampled more often
//! than they measure. The thresholds are not tuned.

use std::collections::BTreeSet;

use super::detect::quantiles;
use super::occurrences::Occurrences;
use super::samples::Samples;

/// Minimum number of samples, minimum number of samples with the dropout value, and minimum number of periods with the
/// dropout value.
const MIN_SAMPLES: usize = 50;
const MIN_DROPOUTS: usize = 3;
const MIN_PERIODS: usize = 2;
/// Minimum number of distinct values other than the dropout value. A signal with fewer distinct values than this
/// minimum is regarded as a mode or a count.
const MIN_DISTINCT: usize = 20;
/// Minimum distance of the dropout value from all other values, both as a multiple of the 99th percentile of their step
/// changes and as a fraction of their range.
const MIN_MOVES: f64 = 10.0;
const MIN_RANGE: f64 = 0.25;
/// If half of the periods at 0 are longer than this number of samples, the plant was probably off.
const LONG_PERIOD: usize = 20;

/// A value that a logger seems to write if a sensor cannot be read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dropout {
    pub value: f64,
    pub occurrences: Occurrences,
    /// Range of all values other than the dropout value.
    pub others: (f64, f64),
    /// The value half-way between the dropout value and the nearest other value.
    pub limit: f64,
}

/// Finds the smallest or largest value of a signal if it is far from all other values and occurs repeatedly.
pub(super) fn dropout(s: &Samples) -> Option<Dropout> {
    let range =
        |v: &mut dyn Iterator<Item = f64>| v.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    let (min, max) = range(&mut s.value.iter().copied());
    [min, max].into_iter().find_map(|value| {
        let (mut occurrences, mut periods, mut run) = (Occurrences::default(), Vec::new(), 0);
        for (v, t) in s.value.iter().zip(s.time.iter()) {
            if *v == value {
                occurrences.add(*t);
                run += 1;
            } else if run > 0 {
                periods.push(std::mem::take(&mut run));
            }
        }
        periods.extend((run > 0).then_some(run));
        let others = || s.value.iter().copied().filter(|v| *v != value);
        let n = s.value.len() - occurrences.count;
        if n < MIN_SAMPLES || occurrences.count < MIN_DROPOUTS || periods.len() < MIN_PERIODS {
            return None;
        }
        periods.sort_unstable();
        let off = value == 0.0 && periods[periods.len() / 2] > LONG_PERIOD;
        let distinct: BTreeSet<u64> = others().take(10_000).map(f64::to_bits).collect();
        let (low, high) = range(&mut others());
        let distance = if value < low { low - value } else { value - high };
        let moves = s.value.windows(2).filter(|w| w[0] != value && w[1] != value).map(|w| (w[1] - w[0]).abs());
        let [usual] = quantiles(moves, n, [0.99]);
        let is_far = distance >= MIN_MOVES * usual && distance >= MIN_RANGE * (high - low);
        let limit = if value < low { value + 0.5 * distance } else { value - 0.5 * distance };
        (is_far && !off && distinct.len() >= MIN_DISTINCT).then_some(Dropout {
            value,
            occurrences,
            others: (low, high),
            limit,
        })
    })
}

/// Values that sensors, drivers and loggers report if they cannot measure, such as 85 and -127 for the temperature
/// sensor DS18B20, and 3276.7 for values that are stored as signed 16-bit integers.
const CODES: [f64; 25] = [
    -1.0, 0.0, -9.0, -99.0, -127.0, -128.0, -273.0, -999.0, -9999.0, -32768.0, -3276.8, -327.68, 85.0, 99.0, 127.0,
    255.0, 327.67, 999.0, 3276.7, 6553.5, 9999.0, 32767.0, 65535.0, 655.35, 99999.0,
];

/// Finds a known code for a missing measurement that occurs repeatedly and is atypical of the signal, although it may
/// be closer to other values than [`dropout()`] requires.
pub(super) fn known_code(s: &Samples) -> Option<Dropout> {
    /// Minimum size that most jumps to the code and back must have, as a multiple of the 99th percentile of all other
    /// changes.
    const MIN_JUMPS: f64 = 3.0;
    CODES.into_iter().find_map(|code| {
        let mut occurrences = Occurrences::default();
        s.value.iter().zip(s.time.iter()).filter(|(v, _)| **v == code).for_each(|(_, t)| occurrences.add(*t));
        let n = s.value.len() - occurrences.count;
        if occurrences.count < MIN_DROPOUTS || n < MIN_SAMPLES || occurrences.count > n {
            return None;
        }
        let others = || s.value.iter().copied().filter(|v| *v != code);
        let distinct: BTreeSet<u64> = others().take(10_000).map(f64::to_bits).collect();
        let (low, high) = others().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        let pairs = |with: bool| {
            let of_code =
                move |w: &&[f64]| (w[0] == code) != (w[1] == code) && with || w[0] != code && w[1] != code && !with;
            s.value.windows(2).filter(of_code).map(|w| (w[1] - w[0]).abs())
        };
        let [usual] = quantiles(pairs(false), n, [0.99]);
        let (jumps, large) = (pairs(true).count(), pairs(true).filter(|d| *d > MIN_JUMPS * usual).count());
        let is_sudden = jumps >= 2 * MIN_PERIODS && 10 * large >= 6 * jumps && usual > 0.0;
        // the only negative value of a quantity that cannot be negative
        let is_negative = code < 0.0 && low >= 0.0;
        // A signal may rest at a value inside its range for a long time.
        let periods = s.value.windows(2).filter(|w| w[0] != code && w[1] == code).count();
        let is_rest = (low..=high).contains(&code) && occurrences.count > 3 * periods;
        // A plant that is switched off at times is off for more than one sample.
        let is_off = code == 0.0 && (2 * occurrences.count > 3 * periods || 20 * occurrences.count > n);
        let limit = if code < low { 0.5 * (code + low) } else { 0.5 * (code + high) };
        (distinct.len() >= MIN_DISTINCT && (is_sudden || is_negative) && !is_rest && !is_off).then_some(Dropout {
            value: code,
            occurrences,
            others: (low, high),
            limit,
        })
    })
}

/// If the value of a regular signal changes only every n-th sample, returns the interval (µs) between two changes, and
/// the fraction of samples that repeat the previous value.
pub(super) fn oversampled(s: &Samples) -> Option<(i64, f64)> {
    /// Maximum number of different values of a status.
    const MAX_STATES: usize = 3;
    /// Minimum number of changes.
    const MIN_CHANGES: usize = 20;
    /// Fraction of the changes that lie exactly n samples apart.
    const IN_PHASE: f64 = 0.95;
    let dt = s.interval()?;
    let start = *s.time.first()?;
    let position = |i: usize| usize::try_from((s.time[i] - start + dt / 2) / dt).unwrap_or(0);
    let changes: Vec<usize> = (1..s.value.len()).filter(|i| s.value[*i] != s.value[*i - 1]).map(position).collect();
    let n = changes.len();
    // a status or mode keeps its value for a while, although it is not sampled too often
    let distinct: std::collections::BTreeSet<u64> = s.value.iter().map(|v| v.to_bits()).take(10_000).collect();
    if distinct.len() <= MAX_STATES || n < MIN_CHANGES || s.value.len() < 2 * n {
        return None;
    }
    // The value changes at most once per interval, so the number of changes limits the number of samples in an
    // interval.
    let most = (2 * s.value.len() / n).min(1_000);
    let in_phase = |every: usize| {
        let mut count = vec![0_usize; every];
        changes.iter().for_each(|c| count[c % every] += 1);
        count.into_iter().max().unwrap_or(0) as f64 >= IN_PHASE * n as f64
    };
    let every = (2..=most).rev().find(|every| in_phase(*every))?;
    Some((every as i64 * dt, 1.0 - n as f64 / (s.value.len() - 1) as f64))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::rng::Key;

    fn series(n: usize, f: impl Fn(usize) -> f64) -> Samples {
        let time = (0..n as i64).map(|i| i * 60_000_000).collect();
        Samples { time: Arc::new(time), value: (0..n).map(f).collect(), length: Vec::new() }
    }

    #[test]
    fn a_status_is_not_oversampled() {
        assert_eq!(oversampled(&series(3000, |i| f64::from(u32::from((i / 50) % 3 == 0)))), None);
        assert!(oversampled(&series(3000, |i| level(i / 50 * 50))).is_some());
    }

    fn level(i: usize) -> f64 {
        60.0 + 5.0 * (i as f64 / 40.0).sin() + 0.1 * Key::new(5).normal(i as u64)
    }

    #[test]
    fn dropouts_of_several_samples_and_in_many_rows_are_found() {
        for value in [0.0, -9999.0, -999.0, 150.0] {
            for out in [|i: usize| i % 140 < 5, |i: usize| i % 10 < 3] {
                let s = series(1_500, |i| if i > 0 && out(i) { value } else { level(i) });
                let n = (1..1_500).filter(|i| out(*i)).count();
                let found = dropout(&s).unwrap();
                assert_eq!((found.value, found.occurrences.count), (value, n));
            }
        }
        assert_eq!(dropout(&series(1_500, level)), None);
        let off = series(1_500, |i| if i % 300 < 100 { 0.0 } else { level(i) });
        assert_eq!(dropout(&off), None);
        let sales = series(1_500, |i| (Key::new(6).uniform(i as u64) * 12.0 - 6.0).max(0.0).round());
        assert_eq!(dropout(&sales), None);
    }

    #[test]
    fn known_codes_are_found_close_to_and_among_other_values() {
        let out = |i: usize| i % 90 == 7;
        let power = |i: usize| 3.5 + 2.5 * (i as f64 / 40.0).sin() + 0.2 * Key::new(5).normal(i as u64);
        let temperature = |i: usize| 60.0 + 25.0 * (i as f64 / 40.0).sin() + 0.3 * Key::new(5).normal(i as u64);
        for (code, clean) in [(-1.0, &power as &dyn Fn(usize) -> f64), (85.0, &temperature), (-127.0, &temperature)] {
            assert_eq!(known_code(&series(1_500, clean)), None);
            let found = known_code(&series(1_500, |i| if out(i) { code } else { clean(i) })).unwrap();
            assert_eq!((found.value, found.occurrences.count), (code, (0..1_500).filter(|i| out(*i)).count()));
        }
        // a temperature that is sometimes -1, and a valve that often rests at 85 %
        let frost = |i: usize| (10.0 * power(i) - 35.0).round() / 10.0;
        assert_eq!(known_code(&series(1_500, frost)), None);
        let valve = |i: usize| if i % 60 < 20 { 85.0 } else { 50.0 + 10.0 * power(i) };
        assert_eq!(known_code(&series(1_500, valve)), None);
    }

    #[test]
    fn a_signal_that_changes_only_every_sixth_sample_is_found() {
        assert_eq!(oversampled(&series(1_200, |i| level(i / 6))).map(|o| o.0), Some(360_000_000));
        // The signal is also found if some consecutive measurements are equal.
        let coarse = series(1_200, |i| (10.0 * level(i / 6)).round());
        assert_eq!(oversampled(&coarse).map(|o| o.0), Some(360_000_000));
        assert_eq!(oversampled(&series(1_200, level)), None);
        let random = series(1_200, |i| (0..i).filter(|j| Key::new(7).uniform(*j as u64) < 0.2).count() as f64);
        assert_eq!(oversampled(&random), None);
    }
}
