//! Finds long gaps in which no signal has a sample, for example because a file is missing.

use jiff::ToSpan;

use super::grid::Grid;
use super::occurrences::Occurrences;
use super::quality::{Finding, FindingAction, FindingClass};
use super::scan::RawSamples;
use super::text::{duration, rfc3339};
use super::weekdays::FreeDays;

const DAY_US: i64 = 86_400_000_000;
/// A gap is long if it lasts at least a day and this fraction of the time span of the log (not tuned). If there are
/// several gaps, it must also be this many times as long as the median gap, so that pauses such as weekends are not
/// reported.
const MIN_SHARE: f64 = 0.02;
const MEDIANS: i64 = 3;
/// Minimum number of gaps for the comparison with the median.
const SEVERAL: usize = 4;
/// A file seems to be missing if a gap is at least this fraction of the usual time span of a file (not tuned). The
/// fraction is less than one because files that cover a month span 28 to 31 days.
const OF_FILE: f64 = 0.85;
/// Maximum number of long gaps to report. If there are more, only the longest are reported.
const MAX_REPORTED: usize = 5;

/// The files of a log.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Files {
    count: usize,
    /// Median time (µs) from the first to the last row of a file.
    usual: i64,
}

impl Files {
    /// Determines the time spans of the files from the tag with the most samples.
    pub fn new(tags: &[RawSamples]) -> Self {
        let Some(tag) = tags.iter().max_by_key(|t| t.samples.len()) else { return Self::default() };
        let time = tag.samples.time();
        let ends = tag.breaks.iter().skip(1).copied().chain([time.len()]);
        let span = |(from, to): (&usize, usize)| {
            let rows = time.get(*from..to)?;
            Some(rows.iter().max()? - rows.iter().min()?)
        };
        let mut spans: Vec<i64> = tag.breaks.iter().zip(ends).filter_map(span).collect();
        spans.sort_unstable();
        Self { count: spans.len(), usual: spans.get(spans.len() / 2).copied().unwrap_or(0) }
    }
}

/// Returns one finding for each long gap. `has_sample` states for each step whether any signal has a sample. If `split`
/// is false, gaps do not split the log, because its rows are events.
pub(super) fn long_gaps(
    has_sample: &[bool],
    grid: &Grid,
    max_gap: i64,
    files: Files,
    free: &FreeDays,
    split: bool,
) -> Vec<Finding> {
    let mut gaps: Vec<(i64, i64)> = Vec::new();
    let mut last = None;
    for k in (0..grid.steps).filter(|k| has_sample[*k]) {
        let from = last.replace(k + 1).unwrap_or(k);
        if grid.time(k) - grid.time(from) > max_gap - grid.step {
            gaps.push((grid.time(from), grid.time(k)));
        }
    }
    gaps.retain(|(from, to)| to > from && !only_free(*from, *to, free));
    let length = |g: &(i64, i64)| g.1 - g.0;
    let mut lengths: Vec<i64> = gaps.iter().map(length).collect();
    lengths.sort_unstable();
    let span = (grid.time(grid.steps) - grid.time(0)) as f64;
    let is_long = |g: &(i64, i64)| {
        let unusual = gaps.len() < SEVERAL || length(g) > MEDIANS * lengths[gaps.len() / 2];
        unusual && length(g) >= DAY_US && length(g) as f64 >= MIN_SHARE * span
    };
    let like_file = |g: &(i64, i64)| files.usual > 0 && length(g) as f64 >= OF_FILE * files.usual as f64;
    // In a log with one file per experiment, most pauses may be longer than a file.
    let whole_files = files.count > 1 && 2 * gaps.iter().filter(|g| like_file(g)).count() <= files.count;
    let mut long: Vec<&(i64, i64)> = gaps.iter().filter(|g| is_long(g) || whole_files && like_file(g)).collect();
    long.sort_by_key(|g| std::cmp::Reverse(length(g)));
    long.truncate(MAX_REPORTED);
    long.sort_unstable();
    let finding = |g: &&(i64, i64)| {
        let file = if whole_files && like_file(g) { ", about as long as a whole file of the log" } else { "" };
        let note = format!(
            "no signal has a sample from {} to {}, a gap of {} ({:.1} % of the time span of the log){file}; if a file \
             is missing, add it to `log.files`",
            rfc3339(g.0),
            rfc3339(g.1),
            duration(length(g)),
            100.0 * length(g) as f64 / span
        );
        let action = if split { FindingAction::Split } else { FindingAction::Kept };
        Occurrences::between(1, g.0, g.1).finding("", FindingClass::LongGap, action, note)
    };
    long.iter().filter_map(finding).collect()
}

