//! Cleans the raw samples of one signal, and reports a finding for everything that was dropped or looks wrong.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::clock;
use super::column::ColumnMapping;
use super::counter::{Increases, Rises, increases};
use super::detect;
use super::dropout::{Dropout, dropout, known_code, oversampled};
use super::duplicates::drop_duplicates;
use super::episodes::Episodes;
use super::intervals::{Intervals, intervals};
use super::missing::{is_absent, is_null};
use super::occurrences::Occurrences;
use super::quality::{Finding, FindingAction, FindingClass};
use super::render::short;
use super::samples::Samples;
use super::scan::RawSamples;
use super::store::Kept;
use super::text::{duration, percent, rfc3339};
use super::unit_jumps::{OtherUnits, unit_jumps};
use crate::config::{Kind, TimeSpan};
use crate::schema::Role;

/// Values with a larger magnitude are dropped, because they are implausible for any plant and their products can
/// overflow (not tuned).
const MAX_VALUE: f64 = 1e30;

/// Properties of a signal that are known before its samples are read.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub signal: String,
    /// Unit of the signal, for messages.
    pub unit: String,
    pub mapping: ColumnMapping,
    /// Units in which a part of the values may have been logged.
    pub other_units: OtherUnits,
    /// Absolute zero in the unit of the signal, if that unit is degC or degF.
    pub absolute_zero: Option<f64>,
    /// Whether values in the unit of the signal are usually amounts per sample.
    pub amount: bool,
    pub role: Role,
    /// Size of a step (µs).
    pub step: i64,
    /// The time zone in which steps are built.
    pub zone: TimeZone,
    /// The longest gap (µs) that does not split the log.
    pub max_gap: i64,
    /// First and last plausible time (µs) of the log. Samples outside this window are attributed to a clock that was
    /// not set.
    pub window: (i64, i64),
}

impl Rule {
    /// Whether samples with equal time stamps are separate events.
    pub fn is_event(&self) -> bool {
        self.mapping.empty.is_some() && self.mapping.kind == Kind::Amount
    }
}

/// The clean samples of a signal, and what was found in them.
#[derive(Debug, Default)]
pub(super) struct Cleaned<S = Samples> {
    pub samples: S,
    pub read: usize,
    pub dropped: usize,
    /// Times of the rows whose value was not usable.
    pub lost: Vec<i64>,
    pub findings: Vec<Finding>,
}

impl Cleaned {
    /// Stores the samples, compressed if `pack` is true.
    pub fn stored(self, pack: bool) -> Cleaned<Kept> {
        let Self { samples, read, dropped, lost, findings } = self;
        Cleaned { samples: Kept::new(samples, pack), read, dropped, lost, findings }
    }
}

/// Drops unusable samples, converts and sorts the remaining samples, and looks for faults in them.
pub(super) fn clean(raw: &RawSamples, rule: &Rule, episodes: Option<&Episodes>) -> Cleaned {
    let all = raw.samples.samples();
    let mut out = Cleaned { read: all.value.len() + raw.flagged.count, ..Cleaned::default() };
    let name = rule.signal.as_str();
    let mut note = |f: Option<Finding>| out.findings.extend(f);
    note(raw.flagged.finding(
        name,
        FindingClass::BadFlag,
        FindingAction::Dropped,
        format!("samples whose quality flag is not good: {}", raw.bad_flags),
    ));

    let clock = clock::examine(&all.time, &all.value, &raw.breaks, &rule.zone);
    note(clock.out_of_order.finding(
        name,
        FindingClass::OutOfOrder,
        FindingAction::Sorted,
        "rows whose time is earlier than that of a preceding row in the same file",
    ));
    note(clock.steps.finding(
        name,
        FindingClass::ClockStep,
        FindingAction::Kept,
        format!("the logger clock was set {}; {}", clock.notes.join(", "), clock.help),
    ));

    let mut lost = raw.flagged_times.unpack();
    let mut samples = take_usable(&all, raw.episode.as_deref(), rule, episodes, &mut lost, &mut note);
    sort(&mut samples);
    let events = drop_duplicates(&mut samples, name, rule.is_event(), &mut note);
    flat(&mut samples, rule, &mut note);
    examine(&samples, rule, &mut note);
    let kept = samples.value.len() + events;
    match rule.mapping.kind {
        Kind::Counter => samples = count_increases(&samples, rule, &mut note),
        Kind::Amount if !rule.is_event() => {
            if let Some(found) = intervals(&samples) {
                note(interval_change(&samples, &found, rule));
                samples.length = if found.proportional { found.length } else { Vec::new() };
            }
            let longer = samples.interval().filter(|interval| *interval > rule.step && samples.length.is_empty());
            if let Some(interval) = longer {
                samples.length = vec![interval; samples.value.len()];
            }
        }
        _ => {}
    }
    out.lost = lost;
    out.dropped = out.read - kept;
    out.samples = samples;
    out
}

