//! Leaves out the parts of a log that `from`, `until` and `exclude` in `twin.toml` exclude.

use std::ops::Range;
use std::sync::Arc;

use super::calendar;
use super::grid::Grid;
use super::occurrences::Occurrences;
use super::quality::{Finding, FindingAction, FindingClass};
use super::scan::RawSamples;
use super::store::Store;
use crate::config::{At, TwinSpec};
use crate::error::{Error, LogKey, Result};
use crate::period::{self, Period};

/// The periods that are left out, as times in µs; the end of a period does not belong to it.
pub(super) struct Excluded {
    periods: Vec<Range<i64>>,
    /// The setting `exclude`: the text of each period, and its number in `periods`.
    excluded: Vec<(String, usize)>,
}

impl Excluded {
    /// # Errors
    /// [`Error::Log`] if a setting is neither a date nor a time.
    pub fn new(spec: &TwinSpec) -> Result<Self> {
        let (log, zone) = (&spec.log, calendar::zone(spec)?);
        let fault =
            |text: String| Error::log(LogKey::Periods, text, "write a date like `2024-03-01`, or a time in UTC");
        let invalid =
            |key: &str, text: &At<String>| fault(format!("`{key} = \"{}\"` is neither a date nor a time", text.value));
        let (mut periods, mut excluded) = (Vec::new(), Vec::new());
        if let Some(text) = &log.from {
            let from = period::start(&text.value, &zone).ok_or_else(|| invalid("from", text))?;
            periods.push(i64::MIN..from.as_microsecond());
        }
        if let Some(text) = &log.until {
            let until = period::end(&text.value, &zone).ok_or_else(|| invalid("until", text))?;
            periods.push(until.as_microsecond()..i64::MAX);
        }
        for text in &log.exclude {
            let period = Period::parse(&text.value, &zone).map_err(|why| fault(format!("`exclude`: {why}")))?;
            excluded.push((text.value.clone(), periods.len()));
            periods.push(period.from.as_microsecond()..period.to.as_microsecond());
        }
        Ok(Self { periods, excluded })
    }

    /// Whether a setting leaves out the samples at `time` (µs).
    pub fn contains(&self, time: i64) -> bool {
        self.periods.iter().any(|p| p.contains(&time))
    }

    /// Drops all samples in the periods.
    ///
    /// # Errors
    /// [`Error::Log`] if no sample is left.
    pub fn drop(&self, tags: &mut [RawSamples]) -> Result<Vec<Finding>> {
        if self.periods.is_empty() {
            return Ok(Vec::new());
        }
        // The columns of a wide log share their times, so they also share the selection.
        let mut selections: Vec<(Arc<Vec<i64>>, Selection)> = Vec::new();
        let (mut dropped, mut left) = (Occurrences::default(), 0);
        let mut is_used = vec![false; self.periods.len()];
        for tag in tags {
            let time = tag.samples.time();
            let known = selections.iter().position(|(t, _)| Arc::ptr_eq(t, &time)).unwrap_or_else(|| {
                let selection = Selection::new(&time, &tag.breaks, |t| !self.contains(t));
                for t in time.iter() {
                    let mut periods = self.periods.iter().zip(&mut is_used).filter(|(p, _)| p.contains(t)).peekable();
                    periods.peek().is_some().then(|| dropped.add(*t));
                    periods.for_each(|(_, is_used)| *is_used = true);
                }
                left += selection.rows.len();
                if matches!(tag.samples, Store::Packed { .. }) {
                    selections.clear();
                }
                selections.push((time, selection));
                selections.len() - 1
            });
            selections[known].1.apply(tag);
        }
        if left == 0 {
            return Err(none_left());
        }
        let note = "samples left out by `from`, `until` or `exclude`";
        let mut findings = Vec::from_iter(dropped.finding("", FindingClass::Excluded, FindingAction::Dropped, note));
        for (text, number) in self.excluded.iter().filter(|(_, number)| !is_used[*number]) {
            let Range { start, end } = self.periods[*number];
            let note =
                format!("`exclude` contains the period `{text}`, in which the log has no samples; check its dates");
            let all = Occurrences::between(1, start, end);
            findings.extend(all.finding("", FindingClass::Excluded, FindingAction::Kept, note));
        }
        Ok(findings)
    }

    /// The steps of `grid` that overlap with the periods.
    pub fn steps(&self, grid: &Grid) -> Vec<Range<usize>> {
        let overlaps = |k: usize, p: &Range<i64>| grid.time(k) < p.end && p.start < grid.time(k + 1);
        let of = |p: &Range<i64>| {
            let mut steps = (0..grid.steps).filter(|k| overlaps(*k, p));
            steps.next().map(|first| first..steps.next_back().unwrap_or(first) + 1)
        };
        self.periods.iter().filter_map(of).collect()
    }
}

/// The error if the settings leave out all samples.
pub(super) fn none_left() -> Error {
    let what = "no row of the log is left by `from`, `until` and `exclude`";
    Error::log(LogKey::Periods, what, "compare them with the period of the log")
}

/// The rows that are kept, and the first kept row of each file.
struct Selection {
    time: Arc<Vec<i64>>,
    rows: Vec<usize>,
    breaks: Arc<Vec<usize>>,
}

impl Selection {
    fn new(time: &[i64], breaks: &[usize], keep: impl Fn(i64) -> bool) -> Self {
        let rows: Vec<usize> = (0..time.len()).filter(|i| keep(time[*i])).collect();
        let breaks = breaks.iter().map(|b| rows.partition_point(|r| r < b)).collect();
        let time = Arc::new(rows.iter().map(|i| time[*i]).collect());
        Self { time, rows, breaks: Arc::new(breaks) }
    }

    fn apply(&self, tag: &mut RawSamples) {
        let is_packed = matches!(tag.samples, Store::Packed { .. });
        let mut samples = tag.samples.samples().into_owned();
        samples.value = self.rows.iter().map(|i| samples.value[*i]).collect();
        samples.time = Arc::clone(&self.time);
        tag.samples = if is_packed { Store::packed(&samples) } else { Store::Plain(samples) };
        tag.episode = tag.episode.take().map(|e| Arc::new(self.rows.iter().map(|i| e[*i]).collect()));
        tag.breaks = Arc::clone(&self.breaks);
    }
}
