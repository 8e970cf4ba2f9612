//! Decides whether a counter may have restarted unnoticed in an interval without readings. The thresholds are not tuned.

use super::detect::quantiles;
use super::samples::Samples;

/// If a counter falls to a reading of at most this many times the 99th percentile of the increases, this reading counts
/// as the increase since a reset (not tuned).
pub(super) const PLAUSIBLE_INCREASES: f64 = 10.0;
/// The reading has restarted after the end of the range if the increase across the restart is at most this many times
/// the 99th percentile of the increases per sampling interval (not tuned). The reading before a reset is usually farther
/// away from the end of the range.
pub(super) const MAX_ACROSS: f64 = 2.0;
/// Minimum number of resets from which the time between resets is known.
const MIN_RESETS: usize = 5;
/// Resets are regular if at least 80 % of the times between them differ from their median by less than this fraction.
const REGULAR: f64 = 0.1;
/// Fraction of the time between regular resets by which a reset can be early, for example because of daylight-saving
/// time.
const TOLERANCE: f64 = 1.0 / 24.0;
/// A restart at the end of the range is recognised after a gap only if the plausible increase over the gap is at most
/// this fraction of the range. Otherwise, any reading would be plausible.
const MOST_OF_RANGE: f64 = 0.25;

/// The restarts of a counter that are visible in consecutive readings.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    /// The range at whose end the counter restarts.
    range: Option<f64>,
    /// Times (µs) of the resets, and their median distance if there are enough of them.
    resets: Vec<i64>,
    every: Option<i64>,
    is_regular: bool,
}

impl Restarts {
    /// `usual` is the 99th percentile of the rises, and `ends` are the possible ranges of the counter.
    pub fn of(s: &Samples, kept: &[usize], max_gap: i64, usual: f64, ends: &[f64]) -> Self {
        let mut out = Self::default();
        for w in kept.windows(2) {
            let (last, next) = (s.value[w[0]], s.value[w[1]]);
            if next >= last || s.time[w[1]] - s.time[w[0]] > max_gap {
                continue;
            }
            let rolled = ends.iter().find(|end| next + **end - last <= MAX_ACROSS * usual && last - next > 0.5 * **end);
            match rolled {
                Some(end) => out.range = Some(*end),
                None if (0.0..=PLAUSIBLE_INCREASES * usual).contains(&next) => out.resets.push(s.time[w[1]]),
                None => {}
            }
        }
        if out.resets.len() >= MIN_RESETS {
            let distances = out.resets.windows(2).map(|w| (w[1] - w[0]) as f64);
            let [low, every, high] = quantiles(distances, out.resets.len(), [0.1, 0.5, 0.9]);
            out.every = Some(every as i64);
            out.is_regular = low > (1.0 - REGULAR) * every && high < (1.0 + REGULAR) * every;
        }
        out
    }

    /// Whether the counter may have passed its whole range if it increases by up to `most`.
    pub fn may_pass_range(&self, most: f64) -> bool {
        self.range.is_some_and(|range| most > range)
    }

    /// Whether a reading after a gap, in which the counter increases by up to `most`, can show that the counter
    /// restarted at the end of the range `end`.
    pub fn can_show(&self, end: f64, most: f64) -> bool {
        self.range == Some(end) || most <= MOST_OF_RANGE * end
    }

    /// Whether the counter was probably reset between two times (µs).
    pub fn may_be_reset(&self, from: i64, to: i64) -> bool {
        let Some(every) = self.every.filter(|every| *every > 0) else { return false };
        let after = self.resets.partition_point(|t| *t <= from);
        let nearest = after.checked_sub(1).or(Some(after)).and_then(|i| self.resets.get(i));
        let since = nearest.map_or(0, |t| (from - t).rem_euclid(every));
        let early = (TOLERANCE * every as f64) as i64;
        to - from >= every || self.is_regular && since + (to - from) + early >= every
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::counter::increases;
    use super::*;
    use crate::rng::Key;

    const MIN: i64 = 60_000_000;

    /// Readings every 15 minutes, except those with the numbers `missing`.
    fn readings(value: impl Fn(usize) -> f64, missing: std::ops::Range<usize>) -> Samples {
        let rows: Vec<usize> = (0..4_000).filter(|i| !missing.contains(i)).collect();
        Samples {
            time: Arc::new(rows.iter().map(|i| *i as i64 * 15 * MIN).collect()),
            value: rows.iter().map(|i| value(*i)).collect(),
            length: Vec::new(),
        }
    }

    fn total(i: usize) -> f64 {
        100.0 * i as f64 + (50.0 * Key::new(4).uniform(i as u64)).round()
    }

    /// The increase over the gap after reading 1,999 if it is known.
    fn over_gap(value: impl Fn(usize) -> f64, length: usize) -> Option<f64> {
        let s = readings(value, 2_000..1_999 + length);
        let found = increases(&s, 60 * MIN);
        let used: f64 = found.samples.value.iter().sum();
        assert_eq!(found.gaps.is_empty(), found.ambiguous.count + found.falls.count == 1, "{found:?}");
        (!found.gaps.is_empty()).then_some(found.total - used)
    }

    #[test]
    fn the_increase_is_unknown_if_the_counter_may_have_passed_its_whole_range() {
        // the counter restarts every 100 readings
        let wrapped = |i: usize| total(i) % 10_000.0;
        for length in [30, 60] {
            let right = total(1_999 + length) - total(1_999);
            assert!((over_gap(wrapped, length).unwrap() - right).abs() < 1e-6, "{length}");
        }
        for length in [110, 250, 1_030] {
            assert_eq!(over_gap(wrapped, length), None, "{length}");
        }
    }

    #[test]
    fn a_meter_that_was_replaced_in_a_long_gap_did_not_restart_at_the_end_of_its_range() {
        // the old meter is at 940,000 of 1,000,000 before the gap
        let replaced = |i: usize| if i < 2_000 { 740_100.0 + total(i) } else { total(i) - total(2_000) };
        assert_eq!(over_gap(replaced, 1_500), None);
        // without a gap, or with a short one, the reading shows what happened
        let short = |i: usize| (799_000.0 + total(i)) % 1_000_000.0;
        let right = total(2_029) - total(1_999);
        assert!((over_gap(short, 30).unwrap() - right).abs() < 1e-6);
    }

    #[test]
    fn the_increase_over_a_daily_reset_is_unknown() {
        let daily = |i: usize| total(i) - total(i / 96 * 96);
        // reading 1,999 is at 19:45
        let right = total(2_009) - total(1_999);
        assert!((over_gap(daily, 10).unwrap() - right).abs() < 1e-6);
        for length in [20, 97, 110, 200] {
            assert_eq!(over_gap(daily, length), None, "{length}");
        }
    }
}