/// Numbers of unusable samples, by reason.
#[derive(Default)]
struct Unusable {
    null: Occurrences,
    not_finite: Occurrences,
    huge: Occurrences,
    outside_window: Occurrences,
    invalid: Occurrences,
    /// The smallest and the largest value outside `valid`.
    invalid_range: Option<(f64, f64)>,
}

impl Unusable {
    fn note(&self, rule: &Rule, note: &mut impl FnMut(Option<Finding>)) {
        let name = rule.signal.as_str();
        let mut dropped = |o: &Occurrences, class, text: String| {
            note(o.finding(name, class, FindingAction::Dropped, text));
        };
        dropped(&self.null, FindingClass::Missing, "rows without a value".into());
        dropped(&self.not_finite, FindingClass::NotFinite, "values that are not finite numbers".into());
        dropped(
            &self.huge,
            FindingClass::OutOfRange,
            format!("values with a magnitude above {MAX_VALUE:e}, which are implausible for any plant"),
        );
        dropped(
            &self.outside_window,
            FindingClass::StrayTime,
            "a few rows whose times are years away from all other times; the clock was probably not set".into(),
        );
        if let (Some(valid), Some((low, high))) = (rule.mapping.valid, self.invalid_range) {
            let text =
                format!("outside valid = [{}, {}] {}, between {low} and {high}", valid.low, valid.high, rule.unit);
            dropped(&self.invalid, FindingClass::OutOfRange, text);
        }
    }
}

/// Returns the samples whose value and time are usable, converted to the unit of the signal.
fn take_usable(
    all: &Samples,
    labels: Option<&Vec<u32>>,
    rule: &Rule,
    episodes: Option<&Episodes>,
    lost: &mut Vec<i64>,
    note: &mut impl FnMut(Option<Finding>),
) -> Samples {
    let mut unusable = Unusable::default();
    let mut keep = vec![true; all.value.len()];
    let mut value = all.value.clone();
    let labels = labels.zip(episodes).filter(|(_, e)| e.overlap.count > 0);
    for (i, v) in value.iter_mut().enumerate() {
        let t = all.time[i];
        let occurrences = if v.is_nan() {
            match *v {
                v if is_null(v) => Some(&mut unusable.null),
                v if is_absent(v) => None,
                _ => Some(&mut unusable.not_finite),
            }
        } else if v.is_infinite() {
            Some(&mut unusable.not_finite)
        } else if v.abs() > MAX_VALUE {
            Some(&mut unusable.huge)
        } else if t < rule.window.0 || t > rule.window.1 {
            Some(&mut unusable.outside_window)
        } else if labels.is_some_and(|(l, e)| !e.contains(t, l[i])) {
            None
        } else {
            *v = rule.mapping.to_signal(*v);
            if rule.mapping.is_valid(*v) {
                continue;
            }
            let (low, high) = unusable.invalid_range.unwrap_or((f64::INFINITY, f64::NEG_INFINITY));
            unusable.invalid_range = Some((low.min(*v), high.max(*v)));
            Some(&mut unusable.invalid)
        };
        keep[i] = false;
        if let Some(occurrences) = occurrences {
            occurrences.add(t);
            if !is_null(all.value[i]) {
                lost.push(t);
            }
        }
    }
    unusable.note(rule, note);
    let mut samples = Samples { time: Arc::clone(&all.time), value, length: Vec::new() };
    if keep.contains(&false) {
        samples.retain(&keep);
    }
    samples
}