/// Whether a gap contains whole days, all of which are weekdays on which the log never has rows.
fn only_free(from: i64, to: i64, free: &FreeDays) -> bool {
    let (Some(first), Some(last)) = (free.date(from - 1), free.date(to)) else { return false };
    let mut days = std::iter::successors(first.checked_add(1.day()).ok(), |d| d.checked_add(1.day()).ok())
        .take_while(|d| *d < last)
        .peekable();
    days.peek().is_some() && days.all(|d| free.contains(d))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::tz::TimeZone;

    use super::super::samples::Samples;
    use super::super::store::Store;
    use super::*;

    const HOUR: i64 = 3_600_000_000;
    /// 2024-01-01, a Monday.
    const MONDAY: i64 = 1_704_067_200_000_000;

    /// The long gaps of an hourly log, in days since its start. The log has no rows in hours for which `missing`
    /// returns true. If `per_file` is given, a file contains that number of days.
    fn found(days: i64, per_file: Option<i64>, missing: impl Fn(i64) -> bool) -> Vec<(i64, i64)> {
        let hours: Vec<i64> = (0..24 * days).filter(|h| !missing(*h)).collect();
        let time: Vec<i64> = hours.iter().map(|h| MONDAY + h * HOUR).collect();
        let file = |h: i64| h / (24 * per_file.unwrap_or(days));
        let breaks = (0..hours.len()).filter(|i| *i == 0 || file(hours[*i]) != file(hours[*i - 1])).collect();
        let free = FreeDays::new(&time, TimeZone::UTC);
        let samples = Store::Plain(Samples { time: Arc::new(time), ..Samples::default() });
        let tag = RawSamples { samples, breaks: Arc::new(breaks), ..RawSamples::default() };
        let steps = 24 * days as usize;
        let grid = Grid { start: MONDAY, step: HOUR, steps, slack: 0, bounds: Vec::new() };
        let has_sample: Vec<bool> = (0..steps as i64).map(|h| !missing(h)).collect();
        let list = long_gaps(&has_sample, &grid, 3 * HOUR, Files::new(&[tag]), &free, true);
        let day = |text: &str| (text.parse::<jiff::Timestamp>().unwrap().as_microsecond() - MONDAY) / (24 * HOUR);
        list.iter().map(|f| (day(&f.first), day(&f.last))).collect()
    }

    #[test]
    fn missing_files_are_found() {
        let day = |h: i64| h / 24;
        assert_eq!(found(365, Some(30), |h| (120..150).contains(&day(h))), [(120, 150)]);
        assert_eq!(found(365, None, |h| (120..150).contains(&day(h))), [(120, 150)]);
        assert_eq!(found(365, Some(1), |h| [40, 200].contains(&day(h))), [(40, 41), (200, 201)]);
        assert_eq!(found(1_500, Some(28), |h| (280..308).contains(&day(h))), [(280, 308)]);
        assert_eq!(found(365, None, |h| day(h) == 40), []);
        assert_eq!(found(60, Some(30), |_| false), []);
    }

    #[test]
    fn regular_pauses_are_not_missing_files() {
        let day = |h: i64| h / 24;
        assert_eq!(found(120, Some(1), |h| day(h) % 7 >= 5), []);
        assert_eq!(found(120, Some(10), |h| h % 24 < 8), []);
        // experiments of one day, each followed by a pause of three days
        assert_eq!(found(120, Some(4), |h| day(h) % 4 > 0), []);
        // no rows at weekends and during one month
        let closed = |h: i64| day(h) % 7 >= 5 || (30..60).contains(&day(h));
        assert_eq!(found(210, Some(30), closed), [(30, 60)]);
    }
}
