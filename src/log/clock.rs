//! Detects clock faults in a log: rows that are out of order, and a clock that was set forward or back.
//!
//! The thresholds are not tuned. Tests that inject clock faults (`tests/internal/log`) check the thresholds.

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::{Offset, TimeZone};

use super::occurrences::Occurrences;
use super::text::{duration, rfc3339};

/// Clock faults revealed by the order of the rows.
#[derive(Debug, Default)]
pub(super) struct ClockFaults {
    pub out_of_order: Occurrences,
    pub steps: Occurrences,
    /// Descriptions of the first few clock steps.
    pub notes: Vec<String>,
    /// What to do about the clock steps.
    pub help: &'static str,
}

const HOUR: i64 = 3_600_000_000;

/// If a log has at least twice this number of time stamps, the typical interval is computed from every n-th time
/// difference.
const MAX_DIFFERENCES: usize = 20_000;
/// A log is regular if at least this fraction of its sampling intervals equals the typical interval.
pub(super) const REGULAR_SHARE: f64 = 0.9;
/// Maximum number of clock steps that a finding describes individually.
const MAX_NOTES: usize = 4;

/// Returns the typical interval between sorted time stamps (the median of their positive differences), and the fraction
/// of the differences that lie within 0.5 % of this interval.
pub(super) fn typical_interval(sorted: &[i64]) -> Option<(i64, f64)> {
    let stride = (sorted.len() / MAX_DIFFERENCES).max(1);
    let mut gaps: Vec<i64> =
        sorted.windows(2).step_by(stride).map(|w| w[1].saturating_sub(w[0])).filter(|d| *d > 0).collect();
    if gaps.is_empty() {
        return None;
    }
    let middle = gaps.len() / 2;
    let (_, median, _) = gaps.select_nth_unstable(middle);
    let median = *median;
    let equal = gaps.iter().filter(|d| (**d - median).abs() <= median / 200).count();
    Some((median, equal as f64 / gaps.len() as f64))
}

/// Returns the sampling interval of a log in which at least 90 % of the differences between sorted time stamps are
/// whole multiples of this interval. A difference of several intervals means that rows are missing.
pub(super) fn interval_with_gaps(sorted: &[i64]) -> Option<i64> {
    let (interval, _) = typical_interval(sorted).filter(|i| i.0 > 0 && i.1 >= 0.5)?;
    let tolerance = interval / 200;
    let is_multiple = |d: i64| d > 0 && (d + tolerance).rem_euclid(interval) <= 2 * tolerance;
    let gaps = || sorted.windows(2).map(|w| w[1].saturating_sub(w[0])).filter(|d| *d > 0);
    let multiples = gaps().filter(|d| is_multiple(*d)).count();
    (multiples as f64 >= REGULAR_SHARE * gaps().count() as f64).then_some(interval)
}

/// Looks for clock faults in the time stamps (µs) of consecutive rows. `breaks` contains the first row of each file,
/// because the order of rows from different files has no meaning. The values of the rows (`value`) help to distinguish
/// a clock that was set back from rows that were written twice. `zone` is the time zone of the plant, in which rows at
/// local midnights are regular, although some of these days have 23 or 25 hours.
pub(super) fn examine(time: &[i64], value: &[f64], breaks: &[usize], zone: &TimeZone) -> ClockFaults {
    let mut faults = ClockFaults::default();
    let sorted = time.windows(2).all(|w| w[0] <= w[1]);
    let interval = if sorted {
        typical_interval(time)
    } else {
        let mut copy = time.to_vec();
        copy.sort_unstable();
        typical_interval(&copy)
    };
    let Some((dt, share)) = interval else { return faults };
    faults.help = match dt > HOUR {
        true => "if the rows are at equal local times, set `timezone` to the time zone of the plant",
        false => {
            "set the logger to UTC, or state the time zone in which it stays, such as `+01:00`, with `log.timezone` or, for an \
             imported log, with `twinopt import --timezone`"
        }
    };
    let mut backward = Vec::new();
    if !sorted {
        find_backward(time, value, breaks, dt, &mut faults, &mut backward);
    }
    if share >= REGULAR_SHARE {
        find_forward(time, breaks, dt, &backward, zone, &mut faults);
    }
    faults
}