fn sort(s: &mut Samples) {
    if s.time.windows(2).all(|w| w[0] <= w[1]) {
        return;
    }
    let mut order: Vec<usize> = (0..s.time.len()).collect();
    // The sort is stable, so rows with equal times keep their order.
    order.sort_by_key(|&i| s.time[i]);
    s.value = order.iter().map(|&i| s.value[i]).collect();
    s.time = Arc::new(order.iter().map(|&i| s.time[i]).collect());
}

/// Converts the readings of a counter to increases.
fn count_increases(s: &Samples, rule: &Rule, note: &mut impl FnMut(Option<Finding>)) -> Samples {
    // If the usual interval between readings is longer than `max_gap`, a gap is judged by that interval instead.
    let longest = rule.max_gap.max(s.interval().map_or(0, |interval| interval + interval / 2));
    let found = increases(s, longest);
    let Increases { samples, zeros, resets, rollovers, decreases, falls, jumps, ambiguous, gaps, total } = found;
    let help = format!(
        ", which is more than `max_gap` ({}); a longer `max_gap` with `partial = \"scale\"` spreads the increase evenly",
        duration(rule.max_gap)
    );
    note(gaps.finding(&rule.signal, &rule.unit, total, FindingAction::Dropped, &help));
    note(ambiguous.finding(
        &rule.signal,
        FindingClass::CounterGap,
        FindingAction::Dropped,
        "intervals without readings in which the counter may have restarted unnoticed, so the increase is unknown",
    ));
    let mut counter =
        |o: &Occurrences, action, text: &str| note(o.finding(&rule.signal, FindingClass::CounterRestart, action, text));
    counter(&zeros, FindingAction::Dropped, "readings of 0, after which the counter continued at its last reading");
    counter(
        &resets,
        FindingAction::Kept,
        "restarts of the counter from 0; the first reading after a restart counts as the increase",
    );
    counter(
        &rollovers,
        FindingAction::Kept,
        "restarts of the counter after its largest reading; the increase was computed across the restart",
    );
    counter(
        &decreases,
        FindingAction::Kept,
        "decreases of a meter that also runs backwards, such as a net meter; they count as negative increases",
    );
    note(falls.finding(
        &rule.signal,
        FindingClass::CounterJump,
        FindingAction::Dropped,
        "drops in the counter reading, for example because a meter was replaced; the true increase is unknown",
    ));
    note(jumps.finding(
        &rule.signal,
        FindingClass::CounterJump,
        FindingAction::Dropped,
        "implausible rises in the counter reading, whose true increase is unknown; check whether a meter was \
         replaced, a reading was wrong, or the unit of the readings changed",
    ));
    samples
}

/// Reports that the interval between the amounts of a signal changes.
fn interval_change(s: &Samples, found: &Intervals, rule: &Rule) -> Option<Finding> {
    let mut changes = Occurrences::default();
    found.changes.iter().for_each(|i| changes.add(s.time[*i]));
    let (before, after) = found.first;
    let at = found.changes.first().map_or(String::new(), |i| format!(" at {}", rfc3339(s.time[*i])));
    let used = match found.proportional {
        true => "each amount was assigned to its own interval",
        false => {
            "the amounts did not change accordingly, so some samples are probably missing in the part with the longer interval"
        }
    };
    let text = format!(
        "the interval between the amounts changes from {} to {}{at}; {used}; check the export",
        duration(before),
        duration(after)
    );
    changes.finding(&rule.signal, FindingClass::IntervalChange, FindingAction::Kept, text)
}

