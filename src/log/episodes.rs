//! Divides the timeline of a log into episodes, between which the plant was stopped or reset.

use super::occurrences::Occurrences;
use super::quality::{Finding, FindingAction, FindingClass};
use super::scan::RawSamples;
use super::text::rfc3339;
use crate::config::TwinSpec;
use crate::error::{Error, Result};

/// A part of the timeline that belongs to one episode, from the first to the last row (µs UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub from: i64,
    pub to: i64,
    /// Index of the episode's label.
    pub label: u32,
}

/// The timeline as a sequence of episodes.
#[derive(Debug, Default)]
pub(super) struct Episodes {
    pub blocks: Vec<Block>,
    /// Rows of an episode that began before the end of another episode. Overlapping episodes do not fit on a single
    /// timeline.
    pub overlap: Occurrences,
    pub rows: usize,
}

impl Episodes {
    /// Finds the episodes. An episode continues as long as its next row is at most `max_gap` away. Rows that lie
    /// between two rows of a different episode count as overlapping.
    pub fn new(time: &[i64], label: &[u32], max_gap: i64) -> Self {
        let mut order: Vec<usize> = (0..time.len()).collect();
        order.sort_by_key(|&i| (time[i], label[i]));
        let labels = label.iter().max().map_or(0, |m| *m as usize + 1);
        // For each row, the time of the next row with the same label.
        let mut next = vec![i64::MAX; time.len()];
        let mut earliest = vec![i64::MAX; labels];
        for &i in order.iter().rev() {
            next[i] = earliest[label[i] as usize];
            earliest[label[i] as usize] = time[i];
        }
        let mut out = Self { rows: time.len(), ..Self::default() };
        let mut continues_at = i64::MAX;
        for &i in &order {
            let (t, l) = (time[i], label[i]);
            match out.blocks.last_mut() {
                Some(b) if b.label == l => b.to = t,
                Some(b) if t <= b.to || (continues_at != i64::MAX && continues_at - b.to <= max_gap) => {
                    out.overlap.add(t);
                    continue;
                }
                _ => out.blocks.push(Block { from: t, to: t, label: l }),
            }
            continues_at = next[i];
        }
        out
    }

    /// Whether the timeline belongs to episode `label` at `time`.
    pub fn contains(&self, time: i64, label: u32) -> bool {
        let after = self.blocks.partition_point(|b| b.from <= time);
        self.blocks[..after].last().is_some_and(|b| b.label == label && time <= b.to)
    }

    /// Number of changes from one episode to the next.
    pub fn changes(&self) -> usize {
        self.blocks.len().saturating_sub(1)
    }
}

/// Returns the episodes of the log, if it has an episode column.
///
/// # Errors
/// [`Error::Data`] if more than 5 % of the rows overlap with another episode (not tuned).
pub(super) fn episodes(
    tags: &[RawSamples],
    long: bool,
    labels: &[String],
    spec: &TwinSpec,
    max_gap: i64,
    findings: &mut Vec<Finding>,
) -> Result<Option<Episodes>> {
    let Some(column) = &spec.log.episode else { return Ok(None) };
    let used = if long { tags } else { &tags[..1] };
    let time: Vec<i64> = used.iter().flat_map(|r| r.samples.time().to_vec()).collect();
    let label: Vec<u32> = used.iter().filter_map(|r| r.episode.as_ref()).flat_map(|l| l.iter().copied()).collect();
    let e = Episodes::new(&time, &label, max_gap);
    let name = |l: u32| labels.get(l as usize).map_or("", String::as_str);
    if 20 * e.overlap.count > e.rows {
        let some: Vec<&str> = e.blocks.iter().take(2).map(|b| name(b.label)).collect();
        return Err(Error::Data(format!(
            "episodes in column `{}` overlap in time ({} of {} rows, from {} to {}; for example episodes {}), but a log must have a single timeline. If the clock restarts with each episode, add the duration of all earlier episodes to the times of each episode; if the episodes ran in parallel, write a separate log for each episode",
            column.value,
            e.overlap.count,
            e.rows,
            rfc3339(e.overlap.first),
            rfc3339(e.overlap.last),
            some.iter().map(|s| format!("`{s}`")).collect::<Vec<_>>().join(" and "),
        )));
    }
    findings.extend(e.overlap.finding(
        "",
        FindingClass::EpisodeOverlap,
        FindingAction::Dropped,
        "rows of an episode that begins before another episode ends",
    ));
    Ok(Some(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_may_return_and_overlapping_rows_are_counted() {
        let time: Vec<i64> = (0..30).map(|i| i * 10).collect();
        let label: Vec<u32> = (0..30).map(|i| (i / 10) % 2).collect();
        assert_eq!(Episodes::new(&time, &label, 30).blocks.len(), 3);
        // Episode 1 begins 2 rows before episode 0 ends.
        let time: Vec<i64> = (0..10).chain(8..18).map(|i| i * 10).collect();
        let label: Vec<u32> = (0..20).map(|i| u32::from(i >= 10)).collect();
        let e = Episodes::new(&time, &label, 30);
        assert_eq!((e.blocks.len(), e.overlap.count), (2, 2));
        assert!(e.contains(90, 0) && !e.contains(90, 1) && e.contains(100, 1));
    }
}
