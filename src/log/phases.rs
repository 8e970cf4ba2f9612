//! Recognises a log in which the rows of several devices alternate although no column distinguishes them: the times
//! repeat a pattern of intervals, or the values of every second row resemble each other. The thresholds are not tuned.

use std::collections::BTreeSet;

use super::clock::{REGULAR_SHARE, typical_interval};
use super::detect::quantiles;
use super::occurrences::Occurrences;
use super::quality::{Finding, FindingAction, FindingClass};
use super::text::duration;
use crate::error::{LogFault, LogKey};

/// Maximum number of rows that are examined.
pub(super) const MAX_ROWS: usize = 100_000;
/// Minimum number of repetitions of the pattern.
const MIN_REPETITIONS: usize = 20;
/// Maximum number of devices.
const MAX_DEVICES: usize = 8;
/// Maximum period of the pattern (µs). Longer periods are not examined, because values often resemble those of the day
/// before even if there is only one device.
const MAX_PERIOD: i64 = 6 * 3_600_000_000;
/// The rows belong to several devices if the mean change between rows of the same position in the pattern is less than
/// this fraction of the mean change between consecutive rows.
const PERSISTENT: f64 = 0.5;

/// A signal of a machine that is off is at most this fraction of its usual value.
pub(super) const OFF: f64 = 0.05;

/// Whether the rows belong to several devices, judged by their times and values.
#[derive(Debug, PartialEq)]
pub(super) enum Devices {
    /// The rows certainly belong to several devices.
    Certain(LogFault),
    /// The rows may belong to several devices.
    Possible(Finding),
}

/// Looks for rows of several devices among rows with the given times (µs), sorted, and values `[signal][row]`.
pub(super) fn devices(time: &[i64], values: &[Vec<f64>]) -> Option<Devices> {
    let n = time.len().min(MAX_ROWS);
    let time = &time[..n];
    let (_, share) = typical_interval(time)?;
    let pattern = match share >= REGULAR_SHARE {
        true => vec![time[1] - time[0]; 2],
        false => (2..=MAX_DEVICES).find_map(|count| pattern(time, count))?,
    };
    let count = pattern.len();
    if n < MIN_REPETITIONS * count || pattern.iter().sum::<i64>() > MAX_PERIOD {
        return None;
    }
    let continuous = values.iter().filter(|v| is_continuous(&v[..n]));
    let ratios: Vec<f64> = continuous.filter_map(|v| persistence(&v[..n], count)).collect();
    if ratios.is_empty() {
        return None;
    }
    let switches = values.iter().any(|v| is_off_at_times(&v[..n]));
    let alike = ratios.iter().filter(|r| **r < PERSISTENT).count();
    let list: Vec<String> = pattern.iter().map(|d| duration(*d)).collect();
    let times = format!("the intervals between rows repeat the pattern {}", list.join(", "));
    let differ = "consecutive rows differ much more than rows at the same position of the pattern";
    let advice =
        "export one log per device, or add a column that identifies the device and select its rows with `where`";
    let possible = |text: String| {
        let all = Occurrences::between(n, time[0], time[n - 1]);
        let text = format!("{text}, unless a machine is switched on and off in this cycle; {advice}");
        let finding = all.finding("", FindingClass::Interleaved, FindingAction::Kept, text);
        finding.map(Devices::Possible)
    };
    match (share >= REGULAR_SHARE, alike) {
        (false, alike) if 2 * alike < ratios.len() || switches => {
            possible(format!("{times}, as if the rows of {count} devices alternated"))
        }
        (false, _) => Some(Devices::Certain(LogFault::new(
            LogKey::Files,
            format!("{times}, and {differ}, so the rows of {count} devices alternate and would be mixed"),
            advice,
        ))),
        (true, alike) if alike >= 2 && 2 * alike >= ratios.len() => possible(format!(
            "the values of {alike} signals alternate from row to row, as if the rows of two devices alternated"
        )),
        _ => None,
    }
}

/// Whether a signal has many distinct values. The times at which a state changes may follow a schedule.
fn is_continuous(value: &[f64]) -> bool {
    const MIN_DISTINCT: usize = 20;
    let mut distinct = BTreeSet::new();
    value.iter().filter(|v| v.is_finite()).any(|v| distinct.insert(v.to_bits()) && distinct.len() >= MIN_DISTINCT)
}

/// Whether a signal is about 0 in at least a fifth of the rows, like the flow of a pump that is switched on and off.
/// The rows of a log may be those at which the pump was switched.
fn is_off_at_times(value: &[f64]) -> bool {
    let [high] = quantiles(value.iter().map(|v| v.abs()).filter(|v| v.is_finite()), value.len(), [0.9]);
    let off = value.iter().filter(|v| v.abs() <= OFF * high).count();
    high > 0.0 && 5 * off >= value.len() && 5 * off <= 4 * value.len()
}