/// Drops the samples of a stuck sensor if `flat` is set. If `flat` is not set, suspicious flat lines are
/// reported but kept.
fn flat(s: &mut Samples, rule: &Rule, note: &mut impl FnMut(Option<Finding>)) {
    let name = rule.signal.as_str();
    let occurrences = |s: &Samples, runs: &[detect::SampleRange], skip: usize| {
        let mut all = Occurrences::default();
        for r in runs {
            all.merge(&Occurrences::between(r.to - r.from - skip, s.time[r.from + skip], s.time[r.to - 1]));
        }
        all
    };
    if let Some(limit) = rule.mapping.flat_us() {
        let stuck: Vec<_> = detect::runs(s, limit.max(rule.max_gap))
            .into_iter()
            .filter(|r| rule.mapping.is_stuck(s.time[r.to - 1] - s.time[r.from]))
            .collect();
        if stuck.is_empty() {
            return;
        }
        note(occurrences(s, &stuck, 1).finding(
            name,
            FindingClass::FlatLine,
            FindingAction::Dropped,
            format!(
                "stays the same for longer than flat = {}; {}; the first sample of each such period was kept",
                duration(limit),
                detect::longest(s, &stuck)
            ),
        ));
        let mut keep = vec![true; s.value.len()];
        stuck.iter().for_each(|r| keep[r.from + 1..r.to].fill(false));
        s.retain(&keep);
    } else if !rule.mapping.holds && rule.mapping.kind != Kind::Counter {
        let stuck = detect::flat_lines(s);
        note(occurrences(s, &stuck, 0).finding(
            name,
            FindingClass::FlatLine,
            FindingAction::Kept,
            format!(
                "the signal usually varies, but is sometimes constant; {}; if the sensor was stuck, set `flat` for the signal",
                detect::longest(s, &stuck)
            ),
        ));
    }
}

