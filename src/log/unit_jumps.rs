//! Finds ranges of samples that seem to have been logged in another unit.
//!
//! When the unit changes, the level jumps by an amount that the unit conversion explains. The values in the other unit
//! differ from the rest of the series, but have the same level and variability once they are converted back. The
//! thresholds are not tuned, but tests check that injected changes of unit are found in simulated logs, and that no
//! change of unit is found in real logs (`tests/internal/log`).

use std::borrow::Cow;
use std::ops::Range;

use super::detect::{SampleRange, quantiles, quantiles_of};
use super::render::short;
use super::samples::Samples;
use super::sign_flips::sign_flips;
use super::unit_part::other_part;
use crate::units::Unit;

/// A unit conversion, `v' = gain * v + shift`.
#[derive(Debug, Clone, PartialEq)]
struct Conversion {
    gain: f64,
    shift: f64,
    /// Text that completes the message "some values seem to be …".
    name: Cow<'static, str>,
    /// Whether the conversion explains only a single range. Equipment that is switched on and off has several.
    once: bool,
}

/// The conversions that may explain a change of unit of a signal.
#[derive(Debug, Clone, Default)]
pub(super) struct OtherUnits {
    /// Whether the signal is a temperature, which may have been logged in degC, degF or K.
    temperature: bool,
    factors: Vec<Conversion>,
}

/// Units that are confused with each other.
const ALIKE: [&[&str]; 12] = [
    &["W", "kW", "MW", "BTU/h", "RT", "hp"],
    &["Wh", "kWh", "MWh", "MJ", "GJ", "BTU"],
    &["bar", "psi", "kPa", "Pa", "mbar", "MPa", "inHg", "mmHg", "inH2O"],
    &["m^3/h", "L/s", "L/min", "gpm", "cfm", "m^3/s", "m^3/min"],
    &["kg/h", "kg/s", "kg/min", "t/h", "lb/h"],
    &["m/s", "km/h", "mph", "knot"],
    &["m", "mm", "cm", "ft", "in"],
    &["kg", "lb", "t", "g"],
    &["m^3", "L", "gal"],
    &["s", "min", "h"],
    &["Hz", "rpm"],
    &["%", "1"],
];
/// Number of `FACTORS` that are possible in any unit.
const ANY_UNIT: usize = 2;
/// Factors between units that are often confused. Those after the first [`ANY_UNIT`] apply only to signals whose unit
/// is in none of the groups of `ALIKE`.
const FACTORS: [(f64, &str); 8] = [
    (100.0, "a fraction and a percentage, or EUR and cents"),
    (60.0, "hours and minutes, or a rate per minute and per hour"),
    (3.6, "kWh and MJ, or m/s and km/h"),
    (14.503_774, "bar and psi"),
    (6.894_757, "psi and kPa"),
    (4.402_868, "m^3/h and gpm"),
    (3.785_412, "gal and L"),
    (3.412_142, "W and BTU/h"),
];
/// Smaller factors cannot be distinguished from a change of the operating point.
const MIN_FACTOR: f64 = 1.8;

impl OtherUnits {
    /// Creates the conversions between `unit` and the units with which it may be confused.
    pub fn new(unit: &Unit) -> Self {
        if unit.dimension == [0, 0, 0, 1, 0, 0, 0, 0] {
            return Self { temperature: true, factors: Vec::new() };
        }
        let others = ALIKE.iter().copied().flatten().filter_map(|text| Unit::parse(text).ok());
        let alike: Vec<(f64, String)> = others
            .filter(|u| u.dimension == unit.dimension && unit.text != "1")
            .map(|u| (unit.scale / u.scale, u.text))
            .collect();
        let conversion = |gain: f64, name: String| Conversion { gain, shift: 0.0, name: name.into(), once: false };
        let by = |gain: f64| {
            let (factor, way) = if gain > 1.0 { (gain, "large") } else { (1.0 / gain, "small") };
            format!("about {} times too {way}", short(factor))
        };
        let mut factors: Vec<Conversion> =
            alike.iter().map(|(gain, text)| conversion(*gain, format!("in {text} instead of {}", unit.text))).collect();
        factors.extend(alike.iter().map(|(gain, text)| {
            conversion(1.0 / gain, format!("{}, as if all others were in {text}", by(1.0 / gain)))
        }));
        // a wrong interval or a lost decimal point changes a value in any unit
        let pairs = if alike.is_empty() { &FACTORS[..] } else { &FACTORS[..ANY_UNIT] };
        let both = pairs.iter().flat_map(|(gain, pair)| [(*gain, pair), (1.0 / gain, pair)]);
        factors.extend(both.map(|(gain, pair)| Conversion {
            once: !alike.is_empty(),
            ..conversion(gain, format!("{}, like the factor between {pair}", by(gain)))
        }));
        factors.retain(|c| c.gain.ln().abs() >= MIN_FACTOR.ln());
        Self { temperature: false, factors }
    }
}