/// Finds rows whose time is earlier than the latest preceding time. If out-of-order rows follow one another at regular
/// intervals over a period that has already been logged, the clock was set back. All other out-of-order rows are
/// counted as late. Appends to `backward` the amounts by which the clock was set back.
fn find_backward(
    time: &[i64],
    value: &[f64],
    breaks: &[usize],
    dt: i64,
    faults: &mut ClockFaults,
    backward: &mut Vec<i64>,
) {
    let starts: std::collections::BTreeSet<usize> = breaks.iter().copied().collect();
    let mut late_rows = Occurrences::default();
    let mut steps = Vec::new();
    let mut newest = i64::MIN;
    let mut i = 0;
    while i < time.len() {
        if starts.contains(&i) {
            newest = i64::MIN;
        }
        if time[i] >= newest {
            newest = time[i];
            i += 1;
            continue;
        }
        let mut end = i + 1;
        while end < time.len() && !starts.contains(&end) && time[end] <= newest && time[end] > time[end - 1] {
            end += 1;
        }
        let run = end - i;
        let mut before: Vec<(i64, u64)> = (0..i)
            .rev()
            .take(4 * run + 16)
            .filter(|k| (time[i]..=time[end - 1]).contains(&time[*k]))
            .map(|k| (time[k], value[k].to_bits()))
            .collect();
        before.sort_unstable();
        let logged_before = before.len();
        let copies = (i..end).filter(|k| before.binary_search(&(time[*k], value[*k].to_bits())).is_ok()).count();
        let regular = time[end - 1] - time[i] <= dt.saturating_mul(2 * run as i64);
        let caught_up = end == time.len() || starts.contains(&end) || time[end] > newest;
        if run >= 3 && 2 * logged_before >= run && 10 * copies < 9 * run && regular && caught_up {
            steps.push((time[i], newest - time[i] + dt, run));
        } else {
            time[i..end].iter().for_each(|t| late_rows.add(*t));
        }
        i = end;
    }
    // If the rows of the log are shuffled, some sequences of rows look by chance as if the clock had been set back.
    if 10 * late_rows.count > time.len() || steps.len() > 1 + time.len() / 500 {
        steps.iter().for_each(|s| late_rows.merge(&Occurrences::between(s.2, s.0, s.0)));
        steps.clear();
    }
    faults.out_of_order = late_rows;
    for (at, length, _) in steps {
        backward.push(length);
        faults.steps.add(at);
        note(faults, at, -length);
    }
}

/// Finds the times at which the clock of a regular log was set forward. A jump that is not a whole number of intervals
/// is a clock step. A jump by a whole number of intervals is a clock step only if the clock is set back by the same
/// amount elsewhere, or if the jump looks like the start of summer time.
fn find_forward(time: &[i64], breaks: &[usize], dt: i64, backward: &[i64], zone: &TimeZone, faults: &mut ClockFaults) {
    let near = |d: i64| (d - dt).abs() <= dt / 100;
    let offset =
        |us: i64| Timestamp::from_microsecond(us).map_or(0, |t| i64::from(zone.to_offset(t).seconds()) * 1_000_000);
    for i in 4..time.len().saturating_sub(3) {
        let d = time[i] - time[i - 1];
        if d <= 0 || near(d) || breaks.iter().any(|b| (i.saturating_sub(3)..=i + 3).contains(b) && *b > 0) {
            continue;
        }
        // a day, or a part of a day longer than an hour, that summer time makes shorter or longer
        if dt > HOUR && near(d + offset(time[i]) - offset(time[i - 1])) {
            continue;
        }
        let steady = (1..=3).all(|k| near(time[i - k] - time[i - k - 1]) && near(time[i + k] - time[i + k - 1]));
        if !steady {
            continue;
        }
        let phase = d.rem_euclid(dt);
        let off_phase = phase > dt / 50 && phase < dt - dt / 50;
        let returned = d > dt && backward.iter().any(|b| (b - d).abs() <= dt + dt / 50);
        if off_phase || returned || summer_time(time[i - 1], d, dt) {
            faults.steps.add(time[i]);
            note(faults, time[i], d - dt);
        }
    }
}

/// Whether one hour is skipped between 00:00 and 04:00 on a Sunday in a month in which summer time begins or ends.
fn summer_time(before: i64, d: i64, dt: i64) -> bool {
    if dt > HOUR / 2 || (d - HOUR - dt).abs() > dt / 50 {
        return false;
    }
    let Ok(t) = Timestamp::from_microsecond(before) else { return false };
    let wall = Offset::UTC.to_datetime(t);
    wall.weekday() == Weekday::Sunday && wall.hour() < 4 && matches!(wall.month(), 3 | 4 | 9 | 10)
}

fn note(faults: &mut ClockFaults, at: i64, by: i64) {
    if faults.notes.len() < MAX_NOTES {
        let way = if by < 0 { "back" } else { "forward" };
        faults.notes.push(format!("{way} by {} at {}", duration(by.abs()), rfc3339(at)));
    }
}

#[cfg(test)]
#[path = "../../tests/unit/log/clock.rs"]
mod tests;
