//! Moves time stamps that mark the end of an interval to its start.

use std::sync::Arc;

use super::clock::typical_interval;
use super::intervals::parts;
use super::scan::RawSamples;
use super::store::Store;
use super::text::duration;
use crate::error::{Error, LogKey, Result};

/// The length of a day, and the amount by which clocks are set forward or back, in µs.
const DAY_US: i64 = 86_400_000_000;
const CLOCK_CHANGE_US: i64 = 3_600_000_000;

/// Moves the time stamps of all regular tags by one sampling interval. Tags that are logged at irregular times, such as
/// set-points that are logged when they change, keep their times.
///
/// # Errors
/// [`Error::Log`] if no tag is regular.
pub(super) fn move_to_start(tags: &mut [RawSamples]) -> Result<()> {
    // The times that several tags share, before and after they were moved.
    let mut moved: Vec<[Arc<Vec<i64>>; 2]> = Vec::new();
    let (mut any, mut longest) = (false, 0);
    for tag in tags.iter_mut() {
        let ends = tag.samples.time();
        if let Some([_, time]) = moved.iter().find(|m| Arc::ptr_eq(&m[0], &ends)) {
            tag.samples.set_time(time);
            continue;
        }
        let mut sorted = ends.as_ref().clone();
        sorted.sort_unstable();
        let Some((interval, share)) = typical_interval(&sorted) else { continue };
        longest = longest.max(interval);
        // Daylight-saving time and gaps change a few intervals of a regular log.
        if share >= 0.5 {
            let time = Arc::new(starts(&ends, &sorted, interval));
            tag.samples.set_time(&time);
            any = true;
            if matches!(tag.samples, Store::Plain(_)) {
                moved.push([ends, time]);
            }
        }
    }
    if !any {
        let what = format!(
            "`stamps = \"end\"` needs samples at regular intervals, but the intervals vary (about {})",
            duration(longest)
        );
        return Err(Error::log(LogKey::Time, what, "remove `stamps`, or export the start of each interval"));
    }
    Ok(())
}

/// Returns the starts of the intervals that end at `ends`; `sorted` contains the same times in ascending order. An
/// interval of a day or more starts at the end of the preceding interval if the two ends are one interval apart in
/// local time, because the days on which the clocks change have 23 or 25 hours.
///
/// If the sampling interval changes, each interval has the length of those next to it.
fn starts(ends: &[i64], sorted: &[i64], interval: i64) -> Vec<i64> {
    let parts = parts(sorted);
    let start = |end: &i64| {
        let index = sorted.partition_point(|t| t < end).checked_sub(1);
        let part = parts.partition_point(|p| p.from <= index.unwrap_or(0)).max(1) - 1;
        let usual = end - parts.get(part).filter(|_| parts.len() > 1).map_or(interval, |p| p.interval);
        let before = index.map(|i| sorted[i]);
        before.filter(|b| interval >= DAY_US && (b - usual).abs() <= CLOCK_CHANGE_US).unwrap_or(usual)
    };
    ends.iter().map(start).collect()
}

#[cfg(test)]
mod tests {
    use super::super::samples::Samples;
    use super::*;

    fn tag(time: Vec<i64>) -> RawSamples {
        let samples = Store::Plain(Samples { time: Arc::new(time), ..Samples::default() });
        RawSamples { samples, ..RawSamples::default() }
    }

    #[test]
    fn local_days_that_end_at_midnight_start_at_the_midnight_before() {
        let hour = 3_600_000_000;
        // two days of 24 hours, a day of 23 hours, a day of 24 hours, a day of 25 hours, and a gap of one day
        let ends = [24, 48, 71, 95, 120, 144, 168, 216].map(|h| h * hour);
        let mut tags = [tag(ends.to_vec())];
        move_to_start(&mut tags).unwrap();
        assert_eq!(*tags[0].samples.time(), [0, 24, 48, 71, 95, 120, 144, 192].map(|h| h * hour));
    }

    #[test]
    fn only_regular_tags_are_moved() {
        let mut tags = [tag((1..20).map(|i| i * 60).collect()), tag(vec![0, 5, 90, 91, 300, 1_000])];
        move_to_start(&mut tags).unwrap();
        assert_eq!((tags[0].samples.time()[0], tags[1].samples.time()[0]), (0, 0));
        assert!(move_to_start(&mut tags[1..]).is_err());
    }
}