/// Values are assumed to be wrong by a factor of 1000 if they are more than 50 times or less than 0.02 times the
/// typical magnitude.
const FAR_ABOVE: f64 = 50.0;
const FAR_BELOW: f64 = 0.02;
/// The unit of a temperature signal may change at a sample if the value changes by more than this many times the 99th
/// percentile of the step changes, and by at least 5 units.
const JUMP_MOVES: f64 = 6.0;
const MIN_JUMP: f64 = 5.0;
/// Maximum number of unit changes reported per signal.
const MAX_JUMPS: usize = 64;
/// Maximum number of ranges that are examined per signal (not tuned). Equipment that is switched on and off has many
/// ranges of low values, and none of them is in another unit.
const MAX_ATTEMPTS: usize = 500;

static SCALES: [Conversion; 2] = [
    Conversion { gain: 1e3, shift: 0.0, name: Cow::Borrowed("1000 times too large"), once: false },
    Conversion { gain: 1e-3, shift: 0.0, name: Cow::Borrowed("1000 times too small"), once: false },
];

static TEMPERATURES: [Conversion; 4] = [
    Conversion { gain: 1.8, shift: 32.0, name: Cow::Borrowed("in degF instead of degC"), once: false },
    Conversion { gain: 1.0 / 1.8, shift: -32.0 / 1.8, name: Cow::Borrowed("in degC instead of degF"), once: false },
    Conversion { gain: 1.0, shift: 273.15, name: Cow::Borrowed("in K instead of degC"), once: false },
    Conversion { gain: 1.0, shift: -273.15, name: Cow::Borrowed("in degC instead of K"), once: false },
];

