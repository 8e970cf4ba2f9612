//! Raw samples of one signal → clean samples, with an account of everything that was dropped or looks wrong.

use std::sync::Arc;

use super::Finding;
use super::clock;
use super::detect;
use super::finding::{Tally, duration};
use super::resample::Samples;
use super::scan::{ABSENT, NULL, Raw};
use super::segments::Episodes;
use crate::schema::Bounds;

/// No signal of a plant is larger than this; beyond it, sums of squares overflow.
const LARGEST: f64 = 1e30;

/// What is known of a signal before its samples are read.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub signal: String,
    /// Unit of the signal, for messages.
    pub unit: String,
    /// `value = gain * column + shift`; 1 and 0 leave every bit as it is.
    pub gain: f64,
    pub shift: f64,
    pub valid: Option<Bounds>,
    /// Longest time that the value may stay the same, µs.
    pub flat: Option<i64>,
    /// Stays the same by nature (controls, set-points).
    pub holds: bool,
    /// May be written in degC, degF or K.
    pub temperature: bool,
    /// Absolute zero in the signal's unit, for temperatures.
    pub absolute_zero: Option<f64>,
    /// Longer gaps split the log, µs.
    pub max_gap: i64,
    /// Times that belong to the log (µs), both ends included: what lies far beyond is a clock that was not set.
    pub window: (i64, i64),
}

/// A signal's clean samples.
#[derive(Debug, Default)]
pub(super) struct Cleaned {
    pub samples: Samples,
    pub read: usize,
    pub dropped: usize,
    pub findings: Vec<Finding>,
}

/// Converts, drops, sorts and examines.
pub(super) fn clean(raw: &Raw, rule: &Rule, episodes: Option<&Episodes>) -> Cleaned {
    let mut out = Cleaned { read: raw.value.len() + raw.flagged.count, ..Cleaned::default() };
    let name = rule.signal.as_str();
    let mut note = |f: Option<Finding>| out.findings.extend(f);
    note(raw.flagged.finding(name, "bad-flag", "dropped", "samples that the historian marked as not good"));

    let clock = clock::examine(&raw.time, &raw.value, &raw.breaks);
    note(clock.out_of_order.finding(name, "out-of-order", "sorted", "rows that come after a later one in their file"));
    note(clock.steps.finding(
        name,
        "clock-step",
        "kept",
        format!(
            "the clock of the log was set {}; set the logger to UTC, or give `log.timezone`",
            clock.notes.join(", ")
        ),
    ));

    let mut samples = take_usable(raw, rule, episodes, &mut note);
    sort(&mut samples);
    drop_duplicates(&mut samples, name, &mut note);
    flat(&mut samples, rule, &mut note);
    examine(&samples, rule, &mut note);
    out.dropped = out.read - samples.value.len();
    out.samples = samples;
    out
}

/// Samples that carry a possible value at a possible time.
fn take_usable(raw: &Raw, rule: &Rule, episodes: Option<&Episodes>, note: &mut impl FnMut(Option<Finding>)) -> Samples {
    let (mut null, mut not_finite, mut huge) = (Tally::default(), Tally::default(), Tally::default());
    let (mut range, mut stray, mut absent) = (Tally::default(), Tally::default(), 0_usize);
    let mut overlap = 0_usize;
    let mut lowest_out = f64::INFINITY;
    let mut highest_out = f64::NEG_INFINITY;
    let mut keep = vec![true; raw.value.len()];
    let mut value = raw.value.clone();
    let labels = raw.episode.as_deref().zip(episodes).filter(|(_, e)| e.overlap.count > 0);
    for (i, v) in value.iter_mut().enumerate() {
        let t = raw.time[i];
        let tally = if v.is_nan() {
            match v.to_bits() {
                b if b == NULL.to_bits() => &mut null,
                b if b == ABSENT.to_bits() => {
                    absent += 1;
                    keep[i] = false;
                    continue;
                }
                _ => &mut not_finite,
            }
        } else if v.is_infinite() {
            &mut not_finite
        } else if v.abs() > LARGEST {
            &mut huge
        } else if t < rule.window.0 || t > rule.window.1 {
            &mut stray
        } else if labels.is_some_and(|(l, e)| !e.holds(t, l[i])) {
            overlap += 1;
            keep[i] = false;
            continue;
        } else {
            if rule.gain != 1.0 || rule.shift != 0.0 {
                *v = rule.gain * *v + rule.shift;
            }
            if rule.valid.is_none_or(|r| r.contains(*v)) {
                continue;
            }
            lowest_out = lowest_out.min(*v);
            highest_out = highest_out.max(*v);
            &mut range
        };
        tally.add(t);
        keep[i] = false;
    }
    let name = rule.signal.as_str();
    note(null.finding(name, "missing", "dropped", "rows without a value"));
    note(not_finite.finding(name, "not-finite", "dropped", "values that are not a number or infinite"));
    note(huge.finding(name, "out-of-range", "dropped", "values beyond 1e30, which no plant has"));
    note(stray.finding(
        name,
        "stray-time",
        "dropped",
        "a few rows years away from all others; a clock that was not set",
    ));
    if let Some(valid) = rule.valid {
        note(range.finding(
            name,
            "out-of-range",
            "dropped",
            format!(
                "outside valid = [{}, {}] {}, between {lowest_out} and {highest_out}",
                valid.low, valid.high, rule.unit
            ),
        ));
    }
    if absent + overlap + null.count + not_finite.count + huge.count + stray.count + range.count == 0 {
        return Samples { time: Arc::clone(&raw.time), value };
    }
    let kept = |i: &usize| keep[*i];
    Samples {
        time: Arc::new((0..value.len()).filter(kept).map(|i| raw.time[i]).collect()),
        value: (0..value.len()).filter(kept).map(|i| value[i]).collect(),
    }
}