/// Returns the pattern of `count` intervals that the times repeat, if these intervals are unequal.
fn pattern(time: &[i64], count: usize) -> Option<Vec<i64>> {
    let gaps: Vec<i64> = time.windows(2).map(|w| w[1] - w[0]).filter(|d| *d > 0).collect();
    if gaps.len() < MIN_REPETITIONS * count {
        return None;
    }
    let near = |a: i64, b: i64| 50 * (a - b).abs() <= a.max(b);
    let repeats = gaps.windows(count + 1).filter(|w| near(w[0], w[count])).count();
    if (repeats as f64) < REGULAR_SHARE * (gaps.len() - count) as f64 {
        return None;
    }
    // Missing rows shift the pattern, so the intervals are taken from a place at which the pattern repeats.
    let whole = |w: &&[i64]| (0..count).all(|i| near(w[i], w[i + count]));
    let found = gaps.windows(2 * count).find(whole)?[..count].to_vec();
    let (min, max) = (found.iter().min()?, found.iter().max()?);
    (10 * min < 9 * max).then_some(found)
}

/// Returns the ratio of two mean changes: between values that are `count` rows apart, and between consecutive values.
fn persistence(value: &[f64], count: usize) -> Option<f64> {
    let mean = |apart: usize| {
        let changes = value.windows(apart + 1).map(|w| (w[apart] - w[0]).abs()).filter(|d| d.is_finite());
        let (sum, n) = changes.fold((0.0, 0_usize), |(sum, n), d| (sum + d, n + 1));
        (n > 0).then(|| sum / n as f64)
    };
    let (own, all) = (mean(count)?, mean(1)?);
    (all > 0.0).then(|| own / all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Key;

    const MIN: i64 = 60_000_000;

    fn value(device: usize, i: usize) -> f64 {
        20.0 + 30.0 * device as f64 + 5.0 * (i as f64 / 40.0).sin() + 0.5 * Key::new(3).normal(i as u64)
    }

    #[test]
    fn rows_of_devices_that_report_minutes_apart_are_found() {
        for count in [2, 3] {
            let time: Vec<i64> = (0..600).map(|i| (i / count * 15 + i % count * 4) as i64 * MIN).collect();
            let values = [(0..600).map(|i| value(i % count, i / count)).collect::<Vec<f64>>()];
            let found = devices(&time, &values).unwrap();
            assert!(
                matches!(&found, Devices::Certain(f) if f.message.contains(&format!("{count} devices"))),
                "{found:?}"
            );
            // devices with equal values
            let equal = [(0..600).map(|i| value(0, i)).collect::<Vec<f64>>()];
            assert!(matches!(devices(&time, &equal), Some(Devices::Possible(_))));
        }
    }

    #[test]
    fn two_devices_at_equal_intervals_show_in_two_signals() {
        let time: Vec<i64> = (0..600).map(|i| i * 5 * MIN).collect();
        let both = |i: usize| value(i % 2, i / 2);
        let two: Vec<Vec<f64>> = (0..2).map(|_| (0..600).map(both).collect()).collect();
        assert!(matches!(devices(&time, &two), Some(Devices::Possible(_))));
        let one: Vec<Vec<f64>> = (0..2).map(|_| (0..600).map(|i| value(0, i)).collect()).collect();
        assert_eq!(devices(&time, &one), None);
    }

    /// A pump that runs for 5 of 15 minutes, in a log with a row at each switch.
    #[test]
    fn a_pump_on_a_timer_is_not_refused() {
        let time: Vec<i64> = (0..600).map(|i| (i / 2 * 15 + i % 2 * 10) * MIN).collect();
        let noise = |i: usize| Key::new(5).normal(i as u64);
        let pump = |size: f64| (0..600).map(|i| (i % 2) as f64 * size + 0.01 * size * noise(i)).collect::<Vec<f64>>();
        assert!(matches!(devices(&time, &[pump(12.0), pump(4.0)]), Some(Devices::Possible(_))));
    }

    #[test]
    fn missing_rows_jitter_and_workdays_are_no_devices() {
        let key = Key::new(8);
        let values = |n: usize| [(0..n).map(|i| value(0, i)).collect::<Vec<f64>>()];
        let missing: Vec<i64> = (0..2_000).filter(|i| key.uniform(*i as u64) < 0.7).map(|i| i * 10 * MIN).collect();
        assert_eq!(devices(&missing, &values(missing.len())), None);
        let jitter: Vec<i64> = (0..2_000).map(|i| i * 10 * MIN + (60e6 * key.normal(i as u64)) as i64).collect();
        assert_eq!(devices(&jitter, &values(2_000)), None);
        let days: Vec<i64> = (0..400).filter(|i| i % 7 < 5).map(|i| i * 1_440 * MIN).collect();
        assert_eq!(devices(&days, &values(days.len())), None);
    }
}