/// Finds ranges that seem to have been logged in another unit, with a text that completes the message "some values seem
/// to be …".
pub(super) fn unit_jumps<'a>(s: &Samples, units: &'a OtherUnits) -> Vec<(SampleRange, &'a str)> {
    let v = &s.value;
    let n = v.len();
    if n < 20 {
        return Vec::new();
    }
    // The number of moves that are used is determined by the number of samples.
    let move_at = |i: usize| if i + 1 < n { (v[i + 1] - v[i]).abs() } else { f64::NAN };
    let [move99] = quantiles_of(move_at, n, [0.99]);
    let [mut size40, mut size60] = quantiles_of(|i| v[i].abs(), n, [0.4, 0.6]);
    if size60 > FAR_ABOVE * size40 {
        // About half of the values are in another unit, so the typical magnitude is that of the first tenth.
        [size40, size60] = quantiles_of(|i| v[i].abs(), n / 10, [0.4, 0.6]);
    }
    let mut out: Vec<(SampleRange, &'a str)> = Vec::new();
    let (mut i, mut attempts) = (1, 0);
    while i < n && out.len() < MAX_JUMPS && attempts < MAX_ATTEMPTS {
        let other_scale = || if units.temperature { temperature_jump(v, i, move99) } else { None };
        match scale_jump(v, i, size40, size60).or_else(other_scale) {
            Some((to, c)) if is_converted(v, i, to, c) && !is_operating_level(v, i, to, c) => {
                out.push((SampleRange { from: i, to }, c.name.as_ref()));
                i = to + 1;
            }
            other => {
                attempts += usize::from(other.is_some());
                i += 1;
            }
        }
    }
    if out.is_empty() {
        out = factor_jumps(s, &units.factors);
    }
    if out.is_empty() {
        let factors = || units.factors.iter().chain(if units.temperature { &[][..] } else { &SCALES });
        let nearest =
            |size: f64| factors().min_by(|a, b| (a.gain.ln() - size).abs().total_cmp(&(b.gain.ln() - size).abs()));
        let found =
            other_part(s, |size, tolerance| nearest(size).is_some_and(|c| (c.gain.ln() - size).abs() <= tolerance));
        out.extend(found.and_then(|(range, size)| Some((range, nearest(size)?.name.as_ref()))));
    }
    if out.is_empty() {
        out.extend(sign_flips(v).into_iter().map(|range| (range, "of the opposite sign")));
    }
    out
}

/// Maximum number of ranges in another unit. If there are more such ranges, the plant probably changes its operating
/// point.
const MAX_RANGES: usize = 5;
/// A change of the logarithm from one sample to the next is large if it exceeds both this value and twice the usual
/// change.
const LARGE_MOVE: f64 = 0.4;
/// Two values belong to the same operating level if they differ by at most this factor (not tuned).
const LEVEL: f64 = 3.0;
/// Number of samples before and after a jump that determine its size.
const LOCAL: usize = 5;
/// Tolerance of the logarithm of a factor.
const TOLERANCE: f64 = 0.03;

/// Finds ranges of samples that differ from the other samples by one of `factors`. The search uses the logarithms of
/// the values, because a change of unit shifts them by a constant and does not affect their variability. The result is
/// empty if a large change of the values cannot be explained by a change of unit.
fn factor_jumps<'a>(s: &Samples, factors: &'a [Conversion]) -> Vec<(SampleRange, &'a str)> {
    let (mut last, mut largest) = (0.0, 1.0_f64);
    for v in s.value.iter().filter(|v| **v > 0.0) {
        let before = if last > 0.0 { last } else { *v };
        largest = largest.max(if *v > before { v / before } else { before / v });
        last = *v;
    }
    // The ratio is compared before the logarithms are computed, because most signals have no large change.
    if factors.is_empty() || largest < LARGE_MOVE.exp() - 1e-6 {
        return Vec::new();
    }
    let index: Vec<usize> = (0..s.value.len()).filter(|i| s.value[*i] > 0.0).collect();
    let x: Vec<f64> = index.iter().map(|i| s.value[*i].ln()).collect();
    let n = x.len();
    if n < 40 || 20 * n < 19 * s.value.len() {
        return Vec::new();
    }
    let moves = |range: Range<usize>| x[range].windows(2).map(|w| (w[1] - w[0]).abs());
    let [median, usual] = quantiles(moves(0..n), n, [0.5, 1.0 - (5.0 / n as f64).max(0.01)]);
    let large: Vec<usize> = (1..n).filter(|i| (x[*i] - x[i - 1]).abs() > LARGE_MOVE.max(2.0 * usual)).collect();
    // A value that is usually constant, such as a set-point, has no variability that could be compared.
    if median == 0.0 || large.is_empty() || large.len() > 4 * MAX_RANGES {
        return Vec::new();
    }
    let level = |range: Range<usize>| quantiles(x[range.clone()].iter().copied(), range.len(), [0.5])[0];
    // The size of the jump at sample `at`, less the drift before and after the jump; only the samples `from..to` are
    // used.
    let jump = |at: usize, from: usize, to: usize| {
        let size = level(at..to.min(at + LOCAL)) - level(from.max(at.saturating_sub(LOCAL))..at);
        if at < from + 2 * LOCAL || at + 2 * LOCAL > to {
            return size;
        }
        let drift = |at: usize| level(at..at + LOCAL) - level(at - LOCAL..at);
        size - 0.5 * (drift(at - LOCAL) + drift(at + LOCAL))
    };
    let tolerance = TOLERANCE.max(usual);
    let nearest = |size: f64| {
        let fits =
            factors.iter().filter(|c| (c.gain.ln() - size).abs() <= tolerance && c.gain.ln().abs() >= 3.0 * usual);
        fits.min_by(|a, b| (a.gain.ln() - size).abs().total_cmp(&(b.gain.ln() - size).abs()))
    };
    let mut found: Vec<(Range<usize>, &Conversion)> = Vec::new();
    let (mut k, mut from) = (0, 0);
    while k < large.len() {
        let at = large[k];
        let next = large.get(k + 1).copied();
        // one or two samples far from their neighbours
        if let Some(next) = next.filter(|next| next - at <= 2 && (x[*next] - x[at - 1]).abs() <= LARGE_MOVE) {
            (k, from) = (k + 2, next);
            continue;
        }
        let end = next.unwrap_or(n);
        let up = jump(at, from, end);
        let size = match next {
            Some(next) => {
                let down = jump(next, at, large.get(k + 2).copied().unwrap_or(n));
                if (up + down).abs() > 2.0 * tolerance {
                    return Vec::new();
                }
                0.5 * (up - down)
            }
            None => up,
        };
        // If the unit of a log changes only once, the shorter part is assumed to be in the other unit.
        let (range, size) = match next {
            None if n - at > at && found.is_empty() => (0..at, -size),
            _ => (at..end, size),
        };
        let Some(conversion) = nearest(size) else { return Vec::new() };
        found.push((range, conversion));
        (k, from) = (k + 2, end);
    }
    let inside = |i: usize| found.iter().any(|f| f.0.contains(&i));
    let rest: Vec<usize> = (0..n).filter(|i| !inside(*i)).collect();
    let repeated = found.len() > 1 && found.iter().any(|f| f.1.once);
    if found.len() > MAX_RANGES || repeated || rest.len() < 20 {
        return Vec::new();
    }
    let spread = |v: &mut dyn Iterator<Item = f64>, n: usize| quantiles(v, n, [0.01, 0.1, 0.5, 0.9, 0.99]);
    let [q01, q10, _, q90, q99] = spread(&mut rest.iter().map(|i| x[*i]), rest.len());
    let varies = |moves: &mut dyn Iterator<Item = f64>, n: usize| quantiles(moves, n, [0.75])[0];
    let consecutive = rest.windows(2).filter(|w| w[1] == w[0] + 1).map(|w| (x[w[1]] - x[w[0]]).abs());
    let variability = varies(&mut { consecutive }, rest.len());
    let is_converted = |(range, c): &(Range<usize>, &Conversion)| {
        let [_, low, middle, high, _] = spread(&mut x[range.clone()].iter().copied(), range.len());
        let margin = 0.1 * (q99 - q01) + TOLERANCE;
        let back = middle - c.gain.ln();
        let ratio = varies(&mut moves(range.clone()), range.len()) / variability;
        range.len() >= 6
            && !(q01..=q99).contains(&middle)
            && (q01 - margin..=q99 + margin).contains(&back)
            && high - low <= 3.0 * (q90 - q10) + 0.1
            && (0.3..=3.3).contains(&ratio)
    };
    if !found.iter().all(is_converted) {
        return Vec::new();
    }
    let range = |r: &Range<usize>| SampleRange { from: index[r.start], to: index[r.end - 1] + 1 };
    found.iter().map(|(r, c)| (range(r), c.name.as_ref())).collect()
}