fn sort(s: &mut Samples) {
    if s.time.windows(2).all(|w| w[0] <= w[1]) {
        return;
    }
    let mut order: Vec<usize> = (0..s.time.len()).collect();
    // Stable: of equal times, the later row stays the later one.
    order.sort_by_key(|&i| s.time[i]);
    s.value = order.iter().map(|&i| s.value[i]).collect();
    s.time = Arc::new(order.iter().map(|&i| s.time[i]).collect());
}

fn drop_duplicates(s: &mut Samples, name: &str, note: &mut impl FnMut(Option<Finding>)) {
    if s.time.windows(2).all(|w| w[0] != w[1]) {
        return;
    }
    let (mut same, mut conflict) = (Tally::default(), Tally::default());
    let (mut time, mut value) = (Vec::with_capacity(s.time.len()), Vec::with_capacity(s.time.len()));
    for i in 0..s.time.len() {
        let (t, v) = (s.time[i], s.value[i]);
        if time.last() == Some(&t) {
            let before = value.last_mut();
            if before.as_deref() == Some(&v) {
                same.add(t)
            } else {
                conflict.add(t)
            }
            if let Some(b) = before {
                *b = v;
            }
        } else {
            time.push(t);
            value.push(v);
        }
    }
    *s = Samples { time: Arc::new(time), value };
    note(same.finding(name, "duplicate", "dropped", "rows that repeat a time stamp and its value"));
    note(conflict.finding(
        name,
        "duplicate-conflict",
        "dropped",
        "rows that repeat a time stamp with another value; the last one in the file was kept",
    ));
}

fn flat(s: &mut Samples, rule: &Rule, note: &mut impl FnMut(Option<Finding>)) {
    let name = rule.signal.as_str();
    let total = |s: &Samples, r: &[detect::Stretch], skip: usize| {
        let mut t = Tally::default();
        for r in r {
            t.merge(&Tally::span(r.to - r.from - skip, s.time[r.from + skip], s.time[r.to - 1]));
        }
        t
    };
    if let Some(limit) = rule.flat {
        let stuck: Vec<_> = detect::runs(s, limit.max(rule.max_gap))
            .into_iter()
            .filter(|r| s.time[r.to - 1] - s.time[r.from] > limit)
            .collect();
        if stuck.is_empty() {
            return;
        }
        note(total(s, &stuck, 1).finding(
            name,
            "flat-line",
            "dropped",
            format!(
                "stays the same for longer than flat = {}; {}; the first sample of each was kept",
                duration(limit),
                detect::longest(s, &stuck)
            ),
        ));
        let mut keep = vec![true; s.value.len()];
        stuck.iter().for_each(|r| keep[r.from + 1..r.to].fill(false));
        let kept = |i: &usize| keep[*i];
        *s = Samples {
            time: Arc::new((0..keep.len()).filter(kept).map(|i| s.time[i]).collect()),
            value: (0..keep.len()).filter(kept).map(|i| s.value[i]).collect(),
        };
    } else if !rule.holds {
        let stuck = detect::flat_lines(s);
        note(total(s, &stuck, 0).finding(
            name,
            "flat-line",
            "kept",
            format!(
                "normally moves, but stays exactly the same; {}; if the sensor was stuck, write `flat` for it",
                detect::longest(s, &stuck)
            ),
        ));
    }
}

