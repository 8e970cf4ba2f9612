//! Moves time stamps that mark the end of an interval to its start.

use std::sync::Arc;

use super::clock::typical_interval;
use super::scan::RawSamples;
use super::text::duration;
use crate::error::{Error, LogKey, Result};

/// Moves the time stamps of all regular tags by one sampling interval. Tags that are logged at irregular times, such as
/// set-points that are logged when they change, keep their times.
///
/// # Errors
/// [`Error::Log`] if no tag is regular.
pub(super) fn move_to_start(tags: &mut [RawSamples]) -> Result<()> {
    let mut moved: Vec<(*const Vec<i64>, Arc<Vec<i64>>)> = Vec::new();
    let mut longest = 0;
    for tag in tags.iter_mut() {
        let shared = Arc::as_ptr(&tag.time);
        if let Some((_, time)) = moved.iter().find(|m| m.0 == shared) {
            tag.time = Arc::clone(time);
            continue;
        }
        let mut sorted = tag.time.as_ref().clone();
        sorted.sort_unstable();
        let Some((interval, share)) = typical_interval(&sorted) else { continue };
        longest = longest.max(interval);
        // Daylight-saving time and gaps change a few intervals of a regular log.
        if share >= 0.5 {
            let time = Arc::new(tag.time.iter().map(|t| t - interval).collect());
            moved.push((shared, Arc::clone(&time)));
            tag.time = time;
        }
    }
    if moved.is_empty() {
        let what = format!(
            "`stamps = \"end\"` needs samples at regular intervals, but the intervals vary (about {})",
            duration(longest)
        );
        return Err(Error::log(LogKey::Time, what, "remove `stamps`, or export the start of each interval"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_tags_are_moved() {
        let tag = |time: Vec<i64>| RawSamples { time: Arc::new(time), ..RawSamples::default() };
        let mut tags = [tag((1..20).map(|i| i * 60).collect()), tag(vec![0, 5, 90, 91, 300, 1_000])];
        move_to_start(&mut tags).unwrap();
        assert_eq!((tags[0].time[0], tags[1].time[0]), (0, 0));
        assert!(move_to_start(&mut tags[1..]).is_err());
    }
}