/// Returns the end of a range that begins at sample `i` and whose values are wrong by a factor of 1000. `size40` and
/// `size60` are the 40 % and 60 % quantiles of the absolute values.
fn scale_jump(v: &[f64], i: usize, size40: f64, size60: f64) -> Option<(usize, &'static Conversion)> {
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
        begins.then(|| (end(), c))
    })
}

/// Returns true if the samples `from..to`, which are far above or below the others, are at an operating level of the
/// plant, such as that of a pump that is switched on: the plant returns to this level many times, or the jump to it
/// differs from the factor of `c`.
fn is_operating_level(v: &[f64], from: usize, to: usize, c: &Conversion) -> bool {
    if c.shift != 0.0 || c.gain <= 0.0 || (c.gain.ln()).abs() < 1.0 {
        return false;
    }
    let level = |range: Range<usize>| quantiles(v[range.clone()].iter().map(|v| v.abs()), range.len(), [0.5])[0];
    let own = level(from..to);
    let at_level = |v: &f64| (own / LEVEL..=own * LEVEL).contains(&v.abs());
    let visits = v.chunk_by(|a, b| at_level(a) == at_level(b)).filter(|part| at_level(&part[0])).count();
    let before = level(from.saturating_sub(LOCAL)..from);
    let size = (level(from..to.min(from + LOCAL)) / before).ln();
    let moves = v.windows(2).filter(|w| w[0] > 0.0 && w[1] > 0.0).map(|w| (w[1] / w[0]).ln().abs());
    let [usual] = quantiles(moves, v.len(), [0.95]);
    let differs = (size - c.gain.ln()).abs() > LEVEL.ln().max(3.0 * usual);
    visits > MAX_RANGES || size.is_finite() && usual.is_finite() && differs
}

/// Returns the end of a range that begins at sample `i` and was logged on another temperature scale. `move99` is the
/// 99th percentile of the absolute step changes.
fn temperature_jump(v: &[f64], i: usize, move99: f64) -> Option<(usize, &'static Conversion)> {
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
        let back = Conversion { gain: 1.0 / c.gain, shift: -c.shift / c.gain, name: Cow::Borrowed(""), once: false };
        let end = || (i + 1..v.len()).find(|j| fits(v[*j - 1], v[*j], &back)).unwrap_or(v.len());
        fits(a, b, c).then(|| (end(), c))
    })
}

/// Returns true if the samples `from..to` lie outside the range of the other samples but, after conversion, lie within
/// that range and vary by a similar amount.
fn is_converted(v: &[f64], from: usize, to: usize, c: &Conversion) -> bool {
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

#[cfg(test)]
#[path = "../../tests/unit/log/unit_jumps.rs"]
mod tests;
