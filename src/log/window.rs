//! Finds the time window of a log. The window excludes the few rows that were logged while the clock was wrong by
//! years.

use std::collections::BTreeMap;

use super::scan::RawSamples;

const DAY_US: i64 = 86_400_000_000;
/// At most one row in every `ROWS_PER_STRAY` rows may lie outside the window (not tuned).
const ROWS_PER_STRAY: usize = 1_000;
/// Minimum number of rows in a log for which the window is narrowed (not tuned).
const MIN_ROWS: usize = 100;
/// Minimum length in days of the gap between the window and the rows outside it (not tuned). A gap of less than a year
/// may be a shutdown of the plant.
const MIN_DAYS: i64 = 365;

/// Returns the first and last time (µs) of the log, excluding a few rows that are years away from all others, such as
/// rows logged by a clock that shows 1970 or 2106. If stray rows were included, the grid would consist almost entirely
/// of empty steps.
pub(super) fn plausible_window(tags: &[RawSamples], long: bool) -> (i64, i64) {
    let mut days = rows_per_day(if long { tags } else { &tags[..1] });
    let total: usize = days.iter().map(|d| d.1).sum();
    let few = (total / ROWS_PER_STRAY).max(1);
    // Returns the first day on which the cumulative number of rows exceeds `left`.
    let core = |days: &[(i64, usize)], mut left: usize| {
        days.iter()
            .find(|d| {
                let here = d.1 > left;
                left = left.saturating_sub(d.1);
                here
            })
            .map_or(0, |d| d.0)
    };
    let backwards: Vec<_> = days.iter().rev().copied().collect();
    let span = core(&backwards, 3 * few) - core(&days, 3 * few);
    while days.len() > 1 && total >= MIN_ROWS {
        let Some(cut) = (1..days.len()).max_by_key(|&i| days[i].0 - days[i - 1].0) else { break };
        let gap = days[cut].0 - days[cut - 1].0;
        let rows = |d: &[(i64, usize)]| d.iter().map(|d| d.1).sum::<usize>();
        let (before, after) = (rows(&days[..cut]), rows(&days[cut..]));
        if gap < MIN_DAYS || gap < 2 * span || before.min(after) > few {
            break;
        }
        if before < after {
            days.drain(..cut);
        } else {
            days.truncate(cut);
        }
    }
    match (days.first(), days.last()) {
        (Some(first), Some(last)) => (first.0 * DAY_US, (last.0 + 1) * DAY_US - 1),
        _ => (i64::MIN, i64::MAX),
    }
}

/// Returns chronological pairs of a day (counted from 1970) and the number of rows on that day.
fn rows_per_day(tags: &[RawSamples]) -> Vec<(i64, usize)> {
    let mut days: BTreeMap<i64, usize> = BTreeMap::new();
    for raw in tags {
        let mut run = (i64::MIN, 0);
        for t in raw.samples.time().iter() {
            let day = t.div_euclid(DAY_US);
            if day != run.0 {
                if run.1 > 0 {
                    *days.entry(run.0).or_default() += run.1;
                }
                run = (day, 0);
            }
            run.1 += 1;
        }
        if run.1 > 0 {
            *days.entry(run.0).or_default() += run.1;
        }
    }
    days.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::samples::Samples;
    use super::super::store::Store;
    use super::*;

    #[test]
    fn a_clock_at_1970_does_not_stretch_the_log() {
        let mut time: Vec<i64> = (0..5_000).map(|i| 1_704_067_200_000_000 + i * 600_000_000).collect();
        time[7] = 0;
        let samples = Store::Plain(Samples { time: Arc::new(time), ..Samples::default() });
        let raw = RawSamples { samples, ..RawSamples::default() };
        let (from, to) = plausible_window(&[raw], false);
        assert!(from > 1_700_000_000_000_000 && to < 1_710_000_000_000_000);
    }
}