/// Reports values that seem wrong, but keeps them, because only the user can judge them.
fn examine(s: &Samples, rule: &Rule, note: &mut impl FnMut(Option<Finding>)) {
    let name = rule.signal.as_str();
    let mut kept = |o: Occurrences, class, text: String| note(o.finding(name, class, FindingAction::Kept, text));
    let (Some(first), Some(last)) = (s.time.first(), s.time.last()) else { return };
    let codes = detect::missing_value_codes(s);
    if let Some((code, all)) = codes.as_ref().filter(|c| c.1.count == s.value.len()) {
        let text = format!(
            "the value is always {code}, which looks like a code for a missing value; set `valid` so that it is dropped, or correct the column"
        );
        kept(*all, FindingClass::OutOfRange, text);
        return;
    }
    if s.value.len() > 1 && !rule.mapping.holds && s.value.windows(2).all(|w| w[0] == w[1]) {
        let all = Occurrences::between(s.value.len(), *first, *last);
        kept(all, FindingClass::Constant, format!("the value never changes; it is always {}", s.value[0]));
        return;
    }
    let jumps = unit_jumps(s, &rule.other_units);
    let mut kinds: Vec<&str> = jumps.iter().map(|j| j.1).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        let mut all = Occurrences::default();
        let ranges: Vec<_> = jumps.iter().filter(|j| j.1 == kind).map(|j| j.0.clone()).collect();
        for r in &ranges {
            all.merge(&Occurrences::between(r.to - r.from, s.time[r.from], s.time[r.to - 1]));
        }
        let longest = detect::longest(s, &ranges);
        kept(
            all,
            FindingClass::UnitJump,
            format!(
                "some values seem to be {kind}; {longest}; repair the export, or set `valid` so that they are dropped"
            ),
        );
    }
    if let Some((code, occurrences)) = codes {
        let text = format!("{code} looks like a code for a missing value; set `valid` so that it is dropped");
        kept(occurrences, FindingClass::OutOfRange, text);
    } else if let Some(out) = detect_dropout(s, rule) {
        let Dropout { value, occurrences, others: (low, high), limit } = out;
        let limit = short(limit);
        let (lowest, highest) = (short(low), short(high));
        let text = if (low..=high).contains(&value) {
            format!(
                "samples at exactly {value}, which are far from the samples before and after them and look like a code for a missing value; remove them from the export if the sensor was not read at these times"
            )
        } else {
            let valid = if value < low { format!("[{limit}, inf]") } else { format!("[-inf, {limit}]") };
            let off = if value == 0.0 { ", unless the plant was off" } else { "" };
            format!(
                "samples at exactly {value}, although all others lie between {lowest} and {highest}; if the sensor was not read at these times, write `valid = {valid}` so that they are dropped{off}"
            )
        };
        kept(occurrences, FindingClass::Dropout, text);
    } else if jumps.is_empty() {
        let text = "single samples far from all other samples; if such values are impossible, set `valid`".to_owned();
        kept(detect::spikes(s), FindingClass::RateOfChange, text);
    }
    if let Some((interval, repeats)) = detect_oversampled(s, rule) {
        let all = Occurrences::between(s.value.len(), *first, *last);
        let text = format!(
            "{} of the values repeat the previous one, because there is a new value only every {}; if the sensor measures at this interval, write `step = \"{}\"`",
            percent(repeats),
            duration(interval),
            TimeSpan::from_ms(interval / 1_000)
        );
        kept(all, FindingClass::Oversampled, text);
    }
    if let Some(zero) = rule.absolute_zero {
        let mut below = Occurrences::default();
        s.value.iter().zip(s.time.iter()).filter(|(v, _)| **v < zero).for_each(|(_, t)| below.add(*t));
        let text = format!("values below absolute zero ({zero:.2} {}); check the unit, or set `valid`", rule.unit);
        kept(below, FindingClass::OutOfRange, text);
    }
    if rule.mapping.kind == Kind::Counter {
        return;
    }
    let restarts = detect::rollovers(s);
    if restarts.count > 0 {
        kept(
            restarts,
            FindingClass::Rollover,
            "the signal seems to be a counter that restarts; if it is, write `kind = \"counter\"`".into(),
        );
        return;
    }
    if rule.mapping.holds || rule.mapping.kind_given && rule.mapping.kind != Kind::Amount {
        return;
    }
    let rises = Rises::of(s);
    let text = if !rule.mapping.kind_given && rises.is_counter() {
        "the signal only rises, except when it restarts; if it is the reading of a meter, write `kind = \"counter\"`"
    } else if rule.mapping.kind == Kind::Amount && rises.accumulates() {
        "the values are large compared with their changes and drift slowly, like the readings of a meter that also runs backwards or like a stored quantity, but they are added up as amounts per sample; write `kind = \"counter\"` for a meter, or `kind = \"level\"` for a stored quantity"
    } else {
        return;
    };
    kept(Occurrences::between(s.value.len(), *first, *last), FindingClass::Counter, text.into());
}

/// Looks for dropouts of a measured signal.
fn detect_dropout(s: &Samples, rule: &Rule) -> Option<Dropout> {
    dropout(s).or_else(|| known_code(s)).filter(|_| !rule.mapping.holds)
}

/// Looks for a measured state or output that is sampled more often than it changes. Disturbances such as prices may
/// change less often than once per step.
fn detect_oversampled(s: &Samples, rule: &Rule) -> Option<(i64, f64)> {
    let measured = match rule.mapping.kind {
        Kind::Level => matches!(rule.role, Role::State | Role::Output) && !rule.mapping.holds,
        // An amount that is repeated until the next one is known would be counted several times.
        Kind::Amount => !rule.is_event(),
        Kind::Counter | Kind::State => false,
    };
    oversampled(s).filter(|o| measured && o.0 > rule.step)
}

#[cfg(test)]
#[path = "../../tests/unit/log/clean.rs"]
mod tests;