/// What looks wrong, but is the user's to judge.
fn examine(s: &Samples, rule: &Rule, note: &mut impl FnMut(Option<Finding>)) {
    let name = rule.signal.as_str();
    let (Some(first), Some(last)) = (s.time.first(), s.time.last()) else { return };
    if s.value.len() > 1 && !rule.holds && s.value.windows(2).all(|w| w[0] == w[1]) {
        note(Tally::span(s.value.len(), *first, *last).finding(
            name,
            "constant",
            "kept",
            format!("never changes: it is always {}", s.value[0]),
        ));
        return;
    }
    let jumps = detect::unit_jumps(s, rule.temperature);
    let mut kinds: Vec<&str> = jumps.iter().map(|j| j.1).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        let mut t = Tally::default();
        let stretches: Vec<_> = jumps.iter().filter(|j| j.1 == kind).map(|j| j.0.clone()).collect();
        stretches.iter().for_each(|r| t.merge(&Tally::span(r.to - r.from, s.time[r.from], s.time[r.to - 1])));
        note(t.finding(
            name,
            "unit-jump",
            "kept",
            format!(
                "a stretch looks as if written {kind}; {}; mend the export, or write `valid` so that it is dropped",
                detect::longest(s, &stretches)
            ),
        ));
    }
    if let Some((code, t)) = detect::codes(s) {
        note(t.finding(
            name,
            "out-of-range",
            "kept",
            format!("{code} looks like a code for a missing value; write `valid` so that it is dropped"),
        ));
    } else if jumps.is_empty() {
        note(detect::spikes(s).finding(
            name,
            "rate-of-change",
            "kept",
            "single samples far from all others; write `valid` if they cannot be true",
        ));
    }
    if let Some(zero) = rule.absolute_zero {
        let mut below = Tally::default();
        s.value.iter().zip(s.time.iter()).filter(|(v, _)| **v < zero).for_each(|(_, t)| below.add(*t));
        note(below.finding(
            name,
            "out-of-range",
            "kept",
            format!("below absolute zero, which is {zero:.2} {}; check the unit, or write `valid`", rule.unit),
        ));
    }
    note(detect::rollovers(s).finding(
        name,
        "rollover",
        "kept",
        "a counter that starts again; log its increase per step instead",
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> Rule {
        Rule {
            signal: "x".into(),
            unit: "1".into(),
            gain: 1.0,
            shift: 0.0,
            valid: None,
            flat: None,
            holds: false,
            temperature: false,
            absolute_zero: None,
            max_gap: 30_000_000,
            window: (i64::MIN, i64::MAX),
        }
    }

    fn raw(pairs: &[(i64, f64)]) -> Raw {
        Raw {
            time: Arc::new(pairs.iter().map(|p| p.0 * 1_000_000).collect()),
            value: pairs.iter().map(|p| p.1).collect(),
            breaks: Arc::new(vec![0]),
            ..Raw::default()
        }
    }

    fn count(c: &Cleaned, class: &str) -> usize {
        c.findings.iter().filter(|f| f.class == class).map(|f| f.count).sum()
    }

    #[test]
    fn faults_are_dropped_and_counted() {
        let r = raw(&[(0, 1.0), (1, f64::NAN), (2, NULL), (3, f64::INFINITY), (4, 1e308), (5, 99.0), (6, -0.0)]);
        let c = clean(&r, &Rule { valid: Some(Bounds { low: -1.0, high: 10.0 }), ..rule() }, None);
        assert_eq!(c.samples.value, [1.0, -0.0]);
        assert_eq!((c.read, c.dropped), (7, 5));
        assert_eq!([count(&c, "not-finite"), count(&c, "missing"), count(&c, "out-of-range")], [2, 1, 2]);
    }

    #[test]
    fn rows_are_sorted_and_repeats_dropped() {
        let r = raw(&[(3, 3.0), (1, 1.0), (2, 2.0), (2, 2.0), (1, 7.0)]);
        let c = clean(&r, &rule(), None);
        assert_eq!(c.samples.value, [7.0, 2.0, 3.0]);
        assert_eq!([count(&c, "duplicate"), count(&c, "duplicate-conflict")], [1, 1]);
        assert!(count(&c, "out-of-order") > 0);
    }

    #[test]
    fn units_are_converted_before_limits() {
        let r = raw(&[(0, 212.0), (1, 32.0)]);
        let to_celsius =
            Rule { gain: 1.0 / 1.8, shift: -32.0 / 1.8, valid: Some(Bounds { low: -50.0, high: 101.0 }), ..rule() };
        let c = clean(&r, &to_celsius, None);
        assert!((c.samples.value[0] - 100.0).abs() < 1e-12 && c.samples.value[1].abs() < 1e-12);
    }

    #[test]
    fn a_stuck_sensor_keeps_its_first_sample() {
        let mut pairs: Vec<_> = (0..40).map(|i| (i, i as f64)).collect();
        pairs[10..30].iter_mut().for_each(|p| p.1 = 10.0);
        let c = clean(&raw(&pairs), &Rule { flat: Some(5_000_000), ..rule() }, None);
        assert_eq!((c.samples.value.len(), count(&c, "flat-line")), (21, 19));
    }
}
