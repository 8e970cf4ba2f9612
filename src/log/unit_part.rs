//! Finds a log whose second part seems to be in another unit than its first part, also if the values include zeros or
//! vary widely, such as the power of a machine that is switched on and off. The thresholds are not tuned.

use super::detect::{SampleRange, quantiles};
use super::samples::Samples;

/// Minimum number of values other than 0 in each part.
const MIN_VALUES: usize = 100;
/// Smaller factors cannot be distinguished from a change of the operating point.
const MIN_FACTOR: f64 = 10.0;
/// Tolerance of the logarithm of the factor, in the days before and after the change.
const TOLERANCE: f64 = 0.2;
/// The quantiles of the logarithms must all be shifted by the same amount, except for this difference.
const SAME_SHAPE: f64 = 0.5;
/// Minimum difference between the 10 % and 90 % quantiles of the logarithms, unless a part of the values is 0.
const MIN_SPREAD: f64 = 0.2;
/// Time (µs) before and after the change from which the factor is computed.
const LOCAL_US: i64 = 3 * 86_400_000_000;

/// Returns the samples of the shorter part, and the logarithm of the factor by which they are too large.
/// `is_factor` returns whether a logarithm is that of a usual factor between two units, within a tolerance.
pub(super) fn other_part(s: &Samples, is_factor: impl Fn(f64, f64) -> bool) -> Option<(SampleRange, f64)> {
    let index: Vec<usize> = (0..s.value.len()).filter(|i| s.value[*i] != 0.0).collect();
    let x: Vec<f64> = index.iter().map(|i| s.value[*i].abs().ln()).collect();
    if x.len() < 2 * MIN_VALUES {
        return None;
    }
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let (mut sum, mut most, mut at) = (0.0_f64, 0.0, 0);
    for (k, v) in x.iter().enumerate() {
        sum += v - mean;
        if sum.abs() > most {
            (most, at) = (sum.abs(), k + 1);
        }
    }
    if at < MIN_VALUES || x.len() - at < MIN_VALUES {
        return None;
    }
    let spread = |v: &[f64]| quantiles(v.iter().copied(), v.len(), [0.1, 0.25, 0.5, 0.75, 0.9]);
    let (before, after) = (spread(&x[..at]), spread(&x[at..]));
    let shifts = || after.iter().zip(&before).map(|(a, b)| a - b);
    let (least, largest) = shifts().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), d| (l.min(d), h.max(d)));
    // the share of zeros, which no factor changes
    let zeros = |from: usize, to: usize, values: usize| 1.0 - values as f64 / (to - from) as f64;
    let change = index[at];
    let (off, off_later) = (zeros(0, change, at), zeros(change, s.value.len(), x.len() - at));
    let switches = off.min(off_later) >= 0.05 && (off - off_later).abs() <= 0.3 * off.max(off_later);
    let varies = before[4] - before[0] >= MIN_SPREAD && after[4] - after[0] >= MIN_SPREAD;
    if largest - least > SAME_SHAPE || !(varies || switches) {
        return None;
    }
    let time = s.time[change];
    let near = |from: i64, to: i64| {
        let values: Vec<f64> =
            index.iter().zip(&x).filter(|(i, _)| (from..to).contains(&s.time[**i])).map(|v| *v.1).collect();
        quantiles(values.iter().copied(), values.len(), [0.5])[0]
    };
    let factor = near(time, time + LOCAL_US) - near(time - LOCAL_US, time);
    if !(factor.abs() >= MIN_FACTOR.ln() && is_factor(factor, TOLERANCE)) {
        return None;
    }
    Some(match 2 * change >= s.value.len() {
        true => (SampleRange { from: change, to: s.value.len() }, factor),
        false => (SampleRange { from: 0, to: change }, -factor),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::rng::Key;

    fn found(value: impl Fn(usize) -> f64) -> Option<(SampleRange, f64)> {
        let time = (0..4_000).map(|i| i * 900_000_000).collect();
        let s = Samples { time: Arc::new(time), value: (0..4_000).map(value).collect(), length: Vec::new() };
        other_part(&s, |size, tolerance| {
            [60.0_f64, 100.0, 1_000.0].iter().any(|f| (f.ln() - size.abs()).abs() <= tolerance)
        })
    }

    #[test]
    fn a_factor_is_found_although_values_are_zero_or_vary_widely() {
        let noise = |i: usize| Key::new(3).normal(i as u64);
        let machine = |i: usize| if (i / 9).is_multiple_of(3) { 0.0 } else { 20.0 + noise(i) };
        let sun = |i: usize| {
            (i as f64 / 96.0 * std::f64::consts::TAU).sin().max(0.0) * 50.0 * (0.7 + 0.1 * noise(i)).max(0.1)
        };
        for factor in [60.0, 100.0, 0.001] {
            for change in [2_300, 1_100] {
                let by = |i: usize| if i < change { 1.0 } else { factor };
                for range in [found(|i| by(i) * machine(i)), found(|i| by(i) * sun(i))] {
                    let (range, size) = range.unwrap();
                    let expected = if change < 2_000 { 0..change } else { change..4_000 };
                    assert!(range.from.abs_diff(expected.start) < 60 && range.to.abs_diff(expected.end) < 60);
                    assert!((size.abs() - f64::ln(factor).abs()).abs() < 0.2, "{size}");
                }
            }
        }
        assert!(found(machine).is_none() && found(sun).is_none());
        // standby for half of the log, which has another share of zeros and another noise
        assert!(found(|i| if i < 2_000 { 0.33 + 0.001 * noise(i) } else { machine(i) }).is_none());
    }
}
